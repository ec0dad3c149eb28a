# SPDX-License-Identifier: Apache-2.0
"""Driving a lab (tools/lab) from Python: its commands, an agent and a meter on its host, and what these two say, line
by line and with the time. For tools/demo, `reroute bench failover` and the tests of the lab.

All times are seconds on CLOCK_MONOTONIC, as the meter's and the session service's are. The agent writes its log into a
socket on which the kernel stamps every line: reading late does not make a line late.

Everything is in one thread; pump() is the only place where lines are taken in."""
import contextlib
import ctypes
import json
import os
import re
import selectors
import signal
import socket
import struct
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SERVICE = "192.168.33.2"
STREAMS = ("icmp", "tcp")
CLONE_NEWNET = 0x40000000
SO_TIMESTAMPNS = 35
LINES_MAX = 1000  # of the agent's log that may wait to be read


def program(name):
    """lab-meter or lab-sessiond: beside this file where it is built or installed, else in the build directory."""
    beside = os.path.join(HERE, name)
    return beside if os.path.exists(beside) else os.path.join(os.environ["REROUTE_BUILD"], "tools", name)


class Failed(Exception):
    """Something that was to happen did not."""


class Interrupts:
    """Ctrl-C and its kin become KeyboardInterrupt; but while a lab command runs, first that command is ended, all of
    it, so that nothing goes on building while the lab is taken down, and taking down itself is not interrupted."""

    signal = 0        # the one that came last
    deferred = False  # no KeyboardInterrupt now, but at the end of deferring()
    pending = False
    process = None    # the lab command that a signal ends

    @classmethod
    def handle(cls, number, _):
        cls.signal = number
        if not cls.deferred:
            raise KeyboardInterrupt
        cls.pending = True
        if cls.process:
            cls.end(cls.process)

    @staticmethod
    def end(process):
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGTERM)

    @classmethod
    @contextlib.contextmanager
    def deferring(cls):
        before, cls.deferred = cls.deferred, True
        try:
            yield
        finally:
            cls.deferred = before
        if cls.pending and not before:
            cls.pending = False
            raise KeyboardInterrupt

    @classmethod
    def catch(cls):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, cls.handle)


# --- the lab ---------------------------------------------------------------------------------------------------

class Lab:
    """One lab. `with Lab(name) as lab:` brings it up and always takes it down, or fails. The settings are the lab's:
    LAB_HOLD, LAB_LEASE_MS and so on."""

    def __init__(self, name, accesses=3, **settings):
        self.name = name
        self.accesses = accesses
        self.environment = dict(os.environ, LAB_NAME=name, **settings)

    @property
    def directory(self):
        return f"/run/{self.name}"

    def start(self, *arguments, **options):
        return subprocess.Popen([os.path.join(HERE, "lab"), *map(str, arguments)], env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def run(self, *arguments):
        """(exit code, output) of tools/lab ARGUMENTS."""
        with Interrupts.deferring():
            process = self.start(*arguments, start_new_session=True)
            if arguments[0] != "down":
                Interrupts.process = process
                if Interrupts.pending:
                    Interrupts.end(process)
            output, _ = process.communicate()
            Interrupts.process = None
        return process.returncode, output

    def must(self, *arguments):
        code, output = self.run(*arguments)
        if code != 0:
            raise Failed(f"tools/lab {' '.join(map(str, arguments))}: {output}".strip())
        return output

    def __enter__(self):
        try:
            self.must("up", self.accesses)
        except BaseException:
            self.run("down")
            raise
        return self

    def __exit__(self, *_):
        code, output = self.run("down")
        if code != 0:
            raise Failed(f"{self.name} is not taken down: {output}".strip())

    def nodes(self):
        return [f"scvm{i}" for i in range(1, self.accesses + 1)]

    def inside(self, node, *command, **options):
        return subprocess.Popen(["ip", "netns", "exec", f"{self.name}-{node}", *command], start_new_session=True,
                                **options)

    def http(self, node, path, *options, address="127.0.0.1", seconds=3):
        """(status, body) of a request made inside a node; status 0: no answer."""
        _, output = self.run("exec", node, "curl", "-s", "--noproxy", "*", "--max-time", str(seconds),
                             "-w", "\n%{http_code}", *options, f"http://{address}{path}")
        body, _, status = output.rpartition("\n")
        return (int(status) if status.isdigit() else 0), body

    def state(self, node):
        """What a session service knows, with its own role; None: it does not answer."""
        status, body = self.http(node, "/lab/state", seconds=1)
        return json.loads(body) if status == 200 else None

    def list(self, node, address="127.0.0.1"):
        """The session list as an access answers it; None: it does not."""
        status, body = self.http(node, "/api/v3/sessions", address=address)
        return json.loads(body)["data"] if status == 200 else None

    def next_hop(self):
        """Where the host's route to the service leads as the kernel has it, not as the agent says; None: nowhere."""
        done = subprocess.run(["ip", "-n", f"{self.name}-host", "route", "show", SERVICE], capture_output=True,
                              text=True)
        found = re.search(r"via (\S+)", done.stdout)
        return found[1] if found else None


def log_pair(namespace):
    """(to read, to write) for an agent's log: a line is a datagram, with the time at which it was written. Made by a
    thread inside the namespace, where more lines may wait than a machine usually allows."""
    result = []

    def make():
        try:
            with open(namespace, "rb") as f:
                if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), CLONE_NEWNET) < 0:
                    raise OSError(ctypes.get_errno(), "setns")
            with open("/proc/sys/net/unix/max_dgram_qlen", "w") as f:
                f.write(str(LINES_MAX))
            result.extend(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        except OSError as why:
            result.append(why)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if len(result) == 1:
        raise Failed(f"a socket for the agent's log: {result[0]}")
    result[0].setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return result


# --- what runs in it -------------------------------------------------------------------------------------------

class Pipe:
    """Lines of a process' output, each with the time at which it was read."""

    def __init__(self, pipe):
        self.file = pipe
        self.rest = b""
        os.set_blocking(pipe.fileno(), False)

    def lines(self):
        """[(time, line)]; None at the end."""
        data = self.file.read()
        if data == b"":
            return None
        *lines, self.rest = (self.rest + (data or b"")).split(b"\n")
        return [(time.monotonic(), line.decode(errors="replace")) for line in lines]


class Log:
    """Lines of an agent's log, each with the time at which it was written."""

    def __init__(self, end):
        self.file = end
        end.setblocking(False)

    def lines(self):
        found = []
        offset = time.monotonic() - time.time()  # one for all, so that they keep their order
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _, _ = self.file.recvmsg(65536, 64)
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
                at = seconds + nanoseconds / 1e9 + offset
                found += [(at, line) for line in data.decode(errors="replace").splitlines()]
        return found


class Stand:
    """An agent and a meter on the host of a lab; pump() hands what they say to agent_line() and meter_event(), of
    which an heir has its own."""

    def __init__(self, lab, reroute):
        self.lab = lab
        self.reroute_command = reroute
        self.selector = selectors.DefaultSelector()
        self.processes = {}
        self.sources = {}

    def agent_line(self, line, at):
        pass

    def meter_event(self, event, at):
        pass

    def watch(self, name, process, source, handler):
        self.processes[name] = process
        self.sources[name] = source
        self.selector.register(source.file, selectors.EVENT_READ, (source, handler))

    def start_meter(self, *options):
        process = self.lab.inside("host", program("lab-meter"), *options, SERVICE, stdout=subprocess.PIPE)
        self.watch("meter", process, Pipe(process.stdout), lambda line, at: self.meter_event(json.loads(line), at))

    def start_agent(self):
        reading, writing = log_pair(f"/run/netns/{self.lab.name}-host")
        with writing:
            process = self.lab.inside("host", self.reroute_command, "agent", "--config",
                                      f"{self.lab.directory}/reroute.conf", stderr=writing,
                                      stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.watch("agent", process, Log(reading), self.agent_line)

    def take(self, source, handler):
        """Hands on what a source has; false at its end."""
        lines = source.lines()
        for at, line in lines or ():
            handler(line, at)
        return lines is not None

    def pump(self, seconds):
        """Takes in what comes for so long."""
        if not self.selector.get_map():
            time.sleep(seconds)
        for key, _ in self.selector.select(seconds):
            if not self.take(*key.data):
                self.selector.unregister(key.fileobj)
        agent = self.processes.get("agent")
        if agent and agent.poll() is not None:
            self.drain()
            raise Failed(f"the agent has ended with exit code {agent.returncode}")

    def drain(self):
        for key in list(self.selector.get_map().values()):
            self.take(*key.data)

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pump(min(0.05, max(0.0, end - time.monotonic())))

    def reached(self, condition, seconds):
        """Pumps until condition() is true; false when it was not within so many seconds."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self.pump(0.05)
        return True

    def until(self, what, condition, seconds):
        if not self.reached(condition, seconds):
            raise Failed(f"waited {seconds:g} s in vain: {what}")

    def reroute(self, *arguments):
        done = subprocess.run([self.reroute_command, *arguments, "--socket", f"{self.lab.directory}/control.sock"],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"reroute {' '.join(arguments)}: {done.stdout}{done.stderr}".strip())
        return done.stdout

    def status(self):
        return json.loads(self.reroute("status", "--json"))

    def end(self, name):
        """Ends a process, and takes in what it said to its end."""
        process, source = self.processes.pop(name), self.sources.pop(name)
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(KeyError):  # it has ended before, and was read to its end
            self.take(source, self.selector.unregister(source.file).data[1])
        source.file.close()

    def close(self):
        for name in list(self.processes):
            self.end(name)


def print_table(rows, left):
    """The first row is the head; `left` columns are text, the others figures."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  ".join(f"{cell:<{w}}" if i < left else f"{cell:>{w}}"
                        for i, (cell, w) in enumerate(zip(row, widths))).rstrip())
        if number == 0:
            print("  ".join("-" * w for w in widths))
