#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every member of the status document, every word of a decision and every metric that the sources can produce
stands in the manual page reroute-status(5), and every metric of a report in reroute-report(8). What the program is
told that is run at every change stands in reroute-agent(8), and which keys a reload refuses to change. The page
tools/doc/troubleshooting.md has the events of the agent's log: all of them, and no other; and the reasons of
`reroute deploy`."""
import glob
import os
import re
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MEMBER = re.compile(r'(?:cJSON_Add\w+ToObject|add_text|add_terms)\(\w+,\s*"(\w+)"')
WORD = re.compile(r'\[(?:KEEP|SWITCH)_\w+\] = \{"([\w-]+)"')
NEWS = re.compile(r'\[NEWS_\w+\] = "([\w-]+)"')
METRIC = re.compile(r'add_(?:head|(?:path_|access_)?metric)\((?:agent, )?out, "(\w+)"')
REPORT_METRIC = re.compile(r'"(reroute_report_\w+)"')

# The name is the second argument: a string, or one of two.
EVENT = re.compile(r'\b(?:log_event|print_line)\([^"{;]*?((?:\w+ \? "[\w-]+" : )?"[\w-]+"),')
ROW = re.compile(r"^\| (`[^|]*`) \|", re.M)


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def sources(*patterns):
    return "".join(read(name) for pattern in patterns for name in sorted(glob.glob(pattern, root_dir=ROOT)))


def check_events(tap):
    code = set(re.findall(r'"([\w-]+)"', " ".join(EVENT.findall(sources("route/*.c", "route/*/*.c", "session/*.c")))))
    page = set(re.findall(r"`([\w-]+)`", " ".join(ROW.findall(read("tools/doc/troubleshooting.md")))))
    tap.ok(code == page and len(code) >= 50, f"troubleshooting.md has all {len(code)} events and no other",
           f"not in the page: {sorted(code - page)}; not in the code: {sorted(page - code)}")


def check_reasons(tap):
    """Of `reroute deploy`: what the page explains is said, and what ssh and the machinery of it say is explained."""
    code = re.sub(r'"\s+f?"', "", sources("tools/deploy/*.py", "tools/deploy/*.sh"))
    section = read("tools/doc/troubleshooting.md").partition("\n## reroute deploy\n")[2]
    page = re.findall(r'"([^"]+)"', " ".join(re.findall(r"^- \*\*(.*?)\*\*", section, re.M | re.S)))
    page = [" ".join(reason.split()) for reason in page]
    remote = read("tools/deploy/remote.py")
    said = [reason for table in re.findall(r"^\w+_SAYS = \((.*?)\)\n\n", remote, re.M | re.S)
            for reason in re.findall(r'", "([\w ]+)', table)]
    said += re.findall(r'Trouble\(f?"(?:\{program\} )?([\w ]+)', remote) + re.findall(r'"(another deploy [\w ]+)', code)
    said = set(said + re.findall(r'f"(an error [\w ]+)', code))
    unsaid = [reason for reason in page if any(part.strip() not in code for part in reason.split("..."))]
    untold = [reason for reason in said if not any(reason.strip() in one for one in page)]
    tap.ok(not unsaid and not untold and len(said) >= 15, f"troubleshooting.md has {len(said)} reasons of reroute deploy",
           f"not in the page: {sorted(untold)}; not in the code: {unsaid}")


def check_reload(tap):
    said = re.search(r"^static const char \*needs_restart\(.*?^}", read("route/agent/reload.c"), re.M | re.S)[0]
    code = set(re.findall(r"[a-z][a-z-]+", " ".join(re.findall(r'return "(.*)"', said)))) - {"route", "or"}
    told = re.search(r"^Only a restart changes$.*?^a file that changes", read("tools/man/reroute-agent.8"), re.M | re.S)[0]
    page = set(re.findall(r"[a-z][a-z-]+", " ".join(re.findall(r"^\.Ic (.*)", told, re.M)))) - {"route"}
    tap.ok(code == page and len(code) >= 10, "reroute-agent.8 has the keys that only a restart changes, and no other",
           f"not in the page: {sorted(code - page)}; not in the code: {sorted(page - code)}")


def main():
    metrics, notice = read("route/agent/metrics.c"), read("route/agent/notice.c")
    report = "".join(read(name) for name in sorted(glob.glob("tools/report/*.c", root_dir=ROOT)))
    wanted = [
        ("reroute-status.5", "members", MEMBER.findall(read("route/agent/status.c"))),
        ("reroute-status.5", "words", WORD.findall(read("route/decide/selector_text.c"))),
        ("reroute-status.5", "metrics", ["reroute_" + name for name in METRIC.findall(metrics)]),
        ("reroute-agent.8", "members and events of a notice", MEMBER.findall(notice) + NEWS.findall(notice)),
        ("reroute-report.8", "metrics", REPORT_METRIC.findall(report)),
    ]
    tap = Tap()
    for page, kind, names in wanted:
        missing = sorted(set(names) - set(re.findall(r"[\w-]+", read(f"tools/man/{page}"))))
        tap.ok(not missing and len(names) >= 10, f"{page} has all {len(set(names))} {kind}",
               f"but {', '.join(missing)}")
    check_events(tap)
    check_reasons(tap)
    check_reload(tap)
    return tap.done()


sys.exit(main())
