# SPDX-License-Identifier: Apache-2.0
"""What the tests of the lab share: TAP lines, and a lab of their own for the length of a `with`."""
import json
import os
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("REROUTE_BUILD", os.path.join(ROOT, "build"))
METER = os.path.join(BUILD, "tools", "lab-meter")
SERVICE = "192.168.33.2"


class Tap:
    """Counts and prints; leave with exit(tap.done())."""

    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, what, detail=""):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {what}", flush=True)
        if not good and detail != "":
            for line in str(detail).splitlines():
                print(f"#   {line}", flush=True)
        return good

    def done(self):
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed else 0


def need_namespaces():
    """Skips the whole file where namespaces cannot be made."""
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root, for network namespaces")
        sys.exit(0)
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        print(f"1..0 # SKIP no network namespaces: {probe.stderr.strip()}")
        sys.exit(0)


def wait_for(condition, seconds=15.0):
    """Polls until condition() is true; returns its value, false after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


class Lab:
    """One lab with a name of its own. `with Lab() as lab:` brings it up and always takes it down."""

    made = 0

    def __init__(self, accesses=3, **environment):
        Lab.made += 1
        self.name = f"rr-test-{os.getpid()}-{Lab.made}"
        self.accesses = accesses
        self.environment = dict(os.environ, LAB_NAME=self.name, REROUTE_BUILD=BUILD, **environment)

    def start(self, *arguments, **options):
        return subprocess.Popen([os.path.join(ROOT, "tools", "lab"), *map(str, arguments)], env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)

    def run(self, *arguments):
        """(exit code, output) of tools/lab ARGUMENTS."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def must(self, *arguments):
        code, output = self.run(*arguments)
        if code != 0:
            raise RuntimeError(f"tools/lab {' '.join(map(str, arguments))}: exit code {code}\n{output}")
        return output

    def __enter__(self):
        try:
            self.must("up", self.accesses)
        except BaseException:
            self.run("down")
            raise
        return self

    def __exit__(self, *_):
        self.run("down")

    def http(self, node, path, *options, address="127.0.0.1", seconds=3):
        """(status, body) of a request made inside a node; status 0: no answer."""
        code, output = self.run("exec", node, "curl", "-s", "--noproxy", "*", "--max-time", str(seconds),
                                "-w", "\n%{http_code}", *options, f"http://{address}{path}")
        body, _, status = output.rpartition("\n")
        return (int(status) if status.isdigit() else 0), body

    def state(self, node):
        status, body = self.http(node, "/lab/state")
        return json.loads(body) if status == 200 else None

    def list(self, node, address="127.0.0.1"):
        status, body = self.http(node, "/api/v3/sessions", address=address)
        return json.loads(body)["data"] if status == 200 else None

    def pings(self, node, address):
        return self.run("exec", node, "ping", "-n", "-c", "1", "-W", "1", address)[0] == 0

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
        self.process = subprocess.Popen(["ip", "netns", "exec", f"{lab.name}-host", METER, *options, SERVICE],
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
