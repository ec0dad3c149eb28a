#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/doc/upgrade.md: from a script that deletes and adds the route to the agent, and back."""
import subprocess
import sys

from harness import end_process, main, stays

# It wants the route to lead to $2: what is known of the old scheme's way to set it, and no more.
OLD_SCHEME = """
while :; do
    case $(ip route show "$1") in
    *" via $2 "*) ;;
    "") ip route add "$1" via "$2" ;;
    *) ip route del "$1"; ip route add "$1" via "$2" ;;
    esac
    sleep 0.1
done
"""


def old_scheme(t, world, to):
    return t.popen(world.host.namespace, ["sh", "-c", OLD_SCHEME, "old-scheme", world.service, to],
                   stderr=subprocess.DEVNULL)


def there_and_back(t):
    """No echo is lost, and there is no moment without a route."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home, other = world.node(1).address("data"), world.node(2).address("data")
    old = old_scheme(t, world, other)
    t.eventually(lambda: monitor.gateway() == other, "the old scheme leads to a node")
    meter = t.meter(world)
    t.eventually(lambda: meter.has_begun("icmp", "tcp"), "traffic flows")
    before = monitor.changes()

    look = t.agent(world, name="look", arguments=["--dry-run"])
    t.eventually(lambda: look.events("adopt") and "-not-done" in look.log(), "a dry run beside it says what it would do",
                 detail=look.log)
    t.ok(look.terminate() == 0 and not look.events("refresh") and monitor.changes() == before, "... and does nothing",
         monitor.events)

    end_process(old)
    t.ok(monitor.gateway() == other, "the route stays when the old scheme ends", monitor.standing())
    agent = t.agent(world)
    t.eventually(lambda: agent.get("reason") == "adopted", "the agent adopts its route", detail=agent.status)
    t.ok(agent.events("adopt")[0]["ours"] == "false" and monitor.changes() == before, "... as it stands", agent.log())
    t.eventually(agent.on(home), "and comes home after the hold", detail=agent.status)
    t.eventually(lambda: service.entered(world.host.address("data")) == [world.node(1)], "the cluster is told")
    t.ok(agent.terminate() == 0 and [r.protocol for r in monitor.standing()] == [213], "its route stays when it ends",
         monitor.standing())

    world.host.ip("route", "replace", world.service, "via", home)
    t.ok([(r.gateway, r.protocol) for r in monitor.standing()] == [(home, 3)], "replaced by hand, it is nobody's",
         monitor.standing())
    t.ok({e.kind for e in monitor.events[before:]} == {"new"}, "there was a route all the time", monitor.events)
    t.eventually(meter.answered(100), "traffic flows")
    t.ok(not [e for e in meter.interruptions("icmp") if e["lost"]], "no echo was lost", meter.events)
    old_scheme(t, world, other)
    t.eventually(lambda: monitor.gateway() == other and len(monitor.standing()) == 1, "the old scheme moves it again")


def both_at_once(t):
    """What the log says when the old scheme still runs, or was started again."""
    world, service, monitor, agent, home = t.settled(nodes=3)
    old = old_scheme(t, world, world.node(2).address("data"))
    t.eventually(lambda: agent.events("route-repaired") or agent.events("route-taken-back"), "it says that somebody else changes the route",
                 detail=agent.log)
    end_process(old)
    t.eventually(lambda: monitor.gateway() == home, "and wins when that one has ended", detail=agent.log)
    t.ok(stays(lambda: [r.gateway for r in monitor.standing()] == [home], agent.asks(40)), "for good", monitor.standing())


if __name__ == "__main__":
    sys.exit(main([there_and_back, both_at_once]))
