#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mandoc finds no fault in the manual pages, not even one of style, and each page of ours that another one refers to
is there. What pages of others this machine has says nothing of ours.

The pages have the options that `reroute COMMAND --help` tells, and their examples and what they quote have no other."""
import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap, skip
from told import ROOT, ManualPage, all_commands, help_of, options, shown, wrong_words

# As written by mdoc (.Xr reroute 8) and by man (\fBreroute\fR(8)).
OURS = re.compile(r"\.Xr (reroute[\w.-]*) (\d)|(reroute[\w.-]*)(?:\\fR)?\s?\((\d)\)")
OF_THE_MACHINE = "referenced manual not found: "
EVERYWHERE = {"-h", "--help"}


def faults(page):
    """The lines of mandoc, without those about the machine."""
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "style", page], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if OF_THE_MACHINE not in line]


def lost_references(text, names):
    text = text.replace("\\-", "-")
    wanted = {f"{m[0] or m[2]}.{m[1] or m[3]}" for m in OURS.findall(text)}
    return sorted(wanted - names)


def told_by(command):
    """The options that the help of a command has a line for."""
    lines = re.findall(r"^ +(-.*?)(?:   ?|$)", help_of(*command), re.M)
    return options("\n".join(lines))


def page_of(name, texts):
    """The page that describes a command."""
    own = f"reroute-{name}.8"
    return own if own in texts else "reroute.8" if re.search(rf"^ +{name}\b", texts["reroute.8"], re.M) else None


def check_options(tap, pages):
    texts = {os.path.basename(page): shown(page) for page in pages}
    for command in all_commands():
        page = page_of(command[0], texts)
        if page:
            missing = told_by(command) - options(texts[page]) - EVERYWHERE
            tap.ok(not missing, f"{page} has the options of {' '.join(command)}", ", ".join(sorted(missing)))
        else:
            tap.skipped(f"the options of {command[0]}", "no page has it yet")
    for page in pages:
        name = os.path.basename(page)
        quoted = re.findall(r"[‘“](reroute [a-z][^’”]*)[’”]", texts[name])
        for example in [*filter(re.compile("reroute ").match, ManualPage(page).code), *dict.fromkeys(quoted)]:
            wrong = wrong_words(re.split(r" [|<>] ", example)[0])
            tap.ok(not wrong, f"{name}, example: {example}", ", ".join(wrong))


def main():
    if not shutil.which("mandoc"):
        skip("no mandoc here: tools/setup --tests installs it")
    pages = sorted(glob.glob(os.path.join(ROOT, "tools", "man", "*.[1-9]")))
    names = {os.path.basename(page) for page in pages}
    tap = Tap()
    tap.ok(len(pages) >= 7, "the pages are found", names)
    for page in pages:
        found = faults(page)
        tap.ok(not found, f"mandoc finds no fault in {os.path.basename(page)}", "\n".join(found))
        with open(page, encoding="utf-8") as f:
            lost = lost_references(f.read(), names)
        tap.ok(not lost, "... and each page of ours that it refers to is there", ", ".join(lost))
    check_options(tap, pages)
    return tap.done()


sys.exit(main())
