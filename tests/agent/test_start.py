# SPDX-License-Identifier: Apache-2.0
"""Cold start, as an operator meets it: what the agent waits for before the first route, and what it does when that
never comes; a route that stands already."""
import json
import os
import signal
import socket
import sys
import time

from harness import NO_MARK, main, stays
from netlab.namespace import inside
from netlab.wait import wait_for
from world import IPV4_SECONDARY


def cold_start(t):
    """The list arrives: the local access at once, without hold; the cluster is told."""
    world, service, monitor = t.cluster(settings=dict(nodes=6, zones=("east", "west"), local=3,
                                                      networks=IPV4_SECONDARY), envelope="sessions", alive="string")
    local = world.node(3)
    began = time.monotonic()
    agent = t.agent(world, hold="60s", poll="3s", wait="3s")
    t.eventually(agent.settled(local.address("data")), "the local data path", detail=agent.status)
    t.ok(time.monotonic() - began < 8, "within seconds", time.monotonic() - began)
    status = agent.status()
    t.ok(status["local"] and status["tier"] == "data" and status["access"] == local.name, "is known as local", status)
    t.ok(monitor.moves() == [local.address("data")], "one move", monitor.events)
    t.eventually(lambda: service.entered(world.host.address("data")) == [local], "the cluster knows where we enter")
    t.ok(service.entered(world.host.address("management")) == [local], "by every address of ours")
    ranks = {p["address"]: p["rank"] for p in status["paths"]}
    order = [local.address("data"), local.address("secondary"), world.node(1).address("data"),
             world.node(1).address("secondary"), world.node(6).address("data"), world.node(6).address("secondary"),
             local.address("management"), world.node(1).address("management"), world.node(6).address("management")]
    t.ok([ranks[a] for a in order] == sorted(set(ranks.values())), "ranks: locality, then the network", ranks)


def no_list(t):
    """No list ever: decided when the session timeout is over, on network evidence."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    service.behave("hang")
    agent = t.agent(world)
    t.eventually(lambda: agent.get("next_hop"), "a route without any list", detail=agent.status)
    t.ok(agent.get("tier") == "data", "in the storage network")
    t.ok(all(a["state"] == "unknown" for a in agent.status()["sessions"]["accesses"]), "all sessions unknown")
    first = agent.get("next_hop")
    service.behave("normal")
    t.eventually(agent.on(world.node(1).address("data")), "later the list names the local access: home after hold")
    t.ok(monitor.moves() == ([first] if first == world.node(1).address("data") else
                             [first, world.node(1).address("data")]), "without detours", monitor.events)


def only_management(t):
    world, service, monitor = t.cluster(settings=dict(nodes=3), envelope="top")
    for node in world.nodes:
        world.cut(node, "data")
    agent = t.agent(world, hold="2s", wait="3s")
    t.eventually(agent.on(world.node(1).address("management")), "the local management path", detail=agent.status)
    for node in world.nodes:
        world.plug(node, "data")
    t.eventually(agent.on(world.node(1).address("data")), "home when the storage network is there")
    t.ok(monitor.moves() == [world.node(1).address(n) for n in ("management", "data")], "one move", monitor.events)


def nothing_works(t):
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    for node in world.nodes:
        world.power(node, False)
    agent = t.agent(world)
    t.eventually(lambda: agent.get("decision") == "nothing-eligible", "says so", detail=agent.status)
    t.ok(monitor.standing() == [] and agent.get("next_hop") is None, "no route", monitor.standing())
    t.ok(agent.events("decision")[-1]["level"] == "error", "loudly", agent.log())
    code, out, _ = agent.command("status")
    t.ok(code == 0 and "no route yet" in out.splitlines()[0] and "via" not in out, "and to people", out)
    t.ok("no route yet" in agent.get("explanation") and "stays" not in agent.events("decision")[-1]["why"],
         "and does not say that a route stays", agent.status())
    for node in world.nodes:
        world.power(node, True)
    t.eventually(lambda: agent.get("tier") == "data", "takes what comes")
    t.ok(agent.events("switch")[0]["silent_ms"] == "none", "there was no path to be silent", agent.events("switch"))


def no_session_service(t):
    """provider none: stability is waived, hold is not."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    agent = t.agent(world, provider="none", hold="2s")
    first = wait_for(lambda: agent.get("next_hop"))
    t.ok(first and agent.get("tier") == "data", "a storage path", agent.status())
    t.ok(service.requests == [], "nobody was asked", service.requests)
    waits = [e["why"] for e in agent.events("decision") if e["reason"] == "cold-start" and e["action"] == "keep"]
    t.ok(waits and not any("list" in why for why in waits), "nor does it say that it waits for a list", waits)
    node = next(n for n in world.nodes if n.address("data") == first)
    world.cut(node, "data")
    t.eventually(lambda: agent.get("next_hop") not in (first, None) and agent.get("tier") == "data", "left")
    world.plug(node, "data")
    t.ok(stays(lambda: agent.get("next_hop") != first, agent.up(first, 3)), "equal rank never moves")


def bootstrap(t):
    """Accesses from the list; the saved list at the next start, when nobody answers."""
    world, service, monitor = t.cluster(settings=dict(nodes=5, local=4), envelope="top", alive="none")
    boot = ", ".join(f'"{n.address("data")}"' for n in world.nodes[:2])
    agent = t.agent(world, accesses=[], top=f"bootstrap = {{{boot}}}", hold="2s")
    local = world.node(4).address("data")
    t.eventually(agent.on(local), "finds the local access, which is not in the configuration", detail=agent.status)
    t.eventually(lambda: len(agent.status().get("paths", [])) == 5, "and all others", detail=agent.status)
    serves = lambda: {p["address"]: p["serves"] for p in agent.status()["paths"]}
    t.ok(set(serves().values()) == {None}, "no service is known", serves())
    world.cut(world.node(4), "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, local), "home is left", detail=agent.status)
    world.plug(world.node(4), "data")
    t.eventually(agent.on(local), "and returned to, though nothing serves there", detail=agent.status)
    listener = inside(world.node(4).namespace, lambda: socket.create_server((local, 2049)))
    t.eventually(lambda: serves()[local], "NFS is found where it is served", detail=agent.status)
    listener.close()
    t.eventually(lambda: agent.get("reason") == "service-check", "and the node left when it ends", detail=agent.status)
    t.ok(list(serves().values()).count(None) == 4, "though it was found at no other", serves())
    agent.write(agent.text(**agent.settings, timeout="60ms"))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "other probes, by a reload")
    t.ok(stays(lambda: serves()[local] is False, agent.up(local, 1)), "it is known still that this node should serve",
         serves())
    agent.write(agent.text(**agent.settings, session='service-check-window = "1s"'))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: len(agent.events("reload")) == 2, "another check, by a reload")
    t.eventually(lambda: serves()[local] is False, "it should serve still", detail=agent.status)
    t.ok(agent.terminate() == 0, "ends")
    world.host.ip("route", "del", world.service)
    service.behave("hang")
    agent.start()
    t.eventually(lambda: agent.get("next_hop"), "from the saved list", detail=agent.status)
    t.ok(len(agent.status()["paths"]) == 5, "all its addresses", agent.status())
    t.ok(all(a["state"] == "unknown" for a in agent.status()["sessions"]["accesses"]), "but no liveness")


def odd_bootstrap(t):
    """Entries of the list that can be no access of this service: no path, and no new table at each list."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    service.extra += [{"uuid": "six", "ip": "fd77:1::9", "alive_sec": 5000},
                      {"uuid": "six-too", "ip": "", "secondary_data_ip": "fd77:1::10", "alive_sec": 5000},
                      {"uuid": "service", "ip": world.service, "alive_sec": 5000},
                      {"uuid": "half", "ip": "10.77.16.250", "secondary_data_ip": "fd77:1::11", "alive_sec": 5000},
                      {"uuid": "loop", "ip": "10.77.16.251", "secondary_data_ip": world.service, "alive_sec": 5000}]
    agent = t.agent(world, accesses=[], top=f'bootstrap = {{"{world.node(2).address("data")}"}}')
    t.eventually(agent.on(world.node(1).address("data")), "at home", detail=agent.status)
    asked = len(service.seen("GET"))
    t.eventually(lambda: len(service.seen("GET")) >= asked + 8, "several lists", detail=lambda: service.requests)
    t.ok(len(agent.events("accesses")) == 1, "one table", agent.events("accesses"))
    expected = {n.address("data") for n in world.nodes} | {"10.77.16.250", "10.77.16.251"}
    t.ok({p["address"] for p in agent.status()["paths"]} == expected, "paths for what can be one", agent.status())
    service.extra.append({"uuid": "more", "ip": "10.77.16.252", "alive_sec": 5000})
    t.eventually(lambda: agent.path("10.77.16.252"), "one more that can be", detail=agent.status)
    t.ok(len(agent.events("accesses")) == 2, "makes a new table", agent.events("accesses"))


def file_provider(t):
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    path = os.path.join(t.directory, "list.json")

    def write(nodes):
        with open(path + ".new", "w") as f:
            json.dump([e for e in service.entries() if e["ip"] in [n.address("data") for n in nodes]], f)
        os.rename(path + ".new", path)

    write(world.nodes)
    agent = t.agent(world, provider="file", session=f'file = "{path}"', hold="2s")
    home = world.node(1).address("data")
    t.eventually(agent.on(home), "the local access of the file")
    t.ok(service.requests == [], "no HTTP")
    write(world.nodes[1:])
    t.eventually(lambda: agent.get("next_hop") in [n.address("data") for n in world.nodes[1:]],
                 "its change is followed", detail=agent.status)
    write(world.nodes)
    t.eventually(agent.on(home), "and back after hold", detail=agent.status)


def adoption(t):
    """A standing route of another protocol and metric is left alone until the first switch."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    other = world.node(2).address("data")
    world.host.ip("route", "add", world.service, "via", other, "proto", "static", "metric", "77")
    before = wait_for(monitor.changes)
    agent = t.agent(world, hold="3s")
    t.eventually(agent.on(other), "adopted")
    t.ok(agent.get("reason") == "adopted", "and says so", agent.status())
    t.eventually(lambda: service.entered(world.host.address("data")) == [world.node(2)], "the cluster is told")
    t.ok(monitor.changes() == before, "not rewritten", monitor.events)
    home = world.node(1).address("data")
    t.eventually(agent.on(home), "home after hold")
    routes = monitor.standing()
    t.ok(len(routes) == 1 and routes[0].gateway == home, "one route", routes)
    t.ok(routes[0].protocol == 213, "ours", routes, unless=NO_MARK)


def foreign_next_hop(t):
    """A next hop that is no configured path is kept while it answers, then left."""
    world, service, monitor = t.cluster(settings=dict(nodes=4))
    stranger = world.node(4)
    world.host.ip("route", "add", world.service, "via", stranger.address("data"))
    before = wait_for(monitor.changes)
    agent = t.agent(world, accesses=world.nodes[:3], hold="1s")
    t.eventually(agent.on(stranger.address("data")), "adopted", detail=agent.status)
    t.ok(agent.get("access") == "foreign" and agent.get("tier") == "foreign", "called foreign", agent.status())
    t.ok(stays(lambda: monitor.changes() == before, agent.up(world.node(1).address("data"), 3)),
         "kept while it answers, longer than hold", monitor.events)
    world.cut(stranger, "data")
    t.eventually(agent.on(world.node(1).address("data")), "left when it does not", detail=agent.status)
    t.ok(len(monitor.standing()) == 1, "one route", monitor.standing())


sys.exit(main([cold_start, no_list, only_management, nothing_works, no_session_service, bootstrap, odd_bootstrap,
               file_provider, adoption, foreign_next_hop], parallel=4))
