# SPDX-License-Identifier: Apache-2.0
"""NFS on the accesses of a lab: a server each (nfs-ganesha, NFSv3 over TCP), all with the same directory, as the nodes
of a storage cluster have the same files. What the client wrote through one of them stands when another is asked.

The server insists on telling a port mapper its ports, over a socket under /run. So each node has a room: a mount
namespace where /run and the server's state are the node's own, but for the lab's directory, and an rpcbind that keeps
it. Nothing of it reaches the machine's port mapper. The directory that is served is in memory, for a disk would be
measured otherwise: the first room mounts it, and the others begin as copies of the first."""
import contextlib
import glob
import os
import re
import shutil
import socket
import subprocess

from .namespace import within
from .wait import Failed, until

PORT, MOUNT_PORT = 20490, 20491
EXPORT, MOUNT, CONFIGURATION_FILE = "nfs", "mount", "ganesha.conf"  # below the lab's directory
PSEUDO = "/lab"  # the export for version 4
FIRST = "scvm1"
PATIENCE_S = 20

# $1 is the lab's directory: it is seen there as before, in a /run that is empty otherwise. $2 is what is served. From
# version 5 on the server refuses what /etc/mtab says is in memory, and on a bare machine there is no such file: so the
# room has an /etc of its own too, with what the programs read there.
ROOM = """
set -e
mountpoint -q "$2" || mount -t tmpfs tmpfs "$2"
cd "$1"
mount -t tmpfs tmpfs /run
mkdir "$1"
mount --no-canonicalize --rbind . "$1"
[ ! -d /var/lib/nfs ] || mount -t tmpfs tmpfs /var/lib/nfs
mkdir /run/etc
for file in group hosts ld.so.cache netconfig nsswitch.conf passwd protocols rpc services; do
    [ ! -e "/etc/$file" ] || cp -L "/etc/$file" /run/etc
done
echo "storage $2 ext4 rw 0 0" >/run/etc/mtab
mount --bind /run/etc /etc
exec rpcbind -f
"""

# Without locks and grace: a client of version 3 that locks nothing has no state on the server.
CONFIGURATION = """
NFS_CORE_PARAM {{ Protocols = 3, 4; NFS_Port = {port}; MNT_Port = {mount_port}; Enable_UDP = false;
                 Enable_NLM = false; Enable_RQUOTA = false; allow_set_io_flusher_fail = true; }}
NFSV4 {{ Graceless = true; }}
EXPORT {{ Export_Id = 1; Path = {export}; Pseudo = {pseudo}; Protocols = 3, 4; Transports = TCP; Access_Type = RW;
         Squash = none; SecType = sys, none; FSAL {{ Name = VFS; }} }}
LOG {{ Default_Log_Level = WARN; }}
"""


def missing(client_program):
    """What is not there for servers and client, and how to get it; None: all is there."""
    for there, what in (
            (shutil.which("ganesha.nfsd"), "nfs-ganesha is not installed (Debian: nfs-ganesha, nfs-ganesha-vfs)"),
            (any(map(glob.glob, ("/usr/lib*/ganesha/libfsalvfs.so", "/usr/lib/*/ganesha/libfsalvfs.so"))),
             "the VFS module of nfs-ganesha is not installed (Debian: nfs-ganesha-vfs)"),
            (shutil.which("rpcbind"), "rpcbind is not installed (Debian: rpcbind)"),
            (os.access(client_program, os.X_OK), f"{os.path.basename(client_program)} is not built; "
             "lab-nfs needs libnfs 4 or 5 (Debian: libnfs-dev)")):
        if not there:
            return what
    return None


def write_configuration(lab):
    """Of all servers of a lab, and the directory that they serve."""
    os.mkdir(lab.path(EXPORT))
    with open(lab.path(CONFIGURATION_FILE), "w", encoding="ascii") as f:
        f.write(CONFIGURATION.format(port=PORT, mount_port=MOUNT_PORT, export=lab.path(EXPORT), pseudo=PSEUDO))
    os.mkdir(lab.path(MOUNT))


def room(lab, node):
    """The pid of its port mapper."""
    with open(lab.path(f"{node}-room.pid"), encoding="ascii") as f:
        return f.read().strip()


def export_path(lab):
    """The directory that is served, as this process sees it."""
    return f"/proc/{room(lab, FIRST)}/root{lab.path(EXPORT)}"


def in_room(lab, node, command):
    """The command, there."""
    return ["nsenter", "--mount", "--target", room(lab, node), *command]


def listens(process, log):
    """The port mapper: before it is one, it is still at the mounts."""
    if process.poll() is not None:
        with open(log, encoding="utf-8", errors="replace") as f:
            raise Failed(f"the port mapper has ended: {' '.join(f.read().split())}")
    with open(f"/proc/{process.pid}/comm", encoding="utf-8") as f:
        return f.read() == "rpcbind\n" and os.path.exists(f"/proc/{process.pid}/root/run/rpcbind.sock")


def start_room(lab, node):
    """The room lives as long as the port mapper in it."""
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ROOM, "room", lab.directory, lab.path(EXPORT)]
    if node != FIRST:
        command = in_room(lab, FIRST, command)
    path = lab.path(f"{node}-room.log")
    with open(path, "ab") as log, within(lab.namespace(node)):
        process = subprocess.Popen(command, env=lab.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True)
    with open(lab.path(f"{node}-room.pid"), "w", encoding="ascii") as f:
        f.write(f"{process.pid}\n")
    until(f"the port mapper of {node} listens", lambda: listens(process, path), PATIENCE_S)


def server(lab, node):
    """Its command, to be run in the room. The first words tell it from every other server."""
    return ["ganesha.nfsd", "-L", lab.path(f"{node}-nfs.log"), "-F", "-f", lab.path(CONFIGURATION_FILE), "-p",
            f"/run/{node}.pid"]


def answers(lab, node):
    """It has started: a client may connect. Failed when it gave up."""
    with open(lab.path(f"{node}-nfs.log"), encoding="utf-8", errors="replace") as f:
        gave_up = re.search(r":(FATAL|CONFIG :CRIT) :(.*)", f.read())
    if gave_up:
        raise Failed(f"the NFS server of {node}: {gave_up[2]}")
    with contextlib.suppress(OSError), within(lab.namespace(node)):
        socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
        return True
    return False


def client(program, lab, service):
    """The command of lab-nfs, on the host."""
    return [program, "--port", str(PORT), "--mount-port", str(MOUNT_PORT), service, lab.path(EXPORT)]


def kernel_client(program, lab, service, options):
    """The command of lab-file over a mount of the kernel's own, with these options of mount(8); the mount goes with it."""
    four = re.search(r"vers=4", options)
    options += f",proto=tcp,port={PORT}" + ("" if four else f",nolock,mountproto=tcp,mountport={MOUNT_PORT}")
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
            'mount -t nfs -o "$1" "$2" "$3" && exec "$4" --interval "$5" "$3/lab-nfs"', "client", options,
            f"{service}:{PSEUDO if four else lab.path(EXPORT)}", lab.path(MOUNT), program,
            "50" if os.environ.get("REROUTE_EMULATED") else "10"]  # see meter.py
