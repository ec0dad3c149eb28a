# SPDX-License-Identifier: Apache-2.0
"""What test_commands.py must know of the commands in documents: which it does not run, and why; how it runs others.
A command stands here as in the document, but for `sudo`, `$` and the directory of reroute."""
import fnmatch
import re

# tests/deploy/test_documents.py runs these, on hosts behind sshd.
ON_HOSTS = re.compile(r"reroute (?:deploy (?:install|check|upgrade|clear) .*--hosts|status --all) (?!.*--vib)")
# The first that matches counts. * stands for anything.
NOT_RUN = {
    "names a command, and is none that could be given": (
        "reroute agent", "reroute bench", "reroute bench compare", "reroute bench tune", "reroute report", "reroute deploy",
        "reroute deploy check", "reroute deploy install", "reroute deploy install --host NAME",
        "reroute deploy install --vib FILE",
        "reroute capabilities --try-route", "reroute replay --set witness=off", "reroute report --json"),
    "needs a package for ESXi; tests/deploy/test_vib.py": ("reroute deploy install *--vib build-static/*",),
    "minutes or hours; tests/bench has small ones": (
        "reroute bench failover *", "reroute bench sweep *", "reroute bench compare *", "reroute bench tune --config *"),
    "needs a trace of a network; tests/bench/test_tune.py": ("reroute bench tune --trace *",),
    "about a minute": ("reroute report --count 600 *", "reroute report --rate 20000 *"),
    "says nothing until something changes; tests/report/watch.py": ("reroute report --watch=5s --json-lines *",),
}
# Words in commands that stand for others.
STANDS_FOR = {"ADDRESS": "10.10.85.16", "GATEWAY": "10.10.85.16", "eth1": "data0", "ACCESS": "node2", "COMMAND": "status"}
# These do not end by themselves: what they print before Ctrl-C, and how they end then.
ENDLESS = {
    "reroute agent --dry-run --config tools/reroute.conf.example": ("event=start", 0),
    "reroute agent --dry-run": ("event=decision", 0),
    "reroute agent --supervise": ("event=start", 0),
    "reroute report --watch=5s -f hosts.txt": ("reachable", 130),
    "reroute journal --since 1h --follow": ("the agent started", 130),
    "reroute status --watch": ("service", 130),
}
# How others end than by 0.
EXIT_CODES = {
    "reroute agent --pid": 1,  # no supervisor runs
    "reroute report --mtu 9000 --interface eth1 10.10.85.15": 1,  # the lab has no jumbo frames
    "reroute report --shard 2/5 10.0.0.1-10.0.3.254": 1,  # nor these hosts
}
JOURNAL = "/var/lib/reroute/journal.jsonl"
# What must be there first.
PREPARED = {
    "reroute check-config new.conf": "cp /etc/reroute/reroute.conf new.conf",
    "reroute bench hold --hold 60s,180s --journal host1.jsonl,host2.jsonl": f"tee host1.jsonl host2.jsonl <{JOURNAL}",
}
# What is put right behind them.
UNDONE = {
    "reroute pin --hard ADDRESS": "reroute unpin",
    "reroute drain --for 4h --because \"a disk is replaced\" node1": "reroute undrain node1",
}
# An agent would be in their way.
WITHOUT_AGENT = ("reroute agent", "reroute clear", "reroute route")


def is_run(command):
    patterns = [pattern for patterns in NOT_RUN.values() for pattern in patterns]
    return not ON_HOSTS.match(command) and not any(fnmatch.fnmatchcase(command, pattern) for pattern in patterns)


def unused(commands):
    """What stands here of commands that no document has."""
    patterns = [pattern for patterns in NOT_RUN.values() for pattern in patterns]
    others = [*ENDLESS, *EXIT_CODES, *PREPARED, *UNDONE]
    return [p for p in patterns if not fnmatch.filter(commands, p)] + [c for c in others if c not in commands]
