# SPDX-License-Identifier: Apache-2.0
"""The commands and options of reroute, as its --help tells them; the tests, as Meson has them; what tools/bench-tables
and tools/lab can do; the manual pages, as man prints them."""
import functools
import json
import os
import re
import shlex
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("REROUTE_BUILD") or os.path.join(ROOT, "build")
OPTION = re.compile(r"(?<![\w-])--?[A-Za-z0-9][\w-]*")
STUDIES = ("bench",)  # commands that have commands
NO_OPTION = "--no-such-option"
EXIT_USAGE = 3
OF_THE_MACHINE = "there is no such interface on this host"


@functools.cache
def help_of(*command):
    return subprocess.run([os.path.join(BUILD, "reroute"), *command, "--help"], capture_output=True, text=True,
                          check=True).stdout


def names_in(text):
    """The names in a list of commands."""
    return re.findall(r"^  ([a-z][\w-]*)  ", text, re.M)


@functools.cache
def all_commands():
    """Each as a tuple of words."""
    return [words for name in names_in(help_of())
            for words in ([(name, study) for study in names_in(help_of(name))] if name in STUDIES else [(name,)])]


def options(text):
    return set(OPTION.findall(text))


def wrong_words(line):
    """What the program would not know of `reroute COMMAND ...`: the command, options of it, or their values."""
    _, *words = shlex.split(line)
    if words[0] == "help" or words[0] in STUDIES and len(words) == 1:
        return []
    command = tuple(words[:2] if words[0] in STUDIES else words[:1])
    if command not in all_commands():
        return [" ".join(command)]
    return sorted(options(" ".join(words[len(command):])) - options(help_of(*command))) or wrong_values(words)


@functools.cache
def complaint(*words):
    """What the program says of these words where they are wrong. It finds no other program."""
    done = subprocess.run([os.path.join(BUILD, "reroute"), *words], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, env={**os.environ, "PATH": "/nonexistent"})
    return done.stderr if done.returncode == EXIT_USAGE else ""


def wrong_values(words):
    """An option that it does not have stands at the end: it reads one after the other, and does nothing then. The study of
    failovers looks at its values later, and would then become a program of Python."""
    said = complaint(*words, NO_OPTION)
    if NO_OPTION in said or OF_THE_MACHINE in said:
        said = complaint(*words) if words[:2] == ["bench", "failover"] else ""
    return said.splitlines()[:1]


def shown(page):
    """What man prints, without bold and underlined."""
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=300", page], capture_output=True, text=True, check=True)
    return re.sub(r".\x08", "", done.stdout)


class ManualPage:
    """The examples of a page, as markdown.Page has what a document shows: its commands, configurations, lists of hosts."""

    def __init__(self, path):
        section = re.search(r"^EXAMPLES$(.*?)^(?=\S)", shown(path), re.M | re.S)
        paragraphs = [[line.strip() for line in text.splitlines() if line.strip()]
                      for text in re.split(r"\n[ \t]*\n", section[1] if section else "")]
        self.blocks = [[line] for lines in paragraphs for line in lines if line.startswith("reroute ")]
        self.blocks += [lines for lines in paragraphs if lines and re.match(r"service +=|\S+ +ssh=", lines[0])]
        self.code, self.spans = [line for block in self.blocks for line in block], []


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


def wrong_kernels(words):
    """Of `tools/kernels ...`: options that it does not have, tests that are not there."""
    words = shlex.split(words)
    tests = [test.split(" ")[0] for option, test in zip(words, words[1:]) if option == "--test"]
    return sorted({word for word in words if word.startswith("-")} - options(run_tool("kernels", "--help").stdout)
                  | set(tests) - all_tests())


def wrong_lab(words):
    return [] if re.search(rf"^  {words.split()[0]}\b", run_tool("lab", "--help").stdout, re.M) else [words]
