# SPDX-License-Identifier: Apache-2.0
"""The program that is run at every change: what it is told and when, and that nobody waits for it."""
import json
import os
import signal
import sys
import urllib.request

from harness import main, stays
from netlab.namespace import inside

STATE = {"host", "service", "next_hop", "access", "tier", "local", "since", "reason", "mode", "decision", "explanation"}


class Program:
    """A script, and the documents that its runs read."""

    def __init__(self, t, script='printf "%s %s\\n" "$REROUTE_NEXT_HOP" "$REROUTE_EVENTS" >>"$0.variables"'):
        self.path = os.path.join(t.directory, "notified")
        self.write(script)

    def write(self, script):
        with open(self.path + ".new", "w") as f:
            f.write(f'#!/bin/sh\ncat >>"$0.documents"\necho >>"$0.documents"\n{script}\n')
        os.chmod(self.path + ".new", 0o700)
        os.rename(self.path + ".new", self.path)

    def lines(self, name):
        try:
            with open(f"{self.path}.{name}") as f:
                return [line for line in f.read().split("\n")[:-1] if line]
        except FileNotFoundError:
            return []

    def documents(self):
        return [json.loads(line) for line in self.lines("documents")]

    def key(self, timeout="10s"):
        return f'notify = "{self.path}" notify-timeout = "{timeout}"'

    def told(self, event, next_hop):
        """For waiting: a run was told of this event, and the newest one of this next hop."""
        def check():
            documents = self.documents()
            return documents and documents[-1]["next_hop"] == next_hop and self.of(event)
        return check

    def of(self, event):
        """What it was told of such events."""
        return [e for d in self.documents() for e in d["events"] if e["event"] == event]


def told_of_every_change(t):
    program = Program(t)
    world, service, monitor, agent, home = t.settled(top=program.key())
    first, second = world.node(1), world.node(2)
    t.eventually(program.told("start", home), "the start", detail=program.documents)
    t.eventually(program.told("switch", home), "the first route", detail=program.documents)
    document = program.documents()[-1]
    t.ok(document["schema"] == "reroute.notify/1" and STATE < set(document), "the document has where the route leads",
         document)
    t.ok(document["event"] in [e["event"] for e in document["events"]], "and what happened", document)
    t.ok(document["access"] == first.name and document["local"] is True and document["service"] == world.service,
         "as the status does", document)
    world.cut(first, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "left")
    t.eventually(program.told("path-down", agent.get("next_hop")), "a path that goes down", detail=program.documents)
    t.eventually(program.told("switch", agent.get("next_hop")), "the switch", detail=program.documents)
    down = program.of("path-down")[-1]
    t.ok(down["access"] == first.name and down["path"] == home and down["why"], "which one, and why", down)
    world.plug(first, "data")
    t.eventually(program.told("path-up", agent.get("next_hop")), "a path that comes up", detail=program.documents)
    service.stop(second)
    t.eventually(lambda: agent.access(second.name)["state"] == "dead", "a session is dead")
    t.eventually(program.told("session-dead", agent.get("next_hop")), "is told", detail=program.documents)
    t.ok(program.of("session-dead")[-1]["access"] == second.name, "whose", program.documents())
    for node in world.nodes:
        for name in world.networks:
            world.cut(node, name)
    t.eventually(lambda: program.of("nothing-eligible"), "nothing can be used",
                 detail=program.documents)
    t.ok(agent.terminate() == 0, "the agent ends")
    last = program.documents()[-1]
    t.ok("stop" in [e["event"] for e in last["events"]] and last["next_hop"], "it is told of that too, the route stays",
         last)
    variables, expected = program.lines("variables"), [
        f'{d["next_hop"] or ""} {" ".join(e["event"] for e in d["events"])}' for d in program.documents()]
    t.ok(variables == expected, "the environment has the same", variables)
    t.ok(not agent.events("notify-failed"), "no run failed", agent.log())


def metric(agent, port, name):
    def get():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()
    text = inside(agent.world.host.namespace, get)
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))


def a_program_that_hangs_holds_nothing_up(t):
    program = Program(t, "echo begun; sleep 1000")
    top = program.key("1s") + ' metrics-listen = "127.0.0.1:9200"'
    world, service, monitor, agent, home = t.settled(hold="1s", top=top)
    t.eventually(lambda: agent.get("notify")["running"], "it runs")
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "the route moves meanwhile", detail=agent.status)
    t.eventually(lambda: agent.get("notify")["failures"] >= 2, "it is killed, and run again", detail=agent.status)
    state = agent.get("notify")
    t.ok(state["program"] == program.path and state["error"] == "killed after 1s", "the status says why", state)
    t.ok(len(agent.events("notify-failed")) == 1, "the log has it once", agent.log())
    out = agent.command("status")[1]
    t.ok(f"WARNING   {program.path} failed: killed after 1s" in out, "and so has the status for people", out)
    t.ok(metric(agent, 9200, "reroute_notify_failures_total") >= 2, "it is counted")
    t.ok(metric(agent, 9200, "reroute_notify_runs_total") >= 2, "and so are the runs")
    program.write("exit 0")
    world.plug(world.node(1), "data")
    t.eventually(lambda: agent.events("notify-again"), "it can be mended", detail=agent.log)
    t.ok(agent.get("notify")["error"] is None, "the status has no error any more", agent.get("notify"))
    program.write("sleep 1000")
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("notify")["running"], "it hangs again")
    t.ok(agent.terminate(20) == 0, "and does not hold up the end")


def told_to_end_twice(t):
    """A second signal while it ends does not end it in the middle of that."""
    program = Program(t, '[ "$REROUTE_EVENT" != stop ] || exec sleep 1000')
    world, service, monitor, agent, home = t.settled(top=program.key())
    agent.signal(signal.SIGTERM)
    t.eventually(lambda: program.of("stop"), "it ends", detail=agent.log)
    agent.signal(signal.SIGTERM)
    t.ok(agent.process.wait(20) == 0, "in order", agent.log())


def one_that_is_not_there(t):
    world, service, monitor, agent, home = t.settled(top='notify = "/nonexistent/notified"')
    t.eventually(lambda: agent.events("notify-failed"), "said", detail=agent.log)
    t.ok("No such file" in agent.events("notify-failed")[0]["error"], "why", agent.log())
    agent.write(agent.text())
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "a reload without it", detail=agent.log)
    t.ok(agent.get("notify") is None, "nothing is run any more", agent.status())
    runs = len(agent.events("path-down"))
    world.cut(world.node(1), "data")
    t.eventually(lambda: len(agent.events("path-down")) > runs, "a change")
    t.ok(stays(lambda: len(agent.events("notify-failed")) == 1, agent.asks(20)), "tells nobody", agent.log())


sys.exit(main([told_of_every_change, a_program_that_hangs_holds_nothing_up, told_to_end_twice, one_that_is_not_there]))
