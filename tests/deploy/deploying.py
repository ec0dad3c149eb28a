# SPDX-License-Identifier: Apache-2.0
"""`reroute deploy` on a stage of hosts, and what is said of the results; for the tests of all kinds of hosts."""
import contextlib

from stage import Stage, programs
from tap import check, same

KINDS = {"web1": "systemd", "web2": "systemd", "old1": "linux"}


@contextlib.contextmanager
def stage(kinds=None):
    made = Stage(kinds or KINDS)
    try:
        yield made
    finally:
        made.close()


def install(s, *arguments, program=None, action="install"):
    return s.deploy(action, "--hosts", s.list(), "--config", s.template(), "--binary",
                    program or programs(s.path("program")), *arguments)


class Results(dict):
    """What became of each host; a failed comparison shows the reasons."""

    def __repr__(self):
        return str({name: (r["result"], r["reason"], r["differences"]) for name, r in self.found.items()})


def results(found):
    made = Results({name: result["result"] for name, result in found.items()})
    made.found = found
    return made


def of_all(s, word):
    return {name: word for name in s.hosts}


def snapshots(s):
    return {name: host.snapshot() for name, host in s.hosts.items()}


def fails(found, name, reason, end=""):
    """This host failed, and this is why."""
    result = found[name]
    same(result["result"], "failed", f"{name}: {result}")
    check(result["reason"].startswith(reason) and result["reason"].endswith(end), name, result["reason"], "expected", reason,
          end)


def as_before(s, before, *names):
    for name in names:
        now, was = set(s.hosts[name].snapshot().splitlines()), set(before[name].splitlines())
        check(now == was, f"{name} is not as it was: more", sorted(now - was), "less", sorted(was - now))
