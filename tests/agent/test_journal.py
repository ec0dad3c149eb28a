# SPDX-License-Identifier: Apache-2.0
"""The agent's journal, end to end: a real host's failover, failback, drain, reload and restart are in it, `reroute
replay` makes the same switches of it and others with another hold, what is quiet writes nothing, and a full disk
disturbs nobody."""
import json
import os
import signal
import subprocess
import sys

from harness import REROUTE, main, stays


def journal(agent):
    return os.path.join(agent.state_directory, "journal.jsonl")


def lines(agent):
    with open(journal(agent)) as f:
        return [json.loads(line) for line in f]


def replay(agent, *options):
    done = subprocess.run([REROUTE, "replay", "--json", *options, journal(agent)], capture_output=True, text=True,
                          timeout=30)
    return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr}


def a_host(t):
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    agent = t.agent(world, hold="2s")
    home = world.node(1)
    t.eventually(agent.settled(home.address("data")), "at home", detail=agent.status)
    world.cut(home, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "failover")
    world.plug(home, "data")
    t.eventually(agent.on(home.address("data")), "home again", detail=agent.status)
    t.ok(agent.command("drain", home.name)[0] == 0, "drain")
    t.eventually(lambda: agent.get("next_hop") != home.address("data"), "drained")
    t.ok(agent.command("undrain", home.name)[0] == 0, "undrain")
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "reload")
    t.ok(agent.command("drain", home.name)[0] == 0, "drain again")
    t.eventually(lambda: agent.get("next_hop") != home.address("data"), "drained again")
    t.ok(agent.terminate() == 0, "ends")
    t.ok(agent.command("undrain", home.name)[0] != 0, "no agent now")
    agent.start()
    t.eventually(lambda: agent.command("undrain", home.name)[0] == 0, "runs again")
    t.eventually(agent.on(home.address("data")), "home for the last time", detail=agent.status)
    agent.terminate()

    every = lines(agent)
    kinds = [line["kind"] for line in every]
    t.ok(kinds[0] == "snapshot" and every[0]["schema"] == "reroute.journal/1" and kinds[-1] == "stop",
         "a snapshot first, a stop last", kinds)
    t.ok([line["why"] for line in every if line["kind"] == "snapshot"] == ["start", "reload", "start"],
         "a snapshot at each start and reload", every)
    t.ok([(line["command"], line["target"]) for line in every if line["kind"] == "command"] ==
         2 * [("drain", home.name), ("undrain", home.name)], "commands", kinds)
    snapshot = next(line for line in every if line.get("why") == "reload")
    path = next(path for path in snapshot["paths"] if path["path"] == home.address("data"))
    access = next(access for access in snapshot["accesses"] if access["access"] == home.name)
    t.ok(path["blocked_ns"] != "0" and access["failures"] == 1, "a reload forgets neither drain nor failure", snapshot)
    times = [int(line["t_ns"]) for line in every]
    t.ok(times == sorted(times), "in order of time", times)

    document = replay(agent, "--hold", "1s,2s,1h")
    logged = [(e["from"], e["to"], e["reason"]) for e in agent.events("switch")]
    host = document.get("results", [{"moves": []}])[0]
    told = [(m["from"] or "none", m["to"], m["reason"]) for m in host["moves"]]
    t.ok(told == logged, "the switches in the journal are those of the log", f"{told}\n{logged}\n{document}")
    t.ok(document.get("reproduced") is True, "the replay makes the same switches", json.dumps(document, indent=1))
    results = {r["hold_s"]: r for r in document["results"] if r["settings"] == "other"}
    t.ok(results[2]["switches"] == host["switches"], "with the same hold as many", results)
    t.ok(results[3600]["switches"] < host["switches"] and results[3600]["away_s"] > host["away_s"] > results[1]["away_s"],
         "with a long hold fewer, and longer away", {h: (r["switches"], r["away_s"]) for h, r in results.items()})
    t.ok(0 < host["unserved_s"] < 3, "without service only while the window lasted", host["unserved_s"])


def a_quiet_time(t):
    world = t.world(nodes=2, local=None)
    agent = t.agent(world, provider="none", hold="1s", timeout="200ms")
    t.eventually(lambda: agent.status().get("paths") and all(p["up"] for p in agent.status()["paths"]), "all up")
    t.eventually(lambda: agent.get("next_hop"), "a route")
    home = agent.get("next_hop")
    t.eventually(lambda: all(p["up_s"] and p["up_s"] > 1.5 for p in agent.status()["paths"]), "hold is over")
    before = os.path.getsize(journal(agent))
    t.ok(stays(agent.on(home), agent.up(home, 3)), "nothing happens", agent.log())
    # A request that a busy machine loses is 5 % of so short a hold, and may be told.
    t.ok(os.path.getsize(journal(agent)) - before < 800, "nothing is written", lines(agent)[-5:])
    agent.terminate()


def not_written(t):
    """Something in its place that cannot be written: said once, and nothing else depends on it."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    agent = t.agent(world, start=False)
    os.makedirs(agent.state_directory)
    os.symlink("/dev/full", journal(agent))
    agent.start()
    home = world.node(1)
    t.eventually(agent.settled(home.address("data")), "at home", detail=agent.status)
    world.cut(home, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "failover")
    said = [e for e in agent.events("not-kept") if e["file"].endswith("journal.jsonl")]
    t.ok(len(said) == 1, "said once", agent.log_tail())
    t.ok(agent.terminate() == 0, "ends")


def a_dry_run(t):
    world = t.world(nodes=2, echo=False)
    agent = t.agent(world, provider="none", arguments=["--dry-run"])
    t.eventually(lambda: agent.events("decision"), "decides")
    agent.terminate()
    t.ok(not os.path.exists(journal(agent)), "writes no journal")


sys.exit(main([a_host, a_quiet_time, not_written, a_dry_run]))
