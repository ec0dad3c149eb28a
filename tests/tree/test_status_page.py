#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every member of the status document, every word of a decision and every metric that the sources can produce
stands in the manual page reroute-status(5)."""
import os
import re
import sys

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
    failed = False
    for number, (kind, names) in enumerate(wanted.items(), 1):
        missing = sorted(set(names) - page)
        bad = bool(missing) or len(names) < 10
        failed |= bad
        print(f"{'not ok' if bad else 'ok'} {number} - reroute-status(5) has all {len(set(names))} {kind}"
              + (f", but {', '.join(missing)}" if missing else ""))
    print(f"1..{len(wanted)}")
    return failed


sys.exit(main())
