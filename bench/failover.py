# SPDX-License-Identifier: Apache-2.0
"""`reroute bench failover`: how long traffic is interrupted when the node that is in use fails, and where that time
goes. Started by failover.c, which has read the options.

A lab (tools/lab) is brought up for each setting: a host and three nodes; the host enters through the node that runs on
it. In each repetition

    the lab is whole (every node in every list) -> a new agent without history enters at home -> the meter's two
    streams flow -> a moment at random, so that no repetition begins in step with the agent's requests -> the node
    fails -> the route has moved, the cluster knows it, both streams flow again -> it is mended

and every step is waited for by its state. The agent is a new one each time because it remembers: a node that fails
over and over keeps a longer and longer hold, and is left for its restarts. It makes no difference to a failover.

One clock: the meter, the lab's session service and this program read CLOCK_MONOTONIC, the kernel stamps every line of
the agent's log. The moment of the failure is the sending of the last echo that was answered: the commands that make a
node fail take some milliseconds themselves, and an interruption is counted from that echo too.

An interruption is the longest one of a stream. Where echoes go on, the moment is the last arrival before the TCP
stream's. With rising loss, and where nothing fails, there is no moment at which traffic stops: there the time is counted
from the beginning of the loss, and from the person's order."""
import contextlib
import os
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from failover_bird import BIRD_SETTINGS, BIRD_WAYS, Bird, bird_missing
from failover_report import all_met, draw, print_csv, print_json, print_text
from failover_trial import PATIENCE_S, WAYS, Trial, command
from netlab.lab import Lab, iscsi_missing, nfs_missing
from netlab.stand import print_table
from netlab.wait import Failed, Interrupts, until

ACCESSES = 3
EXIT_MISSED, EXIT_SYSTEM = 1, 4


# --- the lab between repetitions -------------------------------------------------------------------------------

def is_whole(lab):
    """Every node is there, and every list has the present session of each."""
    states = [lab.state(node) for node in lab.nodes()]
    if not all(s and s["state"] == "keep-alive" for s in states):
        return False
    uuids = {s["uuid"] for s in states}
    return all(uuids <= {x["uuid"] for x in s["sessions"]} for s in states)


def repetition(lab, name, trial):
    """One repetition of a way of failing; the lab is mended in the end."""
    way = WAYS[name]
    until("the lab is whole again", lambda: is_whole(lab), PATIENCE_S)
    try:
        with contextlib.closing(trial):
            trial.enter(way)
            return trial.measure(way)
    finally:
        for words in way.mend:
            command(lab, *words)


# --- the study -------------------------------------------------------------------------------------------------

class Progress:
    """One line on a terminal."""

    def __init__(self, total):
        self.total, self.done, self.began = total, 0, time.monotonic()
        self.terminal = sys.stderr.isatty()

    def show(self, what):
        if not self.terminal:
            return
        left = (time.monotonic() - self.began) / self.done * (self.total - self.done) if self.done else None
        rest = "" if left is None else f", {left / 60:.0f} min left" if left >= 90 else f", {left:.0f} s left"
        print(f"\r\033[K{self.done} of {self.total}{rest}: {what}", end="", file=sys.stderr, flush=True)

    def end(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def run_ways(lab, result_of, names, rounds, new_trial, progress):
    for name in names:
        result = result_of(name)
        for _ in range(rounds):
            progress.show(f"{result['who']}, {result['setting']}, {name}")
            result["repetitions"].append(repetition(lab, name, new_trial()))
            progress.done += 1


def study(reroute, settings, rounds, ways, stream, mount, results):
    """Appends to results as they come, so that they are not lost when it ends early."""
    birds = [] if stream or bird_missing() else [w for w in ways if w in BIRD_WAYS]
    progress = Progress(rounds * (len(settings) * len(ways) + len(BIRD_SETTINGS) * len(birds)))

    def result_of(who, setting):
        def make(way):
            results.append({"who": who, "setting": setting, "way": way, "repetitions": []})
            return results[-1]
        return make

    try:
        for number, setting in enumerate(settings):
            timeout, count = setting.split("x")
            with Lab(f"rr-bench-{os.getpid()}-{number}", ACCESSES, LAB_SELECT_TIMEOUT=f"{float(timeout) * 1000:g}ms",
                     LAB_SELECT_COUNT=count, LAB_NFS="yes" if stream == "nfs" else "", LAB_NFS_MOUNT=mount,
                     LAB_ISCSI="yes" if stream == "iscsi" else "") as lab:
                run_ways(lab, result_of("reroute", setting), ways, rounds, lambda: Trial(lab, reroute), progress)
        if birds:
            with Lab(f"rr-bench-{os.getpid()}-bird", ACCESSES) as lab:
                for setting, options in BIRD_SETTINGS.items():
                    run_ways(lab, result_of("BIRD", setting), birds, rounds,
                             lambda: Bird(lab, options), progress)
    finally:
        progress.end()


def show(document, form):
    if form == "json":
        print_json(document)
    elif document["rows"]:
        print_csv(document) if form == "csv" else print_text(document, print_table)
    sys.stdout.flush()


def main():
    program, reroute, host, settings, rounds, ways, stream, mount, form, plot = sys.argv[1:]
    ways, lacking = ways.split(","), None
    if stream:
        lacking = (iscsi_missing(os.environ.get("LAB_OWN_MACHINE")) if stream == "iscsi" else
                   nfs_missing("lab-file" if mount else "lab-nfs"))
    if lacking:
        print(f"{program}: --stream {stream}: {lacking}", file=sys.stderr)
        return EXIT_SYSTEM
    document = {"schema": "reroute.bench-failover/1", "host": host, "accesses": ACCESSES, "rounds": int(rounds),
                "interrupted": True, "met": None, "notes": [], "rows": []}
    code = 0
    Interrupts.catch()
    try:
        study(reroute, settings.split(","), int(rounds), ways, stream, mount, document["rows"])
        document["interrupted"] = False
    except (Failed, OSError) as why:
        print(f"{program}: {why}", file=sys.stderr)
        code = EXIT_SYSTEM
    except KeyboardInterrupt:
        code = 128 + Interrupts.signal
    document["rows"] = [r for r in document["rows"] if r["repetitions"]]
    document["met"] = all_met(document["rows"])
    if not stream and set(ways) & set(BIRD_WAYS) and bird_missing():
        document["notes"].append(bird_missing())
    try:
        show(document, form)
    except OSError as why:
        print(f"{program}: cannot write: {why.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again at its end
        code = EXIT_SYSTEM
    trouble = draw(document["rows"], plot) if plot else None
    if trouble:
        print(f"{program}: cannot draw '{plot}': {trouble}", file=sys.stderr)
        return code or EXIT_SYSTEM
    return code or (EXIT_MISSED if document["met"] is False else 0)


if __name__ == "__main__":
    sys.exit(main())
