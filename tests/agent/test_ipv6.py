# SPDX-License-Identifier: Apache-2.0
"""The same over IPv6: service fd00::2, IPv6 paths, IPv6 session service; failover, failback, the host's cable."""
import select
import socket
import struct
import sys
import threading
import time

from harness import main
from netlab.namespace import inside
from world import IPV6

SLACK_MS = 200


class Echoes:
    """An ICMPv6 echo to the service every 4 ms; what was lost, in runs: (from, until, echoes, errors)."""

    def __init__(self, world):
        self.socket = inside(world.host.namespace, lambda: socket.socket(
            socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.getprotobyname("ipv6-icmp")))
        self.service = world.service
        self.sent, self.answered, self.errors, self.ended = [], set(), 0, False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while not self.ended:
            n = len(self.sent)
            try:
                self.socket.sendto(struct.pack("!BBHHHI", 128, 0, 0, 0xabc, n & 0xffff, n), (self.service, 0, 0, 0))
            except OSError:
                self.errors += 1
            self.sent.append(time.monotonic())
            end = time.monotonic() + 0.004
            while (left := end - time.monotonic()) > 0:
                if not select.select([self.socket], [], [], left)[0]:
                    break
                try:
                    data, peer = self.socket.recvfrom(2048)
                    kind, _, _, ident, _ = struct.unpack_from("!BBHHH", data)
                    if kind == 129 and ident == 0xabc and peer[0] == self.service:
                        self.answered.add(struct.unpack_from("!I", data, 8)[0])
                except OSError:
                    pass

    def gaps(self, since=0.0):
        """Runs of lost echoes, older than 0.3 s, as (from the last good one to the next good one in ms, how many)."""
        found, last, lost = [], None, 0
        for n, at in enumerate(self.sent[:]):
            if at > time.monotonic() - 0.3:
                break
            if n in self.answered:
                if lost and last is not None and at > since:
                    found.append((1000 * (at - last), lost))
                last, lost = at, 0
            else:
                lost += 1
        return found


def settled(t, **settings):
    world, service, monitor = t.cluster(settings=dict(nodes=5, networks=IPV6, service="fd00::2", zones=("a", "b")),
                                        envelope="data")
    agent = t.agent(world, **settings)
    home = world.node(1)
    t.eventually(agent.settled(home.address("data")), "at home", detail=agent.status)
    return world, service, monitor, agent, home


def failover(t):
    world, service, monitor, agent, home = settled(t, hold="2s", timeout="50ms", count=5)
    echoes = Echoes(world)
    t.eventually(lambda: len(echoes.answered) > 20, "echoes flow")
    t.ok(monitor.standing()[0].gateway == home.address("data") and monitor.standing()[0].protocol == 213,
         "a /128 of ours", monitor.standing())
    t.eventually(lambda: service.entered(world.host.address("data")) == [home], "the cluster is told",
                 detail=service.seen("PUT"))
    starved_s = agent.starved_s()
    world.cut(home, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "failover")
    t.eventually(lambda: echoes.gaps(), "echoes flow again")
    slack_ms = SLACK_MS + 1000 * (agent.starved_s() - starved_s)
    t.ok(echoes.gaps()[0][0] < 50 * 6 + 20 + slack_ms, "in time", echoes.gaps())
    t.note(f"away for {echoes.gaps()[0][0]:.0f} ms of {50 * 6 + 20}")
    world.plug(home, "data")
    plugged = time.monotonic()
    t.eventually(agent.on(home.address("data")), "home")
    t.ok(time.monotonic() - plugged > 2, "after hold")
    answered = len(echoes.answered)
    t.eventually(lambda: len(echoes.answered) > answered + 100, "echoes go on")  # longer than gaps() waits for one
    t.ok(len(echoes.gaps()) == 1 and echoes.errors == 0, "coming home lost nothing", f"{echoes.gaps()} {echoes.errors}")
    t.ok(len(monitor.standing()) == 1, "one route", monitor.standing())
    agent.kill()
    changes = monitor.changes()
    agent.start()
    t.eventually(agent.settled(home.address("data")), "killed and started")
    t.ok(monitor.changes() == changes, "adopts without touching", monitor.events)
    world.host.ip("route", "del", world.service)
    t.eventually(lambda: monitor.gateway() == home.address("data"), "deleted by hand: put right")
    world.host.ip("route", "replace", world.service, "via", world.node(2).address("data"))
    t.eventually(lambda: monitor.gateway() == home.address("data") and len(monitor.standing()) == 1,
                 "replaced by hand: put right", detail=monitor.standing)
    echoes.ended = True


def host_cable(t):
    """An IPv6 address goes with an administrative down; carrier loss leaves it."""
    world, service, monitor, agent, home = settled(t, hold="1s")
    world.cut(world.host, "data")
    t.eventually(agent.on(home.address("management")), "cable: management", detail=agent.status)
    world.plug(world.host, "data")
    t.eventually(agent.on(home.address("data")), "cable: home", detail=agent.status)
    device = world.host.interface("data")
    world.host.ip("link", "set", device, "down")
    t.eventually(agent.on(home.address("management")), "down: management", detail=agent.status)
    world.host.ip("link", "set", device, "up")
    world.host.ip("address", "replace", world.host.address("data") + "/64", "dev", device, "nodad")
    t.eventually(agent.on(home.address("data")), "up: home", detail=agent.status)
    t.ok(len(agent.departures()) == 3, "no detours", agent.switches())


sys.exit(main([failover, host_cable]))
