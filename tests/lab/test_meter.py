#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The meter measures what was done: an interruption of a known length is reported with that length, on both
streams; what is none is not reported; a connection that breaks is told from one that waits.

The length is bracketed by the clock readings around the commands that make and end the interruption, widened
only by what the meter says of its own stalls; so the tolerance does not depend on the machine's speed."""
import contextlib
import sys
import time

from lab import Lab, SERVICE, Tap, need_namespaces, wait_for
from netlab.meter import Meter
from netlab.namespace import execute

need_namespaces()
tap = Tap()
STREAMS = ("icmp", "tcp")
INTERVAL = 0.001
STALL_TOLD = 0.010  # the meter tells stalls from this length on


def route(lab, *arguments):
    """Changes the host's route to the service; returns the clock before and after."""
    before = time.monotonic()
    execute(lab.namespace("host"), ["ip", "route", "replace", *arguments])
    return before, time.monotonic()


def way(lab, last):
    return route(lab, f"{SERVICE}/32", "via", f"10.10.85.{last}")


@contextlib.contextmanager
def measuring(lab):
    """A meter whose both streams flow."""
    meter = Meter(lab.namespace("host"), SERVICE)
    try:
        tap.ok(wait_for(lambda: meter.has_begun(*STREAMS)), "both streams flow", meter.events)
        yield meter
    finally:
        meter.kill()


def finish(meter):
    """Ends it; its interruptions by stream, and the summary."""
    summary = meter.finish()
    return {s: meter.interruptions(s) for s in STREAMS}, summary


def slack(event, summary):
    return 3 * INTERVAL + STALL_TOLD + max(event["own_ms"], summary["stalls"]["longest_ms"]) / 1000


def in_bracket(event, summary, start, end, gap=INTERVAL):
    """Did the event begin within `start` and end within `end`, pairs of clock readings?"""
    more = slack(event, summary) + gap
    return (start[0] - more <= event["from"] <= start[1] + INTERVAL and
            end[0] - INTERVAL <= event["until"] <= end[1] + more and
            abs(event["length_ms"] / 1000 - (event["until"] - event["from"])) < 0.0001)


def over(meter):
    """TCP sends again when its timer goes off."""
    tap.ok(wait_for(lambda: meter.has("interruption", *STREAMS)), "both streams come back", meter.events)


def nothing(lab):
    with measuring(lab) as meter:
        tap.ok(wait_for(meter.answered(700)), "700 echoes are answered", meter.events)
        way(lab, 15)  # the same route once more
        tap.ok(wait_for(meter.answered(300)), "300 echoes are answered", meter.events)
        found, summary = finish(meter)
    tap.ok(found == {"icmp": [], "tcp": []}, "undisturbed: no interruption", found)
    icmp = summary["icmp"]
    tap.ok(icmp["sent"] > 0 and icmp["lost"] == 0 and icmp["errors"] == 0, "... and no echo lost", summary)


def known(lab, kind, error, length):
    with measuring(lab) as meter:
        start = route(lab, kind, f"{SERVICE}/32")
        time.sleep(length)  # what is measured
        end = way(lab, 15)
        over(meter)
        found, summary = finish(meter)
    one = found["icmp"][0] if len(found["icmp"]) == 1 else None
    tap.ok(one and in_bracket(one, summary, start, end), f"{kind} for {length} s: one ICMP interruption, as long",
           f"{start} {end}\n{found}\n{summary}")
    tap.ok(one and one["errors"] == one["lost"] and one["error"] == error and
           summary["icmp"]["lost"] == one["lost"], f"... in which every send failed: {error}", one)
    tcp = found["tcp"][0] if len(found["tcp"]) == 1 else None
    tap.ok(tcp and tcp["from"] <= start[1] + INTERVAL and tcp["until"] >= end[0] - INTERVAL,
           "... one TCP interruption, at least as long", found["tcp"])


def silent_loss(lab):
    with measuring(lab) as meter:
        way_before = time.monotonic()
        lab.cut("scvm1", "data")
        start = (way_before, time.monotonic())
        time.sleep(0.3)  # what is measured
        end = way(lab, 16)
        over(meter)
        found, summary = finish(meter)
    one = found["icmp"][0] if len(found["icmp"]) == 1 else None
    tap.ok(one and in_bracket(one, summary, start, end), "a cut cable, then another node: as long as it took",
           f"{start} {end}\n{found}\n{summary}")
    tap.ok(one and one["errors"] == 0 and one["lost"] > 0, "... echoes were lost, none refused", one)
    tcp = found["tcp"][0] if len(found["tcp"]) == 1 else None
    tap.ok(tcp and tcp["breaks"] >= 1 and tcp["until"] >= end[0], "... the TCP connection broke and was made anew",
           found["tcp"])
    lab.plug("scvm1", "data")


def service_restart(lab):
    way(lab, 17)
    with measuring(lab) as meter:
        before = time.monotonic()
        lab.restart("scvm3")
        after = time.monotonic()
        tap.ok(wait_for(lambda: meter.has("interruption", "tcp")), "the service is there again", meter.events)
        tap.ok(wait_for(meter.answered(300)), "300 echoes are answered", meter.events)
        found, summary = finish(meter)
    tap.ok(found["icmp"] == [], "a service that restarts: pings go on", found["icmp"])
    # Twice, when the dying process' listener took the new connection yet.
    total = sum(e["breaks"] for e in found["tcp"])
    tap.ok(1 <= total <= 2 and summary["tcp"]["breaks"] == total and
           all(before - 0.02 <= e["from"] and e["from"] <= after for e in found["tcp"]),
           "... and the TCP stream is interrupted", found["tcp"])


def back_again(lab):
    with measuring(lab) as meter:
        route(lab, "unreachable", f"{SERVICE}/32")
        wait_for(lambda: meter.has("silent", *STREAMS))
        tap.ok(not meter.has("again", "icmp") and not meter.has("again", "tcp"), "a silence goes on", meter.events)
        way(lab, 15)
        tap.ok(wait_for(lambda: meter.has("again", *STREAMS)), "its end is told, whatever is made of it", meter.events)


def open_end(lab):
    with measuring(lab) as meter:
        start = route(lab, "unreachable", f"{SERVICE}/32")
        tap.ok(wait_for(lambda: meter.has("silent", *STREAMS)), "the silence is told while it lasts", meter.events)
        found, summary = finish(meter)
    tap.ok(len(found["icmp"]) == 1 and found["icmp"][0]["open"] and
           start[0] - slack(found["icmp"][0], summary) <= found["icmp"][0]["from"] <= start[1] + INTERVAL,
           "an interruption that is not over at the end is reported as open", found)
    way(lab, 15)


with Lab() as the_lab:
    way(the_lab, 15)
    nothing(the_lab)
    known(the_lab, "blackhole", "Invalid argument", 0.3)
    known(the_lab, "unreachable", "No route to host", 0.05)
    silent_loss(the_lab)
    way(the_lab, 15)
    wait_for(lambda: the_lab.pings("host", SERVICE))
    back_again(the_lab)
    open_end(the_lab)
    service_restart(the_lab)
sys.exit(tap.done())
