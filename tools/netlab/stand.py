# SPDX-License-Identifier: Apache-2.0
"""An agent and a meter on the host of a lab, and what these two say, line by line and with the time.

All times are seconds on CLOCK_MONOTONIC, as the meter's and the session service's are. The agent writes its log into a
socket on which the kernel stamps every line: reading late does not make a line late.

Everything is in one thread; pump() is the only place where lines are taken in."""
import contextlib
import json
import os
import selectors
import socket
import struct
import subprocess
import time

from .lab import SERVICE
from .meter import meter
from .namespace import configure, within
from .wait import Failed

STREAMS = ("icmp", "tcp")  # of the meter; the storage client's is "nfs" or "iscsi"
STORAGE_END_S = 15  # of the storage client: it waits for its last write, and reads all back
SO_TIMESTAMPNS = 35
LINES_MAX = 1000  # of the agent's log that may wait to be read


def log_pair(namespace):
    """(to read, to write) for an agent's log: a line is a datagram, with the time at which it was written. Made inside
    the namespace, where more lines may wait than a machine usually allows."""
    configure(namespace, [f"net.unix.max_dgram_qlen={LINES_MAX}"])
    with within(namespace):
        reading, writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    reading.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return reading, writing


# --- what they say ----------------------------------------------------------------------------------------------

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
        process = self.lab.inside("host", *meter(SERVICE, *options), stdout=subprocess.PIPE)
        self.watch_meter("meter", process)

    def start_storage_client(self):
        """In a lab that serves NFS or iSCSI, while there is a way to the service."""
        self.watch_meter("storage client", self.lab.inside("host", *self.lab.storage_client(), stdout=subprocess.PIPE))

    def watch_meter(self, name, process):
        def take(line, at):
            if line.startswith("{"):  # libnfs 5 prints lines of its own
                self.meter_event(json.loads(line), at)

        self.watch(name, process, Pipe(process.stdout), take)

    def start_agent(self):
        reading, writing = log_pair(self.lab.namespace("host"))
        with writing:
            process = self.lab.inside("host", self.reroute_command, "agent", "--config",
                                      self.lab.path("reroute.conf"), stderr=writing,
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
        for name, process in self.processes.items():
            if process.poll() is not None:
                self.drain()
                raise Failed(f"the {name} has ended with exit code {process.returncode}")

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
        done = subprocess.run([self.reroute_command, *arguments, "--socket", self.lab.path("control.sock")],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"reroute {' '.join(arguments)}: {done.stdout}{done.stderr}".strip())
        return done.stdout

    def status(self):
        return json.loads(self.reroute("status", "--json"))

    def end(self, name, patience_s=3):
        """Ends a process, by force when it takes longer, and takes in what it said to its end."""
        process, source = self.processes.pop(name), self.sources.pop(name)
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(patience_s)
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
