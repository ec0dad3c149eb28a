# SPDX-License-Identifier: Apache-2.0
"""The unit, under a systemd that has booted: its user and rights, what is ordered after it, reload, crash, watchdog, the
journal's priorities, and what root sees of it."""
import json
import os
import re
import signal
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tree"))
from harness import ROOT, SANITIZED, main
from machine import UNIT, Machine, why_not
from shown import read_pages, shown_commands
from tap import skip

NET_ADMIN, NET_RAW = 1 << 12, 1 << 13
SECURITY_MAX = 20  # tenths
ISCSI = """[Unit]
Wants=network-online.target remote-fs-pre.target
After=network-online.target
Before=remote-fs-pre.target
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=/bin/true
"""


def machine(t, files=(), **settings):
    """A machine that boots with an agent, in a cluster of two nodes: (world, monitor, machine, home, configuration)."""
    world, _, monitor = t.cluster(settings=dict(nodes=2))
    agent = t.agent(world, start=False, **settings)
    agent.socket_path, agent.state_directory = "/run/reroute/control.sock", "/var/lib/reroute"
    config = agent.text(**settings)
    made = Machine(t, config, files)
    made.boot(world)
    t.ok(made.booted(), "boots", made.said())
    return world, monitor, made, world.node(1).address("data"), config


def main_process(made):
    """The agent's process as this machine knows it."""
    inside = made.show("MainPID")
    listed = subprocess.run(["pgrep", "--ns", str(made.init), "--nslist", "pid", "reroute"], stdout=subprocess.PIPE, text=True,
                            check=False).stdout.split()
    for pid in listed:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        if status["NSpid"].split()[-1] == inside:
            return int(pid), status
    return None, {}


def active(made):
    return lambda: made.show("ActiveState") == "active" and main_process(made)[0]


def rights_and_order(t):
    """A user of its own with two rights. A mount with _netdev waits until the route leads to a node that answers."""
    world, monitor, made, home, _ = machine(t, {"etc/fstab": "none /mnt tmpfs _netdev 0 0\n"})
    t.eventually(active(made), "active", detail=lambda: made.run("systemctl", "status", "reroute")[1])
    _, status = main_process(made)
    uids = set(status["Uid"].split())
    t.ok(len(uids) == 1 and "0" not in uids, "not root", status["Uid"])
    t.ok({int(status[name], 16) for name in ("CapEff", "CapBnd", "CapPrm")} == {NET_ADMIN | NET_RAW}, "two rights", status)
    t.ok(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", "and no way to more", status)
    t.ok(monitor.gateway() == home, "the route is there", monitor.events)
    t.ok(home in made.show("StatusText"), "the status line says where it leads", made.show("StatusText"))
    code, said = made.run(*reroute(made), "status")
    t.ok(code == 0 and f"via {home}" in said, "root may ask it", said)
    t.eventually(lambda: made.show("ActiveState", "mnt.mount") == "active", "the mount is there")
    ready = int(made.show("ActiveEnterTimestampMonotonic"))
    t.ok(0 < ready <= int(made.show("InactiveExitTimestampMonotonic", "mnt.mount")), "after it", ready)
    code, said = made.run(*reroute(made), "clear")
    t.ok(code == 1 and "runs already" in said and monitor.gateway() == home, "root's clear heeds it", said)
    t.ok(made.run("systemctl", "stop", "reroute")[0] == 0 and monitor.gateway() == home, "stopped: the route stays")
    t.ok(made.show("Result") == "success", "which is well", made.show("Result"))
    code, said = made.run(*reroute(made), "clear")
    t.ok(code == 0 and monitor.gateway() is None, "now root may clear it", said)


def iscsi_files():
    """A unit that is ordered as Debian's open-iscsi.service, and the drop-in that the manual page has for it."""
    with open(os.path.join(ROOT, "tools", "man", "reroute-agent.8"), encoding="utf-8") as f:
        drop_in = re.search(r"^\.Pa /(\S+/open-iscsi\.service\.d/\S+) :\n\.Bd .*\n((?:.+\n)+?)\.Ed\n", f.read(), re.M)
    return {drop_in[1]: drop_in[2], "etc/systemd/system/open-iscsi.service": ISCSI,
            "etc/systemd/system/sysinit.target.d/iscsi.conf": "[Unit]\nWants=open-iscsi.service\n"}


def waits_for_a_node(t):
    """No node answers at boot: what is mounted waits, and so does the login to iSCSI. Both come with the first node."""
    world, _, monitor = t.cluster(settings=dict(nodes=2))
    agent = t.agent(world, start=False)
    agent.socket_path, agent.state_directory = "/run/reroute/control.sock", "/var/lib/reroute"
    for node in world.nodes:
        world.power(node, False)
    made = Machine(t, agent.text(), {"etc/fstab": "none /mnt tmpfs _netdev 0 0\n", **iscsi_files()})
    made.boot(world)
    t.ok(made.booted(), "boots", made.said())
    t.eventually(lambda: "waits up to" in made.show("StatusText"), "it says that it waits", 30,
                 detail=lambda: made.show("StatusText"))
    t.ok(made.show("ActiveState", "mnt.mount") == "inactive", "the mount waits too")
    t.ok(made.show("ActiveState", "open-iscsi.service") == "inactive", "and the login")
    world.power(world.node(2), True)
    t.eventually(lambda: made.show("ActiveState", "mnt.mount") == "active", "a node comes: the mount", 60,
                 detail=lambda: made.journal())
    t.ok(monitor.gateway() == world.node(2).address("data"), "by that node")
    t.eventually(lambda: made.show("ActiveState", "open-iscsi.service") == "active", "the login", detail=made.journal)
    t.ok("ordering cycle" not in made.run("journalctl", "--no-pager")[1], "nothing was in a circle", made.journal())


def reload_crash_watchdog(t):
    """A reload; a wrong one; a crash; an agent that hangs. The route is not touched."""
    world, monitor, made, home, config = machine(t)
    t.eventually(active(made), "active", detail=lambda: made.run("systemctl", "status", "reroute")[1])
    changes = monitor.changes()

    def put(text):
        code, said = made.run("sh", "-c", 'printf %s "$0" >/etc/reroute/reroute.conf', text)
        t.ok(code == 0, "the file is written", said)

    code, said = made.run("systemctl", "reload", "reroute")
    t.ok(code == 0 and "event=reload " in made.journal("-o", "cat"), "reload", said)
    put("nonsense")
    code, _ = made.run("systemctl", "reload", "reroute")
    t.ok(code != 0 and active(made)(), "a wrong file: the reload fails, the agent runs")
    t.ok("reroute.conf:1:" in made.journal("-o", "cat"), "and the journal says what is wrong", made.journal())
    put(config)
    pid, _ = main_process(made)
    os.kill(pid, signal.SIGKILL)
    t.eventually(lambda: made.show("NRestarts") == "1" and active(made)(), "after a crash another one", detail=made.journal)
    pid, _ = main_process(made)
    os.kill(pid, signal.SIGSTOP)
    t.eventually(lambda: made.show("NRestarts") == "2" and active(made)(), "after a hang too", 60, detail=made.journal)
    t.ok("Watchdog timeout" in made.run("journalctl", "--no-pager")[1], "by the watchdog", made.journal())
    t.ok(monitor.changes() == changes and monitor.gateway() == home, "the route was not touched", monitor.events)


def priorities(t):
    """Levels are the journal's priorities, and lines have no time of their own."""
    world, _, made, home, config = machine(t)
    t.eventually(active(made), "active", detail=lambda: made.run("systemctl", "status", "reroute")[1])
    made.run("sh", "-c", "echo nonsense >/etc/reroute/reroute.conf")
    made.run("systemctl", "kill", "--signal=HUP", "reroute")

    def lines():
        entries = [json.loads(line) for line in made.journal("-o", "json").splitlines()]
        return {entry["MESSAGE"].split("event=")[1].split()[0]: entry for entry in entries
                if "event=" in entry["MESSAGE"] and entry.get("_COMM") == "reroute"}

    t.eventually(lambda: "reload-refused" in lines(), "an error", detail=made.journal)
    found = lines()
    t.ok(found["start"]["PRIORITY"] == "6" and found["reload-refused"]["PRIORITY"] == "3", "priorities",
         {name: entry["PRIORITY"] for name, entry in found.items()})
    t.ok(found["start"]["MESSAGE"].startswith("level=info event=start "), "without time", found["start"]["MESSAGE"])


def security(t):
    """What systemd-analyze thinks of it."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={SECURITY_MAX}", "--no-pager", UNIT],
                          capture_output=True, text=True, check=False)
    t.ok(done.returncode == 0, f"exposure {SECURITY_MAX / 10} at most", done.stdout[-200:] + done.stderr)


def upgraded(t):
    """What an agent of root left is the new user's: state and the file of the log."""
    state, log = "/var/lib/reroute", "/var/log/reroute/reroute.log"
    left = {f"{state[1:]}/state.json": "{}", f"{state[1:]}/journal.jsonl": "", log[1:]: "before\n"}
    _, _, made, home, _ = machine(t, left, top=f'log {{ file = "{log}" }}')
    t.eventually(active(made), "active", detail=lambda: made.run("systemctl", "status", "reroute")[1])
    t.eventually(lambda: home in made.run("cat", f"{state}/state.json")[1], "it is written", detail=made.journal)
    t.eventually(lambda: "event=start " in made.run("cat", log)[1], "and so is the log", detail=made.journal)
    t.ok(made.run("cat", log)[1].startswith("before\n") and "event=not-kept" not in made.run("cat", log)[1],
         "all of it", made.run("cat", log)[1])
    t.ok(made.run("sh", "-c", f"head -c 1 {state}/journal.jsonl") == (0, "{"), "root reads it", made.run("ls", "-lL", state))


def documents(t):
    """What documents say to a service manager and to the journal, in their order."""
    _, _, made, _, _ = machine(t)
    t.eventually(active(made), "active", detail=lambda: made.run("systemctl", "status", "reroute")[1])
    t.eventually(lambda: "event=switch " in made.journal("-o", "cat"), "a switch is in the journal", detail=made.journal)
    wanted = re.compile("(?:systemctl|journalctl) .*(?:reroute|daemon-reload)")
    commands = list(shown_commands(read_pages(), wanted))
    t.ok(len(commands) >= 7, "there are such commands", commands)
    for command in commands:
        code, said = made.run("sh", "-c", command)
        t.ok(code == 0 and (said or command.startswith("systemctl")), command, said)


def reroute(made):
    return [made.show("ExecStart").split("path=")[1].split()[0]]


if why_not():
    skip(why_not())
if SANITIZED:
    skip("a sanitizer needs memory that is writable and executable")
sys.exit(main([reload_crash_watchdog, waits_for_a_node, rights_and_order, priorities, upgraded, documents, security],
              parallel=2))
