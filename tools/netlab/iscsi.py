# SPDX-License-Identifier: Apache-2.0
"""iSCSI on the accesses of a lab: a target each (tgt), all with the same disk behind them, as the nodes of a storage
cluster have it, and the kernel's own initiator (open-iscsi) on the host.

The kernel's half of open-iscsi is in the first network namespace only. So the lab's host is that one
(LAB_OWN_MACHINE), and what the host has to do with iSCSI is the machine's: for a machine that is there for nothing
else, see tools/kernels."""
import contextlib
import os
import shutil
import socket
import subprocess

from .namespace import run, within
from .wait import until

PORT = 3260
IDLE_PORT = 3261  # where a target listens before it has its disk
TARGET, INITIATOR = "iqn.2026-11.lab:storage", "iqn.2026-11.lab:host"
DISK, INITIATOR_FILE = "disk", "initiatorname"  # below the lab's directory
DISK_BYTES = 16 << 20
PATIENCE_S = 60

# $1: the file with the initiator's name, $2: target, $3: portal, $4: lab-file, $5: its interval in ms. All else is as
# the distribution's iscsid.conf has it. The disk begins with nothing, for what an earlier stream wrote would be taken for
# damage. A shell that waits is woken by the signal, and waits once more.
CLIENT = """
node() { iscsiadm -m node -T "$target" -p "$portal" "$@" >&2; }
finds_disk() {
    device=/dev/$(basename /sys/class/iscsi_session/session*/device/target*/*/block/*)
    [ -b "$device" ]
}
tries=30
wait_until() {
    until "$@"; do
        [ $((tries -= 1)) -gt 0 ] || exit 1
        sleep 1
    done
}
target=$2 portal=$3
setpriv --pdeathsig KILL iscsid -f -i "$1" >&2 &
node -o new
wait_until node --login
wait_until finds_disk
dd if=/dev/zero of="$device" bs=1M count=1 oflag=direct status=none || exit 1
"$4" --stream iscsi --interval "$5" "$device" &
client=$!
trap 'kill -TERM "$client"' TERM
wait "$client"
wait "$client"
node --logout
"""


def missing(client_program, own_machine):
    """What is not there for targets and initiator, and how to get it; None: all is there."""
    for there, what in (
            (own_machine, "iSCSI takes a machine that is there for nothing else (LAB_OWN_MACHINE=yes), as tools/kernels makes it"),
            (shutil.which("tgtd"), "tgt is not installed (Debian: tgt)"),
            (shutil.which("iscsid"), "open-iscsi is not installed (Debian: open-iscsi)"),
            (os.access(client_program, os.X_OK), f"{os.path.basename(client_program)} is not built")):
        if not there:
            return what
    return None


def write_files(lab):
    """The disk behind all targets of a lab, and the name of its initiator."""
    with open(lab.path(DISK), "wb") as f:
        f.truncate(DISK_BYTES)
    with open(lab.path(INITIATOR_FILE), "w", encoding="ascii") as f:
        f.write(f"InitiatorName={INITIATOR}\n")


def control_port(node):
    """Targets of all nodes have their control sockets in one directory, by this number."""
    return node.removeprefix("scvm")


def server(node):
    """Its command. The first words tell it from every other target."""
    return ["tgtd", "-C", control_port(node), "-f", "--iscsi", f"portal=127.0.0.1:{IDLE_PORT}"]


def command(node, *words):
    """The target does it; false: it does not listen yet, or refuses."""
    return subprocess.run(["tgtadm", "-C", control_port(node), "--lld", "iscsi", *words], capture_output=True).returncode == 0


def open_service(lab, node):
    """Gives a target that has just been started its disk. The port comes last: who finds the target finds the disk too."""
    until(f"the iSCSI target of {node} takes commands", lambda: command(node, "--op", "show", "--mode", "sys"), PATIENCE_S)
    for words in (["--op", "new", "--mode", "target", "--tid", "1", "-T", TARGET],
                  ["--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", lab.path(DISK)],
                  ["--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL"],
                  ["--op", "new", "--mode", "portal", "--param", f"portal=0.0.0.0:{PORT}"]):
        run(["tgtadm", "-C", control_port(node), "--lld", "iscsi", *words])


def answers(lab, node):
    """An initiator may connect."""
    with contextlib.suppress(OSError), within(lab.namespace(node)):
        socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
        return True
    return False


def client(program, lab, service):
    """The command of lab-file on the disk, with the initiator that brings it."""
    return ["sh", "-c", CLIENT, "client", lab.path(INITIATOR_FILE), TARGET, f"{service}:{PORT}", program,
            "50" if os.environ.get("REROUTE_EMULATED") else "10"]  # see meter.py
