# SPDX-License-Identifier: Apache-2.0
"""Failover and failback, measured by the lab's meter on an echo stream and a TCP stream.

Bounds are the README's (window + half a select-timeout + 20 ms) plus what the route command took where there is one,
and what a busy machine may add: the time in which the meter or the agent was ready and did not run, and SLACK_MS.
Distributions are the business of `reroute bench`."""
import sys
import time

from harness import BY_COMMAND, NO_RESET, NO_SWAP, log_time, main
from netlab.wait import wait_for
from world import IPV4_SECONDARY

SLACK_MS = 200
LOOK_S = 12 if BY_COMMAND else 0  # where no event tells of an interface: every 10 s, and what the look takes


def check_refreshes(t, world, service, monitor, old, new, since):
    """Seen by the cluster: the new session named while the route still led to the old node, and again after."""
    def named():
        return [r for r in service.seen("PUT", since) if service.node_of(r.path.rsplit("/", 1)[1]) is new]

    t.eventually(lambda: any(r.route == new.address("data") for r in named()), "told again after the route moved",
                 detail=lambda: service.seen("PUT", since))
    t.ok(any(r.route == old for r in named()), "told before the route moved", service.seen("PUT", since))
    t.ok(all(world.host.address(n) in r.body for r in named() for n in world.networks), "with all our addresses",
         named())


def retransmitted_ms(bound_ms):
    """Until a connection that nobody resets has come back: the new node resets it when it hears of it, which is at the
    first retransmission after the route moved. They come 0.2, 0.6, 1.4, 3 s after what was lost: 1.5 s for a window of
    a second and a command that takes less than 0.3 s."""
    at_ms = 200
    while at_ms < bound_ms:
        at_ms = 2 * at_ms + 200
    return at_ms + 100


def pull_cable(t, world, service, agent, meter, bound_ms):
    """The local data cable: pulled, and both streams come back in time. Where the route went."""
    home = world.node(1)
    count = {s: len(meter.interruptions(s)) for s in ("icmp", "tcp")}
    starved_s, began = agent.starved_s(), time.time()
    world.cut(home, "data")
    t.eventually(lambda: all(len(meter.interruptions(s)) > count[s] for s in count), "both streams come back",
                 detail=lambda: meter.events)
    t.eventually(lambda: agent.get("next_hop") in [n.address("data") for n in world.nodes
                                                   if n.zone == home.zone and n is not home],
                 "the route is at a node of the same zone", detail=agent.status)
    slack_ms = SLACK_MS + 1000 * (agent.starved_s() - starved_s)
    moved_ms = bound_ms + 1000 * t.command_s(world, began)
    for stream in count:
        found = meter.interruptions(stream)[count[stream]:]
        worst = max((e["length_ms"] - e["own_ms"] for e in found), default=0)
        limit_ms = retransmitted_ms(moved_ms + slack_ms) if NO_RESET and stream == "tcp" else moved_ms + slack_ms
        t.ok(found and worst <= limit_ms, f"{stream} was away for no longer than {bound_ms} ms, the command and slack",
             found)
        t.note(f"{stream} was away for {worst:.0f} ms of {bound_ms}, the command took {moved_ms - bound_ms:.0f}")
    return agent.get("next_hop")


def held_s(agent, address):
    """For how long the path was up when the newest switch went to it, by the log."""
    switch = agent.events("switch")[-1]
    up = [event for event in agent.events("path-up") if event["path"] == address][-1]
    return log_time(switch) - float(switch["replace_us"]) / 1e6 - log_time(up)


def cables(t, timeout_ms, count):
    world, service, monitor = t.cluster(settings=dict(nodes=6, zones=("north", "south")), lease=60)
    home = world.node(1)
    agent = t.agent(world, timeout=f"{timeout_ms}ms", count=count, hold="3s", candidate="100ms",
                    route='stay = "0s"')  # the next failure follows at once
    t.eventually(agent.settled(home.address("data")), "at home")
    meter = t.meter(world, "--connect-timeout", "20")
    t.eventually(lambda: meter.has_begun("icmp", "tcp"), "traffic flows")
    bound_ms = timeout_ms * (count + 0.5) + 20

    # The first time: home after hold, by itself, and nobody notices.
    to = pull_cable(t, world, service, agent, meter, bound_ms)
    plugged, began = time.monotonic(), time.time()
    world.plug(home, "data")
    t.eventually(agent.on(home.address("data")), "home again")
    t.ok(monitor.gateway() == home.address("data"), "in the kernel too", monitor.events)
    held = held_s(agent, home.address("data"))
    t.ok(3.0 - 3 * 0.1 <= held <= 3.0 + SLACK_MS / 1000, "exactly after hold", held)
    check_refreshes(t, world, service, monitor, to, home, plugged)
    t.ok(not meter.interruptions("icmp", plugged + 0.5), "coming home lost no echo and failed no send", meter.events,
         unless=NO_SWAP)
    limit_ms = SLACK_MS + 1000 * t.command_s(world, began)
    t.ok(all(e["length_ms"] - e["own_ms"] < (retransmitted_ms(limit_ms) if NO_RESET else limit_ms)
             for e in meter.interruptions("tcp", plugged + 0.5)), "and a TCP client reconnected at once", meter.events)

    # Again: home by a person's word, for each failure doubles the hold.
    for _ in range(2):
        to = pull_cable(t, world, service, agent, meter, bound_ms)
        world.plug(home, "data")
        plugged = time.monotonic()
        t.eventually(lambda: (agent.get("failback") or {}).get("to") == home.address("data"), "a countdown")
        code, _, error = agent.command("failback", "--now")
        t.ok(code == 0, "failback --now", error)
        t.eventually(agent.on(home.address("data")), "home at once", detail=agent.status)
        check_refreshes(t, world, service, monitor, to, home, plugged)
    t.ok(len(agent.switches()) == 7, "no other switch", agent.switches())
    t.ok(len([e for e in meter.interruptions("icmp") if e["lost"] > 2]) == 3, "no other interruption",
         meter.interruptions("icmp"), unless=NO_SWAP)
    summary = meter.finish()
    t.ok(summary["icmp"]["errors"] == 0, "no send ever failed", summary, unless=NO_SWAP)
    t.ok([e.kind for e in monitor.events].count("delete") == 0, "never a moment without a route", monitor.events,
         unless=NO_SWAP)
    refused = [e for e in agent.events("connections-reset") if "error" in e]
    t.ok(len(refused) == bool(NO_RESET), "that no connection can be reset is said once", refused)


def cable_100x10(t):
    cables(t, 100, 10)


def cable_20x3(t):
    cables(t, 20, 3)


def host_cable(t):
    """The host's storage network gone: management with traffic flowing, and back; one move each, no damping."""
    world, service, monitor = t.cluster(settings=dict(nodes=5, zones=("north", "south")))
    home = world.node(1)
    agent = t.agent(world, hold="2s", route='stay = "0s"')  # the next failure follows at once
    t.eventually(agent.settled(home.address("data")), "at home")
    meter = t.meter(world)
    t.eventually(lambda: meter.has_begun("icmp", "tcp"), "traffic flows")
    ways = {"cable": (lambda: world.cut(world.host, "data"), lambda: world.plug(world.host, "data")),
            "interface": (lambda: world.host.ip("link", "set", world.host.interface("data"), "down"),
                          lambda: world.host.ip("link", "set", world.host.interface("data"), "up")),
            "switch": (lambda: world.switch_off("data"), lambda: world.switch_on("data"))}
    for name, (down, up) in ways.items():
        before = len(agent.switches())
        began, cut, starved_s = time.monotonic(), time.time(), agent.starved_s()
        down()
        t.eventually(agent.on(home.address("management")), f"{name}: management", detail=agent.status)
        t.ok(len(agent.switches()) == before + 1, f"{name}: one move", agent.switches())
        # A connection that nobody resets keeps the address of the network that is gone.
        t.ok(NO_RESET or wait_for(lambda: meter.interruptions("tcp", began)), f"{name}: traffic flows there",
             meter.events, unless=NO_RESET)
        # An echo that was lost is known by then; there may be none.
        t.ok(wait_for(meter.answered(400)), f"{name}: and goes on", meter.events)
        worst = max((e["length_ms"] - e["own_ms"] for e in meter.interruptions("icmp", began)), default=0)
        limit_ms = 270 + 1000 * t.command_s(world, cut) + SLACK_MS + 1000 * (agent.starved_s() - starved_s)
        t.ok(worst < limit_ms, f"{name}: within the window", worst)
        t.note(f"{name}: away for {worst:.0f} ms")
        t.ok(agent.access(home.name)["failures"] == 0, f"{name}: not counted against the local access")
        back, starved_s = time.monotonic(), agent.starved_s()
        up()
        t.eventually(agent.on(home.address("data")), f"{name}: home", detail=agent.status)
        held = held_s(agent, home.address("data"))
        most = 2.0 + 1.0 + LOOK_S + SLACK_MS / 1000 + agent.starved_s() - starved_s
        t.ok(2.0 - 3 * 0.2 <= held < most, f"{name}: after hold", held)
        t.ok(len(agent.switches()) == before + 2, f"{name}: one move back", agent.switches())
    t.ok(not [e for e in meter.interruptions("icmp", back + 0.5) if e["lost"]], "coming home lost nothing",
         unless=NO_SWAP)


def session_dies(t):
    """The storage process dies, the node answers pings: left when its lease is gone and two lists say so."""
    world, service, monitor = t.cluster(settings=dict(nodes=5), lease=3, envelope="data")
    home = world.node(1)
    agent = t.agent(world, hold="2s")
    t.eventually(agent.settled(home.address("data")), "at home")
    service.stop(home)
    t.ok(wait_for(lambda: not service.is_listed(home), 8), "its lease ends")
    gone = time.monotonic()
    t.ok(agent.get("next_hop") == home.address("data"), "not left before", agent.log())
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "left", detail=agent.status)
    moved = monitor.events[-1].at
    lists = [r for r in service.seen("GET", gone - 0.05) if r.at < moved]
    t.ok(len(lists) >= 2, "after two lists", lists)
    t.ok(agent.get("reason") == "session-dead", "and it says why", agent.status())
    t.ok(moved - gone < 6, "in seconds", moved - gone)
    t.ok(agent.path(home.address("data"))["up"], "though it answers pings")
    service.start(home)
    t.eventually(agent.on(home.address("data")), "home when its new session is stable", detail=agent.status)


def restarting_process(t):
    """A process that restarts every second and a half, while its node answers pings: left once, not returned to."""
    world, service, monitor = t.cluster(settings=dict(nodes=4))
    home = world.node(1)
    agent = t.agent(world, hold="4s")
    t.eventually(agent.settled(home.address("data")), "at home")
    uuids = {service.uuid(home)}
    for i in range(8):
        service.restart(home, keep_old=i % 2)
        uuids.add(service.uuid(home))
        t.eventually(lambda: agent.access(home.name).get("uuid") == service.uuid(home), "its new session is seen")
        t.ok(wait_for(service.asked(2)), "and so is the next list")
        if i == 1:
            t.ok(agent.switches()[1:] == [], "two restarts are none of our business", agent.switches())
            t.eventually(lambda: service.entered(world.host.address("data")) == [home], "but each new session is told")
    t.ok(len(agent.switches()) == 2 and agent.switches()[1][2] == "restarting", "left once, after the third",
         agent.switches())
    t.ok(agent.access(home.name)["restarts"] >= 3, "they are counted", agent.status())
    t.ok(not agent.path(home.address("data"))["eligible"], "not eligible now", agent.status())


def flapping_node(t):
    """A node that goes off and on again faster than hold: one switch. From the second failure that moves the route on
    each doubles the hold; what happens while the route is elsewhere does not count."""
    world, service, monitor = t.cluster(settings=dict(nodes=4), lease=30)
    home = world.node(1)
    agent = t.agent(world, hold="2s")
    t.eventually(agent.settled(home.address("data")), "at home")

    def flap(hold_s, what):
        world.power(home, False)
        t.eventually(lambda: agent.path(home.address("data")).get("up") is False, f"{what}: down")
        world.power(home, True)
        t.eventually(lambda: (agent.get("failback") or {}).get("hold_s") == hold_s, f"{what}: hold {hold_s} s",
                     detail=agent.status)

    flap(2, "the first failure")
    flap(2, "while the route is elsewhere")
    t.ok(len(agent.switches()) == 2, "no ping-pong", agent.switches())
    t.eventually(agent.on(home.address("data")), "home after hold")
    flap(4, "the second failure")
    t.eventually(agent.on(home.address("data")), "home when it has been up for that long")


def other_zone(t):
    """Where it goes when nodes die one after the other: same zone, other zone, management last."""
    world, service, monitor = t.cluster(settings=dict(nodes=6, zones=("north", "south"), local=2))
    agent = t.agent(world, hold="60s")
    t.eventually(agent.settled(world.node(2).address("data")), "at home")
    north = {n.address("data"): n for n in world.nodes[:3]}
    seen = [world.node(2)]
    for _ in range(2):
        world.power(seen[-1], False)
        t.eventually(lambda: agent.get("next_hop") not in (None, seen[-1].address("data")), "moves on")
        where = agent.get("next_hop")
        t.ok(where in north, "within the zone", where)
        seen.append(north.get(where))
    world.power(seen[-1], False)
    south = [n.address("data") for n in world.nodes[3:]]
    t.eventually(lambda: agent.get("next_hop") in south, "then to the other zone", detail=agent.status)
    for node in world.nodes[3:]:
        world.cut(node, "data")
    t.eventually(lambda: agent.get("tier") == "management", "management last", detail=agent.status)
    t.ok(agent.get("next_hop") in [n.address("management") for n in world.nodes[3:]], "of a node that lives")


def many_accesses(t):
    """Five hundred accesses, of which six live: the same bound, and next to no work when nothing happens."""
    world, service, monitor = t.cluster(settings=dict(nodes=6, zones=("north", "south")), lease=60)
    home = world.node(1)
    # One address each: the kernel has 1024 neighbours for all namespaces of the machine together.
    dead = "\n".join(f'access "gone{i}" {{ data = "{world.networks["data"].address(1024 + i)}" }}' for i in range(494))
    agent = t.agent(world, timeout="100ms", count=10, candidate="1s", top=dead)
    t.eventually(agent.settled(home.address("data")), "at home", detail=agent.log)
    meter = t.meter(world, "--connect-timeout", "20")
    t.eventually(lambda: meter.has_begun("icmp", "tcp"), "traffic flows")
    pull_cable(t, world, service, agent, meter, 100 * 11 + 20)
    t.ok(len(agent.switches()) == 2, "no detours", agent.switches())


def secondary(t):
    """A secondary storage network, twelve nodes: the local secondary address comes first, also for the host's cable."""
    world, service, monitor = t.cluster(settings=dict(nodes=12, zones=("a", "b", "c"), local=7,
                                                   networks=IPV4_SECONDARY))
    home = world.node(7)
    agent = t.agent(world, hold="2s", route='stay = "0s"')  # the next failure follows at once
    t.eventually(agent.settled(home.address("data")), "at home")
    world.cut(world.host, "data")
    t.eventually(agent.on(home.address("secondary")), "the host's data cable: the local secondary", detail=agent.status)
    world.plug(world.host, "data")
    t.eventually(agent.on(home.address("data")), "home", detail=agent.status)
    world.cut(home, "data")
    t.eventually(agent.on(home.address("secondary")), "the node's data cable: the same", detail=agent.status)
    world.cut(home, "secondary")
    zone = [n.address("data") for n in world.nodes if n.zone == "b" and n is not home]
    t.eventually(lambda: agent.get("next_hop") in zone, "both: data of another node in the zone", detail=agent.status)
    t.ok(len(agent.departures()) == 4, "no detours", agent.switches())
    choice = agent.get("next_hop")
    agent.kill()
    world.host.ip("route", "del", world.service)
    agent.start()
    t.eventually(lambda: agent.get("next_hop") is not None, "a new start from nothing", detail=agent.status)
    t.ok(agent.get("next_hop") == choice, "a host's choice among equals does not change", agent.status())


def out_and_back(t):
    """Home is back when the next node fails too: not there, where it still has its half of the host's connections."""
    world, service, monitor = t.cluster(settings=dict(nodes=3), lease=60)
    home = world.node(1)
    agent = t.agent(world, hold="60s", route='stay = "60s"')
    t.eventually(agent.settled(home.address("data")), "at home")
    world.cut(home, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "out", detail=agent.status)
    second = next(n for n in world.nodes if n.address("data") == agent.get("next_hop"))
    third = next(n for n in world.nodes if n not in (home, second))
    world.plug(home, "data")
    t.eventually(lambda: agent.path(home.address("data"))["up"], "home is back", detail=agent.status)
    world.cut(second, "data")
    t.eventually(agent.on(third.address("data")), "the third node", detail=agent.status)
    t.ok([to for _, to, _ in agent.switches()] == [n.address("data") for n in (home, second, third)],
         "and not home on the way", agent.switches())


sys.exit(main([cable_100x10, cable_20x3, host_cable, session_dies, restarting_process, flapping_node, other_zone,
               secondary, many_accesses, out_and_back], parallel=4))
