# SPDX-License-Identifier: Apache-2.0
"""The agent's journal, end to end: a real host's failover, failback, drain, reload and restart are in it, `reroute
replay` makes the same switches of it and others with another hold, `reroute journal` tells people of them, what is quiet
writes nothing, and a full disk disturbs nobody."""
import datetime
import json
import os
import signal
import subprocess
import sys
import threading

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


def told(t, *arguments):
    """(exit code, what is printed, what is said) of `reroute journal`, in a time zone that is not UTC."""
    done = subprocess.run([REROUTE, "journal", *arguments], capture_output=True, text=True, timeout=30,
                          env={**os.environ, "TZ": "UTC-5:30"})
    return done.returncode, done.stdout, done.stderr


def for_people(t):
    world, service, monitor, agent, home = t.settled(hold="2s")
    node = world.node(1)
    world.cut(node, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "failover")
    away = agent.get("next_hop")
    other = next(n for n in world.nodes if n.address("data") == away)
    world.plug(node, "data")
    t.eventually(agent.on(home), "home again", detail=agent.status)
    run = agent.command("drain", node.name)
    t.eventually(lambda: agent.get("next_hop") != home, "drained", detail=lambda: run)
    t.ok(agent.terminate() == 0, "ends")
    code, out, error = told(t, journal(agent))
    sentences = [line.split("  ", 1)[1] for line in out.splitlines()]
    wanted = [f"the agent started: reroute {lines(agent)[0]['version']}, there is no route",
              f"the route was set to {node.name} data {home}: first choice after the start",
              f"{node.name} data {home} does not answer any more",
              f"the route moved from {node.name} data {home} to {other.name} data {away}: the path in use does not "
              "answer any more",
              f"{node.name} data {home} answers",
              f"the move to {node.name} data {home} begins: a better path has been healthy for its hold",
              f"the route moved from {other.name} data {away} to {node.name} data {home}: a better path has been "
              "healthy for its hold",
              f"a person drained {node.name}",
              "the agent stopped"]
    rest = iter(sentences)
    t.ok(code == 0 and error == "" and all(sentence in rest for sentence in wanted), "all of it, in this order",
         f"{out}{error}")
    moved = next(line for line in lines(agent) if line["kind"] == "switch" and line["from"])
    utc = datetime.datetime.fromisoformat(moved["time"].replace("Z", "+00:00"))
    local = (utc + datetime.timedelta(hours=5, minutes=30)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    t.ok(f"{local}  the route moved from {node.name}" in out, "in local time", f"{local}\n{out}")
    code, out, error = told(t, "--json", journal(agent))
    t.ok(code == 0 and [json.loads(line) for line in out.splitlines()] == lines(agent), "--json: the lines as they are",
         f"{out}{error}")
    agent.write(agent.text())
    t.ok(agent.command("journal")[1].count("\n") == len(sentences), "found by the configuration", agent.command("journal"))


def snapshot(when, **members):
    return json.dumps({"kind": "snapshot", "time": when, "t_ns": "1", "schema": "reroute.journal/1", "why": "start",
                       "version": "1", "current": None, **members}) + "\n"


def at(ago_s):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago_s)).strftime(
        "%Y-%m-%dT%H:%M:%S.000Z")


def command(target, ago_s=0):
    return json.dumps({"kind": "command", "time": at(ago_s), "t_ns": "2", "command": "pin", "target": target}) + "\n"


def followed(t):
    path = os.path.join(t.directory, "journal.jsonl")
    with open(path + ".1", "w") as f:
        f.write(snapshot(at(7200)) + command("oldest", 7200))
    with open(path, "w") as f:
        f.write(command("old", 3000) + command("new", 10) + command("half")[:20])
    process = subprocess.Popen([REROUTE, "journal", "--since", "1h", "--follow", path], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE)
    t.stack.callback(process.kill)
    heard = []
    threading.Thread(target=lambda: heard.extend(line.split("  ", 1)[1].strip() for line in process.stdout),
                     daemon=True).start()

    def said(*targets):
        return lambda: heard == [f"a person pinned {target}" for target in targets]

    t.eventually(said("old", "new"), "what was within the hour, of whole lines", detail=lambda: heard)
    with open(path, "a") as f:
        f.write(command("half")[20:])
    t.eventually(said("old", "new", "half"), "a line that gets its end", detail=lambda: heard)
    with open(path, "a") as f:
        os.rename(path, path + ".1")
        f.write(command("last of the old file"))
        with open(path, "w") as g:
            g.write(command("first of the new file"))
    now = ["old", "new", "half", "last of the old file", "first of the new file"]
    t.eventually(said(*now), "over a rotation nothing is lost", detail=lambda: heard)
    with open(path, "w") as f:
        f.write(command("x"))
    t.eventually(said(*now, "x"), "also when it was emptied", detail=lambda: heard)
    process.send_signal(signal.SIGINT)
    t.ok(process.wait(10) == -signal.SIGINT and process.stderr.read() == "", "until it is interrupted")


def not_a_journal(t):
    path = os.path.join(t.directory, "x")
    for what, text, code, expected in (
            ("nothing in it", "", 3, "no line of a journal in it"),
            ("another file", "root:x:0:0\n{}\n[1]\n", 3, "no line of a journal in it"),
            ("another schema", snapshot(at(0)).replace("journal/1", "journal/9"), 3,
             "schema 'reroute.journal/9', expected reroute.journal/1"),
            ("a line without end", "x" * (5 << 20), 3, "a line of more than 4194304 bytes, not of a journal"),
            ("a line that a crash cut off", snapshot(at(0)) + "{\"kind", 0, "1 line could not be read")):
        with open(path, "w") as f:
            f.write(text)
        got, out, error = told(t, path)
        t.ok(got == code and error == f"reroute journal: {path}: {expected}\n", what, f"{got} {out} {error}")
    got, out, error = told(t, path + ".none")
    t.ok(got == 4 and error == f"reroute journal: {path}.none: No such file or directory\n", "no file", f"{got} {error}")
    got, out, error = told(t, t.directory)
    t.ok(got == 4 and error == f"reroute journal: {t.directory}: Is a directory\n", "a directory", f"{got} {error}")
    with open(path, "w") as f:
        f.write(snapshot(at(0)) + command("a\x1b[2J\u202eb"))
    for options in ([], ["--json"]):
        got, out, error = told(t, *options, path)
        t.ok(got == 0 and "\x1b" not in out and "\u202e" not in out,
             f"text of others acts on no terminal {options}", repr(out))


sys.exit(main([a_host, a_quiet_time, not_written, a_dry_run, for_people, followed, not_a_journal]))
