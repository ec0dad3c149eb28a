# SPDX-License-Identifier: Apache-2.0
"""What the tests of the lab share: a lab of their own for the length of a `with`, and its meter."""
import json
import os
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.setdefault("REROUTE_BUILD", os.path.join(ROOT, "build"))
sys.path += [os.path.join(ROOT, "tests", "lib"), os.path.join(ROOT, "tools")]
import lab_drive
from lab_drive import SERVICE
from tap import Tap, skip


def need_namespaces():
    """Skips the whole file where namespaces cannot be made."""
    if os.geteuid() != 0:
        skip("needs root, for network namespaces")
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        skip(f"no network namespaces: {probe.stderr.strip()}")


def wait_for(condition, seconds=15.0):
    """Polls until condition() is true; returns its value, false after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


class Lab(lab_drive.Lab):
    """A lab with a name of its own, and what is left of it."""

    made = 0

    def __init__(self, accesses=3, **settings):
        Lab.made += 1
        super().__init__(f"rr-test-{os.getpid()}-{Lab.made}", accesses, **settings)

    def pings(self, node, address):
        return self.run("exec", node, "ping", "-n", "-c", "1", "-W", "0.5", address)[0] == 0

    def remains(self):
        """Everything of this lab that is still there, as text lines."""
        found = [f"namespace {n}" for n in os.listdir("/run/netns") if n.startswith(self.name + "-")] \
            if os.path.isdir("/run/netns") else []
        for folder in ("/run", "/tmp", "/var/lib", "/var/run"):
            found += [f"file {folder}/{n}" for n in os.listdir(folder) if self.name in n]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if f"LAB_NAME={self.name}\0".encode() in f.read():
                        with open(f"/proc/{pid}/cmdline", "rb") as c:
                            found.append(f"process {pid} " + c.read().replace(b"\0", b" ").decode())
            except OSError:
                pass
        return "\n".join(found)


class Meter:
    """The meter in the host's namespace; its lines are read when it has ended."""

    def __init__(self, lab, *options):
        self.process = subprocess.Popen(["ip", "netns", "exec", f"{lab.name}-host", lab_drive.program("lab-meter"),
                                         *options, SERVICE],
                                        stdout=subprocess.PIPE, text=True)
        self.events = []

    def wait_each(self, kind, streams):
        """Reads until every one of the streams has had an event of this kind; the test's own deadline ends it."""
        seen = set()
        while not seen >= set(streams):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the meter has ended")
            event = json.loads(line)
            self.events.append(event)
            if event["event"] == kind:
                seen.add(event["stream"])

    def wait_first(self, streams):
        """Reads until every one of the streams has had its first echo."""
        self.wait_each("first", streams)

    def finish(self):
        """Ends it; returns its interruptions by stream, and the summary."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=20)
        self.events += [json.loads(line) for line in output.splitlines()]
        found = {"icmp": [], "tcp": []}
        for event in self.events:
            if event["event"] == "interruption":
                found[event["stream"]].append(event)
        return found, self.events[-1]
