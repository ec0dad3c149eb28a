#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: in whichever call to a host the connection breaks, and at whichever moment of it, the old version or
the new one runs there, whole; and the next run does the rest."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(HERE, "..", "..", "tools", "deploy")]
from deploying import as_before, install, of_all, results, snapshots, stage
from kinds import digest
from stage import TEMPLATE, eventually, missing, programs, skip
from tap import check, run, same, test

UPGRADE, CLEAR = 9, 5  # how many calls each has, with a program and a configuration that differ
ROUNDS = 2


def breaking(s, number, action, *arguments):
    """A run in which the connection to each host breaks; how often each host was called."""
    directory = s.path(f"{action}-{number}")
    os.mkdir(directory)
    s.ssh = f"{sys.executable} {HERE}/breaking {directory} {number} ssh"
    s.deploy(action, "--hosts", s.path("hosts"), *arguments)
    s.ssh = "ssh"
    return {name: os.path.getsize(os.path.join(directory, name)) for name in s.hosts}


class Version:
    """A program and a configuration, which differ from those of other versions."""

    def __init__(self, s, name):
        self.program, self.text = programs(s.path(name), name), f"# {name}\n"
        with open(self.program, "rb") as f:
            self.digest = digest(f.read())

    def arguments(self, s):
        return ["--config", s.template(TEMPLATE + self.text), "--binary", self.program]

    def bring(self, s, action):
        return s.deploy(action, "--hosts", s.list(), *self.arguments(s))

    def runs(self, host):
        """Program and configuration are there, and the agent runs with both."""
        program, config = host.place()
        pid = host.status().get("pid")
        said = host.inside(f"readlink /proc/{pid}/exe; sha256sum <{program}", check=False).split()
        return pid and said[:2] == [program, self.digest] and host.read(config).endswith(self.text)


@test
def an_upgrade():
    with stage({f"h{n}": "systemd" for n in range(1, UPGRADE + 1)}) as s:
        old, new = Version(s, "one"), Version(s, "two")
        same(old.bring(s, "install")[0], 0)
        for number in range(ROUNDS):
            calls = breaking(s, number, "upgrade", *new.arguments(s))
            check(all(count >= int(name[1:]) for name, count in calls.items()), "each was called so often", calls)
            for name, host in s.hosts.items():
                eventually(f"round {number}: {name} has a version that is whole", lambda host=host: old.runs(host) or new.runs(host))
            code, found = new.bring(s, "upgrade")
            same(code, 0, results(found))
            for name, host in s.hosts.items():
                eventually(f"round {number}: {name} has the new one", lambda host=host: new.runs(host))
                check("deploy-" not in host.snapshot(), name, "nothing is left beside", host.snapshot())
            same(results(new.bring(s, "check")[1]), of_all(s, "good"))
            old, new = new, old


@test
def a_removal():
    with stage({f"h{n}": "linux" for n in range(1, CLEAR + 1)}) as s:
        before = snapshots(s)
        for number in range(ROUNDS):
            same(install(s)[0], 0, "installed")
            there = snapshots(s)
            breaking(s, number, "clear")
            for name, host in s.hosts.items():
                def all_or_nothing(host=host, name=name):
                    now = host.snapshot()
                    return (now == there[name] and host.status()) or (now == before[name] and not host.status())
                eventually(f"round {number}: {name} has all or nothing", all_or_nothing)
            same(s.deploy("clear", "--hosts", s.path("hosts"))[0], 0)
            as_before(s, before, *s.hosts)


sys.exit(skip(missing()) if missing() else run())
