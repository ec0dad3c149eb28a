#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: `reroute deploy` installs, checks, upgrades and clears hosts over real ssh; a host that fails is
told apart, with its reason, and is left as it was."""
import contextlib
import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from stage import Stage, eventually, missing, programs, skip, SERVICE, TEMPLATE
from tap import check, run, same, test

KINDS = {"web1": "systemd", "web2": "systemd", "old1": "linux"}


@contextlib.contextmanager
def stage(kinds=None):
    made = Stage(kinds or KINDS)
    try:
        yield made
    finally:
        made.close()


def install(s, *arguments, program=None, action="install"):
    return s.deploy(action, "--hosts", s.list(), "--config", s.template(), "--binary",
                    program or programs(s.path("program")), *arguments)


class Results(dict):
    """What became of each host; a failed comparison shows the reasons."""

    def __repr__(self):
        return str({name: (r["result"], r["reason"], r["differences"]) for name, r in self.found.items()})


def results(found):
    made = Results({name: result["result"] for name, result in found.items()})
    made.found = found
    return made


def of_all(s, word):
    return {name: word for name in s.hosts}


@test
def from_nothing_to_nothing():
    """install, check, again, clear."""
    with stage() as s:
        before = {name: host.snapshot() for name, host in s.hosts.items()}
        code, found = install(s, action="check")
        same((code, results(found)), (1, of_all(s, "differs")), "check before")
        same({name: r["differences"] for name, r in found.items()}, of_all(s, ["it is not installed"]))
        code, found = install(s, "--dry-run")
        same((code, results(found)), (0, of_all(s, "planned")), "dry run")
        check(all(len(r["steps"]) >= 8 for r in found.values()), "steps", found)
        same({name: host.snapshot() for name, host in s.hosts.items()}, before, "a dry run changes nothing")

        code, found = install(s)
        same((code, results(found)), (0, of_all(s, "installed")), "install")
        for host in s.hosts.values():
            eventually("its route", host.route)
            same(host.route(), [f"10.77.16.12{1 + host.number % 2}"], f"{host.name} enters through its own access")
            check("deploy-" not in host.snapshot(), "nothing is left beside", host.snapshot())
        code, found = install(s, action="check")
        same((code, results(found)), (0, of_all(s, "good")), "check after")
        pids = {name: r["pid"] for name, r in found.items()}
        code, found = install(s)
        same((code, results(found)), (0, of_all(s, "unchanged")), "again")
        same({name: r["pid"] for name, r in found.items()}, pids, "nothing is restarted")

        routes = {name: host.route() for name, host in s.hosts.items()}
        code, found = s.deploy("clear", "--hosts", s.path("hosts"))
        same((code, results(found)), (0, of_all(s, "cleared")), "clear")
        same({name: host.route() for name, host in s.hosts.items()}, routes, "the route stays")
        same({name: host.snapshot() for name, host in s.hosts.items()}, before, "all is as before")
        check(not any(host.status() for host in s.hosts.values()), "no agent runs")
        same(results(s.deploy("clear", "--hosts", s.path("hosts"))[1]), of_all(s, "nothing there"))


sys.exit(skip(missing()) if missing() else run())
