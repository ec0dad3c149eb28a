#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: an upgrade by `reroute deploy` loses no echo, changes only what differs, and goes on to other hosts
only while those that are done are well; check finds what differs; the route goes only when that is asked for."""
import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from deploying import fails, install, of_all, results, stage
from stage import TEMPLATE, eventually, missing, programs, skip
from netlab.namespace import execute
from tap import check, run, same, test


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
        left = "/usr/local/bin/reroute.deploy-new"
        for host in s.hosts.values():
            host.write(left, "of a run whose connection ended")
        for arguments, stays in ((["--dry-run"], True), ([], False)):
            same(results(install(s, "--host", "web1", *arguments, program=s.path("program"))[1]), {"web1": "unchanged"})
            same(s.hosts["web1"].exists(left), stays, arguments)
        code, found = s.deploy("upgrade", "--hosts", s.path("hosts"), "--host", "web2", "--config",
                               s.template(TEMPLATE + "# more\n"), "--binary", s.path("program"))
        same((code, results(found)), (0, {"web2": "upgraded"}))
        check(not s.hosts["web2"].exists(left), "also of a file that does not differ")
        steps = [step for step in found["web2"]["steps"] if step.startswith("copy")]
        check(len(steps) == 1 and steps[0].startswith("copy the configuration"), steps)
        code, found = s.deploy("check", "--hosts", s.path("hosts"), "--config", s.path("template.conf"), "--binary",
                               s.path("program"))
        line = ["the configuration differs: line 8 is '' there, '# more' here"]
        same((code, {n: r["differences"] for n, r in found.items()}), (1, {"web1": line, "web2": [], "old1": line}))
        same({n: found[n]["pid"] for n in ("web1", "old1")}, {n: before[n]["pid"] for n in ("web1", "old1")})


@test
def what_check_finds():
    with stage() as s:
        install(s)
        for host in s.hosts.values():
            eventually("its route", host.route)
        s.hosts["web1"].inside("systemctl stop reroute; rm /etc/reroute/reroute.conf")
        s.hosts["web2"].inside("systemctl disable reroute")
        s.hosts["old1"].inside("update-rc.d -f reroute remove; echo '# x' >>/etc/init.d/reroute")
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
        code, found = install(s, "--rolling", "1", "--wait", "5", action="upgrade", program=second)
        same((code, results(found)), (1, {"web1": "unchanged", "web2": "not begun", "old1": "not begun"}))
        check(found["web2"]["reason"].startswith("web1 is done and not well: "), found["web2"])


@test
def rolling_waits_until_a_host_is_well():
    """An agent answers at once; its route may take longer."""
    with stage({"web1": "systemd", "web2": "systemd"}) as s:
        host = s.hosts["web1"]
        execute(host.namespace, ["ip", "link", "set", "data", "down"])
        process = s.start("install", "--rolling", "1", "--hosts", s.list(), "--config", s.template(), "--binary",
                          programs(s.path("program")))
        eventually("its agent answers", host.status)
        eventually("it was found well or not", lambda: host.read("/run/stand-in/log").count("is-enabled") > 2)
        execute(host.namespace, ["ip", "link", "set", "data", "up"])
        code, found = s.end(process)
        same((code, results(found)), (0, of_all(s, "installed")))


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
