# SPDX-License-Identifier: Apache-2.0
"""What packets to the service really do: ICMP redirects, rules and blackholes, an emptied table, a very full one."""
import os
import statistics
import sys
import threading
import time
import urllib.request

from harness import log_time, main, stays
from netlab.namespace import configure, inside
from netlab.wait import wait_for
from world import IPV6

SOON = 8  # by the look at the way that the agent takes each second, not by its look at all routes, every 10 s


def way(world):
    """What the kernel says of a packet to the service: its next hop, or why there is none."""
    text = world.host.run("sh", "-c", f"ip route get {world.service} 2>&1 || true").split()
    return text[text.index("via") + 1] if "via" in text else " ".join(text)


def send(world, count=4):
    world.host.run("ping", "-n", "-q", "-c", str(count), "-i", "0.2", "-W", "1", world.service, check=False)


def forward(world, node, gateway):
    """The node has lost the service's address and passes on what comes for it: it sends redirects."""
    interface = node.interface("data")
    if world.six:
        configure(node.namespace, ["net.ipv6.conf.all.forwarding=1"])
        node.ip("-6", "address", "del", f"{world.service}/128", "dev", "lo")
        node.ip("-6", "route", "add", world.service, "via", gateway, "dev", interface)
        return
    configure(node.namespace, ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=1",
                               f"net.ipv4.conf.{interface}.send_redirects=1"])
    node.ip("address", "del", f"{world.service}/32", "dev", "lo")
    node.ip("route", "add", world.service, "via", gateway, "dev", interface)


def serve(world, node):
    node.ip("route", "del", world.service)
    node.ip("address", "add", f"{world.service}/{128 if world.six else 32}", "dev", "lo",
            *(["nodad"] if world.six else []))


def heed_redirects(world):
    for family in ("ipv4",) if not world.six else ("ipv6",):
        for name in ("all", world.host.interface("data")):
            configure(world.host.namespace, [f"net.{family}.conf.{name}.accept_redirects=1"])


def detoured(t, world, agent, before, what):
    """Redirects come until the agent has undone one more: a node sends few of them a second, and none to a host
    that it has told often."""
    send(world, 2)
    return t.eventually(lambda: send(world, 1) or (agent.get("redirects") or 0) > before, what, detail=agent.status)


def redirected(t):
    """A node forwards for a while and redirects; undone at once, told as what it is, whatever becomes of the other."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    heed_redirects(world)
    agent = t.agent(world)
    home, other = world.node(1).address("data"), world.node(2).address("data")
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    t.ok([e["interface"] for e in agent.events("accepts-redirects")][:1] == [world.host.interface("data")],
         "warned about at the start", agent.log())
    changes, repairs = monitor.changes(), agent.get("repairs")
    world.host.run("ping", "-q", "-c", "1", other)
    forward(world, world.node(1), other)
    detoured(t, world, agent, 0, "a redirect: undone")
    serve(world, world.node(1))
    t.eventually(lambda: way(world) == home, "packets go home", seconds=SOON, detail=lambda: way(world))
    t.eventually(lambda: agent.get("packets") == "ours", "and the status says so", seconds=SOON, detail=agent.status)
    told = agent.events("redirect-undone")
    t.ok(len(told) == 1 and f"redirected via {other}" in told[0]["found"], "told once, as a redirect", agent.log())
    t.ok(not agent.events("shadowed") and agent.get("shadowed_by") is None, "nothing foreign", agent.log())
    t.ok(agent.get("repairs") == repairs and len(agent.switches()) == 1, "no repair, no switch", agent.status())
    t.ok(all(r.gateway == home and r.kind == "new" for r in monitor.events[changes:]), "never without a route",
         monitor.events)


def redirected_to_one_that_dies(t):
    """The redirects go on while the node that they point to dies."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    heed_redirects(world)
    agent = t.agent(world)
    home, other = world.node(1).address("data"), world.node(2).address("data")
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    world.host.run("ping", "-q", "-c", "1", other)
    forward(world, world.node(1), other)
    detoured(t, world, agent, 0, "a redirect: undone")
    world.power(world.node(2), False)
    send(world, 3)
    serve(world, world.node(1))
    t.eventually(lambda: way(world) == home, "packets go home", seconds=SOON, detail=lambda: way(world))
    t.ok(stays(lambda: way(world) == home, agent.up(home, 1)), "and stay there", way(world))
    t.ok(len(agent.switches()) == 1, "still no switch", agent.switches())


def redirected_with_a_neighbour(t):
    """Another route shares what the kernel learnt (a second agent's): undone all the same. Adopted ones too."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    heed_redirects(world)
    home, other = world.node(1).address("data"), world.node(2).address("data")
    for destination in (world.service, "198.18.7.10"):
        world.host.ip("route", "add", destination, "via", home, "proto", "213")
    world.host.run("ping", "-q", "-c", "1", other)
    forward(world, world.node(1), other)
    t.eventually(lambda: send(world, 1) or way(world) == other, "redirected before the agent starts",
                 detail=lambda: way(world))
    serve(world, world.node(1))
    world.host.ip("route", "replace", "198.18.7.10", "via", home, "proto", "213")
    agent = t.agent(world)
    t.eventually(agent.settled(home), "adopted", detail=agent.status)
    t.eventually(lambda: way(world) == home, "undone", seconds=SOON, detail=lambda: way(world))
    t.eventually(lambda: agent.get("packets") == "ours" and agent.get("redirects") == 1, "and told",
                 detail=agent.status)
    t.ok("198.18.7.10" in world.host.ip("route", "show", "198.18.7.10"), "the other route stands")


def redirected_ipv6(t):
    """IPv6: link-local next hops, the only ones whose redirects a host heeds."""
    world, service, monitor = t.cluster(settings=dict(nodes=3, networks=IPV6, service="fd00::2"))
    heed_redirects(world)
    device = world.host.interface("data")

    def link_local(node):
        text = node.ip("-6", "-o", "address", "show", "dev", node.interface("data"), "scope", "link").split()
        return text[3].split("/")[0]

    names = "\n".join(f'access "{n.name}" {{ local = {"true" if n.local else "false"} '
                      f'data = "{link_local(n)}%{device}" }}' for n in world.nodes)
    agent = t.agent(world, accesses=[], top=names, provider="none")
    home = link_local(world.node(1))
    t.eventually(lambda: way(world) == home, "at home", detail=agent.status)
    t.ok([e["interface"] for e in agent.events("accepts-redirects")] == [device], "warned about", agent.log())
    undone = agent.get("redirects")
    forward(world, world.node(1), link_local(world.node(2)))
    detoured(t, world, agent, undone, "a redirect: undone")
    serve(world, world.node(1))
    t.eventually(lambda: way(world) == home, "packets go home", seconds=SOON, detail=lambda: way(world))
    t.ok(agent.events("redirect-undone") and not agent.events("shadowed"), "told as a redirect", agent.log())
    t.ok(len(agent.departures()) == 1, "no switch", agent.switches())


def metrics(world):
    return inside(world.host.namespace, lambda: urllib.request.urlopen("http://127.0.0.1:9323/metrics").read().decode())


def nowhere(t):
    """Rules and missing rules: packets have no way though our route stands. Said at once, and when it is over."""
    world, _, monitor, agent, home = t.settled(top='metrics-listen = "127.0.0.1:9323"')
    for what, add, end, words in (
            ("a blackhole", ["add", "to", world.service, "blackhole", "pref", "100"], ["del", "pref", "100"], "blackhole"),
            ("unreachable", ["add", "to", world.service, "unreachable", "pref", "100"], ["del", "pref", "100"], ""),
            ("prohibit", ["add", "to", world.service, "prohibit", "pref", "100"], ["del", "pref", "100"], "prohibit"),
            ("no rule for the main table", ["del", "pref", "32766"], ["add", "pref", "32766", "lookup", "main"],
             "no route")):
        told = len(agent.events("no-way"))
        world.host.ip("rule", *add)
        t.eventually(lambda: agent.get("packets") == "nowhere", f"{what}: the status says so", seconds=SOON,
                     detail=agent.status)
        t.ok(words in (agent.get("shadowed_by") or "-"), f"{what}: and why", agent.status())
        t.eventually(lambda: len(agent.events("no-way")) == told + 1, f"{what}: and the log, once", detail=agent.log)
        t.ok("WARNING" in agent.command("status")[1], f"{what}: and the table for people", agent.command("status"))
        t.ok("reroute_route_present 0\n" in metrics(world), f"{what}: and the metrics", metrics(world))
        world.host.ip("rule", *end)
        t.eventually(lambda: agent.get("packets") == "ours" and agent.get("shadowed_by") is None,
                     f"{what}: over", seconds=SOON, detail=agent.status)
        t.eventually(lambda: len(agent.events("way-back")) == told + 1, f"{what}: and told", detail=agent.log)
    t.ok(agent.get("repairs") == 0 and len(agent.switches()) == 1, "nothing to repair", agent.status())
    # A route of a table that is asked before ours.
    world.host.ip("route", "add", "blackhole", world.service, "table", "77")
    world.host.ip("rule", "add", "to", world.service, "lookup", "77", "pref", "100")
    t.eventually(lambda: agent.get("packets") == "nowhere", "a blackhole in another table", seconds=SOON,
                 detail=agent.status)
    world.host.ip("route", "replace", world.service, "via", world.node(3).address("data"), "table", "77")
    t.eventually(lambda: agent.get("packets") == "shadowed" and "table 77" in (agent.get("shadowed_by") or ""),
                 "a way in another table is a shadow", seconds=SOON, detail=agent.status)
    t.ok("reroute_route_present 1\n" in metrics(world) and "reroute_route_shadowed 1\n" in metrics(world),
         "in the metrics too", metrics(world))
    world.host.ip("rule", "del", "pref", "100")
    t.eventually(lambda: agent.get("packets") == "ours", "over", seconds=SOON, detail=agent.status)


def flushed(t):
    """The main table is emptied. As soon as there is a connected network again the service has its route."""
    world, _, monitor, agent, home = t.settled()
    device, prefix = world.host.interface("data"), str(world.networks["data"].prefix)
    for what, back in (("the network itself", ["route", "add", prefix, "dev", device, "scope", "link"]),
                       ("a larger network", ["route", "add", "10.64.0.0/10", "dev", device, "proto", "kernel"])):
        failed, repaired = len(agent.events("route-repair-failed")), len(agent.events("route-repaired"))
        world.host.ip("route", "flush", "table", "main")
        t.eventually(lambda: len(agent.events("route-repair-failed")) == failed + 1, f"{what}: gone, and said",
                     detail=agent.log)
        t.eventually(lambda: agent.get("packets") == "nowhere", f"{what}: in the status too", detail=agent.status)
        age_s = agent.get("sessions")["list_age_s"]  # grows by the agent's clock: there is no way to a list
        t.ok(stays(lambda: not monitor.standing(), lambda: agent.get("sessions")["list_age_s"] > age_s + 1.2),
             f"{what}: it cannot stand")
        t.ok(len(agent.events("route-repair-failed")) == failed + 1, f"{what}: said once", agent.log())
        world.host.ip(*back)
        at = time.time()
        t.eventually(lambda: monitor.gateway() == home, f"{what}: back", detail=agent.status)
        t.eventually(lambda: len(agent.events("route-repaired")) == repaired + 1, f"{what}: told", detail=agent.log)
        took = log_time(agent.events("route-repaired")[-1]) - at
        t.note(f"{what}: {1000 * took:.1f} ms after the connected network")
        t.ok(took < 0.5, f"{what}: at once", took)  # the next look at the way is due within a second
        t.eventually(lambda: agent.get("packets") == "ours", f"{what}: all well", detail=agent.status)


def moves_on(t, world, agent):
    """Cuts off the node in use; the event of the switch to another one."""
    here = agent.get("next_hop")
    world.cut(next(n for n in world.nodes if n.address("data") == here), "data")
    t.eventually(lambda: agent.get("next_hop") not in (here, None), "failover", detail=agent.status)
    return agent.events("switch")[-1]


def full_table(t, routes=int(os.environ.get("REROUTE_TEST_ROUTES", "20000"))):
    """Many routes, and an address and a network that come and go all the time: failover is no later for it."""
    world, _, monitor, agent, home = t.settled(nodes=5, timeout="100ms", count=5)
    host, device = world.host, world.host.interface("management")
    gateway = world.node(2).address("management")
    host.run("ip", "-batch", "-", text="".join(
        f"route add 20.{i >> 16}.{i >> 8 & 255}.{i & 255}/32 via {gateway} dev {device}\n" for i in range(routes)))
    meter = t.meter(world)
    t.eventually(lambda: meter.has_begun("icmp"), "echoes flow", detail=lambda: meter.events)
    ended = threading.Event()

    def flap():
        text = "".join(f"address {verb} {address} dev {device}\n" for address in ("203.0.113.7/32", "198.51.100.7/24")
                       for verb in ("add", "del"))
        while not ended.wait(0.02):
            host.run("ip", "-batch", "-", text=text)

    flapping = threading.Thread(target=flap)
    flapping.start()
    silent_ms, replace_us, read_us = [], [], []
    try:
        t.eventually(lambda: agent.get("packets") == "ours", "all well", detail=agent.status)
        t.ok(wait_for(meter.answered(400)), "echoes go on", meter.events)
        for _ in range(3):
            switch = moves_on(t, world, agent)
            silent_ms.append(float(switch["silent_ms"]))
            replace_us.append(float(switch["replace_us"]))
            began = time.monotonic()
            monitor.read_all()
            read_us.append(1e6 * (time.monotonic() - began))
    finally:
        ended.set()
        flapping.join()
    silent, replaced, read = (statistics.median(values) for values in (silent_ms, replace_us, read_us))
    t.note(f"{routes} routes: silent for {silent:.0f} ms, replaced in {replaced:.0f} us, read in {read:.0f} us")
    t.ok(silent < 2 * (5 + 1) * 100, "in time", silent_ms)  # twice the window: the machine is busy
    t.ok(replaced < read / 4, "and without reading the table", (replace_us, read_us))
    host.ip("route", "del", world.service)
    t.eventually(lambda: agent.get("repairs") == 1 and monitor.gateway(), "what is removed comes back",
                 detail=agent.status)


sys.exit(main([full_table, nowhere, flushed, redirected, redirected_to_one_that_dies, redirected_with_a_neighbour,
               redirected_ipv6], parallel=4))
