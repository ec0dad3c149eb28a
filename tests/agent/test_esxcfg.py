# SPDX-License-Identifier: Apache-2.0
"""Routes by a command, as on ESXi. A stand-in for esxcfg-route has ESXi's texts and troubles and moves real packets."""
import json
import os
import signal
import sys
import time

from harness import PROFILE, log_time, main, stays
from netlab.wait import wait_for
from supervised import child, gone, replaced, supervised

SLACK_S = 1.0  # what a busy machine may add


def esx_cluster(t, start=True, route="", nodes=3, prepare=None, **settings):
    world, service, monitor = t.cluster(settings=dict(nodes=nodes))
    esx = t.esx(world)
    if prepare:
        prepare(world, esx)
    agent = t.agent(world, route=f'backend = "esxcfg" route-command = "{esx.path}" stay = "0s" {route}', start=start,
                    **settings)
    return world, service, monitor, esx, agent


def settled(t, **settings):
    world, service, monitor, esx, agent = esx_cluster(t, **settings)
    home = world.node(1).address("data")
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    return world, service, monitor, esx, agent, home


def command_status(agent):
    return agent.status().get("route_command") or {}


def has_probed(agent, requests):
    """For waiting: so many requests more were sent."""
    before = agent.status()["probe"]["sent"]
    return lambda: (agent.status().get("probe") or {}).get("sent", 0) >= before + requests


def agree(agent, esx, monitor, address):
    """The agent, the command's table and the kernel say the same."""
    return lambda: (agent.get("next_hop") == address and esx.routes() == [address] and monitor.gateway() == address)


def cold_start_and_restart(t):
    """The first route; a restart adopts it and knows whose it is; the route outlives the agent."""
    world, service, monitor, esx, agent, home = settled(t)
    t.eventually(agree(agent, esx, monitor, home), "all say the same", detail=monitor.standing)
    t.ok([call[0] for call in esx.calls() if call[0] != "-l"] == ["-a"], "added once, nothing deleted", esx.calls())
    t.ok(command_status(agent) == {"backend": "esxcfg", "state": "answers", "silent_since": None, "waits_for": None},
         "the status knows the command", agent.status())
    t.ok("hang" not in json.dumps(agent.status()), "which does not hang")
    t.ok(agent.events("start")[0]["backend"] == "esxcfg", "so does the log", agent.log())
    t.eventually(lambda: home in open(os.path.join(agent.state_directory, "state.json")).read().split('"route"')[-1],
                 "the state directory knows whose the route is")
    refused = {"netlink", "getrandom", "SO_MEMINFO"} if PROFILE == "nothing" else set()
    told = [e["what"] for e in agent.events("lacking")]
    t.ok(refused <= set(told) and len(told) == len(set(told)), "what the host refuses is told, each once", told)
    t.ok(agent.terminate() == 0, "ends")
    t.ok(esx.routes() == [home] and monitor.gateway() == home, "the route stays", esx.routes())
    changes = len(esx.calls("-a")) + len(esx.calls("-d"))
    agent.start()
    t.eventually(agent.settled(home), "there again", detail=agent.status)
    t.ok(agent.events("adopt")[-1]["ours"] == "true", "adopted as ours", agent.log())
    t.ok(len(esx.calls("-a")) + len(esx.calls("-d")) == changes, "and not touched", esx.calls())
    agent.kill()
    code, out, error = agent.command("clear")
    t.ok(code == 0 and esx.routes() == [] and monitor.gateway() is None, "clear removes it", [out, error])
    to = world.node(2).address("data")
    code, out, error = agent.command("route", "--to", to)
    t.ok(code == 0 and esx.routes() == [to], "by hand", [out, error])
    code, out, error = agent.command("clear")
    t.ok(code == 0 and esx.routes() == [], "what was set by hand is ours", [out, error])
    esx.by_hand("-a", f"{world.service}/32", to)
    code, out, error = agent.command("clear")
    t.ok(code == 0 and esx.routes() == [to] and "not ours" in out, "somebody else's is not", [out, error])
    agent.start()
    t.eventually(agent.on(to), "and it is adopted", detail=agent.status)
    t.ok(agent.events("adopt")[-1]["ours"] == "false", "as somebody else's", agent.log())
    t.eventually(agree(agent, esx, monitor, home), "left for home after the hold", detail=agent.status)
    t.ok(len(monitor.standing()) == 1, "nothing is left of it", monitor.standing())


def under_a_supervisor(t):
    """--supervise needs no more of the host than the agent: one that crashes or hangs is started again."""
    world, service, monitor, esx, agent = esx_cluster(t, start=False)
    home = world.node(1).address("data")
    supervised(t, agent).start()
    t.eventually(agent.settled(home), "at home", detail=agent.log)
    changes = len(esx.calls("-a")) + len(esx.calls("-d"))
    for number, event in ((signal.SIGKILL, "agent-ended"), (signal.SIGSTOP, "agent-hangs")):
        before = child(agent)
        os.kill(before, number)
        t.ok(replaced(agent, before) and len(agent.events(event)) == 1, f"after {number.name} another one runs", agent.log())
    t.ok(agent.run_to_end() == (0, ""), "a second start says nothing")
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    t.ok(len(esx.calls("-a")) + len(esx.calls("-d")) == changes, "and the route was not touched", esx.calls())
    before = child(agent)
    t.ok(agent.terminate() == 0 and gone(before), "both end")


def failover_and_failback(t):
    """A node dies with traffic flowing: window, select-timeout, 20 ms and what the commands take. And home again."""
    world, service, monitor, esx, agent, home = settled(t, timeout="100ms", count=10)
    meter = t.meter(world)
    t.eventually(lambda: meter.has_begun("icmp", "tcp"), "traffic flows")
    esx.trouble("-a slow 0.2")
    starved_s, began = agent.starved_s(), time.time()
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (home, None), "moved", detail=agent.status)
    to = agent.get("next_hop")
    took = log_time(agent.events("switch")[-1]) - began
    bound = 1.0 + 0.1 + 0.02 + 0.5 + SLACK_S + agent.starved_s() - starved_s
    t.ok(took < bound, "in time", [took, bound])
    t.note(f"moved {took:.2f} s after the cut, with an add that takes 0.2 s")
    t.eventually(agree(agent, esx, monitor, to), "all say the same", detail=monitor.standing)
    t.ok([call[:1] for call in esx.calls() if call[0] != "-l"][-2:] == [["-d"], ["-a"]], "delete and add back to back",
         esx.calls())
    t.eventually(lambda: meter.interruptions("icmp") and meter.interruptions("tcp"), "both streams came back",
                 detail=lambda: meter.events)
    esx.trouble()
    world.plug(world.node(1), "data")
    t.eventually(agree(agent, esx, monitor, home), "home again", detail=agent.status)
    meter.finish()


def hangs(t):
    """The command hangs while the node in use dies: probes, status, log go on; the route moves when it answers."""
    world, service, monitor, esx, agent, home = settled(
        t, route='command-timeout = "3s"', top='metrics-listen = "127.0.0.1:9497"')
    esx.trouble("* hang")
    t.eventually(lambda: esx.runs() > 0, "a look hangs", seconds=15)
    t.eventually(lambda: "hang" in json.dumps(agent.status()), "the status says so", detail=agent.status)
    t.ok(command_status(agent)["state"] == "hangs" and command_status(agent)["silent_since"], "since when",
         agent.status())
    t.eventually(lambda: agent.events("route-command-hangs"), "the log too", detail=agent.log)
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.path(home).get("state") == "down", "the dead path is seen", detail=agent.status)
    t.eventually(lambda: command_status(agent).get("waits_for"), "the move waits", detail=agent.status)
    to = command_status(agent)["waits_for"]
    code, out, _ = agent.command("status")
    t.ok(code == 0 and "route command hangs since" in out and to in out, "for people too", out)
    text = world.host.run("python3", "-c", "import urllib.request; print(urllib.request.urlopen("
                          "'http://127.0.0.1:9497/metrics').read().decode())")
    seconds = next(float(line.split()[1]) for line in text.splitlines()
                   if line.startswith("reroute_route_command_hang_seconds "))
    t.ok(seconds > 0, "a metric", text)
    # Minutes, shortened: three commands are killed one after the other.
    sent, calls = agent.status()["probe"]["sent"], len(esx.calls())
    t.eventually(lambda: len(esx.calls()) >= calls + 3, "killed, and tried again", detail=esx.calls)
    t.ok(esx.routes() == [home], "nothing moved", esx.routes())
    t.ok(agent.status()["probe"]["sent"] > sent + 50, "probing goes on", agent.status())
    t.ok(len(agent.events("route-command-hangs")) == 1, "said once", agent.log())
    t.ok(len(agent.events("fib-read")) <= 2, "and not with each try", agent.log())
    began = time.time()
    esx.trouble()
    t.eventually(agree(agent, esx, monitor, to), "it moves when the command answers", detail=agent.status)
    t.ok(log_time(agent.events("switch")[-1]) - began < 1.0 + 1.0 + SLACK_S, "soon", agent.events("switch"))
    t.eventually(lambda: agent.events("route-command-answers") and command_status(agent)["state"] == "answers",
                 "that it answers is told", detail=agent.log)
    t.ok(agent.terminate() == 0 and esx.runs() <= esx.read("log").count("begin"), "ends")


def a_look_is_stuck(t):
    """As seen in the field: one `esxcfg-route -l` never returns. It is given up when the node dies, not waited for."""
    world, service, monitor, esx, agent, home = settled(t)
    esx.trouble("-l stuck")
    t.eventually(lambda: agent.events("route-command-hangs"), "a look is stuck", detail=agent.log)
    esx.trouble()  # those that begin from now on are not
    stuck = running(esx.path)
    t.ok(len(stuck) == 1, "it alone", stuck)
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (home, None), "moved", detail=agent.status)
    t.eventually(agree(agent, esx, monitor, agent.get("next_hop")), "all say the same", detail=esx.routes)
    t.ok(not agent.events("fib-read"), "long before its time was over", agent.log())
    t.ok(stuck[0] not in running(esx.path), "it is gone", stuck)


def comes_back_meanwhile(t):
    """The old route is deleted, the add hangs, and the node comes back: the move is not wanted any more."""
    world, service, monitor, esx, agent, home = settled(t, route='command-timeout = "2s"')
    esx.trouble("-a hang")
    world.cut(world.node(1), "data")
    t.eventually(lambda: len(esx.calls("-a")) > 1 and esx.routes() == [], "between delete and add", detail=esx.calls)
    world.plug(world.node(1), "data")
    t.eventually(lambda: agent.path(home).get("up") and agent.events("switch-failed") and
                 command_status(agent).get("waits_for") is None, "back, and nothing is waited for", detail=agent.status)
    esx.trouble()
    t.eventually(agree(agent, esx, monitor, home), "the route is put back where it was", seconds=20, detail=agent.log)
    t.ok(not [e for e in agent.events("switch") if e["from"] != "none"], "no switch", agent.log())


def ends_while_it_hangs(t):
    """SIGTERM while a command hangs: it ends, and leaves no command behind."""
    world, service, monitor, esx, agent, home = settled(t)
    esx.trouble("-l hang")
    t.eventually(lambda: esx.runs() > 0, "a look hangs", seconds=15)
    began = time.monotonic()
    t.ok(agent.terminate() == 0, "ends")
    t.ok(time.monotonic() - began < 2 + SLACK_S, "soon", time.monotonic() - began)
    t.ok(not running(esx.path), "no command is left", running(esx.path))
    t.ok(esx.routes() == [home], "the route stays")


def between_delete_and_add(t, **settings):
    """A failover whose add hangs: (world, monitor, esx, agent, where it leads)."""
    world, service, monitor, esx, agent, home = settled(t, **settings)
    esx.trouble("-a hang")
    world.cut(world.node(1), "data")
    t.eventually(lambda: esx.calls("-d") and len(esx.calls("-a")) > 1 and esx.routes() == [], "between delete and add",
                 detail=esx.calls)
    return world, monitor, esx, agent, esx.calls("-a")[-1][-1]


def ends_in_a_move(t):
    """SIGTERM between delete and add: it ends when the new route stands, and has noted whose it is."""
    world, monitor, esx, agent, to = between_delete_and_add(t, route='command-timeout = "1s"')
    agent.signal(signal.SIGTERM)
    t.eventually(lambda: agent.events("stop"), "told to end", detail=agent.log)
    agent.signal(signal.SIGTERM)
    adds = len(esx.calls("-a"))
    t.ok(stays(lambda: agent.process.poll() is None, lambda: len(esx.calls("-a")) >= adds + 3),
         "it waits, though told again, for longer than two commands may take", esx.calls())
    esx.trouble()
    t.ok(wait_for(lambda: agent.process.poll() == 0), "ends", agent.log())
    t.ok(esx.routes() == [to] and monitor.gateway() == to, "there is a route", esx.routes())
    t.ok(agent.events("switch")[-1]["to"] == to and not agent.events("route-unsettled"), "it is told of", agent.log())
    code, out, error = agent.command("clear")
    t.ok(code == 0 and esx.routes() == [], "and it is ours", [out, error])


def without_a_route(t, **settings):
    """An agent that has ended after a delete, as every add was refused: (world, monitor, esx, agent, where to). No node
    answers any more."""
    world, service, monitor, esx, agent, home = settled(t, **settings)
    esx.trouble("-a refuse Error: no")
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.events("switch-failed") and esx.routes() == [], "deleted, and not put", detail=esx.calls)
    for node in world.nodes:
        for network in world.networks:
            world.cut(node, network)
    t.ok(agent.terminate() == 0, "ends")
    said = agent.events("route-unsettled")
    t.ok(len(said) == 1 and said[0]["to"] and "not come to its end" in said[0]["hint"],
         "and says that there may be no route", agent.log())
    t.ok(esx.routes() == [] and not running(esx.path), "there is none, nor a command that may put one yet", esx.routes())
    return world, monitor, esx, agent, said[0]["to"]


def ends_without_a_route(t):
    """The add is refused: that is said, and a later start puts the route, whoever answers, as soon as it can be put."""
    world, monitor, esx, agent, to = without_a_route(t)
    esx.trouble("-l hang")
    agent.start()
    t.eventually(lambda: agent.events("start")[1:] and running(esx.path), "the next one can read no table", detail=agent.log)
    t.ok(agent.terminate() == 0, "and ends")
    again = agent.events("route-unsettled")[1:]
    t.ok([e["to"] for e in again] == [to] and "an earlier run" in again[0]["hint"] and esx.routes() == [],
         "it says so again, and that nothing was under way", agent.log())
    esx.trouble()
    agent.start()
    t.eventually(agree(agent, esx, monitor, to), "another one puts it", detail=agent.log)
    t.ok(agent.terminate() == 0 and esx.routes() == [to], "and leaves it", esx.routes())
    esx.by_hand("-d", f"{world.service}/32", to)
    agent.start()
    t.eventually(lambda: agent.get("decision") == "cold-start", "it is settled: without evidence no other one does",
                 detail=agent.status)
    t.ok(esx.routes() == [], "none stands", esx.routes())


def observes_without_a_route(t):
    """The next start only observes, and so does the one after it: the route is put when the file goes."""
    file = os.path.join(t.directory, "observe-only")
    world, monitor, esx, agent, to = without_a_route(t, top=f'observe-file = "{file}"')
    esx.trouble()
    open(file, "w").close()
    changes = len(esx.calls("-a"))

    def observes():
        looks = len(esx.calls("-l"))
        agent.start()
        t.eventually(lambda: agent.get("observe_only") and len(esx.calls("-l")) > looks and not running(esx.path),
                     "it observes, and has read the table", detail=agent.status)

    observes()
    t.ok(agent.terminate() == 0 and len(agent.events("route-unsettled")) == 1, "ends", agent.log())
    observes()
    t.ok(len(esx.calls("-a")) == changes and esx.routes() == [], "nothing is put", esx.calls())
    os.unlink(file)
    t.eventually(agree(agent, esx, monitor, to), "it acts: the route is put", detail=agent.log)


def running(path):
    """The processes that run this command."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if path.encode() in f.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            pass
    return found


def hangs_at_the_start(t):
    """What cannot be read is not "no route": nothing moves until it is known what stands."""
    def prepare(world, esx):
        esx.by_hand("-a", f"{world.service}/32", world.node(2).address("data"))
        esx.trouble("-l hang")

    world, service, monitor, esx, agent = esx_cluster(t, prepare=prepare)
    there = world.node(2).address("data")
    t.eventually(lambda: all(p["up"] for p in agent.status().get("paths", [{"up": False}])), "every path is up")
    t.ok(stays(lambda: len(esx.calls("-a")) == 1 and agent.get("next_hop") is None, has_probed(agent, 60)),
         "nothing is done by guess", esx.calls())
    esx.trouble()
    t.eventually(lambda: agent.events("adopt"), "then it is adopted", detail=agent.log)
    t.ok(agent.events("adopt")[0]["route"].split()[2] == there, "as it stands", agent.events("adopt"))
    t.ok(agent.switches()[:1] in ([], [(there, world.node(1).address("data"), "failback")]), "and no cold start",
         agent.switches())


def unknown_output(t):
    """A table that is not understood says nothing: no repair, no switch, until it is."""
    world, service, monitor, esx, agent, home = settled(t)
    esx.trouble("-l garble Connect to localhost failed: Connection failure")
    changes = len(esx.calls("-a")) + len(esx.calls("-d"))
    t.eventually(lambda: "is not understood" in str(agent.events("fib-read")), "said", detail=agent.log)
    t.ok(agent.get("next_hop") == home and len(esx.calls("-a")) + len(esx.calls("-d")) == changes, "nothing is done",
         esx.calls())
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.path(home).get("state") == "down", "the node dies", detail=agent.status)
    esx.trouble()
    t.eventually(lambda: agent.get("next_hop") not in (home, None) and esx.routes() == [agent.get("next_hop")],
                 "left when it is understood", detail=agent.status)


def lies_and_refusals(t):
    """An add that lies or is refused: the old route is put back, in the command's own words, and another way taken."""
    world, service, monitor, esx, agent, home = settled(t, nodes=3)
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (home, None), "moved", detail=agent.status)
    first = agent.get("next_hop")  # a host's choice among equals does not change
    world.plug(world.node(1), "data")
    for what, trouble, words in (("lies", f"-a@{first} lie", "the table does not show it; the old route is back"),
                                 ("vanishes", f"-a@{first} vanish", "the old route is back"),
                                 ("is refused", f"-a@{first} refuse Error: Invalid netmask, must be 32 > x > 0",
                                  "refused: Error: Invalid netmask")):
        t.eventually(agree(agent, esx, monitor, home), f"{what}: begins at home", detail=agent.status)
        esx.trouble(trouble)
        failed = len(agent.events("switch-failed"))
        world.cut(world.node(1), "data")
        t.eventually(lambda: len(agent.events("switch-failed")) > failed, f"{what}: the switch failed",
                     detail=agent.log)
        t.ok(words in agent.events("switch-failed")[-1]["error"], f"{what}: its own words",
             agent.events("switch-failed"))
        t.eventually(lambda: agent.get("next_hop") not in (home, first, None) and
                     esx.routes() == [agent.get("next_hop")], f"{what}: another way", detail=agent.status)
        esx.trouble()
        world.plug(world.node(1), "data")


def by_others(t):
    """Somebody deletes the route, or puts another one (as an ICMP redirect does): seen at the next look, put right."""
    world, service, monitor, esx, agent, home = settled(t)
    other = world.node(2).address("data")
    esx.by_hand("-d", f"{world.service}/32", home)
    t.eventually(lambda: agent.events("route-repaired"), "deleted: put back within the next look", seconds=20,
                 detail=agent.log)
    t.ok(esx.routes() == [home] and monitor.gateway() == home, "it stands", esx.routes())
    esx.by_hand("-d", f"{world.service}/32", home)
    esx.by_hand("-a", f"{world.service}/32", other)
    t.eventually(agree(agent, esx, monitor, home), "replaced: taken back", seconds=20, detail=agent.log)
    t.eventually(lambda: agent.events("route-taken-back"), "said", detail=agent.log)
    esx.by_hand("-a", f"{world.service}/32", other)
    t.eventually(lambda: other in (agent.get("shadowed_by") or ""), "a second one: reported", seconds=20,
                 detail=agent.status)
    t.ok(other in esx.routes(), "and left alone", esx.routes())
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") in esx.routes() and home not in esx.routes(),
                 "a failover takes ours from beside it", detail=lambda: (esx.routes(), agent.log()))


def each_in_its_turn(t):
    """Every data path is refused and each try takes a second and more: management has its turn all the same."""
    world, service, monitor, esx, agent, home = settled(t)
    esx.trouble("* slow 0.3", *[f"-a@{n.address('data')} refuse Error: no" for n in world.nodes[1:]])
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("tier") == "management" and esx.routes() == [agent.get("next_hop")],
                 "management in the end", detail=agent.log)
    tried = [e["to"] for e in agent.events("switch-failed")]
    t.ok(len(tried) == len(set(tried)), "and none was tried twice before", tried)


def a_delete_lies(t):
    """The old route is not deleted, whatever is said: both are ours, and the old one goes when it can."""
    world, service, monitor, esx, agent, home = settled(t)
    esx.trouble("-d lie")
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (home, None), "moved", detail=agent.log)
    to = agent.get("next_hop")
    t.ok(to in esx.routes(), "there", esx.routes())
    esx.trouble()
    t.eventually(lambda: esx.routes() == [to], "the old one is removed", seconds=30,
                 detail=lambda: (esx.routes(), agent.log()))
    node = next(n for n in world.nodes if n.address("data") == to)
    world.plug(world.node(1), "data")
    world.cut(node, "data")
    t.eventually(lambda: agent.get("next_hop") not in (to, None) and esx.routes() == [agent.get("next_hop")],
                 "and the next failover goes on", seconds=30, detail=lambda: (esx.routes(), agent.log()))


def vanishes_before_the_delete(t):
    """Somebody deletes the old route in the moment in which it moves: the new one is added all the same."""
    world, service, monitor, esx, agent, home = settled(t)
    esx.trouble("-d vanish")
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (home, None), "moved", detail=agent.log)
    t.ok(not agent.events("switch-failed"), "at the first try", agent.log())
    t.eventually(agree(agent, esx, monitor, agent.get("next_hop")), "all say the same", detail=esx.routes)


def waits_for_the_lock(t):
    """The command waits for its lock while the node in use dies: not killed, and the route moves when it has it."""
    world, service, monitor, esx, agent, home = settled(t)
    esx.trouble("-d lock")
    world.cut(world.node(1), "data")
    t.eventually(lambda: esx.runs() > 0 and esx.calls("-d"), "the delete waits", detail=esx.calls)
    t.eventually(lambda: agent.events("route-command-hangs"), "said", detail=agent.log)
    t.ok(stays(lambda: len(esx.calls("-d")) == 1, has_probed(agent, 60)), "one command alone, and probing goes on",
         esx.calls())
    esx.trouble()
    t.eventually(lambda: agent.get("next_hop") not in (home, None) and esx.routes() == [agent.get("next_hop")],
                 "it moves", detail=agent.status)
    t.ok(len(esx.calls("-d")) == 1, "by that very command", esx.calls("-d"))


def a_second_move_is_dropped(t):
    """A move is under way, another one waits for it and is dropped: the first goes on, and the agent knows it and why."""
    world, service, monitor, esx, agent, home = settled(t)
    esx.trouble("-d lock")
    world.cut(world.node(1), "data")
    t.eventually(lambda: esx.calls("-d") and command_status(agent).get("waits_for"), "a move is under way",
                 detail=agent.status)
    first = command_status(agent)["waits_for"]
    why = agent.get("decision")
    world.cut(next(node for node in world.nodes if node.address("data") == first), "data")
    t.eventually(lambda: command_status(agent)["waits_for"] not in (first, home, None), "another one waits",
                 detail=agent.status)
    world.plug(world.node(1), "data")
    t.eventually(lambda: agent.path(home).get("up") and command_status(agent)["waits_for"] == first,
                 "it is dropped, the first one is not", detail=agent.status)
    switches = len(agent.events("switch"))
    esx.trouble()
    t.eventually(lambda: len(agent.events("switch")) > switches, "that ends", detail=agent.log)
    t.ok((agent.events("switch")[switches]["to"], agent.events("switch")[switches]["reason"]) == (first, why),
         "for the reason it began", agent.events("switch"))
    t.eventually(lambda: agree(agent, esx, monitor, home)() and command_status(agent)["waits_for"] is None,
                 "and home it goes", detail=agent.status)


def wanted_again(t):
    """The node comes back while a move is under way, and goes again: a command that then has no answer is tried again."""
    world, service, monitor, esx, agent, home = settled(t, route='command-timeout = "12s"')
    esx.trouble("-d hang")
    world.cut(world.node(1), "data")
    t.eventually(lambda: esx.calls("-d") and command_status(agent).get("waits_for"), "a move is under way",
                 detail=agent.status)
    to, why = command_status(agent)["waits_for"], agent.get("decision")
    world.plug(world.node(1), "data")
    t.eventually(lambda: agent.path(home).get("up") and agent.get("decision") != why, "it is not wanted any more",
                 detail=agent.status)
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("decision") == why and command_status(agent)["waits_for"] == to, "it is again",
                 detail=agent.status)
    t.ok(len(esx.calls("-d")) == 1, "all that during one command", esx.calls())
    t.eventually(lambda: len(esx.calls("-d")) > 1, "killed, and tried again", detail=esx.calls)
    t.ok(not agent.events("switch-failed"), "it is no refusal", agent.log())
    esx.trouble()
    t.eventually(agree(agent, esx, monitor, to), "it moves when the command answers", detail=agent.status)


def gets_no_lock(t):
    """It does not get its lock, and says so: no refusal, the very same move is tried until it does."""
    world, service, monitor, esx, agent, home = settled(t)
    esx.trouble("-a refuse Error interacting with configuration file: Timeout while waiting for lock")
    calls = len(esx.calls("-a"))
    world.cut(world.node(1), "data")
    t.eventually(lambda: len(esx.calls("-a")) >= calls + 3, "tried again", detail=esx.calls)
    t.ok(len({call[-1] for call in esx.calls("-a")[calls:]}) == 1, "to the same node", esx.calls("-a"))
    t.ok(not agent.events("switch-failed"), "it is no refusal", agent.log())
    t.ok("waiting for lock" in str(agent.events("fib-read")), "said", agent.log())
    esx.trouble()
    t.eventually(lambda: agent.get("next_hop") not in (home, None) and esx.routes() == [agent.get("next_hop")],
                 "it moves", detail=agent.status)


def forms(t):
    """Each form of the table: adopted, and left when the node dies."""
    for form in ("rule", "columns"):
        def prepare(world, esx):
            esx.write("form", form)
            esx.by_hand("-a", f"{world.service}/32", world.node(1).address("data"))

        world, service, monitor = t.cluster(settings=dict(nodes=2))
        esx = t.esx(world) if form == "rule" else esx
        esx.world = world
        esx.write("routes", "")
        prepare(world, esx)
        home = world.node(1).address("data")
        agent = t.agent(world, route=f'backend = "esxcfg" route-command = "{esx.path}"', name=form)
        t.eventually(agent.settled(home), f"{form}: adopted", detail=agent.status)
        world.cut(world.node(1), "data")
        t.eventually(lambda: agent.get("next_hop") not in (home, None) and esx.routes() == [agent.get("next_hop")],
                     f"{form}: left", detail=agent.status)
        agent.kill()


def a_netstack(t):
    """Every call names the netstack."""
    world, service, monitor, esx, agent, home = settled(
        t, route='netstack = "storage"', prepare=lambda world, esx: esx.write("netstack", "storage\n"))
    t.ok(esx.routes() == [home] and all(call[:2] == ["-N", "storage"] for call in esx.calls()), "named", esx.calls())
    with open(agent.config_path) as f:
        agent.write(f.read().replace('netstack = "storage"', 'netstack = "other"'))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: "netstack" in str(agent.events("reload-refused")), "not to be changed by a reload",
                 detail=agent.log)


def dry_run(t):
    """A dry run only looks, and follows what others do."""
    world, service, monitor, esx, agent = esx_cluster(t, arguments=["--dry-run"])
    there = world.node(2).address("data")
    t.eventually(lambda: any(e["action"] == "switch-not-done" for e in agent.events("decision")), "it would decide",
                 detail=agent.log)
    esx.by_hand("-a", f"{world.service}/32", there)
    t.eventually(lambda: agent.events("adopt"), "it sees a route", seconds=20, detail=agent.log)
    esx.by_hand("-d", f"{world.service}/32", there)
    decisions = len(agent.events("decision"))
    t.eventually(lambda: any(e["reason"] == "cold-start" for e in agent.events("decision")[decisions:]),
                 "and that it is gone", seconds=20, detail=agent.log)
    t.ok({call[0] for call in esx.calls() if call[-1] != there} == {"-l"}, "and looks only", esx.calls())


def by_ip(t):
    """The same by ip(8): one command swaps the route."""
    world, service, monitor, agent, home = t.settled(route='backend = "ip" stay = "0s"')
    t.ok([(r.gateway, r.protocol) for r in monitor.standing()] == [(home, 213)], "with our protocol",
         monitor.standing())
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (home, None) and monitor.gateway() == agent.get("next_hop"),
                 "left", detail=agent.status)
    world.plug(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") == home and monitor.gateway() == home, "and home", detail=agent.status)
    t.ok([e.kind for e in monitor.events].count("delete") == 0, "never a moment without a route", monitor.events)


if __name__ == "__main__":
    sys.exit(main([hangs, lies_and_refusals, a_delete_lies, each_in_its_turn, by_others, dry_run,
                   failover_and_failback, under_a_supervisor, cold_start_and_restart, forms, waits_for_the_lock,
                   a_second_move_is_dropped, wanted_again, gets_no_lock, a_look_is_stuck, hangs_at_the_start, unknown_output, vanishes_before_the_delete,
                   comes_back_meanwhile, ends_while_it_hangs, ends_in_a_move, ends_without_a_route,
                   observes_without_a_route, a_netstack, by_ip]))
