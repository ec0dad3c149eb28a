#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The service check against a real iSCSI target, tgt: served, hung, ended, started again, and one that lets nobody
discover without a password. It is logged in to once, and nothing of it is to be seen at the target."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from harness import main, stays
from netlab.namespace import end_process
from netlab.wait import wait_for
from tap import skip

PORT = 3260
TARGET = "iqn.2026-11.test:storage"


class Target:
    """The target of a node. Its control socket is in the scenario's directory."""

    def __init__(self, t, node, password=False):
        self.t, self.node, self.password = t, node, password
        self.environment = {**os.environ, "TGT_IPC_SOCKET": os.path.join(t.directory, node.name)}
        node.run("nft", "-f", "-", text="table inet count {\n counter logins {}\n chain in {\n type filter hook input"
                 f" priority 0\n ip daddr {node.address('data')} tcp dport {PORT} tcp flags & (syn | ack) == syn"
                 " counter name logins\n }\n}\n")
        self.start()

    def start(self):
        self.process = self.t.popen(self.node.namespace, ["tgtd", "-f", "--iscsi",
                                                          f"portal={self.node.address('data')}:{PORT}"],
                                    env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.t.ok(wait_for(lambda: self.admin("--op", "show", "--mode", "sys") is not None),
                  f"{self.node.name}: the target starts")
        self.admin("--op", "new", "--mode", "target", "--tid", "1", "-T", TARGET)
        if self.password:
            self.admin("--op", "new", "--mode", "account", "--user", "somebody", "--password", "else")
            self.admin("--op", "bind", "--mode", "account", "--user", "somebody")

    def admin(self, *words):
        """What tgtadm prints; None: it is refused."""
        done = subprocess.run(["tgtadm", "--lld", "iscsi", *words], env=self.environment, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    def end(self):
        end_process(self.process)

    def connections(self):
        """How often somebody has connected to it."""
        listed = self.node.run("nft", "list", "counter", "inet", "count", "logins")
        return int(re.search(r"packets (\d+)", listed).group(1))


def served_hung_ended(t):
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home, idle = world.node(1), world.node(3)
    targets = [Target(t, node) for node in world.nodes[:2]]
    agent = t.agent(world, hold="1s",
                    session=f'service-check = "iscsi:{PORT}" service-check-window = "600ms"')
    address = home.address("data")
    t.eventually(agent.settled(address), "at home", detail=agent.status)
    t.eventually(lambda: [agent.path(n.address("data"))["serves"] for n in world.nodes] == [True, True, False],
                 "two nodes serve", detail=agent.status)
    t.ok(stays(lambda: agent.path(address)["serves"], agent.up(address, 4)), "and go on", agent.status())
    t.ok([target.connections() for target in targets] == [1, 1], "each was logged in to once",
         [target.connections() for target in targets])
    shown = targets[0].admin("--op", "show", "--mode", "target") or ""
    t.ok("I_T nexus: " not in shown and TARGET in shown, "no session with the disk", shown)
    for what, fail, mend, reason in (
            ("hangs", lambda: targets[0].process.send_signal(signal.SIGSTOP),
             lambda: targets[0].process.send_signal(signal.SIGCONT), "does not answer"),
            ("ended", targets[0].end, targets[0].start, "Connection refused")):
        t.eventually(agent.settled(address), f"{what}: at home", detail=agent.status)
        fail()
        t.eventually(lambda: agent.get("next_hop") == world.node(2).address("data"), f"{what}: left for the node that serves",
                     detail=agent.status)
        t.ok(agent.get("reason") == "service-check" and reason in agent.path(address)["why"],
             f"{what}: for that reason", agent.status())
        mend()
        t.eventually(agent.on(address), f"{what}: home when it serves", detail=agent.status)
    t.ok(not agent.path(idle.address("data"))["serves"], "the node without a target never did", agent.status())


def password(t):
    """It answers, so it serves; and it is not asked for a login at the pace of the questions."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    targets = [Target(t, node, password=True) for node in world.nodes]
    address = world.node(1).address("data")
    began = time.monotonic()
    agent = t.agent(world, hold="1s", session=f'service-check = "iscsi:{PORT}" service-check-window = "600ms"')
    t.eventually(agent.settled(address), "at home", detail=agent.status)
    t.eventually(lambda: agent.path(address)["serves"], "it serves", detail=agent.status)
    t.ok(stays(lambda: agent.path(address)["serves"], agent.up(address, 4)), "and goes on", agent.status())
    t.ok(targets[0].connections() <= 4 + time.monotonic() - began, "two logins, and one connection a second",
         targets[0].connections())
    targets[0].process.send_signal(signal.SIGSTOP)
    t.eventually(lambda: agent.get("reason") == "service-check", "left when it hangs", detail=agent.status)
    targets[0].process.send_signal(signal.SIGCONT)
    t.eventually(agent.settled(address), "home when it answers", detail=agent.status)
    targets[0].end()
    t.eventually(lambda: "Connection refused" in agent.path(address)["why"], "left soon when it dies", seconds=4,
                 detail=agent.status)


if not shutil.which("tgtd"):
    skip("tgt is not installed (tools/setup --tests)")
sys.exit(main([served_hung_ended, password]))
