# SPDX-License-Identifier: Apache-2.0
"""Observing only: while the file is there the agent decides and says, and touches nothing: no route, no connection, no
refresh, whatever happens and whoever changes the route."""
import os
import socket
import sys
import urllib.request

from harness import main, stays
from netlab.namespace import inside


def put(path):
    with open(path, "w"):
        pass


def connect(world):
    return inside(world.host.namespace, lambda: socket.create_connection((world.service, 2049), 5))


def echoes(connection):
    """Does it go on?"""
    connection.settimeout(5)
    try:
        connection.send(b"x")
        return connection.recv(1) == b"x"
    except OSError:
        return False


def touches_nothing(t):
    path = os.path.join(t.directory, "observe-only")
    world, service, monitor, agent, home = t.settled(
        hold="1s", top=f'observe-file = "{path}" metrics-listen = "127.0.0.1:9323"')
    first, second = world.node(1), world.node(2)
    t.ok(agent.get("observe_only") is None, "it acts")
    put(path)
    t.eventually(lambda: agent.get("observe_only"), "it observes", detail=agent.status)
    t.ok(agent.events("observe-only")[0]["file"] == path and agent.get("observe_only")["file"] == path,
         "log and status say why", agent.log())

    def metrics():
        with urllib.request.urlopen("http://127.0.0.1:9323/metrics", timeout=5) as answer:
            return answer.read().decode()
    t.ok("reroute_observe_only 1\n" in inside(world.host.namespace, metrics), "and the metrics")
    connection = connect(world)
    changes, told = monitor.changes(), len(service.seen("PUT"))
    t.ok(agent.command("drain", first.name)[0] == 0, "a drain is taken")
    t.eventually(lambda: any(e["action"] == "switch-planned-not-done" for e in agent.events("decision")),
                 "what would be done is said", detail=agent.log)
    t.ok(stays(lambda: agent.get("next_hop") == home, agent.up(second.address("data"), 1.5)), "and not done", agent.status())
    t.ok(echoes(connection), "connections live on")
    connection.close()
    t.ok(agent.command("undrain", first.name)[0] == 0, "undrain")
    world.cut(first, "data")
    t.eventually(lambda: any(e["action"] == "switch-not-done" for e in agent.events("decision")), "nor a failover",
                 detail=agent.log)
    t.ok(stays(lambda: monitor.changes() == changes and len(service.seen("PUT")) == told, agent.asks(40)),
         "no route was touched, and the cluster told nothing", f"{monitor.events}\n{service.seen('PUT')}")
    out = agent.command("status")[1] + agent.command("explain")[1]
    t.ok(out.count("WARNING   this host only observes since") == 2 and "Nothing moves it while" in out,
         "people read it first", out)
    t.ok(agent.terminate() == 0, "a restart")
    agent.start()
    t.eventually(lambda: agent.get("observe_only") and agent.path(second.address("data")).get("up"), "observes at once",
                 detail=agent.status)
    t.ok(stays(lambda: monitor.changes() == changes, agent.up(second.address("data"), 1)), "and touches nothing",
         monitor.events)
    os.remove(path)
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "without the file it acts", detail=agent.status)
    t.eventually(lambda: len(service.seen("PUT")) > told, "and tells the cluster")
    t.ok(agent.get("observe_only") is None and agent.events("acts-again"), "and says so", agent.log())


def follows_what_others_do(t):
    """A route that somebody else moves or removes while the agent observes is not put back, also later."""
    path = os.path.join(t.directory, "observe-only")
    world, service, monitor, agent, home = t.settled(hold="60s", top=f'observe-file = "{path}"')
    other = world.node(2).address("data")
    put(path)
    t.eventually(lambda: agent.get("observe_only"), "it observes")
    before = monitor.changes()
    world.host.ip("route", "replace", world.service, "via", other, "proto", "static")
    t.eventually(lambda: monitor.changes() > before, "somebody moves the route")
    changes = monitor.changes()
    t.eventually(agent.on(other), "it follows", detail=agent.status)
    t.ok(stays(lambda: monitor.changes() == changes, agent.up(other, 1.5)), "and leaves it", monitor.events)
    os.remove(path)
    t.eventually(lambda: agent.events("acts-again"), "it acts again")
    t.ok(stays(lambda: agent.get("next_hop") == other, agent.up(other, 1.5)), "the route is adopted as it is",
         agent.status())
    t.ok(agent.get("repairs") == 0, "nothing was put back", agent.status())
    put(path)
    t.eventually(lambda: agent.get("observe_only"), "it observes once more")
    world.host.ip("route", "del", world.service)
    t.eventually(lambda: agent.get("next_hop") is None, "a route that is removed", detail=agent.status)
    t.ok(stays(lambda: monitor.standing() == [], agent.up(other, 1.5)), "is not put back", monitor.standing())
    os.remove(path)
    t.eventually(lambda: agent.get("next_hop"), "until it acts", detail=agent.status)


sys.exit(main([touches_nothing, follows_what_others_do]))
