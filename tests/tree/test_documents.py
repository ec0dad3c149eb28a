#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The links of all documents lead to files and headings that are there, what they show of reroute, of tests and of
tools has words that these know, and the files, functions and cases of tests that they name exist. Each alert leads to a
command. The picture of measurements.md has the numbers of its table. README.zh.md says what README.md says: as far as a
test can know, the same headings in the same order, the same code and the same links."""
import collections
import functools
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap
from markdown import Page, anchor, without_comment
from told import ROOT, wrong_kernels, wrong_lab, wrong_tables, wrong_tests, wrong_words

# What is shown, and who knows what is wrong with it. What follows in a pipe is not looked at.
BEFORE = r"(?:\$ )?(?:sudo )?"
KNOWN = (
    (re.compile(BEFORE + r"(?:(?:build|/opt/reroute/bin)/)?(reroute [a-z].*)"), wrong_words),
    (re.compile(BEFORE + r"meson test -C \S+ (.+)"), wrong_tests),
    (re.compile(BEFORE + r"tools/bench-tables ([a-z].*)"), wrong_tables),
    (re.compile(BEFORE + r"tools/kernels (.+)"), wrong_kernels),
    (re.compile(BEFORE + r"tools/lab (.+)"), wrong_lab),
)
FILE = re.compile(r"(?<![\w/.-])(?:tools|tests|route|probe|session|bench)/[\w./*-]*[\w*]")
FOLDERS = ("probe", "session", "route", "tools", "bench")
FUNCTION = re.compile(r"\b([a-z]\w+)\(\)")
PLACED = re.compile(r"`(\w+)\(\)`\s+in\s+`([\w/]+\.c)`")
CASES = re.compile(r"`(tests/[\w/]+\.\w+)` \((\w+(?:, \w+)*)\)")
FIRST, SECOND = "README.md", "README.zh.md"


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return Page(f.read())


def lost_links(name, pages):
    """Links of a page that lead nowhere."""
    lost = []
    for link in pages[name].links:
        path, _, heading = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
        there = link.startswith(("http:", "https:")) or os.path.exists(os.path.join(ROOT, target))
        if there and heading and target in pages:
            there = heading in [anchor(title) for _, title in pages[target].headings]
        lost += [] if there else [link]
    return lost


def wrong_commands(page):
    """Lines with words that nobody knows."""
    wrong = []
    for line in page.code:
        command = re.split(r" [|<>&] ?", without_comment(line))[0]
        for pattern, ask in KNOWN:
            match = pattern.fullmatch(command)
            wrong += [f"{command}: {word}" for word in (ask(match[1]) if match else ())]
    return wrong


def lost_files(page):
    named = {name for code in page.code for name in FILE.findall(code)}
    return sorted(name for name in named if not glob.glob(name, root_dir=ROOT))


@functools.cache
def source(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def lost_functions(page):
    """Those that no source has, or not the one that stands beside it."""
    sources = [file for folder in FOLDERS for file in glob.glob(f"{folder}/**/*.[ch]", root_dir=ROOT, recursive=True)]
    named = {name for code in page.code for name in FUNCTION.findall(code)}
    placed = [(name, file) for name, file in PLACED.findall(page.text) if os.path.exists(os.path.join(ROOT, file))]
    return (sorted(name for name in named if not any(f"{name}(" in source(file) for file in sources))
            + [f"{name}() in {file}" for name, file in placed if not re.search(rf"^\w.*\b{name}\(", source(file), re.M)])


def lost_cases(page):
    """Tests that are named by their file and, in brackets, by scenario or case."""
    return [f"{file}: {case}" for file, cases in CASES.findall(page.text) for case in cases.split(", ")
            if not re.search(rf"\b{case}\b", source(file))]


def spans_and_links(page):
    """How often each code stands between the words, and each link."""
    links = [link for link in page.links if link not in (FIRST, SECOND) and not link.startswith("#")]
    return collections.Counter(page.spans), collections.Counter(links)


def differences(mine, other):
    return f"only in {FIRST}: {list(mine - other)}; only in {SECOND}: {list(other - mine)}"


def check_translation(tap, first, second):
    tap.ok([level for level, _ in first.headings] == [level for level, _ in second.headings],
           f"{SECOND} has the headings of {FIRST}", f"{first.headings}\n{second.headings}")
    blocks = [[[without_comment(line) for line in block] for block in page.blocks] for page in (first, second)]
    differ = [(mine, other) for mine, other in zip(*blocks) if mine != other]
    tap.ok(len(blocks[0]) == len(blocks[1]) and not differ, "... its blocks of code, but for their comments", differ)
    for what, mine, other in zip(("code between the words", "links"), spans_and_links(first), spans_and_links(second)):
        tap.ok(mine == other, f"... its {what}", differences(mine, other))


def check_alerts(tap):
    """Each leads to a command."""
    for alert in source("tools/monitoring/alerts.yml").split("- alert: ")[1:]:
        commands = re.findall(r"`([^`]+)`", alert)
        wrong = [word for command in commands if command.startswith("reroute ") for word in wrong_words(command)]
        tap.ok(commands and not wrong, f"what to do at the alert {alert.split()[0]}", wrong or "no command")


def check_picture(tap):
    """The numbers in the picture are those that gnuplot draws of the table."""
    what = "the picture of measurements.md is that of its table"
    if not shutil.which("gnuplot"):
        tap.skipped(what, "no gnuplot here: tools/setup --tests installs it")
        return
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(os.path.join(ROOT, "tools", "doc"), os.path.join(work, "tools", "doc"))
        subprocess.run(["gnuplot", "tools/doc/interruptions.gp"], cwd=work, check=True)
        texts = []
        for root in (ROOT, work):
            with open(os.path.join(root, "tools", "doc", "interruptions.svg"), encoding="utf-8") as f:
                texts.append(re.findall(r"<text>(?:<tspan[^>]*>)?([^<]*)<", f.read()))
    tap.ok(texts[0] == texts[1] and len(texts[0]) > 10, what, texts)


def main():
    names = sorted(glob.glob("*.md", root_dir=ROOT) + glob.glob("tools/doc/*.md", root_dir=ROOT))
    pages = {name: read(name) for name in names}
    tap = Tap()
    tap.ok(FIRST in pages and len(pages) >= 10, "the documents are found", names)
    for name in names:
        page = pages[name]
        for what, wrong in ((f"the links of {name} lead somewhere", lost_links(name, pages)),
                            ("... its commands have no word that is unknown", wrong_commands(page)),
                            ("... the files that it names exist", lost_files(page)),
                            ("... and the functions", lost_functions(page)), ("... and the cases of tests", lost_cases(page))):
            tap.ok(not wrong, what, "\n".join(wrong))
    check_alerts(tap)
    check_picture(tap)
    check_translation(tap, pages[FIRST], pages[SECOND])
    return tap.done()


sys.exit(main())
