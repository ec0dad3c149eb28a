#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: whenever a connection ends, by whatever, a host of `reroute deploy` is either as it was or as it is
to be, and what came of it is told."""
import contextlib
import os
import signal
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from deploying import as_before, fails, install, of_all, results, snapshots, stage
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "deploy"))
from kinds import digest, kind_of
from remote import FUNCTIONS, call_text
from stage import SERVICE, TEMPLATE, eventually, missing, programs, skip
from tap import check, run, same, test


def end_sessions_when(s, process, name, condition):
    """Ends the connections of a host in the middle of the work."""
    eventually("in the middle", lambda: process.poll() is not None or condition(s.hosts[name]))
    same(process.poll(), None, "still at work")
    s.hosts[name].end_sessions()


@test
def a_connection_that_ends_while_files_are_copied():
    with stage({"web1": "systemd", "old1": "linux"}) as s:
        before = snapshots(s)
        process = s.start("install", "--hosts", s.list(), "--config", s.template(), "--binary",
                          programs(s.path("program"), size_bytes=150 << 20))
        for name in s.hosts:
            end_sessions_when(s, process, name, lambda host: host.exists("/usr/local/bin/reroute.deploy-new"))
        code, found = s.end(process)
        same(code, 1)
        for name in s.hosts:
            fails(found, name, "the connection ended in the middle (", "; the host is as it was")
        eventually("nothing of it is left", lambda: snapshots(s) == before)


@test
def a_connection_that_ends_while_the_host_changes():
    """The host finishes by itself, for better or worse, and is asked what came of it."""
    with stage({"web1": "systemd"}) as s:
        host = s.hosts["web1"]
        before = snapshots(s)
        for text, word in (("", "installed"), ("", "cleared"), (TEMPLATE.replace(SERVICE, host.address), "failed")):
            host.inside("mkdir -p /run/stand-in; touch /run/stand-in/hold-restart /run/stand-in/hold-stop")
            arguments = ["--hosts", s.list(), "--wait", "5"]
            if word == "cleared":
                process = s.start("clear", *arguments)
            else:
                process = s.start("install", *arguments, "--config", s.template(text or TEMPLATE), "--binary",
                                  programs(s.path("program")))
            end_sessions_when(s, process, "web1", lambda h: h.exists("/run/stand-in/waits"))
            host.inside("rm /run/stand-in/hold-*")
            code, found = s.end(process)
            same((code, found["web1"]["result"]), (word == "failed", word), found)
            if word != "installed":
                as_before(s, before, "web1")
            if word == "failed":
                check("the host finished by itself: the agent does not come up" in found["web1"]["reason"], found)


@test
def a_cable_that_is_cut_while_files_are_copied():
    """ssh notices by itself. What was copied of a file stays beside, and the next run takes it away."""
    with stage({"web1": "systemd"}) as s:
        before = snapshots(s)
        host, big = s.hosts["web1"], programs(s.path("program"), size_bytes=150 << 20)
        process = s.start("install", "--hosts", s.list(), "--config", s.template(), "--binary", big)
        eventually("in the middle", lambda: host.exists("/usr/local/bin/reroute.deploy-new"))
        s.cut(host)
        _, found = s.end(process)
        fails(found, "web1", "the connection ended in the middle (", "; the host is as it was, but for files *.deploy-new, "
              "which nothing uses")
        s.cut(host, down=False)
        same(results(install(s)[1]), of_all(s, "installed"))
        check("deploy-new" not in host.snapshot(), host.snapshot())
        s.deploy("clear", "--hosts", s.list())
        as_before(s, before, "web1")


@test
def two_at_once():
    with stage({"web1": "systemd"}) as s:
        host = s.hosts["web1"]
        host.inside("mkdir -p /run/stand-in; touch /run/stand-in/hold-restart")
        first = s.start("install", "--hosts", s.list(), "--config", s.template(), "--binary", programs(s.path("program")))
        eventually("in the middle", lambda: host.exists("/run/stand-in/waits"))
        fails(s.deploy("clear", "--hosts", s.path("hosts"))[1], "web1", "another deploy is at work on this host (process ")
        host.inside("rm /run/stand-in/hold-restart")
        same(results(s.end(first)[1]), of_all(s, "installed"))


@test
def files_that_another_deploy_copied():
    """What was verified is no longer what is there: put back, and the program runs all the time."""
    with stage({"web1": "systemd"}) as s:
        host = s.hosts["web1"]
        same(results(install(s)[1]), of_all(s, "installed"))
        before, kind = snapshots(s), kind_of("systemd", None)
        host.write(f"{kind.binary}.deploy-new", "half of a program")
        # What a change that was cut off left, of a file that there is none of now.
        host.write(f"{kind.config}.more.deploy-old", "old")
        host.write(f"{kind.config}.more.deploy-new", "new")
        said = host.inside(FUNCTIONS + call_text("host_commit", ["token", *kind[:1], *kind[2:6], 5, digest(b"a program"),
                                                                 kind.binary, f"{kind.config}.more"]), check=False)
        check("failed=another deploy copied other files there; the old one is put back and answers\n" in said, said)
        as_before(s, before, "web1")


@test
def a_turn():
    """One at a time, and what was copied by who changes the host is not for others to remove."""
    with stage({"web1": "systemd"}) as s:
        host = s.hosts["web1"]
        host.inside(FUNCTIONS + "mkdir -p $turns; sleep 100 </dev/null >/dev/null 2>&1 & ln -s $(process_name $!) $turns/7")
        host.write("/etc/x.deploy-new", "of the other")
        abandon = FUNCTIONS + call_text("host_abandon", ["made", "staged", "/etc/x.deploy-new"])
        said = host.inside(FUNCTIONS + call_text("host_clear", ["token", "systemd", "/a/b", "/a/c", "/a/d", "/a/e", "no"]),
                           check=False)
        check(said.startswith("failed=another deploy is at work on this host (process "), said)
        host.inside(abandon)
        check(host.exists("/etc/x.deploy-new"), "it stays while another deploy is at work")
        host.inside("name=$(readlink /run/reroute-deploy/7); kill ${name%:*}")
        host.inside(abandon)
        check(not host.exists("/etc/x.deploy-new"), "it goes")


@test
def what_came_of_it():
    """Is told to who asks later, when another deploy has had its turn already."""
    with stage({"web1": "systemd"}) as s:
        host = s.hosts["web1"]
        for token in ("first", "second"):
            host.inside(FUNCTIONS + call_text("host_clear_routes", [token]))
        for token, answer in (("first", "done=\n"), ("second", "done=\n"), ("third", "failed=nothing was changed\n"),
                              ("third", "failed=nothing was changed\n")):
            same(host.inside(FUNCTIONS + call_text("host_outcome", [token]), check=False), answer, token)
        host.inside(FUNCTIONS + "beside_the_connection fourth fail no room")
        same(host.inside(FUNCTIONS + call_text("host_outcome", ["fourth"]), check=False),
             "failed=the host finished by itself: no room\n", "only one that has begun has finished")
        late = host.inside(FUNCTIONS + call_text("host_clear_routes", ["third"]), check=False)
        same(late, "failed=it comes too late: it was given up\n", "a call that arrives when it is not waited for any more")


def connections(s):
    """The ssh processes at the desk."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}/ns/net").st_ino == os.fstat(s.desk).st_ino:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                    found += [pid] if f.read() == "ssh\n" else []
    return found


def none_is_left(s):
    """Soon: those that nobody ends go by themselves after 60 s (ControlPersist)."""
    eventually("no connection is left", lambda: not connections(s), 20)


@test
def no_connection_is_left():
    """Whether it came to its end, was interrupted, or a host held a connection open."""
    with stage({"web1": "systemd", "old1": "linux"}) as s:
        same(results(install(s)[1]), of_all(s, "installed"))
        none_is_left(s)
        s.hosts["web1"].write("/etc/ssh/sshrc", "sleep 1000 &\n")
        s.hosts["old1"].write("/etc/ssh/sshrc", "sleep 1000\n")
        process = s.start("check", "--hosts", s.path("hosts"))
        eventually("both are asked", lambda: all("sleep" in host.inside("cat /proc/[0-9]*/comm", check=False)
                                                 for host in s.hosts.values()))
        process.send_signal(signal.SIGTERM)
        same(s.end(process)[0], 130)
        none_is_left(s)


@test
def an_interruption():
    """Ctrl-C ends it at once; what a host has begun it finishes."""
    with stage({"web1": "systemd"}) as s:
        host = s.hosts["web1"]
        host.inside("mkdir -p /run/stand-in; touch /run/stand-in/hold-restart")
        process = s.start("install", "--hosts", s.list(), "--config", s.template(), "--binary", programs(s.path("program")))
        eventually("in the middle", lambda: host.exists("/run/stand-in/waits"))
        process.send_signal(signal.SIGINT)
        code, found = s.end(process)
        same(code, 130)
        fails(found, "web1", "interrupted; the host finishes by itself: ")
        host.inside("rm /run/stand-in/hold-restart")
        eventually("it has finished", lambda: host.status() and not host.exists("/usr/local/bin/reroute.deploy-old"))
        same(results(install(s, program=s.path("program"))[1]), of_all(s, "unchanged"))


sys.exit(skip(missing()) if missing() else run())
