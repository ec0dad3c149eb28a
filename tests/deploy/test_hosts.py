#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: `reroute deploy` installs, checks, upgrades and clears hosts over real ssh; a host that fails is
told apart, with its reason, and is left as it was."""
import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from deploying import as_before, fails, install, of_all, results, snapshots, stage
from stage import SERVICE, TEMPLATE, eventually, missing, programs, skip

from tap import check, run, same, test
from netlab.namespace import execute

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


# --- failures: the reason is told, the host is as it was ---------------------------------------------------------

@test
def no_way_to_get_in():
    """Each fails in its way; the host beside them is done."""
    with stage({"web1": "systemd", "deaf1": "linux", "key1": "linux", "moved1": "linux", "new1": "linux"}) as s:
        before = snapshots(s)
        s.configure(key={"key1": "stranger"}, known={"moved1": "other", "new1": ""}, port={"deaf1": 23})
        code, found = install(s)
        same((code, found["web1"]["result"]), (1, "installed"), found)
        fails(found, "deaf1", "no ssh there (")
        fails(found, "key1", "the host does not accept the key (")
        fails(found, "moved1", "the host key has changed: ")
        fails(found, "new1", "the host key is not known: ")
        as_before(s, before, "deaf1", "key1", "moved1", "new1")


@test
def no_room():
    with stage({"full1": "systemd", "fixed1": "systemd", "etc1": "systemd"}) as s:
        full, fixed, etc = s.hosts.values()
        full.run("mount", "-o", "remount,size=256k", "/usr/local")
        fixed.run("mount", "-o", "remount,ro", "/usr/local")
        etc.run("/bin/sh", "-c", "mkdir /etc/reroute && mount -t tmpfs -o ro tmpfs /etc/reroute")
        before = snapshots(s)
        _, found = install(s, program=programs(s.path("program"), size_bytes=1 << 20))
        fails(found, "full1", "the disk is full (", "; the host is as it was")
        fails(found, "fixed1", "the disk is read-only (", "; the host is as it was")
        fails(found, "etc1", "the disk is read-only (", "; the host is as it was")
        as_before(s, before, *s.hosts)


def bad_program(s, name, text):
    with open(s.path(name), "w", encoding="ascii") as f:
        f.write(text)
    return s.path(name)


@test
def a_program_that_does_not_run_there():
    with stage({"web1": "systemd", "old1": "linux"}) as s:
        before = snapshots(s)
        for text, why in (("#!/nonexistent\n", "the program does not run there: "),
                          ("#!/bin/sh\necho no libevent.so >&2; exit 127\n", "the program does not run there: no libevent"),
                          ("#!/bin/sh\n[ $1 = --version ] || { echo no >&2; exit 3; }\n", "check-config there: no")):
            _, found = install(s, program=bad_program(s, "bad", text))
            for name in s.hosts:
                fails(found, name, why, "; the host is as it was")
            as_before(s, before, *s.hosts)


@test
def an_agent_that_does_not_come_up():
    """Of a first installation nothing stays; of an upgrade the old one is put back, and runs."""
    with stage({"web1": "systemd", "old1": "linux"}) as s:
        before = snapshots(s)
        # An agent refuses to start where the service is an address of the host itself.
        own = TEMPLATE.replace(SERVICE, "@own@")
        bad = ["--hosts", s.list(name="bad", **{n: f"own={h.address}" for n, h in s.hosts.items()}), "--config",
               s.template(own, "bad.conf"), "--wait", "4"]
        code, found = s.deploy("install", *bad, "--binary", programs(s.path("program")))
        same(code, 1)
        for name in s.hosts:
            fails(found, name, "the agent does not come up: ", "; put back, nothing runs, as before")
        as_before(s, before, *s.hosts)
        same(results(install(s)[1]), of_all(s, "installed"))
        before, routes = snapshots(s), {name: host.route() for name, host in s.hosts.items()}
        code, found = s.deploy("upgrade", *bad, "--binary", programs(s.path("program"), "2"))
        for name, host in s.hosts.items():
            fails(found, name, "the agent does not come up: ", "; the old one is put back and answers")
            check(host.status(), "it answers")
        as_before(s, before, *s.hosts)
        same({name: host.route() for name, host in s.hosts.items()}, routes, "the route stands")


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
                          programs(s.path("program"), size_bytes=300 << 20))
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
        host, big = s.hosts["web1"], programs(s.path("program"), size_bytes=300 << 20)
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


# --- upgrades ------------------------------------------------------------------------------------------------------

def routes(s):
    return {name: host.route() for name, host in s.hosts.items()}


@test
def an_upgrade_loses_no_echo():
    """The agent is replaced while traffic flows: its route is left, and adopted."""
    with stage() as s:
        fails(install(s, action="upgrade")[1], "web1", "it is not installed there; expected an install first")
        install(s)
        for host in s.hosts.values():
            eventually("its route", host.route)
        stood = routes(s)
        meters = {name: s.meter(host) for name, host in s.hosts.items()}
        for meter in meters.values():
            eventually("traffic", meter.answered(200))
        code, found = install(s, action="upgrade", program=programs(s.path("program"), "2"))
        same((code, results(found)), (0, of_all(s, "upgraded")))
        for name, meter in meters.items():
            eventually("traffic goes on", meter.answered(200))
            summary = meter.finish()
            same((meter.interruptions("icmp"), summary["icmp"]["errors"]), ([], 0), f"{name}: {summary}")
        same(routes(s), stood, "the routes stand")
        same(results(install(s, action="check", program=s.path("program"))[1]), of_all(s, "good"))


@test
def only_what_differs():
    with stage() as s:
        _, before = install(s)
        code, found = s.deploy("upgrade", "--hosts", s.path("hosts"), "--host", "web2", "--config",
                               s.template(TEMPLATE + "# more\n"), "--binary", s.path("program"))
        same((code, results(found)), (0, {"web2": "upgraded"}))
        steps = [step for step in found["web2"]["steps"] if step.startswith("copy")]
        check(len(steps) == 1 and steps[0].startswith("copy the configuration"), steps)
        code, found = s.deploy("check", "--hosts", s.path("hosts"), "--config", s.path("template.conf"), "--binary",
                               s.path("program"))
        same((code, {n: r["differences"] for n, r in found.items()}),
             (1, {"web1": ["the configuration differs"], "web2": [], "old1": ["the configuration differs"]}))
        same({n: found[n]["pid"] for n in ("web1", "old1")}, {n: before[n]["pid"] for n in ("web1", "old1")})


@test
def what_check_finds():
    with stage() as s:
        install(s)
        for host in s.hosts.values():
            eventually("its route", host.route)
        s.hosts["web1"].inside("systemctl stop reroute; rm /etc/reroute/reroute.conf")
        s.hosts["web2"].inside("systemctl disable reroute")
        s.hosts["old1"].inside("/etc/init.d/reroute disable; echo '# x' >>/etc/init.d/reroute")
        code, found = install(s, action="check", program=s.path("program"))
        same((code, {n: r["differences"] for n, r in found.items()}), (1, {
            "web1": ["the configuration is not there", "the service is inactive",
                     "the agent does not answer, the service is inactive"],
            "web2": ["it does not survive a reboot: the unit is disabled"],
            "old1": ["the service differs", "it does not survive a reboot: no link of init starts it"]}))
        code, found = install(s, action="upgrade", program=s.path("program"))
        same((code, results(found)), (0, of_all(s, "upgraded")))
        same(results(install(s, action="check", program=s.path("program"))[1]), of_all(s, "good"))


@test
def rolling():
    """One after the other; from a host that failed, or that is done and not well, none goes on."""
    with stage() as s:
        same(results(install(s, "--rolling", "1")[1]), of_all(s, "installed"))
        for host in s.hosts.values():
            eventually("its route", host.route)
        second = programs(s.path("second"), "2")
        s.hosts["web2"].run("mount", "-o", "remount,ro", "/usr/local")
        code, found = install(s, "--rolling", "1", action="upgrade", program=second)
        same((code, results(found)), (1, {"web1": "upgraded", "web2": "failed", "old1": "not begun"}))
        same(found["old1"]["reason"], "web2 failed")
        s.hosts["web2"].run("mount", "-o", "remount,rw", "/usr/local")
        # web1 becomes unwell: no node answers it.
        execute(s.hosts["web1"].namespace, ["ip", "link", "set", "data", "down"])
        eventually("web1 is not well", lambda: not any(p["up"] for p in s.hosts["web1"].status().get("paths", [])))
        code, found = install(s, "--rolling", "1", action="upgrade", program=second)
        same((code, results(found)), (1, {"web1": "unchanged", "web2": "not begun", "old1": "not begun"}))
        check(found["web2"]["reason"].startswith("web1 is done and not well: "), found["web2"])


@test
def clear_with_the_route():
    with stage() as s:
        install(s)
        for host in s.hosts.values():
            eventually("its route", host.route)
        code, found = s.deploy("clear", "--route", "--dry-run", "--hosts", s.path("hosts"))
        check(all("remove the route to the service" in r["steps"] for r in found.values()), found)
        check(all(routes(s).values()), "a dry run removes nothing")
        code, found = s.deploy("clear", "--route", "--hosts", s.path("hosts"))
        same((code, results(found), routes(s)), (0, of_all(s, "cleared"), of_all(s, [])))


sys.exit(skip(missing()) if missing() else run())
