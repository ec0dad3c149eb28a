# SPDX-License-Identifier: Apache-2.0
"""What this proves: file names, arguments and the contents of files that somebody else wrote do nothing to a terminal,
a document or gnuplot. Every output is well-formed UTF-8 without controls, every document JSON, and no command runs."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap

REROUTE = os.path.abspath(sys.argv[1])
# What no output may have: controls but the newline, C1, marks that reorder, hide or break a line.
BAD = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
EVIL = b"a\x1b[2J\x9b31m\xc2\x9b1m\xe2\x80\xaeb\xc0\xaf\xff\x07"
tap = Tap()
directory = tempfile.mkdtemp(prefix="reroute-outside-")


def run(*arguments):
    done = subprocess.run([REROUTE, *arguments], cwd=directory, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def clean(what, code, *arguments, lines=None, words=b""):
    """Returns standard output, decoded."""
    got, out, error = run(*arguments)
    try:
        text, complaint = out.decode(), error.decode()
    except UnicodeDecodeError as why:
        tap.ok(False, what, why)
        return ""
    # Tabs are the layout of a document.
    tap.ok(got == code and not BAD.search(text.replace("\t", " ") if "--json" in arguments else text + complaint) and words in out + error
           and (lines is None or complaint.count("\n") == lines), what, f"{got} {out[-500:]} {error[-500:]}")
    return text


def snapshot(host):
    path = {"tier": "data", "state": "up", "up_since_ns": "1", "on_link": True, "link_usable": True,
            "service_good": True, "full_size": "passed", "last_reply_ns": "now", "proven_ns": "now"}
    line = {"kind": "snapshot", "time": "2026-01-01T00:00:00.000Z", "t_ns": "100000000000", "schema": "reroute.journal/1",
            "why": "start", "boot_id": "a", "host": "HOST", "service": "SERVICE", "current": "10.0.0.1",
            "agent": {"sessions_waived": True, "list_arrived": True, "window_ns": "1000000000",
                      "select_timeout_ns": "100000000", "hold_ns": "180000000000", "damping_max_ns": "3600000000000"},
            "accesses": [{"access": "ACCESS", "locality": "local"}], "decision": {"action": "keep", "reason": "best"},
            "paths": [{"path": "10.0.0.1", "access": "ACCESS", **path}, {"path": "PATH", "access": "ACCESS", **path}]}
    text = json.dumps(line).encode().replace(b"ACCESS", host).replace(b"HOST", host).replace(b"PATH", host)
    moved = b'{"kind":"switch","t_ns":"200000000000","to":"' + host + b'","reason":"path-down","done":true}\n'
    return text + b"\n" + moved


def write(name, content):
    with open(os.path.join(os.fsencode(directory), name), "wb") as file:
        file.write(content)
    return name


# --- what a journal says of itself: a terminal and a document
# In a JSON string a control character is escaped; a broken byte comes as it is.
write(b"journal", snapshot(EVIL.replace(b"\x1b", b"\\u001b").replace(b"\x07", b"\\u0007")))
text = clean("a journal's host, accesses and paths, on a terminal", 0, "replay", "journal", words=b"a\\x1b[2J\\x9b31m")
text = clean("and as JSON", 0, "replay", "--json", "journal")
tap.ok(json.loads(text)["host"].startswith("a\x1b[2J\ufffd31m\x9b1m\u202eb"), "where nothing is lost that was text", text)
write(b"journal", snapshot("b\u00fccher \u4e2d".encode()))
tap.ok("of host b\u00fccher \u4e2d," in run("replay", "journal")[1].decode(), "what can be read is left alone")

# --- names of files
newline = write(b"x\n!id >proof\n#.jsonl", snapshot(b"h"))
clean("a file's name with newlines", 0, "replay", newline, words=b"x\\x0a!id >proof\\x0a#.jsonl")
missing = b"no" + EVIL
for arguments in (["replay", missing], ["check-config", missing], ["status", "--socket", missing],
                  ["status", "-c", missing], ["sessions", "-c", missing], ["bench", "hold", "--journal", missing],
                  ["bench", "tune", "--trace", missing]):
    code, out, error = run(*arguments)
    clean(f"a name that is not there: {' '.join(map(str, arguments[:2]))}", code, *arguments, lines=1, words=b"\\x1b[2J")
write(b"trace", b"reroute-trace 1\ninterval-us 10000\nwait-us 1000000\npayload-bytes 56\npath " + EVIL + b" eth0 n\ndata\n")
clean("a trace's path", 3, "bench", "tune", "--trace", "trace", words=b"trace:5")

# --- arguments
for arguments in ([EVIL], ["status", b"--" + EVIL], ["status", EVIL], ["replay", "--hold", EVIL, "journal"],
                  ["bench", EVIL], ["bench", "hold", "--history", EVIL], ["route", "--to", EVIL], ["status", b"-\x9b"],
                  ["bench", "sweep", "--profile", EVIL]):
    clean(f"an argument: {arguments[-2] if len(arguments) > 1 else ''}", 3, *arguments, lines=2)
write(b"conf", b'service = "10.9.9.9"\nhost = "x' + EVIL + b'"\naccess "n" { data = "' + EVIL + b'" }\n')
clean("a value of a configuration", 3, "check-config", "conf", lines=1, words=b"conf:")
write(b"conf", b'"' + EVIL + b'" = 1\n')
clean("a key of a configuration", 3, "check-config", "conf", lines=1)

# --- gnuplot
if shutil.which("gnuplot"):
    for i, name in enumerate((newline, write(b"it's';!id >proof\n!id >proof #`id >proof`", snapshot(b"h")),
                              write(b"back\\\n!id >proof\n", snapshot(b"h")), write(EVIL, snapshot(b"h")))):
        code, out, error = run("bench", "hold", "--journal", name, "--hold", "180s", "--plot", f"{i}.svg")
        tap.ok(code == 0 and not os.path.exists(os.path.join(directory, "proof")), f"drawing {name}: no command runs", error)
        with open(os.path.join(directory, f"{i}.svg")) as picture:
            tap.ok("</svg>" in picture.read(), "and the picture is whole")
else:
    tap.skipped("pictures", "no gnuplot")

shutil.rmtree(directory)
sys.exit(tap.done())
