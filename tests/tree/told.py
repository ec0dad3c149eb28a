# SPDX-License-Identifier: Apache-2.0
"""The commands and options of reroute, as its --help tells them."""
import functools
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("REROUTE_BUILD") or os.path.join(ROOT, "build")
OPTION = re.compile(r"(?<![\w-])--?[A-Za-z0-9][\w-]*")
STUDIES = ("bench",)  # commands that have commands


@functools.cache
def help_of(*command):
    return subprocess.run([os.path.join(BUILD, "reroute"), *command, "--help"], capture_output=True, text=True,
                          check=True).stdout


def commands_of(text):
    """The names in a list of commands."""
    return re.findall(r"^  ([a-z][\w-]*)  ", text, re.M)


@functools.cache
def all_commands():
    """Each as a tuple of words."""
    return [words for name in commands_of(help_of())
            for words in ([(name, study) for study in commands_of(help_of(name))] if name in STUDIES else [(name,)])]


def options(text):
    return set(OPTION.findall(text))


def wrong_words(line):
    """What the program would not know of `reroute COMMAND ...`: the command, or options of it."""
    _, *words = line.split()
    if words[0] == "help" or words[0] in STUDIES and len(words) == 1:
        return []
    command = tuple(words[:2] if words[0] in STUDIES else words[:1])
    if command not in all_commands():
        return [" ".join(command)]
    return sorted(options(" ".join(words[len(command):])) - options(help_of(*command)))
