# SPDX-License-Identifier: Apache-2.0
"""Interfaces come and go: a next hop "fe80::101%ed" is waited for before there is an "ed", and heals by itself when
ed is made anew with another index, or gets its name later."""
import os
import signal
import sys
import time

from harness import main
from netlab.namespace import batch
from world import IPV6

DEVICE = IPV6[0][2]


def unplug(world):
    """The interface goes altogether, not only its carrier."""
    world.host.ip("link", "del", DEVICE)


def replug(world, index, name=DEVICE):
    world.host.ip("link", "add", name, "index", str(index), "type", "veth", "peer", "name", "data0", "netns",
                  f"/proc/{os.getpid()}/fd/{world.switch}")
    batch(world.switch, ["link set data0 master data", "link set data0 up"])
    world.host.ip("link", "set", name, "up")


def next_hop(node):
    return f"fe80::{node.number:x}%{DEVICE}"


def link_local(t, management=True):
    """A world whose nodes have a link-local data address; the configuration names it, and the management network."""
    world, _, monitor = t.cluster(settings=dict(nodes=2, networks=IPV6, service="fd00::2"))
    for node in world.nodes:
        node.ip("address", "add", f"fe80::{node.number:x}/64", "dev", node.interface("data"), "nodad")
    agent = t.agent(world, start=False, hold="1s", provider="none")
    accesses = "".join(f'access "{n.name}" {{ local = {"true" if n.local else "false"} data = "{next_hop(n)}" '
                       + (f'management = "{n.address("management")}" ' if management else "") + "}\n"
                       for n in world.nodes)
    agent.write(agent.text(accesses=[], hold="1s", provider="none", top=accesses))
    return world, monitor, agent


def waits(agent, node):
    path = agent.path(next_hop(node))
    return path and path["why"] == f"interface {DEVICE} does not exist" and path["interface"] is None


def later(t):
    """Nothing in the configuration is wrong because its interface is not there yet."""
    world, monitor, agent = link_local(t)
    home = world.node(1)
    unplug(world)
    code, _, errors = agent.command("check-config")
    t.ok(code == 0 and errors.count(f"interface {DEVICE} does not exist now") == 2, "check-config warns", errors)
    agent.start()
    t.eventually(agent.on(home.address("management")), "starts on what there is", detail=agent.status)
    t.ok(waits(agent, home), "and says what it waits for", agent.path(next_hop(home)))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "a reload is no error either", detail=agent.log)
    replug(world, 1234, name="other")
    t.ok(waits(agent, home), "another name is another interface", agent.path(next_hop(home)))
    world.host.ip("link", "set", "other", "down")
    world.host.ip("link", "set", "other", "name", DEVICE)
    world.host.ip("link", "set", DEVICE, "up")
    t.eventually(agent.on(next_hop(home)), "there it is", detail=agent.status)
    code, _, errors = agent.command("check-config")
    t.ok(code == 0 and not errors, "no more warning", errors)


def anew(t):
    """Deleted and made again with another index: no signal, no restart, and never a stale index in words."""
    world, monitor, agent = link_local(t, management=False)
    home = world.node(1)
    agent.start()
    t.eventually(agent.on(next_hop(home)), "at home", detail=agent.status)
    for index in (4077, 4078):
        old = monitor.standing()[0].interface
        unplug(world)
        t.eventually(lambda: waits(agent, home), "its path waits", detail=agent.status)
        replug(world, index)
        made = time.monotonic()
        t.eventually(lambda: agent.path(next_hop(home)).get("up"), "made anew: up at once", seconds=8,
                     detail=agent.status)
        t.eventually(monitor.standing, "and the route is back", seconds=8, detail=agent.status)
        t.note(f"after {1000 * (time.monotonic() - made):.0f} ms")
        t.eventually(agent.on(next_hop(home)), "home", detail=agent.status)
        t.eventually(lambda: [(r.interface, r.gateway) for r in monitor.standing()] ==
                     [(index, next_hop(home).split("%")[0])], "through the new one", detail=monitor.standing)
        t.ok(f"%{old}" not in agent.log() + str(agent.status()), "by its name only", agent.log())
    t.ok(not agent.events("reload"), "without a signal", agent.log())


sys.exit(main([later, anew]))
