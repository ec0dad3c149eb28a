# SPDX-License-Identifier: Apache-2.0
"""Hosts behind real sshd processes, a cluster that they enter, and the desk from which reroute is deployed: all in
network namespaces.

A host has namespaces of its own, for processes and mounts too, and in them its own /etc, /root, /usr/local, /var, /run:
what is put there others do not see, and all of it is gone with it. Three kinds:

    systemd    with a stand-in for systemctl, which runs the unit's ExecStart
    linux      without systemd
    vmkernel   its ssh is led into a tree of its own: busybox, stand-ins for VMware's commands, a datastore"""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests", "lib"))
from tap import skip
from netlab.meter import Meter
from netlab.namespace import (NO_IPV6, NODE_SETTINGS, batch, bridges, cable, configure, end_process, entering, execute,
                              inside, new_namespace)
from netlab.wait import Interrupts, until

BUILD = os.environ.get("REROUTE_BUILD", os.path.join(ROOT, "build"))
REROUTE = os.path.join(BUILD, "reroute")
HERE = os.path.dirname(os.path.abspath(__file__))
SERVICE = "198.18.7.9"
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
NODES = 2
TEMPLATE = f"""service = "{SERVICE}"
access "node1" {{ local = @local:node1@ data = "10.77.16.121" }}
access "node2" {{ local = @local:node2@ data = "10.77.16.122" }}
probe {{ select-timeout = "100ms" }}
session {{ provider = "none" }}
state-directory = "@state-directory@"
control-socket = "@control-socket@"
"""


def missing():
    """What is not there, None: all is."""
    if os.geteuid() != 0:
        return "needs root, for namespaces"
    for name, path in (("sshd", SSHD), ("ssh", shutil.which("ssh")), ("busybox", shutil.which("busybox"))):
        if not path:
            return f"no {name}: tools/setup --tests brings it"
    return None


def text_of(command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def programs(path, note="", size_bytes=0):
    """A program; another one for each note. So big at least: what stands behind an ELF file nobody reads."""
    with open(REROUTE, "rb") as program, open(path, "wb") as file:
        file.write(program.read() + note.encode() + b"#" * size_bytes)
    os.chmod(path, 0o755)
    return path


class Host:
    """One of them. files() is its file system, seen from here."""

    def __init__(self, stage, name, kind, number):
        self.stage, self.name, self.kind, self.number = stage, name, kind, number
        self.namespace = new_namespace()
        self.address = f"172.22.4.{number}"
        self.process = None

    def start(self):
        """sshd and what it needs; it has begun when it takes connections."""
        with open(os.path.join(self.stage.directory, f"{self.name}.log"), "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "/bin/sh",
                 os.path.join(HERE, "host"), self.kind, self.address, SSHD, self.stage.directory, REROUTE,
                 shutil.which("busybox")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=entering(self.namespace))
        until(f"{self.name} takes connections", self.answers)

    def answers(self):
        try:
            inside(self.stage.desk, socket.create_connection, (self.address, 22), 1).close()
        except OSError:
            return False
        return True

    def leader(self):
        """The first process inside."""
        children = text_of(["pgrep", "-P", str(self.process.pid)]).split()
        return int(children[0])

    def files(self, path):
        """A path of the host, seen from here."""
        tree = "/mnt/tree" if self.kind == "vmkernel" else ""
        return f"/proc/{self.leader()}/root{tree}{path}"

    def exists(self, path):
        return os.path.lexists(self.files(path))

    def read(self, path):
        with open(self.files(path), encoding="utf-8", errors="replace") as f:
            return f.read()

    def write(self, path, text, mode=0o644):
        with open(self.files(path), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.files(path), mode)

    def run(self, *command, check=True):
        """In its namespaces, outside of the tree of a VMkernel."""
        done = subprocess.run(["nsenter", "--target", str(self.leader()), "--all", *command], capture_output=True,
                              text=True, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.stderr}")
        return done.stdout

    def inside(self, text, check=True):
        """A line for the host's own shell."""
        tree = ["chroot", "/mnt/tree"] if self.kind == "vmkernel" else []
        return self.run(*tree, "/bin/sh", "-c", text, check=check)

    def snapshot(self):
        """Every file that deploy could have to do with, and its digest."""
        places = ("/etc/reroute", "/etc/rc.local.d", "/vmfs", "/var/spool/cron", "/usr/local", "/etc/systemd/system",
                  "/etc/init.d", "/etc/rc2.d", "/var/lib/reroute", "/opt/reroute", "/bootbank")
        found = self.inside("find " + " ".join(p for p in places if self.exists(p)) + " | sort; find " +
                            " ".join(p for p in places if self.exists(p)) + " -type f | sort | xargs md5sum")
        # A running agent writes these as it likes; where they stay their directory does too.
        of_agent = ("/var/lib/reroute/", "/reroute/state/")
        return "\n".join(line for line in found.splitlines() if not any(place in line for place in of_agent))

    def route(self):
        """The next hops of the routes to the service."""
        lines = execute(self.namespace, ["ip", "route", "show", SERVICE]).splitlines()
        return [line.split(" via ")[1].split()[0] for line in lines]

    def place(self):
        """(program, configuration) where deploy puts them."""
        if self.kind == "vmkernel" and self.exists("/opt/reroute"):
            return "/opt/reroute/bin/reroute", "/etc/reroute/reroute.conf"
        if self.kind == "vmkernel":
            return "/vmfs/volumes/datastore1/reroute/reroute", "/vmfs/volumes/datastore1/reroute/reroute.conf"
        return "/usr/local/bin/reroute", "/etc/reroute/reroute.conf"

    def status(self):
        """What its agent says, {}: nothing."""
        return json.loads(self.inside("{} status --json --config {}".format(*self.place()), check=False) or "{}")

    def end_sessions(self):
        """Ends every ssh connection of the host, but not what runs for it."""
        self.run("/bin/sh", "-c", "for d in /proc/[0-9]*; do case $(tr '\\0' ' ' <$d/cmdline 2>/dev/null) in "
                        "'sshd: '*'[listener]'*) ;; 'sshd: '*) kill -9 ${d#/proc/} ;; esac; done", check=False)

    def stop(self):
        if self.process:
            end_process(self.process)
            self.process = None


class Stage:
    """Nodes, hosts, and the desk."""

    def __init__(self, kinds):
        Interrupts.catch()  # so that nothing stays behind
        self.stack = contextlib.ExitStack()
        self.directory = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="reroute-deploy-"))
        self.ssh = "ssh"
        os.chmod(self.directory, 0o755)
        self.keys()
        self.switch, self.desk = new_namespace(), new_namespace()
        self.nodes = [new_namespace() for _ in range(NODES)]
        self.hosts = {name: Host(self, name, kind, 31 + i) for i, (name, kind) in enumerate(kinds.items())}
        self.connect()
        self.configure()
        for host in self.hosts.values():
            self.stack.callback(host.stop)
            host.start()

    def keys(self):
        for name in ("user", "stranger", "host", "other"):
            text_of(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.path(name)])

    def path(self, name):
        return os.path.join(self.directory, name)

    def public(self, name):
        with open(self.path(name + ".pub"), encoding="ascii") as f:
            return f.read()

    def connect(self):
        bridges(self.switch, ["data", "admin"])
        lines = [cable("desk", "admin", "admin", self.desk)]
        for i, node in enumerate(self.nodes):
            lines.append(cable(f"n{i}", "data", "data", node))
        for host in self.hosts.values():
            lines += [cable(f"{host.name}-d", "data", "data", host.namespace),
                      cable(f"{host.name}-a", "admin", "admin", host.namespace)]
        batch(self.switch, lines)
        self.up(self.desk, admin="172.22.4.10")
        for i, node in enumerate(self.nodes):
            self.up(node, data=f"10.77.16.{121 + i}", lo=SERVICE)
        for host in self.hosts.values():
            self.up(host.namespace, data=f"10.77.16.{host.number}", admin=host.address)

    @staticmethod
    def up(namespace, **addresses):
        configure(namespace, NODE_SETTINGS + NO_IPV6)
        lines = ["link set lo up"]
        for interface, address in addresses.items():
            lines += [f"address add {address}/{32 if interface == 'lo' else 24} dev {interface}",
                      f"link set {interface} up"]
        batch(namespace, lines)

    def cut(self, host, down=True):
        """The cable by which ssh reaches it."""
        batch(self.switch, [f"link set {host.name}-a {'down' if down else 'up'}"])

    def configure(self, key=None, known=None, port=None, more=None):
        """ssh's configuration. What is not right there, {name: value}: the user's key, the key by which the host is
        known ("": by none), the port, more lines."""
        key, known, port, more = key or {}, known or {}, port or {}, more or {}
        with open(self.path("known"), "w", encoding="ascii") as f:
            for host in self.hosts.values():
                name = known.get(host.name, "host")
                f.write(f"{host.address} {self.public(name)}" if name else "")
        with open(self.path("ssh_config"), "w", encoding="ascii") as f:
            for host in self.hosts.values():
                f.write(f"Host {host.name}\n HostName {host.address}\n User root\n IdentitiesOnly yes\n"
                        f" IdentityFile {self.path(key.get(host.name, 'user'))}\n Port {port.get(host.name, 22)}\n"
                        f" UserKnownHostsFile {self.path('known')}\n StrictHostKeyChecking yes\n{more.get(host.name, '')}")

    def list(self, name="hosts", only=None, **words):
        """A list of the hosts; words: for one of them, {name: text}."""
        with open(self.path(name), "w", encoding="ascii") as f:
            for host in self.hosts.values():
                if only is None or host.name in only:
                    f.write(f"{host.name} local=node{1 + host.number % 2} {words.get(host.name, '')}\n")
        return self.path(name)

    def template(self, text=TEMPLATE, name="template.conf"):
        with open(self.path(name), "w", encoding="ascii") as f:
            f.write(text)
        return self.path(name)

    def start(self, action, *arguments):
        """`reroute deploy` at the desk."""
        command = [REROUTE, "deploy", action, *arguments, "--ssh", f"{self.ssh} -F {self.path('ssh_config')}", "--json"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, preexec_fn=entering(self.desk))

    @staticmethod
    def end(process):
        """(exit code, results by name)."""
        out, error = process.communicate(timeout=300)
        if not out:
            raise AssertionError(f"exit code {process.returncode}: {error}")
        return process.returncode, {host["name"]: host for host in json.loads(out)["hosts"]}

    def deploy(self, action, *arguments):
        return self.end(self.start(action, *arguments))

    def meter(self, host):
        meter = Meter(host.namespace, SERVICE)
        self.stack.callback(meter.kill)
        return meter

    def close(self):
        self.stack.close()
        for namespace in (self.switch, self.desk, *self.nodes, *(h.namespace for h in self.hosts.values())):
            os.close(namespace)


def eventually(what, condition, seconds=40.0):
    until(what, condition, seconds)


__all__ = ["Stage", "eventually", "missing", "programs", "skip", "SERVICE", "TEMPLATE"]
