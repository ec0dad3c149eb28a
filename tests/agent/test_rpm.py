# SPDX-License-Identifier: Apache-2.0
"""The RPM that tools/build-rpm has made, on a machine that boots: installed, upgraded while the agent runs, erased; and the
route to the storage stays in all that."""
import glob
import os
import shutil
import sys

from harness import ROOT, main
from machine import Machine, why_not
from tap import skip

PACKAGE = (glob.glob(os.path.join(ROOT, "build-rpm", "*.rpm")) or [None])[0]
RPM = ["rpm", "--force-debian", "--dbpath", "/var/rpm", "--nodeps"]


def life(t):
    world, _, monitor = t.cluster(settings=dict(nodes=2))
    home = world.node(1).address("data")
    agent = t.agent(world, start=False)
    agent.socket_path, agent.state_directory = "/run/reroute/control.sock", "/var/lib/reroute"
    made = Machine(t, None, {"etc/reroute/reroute.conf": agent.text()})
    made.copy("var/reroute.rpm", PACKAGE)
    made.boot(world)
    t.ok(made.booted(), "boots", made.said())

    does, active = made.does, made.active

    does("is installed", *RPM, "--install", "/var/reroute.rpm")
    t.ok(not active(), "starts nothing by itself")
    does("is started", "systemctl", "enable", "--now", "reroute")
    t.ok(active() and monitor.gateway() == home, "works", made.journal())
    changes, pid = monitor.changes(), made.show("MainPID")
    does("is installed over itself", *RPM, "--upgrade", "--replacepkgs", "/var/reroute.rpm")
    t.eventually(lambda: active() and made.show("MainPID") != pid, "another one runs after it", detail=made.journal)
    t.ok(monitor.changes() == changes and monitor.gateway() == home, "and the route was not touched", monitor.events)
    does("it is erased", *RPM, "--erase", "reroute")
    t.ok(not active() and not made.run("sh", "-c", "ls /usr/bin/reroute 2>/dev/null")[1], "stopped, and gone")
    t.ok(monitor.gateway() == home, "the route stays", monitor.events)
    t.ok(made.run("test", "-e", "/etc/reroute/reroute.conf")[0] == 0, "so does the configuration")


if not PACKAGE:
    skip("tools/build-rpm has not been run")
if why_not() or not shutil.which("rpm"):
    skip(why_not() or "no rpm")
sys.exit(main([life]))
