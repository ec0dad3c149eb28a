# SPDX-License-Identifier: Apache-2.0
"""The agent that tunes itself, end to end: it says what it would choose and why it does not yet, keeps what it has seen
over a restart, follows its own advice when it is asked to, and becomes slower at once when a failover was false.

To see enough takes a day. So what was seen is made up: the agent's own file, with more hours in it."""
import json
import os
import signal
import subprocess
import sys

from harness import REROUTE, main, stays

# So that a machine that is busy for a moment changes no verdict: nothing is faster than a second.
LIMITS = 'tune-timeout-min = "100ms" tune-window-min = "1s" tune-window-max = "3s"'
CONFIGURED = dict(timeout="100ms", count=30)


def tune(agent):
    return agent.get("tune") or {}


def pair(agent):
    now = tune(agent)
    return now.get("select_timeout_ms"), now.get("select_count")


def kept(agent):
    return os.path.join(agent.state_directory, "tune.json")


def make_up(agent, days):
    """What the agent kept, as if it had watched its paths for so long and nothing had gone unanswered."""
    with open(kept(agent)) as f:
        document = json.load(f)
    for path in document["paths"]:
        for span in path["month"], path["week"]:
            span["watched_s"] = days * 86400
            for tail in span["tails"]:
                pace = 500 * tail["select_timeout_ms"]
                asked = max(pace, 500 * 100)  # twice in the configured select-timeout
                tail.update(watched_s=days * 86400 * pace / asked, interval_us=asked, runs=[])
    with open(kept(agent), "w") as f:
        json.dump(document, f)


def with_history(t, mode, days=3):
    world, service, monitor, agent, home = t.settled(probe=f'tune = "{mode}" {LIMITS}', **CONFIGURED)
    t.eventually(lambda: tune(agent).get("watched_s", 0) > 0, "it watches the path in use", 30, agent.status)
    now = tune(agent)
    t.ok(now["advice"] is None and 86000 < now["needs_s"] < 86400 and "h more" in now["why"], "it says what it waits for",
         now)
    t.ok("tune      advice in 24.0 h\n" in agent.command("status")[1],
         "so does the table", agent.command("status")[1])
    t.ok(agent.terminate() == 0, "ends")
    make_up(agent, days)
    agent.start()
    t.eventually(lambda: agent.get("next_hop") == home, "at home again", detail=agent.status)
    t.eventually(lambda: tune(agent).get("advice"), "an advice", detail=agent.status)
    return world, agent, home


def advises(t):
    world, agent, home = with_history(t, "advise")
    now = tune(agent)
    t.ok((now["advice"]["select_timeout_ms"], now["advice"]["select_count"]) == (50, 20) and
         now["advice"]["detection_ms"] == 1025 and now["advice"]["false_per_year_at_most"] < 0.1 and
         now["advice"]["how_known"] == "none seen" and now["advice"]["since"] and now["needs_s"] == 0, "the fastest that the limits allow", now)
    t.ok(pair(agent) == (100, 30), "what is in force is configured", now)
    said = agent.command("status")[1]
    t.ok("50 ms x 20 advised since" in said and "detects in 1025 ms" in said, "the table has it", said)
    t.ok(stays(lambda: len(agent.events("tune")) == 1, lambda: tune(agent)["watched_s"] > now["watched_s"] + 12, 40),
         "it is told once", agent.events("tune"))


def follows(t):
    world, agent, home = with_history(t, "auto")
    t.eventually(lambda: pair(agent) == (100, 10), "the pair is in force", detail=agent.status)
    t.ok("100 ms x 10 in force since" in agent.command("status")[1], "the table has it", agent.command("status")[1])
    t.ok(agent.switches() == [] or agent.get("next_hop") == home, "the route stays", agent.switches())
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "reload")
    t.ok(pair(agent) == (100, 10), "a reload that changes nothing keeps it", tune(agent))
    t.ok(agent.terminate() == 0, "ends")
    agent.start()
    t.eventually(lambda: pair(agent) == (100, 10), "a restart keeps it", detail=agent.status)
    t.eventually(agent.settled(home), "at home", detail=agent.status)

    node = world.node(1)
    world.cut(node, "data")
    t.eventually(lambda: agent.get("next_hop") != home, "away", detail=agent.status)
    world.plug(node, "data")
    t.eventually(lambda: agent.events("false-failover"), "it was a false failover", detail=agent.status)
    t.eventually(lambda: pair(agent) == (100, 30), "slower at once", detail=agent.status)
    t.ok(tune(agent)["false_failovers"] == 1, "counted", tune(agent))
    t.eventually(agent.on(home), "home after the hold", 30, agent.status)
    t.ok(agent.terminate() == 0, "ends")
    with open(os.path.join(agent.state_directory, "journal.jsonl")) as f:
        windows = [json.loads(line).get("agent", {}).get("window_ns") for line in f]
    t.ok([w for w in windows if w][-1] == "3000000000" and "1000000000" in windows, "the journal has the windows", windows)
    done = subprocess.run([REROUTE, "replay", "--json", os.path.join(agent.state_directory, "journal.jsonl")],
                          capture_output=True, text=True, timeout=30)
    t.ok(done.returncode == 0 and json.loads(done.stdout)["reproduced"], "a replay makes the same switches",
         done.stdout + done.stderr)


def another_configuration(t):
    world, agent, home = with_history(t, "auto")
    t.eventually(lambda: pair(agent) == (100, 10), "the pair is in force", detail=agent.status)
    agent.write(agent.text(probe=f'tune = "auto" {LIMITS}', timeout="100ms", count=25))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "reload")
    t.eventually(lambda: pair(agent) == (100, 10), "another configured pair: the rule begins anew, and finds the same",
                 detail=agent.status)
    agent.write(agent.text(probe=f'tune = "off" {LIMITS}', timeout="100ms", count=25))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: pair(agent) == (100, 25), "off: what is configured is in force", detail=agent.status)
    t.ok(tune(agent)["mode"] == "off" and tune(agent)["advice"] is None, "off", tune(agent))


def damaged(t):
    world, service, monitor, agent, home = t.settled(probe=f'tune = "auto" {LIMITS}', **CONFIGURED)
    t.ok(agent.terminate() == 0, "ends")
    for number, text in enumerate(("", "{}", '{"schema": "reroute.tune/1"}', open(kept(agent)).read()[:-40],
                                   open(kept(agent)).read().replace('"select_count":30', '"select_count":-1'))):
        with open(kept(agent), "w") as f:
            f.write(text)
        agent.start()
        t.eventually(lambda: agent.get("next_hop") == home, "runs", detail=agent.status)
        said = [e for e in agent.events("not-read") if e["file"] == kept(agent)]
        t.ok(len(said) == number + 1 and "damaged" in said[-1]["error"], f"said in one line: {text[:30]!r}", said)
        t.ok(pair(agent) == (100, 30), "and begins anew", tune(agent))
        t.ok(agent.terminate() == 0, "ends")


if __name__ == "__main__":
    sys.exit(main([advises, follows, another_configuration, damaged]))
