#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mandoc finds no fault in the manual pages, not even one of style, and each page of ours that another one refers to
is there. What pages of others this machine has says nothing of ours."""
import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap, skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# As written by mdoc (.Xr reroute 8) and by man (\fBreroute\fR(8)).
OURS = re.compile(r"\.Xr (reroute[\w.-]*) (\d)|(reroute[\w.-]*)(?:\\fR)?\s?\((\d)\)")
OF_THE_MACHINE = "referenced manual not found: "


def faults(page):
    """The lines of mandoc, without those about the machine."""
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "style", page], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if OF_THE_MACHINE not in line]


def lost_references(text, names):
    text = text.replace("\\-", "-")
    wanted = {f"{m[0] or m[2]}.{m[1] or m[3]}" for m in OURS.findall(text)}
    return sorted(wanted - names)


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
    return tap.done()


sys.exit(main())
