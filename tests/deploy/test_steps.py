#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: in whichever call to a host the connection breaks, and at whichever moment of it, the old version or
the new one runs there, whole, and what is said of the host is so; and the next run does the rest."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(HERE, "..", "..", "tools", "deploy")]
from deploying import as_before, install, of_all, results, snapshots, stage
from kinds import digest
from stage import TEMPLATE, eventually, missing, programs, skip
from tap import check, run, same, test

# The moments of `breaking`, and how the connection is after each.
LATER = ("gone", "once", "once", "gone")
# How many calls each has, with a program and a configuration that differ; which of them change something; the one that
# changes what runs. After that one come host_forget and a look.
UPGRADE, UPGRADE_CHANGES, COMMIT = 9, (3, 4, 7), 7
CLEAR, CLEAR_CHANGES, REMOVE = 5, (3,), 3

CUT = "the connection ended in the middle (ssh does not say why)"
AS_IT_WAS = f"{CUT}; the host is as it was"
# What is said when the call breaks that changes what runs, and whether it has changed then. None: all went well.
IN_THE_CHANGE = ((f"{CUT}; what came of it is not known: see reroute deploy check", False), (f"{CUT}; nothing was changed", False),
                 (None, True), (f"{CUT}; what came of it is not known: see reroute deploy check", True))


def breaks(calls, changes):
    """The hosts, (call, moment) of each by its name: all moments of a call that changes something, one of another call."""
    return {f"h{call}-{moment}": (call, moment) for call in range(1, calls + 1) for moment in range(len(LATER))
            if call in changes or moment == call % len(LATER)}


def expected(call, moment, change, copies):
    """(reason, whether the host is changed): what is to be said, and to be so."""
    if call == change:
        return IN_THE_CHANGE[moment]
    if call == change + 1 and LATER[moment] == "once":
        return None, True
    if copies and call in range(3, change):
        return AS_IT_WAS + (", but for files *.deploy-new, which nothing uses" if LATER[moment] == "gone" else ""), False
    return CUT, call > change


def breaking(s, hosts, action, *arguments):
    """A run in which the connection to each host breaks; what it says of each."""
    directory = s.path("calls")
    os.mkdir(directory)
    s.ssh = f"{sys.executable} {HERE}/breaking {directory} ssh"
    code, found = s.deploy(action, "--hosts", s.path("hosts"), *arguments)
    s.ssh = "ssh"
    same(code, 1)
    for name, (call, _) in hosts.items():
        count = os.path.getsize(os.path.join(directory, name))
        check(count >= call, name, "was called too seldom to break", count)
    return found


def is_said(name, result, reason, good):
    same((result["result"], result["reason"]), ("failed" if reason else good, reason), name)


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


def left_beside(host):
    """The files that a change needs, and nothing else."""
    return host.inside("find /usr/local /etc -name '*.deploy-*'")


@test
def an_upgrade():
    hosts = breaks(UPGRADE, UPGRADE_CHANGES)
    with stage({name: "systemd" for name in hosts}) as s:
        old, new = Version(s, "one"), Version(s, "two")
        same(old.bring(s, "install")[0], 0)
        found = breaking(s, hosts, "upgrade", *new.arguments(s))
        for name, (call, moment) in hosts.items():
            reason, changed = expected(call, moment, COMMIT, copies=True)
            is_said(name, found[name], reason, "upgraded")
            version, host = new if changed else old, s.hosts[name]
            eventually(f"{name} has the {'new' if changed else 'old'} version, whole", lambda: version.runs(host))
            if LATER[moment] == "once":
                same(left_beside(host), "", name)
        code, found = new.bring(s, "upgrade")
        same(code, 0, results(found))
        for name, host in s.hosts.items():
            eventually(f"{name} has the new one", lambda host=host: new.runs(host))
            same(left_beside(host), "", name)
        same(results(new.bring(s, "check")[1]), of_all(s, "good"))


@test
def a_removal():
    hosts = breaks(CLEAR, CLEAR_CHANGES)
    with stage({name: "linux" for name in hosts}) as s:
        before = snapshots(s)
        same(install(s)[0], 0, "installed")
        there = snapshots(s)
        found = breaking(s, hosts, "clear")
        for name, (call, moment) in hosts.items():
            reason, changed = expected(call, moment, REMOVE, copies=False)
            is_said(name, found[name], reason, "cleared")
            as_before(s, before if changed else there, name)
            check(bool(s.hosts[name].status()) != changed, name, "an agent runs" if changed else "no agent runs")
        same(s.deploy("clear", "--hosts", s.path("hosts"))[0], 0)
        as_before(s, before, *s.hosts)


sys.exit(skip(missing()) if missing() else run())
