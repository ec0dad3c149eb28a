# SPDX-License-Identifier: Apache-2.0
"""What the tests of the lab share: a lab of their own for the length of a `with`, however they end."""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.setdefault("REROUTE_BUILD", os.path.join(ROOT, "build"))
sys.path += [os.path.join(ROOT, "tests", "lib"), os.path.join(ROOT, "tools")]
import netlab.lab
from netlab.lab import SERVICE
from netlab.wait import Failed, Interrupts, wait_for
from tap import Tap, skip, unshared

Interrupts.catch()


def need_namespaces():
    """Skips the whole file where namespaces cannot be made."""
    if os.geteuid() != 0:
        skip("needs root, for network namespaces")
    unshared("--net")


class Lab(netlab.lab.Lab):
    """A lab with a name of its own; the command tools/lab for it, and what is left of it."""

    made = 0

    def __init__(self, accesses=3, **settings):
        Lab.made += 1
        super().__init__(f"rr-test-{os.getpid()}-{Lab.made}", accesses, **settings)

    def start(self, *arguments, **options):
        return subprocess.Popen([os.path.join(ROOT, "tools", "lab"), *map(str, arguments)], env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def run(self, *arguments):
        """(exit code, output) of tools/lab ARGUMENTS."""
        process = self.start(*arguments)
        output, _ = process.communicate()
        return process.returncode, output

    def must(self, *arguments):
        code, output = self.run(*arguments)
        if code != 0:
            raise Failed(f"tools/lab {' '.join(map(str, arguments))}: {output}".strip())
        return output

    def pings(self, node, address):
        return self.inside(node, "ping", "-n", "-c", "1", "-W", "0.5", address, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL).wait() == 0

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
