#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NFS in the lab: all accesses serve the same files; the client loses nothing when the route moves or a server ends, says
for how long a write took, and tells when something is lost.

lab-file, which writes through the kernel's own client, writes to a file here. The rest is skipped where nfs-ganesha or
libnfs is missing."""
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile

from lab import BUILD, SERVICE, Lab, Tap, need_namespaces, wait_for
from netlab import nfs
from netlab.lab import nfs_missing, program
from netlab.namespace import execute

need_namespaces()
tap = Tap()
ALL_GOOD = {"lost": 0, "damaged": 0, "unread": 0}


def way(lab, last):
    execute(lab.namespace("host"), ["ip", "route", "replace", f"{SERVICE}/32", "via", f"10.10.85.{last}"])


class Client:
    """A process that writes to a file, which is at this path for us."""

    def __init__(self, process, path):
        self.process, self.path, self.events = process, path, []

    def until(self, kind):
        """Its next event of this kind."""
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue  # libnfs 5 prints lines of its own
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == kind:
                return self.events[-1]
        raise AssertionError(f"no {kind}: {self.events}")

    def written(self, blocks):
        """Waits until the file has so many blocks."""
        tap.ok(wait_for(lambda: os.path.exists(self.path) and os.path.getsize(self.path) >= blocks * 4096),
               f"{blocks} blocks are written")

    def finish(self):
        self.process.send_signal(signal.SIGTERM)
        summary = self.until("summary")
        self.process.wait()
        return summary["nfs"]


def bad(figures):
    return {k: v for k, v in figures["blocks"].items() if k != "good"}


def nfs_client(lab):
    """lab-nfs on the host."""
    return Client(lab.inside("host", *lab.nfs_client(), stdout=subprocess.PIPE, text=True),
                  os.path.join(nfs.export_path(lab), "lab-nfs"))


def moves(lab):
    client = nfs_client(lab)
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
    """What is spoilt behind the client's back it must find: it comes to these places again after 256 writes."""
    client.until("first")
    client.written(20)
    with open(client.path, "r+b") as file:
        file.seek(2 * 4096)
        file.write(bytes(4096))
        file.seek(3 * 4096 + 4095)
        byte = file.read(1)[0]
        file.seek(3 * 4096 + 4095)
        file.write(bytes([byte ^ 1]))
    figures = client.finish()
    tap.ok(bad(figures) == {"lost": 1, "damaged": 1, "unread": 0}, "a block that is gone and a wrong bit are found", figures)


def newest(client):
    """The highest number of a write that is in the file."""
    with open(client.path, "rb") as file:
        return max(struct.unpack("Q", block[:8])[0] for block in iter(lambda: file.read(4096), b""))


def unread(lab, node):
    """Bytes that wait in the sockets of a node's NFS server."""
    output = execute(lab.namespace(node), ["ss", "-Htn", f"sport = {nfs.PORT}"])
    return sum(int(line.split()[1]) for line in output.splitlines())


def old_write(lab):
    """A server that hung goes on, and does what it was told before: nobody keeps it from that here. Its kernel has
    acknowledged the write, so that nothing is sent again: only a reset sends the client elsewhere."""
    client = nfs_client(lab)
    client.until("first")
    lab.suspend("scvm1")
    tap.ok(wait_for(lambda: unread(lab, "scvm1") > 4096), "a write waits in a server that hangs")
    moved = lab.inside("host", f"{BUILD}/reroute", "route", "--to", "10.10.85.16", "--config", lab.path("reroute.conf"),
                       stdout=subprocess.DEVNULL)
    tap.ok(moved.wait() == 0, "the route moves, and the connections are reset")
    client.until("interruption")
    before = newest(client)
    tap.ok(wait_for(lambda: newest(client) > before + 300), "the client has gone on, and has written each place anew")
    lab.resume("scvm1")
    tap.ok(wait_for(lambda: unread(lab, "scvm1") == 0), "the server goes on")
    figures = client.finish()
    tap.ok(bad(figures) == {"lost": 1, "damaged": 0, "unread": 0}, "its old write stands where a newer one was", figures)


with tempfile.NamedTemporaryFile() as place:
    spoils(Client(subprocess.Popen([program("lab-file"), place.name], stdout=subprocess.PIPE, text=True), place.name))
if nfs_missing():
    tap.skipped("NFS", nfs_missing())
    sys.exit(tap.done())
with Lab(LAB_NFS="yes") as lab:
    way(lab, 15)
    moves(lab)
    way(lab, 15)
    spoils(nfs_client(lab))
    old_write(lab)
tap.ok(lab.remains() == "", "nothing is left", lab.remains())
sys.exit(tap.done())
