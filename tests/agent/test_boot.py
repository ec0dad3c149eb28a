# SPDX-License-Identifier: Apache-2.0
"""The start of a host: when the service manager is told that the agent is ready, what a first route does to the
connections that were there before it, who was dead before the boot."""
import errno
import json
import os
import re
import signal
import socket
import sys
import time

from harness import NO_RESET, RUN, main, stays
from netlab.namespace import inside
from world import Echo

WAIT_S = 45  # READY_WAIT_NS
LINK_WAIT_S = 75


class Manager:
    """The service manager's end of $NOTIFY_SOCKET: what it was told, and when."""

    def __init__(self, t):
        self.path = os.path.join(t.directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.messages = []  # (lines, route to the service when it was read)
        t.stack.callback(self.socket.close)

    def agent(self, t, world, **settings):
        agent = t.agent(world, start=False, **settings)
        agent.environment = {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "400000"}
        return agent.start()

    def hear(self, monitor):
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except BlockingIOError:
                return self
            self.messages.append((text.split("\n"), monitor.gateway()))

    def ready(self):
        """The routes that stood when READY=1 was read, one for each time that it came."""
        return [route for lines, route in self.messages if "READY=1" in lines]

    def statuses(self):
        return [line[len("STATUS="):] for lines, _ in self.messages for line in lines if line.startswith("STATUS=")]

    def status(self):
        return self.statuses()[-1] if self.statuses() else ""

    def watchdogs(self):
        return sum("WATCHDOG=1" in lines for lines, _ in self.messages)


def ready_with_the_route(t):
    """Nothing answers at first: it works and waits. A node comes: the route, then READY=1. Then each change is told."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    one, two = world.nodes
    world.power(one, False)
    world.power(two, False)
    manager = Manager(t)
    agent = manager.agent(t, world)
    t.eventually(lambda: agent.get("decision") == "nothing-eligible", "works, and says that nothing answers",
                 detail=agent.status)
    t.eventually(lambda: "nothing-eligible" in manager.hear(monitor).status(), "so does STATUS=",
                 detail=manager.statuses)
    t.ok(world.service in manager.status() and f"waits up to {WAIT_S} s" in manager.status(), "and for what it waits",
         manager.messages)
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "a reload meanwhile")
    before = manager.hear(monitor).watchdogs()
    t.eventually(lambda: manager.hear(monitor).watchdogs() >= before + 3, "WATCHDOG=1 comes all the time")
    t.ok(manager.ready() == [], "and still not ready", manager.messages)
    world.power(two, True)
    t.eventually(lambda: manager.hear(monitor).ready(), "READY=1 when a node is there", detail=lambda: manager.messages)
    home = two.address("data")
    t.ok(manager.ready() in ([home], [two.address("management")]), "after the route", manager.messages)
    t.eventually(lambda: manager.hear(monitor).status() ==
                 f"{world.service} via {home} ({two.name}, data), reason {agent.get('reason')}",
                 "STATUS= has next hop, access and reason", detail=lambda: (manager.statuses(), agent.status()))
    world.power(one, True)
    world.power(two, False)
    t.eventually(lambda: re.fullmatch(rf"{world.service} via \S+ \({one.name}, \w+\), reason (path|link)-down",
                                      manager.hear(monitor).status()), "and follows a failover",
                 detail=lambda: (manager.statuses(), agent.status()))
    t.ok(len(manager.ready()) == 1, "READY=1 came once", manager.messages)


def ready_with_a_found_route(t):
    """A standing route is enough when its next hop answers; one that leads to a dead node is not."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    two = world.node(2)
    world.host.ip("route", "add", world.service, "via", two.address("data"))
    manager = Manager(t)
    agent = manager.agent(t, world, hold="60s")
    t.eventually(lambda: manager.hear(monitor).ready(), "READY=1")
    t.ok(manager.ready() == [two.address("data")] and agent.events("switch") == [], "with the route that was found",
         manager.messages)
    t.eventually(lambda: manager.hear(monitor).status().endswith(f"({two.name}, data), reason adopted"),
                 "STATUS= names it", detail=manager.statuses)
    agent.kill()
    world.power(two, False)
    manager.messages.clear()
    agent.start()
    t.eventually(lambda: manager.hear(monitor).ready(), "READY=1 again, when that node is dead",
                 detail=lambda: manager.messages)
    t.ok(len(manager.ready()) == 1 and manager.ready()[0] not in (None, two.address("data")), "once it has been left",
         manager.messages)


def ready_in_vain(t):
    """Nothing ever answers: the host boots all the same, and STATUS= says why there is no route."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    for node in world.nodes:
        world.power(node, False)
    manager = Manager(t)
    began = time.monotonic()
    agent = manager.agent(t, world)
    t.eventually(lambda: manager.hear(monitor).ready(), "READY=1", seconds=WAIT_S + 30, detail=manager.statuses)
    took = time.monotonic() - began
    t.ok(WAIT_S - 1 < took < WAIT_S + 15, f"after {WAIT_S} s", took)
    t.ok(manager.status() == f"no route to {world.service}, reason nothing-eligible: no path is eligible: there is "
         f"no route yet; waited {WAIT_S} s in vain for a next hop that answers", "with the reason",
         manager.messages)
    world.power(world.node(1), True)
    t.eventually(lambda: f"via {world.node(1).address('data')} " in manager.hear(monitor).status(),
                 "a route that comes later is told", detail=manager.statuses)
    t.ok("vain" not in manager.status() and len(manager.ready()) == 1, "and READY=1 not again", manager.messages)


def ready_in_a_dry_run(t):
    """It sets no route: nobody waits for one."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    manager = Manager(t)
    agent = manager.agent(t, world, arguments=["--dry-run"])
    t.eventually(lambda: manager.hear(monitor).ready(), "READY=1", detail=agent.log)
    t.ok(manager.ready() == [None], "without a route", manager.messages)


def a_link_and_then_a_node(t, world, monitor, manager):
    """The host had no address, and no node runs: both come, and READY=1 comes behind the route."""
    data = world.networks["data"]
    world.host.ip("address", "add", f"{world.host.address('data')}/{data.prefix.prefixlen}", "dev", data.host_interface)
    t.eventually(lambda: f"waits up to {WAIT_S} s for a next hop" in manager.hear(monitor).status(),
                 "one is there: it waits for a node", detail=manager.statuses)
    t.ok(manager.ready() == [], "not ready", manager.messages)
    world.power(world.node(1), True)
    t.eventually(lambda: manager.hear(monitor).ready(), "READY=1 when a node is there", detail=manager.statuses)
    t.ok(manager.ready() == [world.node(1).address("data")], "after the route", manager.messages)


def ready_when_an_interface_has_come(t):
    """No interface leads to a node at first: that is what it waits for, and then for a node as ever."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    for network in world.networks:
        world.host.ip("address", "flush", "dev", world.host.interface(network))
    manager = Manager(t)
    manager.agent(t, world)
    t.eventually(lambda: f"waits up to {LINK_WAIT_S} s for an interface that leads to a node" in
                 manager.hear(monitor).status(), "STATUS= says so", detail=manager.statuses)
    for node in world.nodes:
        world.power(node, False)
    a_link_and_then_a_node(t, world, monitor, manager)


def ready_by_bootstrap(t):
    """No list has named a node yet: an interface leads to one when it leads to one of bootstrap, which may come late."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    for network in world.networks:
        world.host.ip("address", "flush", "dev", world.host.interface(network))
    for node in world.nodes:
        world.power(node, False)
    manager = Manager(t)
    boot = ", ".join(f'"{node.address("data")}"' for node in world.nodes)
    manager.agent(t, world, accesses=[], top=f"bootstrap = {{{boot}}}")
    t.eventually(lambda: f"waits up to {LINK_WAIT_S} s for an interface that leads to a node" in
                 manager.hear(monitor).status(), "STATUS= says so", detail=manager.statuses)
    a_link_and_then_a_node(t, world, monitor, manager)


class Client:
    """One TCP connection of the host to the service, with the way it took: the source address it began with."""

    def __init__(self, t, world):
        self.socket = inside(world.host.namespace, socket.create_connection, (world.service, Echo.PORT), 10)
        self.source = self.socket.getsockname()[0]
        t.stack.callback(self.socket.close)

    def echoes(self, seconds=5):
        """"yes", or what became of it."""
        try:
            self.socket.settimeout(seconds)
            self.socket.sendall(b"x")
            return "yes" if self.socket.recv(1) == b"x" else "closed"
        except TimeoutError:
            return "no answer"
        except OSError as error:
            return errno.errorcode[error.errno]


def connected_before(t, by):
    """The host's only way to the service is a default route by a node's management address; connected over it."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    world.host.ip("route", "add", "default", "via", world.node(by).address("management"))
    client = Client(t, world)
    t.ok(client.source == world.host.address("management") and client.echoes() == "yes", "connected before")
    return world, client


def first_route_leaves_what_goes_on(t):
    """The connection is with the node that the first route leads to: it only takes another way to it."""
    world, client = connected_before(t, 1)
    agent = t.agent(world, wait="10s")  # patience with the first list: without it either node may be taken
    t.eventually(agent.on(world.node(1).address("data")), "the first route", detail=agent.status)
    t.ok(client.echoes() == "yes", "it goes on at once")
    t.ok(stays(lambda: client.echoes() == "yes", agent.up(world.node(1).address("data"), 4)), "and later")
    t.ok(agent.events("connections-reset") == [], "nothing was reset", agent.log(), unless=NO_RESET)
    t.ok(Client(t, world).source == world.host.address("data"), "a new one has the address of the new way")


def first_route_to_another_node(t):
    """The connection is with another node than the first route leads to: this one refuses it, its owner knows."""
    world, client = connected_before(t, 2)
    agent = t.agent(world, wait="10s")  # patience with the first list: without it either node may be taken
    t.eventually(agent.on(world.node(1).address("data")), "the first route", detail=agent.status)
    t.ok(client.echoes() == "ECONNRESET", "refused by the other node, not aborted here")
    t.ok(agent.events("connections-reset") == [], "nothing was reset", agent.log())


def first_route_where_answers_get_lost(t):
    """What comes from the old source address is not answered: it stands still, and is reset when that is seen."""
    world, client = connected_before(t, 1)
    idle = Client(t, world)
    world.node(1).run("nft", "-f", "-", text="table inet lose {\n chain in {\n type filter hook input priority 0\n"
                      f"iifname {world.node(1).interface('data')} ip saddr {world.host.address('management')} drop\n"
                      "}\n}\n")
    agent = t.agent(world, wait="10s")  # patience with the first list: without it either node may be taken
    t.eventually(agent.on(world.node(1).address("data")), "the first route", detail=agent.status)
    new = Client(t, world)
    began = time.monotonic()
    t.ok(client.echoes(15) == "ECONNABORTED", "reset")
    t.ok(time.monotonic() - began < 12, "in a few seconds", time.monotonic() - began)
    t.ok(new.echoes() == "yes", "a new one goes on")
    t.ok(idle.echoes(15) == "ECONNABORTED", "one that said nothing until now is reset when it speaks")
    t.eventually(lambda: [e["count"] for e in agent.events("connections-reset")] == ["1", "1"], "no other")


def died_before_the_boot(t):
    """The agent of a host that has just booted saves a death of before as old as it is."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    service.behave("hang")
    agent = t.agent(world, start=False)
    state = os.path.join(agent.state_directory, "state.json")
    os.mkdir(agent.state_directory, 0o700)
    with open(state, "w") as f:
        json.dump({"schema": "reroute.state/1", "boot_id": "another", "saved_realtime_ns": str(time.time_ns()),
                   "deaths": [{"address": world.node(2).address("data"), "age_ns": str(400 * 10**9)}]}, f)
    back = f"-{int(time.clock_gettime(time.CLOCK_BOOTTIME)) - 20}"  # up for 20 s
    agent.program = ["unshare", "--time", "--boottime", back, "--monotonic", back, *RUN]
    agent.start()
    t.eventually(lambda: agent.access(world.node(2).name).get("state") == "dead", "dead still", detail=agent.log)
    os.kill(agent.get("pid"), signal.SIGTERM)
    t.ok(agent.process.wait(10) == 0, "ends")
    with open(state) as f:
        saved = json.load(f)
    t.ok(saved["boot_id"] != "another" and int(saved["saved_ns"]) < 300 * 10**9, "saved by this boot", saved)
    t.ok([int(d["age_ns"]) // 10**9 >= 400 for d in saved["deaths"]] == [True], "no younger", saved)


sys.exit(main([ready_in_vain, ready_with_the_route, ready_with_a_found_route, ready_in_a_dry_run,
               ready_when_an_interface_has_come, ready_by_bootstrap, first_route_leaves_what_goes_on, first_route_to_another_node,
               first_route_where_answers_get_lost, died_before_the_boot],
              parallel=5))
