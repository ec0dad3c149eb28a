# SPDX-License-Identifier: Apache-2.0
"""The host's own TCP connection to the service as a witness: what it says of lost pings, and what when it stands still.

The agent's windows are two seconds and more, so that a machine that is busy for a moment changes no verdict."""
import contextlib
import json
import os
import socket
import sys
import threading
import time

from harness import log_time, main, stays
from world import inside


class Stream:
    """A client on the host that writes to the service all the time, over one connection, and connects again."""

    def __init__(self, t, world):
        self.world = world
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        t.stack.callback(self.end)

    def _connect(self):
        client = socket.socket(socket.AF_INET6 if self.world.six else socket.AF_INET)
        client.settimeout(5)
        client.connect((self.world.service, self.world.echo.PORT))
        client.setblocking(False)
        return client

    def _write(self, client):
        while not self.ended.wait(0.01):
            with contextlib.suppress(BlockingIOError):
                client.send(b"x" * 64)
            with contextlib.suppress(BlockingIOError):
                if not client.recv(65536):
                    return

    def _run(self):
        while not self.ended.wait(0.01):
            try:
                client = inside(self.world.host.namespace, self._connect)
            except OSError:
                continue
            with client, contextlib.suppress(OSError):
                self._write(client)

    def end(self):
        self.ended.set()
        self.thread.join()


def block(node, rule):
    """What this rule of nftables matches does not arrive at the node; None ends it."""
    node.run("nft", "delete", "table", "inet", "block", check=False)
    if rule:
        node.run("nft", "-f", "-", text=f"table inet block {{\n chain in {{\n type filter hook input priority 0\n{rule} drop\n}}\n}}\n")


NO_PINGS = "icmp type echo-request"


def says(agent):
    return [e["says"] for e in agent.events("witness")]


def witness(agent):
    return agent.get("witness") or {"says": None}


def decisions(agent):
    return [e["reason"] for e in agent.events("decision")]


def at_home(t, **settings):
    world, service, monitor = t.cluster(settings=dict(nodes=3), lease=60)
    home = world.node(1)
    agent = t.agent(world, **{"timeout": "200ms", "count": 10, "candidate": "1s", **settings})
    t.eventually(agent.settled(home.address("data")), "at home")
    stream = Stream(t, world)
    t.eventually(lambda: witness(agent)["says"] == "progress", "the connection makes progress", detail=agent.status)
    return world, home, agent, stream


def pings_dropped(t):
    """Pings are dropped on the node, data come there: left when the window has passed twice, not before."""
    world, home, agent, stream = at_home(t)
    block(home, NO_PINGS)
    t.eventually(lambda: "progress" in says(agent), "the witness is heard", detail=agent.log)
    t.ok(agent.get("decision") == "contradicted" and witness(agent)["contradicts"], "the status says so", agent.status())
    t.ok(not agent.path(home.address("data"))["up"], "the path counts as down all the same", agent.status())
    t.eventually(lambda: agent.get("next_hop") != home.address("data"), "left in the end", detail=agent.status)
    left = agent.events("switch")[-1]
    t.ok(4000 <= float(left["silent_ms"]) and left["reason"] == "path-down", "when the window has passed twice", left)
    t.note(f"left after {left['silent_ms']} ms of silence, windows of 2000 ms")
    t.eventually(lambda: witness(agent)["says"] == "progress", "it goes on over the next path", detail=agent.status)
    t.eventually(lambda: says(agent)[-1] == "nothing", "and says the same as the pings", detail=agent.log)
    agent.terminate()
    check_replay(t, agent)


def check_replay(t, agent):
    """The journal has what the witness said: the same moves with it, an earlier one without."""
    code, text, error = agent.command("replay", "--json", "--set", "witness=off",
                                      os.path.join(agent.state_directory, "journal.jsonl"), config=False)
    if not t.ok(code == 0 and json.loads(text)["reproduced"], "a replay makes the same moves", text + error):
        return
    host, other = ([log_time(m) for m in r["moves"] if m["reason"] == "path-down"]
                   for r in json.loads(text)["results"] if r["settings"] != "again")
    t.ok(other and host and host[0] - other[0] > 1.5, "without the witness it had been left sooner", text)


def pings_dropped_for_a_while(t):
    """They come back in the second window: nothing was moved, and it was no failure of the access."""
    world, home, agent, stream = at_home(t, timeout="300ms")
    moves = len(agent.switches())
    block(home, NO_PINGS)
    t.eventually(lambda: "contradicted" in decisions(agent), "kept for the witness", detail=agent.log)
    block(home, None)
    t.eventually(lambda: agent.get("decision") == "best", "the pings are back", detail=agent.status)
    t.ok(len(agent.switches()) == moves, "no move", agent.log())
    t.ok(agent.access(home.name)["failures"] == 0, "no failure", agent.status())


def cable(t):
    """The cable is cut: nothing is acknowledged any more, and nobody waits for a second window."""
    world, home, agent, stream = at_home(t)
    world.cut(home, "data")
    t.eventually(lambda: agent.get("next_hop") != home.address("data"), "left", detail=agent.status)
    t.ok(says(agent) == [] and "contradicted" not in decisions(agent), "the witness did not contradict", agent.log())
    t.note(f"left after {agent.events('switch')[-1]['silent_ms']} ms of silence, a window of 2000 ms")


def session_dead(t):
    """The cluster's word is not contradicted by a connection that goes on."""
    world, service, monitor = t.cluster(settings=dict(nodes=3), lease=1.5)
    home = world.node(1)
    agent = t.agent(world, timeout="300ms", count=10, candidate="1s")
    t.eventually(agent.settled(home.address("data")), "at home")
    Stream(t, world)
    t.eventually(lambda: witness(agent)["says"] == "progress", "the connection makes progress", detail=agent.status)
    block(home, NO_PINGS)
    t.eventually(lambda: "contradicted" in decisions(agent), "kept for the witness", detail=agent.log)
    service.stop(home)
    with service.lock:
        service.sessions[home].clear()
    t.eventually(lambda: agent.get("next_hop") != home.address("data"), "left", detail=agent.status)
    t.ok(agent.access(home.name)["state"] == "dead", "for the session that is dead", agent.status())
    silent_ms = float(agent.events("switch")[-1]["silent_ms"])
    t.ok(silent_ms < 6000, "before the window has passed twice", agent.log())


class Door:
    """What is asked by the service check: accepts, and notes when."""

    def __init__(self, namespace, address, port):
        self.asked = []
        self.listener = inside(namespace, socket.create_server, (address, port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            client, _ = self.listener.accept()
            self.asked.append(time.time())
            client.close()


def data_dropped(t):
    """Pings are answered, data do not come there: nothing is moved, but the service is asked at once."""
    world, home, agent, stream = at_home(t, timeout="1s", count=2, session='service-check = "tcp:2050"')
    doors = {node: Door(node.namespace, node.address("data"), 2050) for node in world.nodes}
    asked = doors[home].asked
    t.eventually(lambda: agent.path(home.address("data"))["serves"] and len(asked) > 2, "it serves", detail=agent.status)
    moves = len(agent.switches())

    def hurried():
        """Asked within 300 ms of a standstill, and sooner than a second after the last time."""
        stalls = [log_time(e) for e in agent.events("witness") if e["says"] == "stalled"]
        return [s for s in stalls for a, b in zip(asked, asked[1:]) if b - a < 0.8 and -0.05 < b - s < 0.3]

    for _ in range(4):  # a check that was due at that moment anyway shows nothing
        count = len(says(agent))
        block(home, f"ip daddr {world.service} tcp dport {world.echo.PORT}")
        t.eventually(lambda: len(says(agent)) > count, "the standstill is seen", detail=agent.log)
        t.ok(says(agent)[-1] == "stalled" and witness(agent)["says"] == "stalled" and
             "not acknowledged" in agent.command("status")[1], "and told", agent.status())
        times = len(asked)
        t.eventually(lambda: len(asked) >= times + 2, "the service is asked", detail=lambda: asked)
        if hurried():
            break
        block(home, None)
        t.eventually(lambda: says(agent)[-1] == "nothing", "over", detail=agent.log)
    t.ok(hurried(), "at once", (agent.events("witness"), asked))
    times = len(asked)
    t.ok(stays(agent.on(home.address("data")), lambda: len(asked) >= times + 3) and len(agent.switches()) == moves,
         "nothing is moved", agent.log())
    block(home, None)
    t.eventually(lambda: says(agent)[-1] == "nothing", "over when data come there again", detail=agent.log)


sys.exit(main([pings_dropped, pings_dropped_for_a_while, cable, session_dead, data_dropped], parallel=3))
