# SPDX-License-Identifier: Apache-2.0
"""The main job, shown: an agent on a host of a three-node cluster in network namespaces, and what happens to
the host's storage while nodes die, come back, restart, and the host loses its storage network.

An ICMP echo goes to the service every millisecond and a TCP stream runs through it all the time; with --nfs a real NFS
client writes to it too, and reads back all that it wrote. Each event, each line of the agent's log, each change of the
kernel's route and each measured interruption is shown when it happens; a table sums up. Takes about a minute, and leaves nothing behind, on Ctrl-C neither.

Started by tools/demo, which says in REROUTE_BUILD where the build is."""
import os
import re
import sys
import time

sys.dont_write_bytecode = True
from netlab.lab import SERVICE, Lab, nfs_missing
from netlab.stand import STORAGE_END_S, STREAMS, Stand, print_table
from netlab.wait import Failed, Interrupts

HOLD_S = 8  # the default is 180 s
FAILOVER_BAR_MS = 1070  # 10 waits of 100 ms, half of one, and 20 ms
SETTLE_S = 0.3  # a line is shown when it is so old: those of the others that belong before it have come by then


def access_name(address):
    """10.10.85.16 -> scvm2 data"""
    known = re.fullmatch(r"(10\.10|192\.168)\.85\.(\d+)", address or "")
    if not known:
        return "none"
    return f"scvm{int(known[2]) - 14} {'data' if known[1] == '10.10' else 'management'}"


class Play(Stand):
    """The agent, the meter, the route as the kernel has it, and the screen."""

    COLOURS = {"event": "\033[1;33m", "route": "\033[1;32m", "meter": "\033[1;31m", "status": "\033[36m",
               "agent": "\033[2m"}

    def __init__(self, lab, reroute):
        super().__init__(lab, reroute)
        self.started = time.monotonic()
        self.colour = sys.stdout.isatty()
        self.steps = []
        self.gaps = []
        self.streams = (*STREAMS, "nfs") if lab.serves_nfs() else STREAMS
        self.summary = {}  # by stream
        self.hop = None
        self.looked = 0.0
        self.lines = []  # said, and not shown yet: (moment, text)
        self.shown = 0.0

    # --- the screen

    def say(self, who, text, at=None):
        moment = max(self.shown, (at or time.monotonic()) - self.started)
        line = f"{moment:7.3f} s  {who:<7} {text}"
        if self.colour:
            line = f"{self.COLOURS.get(who, '')}{line}\033[0m"
        self.lines.append((moment, line))

    def show(self, until):
        """Shows what was said of the time up to this moment, in the order of time."""
        self.lines.sort(key=lambda said: said[0])
        while self.lines and self.lines[0][0] <= until:
            self.shown, line = self.lines.pop(0)
            print(line, flush=True)

    def agent_line(self, line, at):
        """logfmt; the time of day and the level of every line say nothing here."""
        text = re.sub(r"^time=\S+ ", "", line)
        self.say("agent", re.sub(r"\blevel=info ", "", text), at)

    def meter_event(self, event, _):
        stream = event.get("stream", "").upper()
        if event["event"] == "first":
            self.say("meter", f"{stream}: the service answers", event["at"])
        elif event["event"] == "silent":
            self.say("meter", f"{stream}: silence since {event['since'] - self.started:.3f} s")
        elif event["event"] == "interruption":
            self.gaps.append(event)
            lost = f", {event['lost']} echoes lost" if event["stream"] == "icmp" else ""
            if event["breaks"]:
                lost = ", reconnected"
            self.say("meter", f"{stream}: interrupted for {event['length_ms']:.0f} ms "
                              f"from {event['from'] - self.started:.3f} s{lost}")
        elif event["event"] == "summary":
            self.summary.update(event)

    # --- the route

    def pump(self, seconds):
        settled = time.monotonic() - self.started - SETTLE_S
        super().pump(seconds)
        self.show(settled)
        if time.monotonic() < self.looked + 0.05:
            return
        self.looked = time.monotonic()
        hop = self.lab.next_hop()
        if hop != self.hop:
            self.say("route", f"{SERVICE} via {hop} ({access_name(hop)})" if hop else "none")
            self.hop = hop

    def close(self):
        super().close()
        self.show(float("inf"))

    # --- the timeline

    def step(self, title, event=None, *arguments):
        """An event. What is measured from here to the next one is put down to it."""
        self.steps.append({"title": title, "at": time.monotonic(), "hops": []})
        self.say("event", title)
        if event:
            event(*arguments)

    def arrives(self, what, addresses, seconds):
        self.until(what, lambda: self.hop in addresses, seconds)
        self.pause(0.5)  # for what belongs to the switch: refresh, log, the meter's verdict
        status = self.status()
        self.say("status", f"{what}; reason: {status['reason']}")
        self.steps[-1]["hops"].append((access_name(self.hop), status["reason"]))

    def explain(self, address):
        """What keeps the agent from this path, in its own words."""
        status = self.status()
        why = next((p["why"] for p in status["paths"] if p["address"] == address), "")
        waiting = status.get("failback")
        if why:
            self.say("status", f"{access_name(address)}: {why}")
        elif waiting:
            rest = f", {waiting['in_s']:.0f} s to go" if waiting["in_s"] is not None else ""
            self.say("status", f"{access_name(waiting['to'])} waits: {waiting['waits_for']}{rest}")

    def entry(self):
        """Through which access the host enters, as the cluster knows it."""
        for node in ("scvm2", "scvm3", "scvm1"):
            state = self.lab.state(node)
            if state and state["leader"]:
                holders = [f"scvm{s['cid']}" for s in state["sessions"] if "85.11" in s["clients"]]
                self.say("status", f"the cluster knows that the host enters through {', '.join(holders) or 'none'}")
                return

    def ending(self):
        """Where the host is now; if that is not home, what the agent says of it."""
        status = self.status()
        if status["local"]:
            return f"The demo ends with the host at home: {status['access']}."
        words = [line for line in self.reroute("explain").splitlines() if line.startswith(("Better", "The route goes"))]
        return (f"The demo ends before the host is at home again: it enters through {status['access']}. "
                f"{' '.join(words)}")

    def table(self):
        rows = [("what happened", "then through", "why", *(f"{s.upper()} away" for s in self.streams))]
        ends = [s["at"] for s in self.steps[1:]] + [float("inf")]
        for step, end in zip(self.steps, ends):
            away = {}
            for stream in self.streams:
                lengths = [g["length_ms"] for g in self.gaps
                           if g["stream"] == stream and step["at"] - 0.05 <= g["from"] < end - 0.05]
                away[stream] = f"{max(lengths):.0f} ms" if lengths else "-"
            hops = step["hops"] or [("as before", "")]
            rows.append((step["title"], hops[0][0], hops[0][1], *away.values()))
            rows += [("", name, reason, *[""] * len(away)) for name, reason in hops[1:]]
        print()
        print_table(rows, 3)
        self.verdict()

    def verdict(self):
        icmp, tcp = (self.summary[s] for s in STREAMS)
        ends = [s["at"] for s in self.steps[1:]] + [float("inf")]
        lost = sum(g["lost"] for step, end in zip(self.steps, ends) for g in self.gaps
                   if g["stream"] == "icmp" and step["hops"] and step["hops"][0][1] == "failback"
                   and step["at"] - 0.05 <= g["from"] < end - 0.05)
        longest = max(icmp["longest_ms"], tcp["longest_ms"])
        print(f"\nA failover may take {FAILOVER_BAR_MS} ms (100 ms x 10): the longest took {longest:.0f} ms: "
              f"{'met' if longest <= FAILOVER_BAR_MS else 'missed'}.")
        print(f"A planned switch must lose no echo: {lost} lost: {'missed' if lost else 'met'}.")
        print(f"{icmp['sent']} echoes, {icmp['lost']} lost in all.")
        if "nfs" in self.streams:
            self.nfs_verdict()

    def nfs_verdict(self):
        nfs = self.summary.get("nfs")
        if not nfs:
            print("NFS: the client could not read back what it wrote: missed.")
            return
        bad = {verdict: count for verdict, count in nfs["blocks"].items() if verdict != "good" and count}
        print(f"{nfs['received']} NFS writes; {sum(nfs['blocks'].values())} times a block was read back. Every byte must be as "
              f"it was acknowledged: {f'missed: {bad}' if bad else 'met'}.")


LOCAL = {"10.10.85.15"}
OTHERS = {"10.10.85.16", "10.10.85.17"}


def timeline(play):
    play.step("the agent starts")
    play.start_meter()
    play.start_agent()
    play.arrives("the host enters at home", LOCAL, 10)
    if "nfs" in play.streams:
        play.start_storage_client()
    play.pause(1.5)
    play.entry()

    play.step("the local node dies", play.lab.kill, "scvm1")
    play.arrives("another node has taken over", OTHERS, 5)
    play.pause(2)
    play.entry()

    play.step("the local node comes back", play.lab.revive, "scvm1")
    play.pause(3)
    play.explain("10.10.85.15")
    play.arrives(f"home again, after {HOLD_S} s of health", LOCAL, HOLD_S + 8)
    play.pause(1)
    play.entry()

    play.step("its service restarts over and over", play.lab.restart, "scvm1")
    for _ in range(2):
        play.pause(3)
        play.say("event", "... it restarts again")
        play.lab.restart("scvm1")
    play.arrives("a node that restarts over and over is left", OTHERS, 10)
    play.pause(2)
    play.explain("10.10.85.15")
    play.entry()

    play.step("the host loses its storage network", play.lab.cut, "host", "data")
    play.arrives("over the management network", {"192.168.85.15", "192.168.85.16", "192.168.85.17"}, 5)
    play.pause(2)
    play.entry()

    play.step("everything returns", play.lab.plug, "host", "data")
    play.pause(3)
    play.explain("10.10.85.16")
    play.arrives(f"on the storage network again, after {HOLD_S} s of health", LOCAL | OTHERS, HOLD_S + 8)
    play.pause(1)
    play.entry()
    play.explain("10.10.85.15")


def perform(reroute, nfs):
    name = f"rr-demo-{os.getpid()}"
    print(f"{name}: a host and three nodes, two networks; hold is {HOLD_S} s instead of 180 s\n", flush=True)
    with Lab(name, LAB_HOLD=f"{HOLD_S}s", LAB_NFS="yes" if nfs else "") as lab:
        play = Play(lab, reroute)
        try:
            timeline(play)
            ending = play.ending()
            play.end("meter")
            if nfs:
                play.end("storage client", STORAGE_END_S)
            play.end("agent")
            play.show(float("inf"))
            play.table()
            print(f"\n{ending}")
        finally:
            play.close()


def main():
    nfs = sys.argv[1:] == ["--nfs"]
    Interrupts.catch()
    if nfs and nfs_missing():
        sys.exit(f"demo: --nfs: {nfs_missing()}")
    try:
        perform(os.path.join(os.environ["REROUTE_BUILD"], "reroute"), nfs)
    except (Failed, OSError) as why:
        sys.exit(f"demo: {why}")
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        sys.exit(130)


main()
