#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every member of the status document, every word of a decision and every metric that the sources can produce
stands in the manual page reroute-status(5)."""
import os
import re
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MEMBER = re.compile(r'(?:cJSON_Add\w+ToObject|add_text)\(\w+,\s*"(\w+)"')
WORD = re.compile(r'\[(?:KEEP|SWITCH)_\w+\] = \{"([\w-]+)"')
METRIC = re.compile(r'add_metric\(\w+, "(\w+)"')
PATH_METRIC = re.compile(r'add_path_metric\(agent, \w+, "(\w+)"')


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def main():
    page = set(re.findall(r"[\w-]+", read("tools/man/reroute-status.5")))
    control = read("route/control.c")
    wanted = {
        "members": MEMBER.findall(read("route/agent_status.c")),
        "words": WORD.findall(read("route/selector_text.c")),
        "metrics": ["reroute_" + name for name in METRIC.findall(control)] +
                   ["reroute_path_" + name for name in PATH_METRIC.findall(control)],
    }
    tap = Tap()
    for kind, names in wanted.items():
        missing = sorted(set(names) - page)
        tap.ok(not missing and len(names) >= 10, f"reroute-status(5) has all {len(set(names))} {kind}",
               f"but {', '.join(missing)}")
    return tap.done()


sys.exit(main())
