#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NFS in the lab: all accesses serve the same files; the client loses nothing when the route moves or a server ends, says
for how long a write took, and tells when something is lost.

lab-file, which writes through the kernel's own client, writes to a file here. The rest is skipped where nfs-ganesha or
libnfs is missing."""
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

from lab import BUILD, SERVICE, Lab, Tap, need_namespaces, wait_for
from netlab import nfs
from netlab.lab import nfs_missing, program
from netlab.namespace import end_process, execute
from netlab.wait import PATIENCE_S

need_namespaces()
tap = Tap()
BLOCK = 4096
ALL_GOOD = {"lost": 0, "damaged": 0, "unread": 0}


def way(lab, last):
    execute(lab.namespace("host"), ["ip", "route", "replace", f"{SERVICE}/32", "via", f"10.10.85.{last}"])


class Client:
    """A process that writes to a file, which is at this path for us. It ends with the `with`."""

    def __init__(self, process, path):
        self.process, self.path, self.events = process, path, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_process(self.process)

    def until(self, kind):
        """Its next event of this kind. When none comes it is ended."""
        patience = threading.Timer(PATIENCE_S, self.process.kill)
        patience.start()
        try:
            for line in self.process.stdout:
                if not line.startswith("{"):
                    continue  # libnfs 5 prints lines of its own
                self.events.append(json.loads(line))
                if self.events[-1]["event"] == kind:
                    return self.events[-1]
        finally:
            patience.cancel()
        raise AssertionError(f"no {kind}: {self.events}")

    def written(self, blocks):
        """Waits until the file has so many blocks."""
        tap.ok(wait_for(lambda: os.path.exists(self.path) and os.path.getsize(self.path) >= blocks * BLOCK),
               f"{blocks} blocks are written")

    def blocks(self):
        """The numbers of the writes that are in the file, by place."""
        with open(self.path, "rb") as file:
            return [struct.unpack("Q", block[:8])[0] for block in iter(lambda: file.read(BLOCK), b"")]

    def rewrites(self):
        """Waits until it has written each place anew."""
        end = max(self.blocks()) + 300
        tap.ok(wait_for(lambda: max(self.blocks()) > end), "the client has gone on, and has written each place anew")

    def spoil(self, place, at, data):
        """Behind its back."""
        with open(self.path, "r+b") as file:
            file.seek(place * BLOCK + at)
            file.write(data)

    def finish(self):
        self.process.send_signal(signal.SIGTERM)
        summary = self.until("summary")
        self.process.wait()
        return summary["nfs"]


def bad(figures):
    return {k: v for k, v in figures["blocks"].items() if k != "good"}


def nfs_client(lab):
    """lab-nfs on the host."""
    return Client(lab.inside("host", *lab.storage_client(), stdout=subprocess.PIPE, text=True),
                  os.path.join(nfs.export_path(lab), "lab-nfs"))


def moves(lab, client):
    client.until("first")
    way(lab, 16)
    one = client.until("interruption")
    tap.ok(one["breaks"] == 1 and not one["open"], "the route moves: the connection breaks, the write goes on", one)
    lab.stop("scvm2")
    client.until("silent")
    way(lab, 17)
    one = client.until("interruption")
    tap.ok(one["length_ms"] >= 50 and one["errors"] > 0, "its server ends: refused until the route moves", one)
    client.written(100)
    figures = client.finish()
    tap.ok(bad(figures) == ALL_GOOD and figures["blocks"]["good"] >= 100 and figures["sent"] == figures["received"],
           "all that was acknowledged is there, through the third node", figures)
    tap.ok(os.path.exists(lab.path("scvm2.log")) and not lab.run("revive", "scvm2")[0] and nfs.answers(lab, "scvm2"),
           "the server comes back with its node")


def spoils(client):
    """What is spoilt behind the client's back it must find: before it writes to the place again, and in the end."""
    client.until("first")
    client.written(20)
    client.spoil(2, 0, bytes(BLOCK))
    client.spoil(3, BLOCK - 8, bytes(8))
    client.rewrites()
    blocks = client.blocks()
    client.spoil(blocks.index(max(blocks)), 0, bytes(BLOCK))
    figures = client.finish()
    tap.ok(bad(figures) == {"lost": 2, "damaged": 1, "unread": 0}, "blocks that are gone and a wrong word are found", figures)
    tap.ok(figures["blocks"]["good"] == figures["sent"] - 3, "every write is judged, once", figures)


def full(lab, client):
    """The server has no room: the write fails, and is sent again until there is some."""
    client.until("first")
    place = os.path.join(os.path.dirname(client.path), "filler")
    execute(lab.namespace("host"), nfs.in_room(lab, nfs.FIRST, ["mount", "-o", "remount,size=4m", lab.path(nfs.EXPORT)]))
    try:
        with open(place, "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(BLOCK)):
                pass
        client.until("silent")
    finally:
        os.unlink(place)
    one = client.until("interruption")
    tap.ok(one["errors"] > 1 and one["error"] and one["breaks"] == 0, "no room: the write fails, and is tried until there is", one)
    client.written(100)
    figures = client.finish()
    tap.ok(bad(figures) == ALL_GOOD and figures["sent"] == figures["received"], "... and all is there", figures)


def unread(lab, node):
    """Bytes that wait in the sockets of a node's NFS server, or of the host's client."""
    output = execute(lab.namespace(node), ["ss", "-Htn", f"{'dport' if node == 'host' else 'sport'} = {nfs.PORT}"])
    return sum(int(line.split()[1]) for line in output.splitlines())


def no_end(lab, client):
    """Nothing answers any more: the interruption is told without an end, and nothing is taken for good."""
    client.until("first")
    execute(lab.namespace("host"), ["ip", "route", "replace", "blackhole", f"{SERVICE}/32"])
    client.until("silent")
    client.process.send_signal(signal.SIGTERM)
    one = client.until("interruption")
    tap.ok(one["open"] and one["length_ms"] >= 5000, "an interruption that does not end is told as open", one)
    figures = client.finish()
    tap.ok(figures["blocks"] == {"good": 0, "lost": 0, "damaged": 0, "unread": figures["sent"] + 1} and
           figures["sent"] == figures["received"] + 1, "... and what could not be read is told", figures)
    execute(lab.namespace("host"), ["ip", "route", "del", "blackhole", f"{SERVICE}/32"])


def stall(lab, client):
    """The client itself stands still while the answer waits for it: it says that this part was its own."""
    client.until("first")
    lab.suspend("scvm1")
    client.until("silent")
    client.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    lab.resume("scvm1")
    tap.ok(wait_for(lambda: unread(lab, "host") and time.monotonic() > begun + 0.2), "the answer waits for the client")
    own_ms = (time.monotonic() - begun) * 1000
    client.process.send_signal(signal.SIGCONT)
    one = client.until("interruption")
    tap.ok(own_ms - 30 <= one["own_ms"] <= one["length_ms"], "... which knows for how long it stood still itself", one)
    tap.ok(bad(client.finish()) == ALL_GOOD, "... and all is there", one)


def old_write(lab, client):
    """A server that hung goes on, and does what it was told before: nobody keeps it from that here. Its kernel has
    acknowledged the write, so that nothing is sent again: only a reset sends the client elsewhere."""
    client.until("first")
    lab.suspend("scvm1")
    tap.ok(wait_for(lambda: unread(lab, "scvm1") > 4096), "a write waits in a server that hangs")
    moved = lab.inside("host", f"{BUILD}/reroute", "route", "--to", "10.10.85.16", "--config", lab.path("reroute.conf"),
                       stdout=subprocess.DEVNULL)
    tap.ok(moved.wait() == 0, "the route moves, and the connections are reset")
    client.until("interruption")
    client.rewrites()
    lab.resume("scvm1")
    tap.ok(wait_for(lambda: unread(lab, "scvm1") == 0), "the server goes on")
    figures = client.finish()
    tap.ok(bad(figures) == {"lost": 1, "damaged": 0, "unread": 0}, "its old write stands where a newer one was", figures)


with tempfile.NamedTemporaryFile() as place, Client(
        subprocess.Popen([program("lab-file"), place.name], stdout=subprocess.PIPE, text=True), place.name) as file_client:
    spoils(file_client)
if nfs_missing():
    tap.skipped("NFS", nfs_missing())
    sys.exit(tap.done())
with Lab(LAB_NFS="yes") as lab:
    for scene in (moves, lambda _, client: spoils(client), full, stall, no_end, old_write):
        way(lab, 15)
        with nfs_client(lab) as nfs_writer:
            scene(lab, nfs_writer)
tap.ok(lab.remains() == "", "nothing is left", lab.remains())
sys.exit(tap.done())
