# SPDX-License-Identifier: Apache-2.0
"""The commands and options of reroute, as its --help tells them; the tests, as Meson has them; what tools/bench-tables
and tools/lab can do; the manual pages, as man prints them."""
import functools
import json
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


def shown(page):
    """What man prints, without bold and underlined."""
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=300", page], capture_output=True, text=True, check=True)
    return re.sub(r".\x08", "", done.stdout)


def examples(text):
    """The commands of a page's examples, each without what follows in a pipe."""
    section = re.search(r"^EXAMPLES$(.*?)^(?=\S)", text, re.M | re.S)
    lines = section[1].splitlines() if section else []
    return [re.split(r" [|<>] ", line)[0].strip() for line in lines if re.match(r" *reroute [a-z]", line)]


@functools.cache
def all_tests():
    """Their names, and those of their suites."""
    with open(os.path.join(BUILD, "meson-info", "intro-tests.json"), encoding="utf-8") as f:
        tests = json.load(f)
    return {test["name"] for test in tests} | {suite.rpartition(":")[2] for test in tests for suite in test["suite"]}


def wrong_tests(words):
    """Of `meson test -C DIRECTORY ...`: names that no test and no suite has."""
    words = re.sub(r"--setup \w+|--\w+", "", words).split()
    return sorted(set(words) - all_tests())


def run_tool(*command):
    return subprocess.run([os.path.join(ROOT, "tools", command[0]), *command[1:]], capture_output=True, text=True, check=False)


def wrong_tables(words):
    """Of `tools/bench-tables NAME`: an unknown name, or what is wrong with the commands that it stands for."""
    done = run_tool("bench-tables", "-n", *words.split())
    if done.returncode != 0:
        return [words]
    shown = [re.split(r" [|<>&] ?", line)[0] for line in re.findall(r"^\$ (reroute [a-z].*)", done.stdout, re.M)]
    return [wrong for line in shown for wrong in wrong_words(line)]


def wrong_lab(words):
    return [] if re.search(rf"^  {words.split()[0]}\b", run_tool("lab", "--help").stdout, re.M) else [words]
