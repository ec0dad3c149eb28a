#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `reroute bench failover` says of its repetitions is what they were: figures, bars, phases from an agent's log,
exit codes, by tables. Then one short run from end to end: its document agrees with itself, the picture is one, nothing
is left; and nothing is left when it is interrupted, neither while its lab comes up nor while it measures.

Usage: test_failover.py PATH-OF-REROUTE."""
import contextlib
import copy
import io
import json
import os
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(ROOT, folder) for folder in ("tests/lib", "tests/lab", "bench")]
REROUTE = os.path.abspath(sys.argv[1])
os.environ["REROUTE_BUILD"] = os.path.dirname(REROUTE)
import failover_report as report
from lab import Lab, need_namespaces, wait_for
from failover_trial import WAYS
from netlab.lab import nfs_missing, read
from netlab.namespace import inhabitants
from tap import Tap

HOME = "10.10.85.15"
tap = Tap()


def same(got, want, what):
    tap.ok(got == want, what, f"got {got!r}, expected {want!r}")


# --- figures -----------------------------------------------------------------------------------------------------

def statistics():
    hundred = list(range(100, 0, -1))
    for values, percent, want in (([7], 50, 7), ([7], 99, 7), ([2, 1], 50, 1), ([3, 1, 2], 50, 2),
                                  ([1, 2, 3, 4], 50, 2), ([1, 2], 99, 2), (hundred, 99, 99), (hundred, 50, 50), (hundred, 0, 1),
                                  (hundred, 100, 100), (list(range(1, 102)), 99, 100)):
        same(report.percentile(values, percent), want, f"{percent} % of {len(values)} values")
    same(report.figures([]), None, "no values, no figures")
    same(report.figures([3.0, 1.0, 2.0]), {"min": 1.0, "median": 2.0, "p99": 3.0, "max": 3.0}, "figures")


def repetition(icmp, tcp, over=True):
    return {"icmp_ms": icmp, "tcp_ms": tcp, "icmp_lost": 0, "own_ms": 0.0, "over": over, "detect_ms": 1.0,
            "decide_ms": None, "route_ms": None, "refresh_ms": None, "reason": "path-down"}


def result(*repetitions, who="reroute", setting="0.02x3", way="cable"):
    return {"who": who, "setting": setting, "way": way, "repetitions": list(repetitions)}


def bars():
    good, slow, late = repetition(65, 65), repetition(66, 66), repetition(90.1, 65)
    for what, one, icmp, tcp in (
            ("just met", result(good), True, True),
            ("a median over its bar", result(slow), False, False),
            ("two of three over the median's", result(good, slow, slow), False, False),
            ("one of three over the median's", result(good, good, slow), True, True),
            ("one of three over the 99th percentile's", result(good, good, late), False, True),
            ("one of 101 over the 99th percentile's", result(late, *[good] * 100), True, True),
            ("traffic that did not return", result(good, good, repetition(50, 50, over=False)), False, False),
            ("the other setting", result(repetition(1005, 1070), setting="0.1x10"), True, False),
            ("a setting without a bar", result(slow, setting="0.05x4"), None, None),
            ("a way without a bar", result(slow, way="session"), None, None),
            ("BIRD", result(good, who="BIRD"), None, None),
            ("nothing measured", result(), None, None)):
        same((report.met(one, "icmp"), report.met(one, "tcp")), (icmp, tcp), f"bars: {what}")
    same([report.all_met([result(good), result(slow, way="session")]), report.all_met([result(good), result(slow)]),
          report.all_met([result(slow, who="BIRD")]), report.all_met([])], [True, False, None, None],
         "all of them together")


SOON = report.BARS_MS["0.02x3"][0]


def nfs_repetition(nfs_ms, **blocks):
    return {**repetition(SOON, SOON), "nfs_ms": nfs_ms,
            "nfs_blocks": {"good": 256, "lost": 0, "damaged": 0, "unread": 0, **blocks}}


def nfs():
    good, unread = nfs_repetition(SOON), {**nfs_repetition(SOON), "nfs_blocks": None}
    for what, one, want in (("in time, and all there", result(good), True),
                            ("late", result(nfs_repetition(SOON + 1)), False),
                            ("one block lost", result(good, good, nfs_repetition(SOON, lost=1)), False),
                            ("one block damaged", result(nfs_repetition(SOON, damaged=1), good, good), False),
                            ("one block that could not be read", result(nfs_repetition(SOON, unread=1)), False),
                            ("nothing read back", result(good, unread), False)):
        same((report.met(one, "nfs"), report.met(one, "tcp"), report.all_met([one])), (want, True, want), f"NFS: {what}")
    for what, one in (("a way", {"way": "loss"}), ("a setting", {"setting": "0.05x4"})):
        lost = result(good, nfs_repetition(SOON, lost=1), **one)
        same([report.met(lost, "nfs"), report.met(lost, "tcp"), report.all_met([lost]), report.all_met([result(good, **one)])],
             [False, None, False, None], f"NFS: a block lost, {what} without a bar")
    same([report.streams(result(good)), report.streams(result(repetition(SOON, SOON)))], [["icmp", "tcp", "nfs"], ["icmp", "tcp"]],
         "streams of a result")
    iscsi = {**repetition(SOON, SOON), **{key.replace("nfs", "iscsi"): good[key] for key in good if key.startswith("nfs")}}
    damaged = {**iscsi, "iscsi_blocks": {**iscsi["iscsi_blocks"], "damaged": 1}}
    same([report.streams(result(iscsi)), report.met(result(iscsi), "iscsi"), report.met(result(damaged), "iscsi")],
         [["icmp", "tcp", "iscsi"], True, False], "iSCSI is judged in the same way")
    for what, rows, words in (("no storage client", [result(repetition(SOON, SOON))], None),
                              ("iSCSI", [result(iscsi)], "iSCSI: 256 times a block was read back, every byte"),
                              ("all good", [result(good), result(good, good)], "NFS: 768 times a block was read back, every byte"),
                              ("not good", [result(good, nfs_repetition(SOON, lost=2), unread)],
                               "2 lost, 0 damaged, 0 unread; repetitions without reading back: 1")):
        found = report.read_back(rows)
        tap.ok(found is words or words in found, f"what was read back is told: {what}", found)


def gap(stream, start, end, lost=0, own_ms=0.0, is_open=False):
    return {"stream": stream, "from": start, "until": end, "length_ms": (end - start) * 1000, "lost": lost, "own_ms": own_ms,
            "open": is_open}


def interruptions():
    """The failure begins at 10 s."""
    none = {"icmp_ms": 0.0, "tcp_ms": 0.0, "icmp_lost": 0, "own_ms": 0.0, "over": True}
    for what, events, want, failed_at in (
            ("none", [], none, 10.0),
            ("one that was over before", [gap("tcp", 9.0, 9.5, own_ms=400.0)], none, 10.0),
            ("one across the moment", [gap("icmp", 9.5, 10.5, lost=900)], {**none, "icmp_ms": 1000, "icmp_lost": 900}, 9.5),
            ("the longest counts, lost are all", [gap("icmp", 10.0, 10.5, lost=499), gap("icmp", 11.0, 11.25, lost=249)],
             {**none, "icmp_ms": 500, "icmp_lost": 748}, 10.0),
            ("the echoes' first one is the moment", [gap("tcp", 10.25, 11.5), gap("icmp", 10.5, 11.0, lost=499)],
             {**none, "icmp_ms": 500, "tcp_ms": 1250, "icmp_lost": 499}, 10.5),
            ("without one of the echoes TCP's is", [gap("tcp", 10.25, 11.5, own_ms=20.0)],
             {**none, "tcp_ms": 1250, "own_ms": 20.0}, 10.25),
            ("the last one has no end", [gap("tcp", 10.0, 10.5), gap("tcp", 11.0, 12.0, is_open=True)],
             {**none, "tcp_ms": 1000, "over": False}, 10.0)):
        same(report.interruptions(events, ("icmp", "tcp"), 10.0), (want, failed_at), f"interruptions: {what}")


# An agent's log, the failure at 10 s.
DOWN = (11.0, "path-down", {"path": HOME})
DECISION = (11.001, "decision", {"action": "switch", "reason": "path-down"})
SWITCH = (11.003, "switch", {"from": HOME, "to": "10.10.85.16", "reason": "path-down"})
REFRESH = (11.013, "refresh", {})


def phases():
    begin = [(9.0, "path-up", {"path": HOME}), (9.1, "decision", {"action": "switch"}),
             (9.2, "switch", {"from": "none", "to": HOME}), (9.3, "refresh", {})]
    none = dict.fromkeys(("detect_ms", "decide_ms", "route_ms", "refresh_ms", "reason"))
    usual = {"detect_ms": 1000, "decide_ms": 1, "route_ms": 2, "refresh_ms": 10, "reason": "path-down"}
    for what, log, want in (
            ("as usual", [*begin, DOWN, DECISION, SWITCH, REFRESH], usual),
            ("another path's evidence is not home's",
             [*begin, (10.2, "path-down", {"path": "192.168.85.15"}), DOWN, DECISION, SWITCH, REFRESH], usual),
            ("down, up and down again: the last one counts",
             [*begin, (10.5, "path-down", {"path": HOME}), DOWN, DECISION, SWITCH, REFRESH], usual),
            ("a dead session of this access",
             [*begin, (10.9, "session", {"access": "scvm2", "state": "dead"}),
              (11.0, "session", {"access": "scvm1", "state": "dead"}), DECISION, SWITCH, REFRESH], usual),
            ("no event of its own: detecting lasts until the decision", [*begin, DECISION, SWITCH, REFRESH],
             {**usual, "detect_ms": 1001, "decide_ms": 0}),
            ("the cluster not told yet", [*begin, DOWN, DECISION, SWITCH], {**usual, "refresh_ms": None}),
            ("no switch", [*begin, DOWN], none),
            ("only the switch on the way home", begin, none)):
        found = report.phases(log, 10.0, HOME, "scvm1")
        same({k: round(v, 6) if isinstance(v, float) else v for k, v in found.items()}, want, f"phases: {what}")


def titles():
    same(list(report.TITLES), list(WAYS), "every way has its title")


def exits():
    """The exit code, for rows that a made-up study brings."""
    import failover

    def run(*rows, end=None):
        def study(*arguments):
            arguments[-1].extend(rows)
            if end:
                raise end

        failover.study, failover.Interrupts.catch = study, lambda: None
        sys.argv[1:] = ["x", "x", "x", "0.02x3", "1", "cable", "", "", "csv", ""]
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
            code = failover.main()
        return code, out.getvalue().count("\n")

    good, slow = result(repetition(60, 60)), result(repetition(91, 91))
    failover.Interrupts.signal = signal.SIGINT
    for what, got, want in (("met", run(good), (0, 3)), ("not met", run(good, slow), (1, 5)),
                            ("no bar", run(result(repetition(60, 60), way="loss")), (0, 3)),
                            ("failed on the way", run(good, end=failover.Failed("x")), (4, 3)),
                            ("interrupted", run(slow, result(), end=KeyboardInterrupt), (130, 3)),
                            ("interrupted before anything was known", run(end=KeyboardInterrupt), (130, 0))):
        same(got, want, f"exit code and rows: {what}")


def cannot_write():
    """In a process of its own: its standard output is a full disk."""
    script = (f"import sys; sys.path[:0] = [{os.path.join(ROOT, 'bench')!r}]; import failover\n"
              f"failover.study = lambda *a: a[-1].append({result(repetition(60, 60))!r})\n"
              "sys.argv[1:] = ['x', 'x', 'x', '0.02x3', '1', 'cable', '', '', sys.argv[1], '']\nsys.exit(failover.main())\n")
    for form in ("text", "csv", "json"):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([sys.executable, "-B", "-c", script, form], stdout=full, stderr=subprocess.PIPE, text=True)
        same((done.returncode, done.stderr), (4, "x: cannot write: No space left on device\n"), f"a full disk, {form}")
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "x.svg"))
        trouble = report.draw([result(repetition(60, 60))], os.path.join(folder, "x.svg"))
        tap.ok(trouble and os.listdir(folder) == ["x.svg"], "a picture that cannot be written leaves nothing", trouble)


# --- from end to end ---------------------------------------------------------------------------------------------

def command(*arguments):
    return [REROUTE, "bench", "failover", *arguments]


def refusals():
    for what, arguments, code, words in (
            ("a setting that is none", ["--settings", "100ms"], 3, "--settings '100ms'"),
            ("a way that is none", ["--ways", "cable,fire"], 3, "--ways 'cable,fire'"),
            ("no repetition", ["--rounds", "0"], 3, "--rounds '0'"),
            ("an operand", ["x"], 3, "operand"),
            ("two forms at once", ["--json", "--csv"], 3, "exclude"),
            ("a mount of nothing", ["--mount", "vers=3"], 3, "--mount 'vers=3'"),
            ("a mount without options", ["--stream", "nfs", "--mount", ""], 3, "--mount ''"),
            ("an empty way", ["--ways", "cable,,drain"], 3, "--ways 'cable,,drain'"),
            ("all ways that there are, and one more", ["--ways", ",".join([*WAYS, "x"])], 3, f"expected some of {','.join(WAYS)}\n"),
            ("a mount with iSCSI", ["--stream", "iscsi", "--mount", "vers=3"], 3, "--mount 'vers=3'"),
            ("a stream that is none", ["--stream", "smb"], 3, "--stream 'smb'"),
            ("a picture of no kind", ["--plot", "x.gif"], 3, ".svg or .png")):
        done = subprocess.run(command(*arguments), capture_output=True, text=True)
        tap.ok((done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 2) and words in done.stderr,
               f"refused: {what}", done)
    done = subprocess.run(["unshare", "--user", *command()], capture_output=True, text=True)
    tap.ok((done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1) and "needs root" in done.stderr,
           "refused: not root", done)


def without_nfs():
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, PATH=path_without(folder, "ganesha"))
        done = subprocess.run(command("--stream", "nfs"), capture_output=True, text=True, env=environment)
    tap.ok((done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1) and
           "--stream nfs: nfs-ganesha is not installed" in done.stderr, "refused: no NFS server", done)


def without_own_machine():
    """iSCSI would be the machine's: nothing of it is done unless the machine is given away."""
    environment = {name: value for name, value in os.environ.items() if name != "LAB_OWN_MACHINE"}
    done = subprocess.run(command("--stream", "iscsi"), capture_output=True, text=True, env=environment)
    tap.ok((done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1) and
           "--stream iscsi: " in done.stderr and "LAB_OWN_MACHINE=yes" in done.stderr, "refused: iSCSI on a machine in use", done)


def remains(process):
    """What is left of a run's labs."""
    found = ""
    for part in ("0", "bird"):
        lab = Lab()
        lab.name = f"rr-bench-{process.pid}-{part}"
        found += lab.remains()
    return found


def short_run():
    with tempfile.TemporaryDirectory() as folder:
        picture = os.path.join(folder, "picture.svg")
        # Without the programs of others in PATH there is no BIRD, which would take its time.
        environment = dict(os.environ, PATH=path_without(folder, "bird"))
        process = subprocess.Popen(command("--settings", "20msx3", "--ways", "cable", "--rounds", "1", "--json",
                                           "--plot", picture), env=environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        output, error = process.communicate()
        document = json.loads(output or "null")
        tap.ok(document and error == "" and not document["interrupted"] and
               document["schema"] == "reroute.bench-failover/1",
               "a short run prints a document", f"{output}\n{error}")
        same(process.returncode, 0 if document["met"] else 1, "... its exit code says whether the bars are met")
        tap.ok(any("BIRD is not installed" in n for n in document["notes"]), "... that there is no BIRD is said")
        check_document(document)
        with open(picture, encoding="utf-8") as f:
            text = f.read()
        tap.ok("<svg" in text and "0.02x3" in text and "bar of the median: 65 ms" in text and
               os.listdir(folder).count("picture.svg") == 1, "... the picture is drawn, with its bars", text[:500])
        same(remains(process), "", "... nothing is left")


def nfs_run():
    """A cable and a server, felt by a real client."""
    if nfs_missing():
        tap.skipped("a run with an NFS client", nfs_missing())
        return
    process = subprocess.Popen(command("--stream", "nfs", "--settings", "20msx3", "--ways", "cable,service", "--rounds", "1",
                                       "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, error = process.communicate()
    document = json.loads(output or '{"rows": []}')
    rows = {r["way"]: r["repetitions"][0] for r in document["rows"]}
    tap.ok(error == "" and set(rows) == {"cable", "service"}, "a run with an NFS client", f"{output}\n{error}")
    for way, r in rows.items():
        tap.ok(r["over"] and report.all_good(r["nfs_blocks"]) and r["nfs_blocks"]["good"] > 10,
               f"{way}: the client goes on, and all that it wrote is there", r)
    tap.ok(rows["cable"]["nfs_ms"] > 40, "cable: its write waited", rows)
    same(rows["service"]["reason"], "service-check", "service: the NFS server was checked, and left")
    same(remains(process), "", "... nothing is left")


def path_without(folder, prefix):
    """A PATH like ours, but for the programs whose names begin so."""
    place = os.path.join(folder, "bin")
    os.mkdir(place)
    for directory in os.environ["PATH"].split(":"):
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            if not name.startswith(prefix) and not os.path.lexists(os.path.join(place, name)):
                os.symlink(os.path.join(directory, name), os.path.join(place, name))
    return place


def check_document(document):
    one, = document["rows"]
    same((one["who"], one["setting"], one["way"], len(one["repetitions"])), ("reroute", "0.02x3", "cable", 1),
         "... of what was asked for")
    r = one["repetitions"][0]
    tap.ok(r["over"] and r["icmp_lost"] > 0 and r["reason"] == "path-down" and
           r["detect_ms"] > 40 and min(r["decide_ms"], r["route_ms"], r["refresh_ms"]) >= 0,
           "... the node was left for its silence, after more than two waits", r)
    # No echo comes back before the decision, by whatever clock. How long after it is the machine's affair.
    tap.ok(r["detect_ms"] + r["decide_ms"] <= r["icmp_ms"] + 1,
           "... the interruption lasts at least until the decision", r)
    pure = copy.deepcopy(one)
    same(one["figures"]["icmp"], {k: r["icmp_ms"] for k in ("min", "median", "p99", "max")}, "... figures of one")
    same((one["met"], document["met"]), ({s: report.met(pure, s) for s in ("icmp", "tcp")}, report.all_met([pure])),
         "... the verdicts are those of the figures")


def interrupted(number, moment, what, *more):
    process = subprocess.Popen(command("--settings", "20msx3", "--ways", "cable", *more), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    reached = wait_for(lambda: moment(f"rr-bench-{process.pid}-0"))
    os.killpg(process.pid, number)
    output, error = process.communicate()
    tap.ok(reached and process.returncode == 128 + number and error == "",
           f"interrupted {what}: it ends", f"{process.returncode}\n{output}{error}")
    tap.ok(wait_for(lambda: remains(process) == "", 5), "... and nothing is left", remains(process))


def on_host(program):
    """For interrupted(): the host of the run's lab runs it."""
    def runs(name):
        host = f"/run/netns/{name}-host"
        return os.path.exists(host) and any(program in read(f"/proc/{pid}/cmdline") for pid in inhabitants(host))
    return runs


statistics()
bars()
nfs()
interruptions()
phases()
titles()
exits()
cannot_write()
need_namespaces()
refusals()
without_nfs()
without_own_machine()
short_run()
nfs_run()
interrupted(signal.SIGINT, lambda name: os.path.exists(f"/run/{name}/scvm2.pid"), "while the lab comes up")
interrupted(signal.SIGTERM, on_host("lab-meter"), "(SIGTERM) while it measures")
if not nfs_missing():
    interrupted(signal.SIGINT, on_host("lab-nfs"), "while an NFS client writes", "--stream", "nfs")
sys.exit(tap.done())
