#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo plays to its end with every switch it announces, and leaves nothing behind: not then, and not when it
is interrupted while the lab comes up or while the agent runs. Where there is NFS, its client takes part."""
import os
import re
import signal
import subprocess
import sys

from lab import BUILD, Lab, ROOT, Tap, need_namespaces
from netlab.lab import nfs_missing

need_namespaces()
tap = Tap()


def start(*arguments):
    return subprocess.Popen([os.path.join(ROOT, "tools", "demo"), *arguments], env=dict(os.environ, REROUTE_BUILD=BUILD),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def remains(process):
    lab = Lab()
    lab.name = f"rr-demo-{process.pid}"
    return lab.remains()


def to_the_end():
    nfs = nfs_missing() is None
    process = start(*["--nfs"] * nfs)
    output, _ = process.communicate()
    tap.ok(process.returncode == 0, "the demo plays to its end", output)
    moments = [float(m) for m in re.findall(r"^ *(\d+\.\d{3}) s  ", output, re.M)]
    tap.ok(len(moments) > 30 and moments == sorted(moments), "its lines are in the order of time", output)
    table = output[output.rfind("what happened"):]
    for row in ("the agent starts", "the local node dies", "the local node comes back",
                "its service restarts over and over", "the host loses its storage network",
                "everything returns"):
        tap.ok(row in table, f"the table tells: {row}", table)
    tap.ok(re.search(r"^The demo ends (with the host at home: scvm1\.|before the host is at home again: it enters "
                     r"through scvm[23]\. .*scvm1.*)$", table, re.M), "it says where the host is in the end", table)
    if nfs:
        tap.ok("NFS away" in table and re.search(r"^\d{4,} NFS writes.*: met\.$", table, re.M),
               "... what the NFS client felt, and that all it wrote is there", table)
    tap.ok(remains(process) == "", "nothing is left", remains(process))


def interrupted(number, moment, what):
    process = start()
    seen = ""
    for line in process.stdout:
        seen += line
        if moment in line:
            break
    process.send_signal(number)
    rest, _ = process.communicate()
    tap.ok(process.returncode == 130, f"interrupted {what}: it ends", f"{process.returncode}\n{seen}{rest}")
    tap.ok(remains(process) == "", "... and nothing is left", remains(process))


def refusals():
    done = subprocess.run([os.path.join(ROOT, "tools", "demo"), "--nfs"], capture_output=True, text=True,
                          env=dict(os.environ, REROUTE_BUILD="/"))
    tap.ok((done.returncode, done.stderr.count("\n")) == (1, 1) and "demo: --nfs:" in done.stderr,
           "without an NFS client it says what is missing", done)
    done = subprocess.run([os.path.join(ROOT, "tools", "demo"), "--iscsi"], capture_output=True, text=True)
    tap.ok(done.returncode == 3 and "[--nfs]" in done.stdout, "an option that is none", done)


refusals()
interrupted(signal.SIGINT, "a host and three nodes", "while the lab comes up")
interrupted(signal.SIGINT, "the service answers", "while the agent runs")
interrupted(signal.SIGTERM, "the local node dies", "(SIGTERM) in the middle of an event")
to_the_end()
sys.exit(tap.done())
