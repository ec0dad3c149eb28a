# SPDX-License-Identifier: Apache-2.0
"""The route when others touch it, and when its interface or address goes and comes."""
import json
import os
import sys
import time

from harness import BY_COMMAND, log_time, main, stays
from netlab.namespace import batch, cable
from netlab.wait import wait_for


def one_of_ours(monitor, gateway):
    routes = monitor.standing()
    return len(routes) == 1 and routes[0].gateway == gateway and (routes[0].protocol == 213 or BY_COMMAND)


def by_hand(t):
    """Deleted; replaced by another gateway, protocol and both; all of it put right, at once."""
    world, service, monitor, agent, home = t.settled()
    other, away = world.node(2).address("data"), world.service
    host = world.host
    for what, command in (
            ("deleted", ["del", away]),
            ("replaced by another gateway", ["replace", away, "via", other]),
            ("replaced by another protocol", ["replace", away, "via", home, "proto", "static"]),
            ("replaced by a blackhole", ["replace", "blackhole", away]),
            ("replaced by one on-link", ["replace", away, "dev", host.interface("data")])):
        repairs, changes = agent.get("repairs"), monitor.changes()
        began = time.monotonic()
        host.ip("route", *command)
        t.eventually(lambda: monitor.changes() > changes + 1 and one_of_ours(monitor, home), f"{what}: put right",
                     detail=monitor.standing)
        t.ok(time.monotonic() - began < 1.5, f"{what}: soon", time.monotonic() - began)
        t.eventually(lambda: agent.get("repairs") == repairs + 1, f"{what}: counted once", detail=agent.status)
    t.ok(len(agent.switches()) == 1, "none of it is a switch", agent.switches())
    # Somebody who does it over and over: put right, but not in a storm.
    changes, began = monitor.changes(), time.monotonic()
    while time.monotonic() - began < 2:
        host.ip("route", "replace", away, "via", other)
    t.eventually(lambda: one_of_ours(monitor, home), "after a quarrel too", detail=monitor.standing)
    t.ok(agent.get("repairs") < 60, "its rate is bounded", agent.get("repairs"))


def shadowed(t):
    """A foreign route that hides ours is reported and left alone."""
    world, service, monitor, agent, home = t.settled(route="metric = 50")
    other = world.node(2).address("data")
    world.host.ip("route", "add", world.service, "via", other, "metric", "10")
    t.eventually(lambda: other in (agent.get("shadowed_by") or ""), "lower metric: reported", detail=agent.status)
    code, out, _ = agent.command("status")
    t.ok(code == 0 and "WARNING" in out, "in the table for people too", out)
    t.ok(agent.events("shadowed"), "and in the log")
    t.ok(stays(lambda: len(monitor.standing()) == 2, agent.up(home, 1)), "left alone", monitor.standing())
    t.ok(len(agent.events("shadowed")) == 1, "said once", agent.log())
    agent.kill()
    agent.start()
    t.eventually(lambda: other in (agent.get("shadowed_by") or ""), "reported again after a restart",
                 detail=agent.status)
    t.ok(agent.get("next_hop") == home, "which adopts our own route, not the one that hides it", agent.status())
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (home, None), "a switch goes on underneath")
    t.ok([r.gateway for r in monitor.standing() if r.metric == 10] == [other], "the foreign one untouched",
         monitor.standing())
    world.host.ip("route", "del", world.service, "metric", "10")
    t.eventually(lambda: agent.get("shadowed_by") is None, "gone: reported too")
    world.host.ip("rule", "add", "to", world.service, "lookup", "77")
    world.host.ip("route", "add", world.service, "via", world.node(3).address("data"), "table", "77")
    t.eventually(lambda: agent.get("shadowed_by"), "a rule that leads to another table: reported", seconds=15,
                 detail=agent.status)


def standing_at_our_key(t):
    """A foreign route stands where ours would: there before us, or prepended. Reported, not removed."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    host, away = world.host, world.service
    home, other = world.node(1).address("data"), world.node(2).address("data")

    def foreign(gateway):
        return [r for r in monitor.standing() if r.gateway == gateway and r.protocol != 213]

    host.ip("route", "add", "blackhole", away, "proto", "static")
    agent = t.agent(world)
    t.eventually(lambda: all(p["up"] for p in agent.status().get("paths", [{"up": False}])), "every path is up")
    t.eventually(lambda: "blackhole" in (agent.get("shadowed_by") or ""), "a blackhole: reported",
                 detail=agent.status)
    t.ok(agent.events("shadowed"), "in the log too", agent.log())
    t.ok(stays(lambda: foreign(None), agent.up(home, 2)), "and left alone", monitor.events)
    t.ok(len(agent.events("shadowed")) == 1, "said once", agent.log())
    host.ip("route", "del", "blackhole", away)
    t.eventually(lambda: one_of_ours(monitor, home), "gone: our route", detail=monitor.standing)
    t.eventually(lambda: agent.get("shadowed_by") is None, "which nothing hides", detail=agent.status)

    host.ip("route", "prepend", away, "via", other, "proto", "static")
    t.eventually(lambda: other in (agent.get("shadowed_by") or ""), "prepended: reported", detail=agent.status)
    t.ok(stays(lambda: foreign(other), agent.up(home, 1)), "and left alone", monitor.events)
    world.cut(world.node(1), "data")
    t.eventually(lambda: not agent.path(home)["up"], "the path below it fails", detail=agent.status)
    t.ok(stays(lambda: foreign(other), agent.up(other, 1.5)), "no switch takes it away", monitor.events)
    world.plug(world.node(1), "data")
    host.ip("route", "del", away, "via", other, "proto", "static")
    t.eventually(lambda: agent.get("shadowed_by") is None and one_of_ours(monitor, agent.get("next_hop")),
                 "gone: ours alone", detail=agent.status)
    t.eventually(lambda: one_of_ours(monitor, home), "and home", detail=agent.status)
    host.ip("route", "replace", away, "via", other, "proto", "static")
    t.eventually(lambda: one_of_ours(monitor, home), "one that took the place of ours: put right",
                 detail=monitor.standing)


def refused(t):
    """The kernel refuses a route: the next candidate is tried at once, not when something else is due."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    agent = t.agent(world, timeout="1s", count=2, candidate="1s")
    t.eventually(agent.settled(world.node(1).address("data")), "at home")
    device, prefix = world.host.interface("data"), str(world.networks["data"].prefix)
    # The addresses stay and so do the probes' ways; but no gateway there is on-link for the kernel.
    world.host.ip("route", "del", prefix, "dev", device)
    service.stop(world.node(1))  # seen in a list: no reply that comes meanwhile gives the agent something to do
    t.eventually(lambda: agent.get("tier") == "management", "management in the end", detail=agent.status)
    tried = agent.events("switch-failed") + agent.events("switch")[-1:]
    t.ok(len(tried) == 3, "after both data paths were refused", tried)
    took = log_time(tried[-1]) - log_time(tried[0])
    t.note(f"three candidates in {1000 * took:.0f} ms")
    # What else is due comes after a second.
    t.ok(took < 0.5 + t.command_s(world, log_time(tried[0]) - 0.5), "one after the other, at once", tried)


def saved_paths(agent):
    with open(os.path.join(agent.state_directory, "state.json"), encoding="utf-8") as f:
        return [path["address"] for path in json.load(f)["paths"]]


def restarts(t):
    """kill -9 and a new start, an upgrade in the middle of a countdown: the route is not touched."""
    world, service, monitor, agent, home = t.settled(hold="8s")
    changes = monitor.changes()
    agent.kill()
    t.ok(monitor.gateway() == home, "a killed agent leaves the route")
    agent.start()
    t.eventually(agent.settled(home), "adopted by the next one", detail=agent.status)
    t.ok(agent.get("reason") == "adopted" and agent.get("switches") == 0, "and nothing else", agent.status())
    t.ok(monitor.changes() == changes, "no route event at all", monitor.events)

    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (home, None), "failover")
    world.plug(world.node(1), "data")
    t.eventually(lambda: agent.path(home).get("up_s"), "up again")
    up = time.monotonic()
    changes = monitor.changes()
    t.eventually(lambda: ((agent.get("failback") or {}).get("in_s") or 9) < 5, "the countdown runs")
    t.ok(agent.terminate() == 0, "an upgrade: SIGTERM")
    agent.start()
    t.eventually(lambda: agent.path(home).get("up_s"), "the new one runs")
    t.ok(monitor.changes() == changes, "the route was not touched", monitor.events)
    t.ok(agent.path(home)["up_s"] > 2.5, "and the time of health was kept", agent.path(home))
    t.eventually(agent.on(home), "home", detail=agent.status)
    t.ok(7.5 < time.monotonic() - up < 11, "after the same hold", time.monotonic() - up)
    # A crash in the same situation: what was saved last counts.
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (home, None), "failover again")
    t.eventually(lambda: home not in saved_paths(agent), "that it is down is on disk")  # a thread writes
    agent.kill()
    world.plug(world.node(1), "data")
    changes = monitor.changes()
    agent.start()
    t.eventually(lambda: agent.path(home).get("up_s") is not None, "a path that came up while nobody looked")
    t.ok(agent.path(home)["up_s"] < 3 and monitor.changes() == changes, "starts its hold anew", agent.path(home))


def interface(t):
    """Down and up; its address removed and added again; the interface deleted and made again."""
    world, service, monitor, agent, home = t.settled(hold="1s", route='stay = "0s"')  # the next failure follows at once
    host, management = world.host, world.node(1).address("management")
    device, address = host.interface("data"), host.address("data")

    host.ip("link", "set", device, "down")
    t.eventually(agent.on(management), "down: management", detail=agent.status)
    t.ok("interface is down" in agent.path(home)["why"], "and says why", agent.path(home))
    t.ok(agent.switches()[-1][2] == "link-down", "its reason", agent.switches())
    downs = agent.events("path-down")
    t.ok(downs and all("interface is down" in e.get("reason", "") for e in downs), "the log says why too", downs)
    host.ip("link", "set", device, "up")
    t.eventually(agent.on(home), "up: home", detail=agent.status)

    host.ip("address", "del", f"{address}/20", "dev", device)
    t.eventually(agent.on(management), "without an address: management", detail=agent.status)
    t.ok("not on-link" in agent.path(home)["why"], "and says why", agent.path(home))
    host.ip("address", "add", f"{address}/20", "dev", device)
    t.eventually(agent.on(home), "with it: home", detail=agent.status)

    switches, index = len(agent.switches()), monitor.standing()[0].interface
    host.ip("link", "del", device)
    t.eventually(agent.on(management), "interface deleted: management", detail=agent.status)
    batch(world.switch, [cable("data0", "data", device, host.namespace)])
    host.ip("address", "add", f"{address}/20", "dev", device)
    host.ip("link", "set", device, "up")
    t.eventually(agent.on(home), "made again, with another index: home", detail=agent.status)
    t.ok(monitor.standing()[0].interface != index, "through the new one", monitor.standing())
    t.ok(len(agent.switches()) == switches + 2, "no detours", agent.switches())


def only_one_network(t):
    """No management network at all: the interface goes and comes, and the route with it."""
    world, service, monitor = t.cluster(settings=dict(nodes=3, networks=[("data", "10.77.16.0/20", "eth0", "p1")]))
    agent = t.agent(world, hold="1s")
    home = world.node(1).address("data")
    t.eventually(agent.settled(home), "at home")
    device = world.host.interface("data")
    world.host.ip("link", "set", device, "down")
    t.eventually(lambda: agent.get("decision") == "nothing-eligible", "says so", detail=agent.status)
    t.ok(monitor.standing() == [], "the kernel took the route", monitor.standing())
    world.host.ip("link", "set", device, "up")
    t.eventually(lambda: one_of_ours(monitor, agent.get("next_hop")), "the route is back", detail=monitor.standing)
    world.switch_off("data")
    t.eventually(lambda: agent.get("decision") == "nothing-eligible", "everything silent: says so")
    t.ok(stays(lambda: len(monitor.standing()) == 1, agent.asks(40)), "but keeps the last way", monitor.standing())
    world.switch_on("data")
    t.eventually(lambda: agent.get("decision") in ("best", "hold", "wait-stable"), "and goes on")


def adopted_by_hand(t):
    """An adopted route is deleted: what the agent puts there is its own."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1).address("data")
    world.host.ip("route", "add", world.service, "via", home, "metric", "40", "proto", "static")
    changes = wait_for(monitor.changes)
    agent = t.agent(world)
    t.eventually(agent.settled(home), "adopted")
    t.ok(stays(lambda: monitor.changes() == changes, agent.up(home, 2)), "left alone", monitor.events)
    world.host.ip("route", "del", world.service, "metric", "40")
    t.eventually(lambda: one_of_ours(monitor, home), "put back as ours", detail=monitor.standing)


sys.exit(main([restarts, by_hand, shadowed, standing_at_our_key, interface, refused, only_one_network,
               adopted_by_hand], parallel=4))
