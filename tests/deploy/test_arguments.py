#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: whatever is wrong with what a person gives `reroute deploy` is said before any host is asked, by one
line and exit code 3; and one host that cannot be reached is a result like any other. Arguments: reroute."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import run, same, test

REROUTE = os.path.abspath(sys.argv[1])
CONFIG = 'service = "10.9.9.9"\naccess "node1" { local = @local:node1@ data = "10.1.0.15" }\n'
# Arguments, and the end of the line. NAME.list and NAME.conf are made by the test; ssh must not be called.
WRONG = [
    ([], "reroute deploy: expected an action: install, check, upgrade or clear"),
    (["repair"], "reroute deploy: 'repair' is no action, expected install, check, upgrade or clear"),
    (["check", "clear"], "reroute deploy: 'clear' is one operand too many, expected one action"),
    (["check"], "reroute deploy: check: expected --hosts FILE or --host NAME"),
    (["install", "--host", "a"], "reroute deploy: install: expected --config TEMPLATE"),
    (["check", "--host", "a", "--route"], "reroute deploy: --route: expected with clear only"),
    (["check", "--host", "a", "--rolling", "1"],
     "reroute deploy: --rolling: not expected with check, which changes nothing"),
    (["clear", "--host", "a", "--rolling", "0"], "--rolling '0': expected a number from 1 to 1000"),
    (["clear", "--host", "a", "--wait", "x"], "--wait 'x': expected a number from 1 to 3600"),
    (["check", "--hosts", "none.list"], "reroute deploy: none.list: No such file or directory"),
    (["check", "--hosts", "binary.list"], "reroute deploy: binary.list: expected a text in UTF-8"),
    (["check", "--hosts", "good.list", "--host", "b"],
     "reroute deploy: --host 'b': expected a name of the list: a"),
    (["check", "--hosts", "typo.list", "--config", "good.conf"],
     "reroute deploy: typo.list:1: zome: good.conf has no place for it, expected @zome@ there"),
    (["check", "--host", "a", "--config", "bad.conf"],
     "reroute deploy: bad.conf:1: unknown key 'servic'"),
    (["check", "--host", "a", "--config", "mark.conf"],
     "reroute deploy: mark.conf:1: @zone@: a (--host 'a') has no zone=..., expected one"),
    (["check", "--host", "a", "--binary", "none"], "reroute deploy: --binary none: expected a file that can be read"),
    (["check", "--host", "a", "--binary", "/"], "reroute deploy: --binary /: expected a file that can be read"),
    (["clear", "--host", "a", "--vib", "none"],
     "reroute deploy: --vib: not expected with clear, which removes what is there"),
    (["check", "--host", "a", "--vib", "none"], "reroute deploy: --vib none: No such file or directory"),
    (["check", "--host", "a", "--vib", "good.conf"],
     "reroute deploy: --vib good.conf: expected a VIB of reroute, as tools/build-vib makes"),
    (["check", "--host", "a", "--ssh", "ssh 'a"], "reroute deploy: --ssh 'ssh 'a': expected an end of each quotation"),
    (["check", "--host", "a\x1b[2J"], "reroute deploy: --host 'a\\x1b[2J': 'a\\x1b[2J': expected the name of a host: "
     "letters, digits, '.', '_' and '-'"),
]
FILES = {"good.list": b"a\n", "typo.list": b"a zome=b\n", "binary.list": b"a\xff\n", "good.conf": CONFIG.encode(),
         "bad.conf": b'servic = "10.9.9.9"\n', "mark.conf": b'zone = "@zone@"\n'}


def deploy(directory, *arguments):
    return subprocess.run([REROUTE, "deploy", *arguments], cwd=directory, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)


def files(directory):
    for name, data in FILES.items():
        with open(os.path.join(directory, name), "wb") as f:
            f.write(data)


@test
def what_is_wrong():
    with tempfile.TemporaryDirectory() as directory:
        files(directory)
        for arguments, line in WRONG:
            done = deploy(directory, "--ssh", "/nonexistent/ssh", *arguments)
            first = done.stderr.splitlines()[0] if done.stderr else ""
            same((done.returncode, done.stdout), (3, ""), f"{arguments}: {done.stderr}")
            same(first[:len(line)] if line.startswith("reroute") else first[-len(line):], line, arguments)


@test
def no_host():
    with tempfile.TemporaryDirectory() as directory:
        done = deploy(directory, "check", "--host", "a", "--json", "--ssh", "sh -c 'echo gone >&2; exit 255'")
        document = json.loads(done.stdout)
        same((done.returncode, done.stderr), (1, ""))
        same({k: document[k] for k in ("schema", "action", "dry_run", "ok")},
             {"schema": "reroute.deploy/1", "action": "check", "dry_run": False, "ok": False})
        same([(h["name"], h["result"], h["reason"]) for h in document["hosts"]],
             [("a", "failed", "the connection ended in the middle (gone)")])
        done = deploy(directory, "check", "--host", "a", "--ssh", "sh -c 'exit 255'")
        same(done.stdout.splitlines()[-1], "a: the connection ended in the middle (ssh does not say why)")
        done = deploy(directory, "check", "--host", "a", "--ssh", "/nonexistent/ssh -v")
        same((done.returncode, done.stdout, done.stderr),
             (4, "", "reroute deploy: /nonexistent/ssh cannot be run here (no program): expected an ssh, see --ssh\n"))


sys.exit(run())
