# SPDX-License-Identifier: Apache-2.0
"""What the study of the failover says: figures from repetitions, bars, and the forms in which they are printed. Pure,
but for printing and for gnuplot.

A result is a dictionary: {"who": "reroute", "setting": "0.1x10", "way": "cable", "repetitions": [...]}; a repetition
is what failover.py measured, all times in milliseconds:
  icmp_ms, tcp_ms  the longest interruption of each stream, 0: there was none
  nfs_ms           the same of the NFS client, where there was one; of iSCSI: iscsi_ms, and so on
  nfs_blocks       how often a block that was read back was good, lost, damaged, unread; None: it did not come to that
  nfs_errors       writes and connections that failed; None as above
  icmp_lost        echoes that were lost
  own_ms           how much of that the meter itself was not running
  over             false: traffic had not returned when the patience was over
  detect_ms, decide_ms, route_ms, refresh_ms   where the time went, None: not seen
  reason           of the switch, a word"""
import contextlib
import csv
import json
import os
import subprocess
import sys

STREAMS = {"icmp": "echo", "tcp": "TCP"}
STORAGE = {"nfs": "NFS", "iscsi": "iSCSI"}
ALL_STREAMS = {**STREAMS, **STORAGE}
PHASES = ("detect", "decide", "route", "refresh")
# Median and 99th percentile of an interruption, in milliseconds, by setting.
BARS_MS = {"0.1x10": (1005, 1070), "0.02x3": (65, 90)}
# What the service check sees, whatever the setting: a refusal that was confirmed, a silence of service-check-window.
CHECK_BARS_MS = {"service": (500, 800), "hang": (3500, 3800)}
# Nothing fails: no echo is lost, and a connection is made anew.
PLANNED_BARS_MS = dict.fromkeys(("drain", "failback", "out-and-back"), (50, 150))
# Bars are for what stops at once and can be seen by probes. Before loss is total traffic is slow rather than
# interrupted, and the session list is as slow as the lease.
WITHOUT_BAR = ("loss", "session")
TITLES = {
    "cable": "the node's storage cable is pulled",
    "host-cable": "the host's storage cable is pulled",
    "process": "everything of the node ends",
    "freeze": "the node hangs",
    "blackhole-in": "nothing reaches the node",
    "blackhole-out": "nothing comes from the node",
    "loss": "loss rises to 100 %",
    "session": "the node serves no more, but answers pings",
    "service": "the same, and the agent checks the service",
    "hang": "the server is stopped: its kernel accepts connections; the agent checks the service",
    "drain": "nothing: the node is drained",
    "failback": "nothing: the host comes home",
    "out-and-back": "nothing: to another node, and home again a second later",
}


# --- figures ---------------------------------------------------------------------------------------------------

def percentile(values, percent):
    """The smallest value that at least so many percent of them do not exceed (nearest rank)."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(rank, 1) - 1]


def figures(values):
    """Least, median, 99th percentile, most; None without values."""
    if not values:
        return None
    return {"min": min(values), "median": percentile(values, 50), "p99": percentile(values, 99), "max": max(values)}


def of(result, key):
    """Figures over the repetitions of one of their members, where it was seen."""
    return figures([r[key] for r in result["repetitions"] if r[key] is not None])


def bar(result):
    """(median, p99) in milliseconds, or None."""
    if result["who"] != "reroute" or result["way"] in WITHOUT_BAR:
        return None
    return {**CHECK_BARS_MS, **PLANNED_BARS_MS}.get(result["way"]) or BARS_MS.get(result["setting"])


def streams(result):
    """Those that flowed in it."""
    return [s for s in ALL_STREAMS if s in STREAMS or any(f"{s}_ms" in r for r in result["repetitions"])]


def all_good(blocks):
    """Every byte that was acknowledged was there when it was read back."""
    return blocks is not None and not any(count for verdict, count in blocks.items() if verdict != "good")


def met(result, stream):
    """Is the bar met? None: there is none. What the storage client lost is a miss without a bar too."""
    if stream in STORAGE and not all(all_good(r[f"{stream}_blocks"]) for r in result["repetitions"]):
        return False
    limits = bar(result)
    if limits is None or not result["repetitions"]:
        return None
    found = of(result, f"{stream}_ms")
    return all(r["over"] for r in result["repetitions"]) and found["median"] <= limits[0] and found["p99"] <= limits[1]


def all_met(results):
    """None: nothing has a bar."""
    verdicts = [v for r in results for s in streams(r) if (v := met(r, s)) is not None]
    return all(verdicts) if verdicts else None


# --- the meter -------------------------------------------------------------------------------------------------

def interruptions(events, names, begun):
    """What the interruptions of these streams come to that were not over when the failure began: members of a
    repetition, and the beginning of the first (of the first stream that has one; `begun`: there is none)."""
    gaps = {s: [e for e in events if e["stream"] == s and e["until"] >= begun] for s in names}
    every = [gap for s in names for gap in gaps[s]]
    return {**{f"{s}_ms": max((g["length_ms"] for g in gaps[s]), default=0.0) for s in names},
            "icmp_lost": sum(g["lost"] for g in gaps["icmp"]),
            "own_ms": max((g["own_ms"] for g in every), default=0.0),
            "over": not any(g["open"] for g in every)}, every[0]["from"] if every else begun


# --- the agent's log -------------------------------------------------------------------------------------------

def phases(log, failed_at, home, access):
    """Where the time went, from the agent's log: [(time, event, fields)], the moment of the failure, and what failed:
    the path's address and its access. The evidence is the last that came before the decision; where the decision
    needed no event of its own (a path that loses too much), detecting lasted until then."""
    found = dict.fromkeys((*(f"{p}_ms" for p in PHASES), "reason"))
    log = [entry for entry in log if entry[0] >= failed_at - 0.001]
    switch = next(((at, f) for at, name, f in log if name == "switch"), None)
    if switch is None:
        return found
    before = [entry for entry in log if entry[0] <= switch[0]]
    decided = next((at for at, name, f in before if name == "decision" and f.get("action", "").startswith("switch")),
                   switch[0])
    seen = [at for at, name, f in before if at <= decided and (
        name in ("path-down", "link-down", "service-down") and f.get("path") == home or
        name == "session" and f.get("access") == access and f.get("state") == "dead")]
    detected = seen[-1] if seen else decided
    refreshed = next((at for at, name, _ in log if name == "refresh" and at >= switch[0]), None)
    moments = (failed_at, detected, decided, switch[0], refreshed)
    for phase, start, end in zip(PHASES, moments, moments[1:]):
        found[f"{phase}_ms"] = None if end is None else max(0.0, (end - start) * 1000)
    found["reason"] = switch[1].get("reason")
    return found


# --- print -----------------------------------------------------------------------------------------------------

def number(value, decimals=0):
    return "-" if value is None else f"{value:.{decimals}f}"


def interruption_rows(results):
    rows = [("who", "setting", "what fails", "stream", "n", "min", "median", "p99", "max", "bars", "")]
    for r in results:
        for stream in streams(r):
            found = of(r, f"{stream}_ms") or {}
            limits, verdict = bar(r), met(r, stream)
            first = (r["who"], r["setting"], r["way"]) if stream == "icmp" else ("", "", "")
            rows.append((*first, ALL_STREAMS[stream], str(len(r["repetitions"])),
                         *(number(found.get(k)) for k in ("min", "median", "p99", "max")),
                         f"{limits[0]}, {limits[1]}" if limits else "-",
                         "" if verdict is None else "met" if verdict else "MISSED"))
    return rows


def phase_rows(results):
    rows = [("setting", "what fails", "why it left", *PHASES, "echoes lost")]
    for r in results:
        if r["who"] != "reroute" or not r["repetitions"]:
            continue
        reasons = sorted({x["reason"] or "-" for x in r["repetitions"]})
        medians = [(of(r, f"{p}_ms") or {}).get("median") for p in PHASES]
        rows.append((r["setting"], r["way"], " ".join(reasons),
                     *(number(m, 2) for m in medians), number(of(r, "icmp_lost")["median"])))
    return rows


def read_back(results):
    """What the storage client found when it read all back; None: there was none."""
    stream = next((s for s in STORAGE for x in results if s in streams(x)), None)
    if not stream:
        return None
    found = [r[f"{stream}_blocks"] for x in results for r in x["repetitions"]]
    if all(map(all_good, found)):
        return f"{STORAGE[stream]}: {sum(b['good'] for b in found)} times a block was read back, every byte as it was acknowledged."
    bad = [f"{sum(b[v] for b in found if b)} {v}" for v in ("lost", "damaged", "unread")]
    return f"{STORAGE[stream]}: BLOCKS ARE NOT AS ACKNOWLEDGED: {', '.join(bad)}; repetitions without reading back: {found.count(None)}."


def print_text(document, print_table):
    more = ", a storage client that writes" if read_back(document["rows"]) else ""
    print(f"{document['host']}; a host and {document['accesses']} nodes; an echo every millisecond, a TCP stream{more}.\n")
    print("Interruption of traffic, ms (bars: of the median, of the 99th percentile):\n")
    print_table(interruption_rows(document["rows"]), 4)
    print("\nWhere the time went, medians in ms: from the failure to the evidence (detect), on to the decision\n"
          "(decide), to the kernel's new route (route), to the cluster's answer that it knows (refresh):\n")
    print_table(phase_rows(document["rows"]), 3)
    print()
    ways = sorted({r["way"] for r in document["rows"]}, key=list(TITLES).index)
    for way in ways:
        print(f"  {way:<14} {TITLES[way]}")
    for note in filter(None, (read_back(document["rows"]), *document["notes"])):
        print(f"\n{note}")
    stalls = max((x["own_ms"] for r in document["rows"] for x in r["repetitions"]), default=0)
    if stalls:
        print(f"\nThe meter itself stood still for up to {stalls:.0f} ms in a repetition: the machine was busy.")
    if document["met"] is not None:
        so_far = ", so far" if document["interrupted"] else ""
        print(f"\nThe bars are {'met' if document['met'] else 'MISSED'}{so_far}.")


def print_csv(document):
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["who", "setting", "way", "stream", "repetitions", "min_ms", "median_ms", "p99_ms", "max_ms",
                     "bar_median_ms", "bar_p99_ms", "met", *(f"{p}_median_ms" for p in PHASES)])
    for r in document["rows"]:
        medians = [(of(r, f"{p}_ms") or {}).get("median") for p in PHASES]
        for stream in streams(r):
            found, limits, verdict = of(r, f"{stream}_ms") or {}, bar(r) or ("", ""), met(r, stream)
            writer.writerow([r["who"], r["setting"], r["way"], stream, len(r["repetitions"]),
                             *("" if found.get(k) is None else f"{found[k]:.3f}"
                               for k in ("min", "median", "p99", "max")),
                             *limits, "" if verdict is None else str(verdict).lower(),
                             *("" if m is None else f"{m:.3f}" for m in medians)])


def print_json(document):
    """The figures go with the repetitions they are made of."""
    for r in document["rows"]:
        limits = bar(r)
        r["figures"] = {key: of(r, f"{key}_ms") for key in (*streams(r), *PHASES)}
        r["bar"] = {"median_ms": limits[0], "p99_ms": limits[1]} if limits else None
        r["met"] = {s: met(r, s) for s in streams(r)}
    json.dump(document, sys.stdout, indent=1)
    print()


# --- draw ------------------------------------------------------------------------------------------------------

COLOURS = {"icmp": "#1f77b4", "tcp": "#d62728", "nfs": "#2ca02c", "iscsi": "#2ca02c"}
TERMINALS = {".svg": "svg font 'sans,13' background rgb 'white' dynamic",
             ".png": "pngcairo font 'sans,11' background rgb 'white'"}


NONE_MS = 0.5  # a logarithm has no zero: there lies what was not interrupted


def spread(count):
    """So many places side by side, in the width of a column."""
    return [0.3 * (i / (count - 1) - 0.5) if count > 1 else 0.0 for i in range(count)]


def panel(title, results):
    """Every repetition a point, a column for each result, the bars as lines."""
    limits = next((bar(r) for r in results if bar(r)), None)
    names = [r["way"] if r["who"] == "reroute" else f"{r['way']}, {r['setting']}" for r in results]
    script = [f"set title '{title}'", f"set xrange [-0.6:{len(results) - 0.4}]",
              "set xtics (" + ", ".join(f"'{n}' {i}" for i, n in enumerate(names)) + ") rotate by 30 right"]
    plots, data = [], []
    shown = [s for s in ALL_STREAMS if any(s in streams(r) for r in results)]
    for stream, shift in zip(shown, spread(len(shown))):
        plots.append(f"'-' with points pt 7 ps 0.5 lc rgb '{COLOURS[stream]}' title '{ALL_STREAMS[stream]} stream'")
        for i, r in enumerate(results):
            values = sorted(max(NONE_MS, x[f"{stream}_ms"]) for x in r["repetitions"] if stream in streams(r))
            data += [f"{i + shift + at:.3f} {v:.3f}" for at, v in zip(spread(len(values)), values)]
        data.append("e")
    for limit, name, dash in zip(limits or (), ("median", "99th percentile"), (1, 2)):
        plots.append(f"{limit} with lines lw 1.5 dt {dash} lc rgb '#555555' title 'bar of the {name}: {limit} ms'")
    return "\n".join([*script, "plot " + ", ".join(plots), *data])


def picture(results, terminal):
    """The script for gnuplot: a panel for each setting, and one for all of BIRD's."""
    panels = {}
    for r in results:
        title = f"reroute, {r['setting']}" if r["who"] == "reroute" else "BIRD with BFD"
        panels.setdefault(title, []).append(r)
    most = max(x[f"{s}_ms"] for r in results for x in r["repetitions"] for s in streams(r))
    width = max(900, 110 + 95 * max(map(len, panels.values())))
    return "\n".join([
        "set encoding utf8", f"set terminal {terminal} size {width},{420 * len(panels)}",
        f"set multiplot layout {len(panels)},1", "set logscale y",
        f"set yrange [{NONE_MS * 0.8}:{max(most, 100) * 1.5:.0f}]", f"set ytics add ('none' {NONE_MS})",
        "set grid y", "set ylabel 'interruption of traffic, ms'", "set key below horizontal",
        "set lmargin 10", "set rmargin 5",
        *(panel(title, rows) for title, rows in panels.items()), "unset multiplot"])


def draw(results, file):
    """Returns what went wrong, or None. The file is there as a whole or not at all; a link is followed."""
    if not results:
        return None
    done = subprocess.run(["gnuplot", "-d", "-"], input=picture(results, TERMINALS[file[-4:]]).encode(),
                          capture_output=True)
    if done.returncode != 0 or not done.stdout:
        return f"gnuplot: {done.stderr.decode(errors='replace').strip()[:200]}"
    file = os.path.realpath(file)
    beside = f"{file}.{os.getpid()}"
    try:
        with open(beside, "xb") as f:  # nothing that is there already, and through no link
            f.write(done.stdout)
            if os.path.exists(file):
                old = os.stat(file)
                os.fchown(f.fileno(), old.st_uid, old.st_gid)
                os.fchmod(f.fileno(), old.st_mode & 0o777)
        os.replace(beside, file)
    except FileExistsError as why:
        return str(why)
    except OSError as why:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        return str(why)
    return None
