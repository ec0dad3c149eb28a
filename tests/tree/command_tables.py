# SPDX-License-Identifier: Apache-2.0
"""What test_commands.py must know of the commands in documents: which it does not run, and why; how it runs others.
A command stands here as in the document, but for `sudo`, `$` and the directory of reroute."""
import fnmatch

# The first that matches counts. * stands for anything.
NOT_RUN = {
    "names a command, and is none that could be given": (
        "reroute agent", "reroute bench", "reroute bench compare", "reroute bench tune", "reroute report", "reroute deploy",
        "reroute deploy install", "reroute deploy install --host NAME", "reroute capabilities --try-route",
        "reroute replay --set witness=off", "reroute report --json", "ip route replace", "meson setup -Dsystemd=219", "build/tools/lab-sessiond"),
    "minutes; tests/lab/test_demo.py": ("tools/demo", "tools/demo --nfs"),
    "this is one of its tests": ("tools/test", "meson test*", "REROUTE_BUILD=* python3 tests/*", "build/tests/*"),
    "what is tested was built so; tools/bare begins with it": (
        "tools/setup*", "meson setup build -Dwerror=true", "meson setup build-asan *", "ninja -C build*"),
    "makes a Debian first, and runs all tests there": ("tools/bare",),
    "another build; tests/agent/test_without.py": ("meson setup build -Dcurl=disabled",),
    "another build; tests/userworld, tests/esxi": ("tools/build-static", "tools/build-vib"),
    "another build; tests/agent/test_deb.py, tests/agent/test_rpm.py": ("tools/build-deb", "tools/build-rpm"),
    "another build; tests/tree/test_unit.py reads that unit": ("meson setup build-219 *",),
    "may build; tools/kernels installs": ("meson install -C build",),
    "changes a file": ("clang-format -i FILE",),
    "tests/agent/test_systemd.py runs it, under a systemd that boots": ("systemctl *", "journalctl *"),
    "needs a host of ESXi; tests/esxi and tests/deploy have stand-ins": (
        "reroute deploy install *--vib *", "esxcli *", "esxcfg-route *", "/etc/init.d/reroute *", "vi *", "ps -c"),
    "tests/deploy/test_documents.py runs it, on hosts behind sshd": ("reroute deploy *", "reroute status --all *"),
    "makes a user of the machine; tests/agent/test_systemd.py has one": ("systemd-sysusers && chown reroute FILE",),
    "needs a host; tests/deploy/test_connections.py": ("ssh *", "ssh-keygen *", "scp *"),
    "minutes or hours; tests/bench has small ones": (
        "reroute bench failover *", "reroute bench sweep *", "reroute bench compare *", "reroute bench tune --config *",
        "tools/bench-tables*"),
    "needs a trace of a network; tests/bench/test_tune.py": ("reroute bench tune --trace *",),
    "a minute; tests/report/rounds.py, tests/report/report.py": (
        "reroute report --count 600 *", "reroute report --rate 20000 *"),
    "a million targets; tests/report/scale.py has some fewer": ("unshare -n *",),
    "a capture; tests/report/capture.py is a test, too": ("tests/report/capture.py *",),
    "boots machines; tools/test does so once": ("tools/kernels*",),
    "another lab; tests/lab/test_lab.py": ("tools/lab *", "sleep 60", "grep RssAnon *"),
    "tests/agent/test_monitoring.py": ("promtool test *",),
}
# Blocks that are no commands, by how they begin: drawings, and what a command of NOT_RUN printed once.
PICTURES = ("paths ──> probes", "tools/  bench/  tests/", "agent ───> journal", "take      take_observations()",
            "setting  what fails", "what happened")
# Words in commands that stand for others.
STANDS_FOR = {"SERVICE": "192.168.33.2", "ADDRESS": "10.10.85.16", "GATEWAY": "10.10.85.16", "IFACE": "data0", "eth1": "data0",
              "ACCESS": "node2", "COMMAND": "status"}
# These do not end by themselves: what they print before Ctrl-C, and how they may end then.
CTRL_C = (130,)
ENDLESS = {
    "reroute agent --dry-run --config tools/reroute.conf.example": ("event=start", (0,)),
    "reroute agent --dry-run": ("event=decision", (0,)),
    "reroute agent --supervise": ("event=start", (0,)),
    "reroute report --watch=5s -f hosts.txt": ("reachable", CTRL_C),
    "reroute report --watch=5s --json-lines -f hosts.txt | jq -c 'select(.was)'": ("", CTRL_C),
    "reroute journal --since 1h --follow": ("the agent started", CTRL_C),
    "reroute status --watch": ("service", CTRL_C),
    "ip monitor route": ("", CTRL_C),
}
# How others end than by 0.
EXIT_CODES = {
    "tools/lab": (3,),  # it says how it is called
    "reroute agent --pid": (1,),  # no supervisor runs
    "reroute report --mtu 9000 --interface eth1 10.10.85.15": (1,),  # the lab has no jumbo frames
    "reroute report --shard 2/5 10.0.0.1-10.0.3.254": (1,),  # nor these hosts
    "grep -rl 192.168.33.2 /etc/cron* /var/spool/cron /etc/rc* /etc/init.d": (1, 2),  # nothing, and not all are there
}
JOURNAL = "/var/lib/reroute/journal.jsonl"
# What must be there first.
PREPARED = {
    "reroute check-config new.conf": "cp /etc/reroute/reroute.conf new.conf",
    "reroute bench hold --hold 60s,180s --journal host1.jsonl,host2.jsonl": f"tee host1.jsonl host2.jsonl <{JOURNAL}",
    "jq -r 'select(.kind == \"switch\") | [.time, .from, .to, .reason] | @tsv' journal.jsonl": f"cp {JOURNAL} journal.jsonl",
}
# What is put right behind them.
UNDONE = {
    "reroute pin --hard ADDRESS": "reroute unpin",
    "reroute drain --for 4h --because \"a disk is replaced\" node1": "reroute undrain node1",
}
# An agent would be in their way.
WITHOUT_AGENT = ("reroute agent", "reroute clear", "reroute route", "ip route replace")


def why_not(command):
    """None: it is run."""
    return next((why for why, patterns in NOT_RUN.items() if any(fnmatch.fnmatchcase(command, p) for p in patterns)), None)


def unused(commands):
    """What stands here of commands that no document has."""
    patterns = [pattern for patterns in NOT_RUN.values() for pattern in patterns]
    others = [*ENDLESS, *EXIT_CODES, *PREPARED, *UNDONE]
    return [p for p in patterns if not fnmatch.filter(commands, p)] + [c for c in others if c not in commands]
