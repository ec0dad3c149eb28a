# SPDX-License-Identifier: Apache-2.0
"""`reroute bench hold` and `reroute replay` as commands: their documents, tables and pictures, and what they say to
bad arguments."""
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap
from netlab.wait import until

REROUTE = sys.argv[1]
tap = Tap()
ok = tap.ok


def run(*arguments):
    done = subprocess.run([REROUTE, *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def hold(*arguments):
    return run("bench", "hold", *arguments)


def snapshot(t, **more):
    ns = str(t * 10**9)
    path = {"tier": "data", "state": "up", "up_since_ns": "1", "on_link": True, "link_usable": True,
            "service_good": True, "full_size": "passed", "last_reply_ns": "now", "proven_ns": "now"}
    return {"kind": "snapshot", "time": "2026-01-01T00:00:00.000Z", "t_ns": ns, "schema": "reroute.journal/1",
            "why": "start", "boot_id": "a", "host": "h1", "service": "10.9.9.9", "current": "10.0.0.1",
            "agent": {"sessions_waived": True, "list_arrived": True, "window_ns": "1000000000",
                      "select_timeout_ns": "100000000", "hold_ns": "180000000000", "damping_max_ns": "3600000000000"},
            "accesses": [{"access": "one", "locality": "local"}, {"access": "two", "locality": "same-zone"}],
            "paths": [{"path": "10.0.0.1", "access": "one", **path}, {"path": "10.0.0.2", "access": "two", **path}],
            "decision": {"action": "keep", "reason": "best"}, **more}


def step(t, **home):
    return {"kind": "step", "time": "2026-01-01T00:00:00.000Z", "t_ns": str(t * 10**9),
            "paths": [{"path": "10.0.0.1", **home}]}


def write(path, lines):
    with open(path, "w") as f:
        f.writelines(json.dumps(line) + "\n" for line in lines)


directory = tempfile.mkdtemp(prefix="reroute-hold-")
journal = os.path.join(directory, "journal.jsonl")
write(journal, [snapshot(100), step(1001, state="down", missing=True, first_missed_ns="1000000000000",
                                    last_reply_ns="999000000000", proven_ns="999000000000", up_since_ns="0"),
                step(1101, state="up", missing=False, last_reply_ns="now", proven_ns="now",
                     up_since_ns="1100000000000"),
                {"kind": "alive", "time": "2026-01-01T01:00:00.000Z", "t_ns": str(3700 * 10**9)}])

# --- the study
code, text, error = hold("--json", "--runs", "2", "--hold", "180s,60s,10s")
document = json.loads(text)
rows = document["rows"]
ok(code == 0 and error == "" and document["schema"] == "reroute.bench-hold/1", "a document", error)
ok(len(rows) == 5 * 3 * 2 and {r["damping"] for r in rows} == {"on", "off"}, "every history with every setting", text)
ok([r["hold_s"] for r in rows[:6]] == [10, 10, 60, 60, 180, 180], "holds in order", rows[:6])
ok(document["hours_simulated"] == 30 * 2 * 24 and document["hours_per_cpu_second"] > 0, "and how fast it was", document)
ok(document["answer"].startswith("Can 180s be shorter?"), "and the answer", document["answer"])
table = {(r["history"], r["hold_s"], r["damping"]): r for r in rows}
ok(table["reboot", 180, "on"]["switches"] == 2 and table["reboot", 180, "on"]["needless"] == 0, "a reboot: out and back")
ok(table["reboot", 180, "on"]["away_min"] > table["reboot", 60, "on"]["away_min"] + 1.9, "a longer hold is away longer")
ok(table["reboots", 10, "on"]["switches"] < table["reboots", 10, "off"]["switches"] / 2, "damping damps")
again = json.loads(hold("--json", "--runs", "2", "--hold", "10s,60s,180s")[1])
ok(again["rows"] == rows, "the same seed gives the same figures")
ok(json.loads(hold("--json", "--runs", "2", "--hold", "10s,60s,180s", "--seed", "9")[1])["rows"] != rows, "another one others")

code, text, error = hold("--csv", "--runs", "1", "--history", "flap,leak", "--hold", "30s", "--damping", "10m")
rows = list(csv.DictReader(text.splitlines()))
ok(code == 0 and [(r["history"], r["hold_s"], r["damping"]) for r in rows] ==
   [("flap", "30.0", "600s"), ("leak", "30.0", "600s")], "CSV", text)
code, text, error = hold("--runs", "1", "--history", "reboot")
ok(code == 0 and "needless: a failback whose path failed within 10 min" in text and "h a second" in text
   and text.splitlines()[-1].startswith("Can 180s be shorter?"), "a table, its definitions, its speed, its answer", text)

code, text, error = hold("--csv", "--journal", journal, "--hold", "10s,180s", "--damping", "on")
rows = list(csv.DictReader(text.splitlines()))
ok(code == 0 and [r["away_min"] for r in rows] == ["1.8", "4.7"] and rows[0]["history"] == journal, "a journal", text)
ok(len(json.loads(hold("--json", "--journal", f"{journal},{journal}", "--history", "reboot", "--runs", "1")[1])["rows"])
   == 3 * 7 * 2, "journals beside made-up histories")

# Interrupted in a history that has more runs than anybody waits for: what was not played is neither in the table nor
# in the answer.
def catches_interrupts(pid):
    with open(f"/proc/{pid}/status") as f:
        caught = next(int(line.split()[1], 16) for line in f if line.startswith("SigCgt"))
    return caught >> (signal.SIGINT - 1) & 1


process = subprocess.Popen([REROUTE, "bench", "hold", "--json", "--runs", "100000"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
until("it catches interrupts", lambda: catches_interrupts(process.pid))
process.send_signal(signal.SIGINT)
text, error = process.communicate(timeout=30)
document = json.loads(text)
ok(process.returncode == 130 and document["interrupted"] is True and all(r["runs"] > 0 for r in document["rows"])
   and {r["history"] for r in document["rows"]} <= {"reboot"}, "interrupted: what was played", f"{error} {text[-300:]}")
ok(document["answer"].startswith("Interrupted; by what was played until then: ") and "nan" not in document["answer"],
   "and an answer by that", document["answer"])

if shutil.which("gnuplot"):
    picture = os.path.join(directory, "hold.svg")
    code, text, error = hold("--runs", "1", "--history", "reboot", "--plot", picture)
    with open(picture) as f:
        ok(code == 0 and "</svg>" in f.read(), "a picture", error)
else:
    tap.skipped("a picture", "no gnuplot")

for arguments, what in ((["--hold", "60x"], "'60x'"), (["--hold", ""], "''"), (["--hold", "2h"], "'2h'"),
                        (["--damping", "maybe"], "'maybe'"), (["--history", "flood"], "'flood'"),
                        (["--runs", "0"], "'0'"), (["--journal", ","], "--journal"), (["--plot", "x.gif"], "x.gif"),
                        (["--json", "--csv"], "exclude"), (["x"], "'x'")):
    code, text, error = hold(*arguments)
    ok(code == 3 and text == "" and what in error and error.endswith("Try 'reroute bench hold --help'.\n")
       and error.count("\n") == 2, f"bad: {' '.join(arguments)}", f"{code} {error}")
code, text, error = hold("--journal", "/nonexistent")
ok(code == 4 and error == "reroute bench hold: /nonexistent: No such file or directory\n", "no such journal", error)

# --- replay
code, text, error = run("replay", journal, "--json", "--hold", "60s", "--set", "damping=off,sessions=off,witness=off")
document = json.loads(text)
ok(code == 0 and document["schema"] == "reroute.replay/1" and document["host"] == "h1", "replay: a document", error)
other = document["results"][-1]
ok((other["hold_s"], other["damping_max_s"], other["sessions"], other["witness"]) == (60, 0, False, False), "with the settings asked for", other)
ok([(m["reason"], m["to"]) for m in other["moves"]] == [("path-down", "10.0.0.2"), ("failback", "10.0.0.1")],
   "and their switches", other)
ok(document["reproduced"] is False and document["results"][0]["switches"] == 0,
   "a host that did not do what its evidence asked for: said", document)
code, text, error = run("replay", journal)
ok(code == 0 and "differs from what the host did" in text and "select-timeout" in text, "replay: a table", text)
write(os.path.join(directory, "other"), [snapshot(1, schema="reroute.journal/7")])
for arguments, expected, what in ((["/nonexistent"], 4, "/nonexistent: No such file"),
                                  ([directory], 4, f"{directory}: Is a directory"),
                                  ([os.path.join(directory, "other")], 3, "schema 'reroute.journal/7', expected"),
                                  ([REROUTE], 3, "not a journal"), ([], 3, "expected JOURNAL"),
                                  ([journal, "--hold", "x"], 3, "--hold 'x'"),
                                  ([journal, "--set", "hold=1s"], 3, "--set 'hold=1s'"),
                                  ([journal, "--set", "witness=no"], 3, "--set 'witness=no'"),
                                  ([journal, "--set", "damping"], 3, "--set 'damping'")):
    code, text, error = run("replay", *arguments)
    ok(code == expected and text == "" and what in error, f"replay {' '.join(arguments)[-30:]}", f"{code} {error}")

shutil.rmtree(directory)
sys.exit(tap.done())
