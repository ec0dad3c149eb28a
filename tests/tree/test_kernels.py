#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/kernels counts as failed, without a machine that boots: its functions are given what a machine leaves."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests", "lib"))
from tap import check, run, same, test

KERNELS = os.path.join(ROOT, "tools", "kernels")
LOCAL = "192.168.33.2 via 10.10.85.15 (node1, data), reason cold-start"
OTHER = "192.168.33.2 via 10.10.85.16 (node2, data), reason cold-start"
NO_LISTS = '{"data":[]}{"data":[]}'
# Each boot, what it is to end with: the status, the lists, what was there early; then what it must not end with.
BOOTS = (
    ("local-up", (LOCAL, "", ""), (OTHER, "", "")),
    ("local-down", (OTHER, "", ""), (LOCAL, "", "")),
    ("other-down", (LOCAL, "", ""), (OTHER, "", "")),
    ("local-later", (LOCAL, "", ""), (OTHER, "", "")),
    ("late", (OTHER, "", ""), (LOCAL, "", "")),
    ("no-leader", (LOCAL, NO_LISTS, ""), (OTHER, NO_LISTS, "")),
    ("no-leader", (LOCAL, NO_LISTS, ""), (LOCAL, '{"data":[1]}{"data":[]}', "")),
    ("interface-later", (LOCAL, "", ""), (OTHER, "", "")),
    ("interface-too-late", (LOCAL, "", "failed: 2"), (OTHER, "", "failed: 2")),
    ("interface-too-late", (LOCAL, "", "failed: 2"), (LOCAL, "", "of-the-service")),
)


def call(directory, script, *arguments):
    """Runs it where the functions of tools/kernels are: (exit code, output)"""
    done = subprocess.run(["bash", "-c", f'source "{KERNELS}"\n{script}', "test", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
                          env={**os.environ, "XDG_CACHE_HOME": directory})
    return done.returncode, done.stdout


@test
def a_boot_that_ends_at_the_wrong_node():
    with tempfile.TemporaryDirectory() as directory:
        for boot, right, wrong in BOOTS:
            for case in (boot, f"{boot},default"):
                for found, code in ((right, 0), (wrong, 1), (("no route", *right[1:]), 1)):
                    same(call(directory, 'was_right "$@"', case, *found), (code, ""), f"{case} {found}")


def failovers(interrupted, rows):
    """What `reroute bench failover --json` prints, so far as it is read."""
    return json.dumps({"interrupted": interrupted, "rows": [
        {"way": way, "repetitions": [
            {"icmp_ms": 991.0, "tcp_ms": 1003.0, "iscsi_ms": 3003.0, "iscsi_errors": 0, "over": over,
             "iscsi_blocks": blocks}]} for way, over, blocks in rows]})


@test
def a_storage_job_that_is_not_whole_or_lost_something():
    good = {"good": 50, "lost": 0, "damaged": 0, "unread": 0}
    for document, failed, said in (
            (failovers(False, [("cable", True, good), ("drain", True, good)]), False, "all 50 good"),
            (failovers(True, [("cable", True, good)]), True, "ended early"),
            (failovers(True, []), True, "no result"),
            ("", True, "no result"),
            (failovers(False, [("cable", False, good)]), True, "all 50 good; not over at the end"),
            (failovers(False, [("cable", True, None)]), True, "not read back"),
            (failovers(False, [("cable", True, {**good, "lost": 2})]), True, "2 lost")):
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "0.json"), "w", encoding="utf-8") as file:
                file.write(document)
            code, output = call(directory, 'print_storage 6.1 "$1" iscsi', directory)
            same(code, int(failed), f"{document} {output}")
            check(output.endswith(said + "\n"), said, output)


# What the machine runs, run here, with a directory of its own and a build of one test. No setting of this machine is touched.
RUN_SUITES = r"""
work=$1 build=$1/build tests=(good misspelt)
modprobe() { :; }
export -f modprobe
run_script()
{
    sed "/proc.sys/d; s,/host/,$work/host/,g
         s,python3 .*/late.py >\(.*\) &,echo 3 >\1; sleep 100 \&," | bash
}
run_suites 6.1
"""


@test
def a_test_that_is_misspelt():
    """It has no log: that of the test before it is not its own."""
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(os.path.join(directory, "reroute-kernels"))
        with open(os.path.join(directory, "meson.build"), "w", encoding="ascii") as file:
            file.write("project('of-one-test')\ntest('good', find_program('true'))\n")
        subprocess.run(["meson", "setup", "build"], cwd=directory, check=True, stdout=subprocess.DEVNULL)
        code, output = call(directory, RUN_SUITES, directory)
        rows = [line.split()[1:5] for line in output.splitlines() if line.startswith("6.1 ")]
        same((code, rows), (1, [["good", "1", "of", "1"], ["misspelt", "0", "of", "0"]]), output)


sys.exit(run())
