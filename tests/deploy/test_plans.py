#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves, without a host: which files a host gets and where, what differs and why, which steps follow, and
which reason stands for what ssh and hosts say. Every path is sound before it reaches a shell."""
import contextlib
import io
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(ROOT, "tests", "lib"), os.path.join(ROOT, "tools", "deploy")]
from tap import Skip, check, run, same, test
import desk
import kinds
import remote
import show
from hosts import parse_line
from kinds import Refused, digest, kind_of
from work import Programs, Work

GOOD_STATUS = {"version": "0.1.0", "next_hop": "10.0.0.1", "sessions": {"provider": "rest"},
               "paths": [{"current": True, "up": True, "state": "up", "address": "10.0.0.1"}]}


def good_facts(kind, files):
    return {**{f"file:{file.path}": digest(file.data) for file in files}, "version": "reroute 0.1.0", "state": "active",
            "boot": "yes: x", "datastore": "yes", "execInstalledOnly": "0", "httpClient": "true"}


def setting(name="systemd", directory=None):
    kind = kind_of(name, directory)
    files = kinds.wanted(kind, b"program", b"config", b"service")
    return kind, files, good_facts(kind, files)


@test
def places():
    for name, directory, program in (("systemd", None, "/usr/local/bin/reroute"), ("linux", "/x", "/usr/local/bin/reroute"),
                                     ("vmkernel", None, "/vmfs/volumes/datastore1/reroute/reroute"),
                                     ("vmkernel", "/vmfs/volumes/a/r", "/vmfs/volumes/a/r/reroute"),
                                     ("vib", "/vmfs/volumes/a/r", "/opt/reroute/bin/reroute")):
        same(kind_of(name, directory).binary, program)
    for name, directory in (("", None), ("SunOS", None), ("vmkernel", "None"), ("vmkernel", "/a/../b"), ("vib", "/a b"),
                            ("vmkernel", "/a\n")):
        try:
            kind_of(name, directory)
        except Refused:
            continue
        raise AssertionError(f"{name} {directory}: not refused")


@test
def who_gets_a_vib():
    package = "/opt/reroute/bin/reroute"
    for hello, with_vib, kind in (({"kind": "vmkernel"}, False, "vmkernel"), ({"kind": "vmkernel"}, True, "vib"),
                                  ({"kind": "vmkernel", "package": package}, False, "vib"),
                                  ({"kind": "systemd", "package": package}, True, "systemd"), ({}, True, "")):
        same(kinds.kind_name(hello, with_vib), kind, (hello, with_vib))


def a_vib(version, name="reroute"):
    """The beginning of one."""
    return f"!<arch>\ndescriptor.xml  0\n<vib version=\"5.0\"><name>{name}</name><version>{version}</version>".encode()


@test
def versions_of_vibs():
    same(kinds.vib_version(a_vib("0.3.1-1") + b"\xff"), "0.3.1-1")
    for data in (b"", b"!<arch>\n", a_vib("0.3.1-1")[1:], a_vib("0.3.1-1", "other"), a_vib("0 1"), a_vib(""),
                 a_vib("0.3.1-1")[:-3]):
        same(kinds.vib_version(data), None, data)


VIB_FACTS = {"vib": "0.3.1-1", "kept": "0.3.1-1", "acceptance": "CommunitySupported", "secureboot": ""}
REFUSED_VIBS = [  # a host, a VIB, the beginning of the reason; None: it can
    ({}, "0.3.2-1", None),
    ({"vib": "", "kept": ""}, "0.3.1-1", None),
    ({"vib": "", "kept": "0.3.0-1"}, "0.3.1-1", None),
    ({"kept": ""}, "0.3.1-1", None),
    ({}, "0.3.1-1", "another VIB of version 0.3.1-1 is installed"),
    ({"kept": ""}, "0.3.2-1", "VIB 0.3.1-1 is installed, and "),
    ({"kept": "0.3.2-1"}, "0.3.2-1", "VIB 0.3.1-1 is installed, and "),
    ({"acceptance": "VMwareAccepted"}, "0.3.2-1", "the host's acceptance level is VMwareAccepted, "),
    ({"acceptance": ""}, "0.3.2-1", "the host's acceptance level is not known, "),
    ({"secureboot": "Enabled"}, "0.3.2-1", "UEFI secure boot is on: "),
    ({"script": "/x/service.sh"}, "0.3.2-1", "/x/service.sh is there: "),
]


@test
def vibs_that_are_refused():
    kind = kind_of("vib", None)
    for facts, version, reason in REFUSED_VIBS:
        got = kinds.refuse_vib(kind, kinds.wanted(kind, None, None, a_vib(version))[0], {**VIB_FACTS, **facts})
        check(got is None if reason is None else got and got.startswith(reason), facts, version, got, "expected", reason)


@test
def the_steps_of_a_vib():
    """The VIB comes before the configuration, which is written into the file of the VIB."""
    kind = kind_of("vib", "/vmfs/volumes/a/r")
    files = kinds.wanted(kind, None, b"config", a_vib("0.3.2-1"))
    facts = {f"file:{kind.service}": digest(files[0].data), f"file:{kind.config}": digest(b"config"), "vib": "0.3.2-1"}
    same(kinds.differing(files, facts), [])
    same(kinds.differing(files, {**facts, "vib": "0.3.1-1"}), files[:1], "upgraded by hand")
    same(kinds.change_steps(kind, files, facts, 60), [
        "copy the file of the VIB to /vmfs/volumes/a/r/reroute.vib.deploy-new (91 bytes)",
        "copy the configuration to /vmfs/volumes/a/r/reroute.conf.deploy-new (6 bytes)",
        "compare the checksums there",
        "esxcli software vib install --dry-run there",
        "keep /vmfs/volumes/a/r/reroute.vib as /vmfs/volumes/a/r/reroute.vib.deploy-old",
        "keep /etc/reroute/reroute.conf as /vmfs/volumes/a/r/reroute.conf.deploy-old",
        "rename /vmfs/volumes/a/r/reroute.vib.deploy-new to /vmfs/volumes/a/r/reroute.vib",
        "esxcli software vib install -f --no-sig-check -v /vmfs/volumes/a/r/reroute.vib",
        "write /vmfs/volumes/a/r/reroute.conf.deploy-new into /etc/reroute/reroute.conf",
        "auto-backup.sh; /etc/init.d/reroute stop, start",
        "wait until the agent answers, 60 s at most; else put back what was there"])


@test
def services():
    same(kinds.service_text(kind_of("systemd", None), "ExecStart=@reroute@ agent"),
         "ExecStart=/usr/local/bin/reroute agent")
    same(kinds.service_text(kind_of("vmkernel", "/vmfs/volumes/a/r"), "@reroute@ @config@ @service@"),
         "/vmfs/volumes/a/r/reroute /vmfs/volumes/a/r/reroute.conf /vmfs/volumes/a/r/service.sh")
    for name, version, file in (("systemd", "219", "reroute-219.service.in"), ("systemd", "230", "reroute-219.service.in"),
                                ("systemd", "231", "reroute.service.in"), ("systemd", "252", "reroute.service.in"),
                                ("systemd", "", "reroute.service.in"), ("linux", None, "reroute.sysv.in"),
                                ("vmkernel", None, "vmkernel.sh.in")):
        same(kinds.service_file(kind_of(name, None), {"systemd": version}), file, (name, version))


CHANGES = [  # what is other than it is to be: facts, status, one difference
    ({"file:/etc/reroute/reroute.conf": "x", "line:1": "confog"}, {},
     "the configuration differs: line 1 is 'confog' there, 'config' here"),
    ({"file:/etc/reroute/reroute.conf": "x", "line:1": "config", "line:2": "", "line:10": "b", "line:9": "a"}, {},
     "the configuration differs: line 9 is 'a' there, '' here"),
    ({"file:/etc/reroute/reroute.conf": "x", "line:1": "config"}, {}, "the configuration differs"),
    ({"file:/etc/reroute/reroute.conf": "x", "line:1": "config", "line:a": "b", "line:": "c"}, {},
     "the configuration differs"),
    ({"wrong": "a:1: no"}, {}, "the agent runs, but its file is wrong: a:1: no"),
    ({"file:/etc/reroute/reroute.conf": "none"}, {}, "the configuration is not there"),
    ({"file:/usr/local/bin/reroute": "0123456789"}, {},
     f"the program differs: another build, of checksum 01234567 there, {digest(b'program')[:8]} here"),
    ({"file:/usr/local/bin/reroute": "x", "version": "reroute 0.0.9"}, {"version": "0.0.9"},
     "the program differs: version 0.0.9 there, 0.1.0 here"),
    ({"file:/etc/systemd/system/reroute.service": "x"}, {}, "the service differs"),
    ({"version": "reroute 0.2.0"}, {}, "version 0.1.0 is running, 0.2.0 is installed"),
    ({"digest": "1"}, {"config_digest": "2"}, "the agent runs with another configuration than the one in the file"),
    ({"state": "failed"}, {}, "the service is failed"),
    ({"boot": "no: the unit is disabled"}, {}, "it does not survive a reboot: the unit is disabled"),
    ({}, {"next_hop": None, "explanation": "nobody answers"}, "there is no route: nobody answers"),
    ({}, {"paths": [{"current": True, "up": False, "state": "down", "address": "10.0.0.1"}]},
     "the path in use, 10.0.0.1, is down"),
    ({"httpClient": "false"}, {}, "the firewall lets no list of sessions in: "
     "esxcli network firewall ruleset set -e true -r httpClient"),
]


@test
def what_differs():
    kind, files, facts = setting()
    same(kinds.differences(kind, files, facts, GOOD_STATUS), [])
    for changed, status, line in CHANGES:
        same(kinds.differences(kind, files, {**facts, **changed}, {**GOOD_STATUS, **status}, "0.1.0"), [line])
    same(kinds.differences(kind, files, facts, {}), ["the agent does not answer, the service is active"])
    nothing = {f"file:{file.path}": "none" for file in files}
    same(kinds.differences(kind, files, nothing, {}), ["it is not installed"])


@test
def what_is_no_status():
    same(kinds.parse_status('{"paths": [], "sessions": {}}'), {"paths": [], "sessions": {}})
    for text in (None, "", "{", "[1]", "3", "[" * 100000, '{"paths": 3}', '{"paths": [3]}', '{"sessions": [1]}'):
        same(kinds.parse_status(text), {}, text and text[:40])


@test
def who_is_refused():
    kind, _, facts = setting()
    same(kinds.refuse(kind, facts), None)
    check("installed otherwise" in kinds.refuse(kind, {**facts, "package": "/usr/bin/reroute"}))
    kind, _, facts = setting("vmkernel", "/vmfs/volumes/ds/reroute")
    same(kinds.refuse(kind, facts), None)
    check(kinds.refuse(kind, {**facts, "datastore": "no"}).startswith("no such path: /vmfs/volumes/ds;"))
    check(kinds.refuse(kind, {**facts, "execInstalledOnly": "1"}).startswith("execInstalledOnly is on"))
    same(kinds.refuse(kind, {**facts, "execInstalledOnly": ""}), None, "an old host has no such setting")
    with_vib = kind_of("vib", "/vmfs/volumes/ds/reroute")
    same(kinds.refuse(with_vib, {"datastore": "yes", "execInstalledOnly": "1", "package": with_vib.binary}), None)
    check(kinds.refuse(with_vib, {"datastore": "no"}).startswith("no such path: /vmfs/volumes/ds;"))


@test
def steps():
    kind, files, facts = setting()
    todo = kinds.differing(files, {**facts, "file:/usr/local/bin/reroute": "old", "file:/etc/reroute/reroute.conf": "none"})
    same([file.what for file in todo], ["program", "configuration"])
    same(kinds.change_steps(kind, todo, {**facts, "file:/etc/reroute/reroute.conf": "none"}, 60), [
        "copy the program to /usr/local/bin/reroute.deploy-new (7 bytes)",
        "copy the configuration to /etc/reroute/reroute.conf.deploy-new (6 bytes)",
        "compare the checksums there",
        "run check-config and --version of the program there",
        "keep /usr/local/bin/reroute as /usr/local/bin/reroute.deploy-old",
        "rename /usr/local/bin/reroute.deploy-new to /usr/local/bin/reroute",
        "rename /etc/reroute/reroute.conf.deploy-new to /etc/reroute/reroute.conf",
        "systemctl daemon-reload, enable, restart",
        "wait until the agent answers, 60 s at most; else put back what was there"])
    check("remove the route to the service" in kinds.clear_steps(kind, True))
    check("remove the route to the service" not in kinds.clear_steps(kind, False))


@test
def what_stays():
    route = {"address": "10.9.9.9", "route": "10.1.0.15"}
    for name, facts, text in (
            ("systemd", {**route, "ours": "10.9.9.9 via 10.1.0.15 dev data"},
             "the route to 10.9.9.9 via 10.1.0.15 stays; to remove it: reroute deploy clear --route"),
            ("linux", {**route, "ours": ""},
             "the route to 10.9.9.9 via 10.1.0.15 stays; to remove it: ip route del 10.9.9.9 via 10.1.0.15"),
            ("vmkernel", route,
             "the route to 10.9.9.9 via 10.1.0.15 stays; to remove it: esxcfg-route -d 10.9.9.9/32 10.1.0.15"),
            ("vib", route,
             "the route to 10.9.9.9 via 10.1.0.15 stays; to remove it: esxcfg-route -d 10.9.9.9/32 10.1.0.15"),
            ("systemd", {"address": "10.9.9.9", "route": ""}, None), ("systemd", {}, None),
            ("vib", {}, "esxcfg-route -l shows whether a route of the agent still stands"),
            ("vmkernel", {}, "esxcfg-route -l shows whether a route of the agent still stands")):
        same(kinds.route_that_stays(kind_of(name, None), facts), text, (name, facts))


REASONS = [
    ("Warning: a banner\n\nssh: connect to host a port 22: Connection refused\n", "no ssh there (ssh: connect"),
    ("ssh: connect to host a port 22: Connection refused", "no ssh there"),
    ("ssh: connect to host a port 22: Connection timed out", "no ssh there"),
    ("ssh: Could not resolve hostname a: Name or service not known", "no ssh there"),
    ("root@a: Permission denied (publickey).", "the host does not accept the key"),
    ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n...\nHost key verification failed.", "the host key has changed"),
    ("No ED25519 host key is known\nHost key verification failed.", "the host key is not known"),
    ("Connection to a closed by remote host.", "the connection ended in the middle"),
    ("", "the connection ended in the middle (ssh does not say why)"),
]


@test
def reasons():
    for words, reason in REASONS:
        got = remote.ssh_reason(words)
        check(got.startswith(reason) and "\n" not in got, got, "expected", reason)
    check(remote.host_reason("cat: write error: No space left on device\n").startswith("the disk is full (cat:"))
    check(remote.host_reason("rm: cannot remove 'x': Read-only file system").startswith("the disk is read-only"))


@test
def calls():
    """What a shell is told comes out as it was meant; half of it does nothing."""
    words = ["a b", "$(id)", "`id`", "'\"\\", "", "*", "a\nb", "-n"]
    text = "show() { for w in \"$@\"; do printf '<%s>' \"$w\"; done; }\n" + remote.call_text("show", words)
    for shell in (["sh"], ["busybox", "ash"]):
        done = subprocess.run(shell, input=text, capture_output=True, text=True, check=False)
        same(done.stdout, "".join(f"<{word}>" for word in words), shell)
        for cut in range(text.index("{ show"), len(text) - 2):
            done = subprocess.run(shell, input=text[:cut], capture_output=True, text=True, check=False)
            same(done.stdout, "", f"{shell}, cut at {cut}")


def elf(*segments):
    """A program for this kind of machine with segments of these types (elf(5)), else empty."""
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return head + b"".join(struct.pack("<I52x", segment) for segment in segments)


@test
def the_table():
    """Long values are cut; a reason takes the place of differences; a plan has numbers; nothing acts on the terminal."""
    results = [
        {"name": "good1", "kind": "systemd", "result": "good", "version": "0.1.0", "config": "0123456789abcdef",
         "service": "active", "boot": "yes: the unit is enabled", "agent": "0.1.0", "route": "10.0.0.1", "reason": None, "differences": [],
         "steps": []},
        {"name": "b2", "kind": None, "result": "failed", "reason": "no\x1b[2J", "differences": ["x"], "steps": []},
        {"name": "c3", "kind": "linux", "result": "differs", "reason": None, "differences": ["one", "two"], "steps": []},
        {"name": "d4", "kind": "linux", "result": "planned", "reason": None, "differences": [], "steps": ["this", "that"]}]
    same(show.text(results), """\
HOST   KIND     RESULT   VERSION  CONFIG    SERVICE  BOOT  AGENT  ROUTE
good1  systemd  good     0.1.0    01234567  active   yes   0.1.0  10.0.0.1
b2     -        failed   -        -         -        -     -      -
c3     linux    differs  -        -         -        -     -      -
d4     linux    planned  -        -         -        -     -      -
b2: no\\x1b[2J
c3: one
c3: two
d4 (linux), nothing of this is done:
  1. this
  2. that
""")


@test
def which_program():
    load, interpreter = 1, 3
    linux, vmkernel = kind_of("linux", None), kind_of("vmkernel", None)
    here = os.uname().machine
    with tempfile.TemporaryDirectory() as directory:
        paths = {name: f"{directory}/{name}/reroute" for name in ("build", "build-static", "given")}
        for path, data in zip(paths.values(), (elf(load, interpreter), elf(load), b"given")):
            os.mkdir(os.path.dirname(path))
            with open(path, "wb") as f:
                f.write(data)
        shared, static, given = (Programs(*given) for given in ((None, paths["build"]), (None, paths["build-static"]),
                                                                (paths["given"], paths["build"])))
        same((shared.of(linux, here), shared.of(vmkernel, here)), (elf(load, interpreter), elf(load)))
        same((static.of(linux, here), static.of(vmkernel, here)), (elf(load), elf(load)))
        same((given.of(linux, here), given.of(vmkernel, "other")), (b"given", b"given"))
        os.remove(paths["build-static"])
        for kind, machine, reason in ((linux, "other", f"the host is other, this one {here}; expected --binary FILE for it"),
                                      (vmkernel, here, "VMkernel needs the static program; tools/build-static makes it: "
                                       "expected --binary FILE")):
            try:
                said = Programs(None, paths["build"]).of(kind, machine)
            except remote.Trouble as trouble:
                said = str(trouble)
            same(said, reason)


@test
def an_old_python():
    said = io.StringIO()
    with mock.patch.object(sys, "version_info", (3, 8, 20)), contextlib.redirect_stderr(said):
        same(desk.end("reroute deploy", lambda: 0), 4)
    check(said.getvalue().startswith("reroute deploy: this is Python 3.") and
          said.getvalue().endswith(", expected 3.9 or newer\n"), said.getvalue())


@test
def answers():
    same(remote.parse_answer("a=0\ndone=\n"), {"made": []}, "of a login shell")
    same(remote.parse_answer(f"kind=x done={remote.BEGIN}a=1\nmade=/x\nmade=/y\nb=\u2028failed=2=\x853\nno line of ours\na=4\ndone=\n"),
         {"made": ["/x", "/y"], "a": "4", "b": "\u2028failed=2=\x853", "done": ""})


@test
def what_nobody_expected():
    """It is this host's result, no other's."""
    for error, reason in ((OSError(5, "no disk"), "[Errno 5] no disk"), (remote.Trouble("no ssh"), "no ssh"),
                          (ValueError("x"), "an error of this program: ValueError('x')")):
        asked = mock.Mock()
        asked.call.side_effect = error
        work = Work(asked, mock.Mock(vib=None), mock.Mock(action="check"), mock.Mock())
        same([work.run()[key] for key in ("result", "reason")], ["failed", reason])
        work.kind = kind_of("linux", None)
        same(work.illness(), reason)


@test
def what_is_said_of_a_lost_connection():
    """What the host says of its change, and no more."""
    for answer, reason in ((remote.Trouble("nothing was changed"), "cut; nothing was changed"),
                           (remote.Trouble("the host finished by itself: no room"), "cut; the host finished by itself: no room"),
                           (remote.Trouble("no ssh there", lost=True),
                            "cut; what came of it is not known: see reroute deploy check")):
        asked = mock.Mock()
        asked.call.side_effect = answer
        try:
            said = Work(asked, mock.Mock(), mock.Mock(), mock.Mock()).ask_outcome(remote.Trouble("cut"), "token", 1)
        except remote.Trouble as trouble:
            said = str(trouble)
        same(said, reason)


@test
def what_ssh_is_told():
    """No terminal, no other command, nothing forwarded, whatever a person has set for the host; but what he gives here counts."""
    if not shutil.which("ssh"):
        raise Skip("no ssh")
    handy = "Host a\n RequestTTY force\n RemoteCommand cat\n ForwardAgent yes\n ForwardX11 yes\n LocalForward 2222 a:22\n"
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as config, tempfile.TemporaryDirectory() as directory:
        config.write(handy)
        config.flush()
        for given, terminal in (([], "false"), (["-o", "RequestTTY=yes"], "true")):
            command = remote.Remote(parse_line("a", "x"), ["ssh", "-F", config.name, *given], directory, None).command
            said = subprocess.run([*command[:-2], "-G", *command[-2:]], capture_output=True, text=True, check=True).stdout
            settings = dict(line.split(" ", 1) for line in said.splitlines())
            same([settings.get(key) for key in ("requesttty", "remotecommand", "forwardagent", "forwardx11", "localforward")],
                 [terminal, None, "no", "no", None], given)


@test
def too_much():
    """What a host sends without an end is broken off, whichever way it comes; what it has said by then is no answer."""
    running = remote.Running()
    for script in ("yes", "yes >&2", "cat >/dev/null; yes", "head -c 1100000 /dev/zero", "printf '\\nbegin=\\ndone=\\n'; yes"):
        try:
            said = running.run(["sh", "-c", script], b"x" * 1000000, 60)
        except remote.Trouble as trouble:
            said = trouble
        check(str(said).startswith("the host sends more than 1 MiB, ") and said.lost, script, said)
    same(running.processes, set())


@test
def whole_answers():
    for text, whole in ((b"", False), (b"done=", False), (b"done=\n", True), (b"a=1\nfailed=x y\n", True), (b"\n", False),
                        (b"undone=\n", False), (b"done=\nmore", False), (b"x" * 5000 + b"\ndone=\n", True)):
        same(remote.is_whole(bytearray(b"hello done=" + remote.BEGIN.encode() + text)), whole, text[-20:])
        same(remote.is_whole(bytearray(text)), False, "of a login shell")


@test
def processes():
    """All that is said arrives; a process that ends is not kept by another one that holds its files."""
    running, much = remote.Running(), b"0123456789abcdef" * 30000
    same(running.run(["cat"], much, 60), (0, much.decode(), ""))
    same(running.run(["sh", "-c", "cat >&2; exit 3"], b"x\xff", 60), (3, "", "x\ufffd"))
    same(running.run(["sh", "-c", "exec <&-; echo a"], much, 60), (0, "a\n", ""), "it does not listen")
    began = time.monotonic()
    code, holder, words = running.run(["sh", "-c", "sleep 30 & echo $!; echo b >&2"], b"", 60)
    os.kill(int(holder), 9)
    same((code, words), (0, "b\n"))
    same(running.run(["sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 4"], b"", 60), (4, "", ""))
    for last in ("done=", "failed=no room"):
        script = f"printf '{remote.BEGIN}{last}\n'; exec sleep 30"
        same(running.run(["sh", "-c", script], b"", 60), (None, f"{remote.BEGIN}{last}\n", ""), "it has answered")
    check(time.monotonic() - began < 20)
    same(running.run(["sh", "-c", "echo a; exec sleep 30"], b"", 0.5)[:2], (None, "a\n"), "it takes too long")
    try:
        said = running.run(["/nonexistent/ssh"], b"", 1)
    except remote.Trouble as trouble:
        said = str(trouble)
    same(said, "/nonexistent/ssh cannot be run here (No such file or directory): expected an ssh, see --ssh")
    same(running.processes, set())


@test
def interrupted_twice():
    """The handler of the second signal runs in the middle of the first one's."""
    running, process = remote.Running(), mock.Mock()
    process.kill.side_effect = lambda: running.stop() if process.kill.call_count == 1 else None
    running.processes.add(process)
    handler = threading.Thread(target=running.stop, daemon=True)
    handler.start()
    handler.join(20)
    same((handler.is_alive(), process.kill.call_count), (False, 2))


# Says when it begins and ends.
WORKING = """
turns={directory}/turns
work() {{ echo begin >>{directory}/log; sleep 0.1; echo end >>{directory}/log; }}
(beside_the_connection {token} work)
"""


@test
def turns():
    """Of many that find the turn of a process that is gone one gets it; and it is nobody's afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(f"{directory}/turns")
        gone = subprocess.Popen(["true"])
        gone.wait()
        os.symlink(f"{gone.pid}:1", f"{directory}/turns/41")
        for shell in (["sh"], ["busybox", "ash"]):
            for number in range(8):
                at_once = [subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                           for _ in range(6)]
                for i, process in enumerate(at_once):
                    process.stdin.write(remote.FUNCTIONS + WORKING.format(directory=directory, token=f"{shell[0]}-{number}-{i}"))
                    process.stdin.flush()
                said = [process.communicate()[0] for process in at_once]
                refused = [text for text in said if text.startswith("failed=another deploy ")]
                check("" in said and len(refused) + said.count("") == len(said), said)
        with open(f"{directory}/log", encoding="ascii") as f:
            words = f.read().split()
        same(words, ["begin", "end"] * (len(words) // 2))
        check(len(os.listdir(f"{directory}/turns")) < 20, os.listdir(f"{directory}/turns"))


@test
def a_number_of_a_process_that_came_later():
    """The turn of a process that was killed is over, also when another process has its number now."""
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(f"{directory}/turns")
        for shell in (["sh"], ["busybox", "ash"]):
            def taken(name, shell=shell):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(f"{directory}/turns/7")
                os.symlink(name, f"{directory}/turns/7")
                return subprocess.run(shell, input=f"{remote.FUNCTIONS}\nturns={directory}/turns\nturn_is_taken", check=False,
                                      text=True).returncode == 0
            with open("/proc/self/stat", encoding="ascii") as f:
                began = f.read().rpartition(") ")[2].split()[19]
            same([taken(f"{os.getpid()}:{began}"), taken(f"{os.getpid()}:{int(began) - 1}")], [True, False], shell)


# Between the look at the numbers and the making of the link four others have their turns.
SLOW = """
turns={directory}/turns
ln() {{ unset -f ln; for i in 1 2 3 4; do sh {directory}/other $i; done; ln "$@"; }}
(beside_the_connection late echo late)
"""


@test
def a_turn_that_is_taken_slowly():
    """Its number was pruned meanwhile, and is free again: it is no turn any more."""
    with tempfile.TemporaryDirectory() as directory:
        with open(f"{directory}/other", "w", encoding="ascii") as f:
            f.write(remote.FUNCTIONS + f"turns={directory}/turns\nbeside_the_connection other-$1 true\n")
        for shell in (["sh"], ["busybox", "ash"]):
            done = subprocess.run(shell, input=remote.FUNCTIONS + SLOW.format(directory=directory), capture_output=True,
                                  text=True, check=False)
            check(done.stdout.startswith("failed=another deploy has the turn on this host ("), shell, done)


@test
def files_that_end_too_early():
    """Nothing of them stays, nor the folder that was made for them."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/made/file"
        for data, size, stays in ((b"x" * 1000, 1001, False), (b"", 1, False), (b"x" * 1000, 1000, True)):
            done = subprocess.run(["sh", "-c", remote.RECEIVE, "receive", path, str(size)], input=data,
                                  capture_output=True, check=False)
            same((b"done=" in done.stdout, os.path.exists(path), os.path.exists(os.path.dirname(path))), (stays,) * 3)
        same(oct(os.stat(path).st_mode & 0o777), "0o600")


@test
def words_of_a_host_with_another_locale():
    done = subprocess.run(["sh", "-c", remote.RECEIVE, "receive", "/dev/null/made/file", "1"], input=b"x",
                          capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
    check(done.returncode == 1 and done.stderr and done.stderr.isascii(), done)


@test
def empty_paths():
    """A function of host.sh that gets an empty path does nothing."""
    paths = [f"/nonexistent/{name}" for name in "abcd"]
    paths = [f"/nonexistent/{name}" for name in "abcde"]
    for call in (["host_look", "linux", "", *paths[:2]], ["host_verify", "", "x", "755"], ["host_try", paths[0], ""],
                 ["host_commit", "t", "linux", "None", *paths[:3], "5", paths[2]],
                 ["host_commit", "t", "linux", *paths[:4], "5", ""],
                 ["host_commit", "t", "linux", *paths[:4], "", paths[4]],
                 ["host_commit", "t", "linux", *paths[:4], "5", paths[4], "relative"],
                 ["host_clear", "t", "linux", paths[0], "", *paths[:2], "no"], ["host_abandon", "staged", ""]):
        done = subprocess.run(["sh"], input=remote.FUNCTIONS + remote.call_text(call[0], call[1:]), capture_output=True,
                              text=True, check=False)
        check(done.stdout.startswith("failed="), call, done.stdout, done.stderr)


@test
def tables():
    result = {"name": "a", "kind": "linux", "result": "failed", "reason": "x\x1b[2J", "differences": [], "steps": []}
    text = show.text([result])
    check("\x1b" not in text and "a: x\\x1b[2J\n" in text, text)
    check("  01234567  " in show.text([{**result, "config": "0123456789abcdef"}]))
    same(len({len(line) for line in show.aligned([["a", "bb"], ["aaa", "bb"]])}), 1)


@test
def characters():
    """Whatever a host or a file says, it can be printed."""
    for said, shown in (("a \u00e9", "a \u00e9"), ("\x1b[2J\n", "\\x1b[2J\\x0a"), ("\u2028", "\\xe2\\x80\\xa8"),
                        (b"\xff".decode(errors="surrogateescape"), "\\xff"), ("\ud800", "\\xed\\xa0\\x80"),
                        (kinds.parse_status('{"version": "\\udfff"}')["version"], "\\xed\\xbf\\xbf")):
        same(show.clean(said), shown)
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as out, mock.patch.object(sys, "stdout", out):
        same(desk.end("reroute deploy", lambda: print("\u00e9", flush=True)), None)
        same(out.buffer.getvalue(), b"\\xe9\n", "a terminal of another encoding")


@test
def progress():
    arguments = (["a", "b"], {"a": 1.0}, {"a": "looks\x1b[2J"}, {"a"}, 3.4)
    same(show.progress_lines(*arguments, (80, 24)), ["a  2 s  looks\\x1b[2J", "b       waits"])
    same(show.progress_lines(*arguments, (12, 24)), ["a  2 s  loo", "b       wai"])
    same(show.progress_lines(*arguments, (80, 2)), ["1 of 2 hosts done"])


sys.exit(run())
