#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No tracked file holds a path of the machine on which it was written: somebody's home, the place of the source
or of the build. Arguments: the build directory."""
import os
import re
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap, skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Top-level folders that exist on every machine: a path below them may be meant.
STANDARD = {"bin", "boot", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys",
            "tmp", "usr", "var"}
HOMES = re.compile(rb"(?<![\w.])/(?:home|Users)/[A-Za-z_][\w.-]*/")


def needles():
    """Texts that must not occur."""
    found = set()
    for path in (ROOT, *map(os.path.abspath, sys.argv[1:])):
        top = path.split("/")[1]
        found.add(f"/{top}/" if top not in STANDARD else path)
    return sorted(n.encode() for n in found if len(n) > 3)


def main():
    listed = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "-C", ROOT, "ls-files", "-z"], capture_output=True)
    if listed.returncode != 0:
        skip("not a git checkout (or no git): which files are tracked is not known")
    bad = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = os.path.join(ROOT, name)
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        with open(path, "rb") as f:
            for number, line in enumerate(f, 1):
                if HOMES.search(line) or any(re.search(rb"(?<![\w.$}])" + re.escape(n), line) for n in needles()):
                    bad.append(f"{name}:{number}: {line.strip()[:100].decode(errors='replace')}")
    tap = Tap()
    tap.ok(not bad, "no tracked file holds a path of this machine", "\n".join(bad))
    return tap.done()


sys.exit(main())
