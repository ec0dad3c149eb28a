# SPDX-License-Identifier: Apache-2.0
"""The Debian package that tools/build-deb has made, on a machine that boots: installed, upgraded while the agent runs,
removed, purged; and the route to the storage stays in all that."""
import glob
import os
import re
import shutil
import subprocess
import sys

from harness import ROOT, main
from machine import Machine, why_not
from tap import skip


def package(name):
    found = glob.glob(os.path.join(ROOT, "build-deb", f"{name}_*.deb"))
    return found[0] if found else None


def newer(t, deb):
    """The same with a higher version."""
    tree, made = os.path.join(t.directory, "tree"), os.path.join(t.directory, "newer.deb")
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    control = os.path.join(tree, "DEBIAN", "control")
    with open(control, encoding="utf-8") as f:
        text = f.read()
    with open(control, "w", encoding="utf-8") as f:
        f.write(re.sub(r"^(Version: .*)$", r"\1+1", text, flags=re.M))
    subprocess.run(["dpkg-deb", "--build", tree, made], check=True, stdout=subprocess.DEVNULL)
    return made


def life(t):
    world, _, monitor = t.cluster(settings=dict(nodes=2))
    home = world.node(1).address("data")
    agent = t.agent(world, start=False)
    agent.socket_path, agent.state_directory = "/run/reroute/control.sock", "/var/lib/reroute"
    made = Machine(t, None, {"usr/sbin/policy-rc.d": "exit 0\n"})
    for name, deb in (("first", package("reroute")), ("newer", newer(t, package("reroute"))),
                      ("tools", package("reroute-tools"))):
        made.copy(f"var/{name}.deb", deb)
    made.boot(world)
    t.ok(made.booted(), "boots", made.said())

    does, active = made.does, made.active

    does("is installed", "dpkg", "-i", "/var/first.deb")
    t.ok(made.run("id", "reroute")[0] == 0, "with its user")
    t.ok(not active() and made.run("systemctl", "is-enabled", "reroute")[1].strip() == "disabled",
         "starts nothing before there is a configuration", made.run("systemctl", "status", "reroute")[1])
    does("the help is there", "reroute", "help")
    does("a configuration", "sh", "-c", 'mkdir -p /etc/reroute && printf %s "$0" >/etc/reroute/reroute.conf', agent.text())
    does("is started", "systemctl", "enable", "--now", "reroute")
    t.ok(active() and monitor.gateway() == home, "works", made.journal())
    changes, pid = monitor.changes(), made.show("MainPID")
    does("is upgraded", "dpkg", "-i", "/var/newer.deb")
    t.eventually(active, "runs after it", detail=made.journal)
    t.ok(made.show("MainPID") != pid, "a new one", pid)
    t.ok(monitor.changes() == changes and monitor.gateway() == home, "and the route was not touched", monitor.events)
    does("the tools are installed", "dpkg", "-i", "--force-depends", "/var/tools.deb")
    does("studies run", "reroute", "bench", "hold", "--help")
    does("deploy finds its script", "sh", "-c", "reroute deploy check --host /nonexistent 2>&1 | grep -v python3")
    does("the tools are removed", "dpkg", "-r", "reroute-tools")
    does("it is removed", "dpkg", "-r", "reroute")
    t.ok(not active() and monitor.gateway() == home, "stopped, and the route stays", monitor.events)
    t.ok(made.run("test", "-e", "/var/lib/reroute/state.json")[0] == 0, "so does the state")
    does("it is purged", "dpkg", "-P", "reroute")
    t.ok(made.run("test", "-e", "/var/lib/reroute")[0] != 0 and made.run("test", "-e", "/var/lib/private/reroute")[0] != 0,
         "the state is gone", made.run("ls", "/var/lib", "/var/lib/private")[1])
    t.ok(made.run("test", "-e", "/etc/reroute/reroute.conf")[0] == 0 and monitor.gateway() == home,
         "what a person wrote stays, and the route", monitor.events)


if not package("reroute"):
    skip("tools/build-deb has not been run")
if why_not() or not shutil.which("dpkg-deb"):
    skip(why_not() or "no dpkg")
sys.exit(main([life]))
