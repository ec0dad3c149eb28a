# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: being in one, running and opening things there, networks made of bridges and cables.

A namespace is a path of it (/run/netns/NAME) or a descriptor. Everything is done by the calling thread itself, so that
the other threads stay where they are."""
import contextlib
import ctypes
import os
import signal
import subprocess

from .wait import Failed

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
OWN = "/proc/thread-self/ns/net"
libc = ctypes.CDLL(None, use_errno=True)

# A new namespace inherits the machine's settings: what a network of a test relies on.
NODE_SETTINGS = ("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
                 "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
NO_IPV6 = ("net.ipv6.conf.default.disable_ipv6=1", "net.ipv6.conf.all.disable_ipv6=1")


def setns(namespace):
    """From here on this thread is in that namespace."""
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC) if isinstance(namespace, str) else namespace
    try:
        if libc.setns(fd, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        if fd is not namespace:
            os.close(fd)


@contextlib.contextmanager
def returning():
    """Wherever this thread goes meanwhile, in the end it is in its namespace again."""
    before = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        setns(before)
        os.close(before)


@contextlib.contextmanager
def within(namespace):
    """This thread in that namespace: what it opens or starts meanwhile stays there."""
    with returning():
        setns(namespace)
        yield


def inside(namespace, function, *arguments):
    """function(*arguments) called inside a namespace; what it opens stays there."""
    with within(namespace):
        return function(*arguments)


def new_namespace():
    """A fresh one as a descriptor, without a name: it goes with the processes that have it."""
    with returning():
        if libc.unshare(CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "unshare")
        return os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)


def inhabitants(namespace):
    """The processes that are in it."""
    wanted, found = os.stat(namespace).st_ino, []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended
            if os.stat(f"/proc/{pid}/ns/net").st_ino == wanted:
                found.append(int(pid))
    return found


def end_of_life():
    """In a child: ends with its parent, however that ends."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def entering(namespace):
    """For Popen's preexec_fn: in the namespace, and gone with this process."""
    def enter():
        end_of_life()
        setns(namespace)
    return enter


def end_process(process):
    if process.poll() is None:
        process.kill()
    process.wait()


def run(command, text="", check=True):
    """What a command prints, with `text` as its input. Failed with its words when it fails."""
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def execute(namespace, command, text="", check=True):
    """The same, inside."""
    return inside(namespace, run, command, text, check)


def batch(namespace, lines):
    """Commands of ip(8), one a line."""
    execute(namespace, ["ip", "-batch", "-"], "\n".join(lines))


def configure(namespace, settings):
    """sysctl settings, each NAME=VALUE."""
    with within(namespace):
        for name, _, value in (setting.partition("=") for setting in settings):
            with open("/proc/sys/" + name.replace(".", "/"), "w", encoding="ascii") as f:
                f.write(value)


def icmp_count(name):
    """A counter of the kernel in this thread's namespace, such as InEchoReps."""
    with open("/proc/thread-self/net/snmp", encoding="ascii") as f:
        names, values = (line.split() for line in f if line.startswith("Icmp:"))
    return int(values[names.index(name)])


def bridges(switch, names):
    """A switch: a namespace with one bridge for each network. No spanning tree and no learning delay: a plugged cable
    carries at once."""
    configure(switch, NO_IPV6)
    batch(switch, [f"link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set {name} up"
                   for name in names])


def cable(port, bridge, interface, namespace):
    """For batch() in a switch: an interface of a node whose other end is a port of a bridge."""
    where = namespace if isinstance(namespace, str) else f"/proc/{os.getpid()}/fd/{namespace}"
    return f"link add {port} type veth peer name {interface} netns {where}\nlink set {port} master {bridge} up"
