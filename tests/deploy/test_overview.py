#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: `reroute status --all` says of each host where it enters, whether that is home and why not, by tables;
and asks real hosts over ssh, of which some do not answer, each for its own reason."""
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path += [HERE, os.path.join(ROOT, "tools", "deploy"), os.path.join(ROOT, "tests", "lib")]
from overview import answered, ask_text, entry, is_home, table, why
from remote import Trouble
from stage import REROUTE, Stage, eventually, missing, programs
from netlab.namespace import entering
from tap import Tap

tap = Tap()


def path(access, rank, current=False, why="", tier="data"):
    return {"access": access, "tier": tier, "rank": rank, "current": current, "why": why}


def status(*paths, decision="best", **members):
    return {"paths": list(paths), "decision": decision, "explanation": "so it is", "access": "n1", "tier": "data",
            "since": "2026-01-31T12:00:00.123Z", **members}


AT_HOME = (path("n1", 10, True), path("n2", 12))
AWAY = (path("n1", 10, why="no reply in 1 s"), path("n2", 12, True))
DRAINED = {"accesses": [{"access": "n1", "drained": True, "drain_until": "T", "drain_because": "a disk"}]}
ROWS = (
    ("at home", status(*AT_HOME), True, ""),
    ("an equal is home too", status(path("n1", 12), path("n2", 12, True)), True, ""),
    ("away", status(*AWAY), False, "n1 data: no reply in 1 s"),
    ("away in hold", status(path("n1", 10), path("n2", 12, True), decision="hold",
                            failback={"access": "n1", "in_s": 142.6}), False, "goes to n1 in 143 s"),
    ("away, it is not known for how long", status(path("n1", 10), path("n2", 12, True), decision="wait-stable",
                                                  failback={"access": "n1", "in_s": None}), False, "so it is"),
    ("nothing eligible", status(path("n1", 10, True, "no reply in 1 s"), decision="nothing-eligible"), True, "so it is"),
    ("no route", status(path("n1", 10), decision="cold-start", access=None, tier=None, since=None), None, "so it is"),
    ("pinned", status(*AT_HOME, pin="n1", pin_because="noise"), None, "pinned to n1 (noise)"),
    ("drained", status(path("n1", 10, why="its access is drained"), path("n2", 12, True), sessions=DRAINED), False,
     "n1 is drained until T (a disk); n1 data: its access is drained"),
    ("observing", status(*AT_HOME, observe_only={"file": "/f"}), True, "only observes"),
    ("not observing", status(*AT_HOME, observe_file={"file": "/f", "error": None}), True, ""),
    ("who knows", status(*AT_HOME, observe_file={"file": "/f", "error": "no"}), True, "cannot look for /f: no"),
)


def of_tables():
    for what, document, home, text in ROWS:
        tap.ok((is_home(document), why(document)) == (home, text), what, f"{is_home(document)} {why(document)}")
    shown = table([entry("a1", ROWS[0][1], None), entry("b2", ROWS[2][1], None), entry("c3", None, "no ssh\x1b[2Jthere"),
                   entry("d4", ROWS[6][1], None)])
    tap.ok(shown == """\
HOST  ENTERS THROUGH  TIER  HOME  SINCE                WHY
a1    n1              data  yes   2026-01-31 12:00:00
b2    n1              data  no    2026-01-31 12:00:00  n1 data: no reply in 1 s
c3    -               -     -     -                    no answer: no ssh\\x1b[2Jthere
d4    no route        -     -     -                    so it is

4 hosts: 1 did not answer, 1 not at home
""", "the table", shown)
    one = table([entry("a1", ROWS[0][1], None)])
    tap.ok(one.endswith("\n1 host: 0 did not answer, 0 not at home\n"), "the table of one", one)


# What a host may send in place of a status; the document is that of a good one but for these members.
STRANGE = ("", "[]", "{}", "[" * 100000, '"schema"', {"paths": 3}, {"paths": [3]}, {"paths": None}, {"sessions": []},
           {"sessions": {"accesses": ["n1"]}}, {"since": 5}, {"failback": {"in_s": "x"}}, {"failback": {"in_s": 5}},
           {"observe_file": 3}, {"observe_file": {"error": 5}},
           {"paths": [path("n1", "x", True), path("n2", 12)]}, {"explanation": 5, "decision": "hold"})


def of_strange_answers():
    good = status(*AT_HOME, schema="reroute.status/1")
    tap.ok(answered("a1", json.dumps(good))["home"], "a good answer")
    for strange in STRANGE:
        text = strange if isinstance(strange, str) else json.dumps({**good, **strange})
        try:
            said = answered("a1", text)
        except Trouble as trouble:
            said = str(trouble)
        tap.ok(said == "its answer is not understood", f"an answer that is not understood: {text[:80]}", said)


def of_asking():
    """The program in the directory of a host's line comes first, and is asked with the configuration beside it."""
    with tempfile.TemporaryDirectory() as directory:
        place = f"{directory}/a b's"
        os.mkdir(place)
        good = "echo '{'; echo \"$*\" '}'"
        for text, with_config, said in (
                (good, True, f"status={{status --json --config {place}/reroute.conf }}\ndone=\n"),
                (good, False, "status={status --json }\ndone=\n"),
                ("echo one; echo two >&2; exit 4", False, "failed=two\n")):
            with open(f"{place}/reroute", "w", encoding="ascii") as f:
                f.write(f"#!/bin/sh\n{text}\n")
            os.chmod(f"{place}/reroute", 0o755)
            if with_config:
                open(f"{place}/reroute.conf", "w", encoding="ascii").close()
            elif os.path.exists(f"{place}/reroute.conf"):
                os.remove(f"{place}/reroute.conf")
            for shell in (["sh"], ["busybox", "ash"]):
                done = subprocess.run(shell, input=ask_text(place), capture_output=True, text=True, check=False)
                tap.ok(done.stdout == said, f"{shell[0]} asks: {said!r}", done)


def run(stage, *arguments):
    done = subprocess.run([REROUTE, "status", "--all", *arguments, "--ssh", f"ssh -F {stage.path('ssh_config')}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, preexec_fn=entering(stage.desk),
                          timeout=120)
    return done.returncode, done.stdout, done.stderr


def of_hosts():
    good = ("good1", "good2", "esx1")
    stage = Stage({"good1": "systemd", "good2": "linux", "esx1": "vmkernel", "bare1": "linux", "key1": "linux",
                   "deaf1": "linux"})
    try:
        stage.deploy("install", "--hosts", stage.list("some", only=good), "--config", stage.template(),
                     "--binary", programs(stage.path("program")))
        stage.configure(key={"key1": "stranger"}, port={"deaf1": 23})
        for name in good:
            eventually("its route", stage.hosts[name].route)
        code, out, error = run(stage, "--hosts", stage.list(), "--json")
        document = json.loads(out)
        found = {one["name"]: one for one in document["hosts"]}
        tap.ok(code == 1 and error == "" and document["schema"] == "reroute.status-all/1", "some do not answer", out + error)
        for name in good:
            one = found[name]
            tap.ok(one["answered"] and one["home"] and one["status"]["schema"] == "reroute.status/1" and
                   [one["status"]["next_hop"]] == stage.hosts[name].route(), f"{name} is at home", one)
        for name, reason in (("bare1", "reroute is not installed there"), ("key1", "the host does not accept the key"),
                             ("deaf1", "no ssh there")):
            tap.ok(not found[name]["answered"] and found[name]["why"].startswith(reason), f"{name}: {reason}", found[name])
        code, out, error = run(stage, "--hosts", stage.path("hosts"))
        tap.ok(code == 1 and "\x1b" not in out and "6 hosts: 3 did not answer, 0 not at home\n" in out, "as a table", out)
        code, out, error = run(stage, "--hosts", stage.path("some"))
        tap.ok(code == 0 and "3 hosts: 0 did not answer, 0 not at home\n" in out, "all answer", out + error)
        code, out, error = run(stage, "--hosts", stage.path("hosts"), "--host", "good1")
        tap.ok(code == 0 and "\n1 host: 0 did not answer, 0 not at home\n" in out, "one of the list", out + error)
    finally:
        stage.close()


def of_arguments():
    for what, arguments, said in (
            ("no list", ["--all"], "reroute status: --all: expected --hosts FILE too\n"),
            ("a host that is not in the list", ["--all", "--hosts", "@list@", "--host", "none"],
             "reroute status: --host 'none': expected a name of the list: "),
            ("a host without --all", ["--host", "x"], "reroute status: --host: expected with --all only\n"),
            ("a list without --all", ["--hosts", "x"], "reroute status: --hosts: expected with --all only\n"),
            ("a list that is not there", ["--all", "--hosts", "/nonexistent/x"],
             "reroute status: /nonexistent/x: No such file or directory\n"),
            ("a list without hosts", ["--all", "--hosts", "/dev/null"],
             "reroute status: /dev/null: no host in it, expected lines such as: host1 local=node1\n"),
            ("a screen", ["--all", "--hosts", "@list@", "--watch"], "reroute status: --watch: not expected with --all\n"),
            ("a socket", ["--all", "--hosts", "@list@", "--socket", "/x"],
             "reroute status: --socket: not expected with --all\n"),
            ("a quotation without an end", ["--all", "--hosts", "@list@", "--ssh", "ssh 'a"],
             "reroute status: --ssh 'ssh 'a': expected an end of each quotation\n")):
        with tempfile.NamedTemporaryFile("w") as listed:
            listed.write("a\n")
            listed.flush()
            arguments = [listed.name if word == "@list@" else word for word in arguments]
            done = subprocess.run([REROUTE, "status", *arguments], capture_output=True, text=True, timeout=30)
        tap.ok(done.returncode == 3 and done.stderr.startswith(said) and done.stdout == "", what, done)


def of_an_interruption():
    """At once, with what is known by then; nothing is left of it."""
    with tempfile.TemporaryDirectory() as directory:
        with open(f"{directory}/hosts", "w", encoding="ascii") as f:
            f.write("quick1\nslow1\n")
        script = f'case "$*" in *"-O exit"*) ;; *quick1*) printf "\\nbegin=\\nfailed=no\\n" ;; *) : >{directory}/waits; exec sleep 100 ;; esac'
        done = subprocess.Popen([REROUTE, "status", "--all", "--hosts", f"{directory}/hosts", "--ssh",
                                 shlex.join(["sh", "-c", script, "ssh"])],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        eventually("in the middle", lambda: os.path.exists(f"{directory}/waits"))
        done.send_signal(signal.SIGINT)
        out, error = done.communicate(timeout=30)
        lines = {line.split()[0]: line for line in out.splitlines() if line}
        tap.ok(done.returncode == 130 and error == "" and lines["quick1"].endswith("no answer: no") and
               lines["slow1"].endswith("no answer: interrupted"), "an interruption", f"{done.returncode} {out} {error}")


of_tables()
of_strange_answers()
of_asking()
of_arguments()
of_an_interruption()
reason = missing()
if reason:
    tap.say(f"hosts: skipped, {reason}")
else:
    of_hosts()
sys.exit(tap.done())
