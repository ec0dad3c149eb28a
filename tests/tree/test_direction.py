#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The direction of the tree: who may include whom, where main() may be, and where code may lie.

    probe/ <- nothing of ours            session/ <- FOR_SESSION
    route/ <- public headers of probe/ and session/; only route/agent/ both of them at once
    tools/, bench/, tests/ <- all

Within route/ each part is a folder, and none knows one that stands above it:

    line_file, log, own_file  <-  config   decide   fib  <-  journal, tune (of decide)   keeper (of fib)  <-  agent (all)

Nowhere do includes form a circle: neither units (a .c with the .h of its name) nor folders."""
import os
import re
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("probe", "session", "route", "tools", "bench", "tests")
# What a folder offers to route/. Anything else of its headers is its own.
PUBLIC = {
    "probe": {"base.h", "lacking.h", "probe.h", "quantity.h", "scope.h", "service_protocol.h", "spare_fds.h", "statistics.h", "stream.h", "sweep.h", "text.h", "thread.h", "wakeup.h"},
    "session": {"session.h", "liveness.h", "provider.h", "service_check.h"},
}
FOR_SESSION = ("probe/base.h", "probe/interface.h", "probe/service_protocol.h", "probe/thread.h", "probe/unguessable.h", "probe/wakeup.h")
# Parts of route/, and which others each may include.
PARTS = {
    "config": set(),
    "decide": set(),
    "fib": set(),
    "keeper": {"fib"},
    "journal": {"decide"},
    "tune": {"decide"},
    "agent": {"config", "decide", "fib", "journal", "keeper", "tune"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
MAIN = re.compile(r"^int\s+main\s*\(", re.M)


def sources():
    """Paths of all C files, relative to the root."""
    found = []
    for folder, below, files in os.walk(ROOT):
        below[:] = [d for d in below if not d.startswith((".", "build")) and
                    not (folder == ROOT and d == "subprojects")]
        found += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files if f.endswith((".c", ".h"))]
    return sorted(found)


def target(path, include):
    """The file that is meant, relative to the root, or None."""
    for base in ("", os.path.dirname(path)):
        candidate = os.path.normpath(os.path.join(base, include))
        if os.path.isfile(os.path.join(ROOT, candidate)):
            return candidate
    return None


def part_complaint(path, meant):
    """The same within route/."""
    mine, other = (name.split("/")[1] for name in (path, meant))
    if other in ("line_file.h", "log.h", "log_file.h", "own_file.h") or mine == other:
        return None
    if mine not in PARTS:
        return "what all parts of route/ use includes none of them"
    return None if other in PARTS[mine] else f"route/{mine}/ may include {sorted(PARTS[mine]) or 'no other part'}"


def complaint(path, include):
    """Why this include is against the direction, or None."""
    if include.startswith(".."):
        return "climbs out of its folder"
    meant = target(path, include)
    if meant is None:
        return "names no file of the tree"
    here, (there, _, header) = path.split("/")[0], meant.partition("/")
    if here == there == "route":
        return part_complaint(path, meant)
    if here == there or here in ("tools", "bench", "tests"):
        return None
    if here == "probe":
        return "probe/ includes nothing of ours"
    if here == "session" and meant not in FOR_SESSION:
        return f"session/ includes {', '.join(FOR_SESSION)} only"
    if here == "route" and header not in PUBLIC.get(there, ()):
        return f"no public header of probe/ or session/ (public: {PUBLIC})"
    return None


def circles(arrows):
    """Those of the arrows (from, to) that are part of a circle."""
    ahead = {}
    for here, there in arrows:
        if here != there:
            ahead.setdefault(here, set()).add(there)

    def reached(start):
        found, todo = set(), [start]
        while todo:
            new = ahead.get(todo.pop(), set()) - found
            found |= new
            todo += new
        return found

    reach = {name: reached(name) for name in ahead}
    return [f"{here} -> {there}" for here in sorted(ahead) for there in sorted(ahead[here])
            if here in reach.get(there, ())]


def check():
    files, includes, strays, mains, meetings, arrows = sources(), [], [], [], [], []
    for path in files:
        if path.split("/")[0] not in FOLDERS:
            strays.append(path)
            continue
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            text = f.read()
        found = INCLUDE.findall(text)
        includes += [f'{path} includes "{i}": {why}' for i in found if (why := complaint(path, i))]
        arrows += [(path, meant) for i in found if (meant := target(path, i))]
        if path.startswith(("probe/", "session/", "route/")) and MAIN.search(text):
            mains.append(path)
        met = {i.split("/")[0] for i in found if i != "probe/base.h"}
        if path.startswith("route/") and {"probe", "session"} <= met and not path.startswith("route/agent/"):
            meetings.append(path)
    units = circles(tuple(os.path.splitext(name)[0] for name in arrow) for arrow in arrows)
    folders = circles(tuple(os.path.dirname(name) for name in arrow) for arrow in arrows)
    return [
        (len(files) > 10, "the sources are found", [ROOT]),
        (not strays, "code lies in the known folders only", strays),
        (not includes, "every include goes in the allowed direction", includes),
        (not units, "no circle of units", units),
        (not folders, "no circle of folders", folders),
        (not mains, "main() is in tools/, bench/ or tests/", mains),
        (not meetings, "probe, session and route meet in route/agent/ only", meetings),
    ]


tap = Tap()
for good, what, details in check():
    tap.ok(good, what, "\n".join(details))
sys.exit(tap.done())
