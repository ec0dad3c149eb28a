# SPDX-License-Identifier: Apache-2.0
"""The lab: a host, N accesses (scvm1 ... scvmN), a storage network and a management network. Every access owns the
service address and runs the session service; scvm1 runs "on" the host (its session names the host's data address).

  host   data0 10.10.85.11    mgmt0 192.168.85.11
  scvm1  data0 10.10.85.15    mgmt0 192.168.85.15    lo 192.168.33.2
  scvm2  data0 10.10.85.16    mgmt0 192.168.85.16    lo 192.168.33.2
  ...

Each data0 and mgmt0 is a cable to a bridge in a namespace of its own, "switch". cut() pulls the cable at the switch,
kill() turns the node off: its own ends of the cables go down and its processes end, freeze() makes it hang: nothing
comes from it, and no cable shows it. lose() is the switch's: what it does not pass on. All are independent of each
other, but that freeze() and thaw() set what is lost on their node's cables.

All of a lab is in its namespaces ("rr-lab-host" ...) and its directory under /run, so that it outlives the process that
brought it up; down() removes both. It runs as root, so what it removes it has made: every name begins with "rr-", and
its directory has the file that up() wrote there first. Links are not followed."""
import contextlib
import http.client
import json
import os
import re
import signal
import stat
import subprocess

from . import iscsi, nfs
from .namespace import NO_IPV6, NODE_SETTINGS, OWN, batch, bridges, cable, configure, execute, inhabitants, run, within
from .wait import Failed, Interrupts, until

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("REROUTE_BUILD") or os.path.join(os.path.dirname(HERE), "build")
SERVICE = "192.168.33.2"
MARKER = "made-by-tools-lab"
INTERFACES = {"data": "data0", "management": "mgmt0"}
PORTS = {"data": "data", "management": "mgmt"}  # NODE-PORT is the switch's end of a cable, PORT the bridge
ACCESSES_MAX = 64
PATIENCE_S = 5


def program(name):
    """lab-meter, lab-sessiond ...: beside this package where it is built or installed, else in the build directory."""
    beside = os.path.join(HERE, name)
    return beside if os.access(beside, os.X_OK) else os.path.join(BUILD, "tools", name)


def nfs_missing(client="lab-nfs"):
    """What is not there for NFS in a lab, and how to get it; None: all is there."""
    return nfs.missing(program(client))


def iscsi_missing(own_machine):
    """The same for iSCSI. own_machine: the setting LAB_OWN_MACHINE."""
    return iscsi.missing(program("lab-file"), own_machine)


def read(path):
    """The text of a file; "" when it cannot be read."""
    with contextlib.suppress(OSError):
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    return ""


def process_state(pid):
    """As ps shows it: R, S, T (stopped), Z ...; "" when there is no such process."""
    return (re.findall(r"^State:\s*(\w)", read(f"/proc/{pid}/status"), re.M) or [""])[0]


def has_ended(pid):
    """With all its threads: the last one gives its ports and locks back."""
    with contextlib.suppress(FileNotFoundError):
        return len(os.listdir(f"/proc/{pid}/task")) <= 1 and process_state(pid) in ("", "Z")
    return True


class Lab:
    """One lab. `with Lab(name) as lab:` brings it up and always takes it down, or fails. The settings are the command's:
    LAB_HOLD, LAB_LEASE_MS and so on. What is done raises Failed when it cannot be."""

    def __init__(self, name, accesses=3, **settings):
        if not re.fullmatch(r"rr-[A-Za-z0-9_-]{1,40}", name):
            raise Failed(f"LAB_NAME {name[:50]!r}: expected rr- and letters, digits, - and _")
        self.name = name
        self.accesses = accesses
        self.environment = dict(os.environ, LAB_NAME=name, **settings)

    @property
    def directory(self):
        return f"/run/{self.name}"

    def __enter__(self):
        self.up(self.accesses)
        return self

    def __exit__(self, *_):
        try:
            self.down()
        except Failed as why:
            raise Failed(f"{self.name} is not taken down: {why}") from None

    # --- what is there

    def path(self, name):
        return os.path.join(self.directory, name)

    def setting(self, name, default):
        return self.environment.get(name) or default

    def serves_nfs(self):
        return os.path.exists(self.path(nfs.CONFIGURATION_FILE))

    def serves_iscsi(self):
        return os.path.exists(self.path(iscsi.DISK))

    def storage(self):
        """What it serves beside the session service: nfs, iscsi, or None."""
        return "nfs" if self.serves_nfs() else "iscsi" if self.serves_iscsi() else None

    def is_up(self):
        return os.path.exists(self.path("ready"))

    def count(self):
        return int(read(self.path("accesses")) or 0)

    def nodes(self):
        return [f"scvm{i}" for i in range(1, self.count() + 1)]

    def namespace(self, node):
        """Of the host, an access, or the switch."""
        return f"/run/netns/{self.name}-{node}"

    def check(self, node, access=False):
        """Failed when there is no such node, or it is no access."""
        if access and node == "host":
            raise Failed("the host is no access")
        if node not in ["host", *self.nodes()]:
            raise Failed(f"no node '{node}'; there are: {' '.join(['host', *self.nodes()])}")

    def port(self, node, network):
        if network not in PORTS:
            raise Failed(f"no network '{network}'; there are: {' '.join(PORTS)}")
        return f"{node}-{PORTS[network]}"

    # --- nodes

    def _add_namespace(self, node):
        """Whole or not at all: what has just been started when a signal comes nobody would wait for, nor remove. The host
        of a machine that is there for nothing else is in the namespace of this process."""
        name = f"{self.name}-{node}"
        own = node == "host" and self.setting("LAB_OWN_MACHINE", "")
        with Interrupts.deferred():
            run(["ip", "netns", "attach", name, str(os.getpid())] if own else ["ip", "netns", "add", name])

    def _make_node(self, node, number):
        """A namespace with its two cables. `number` is the last part of its addresses."""
        namespace = self.namespace(node)
        self._add_namespace(node)
        configure(namespace, NODE_SETTINGS + NO_IPV6)
        batch(self.namespace("switch"), [cable(self.port(node, network), PORTS[network], interface, namespace)
                                         for network, interface in INTERFACES.items()])
        batch(namespace, ["link set lo up", f"address add 10.10.85.{number}/24 dev data0",
                          f"address add 192.168.85.{number}/24 dev mgmt0", "link set data0 up", "link set mgmt0 up",
                          *([f"address add {SERVICE}/32 dev lo"] if node != "host" else [])])

    def _session_service(self, node):
        """Its command."""
        number = int(node.removeprefix("scvm"))
        arguments = [word for i in range(1, self.count() + 1) for word in ("--member", f"10.10.85.{14 + i}")]
        if number == 1:
            arguments += ["--host-data", "10.10.85.11"]
        return [program("lab-sessiond"), "--id", str(number), *arguments, "--machine",
                f"00000000-0000-4000-8000-{number:012}", "--lease", self.setting("LAB_LEASE_MS", "7000")]

    def _daemons(self, node):
        """What serves on an access: commands by the name of their files."""
        commands = {node: self._session_service(node)}
        if self.serves_nfs():
            commands[f"{node}-nfs"] = nfs.server(self, node)
        if self.serves_iscsi():
            commands[f"{node}-iscsi"] = iscsi.server(node)
        return commands

    def _daemon_pid(self, name, command):
        """Only if it is still the process that was started, by its first words; None: there is none."""
        pid = read(self.path(f"{name}.pid")).strip()
        return int(pid) if pid and read(f"/proc/{pid}/cmdline").split("\0")[:3] == command[:3] else None

    def _start_daemon(self, node, name, command):
        with open(self.path(f"{name}.log"), "ab") as log, within(self.namespace(node)):
            process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True)
        with open(self.path(f"{name}.pid"), "w", encoding="ascii") as f:
            f.write(f"{process.pid}\n")

    def _start_service(self, node):
        for name, command in self._daemons(node).items():
            self._start_daemon(node, name, nfs.in_room(self, node, command) if name.endswith("-nfs") else command)
        if self.serves_iscsi():
            iscsi.open_service(self, node)

    def _service_pid(self, node):
        """Of a node's session service; None: there is none."""
        return self._daemon_pid(node, self._daemons(node)[node])

    def _signal_service(self, node, number):
        """The pids."""
        pids = [pid for name, command in self._daemons(node).items() if (pid := self._daemon_pid(name, command))]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pids

    def _end_service(self, node):
        pids = self._signal_service(node, signal.SIGKILL)
        until(f"the services of {node} have ended", lambda: all(map(has_ended, pids)), PATIENCE_S)
        for name in self._daemons(node):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(f"{name}.pid"))

    def _answers(self, node):
        """All that serves on a node."""
        return (self.state(node) and (not self.serves_nfs() or nfs.answers(self, node)) and
                (not self.serves_iscsi() or iscsi.answers(self, node)))

    def _renew_service(self, node):
        self._end_service(node)
        self._start_service(node)
        until(f"the services of {node} answer", lambda: self._answers(node), nfs.PATIENCE_S)

    # --- up and down

    def write_configuration(self, **settings):
        """The host's. With settings: they hold from now on."""
        self.environment.update(settings)
        probe = (f'select-timeout = "{self.setting("LAB_SELECT_TIMEOUT", "100ms")}"  '
                 f'select-count = {self.setting("LAB_SELECT_COUNT", 10)}')
        check = self.setting("LAB_SERVICE_CHECK", "auto")
        lines = ["# Written by tools/lab up.", f'service = "{SERVICE}"']
        lines += [f'access "{node}" {{ data = "10.10.85.{15 + i}"  management = "192.168.85.{15 + i}" }}'
                  for i, node in enumerate(self.nodes())]
        with open(self.path("reroute.conf"), "w", encoding="ascii") as f:
            f.write("\n".join(lines) + f"""
probe   {{ {probe} }}
session {{ provider = "rest"  service-check = "{check}"  heartbeat-path = "/api/v3/reroute/heartbeat" }}
route   {{ hold = "{self.setting('LAB_HOLD', '180s')}" }}
control-socket  = "{self.path('control.sock')}"
state-directory = "{self.path('state')}"
""")

    def _build(self, count):
        """Makes everything; ends with the file that says so."""
        os.mkdir(self.directory)
        for name, text in ((MARKER, ""), ("accesses", f"{count}\n")):
            with open(self.path(name), "w", encoding="ascii") as f:
                f.write(text)
        os.mkdir(self.path("state"))
        if self.setting("LAB_NFS", ""):
            nfs.write_configuration(self)
        if self.setting("LAB_ISCSI", ""):
            iscsi.write_files(self)
        self._add_namespace("switch")
        bridges(self.namespace("switch"), PORTS.values())
        self._make_node("host", 11)
        for i, node in enumerate(self.nodes()):
            self._make_node(node, 15 + i)
            if self.serves_nfs():
                nfs.start_room(self, node)
            self._start_service(node)
        self.write_configuration()
        for node in self.nodes():
            until(f"{node} lists {count} sessions", lambda n=node: len(self.list(n) or ()) == count, 15)
            until(f"the services of {node} answer", lambda n=node: self._answers(n), nfs.PATIENCE_S)
        open(self.path("ready"), "w", encoding="ascii").close()

    def up(self, count):
        """Brings it up with so many accesses, or leaves nothing; what an interrupted up() has left goes first. False: it
        was up."""
        if not re.fullmatch("[1-9][0-9]?", str(count)) or int(count) > ACCESSES_MAX:
            raise Failed(f"N is a number from 1 to {ACCESSES_MAX}")
        if not os.access(program("lab-sessiond"), os.X_OK):
            raise Failed(f"{program('lab-sessiond')} is missing; run: meson setup build && ninja -C build")
        lacking = (self.setting("LAB_NFS", "") and nfs_missing("lab-file" if self.setting("LAB_NFS_MOUNT", "") else "lab-nfs")
                   or self.setting("LAB_ISCSI", "") and iscsi_missing(self.setting("LAB_OWN_MACHINE", "")))
        if lacking:
            raise Failed(lacking)
        if not os.access("/proc/sys/net/ipv4/conf/default/rp_filter", os.W_OK):
            raise Failed("cannot set up networks here: /proc/sys is read-only (a container?), or this is not root")
        if self.is_up():
            if self.count() != int(count):
                raise Failed(f"is up with {self.count()} accesses; run: tools/lab down")
            return False
        self.down()
        try:
            self._build(int(count))
        except BaseException:
            self.down()
            raise
        return True

    def _check_directory(self):
        """There is nothing yet, or it is ours, or it is empty: an up() was killed at its very beginning."""
        with contextlib.suppress(FileNotFoundError):
            found, marker = os.lstat(self.directory), self.path(MARKER)
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and (
                    not os.listdir(self.directory) or os.path.isfile(marker) and not os.path.islink(marker)):
                return
            raise Failed(f"{self.directory} is not of a lab, expected a directory with {MARKER} in it; nothing is removed")

    def _remove_directory(self):
        """The marker goes last, so that it can be done again when it is interrupted."""
        self._check_directory()
        if os.path.exists(self.directory):
            run(["find", self.directory, "-xdev", "-mindepth", "1", "!", "-path", self.path(MARKER), "-delete"])
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(MARKER))
            os.rmdir(self.directory)

    def _namespaces(self):
        """Exactly ours: another lab's name may begin with this one's."""
        with contextlib.suppress(FileNotFoundError):
            return [name for name in os.listdir("/run/netns")
                    if re.fullmatch(re.escape(self.name) + "-(host|switch|scvm[0-9]+)", name)]
        return []

    @staticmethod
    def _emptied(namespace):
        """Kills what runs in a namespace; true when there is nothing. Again and again, for something may just be
        entering."""
        pids = inhabitants(namespace)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    def down(self):
        """Ends it, with everything that runs in it."""
        with Interrupts.deferred():
            self._check_directory()
            for name in self._namespaces():
                if os.path.samefile(f"/run/netns/{name}", OWN):  # LAB_OWN_MACHINE: what else runs there goes on
                    for interface in INTERFACES.values():
                        run(["ip", "link", "delete", interface], check=False)
                else:
                    until(f"the processes in {name} have ended", lambda n=name: self._emptied(f"/run/netns/{n}"),
                          PATIENCE_S)
                run(["ip", "netns", "delete", name])
            self._remove_directory()

    # --- events

    def cut(self, node, network, state="down"):
        self.check(node)
        batch(self.namespace("switch"), [f"link set {self.port(node, network)} {state}"])

    def plug(self, node, network):
        self.cut(node, network, "up")

    def _power(self, node, state):
        self.check(node, access=True)
        batch(self.namespace(node), [f"link set {interface} {state}" for interface in INTERFACES.values()])

    def kill(self, node):
        """First the cables: a dead node sends no farewell over its TCP connections."""
        self._power(node, "down")
        self._end_service(node)

    def revive(self, node):
        self._power(node, "up")
        if not self.state(node):
            self._renew_service(node)

    def stop(self, node):
        self.check(node, access=True)
        self._end_service(node)

    def suspend(self, node):
        """Its server hangs; its kernel answers pings, and accepts connections."""
        self.check(node, access=True)
        self._signal_service(node, signal.SIGSTOP)

    def resume(self, node):
        self.check(node, access=True)
        self._signal_service(node, signal.SIGCONT)

    def restart(self, node):
        self.check(node, access=True)
        if not os.path.exists(self.path(f"{node}.pid")):
            raise Failed(f"{node} does not run; run: tools/lab revive {node}")
        self._renew_service(node)

    def _loss_rules(self, node, network, direction, percent):
        """What the switch loses of one direction of a cable: rules for nft, in a table of their own."""
        port = self.port(node, network)
        if direction not in ("in", "out"):
            raise Failed(f"no direction '{direction}'; there are: in out")
        table = f"bridge {port}-{direction}"
        side = "oifname" if direction == "in" else "iifname"
        rules = f"add table {table}\ndelete table {table}\n"  # so that it need not be known whether there is one
        if percent:
            rules += (f"table {table} {{\n chain lose {{\n type filter hook forward priority 0\n"
                      f'{side} "{port}" numgen random mod 100 <= {percent - 1} drop\n}}\n}}\n')
        return rules

    def lose(self, node, network, direction, percent):
        self.check(node)
        if not re.fullmatch("0|[1-9][0-9]?|100", str(percent)):
            raise Failed("PERCENT is a number from 0 to 100")
        execute(self.namespace("switch"), ["nft", "-f", "-"], self._loss_rules(node, network, direction, int(percent)))

    def _lose_everything(self, node, percent):
        """On both its cables, all at once."""
        execute(self.namespace("switch"), ["nft", "-f", "-"], "".join(
            self._loss_rules(node, network, direction, percent) for network in PORTS for direction in ("in", "out")))

    def freeze(self, node):
        self.check(node, access=True)
        self._lose_everything(node, 100)
        self._signal_service(node, signal.SIGSTOP)

    def thaw(self, node):
        self.check(node, access=True)
        self._signal_service(node, signal.SIGCONT)
        self._lose_everything(node, 0)

    def behave(self, node, mode, delay_ms=500):
        self.check(node, access=True)
        if self.http(node, "/lab/behave", "POST", f'{{"mode":"{mode}","delay_ms":{delay_ms}}}')[0] != 200:
            raise Failed(f"{node} does not take '{mode}'; modes: normal slow hang 502 html empty truncated error")

    # --- what it says

    def inside(self, node, *command, **options):
        """A program in a node."""
        with within(self.namespace(node)):
            return subprocess.Popen(command, env=self.environment, start_new_session=True, **options)

    def storage_client(self):
        """The command of who uses what is served, NFS or iSCSI: it writes to the service until SIGTERM, and reads all back."""
        if self.serves_iscsi():
            return iscsi.client(program("lab-file"), self, SERVICE)
        mount = self.setting("LAB_NFS_MOUNT", "")
        if mount:
            return nfs.kernel_client(program("lab-file"), self, SERVICE, mount)
        return nfs.client(program("lab-nfs"), self, SERVICE)

    def http(self, node, path, method="GET", body=None, address="127.0.0.1", seconds=3):
        """(status, body) of a request made inside a node; status 0: no whole answer."""
        connection = http.client.HTTPConnection(address, timeout=seconds)
        try:
            with within(self.namespace(node)):
                connection.connect()
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def is_frozen(self, node):
        pid = self._service_pid(node)
        return bool(pid) and process_state(pid) == "T"

    def state(self, node):
        """What a session service knows, with its own role; None: it does not answer."""
        status, body = self.http(node, "/lab/state", seconds=2)
        return json.loads(body) if status == 200 else None

    def list(self, node, address="127.0.0.1"):
        """The session list as an access answers it; None: it does not."""
        status, body = self.http(node, "/api/v3/sessions", address=address)
        return json.loads(body)["data"] if status == 200 else None

    def link(self, node, network):
        """up, cut (at the switch) or off (at the node)."""
        for where, interface, word in (("switch", self.port(node, network), "cut"), (node, INTERFACES[network], "off")):
            found, = json.loads(execute(self.namespace(where), ["ip", "-j", "link", "show", interface]))
            if "UP" not in found["flags"]:
                return word
        return "up"

    def route(self):
        """The host's route to the service as the kernel has it, not as the agent says; None: there is none."""
        return next(iter(execute(self.namespace("host"), ["ip", "route", "show", SERVICE]).splitlines()), None)

    def next_hop(self):
        """Where that route leads; None: nowhere."""
        found = re.search(r"via (\S+)", self.route() or "")
        return found[1] if found else None
