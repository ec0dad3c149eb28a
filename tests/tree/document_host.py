# SPDX-License-Identifier: Apache-2.0
"""Where the commands of documents are run: on the host of a lab whose addresses are the documents'. Nothing of the
machine is changed: /etc, /run and /var/lib are the test's own. All is in memory, and ends with the test however that ends:
the copy of /etc has what only root may read."""
import os
import re
import shutil
import signal
import subprocess
import sys

from tap import skip
from netlab.namespace import entering
from netlab.wait import Failed, wait_for
from told import BUILD, ROOT

WORK = "/run/documents"
OWN = ("/etc", "/run", "/var/lib")
PATIENCE_S = 120


def own_directories():
    """Nobody else sees from here on what this process and its children do to the system's directories, and with it all
    ends that it has started."""
    if os.geteuid() != 0:
        skip("needs root, for namespaces")
    place = next((place for place in OWN if any(path.startswith(f"{place}/") for path in (ROOT, BUILD))), None)
    if place:
        skip(f"the checkout or the build is below {place}, which is hidden here")
    if "REROUTE_OWN_DIRECTORIES" not in os.environ:
        os.environ["REROUTE_OWN_DIRECTORIES"] = "yes"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                              "--mount-proc", sys.executable, *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def hide_system():
    """/etc is a copy, /run and /var/lib are empty."""
    for place in ("/run", "/var/lib"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    etc = os.path.join(WORK, "etc")
    shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
    subprocess.run(["mount", "--bind", etc, "/etc"], check=True)
    os.makedirs("/etc/reroute", exist_ok=True)
    os.makedirs("/var/lib/prometheus/node-exporter")
    with open("/etc/hosts", "a", encoding="ascii") as f:
        f.write("10.10.85.17 storage.example\n")


def end_group(process):
    """Of a shell and all that it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Host:
    """The host of the lab, with a directory to work in. Its agent runs, or does not, as with_agent() was last told."""

    def __init__(self, lab):
        self.lab = lab
        self.directory = os.path.join(WORK, "checkout")
        self.log_path = os.path.join(WORK, "agent.log")
        programs = os.path.join(WORK, "bin")
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        self.agent = None
        os.makedirs(self.directory)
        os.makedirs(programs)
        os.symlink(os.path.join(BUILD, "reroute"), os.path.join(programs, "reroute"))
        os.symlink(os.path.join(ROOT, "tools"), os.path.join(self.directory, "tools"))
        self.write("hosts.txt", "10.10.85.15\nstorage.example\n")

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as f:
            f.write(text)

    @staticmethod
    def configure(text):
        """For the agent, and for all commands."""
        with open("/etc/reroute/reroute.conf", "w", encoding="utf-8") as f:
            f.write(text + "\n")

    def start(self, command, output):
        """By a shell, in a group of its own: a pipe gets Ctrl-C as a whole."""
        enter = entering(self.lab.namespace("host"))
        command = command if re.search("[|;&]", command) else f"exec {command}"
        return subprocess.Popen(["sh", "-c", command], cwd=self.directory, env=self.environment, preexec_fn=enter,
                                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    @staticmethod
    def interrupt(process):
        """Ctrl-C. The exit code as a shell has it."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        try:
            code = process.wait(PATIENCE_S)
        finally:
            end_group(process)
        return code if code >= 0 else 128 - code

    def with_agent(self, wanted):
        if wanted and not self.agent:
            with open(self.log_path, "w", encoding="ascii") as log:
                self.agent = self.start("reroute agent", log)
            if not wait_for(lambda: "via 10.10.85.15" in self.run("reroute status")[1]):
                raise Failed(f"the agent is not at home: {self.log()}")
        elif self.agent and not wanted:
            self.interrupt(self.agent)
            self.agent = None

    def run(self, command):
        """(exit code, output)"""
        process = self.start(command, subprocess.PIPE)
        try:
            output = process.communicate(timeout=PATIENCE_S)[0]
        finally:
            end_group(process)
        return process.returncode, output.decode(errors="replace")

    def run_endless(self, command, text):
        """The same; it gets Ctrl-C when it has said `text`. The exit code is None when it does not say so."""
        with open(self.log_path, "w", encoding="ascii") as log:
            process = self.start(command, log)
        said = wait_for(lambda: text in self.log() or process.poll() is not None) and text in self.log()
        code = self.interrupt(process)
        return code if said else None, self.log()
