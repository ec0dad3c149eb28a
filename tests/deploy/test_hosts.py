#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: `reroute deploy` installs, checks and clears hosts over real ssh. A host that cannot be reached or
changed fails with its reason and is left as it was; hosts beside it are done."""
import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from deploying import as_before, fails, install, of_all, results, snapshots, stage
from stage import SERVICE, TEMPLATE, eventually, missing, programs, skip
from tap import check, run, same, test


def bad_program(s, name, text):
    with open(s.path(name), "w", encoding="ascii") as f:
        f.write(text)
    return s.path(name)


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

        for name, host in s.hosts.items():
            config = host.read("/etc/reroute/reroute.conf")
            host.write("/etc/reroute/reroute.conf", config.replace("service =", "servic ="))
            _, found = install(s, "--host", name, action="check")
            first = TEMPLATE.splitlines()[0]
            same((found[name]["pid"], found[name]["differences"][0]),
                 (pids[name], f"the configuration differs: line 1 is '{first.replace('service', 'servic')}' there, '{first}' here"))
            wrong = "the agent runs, but its file is wrong: /etc/reroute/reroute.conf:1: unknown key 'servic'"
            check(found[name]["differences"][1].startswith(wrong) and len(found[name]["differences"]) == 2, found[name])
            host.write("/etc/reroute/reroute.conf", config)

        routes = {name: host.route() for name, host in s.hosts.items()}
        code, found = s.deploy("clear", "--hosts", s.path("hosts"))
        same((code, results(found)), (0, of_all(s, "cleared")), "clear")
        same({name: host.route() for name, host in s.hosts.items()}, routes, "the route stays")
        same({name: host.snapshot() for name, host in s.hosts.items()}, before, "all is as before")
        check(not any(host.status() for host in s.hosts.values()), "no agent runs")
        notes = {name: f"the route to {SERVICE} via {hops[0]} stays; to remove it: reroute deploy clear --route"
                 for name, hops in routes.items()}
        same({name: r["note"] for name, r in found.items()}, notes, "which is said")

        code, found = s.deploy("clear", "--hosts", s.path("hosts"))
        same((code, results(found)), (0, of_all(s, "nothing there")))
        same({name: r["note"] for name, r in found.items()}, notes, "said again")
        for arguments, word in ((["--dry-run"], "planned"), ([], "cleared"), ([], "nothing there")):
            same(results(s.deploy("clear", "--hosts", s.path("hosts"), "--route", *arguments)[1]), of_all(s, word))
            same({name: host.route() for name, host in s.hosts.items()},
                 routes if arguments else {name: [] for name in routes}, word)


@test
def a_route_of_somebody_else():
    """Without the program only a route that says it is an agent's is removed, and none below an agent that runs."""
    with stage({"web1": "systemd"}) as s:
        host = s.hosts["web1"]
        host.run("ip", "route", "add", SERVICE, "via", "10.77.16.121")
        same(results(s.deploy("clear", "--hosts", s.list(), "--route")[1]), of_all(s, "nothing there"))
        same(host.route(), ["10.77.16.121"], "it stays")
        host.run("ip", "route", "change", SERVICE, "via", "10.77.16.121", "proto", "213")
        host.run("/bin/sh", "-c", "cp /bin/sleep /run/reroute && { /run/reroute 100 >/dev/null 2>&1 & }")
        fails(s.deploy("clear", "--hosts", s.path("hosts"), "--route")[1], "web1", "/proc/",
              " is a running reroute: the route stays")
        same(host.route(), ["10.77.16.121"], "it stays")


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


# What a person has set for hosts that he logs in to by hand; and what a host prints and starts for who logs in.
HANDY = " RequestTTY force\n RemoteCommand cat\n ExitOnForwardFailure yes\n LocalForward 127.0.0.1:2222 a:22\n"
GREETING = "echo failed=hello; echo done=; sleep 1000 & printf 'kind=SunOS '"


@test
def hosts_for_people():
    """Neither a terminal nor another command that ssh is told of, nor what a login prints or leaves running, comes into
    an answer or holds it up."""
    with stage({"web1": "systemd", "esx1": "vmkernel"}) as s:
        s.configure(more={name: HANDY for name in s.hosts})
        s.hosts["web1"].write("/etc/ssh/sshrc", GREETING)
        same(results(install(s)[1]), of_all(s, "installed"))
        same(results(install(s, action="check")[1]), of_all(s, "good"))
        same(results(s.deploy("clear", "--hosts", s.path("hosts"))[1]), of_all(s, "cleared"))


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


# Asked for lines of this unit that were written after the start.
JOURNALCTL = """#!/bin/sh
case "$*" in *"--unit reroute --since @"[1-9]*) ;; *) exit 1 ;; esac
echo 'level=info event=start'
echo 'reroute agent: said by the journal'
echo 'reroute.service: Main process exited, code=exited, status=4'
"""


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
        for name, host in s.hosts.items():
            fails(found, name, f"the agent does not come up: service {host.address} is an address of this host: ",
                  "; put back, nothing runs, as before")
        as_before(s, before, *s.hosts)
        s.hosts["web1"].write("/usr/local/sbin/journalctl", JOURNALCTL, 0o755)
        _, found = s.deploy("install", *bad, "--binary", programs(s.path("program")))
        fails(found, "web1", "the agent does not come up: said by the journal; put back")
        os.unlink(s.hosts["web1"].files("/usr/local/sbin/journalctl"))
        same(results(install(s)[1]), of_all(s, "installed"))
        before, routes = snapshots(s), {name: host.route() for name, host in s.hosts.items()}
        code, found = s.deploy("upgrade", *bad, "--binary", programs(s.path("program"), "2"))
        for name, host in s.hosts.items():
            fails(found, name, "the agent does not come up: ", "; the old one is put back and answers")
            check(host.status(), "it answers")
        as_before(s, before, *s.hosts)
        same({name: host.route() for name, host in s.hosts.items()}, routes, "the route stands")


# What sudo does, for a host without it: a shell would not keep what a file's owner gives.
SUDO = """#!/bin/sh
[ "$1" = -n ] || exit 1
shift
exec /usr/local/lib/python -c 'import os, sys; os.setgid(0); os.setuid(0); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
"""


@test
def an_ordinary_user():
    with stage({"web1": "systemd"}) as s:
        host = s.hosts["web1"]
        install = ["--config", s.template(), "--binary", programs(s.path("program"))]
        _, found = s.deploy("install", "--hosts", s.list(web1="ssh=admin@web1"), *install)
        fails(found, "web1", "needs root there: ")
        host.write("/usr/local/bin/sudo", SUDO, 0o755)
        host.inside("mkdir -p /usr/local/lib; cp -L /usr/bin/python3 /usr/local/lib/python; chmod 4755 /usr/local/lib/python")
        listed = s.list(web1="ssh=admin@web1 sudo=yes")
        same(results(s.deploy("install", "--hosts", listed, *install)[1]), of_all(s, "installed"))
        same(results(s.deploy("check", "--hosts", listed, *install)[1]), of_all(s, "good"))


sys.exit(skip(missing()) if missing() else run())
