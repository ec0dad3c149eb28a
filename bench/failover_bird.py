# SPDX-License-Identifier: Apache-2.0
"""BIRD with BFD in the same lab, measured by the same meter: a static route through home and one through another node,
each of which stands while BFD to its next hop is up. The nodes run BIRD too: BFD needs a peer, ICMP does not."""
import contextlib
import os
import re
import shutil
import subprocess

from failover_trial import HOME, PATIENCE_S, Trial
from netlab.lab import SERVICE
from netlab.wait import Failed

BIRD_WAYS = ("cable", "freeze")
# What goes into "interface".
BIRD_SETTINGS = {
    "defaults": "",
    "0.1x3": "min rx interval 100 ms; min tx interval 100 ms; multiplier 3;",
    "0.02x3": "min rx interval 20 ms; min tx interval 20 ms; multiplier 3;",
}
HOST, OTHER = "10.10.85.11", "10.10.85.16"

COMMON = """
log stderr all;
router id %(id)s;
protocol device {}
protocol bfd { interface "data0" { %(options)s }; %(peers)s }
"""
ROUTES = """
protocol kernel { ipv4 { import none; export all; }; }
protocol static by_home { ipv4 { preference 200; }; route %(service)s/32 via %(home)s bfd; }
protocol static by_other { ipv4 { preference 100; }; route %(service)s/32 via %(other)s bfd; }
"""


def bird_missing():
    """Why there is no BIRD; None: there is one."""
    return None if shutil.which("bird") else "BIRD is not installed, so it does not stand beside (Debian: bird2)."


class Bird(Trial):
    """One repetition with BIRD instead of an agent."""

    def __init__(self, lab, options):
        super().__init__(lab, None)
        self.options = options
        self.daemons = {}

    def start(self, node, identity, peers, more=""):
        path = f"{self.lab.directory}/bird-{node}"
        with open(f"{path}.conf", "w", encoding="ascii") as f:
            f.write(COMMON % {"id": identity, "options": self.options,
                              "peers": " ".join(f"neighbor {p};" for p in peers)} + more)
        with open(f"{path}.log", "w", encoding="ascii") as log:
            self.daemons[path] = self.lab.inside(node, "bird", "-f", "-c", f"{path}.conf", "-s", f"{path}.ctl",
                                                 stderr=log, stdout=log, stdin=subprocess.DEVNULL)

    def pump(self, seconds):
        super().pump(seconds)
        for path, daemon in self.daemons.items():
            if daemon.poll() is not None:
                with open(f"{path}.log", encoding="utf-8") as log:
                    raise Failed(f"BIRD has ended with exit code {daemon.returncode}: {log.read()[-300:].strip()}")

    def enter(self, way):
        subprocess.run(["ip", "-n", f"{self.lab.name}-host", "route", "flush", SERVICE], capture_output=True)
        self.start("scvm1", HOME, [HOST])
        self.start("scvm2", OTHER, [HOST])
        self.start("host", HOST, [HOME, OTHER], ROUTES % {"service": SERVICE, "home": HOME, "other": OTHER})
        self.until("BIRD is at home and has a second way", self.is_settled, PATIENCE_S)

    def is_settled(self):
        done = subprocess.run(["birdc", "-s", f"{self.lab.directory}/bird-host.ctl", "show", "bfd", "sessions"],
                              capture_output=True, text=True)
        return len(re.findall(r"\bUp\b", done.stdout)) == 2 and self.lab.next_hop() == HOME

    def has_moved(self, since):
        return self.lab.next_hop() == OTHER

    def close(self):
        super().close()
        for path, daemon in self.daemons.items():
            daemon.kill()
            daemon.wait()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}.ctl")
