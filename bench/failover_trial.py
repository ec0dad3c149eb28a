# SPDX-License-Identifier: Apache-2.0
"""One repetition of the study of the failover: the ways of failing, an agent that enters at home, and what is measured
when home fails. See failover.py for the course of it and its clock."""
import os
import random
import re
import shutil
import subprocess
import time

from failover_report import STREAMS, interruptions, phases
from netlab.iscsi import PORT as ISCSI_PORT
from netlab.lab import SERVICE
from netlab.nfs import PORT as NFS_PORT
from netlab.stand import STORAGE_END_S, Stand
from netlab.wait import Failed

HOME, HOME_ACCESS = "10.10.85.15", "scvm1"
EMULATED = bool(os.environ.get("REROUTE_EMULATED"))  # a machine of tools/kernels: all takes ten times as long
# For a state of the lab, and for a failover: with margin for a lease and two lists.
PATIENCE_S = 200 if EMULATED else 30
LOSS_STEPS = range(10, 101, 10)
LOSS_STEP_S = 0.5
# Before: what a path loses as a rule is a matter of its past, and an agent usually has one.
HISTORY_S = 15
STEP_S = 1  # between steps of a way
# Of the lab's nodes, by what they serve: what is checked is what is used.
CHECKS = {None: "http:80/api/v3/sessions", "nfs": f"nfs3:{NFS_PORT}", "iscsi": f"iscsi:{ISCSI_PORT}"}
VERDICT_S = 1.5 if EMULATED else 0.3  # the meter takes 200 ms for its verdict on an echo, there 1 s


def steps(text):
    """Commands, each a list of words."""
    return [step.split() for step in text.split(";") if step]


class Way:
    """A way of failing, as commands of the lab, or after the word `agent` of reroute; each moves the route. The mending
    ones are of the lab: the agent goes with its repetition. before: done first, while nothing is measured. checked: the
    agent checks the service. planned: nothing fails, so the agent need not find out."""

    def __init__(self, fail, mend="", before="", gradual=False, checked=False, planned=False):
        self.fail, self.mend, self.before = steps(fail), steps(mend), steps(before)
        self.gradual, self.checked, self.planned = gradual, checked, planned


def command(lab, name, *arguments):
    """One of these words, done."""
    getattr(lab, name)(*arguments)


WAYS = {
    "cable": Way("cut scvm1 data", "plug scvm1 data"),
    "host-cable": Way("cut host data", "plug host data"),
    "process": Way("kill scvm1", "revive scvm1"),
    "freeze": Way("freeze scvm1", "thaw scvm1"),
    "blackhole-in": Way("lose scvm1 data in 100", "lose scvm1 data in 0"),
    "blackhole-out": Way("lose scvm1 data out 100", "lose scvm1 data out 0"),
    "loss": Way("lose scvm1 data in PERCENT", "lose scvm1 data in 0", gradual=True),
    "session": Way("stop scvm1", "revive scvm1"),
    "service": Way("stop scvm1", "revive scvm1", checked=True),
    "hang": Way("suspend scvm1", "resume scvm1", checked=True),
    "drain": Way("agent drain scvm1", planned=True),
    "failback": Way("agent failback --now", before="agent drain scvm1; agent undrain scvm1", planned=True),
    "out-and-back": Way("agent pin scvm2; agent pin scvm1", planned=True),
}


class Trial(Stand):
    """One repetition: enter(), then measure(). Keeps what was said, and whether the streams flow."""

    def __init__(self, lab, reroute):
        super().__init__(lab, reroute)
        self.log = []
        self.gaps = []
        self.storage = lab.storage()
        self.flowing = dict.fromkeys((*STREAMS, self.storage) if self.storage else STREAMS, False)
        self.blocks = self.errors = None  # of the storage client, when it has read all back

    def agent_line(self, line, at):
        fields = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)}
        self.log.append((at, fields.get("event"), fields))

    def meter_event(self, event, at):
        if event["event"] == "interruption":
            self.gaps.append(event)
        if event["event"] in ("first", "again", "silent"):
            self.flowing[event["stream"]] = event["event"] != "silent"
        if self.storage in event:  # its summary
            self.blocks, self.errors = event[self.storage]["blocks"], event[self.storage]["errors"]

    # --- the state before

    def enter(self, way):
        """A new agent, at home."""
        self.lab.write_configuration(LAB_SERVICE_CHECK=CHECKS[self.storage] if way.checked else "none")
        shutil.rmtree(f"{self.lab.directory}/state")
        os.mkdir(f"{self.lab.directory}/state")
        subprocess.run(["ip", "-n", f"{self.lab.name}-host", "route", "flush", SERVICE], capture_output=True)
        self.start_agent()
        self.until("the agent is at home and settled", self.is_settled, PATIENCE_S)
        for words in way.before:
            if not self.do(words):
                raise Failed(f"waited {PATIENCE_S:g} s in vain: {' '.join(words)} has moved the route")

    def is_settled(self):
        try:
            s = self.status()
        except Failed:
            return False  # it does not listen yet
        return (s["next_hop"] == HOME and s["refresh"]["done"] and all(p["state"] == "up" for p in s["paths"]) and
                all(a["state"] in ("alive", "stable") for a in s["sessions"]["accesses"]))

    # --- the failure

    def has_moved(self, since):
        """The route leads elsewhere, and the cluster has been told."""
        at = next((at for at, name, _ in self.log if name == "switch" and at >= since), None)
        return at is not None and any(name == "refresh" and then >= at for then, name, _ in self.log)

    def do(self, words):
        """A step of a way; false: the route did not move. Taking back a drain moves nothing by itself."""
        begun = time.monotonic()
        if words[0] != "agent":
            command(self.lab, *words)
        else:
            self.reroute(*words[1:])
        return "undrain" in words or self.reached(lambda: self.has_moved(begun), PATIENCE_S)

    def lose_more_and_more(self, words):
        begun = time.monotonic()
        for percent in LOSS_STEPS:
            command(self.lab, *(str(percent) if word == "PERCENT" else word for word in words))
            if self.reached(lambda: self.has_moved(begun), LOSS_STEP_S):
                return True
        return self.reached(lambda: self.has_moved(begun), PATIENCE_S)

    def fail(self, way):
        """The steps, one second apart; false: the route did not move."""
        moved = True
        for number, words in enumerate(way.fail):
            if number:
                self.pause(STEP_S)
            moved = (self.lose_more_and_more if way.gradual else self.do)(words) and moved
        return moved

    def measure(self, way):
        """The repetition, as failover_report.py wants it."""
        self.start_meter()
        if self.storage:
            self.start_storage_client()
        self.until("all streams flow", lambda: all(self.flowing.values()), PATIENCE_S)
        self.pause(0.3 + random.random() + (HISTORY_S if way.gradual else 0))
        begun = time.monotonic()
        over = self.fail(way)
        self.pause(VERDICT_S)
        over = self.reached(lambda: all(self.flowing.values()), PATIENCE_S) and over
        self.pause(VERDICT_S)  # on those before the one that came back
        self.end("meter")
        if self.storage:
            self.end("storage client", STORAGE_END_S)
        found, failed_at = interruptions(self.gaps, self.flowing, begun)
        if way.gradual or way.planned:
            failed_at = begun
        return {**found, "over": found["over"] and over,
                **({f"{self.storage}_blocks": self.blocks, f"{self.storage}_errors": self.errors} if self.storage else {}),
                **phases(self.log, failed_at, HOME, HOME_ACCESS)}
