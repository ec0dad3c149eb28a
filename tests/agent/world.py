# SPDX-License-Identifier: Apache-2.0
"""A storage cluster of network namespaces that is not the lab: other addresses, other interface names, more nodes,
two zones, a secondary storage network, IPv4 or IPv6, and the session service of service.py.

Namespaces have no names: each is a file descriptor of this process, so that they go with it however it ends. Cables
are veth pairs between a node and a bridge in a namespace of its own; `cut` pulls one at the bridge.
"""
import ctypes
import ipaddress
import os
import selectors
import signal
import socket
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def setns(fd):
    if libc.setns(fd, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")


def new_namespace():
    """A fresh network namespace as a descriptor. Made by a thread, for a thread can be in a namespace of its own."""
    made = []

    def make():
        if libc.unshare(CLONE_NEWNET) < 0:
            made.append(OSError(ctypes.get_errno(), "unshare"))
            return
        made.append(os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def inside(namespace, function, *arguments):
    """function(*arguments) called inside a namespace; what it opens stays there."""
    result = []

    def run():
        setns(namespace)
        try:
            result.append(function(*arguments))
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def set_sysctls(settings):
    """Writes (name with slashes, value) pairs below /proc/sys/net of the namespace that the thread is in."""
    for name, value in settings:
        with open(f"/proc/sys/net/{name}", "w") as f:
            f.write(value)


def end_of_life():
    """In a child: ends with its parent, however that ends."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def entering(namespace):
    """For Popen's preexec_fn: in the namespace, and gone with this process."""
    def enter():
        end_of_life()
        setns(namespace)
    return enter


def execute(namespace, command, text=None, check=True):
    done = subprocess.run(command, input=text, capture_output=True, text=True, preexec_fn=entering(namespace))
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()} {text or ''}")
    return done.stdout


class Network:
    """A broadcast domain: a bridge, a prefix, and what its interfaces are called."""

    def __init__(self, name, prefix, host_interface, node_interface):
        self.name = name
        self.prefix = ipaddress.ip_network(prefix)
        self.host_interface = host_interface
        self.node_interface = node_interface

    def address(self, number):
        return str(self.prefix[number])


IPV4 = [("data", "10.77.16.0/20", "ens5f0", "p1"), ("management", "172.22.4.0/22", "oob", "eth-m")]
IPV4_SECONDARY = [IPV4[0], ("secondary", "10.99.1.0/24", "ens5f1", "p2"), IPV4[1]]
IPV6 = [("data", "fd77:1::/64", "san6", "p1"), ("management", "fd77:2::/64", "oob6", "eth-m")]


class Node:
    """One end of the cables: the host, or an access."""

    def __init__(self, world, name, number):
        self.world = world
        self.name = name
        self.number = number
        self.namespace = new_namespace()
        self.zone = None
        self.local = False
        self.powered = True

    def address(self, network):
        return self.world.networks[network].address(self.number)

    def interface(self, network):
        n = self.world.networks[network]
        return n.host_interface if self is self.world.host else n.node_interface

    def run(self, *command, text=None, check=True):
        return execute(self.namespace, list(command), text, check)

    def ip(self, *arguments, check=True):
        return self.run("ip", *arguments, check=check)


class World:
    def __init__(self, nodes=5, networks=IPV4, service="198.18.7.9", zones=("east",), host_number=33, first=120,
                 local=1, echo=True):
        self.service = service
        self.six = ":" in service
        self.networks = {n[0]: Network(*n) for n in networks}
        self.switch = new_namespace()
        self.host = Node(self, "host", host_number)
        self.nodes = [Node(self, f"stor-{'abcdefghijklmnop'[i]}", first + 7 * i) for i in range(nodes)]
        for i, node in enumerate(self.nodes):
            node.zone = zones[i * len(zones) // nodes]
            node.local = i + 1 == local
        self._build()
        self.echo = Echo([n.namespace for n in self.nodes], self.service) if echo else None

    def _build(self):
        every = [self.host] + self.nodes
        ipv4 = [(f"ipv4/conf/{name}", value) for name, value in (
            ("all/rp_filter", "0"), ("default/rp_filter", "0"), ("all/arp_ignore", "1"), ("all/arp_announce", "2"))]
        ipv6 = [(f"ipv6/conf/{name}/{what}", value) for name in ("default", "all") for what, value in (
            ("accept_dad", "0"), ("disable_ipv6", "0" if self.six else "1"))]
        inside(self.switch, set_sysctls, [(f"ipv6/conf/{name}/disable_ipv6", "1") for name in ("default", "all")])
        execute(self.switch, ["ip", "-batch", "-"], "\n".join(
            f"link add {n} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set {n} up"
            for n in self.networks))
        # ip(8) names the peer's namespace by a process or a file: ours, by our descriptor.
        text = ""
        for i, node in enumerate(every):
            for name in self.networks:
                text += (f"link add {name[:4]}{i} type veth peer name {node.interface(name)} "
                         f"netns /proc/{os.getpid()}/fd/{node.namespace}\n"
                         f"link set {name[:4]}{i} master {name} up\n")
        execute(self.switch, ["ip", "-batch", "-"], text)
        for node in every:
            inside(node.namespace, set_sysctls, ipv4 + ipv6)
            lines = ["link set lo up"]
            for name, network in self.networks.items():
                length = network.prefix.prefixlen
                lines += [f"address add {node.address(name)}/{length} dev {node.interface(name)}"
                          + (" nodad" if self.six else ""),
                          f"link set {node.interface(name)} up"]
            if node is not self.host:
                lines.append(f"address add {self.service}/{128 if self.six else 32} dev lo" +
                             (" nodad" if self.six else ""))
            node.run("ip", "-batch", "-", text="\n".join(lines))

    def node(self, which):
        return self.nodes[which - 1]

    def _cable(self, node, network, state):
        i = ([self.host] + self.nodes).index(node)
        execute(self.switch, ["ip", "link", "set", f"{network[:4]}{i}", state])

    def cut(self, node, network):
        self._cable(node, network, "down")

    def plug(self, node, network):
        self._cable(node, network, "up")

    def switch_off(self, network):
        """The whole network falls silent; nobody's carrier goes."""
        execute(self.switch, ["ip", "link", "set", network, "down"])

    def switch_on(self, network):
        execute(self.switch, ["ip", "link", "set", network, "up"])

    def power(self, node, on):
        node.run("ip", "-batch", "-", text="\n".join(
            f"link set {node.interface(n)} {'up' if on else 'down'}" for n in self.networks))
        node.powered = on

    def lose(self, node, percent):
        """Random loss of what arrives at a node, its neighbour protocol excepted; 0 ends it."""
        node.run("nft", "delete", "table", "inet", "loss", check=False)
        if percent:
            node.run("nft", "-f", "-", text="table inet loss {\n chain in {\n type filter hook input priority 0\n"
                     f"meta l4proto {{ icmp, tcp, udp }} numgen random mod 1000 < {int(percent * 10)} drop\n}}\n}}\n")

    def clean(self):
        if self.echo:
            self.echo.end()
        for node in [self.host] + self.nodes:
            os.close(node.namespace)
        os.close(self.switch)


class Echo:
    """The service itself: a TCP echo on every node's service address, in a process of its own."""

    PORT = 2049

    def __init__(self, namespaces, service):
        listeners = [inside(n, self._listen, service) for n in namespaces]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                end_of_life()
                self._serve(listeners)
            finally:
                os._exit(1)
        for listener in listeners:
            listener.close()

    @classmethod
    def _listen(cls, service):
        family = socket.AF_INET6 if ":" in service else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((service, cls.PORT))
        listener.listen(64)
        return listener

    @staticmethod
    def _serve(listeners):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        selector = selectors.DefaultSelector()
        for listener in listeners:
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ, True)
        while True:
            for key, _ in selector.select():
                try:
                    if key.data:
                        connection, _ = key.fileobj.accept()
                        connection.setblocking(False)
                        selector.register(connection, selectors.EVENT_READ, False)
                        continue
                    data = key.fileobj.recv(65536)
                    if data:
                        key.fileobj.send(data)
                        continue
                except BlockingIOError:
                    continue
                except OSError:
                    pass
                if not key.data:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


# --- the host's routes, as the kernel tells them -----------------------------------------------------------

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLM_F_REQUEST, NLM_F_DUMP, NLMSG_DONE = 1, 0x300, 3


class Route:
    def __init__(self, kind, gateway, interface, metric, protocol, at):
        self.kind, self.gateway, self.interface = kind, gateway, interface
        self.metric, self.protocol, self.at = metric, protocol, at

    def __repr__(self):
        return (f"{self.kind} via {self.gateway} dev {self.interface} metric {self.metric} proto {self.protocol} "
                f"at {self.at:.4f}")


def parse_routes(data, service, at):
    """The /32 or /128 routes to the service in a netlink buffer; None in the end marks a dump's end."""
    found, offset = [], 0
    packed = ipaddress.ip_address(service).packed
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if kind == NLMSG_DONE:
            found.append(None)
        if kind in (RTM_NEWROUTE, RTM_DELROUTE):
            _, bits, _, _, table, protocol, _, _, _ = struct.unpack_from("=BBBBBBBBI", data, offset + 16)
            attributes, position = {}, offset + 28
            while position + 4 <= offset + length:
                size, name = struct.unpack_from("=HH", data, position)
                if size < 4:
                    break
                attributes[name] = data[position + 4:position + size]
                position += (size + 3) & ~3
            if attributes.get(1) == packed and bits == 8 * len(packed) and table != 255:
                gateway = str(ipaddress.ip_address(attributes[5])) if 5 in attributes else None
                found.append(Route("new" if kind == RTM_NEWROUTE else "delete", gateway,
                                   struct.unpack("=I", attributes.get(4, b"\0\0\0\0"))[0],
                                   struct.unpack("=I", attributes.get(6, b"\0\0\0\0"))[0], protocol, at))
        offset += (length + 3) & ~3
        if length < 16:
            break
    return found


def netlink_socket(groups):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    s.bind((0, groups))
    return s


class RouteMonitor:
    """Every change of the route to the service, with its time; and what stands now."""

    def __init__(self, world):
        self.service = world.service
        self.family = socket.AF_INET6 if world.six else socket.AF_INET
        self.events = []
        self.requests = inside(world.host.namespace, netlink_socket, 0)
        self.lock = threading.Lock()
        self.groups = inside(world.host.namespace, netlink_socket, 0x400 if world.six else 0x40)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                data = self.groups.recv(65536)
            except OSError:
                return
            self.events += [e for e in parse_routes(data, self.service, time.monotonic()) if e]

    def _ask(self):
        self.requests.send(struct.pack("=IHHII", 28, RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) +
                           struct.pack("=BBBBBBBBI", self.family, 0, 0, 0, 0, 0, 0, 0, 0))

    def standing(self):
        """The routes to the service now."""
        with self.lock:
            self._ask()
            found = []
            while not found or found[-1] is not None:
                found += parse_routes(self.requests.recv(65536), self.service, time.monotonic())
            return found[:-1]

    def read_all(self):
        """Reads every route of the host, as fast as the kernel tells them."""
        with self.lock:
            self._ask()
            while struct.unpack("=IH", self.requests.recv(65536)[-20:-14])[1] != NLMSG_DONE:
                pass

    def gateway(self):
        routes = self.standing()
        return min(routes, key=lambda r: r.metric).gateway if routes else None

    def changes(self):
        return len(self.events)

    def moves(self, since=0):
        """Next hops in the order in which the route took them."""
        return [e.gateway for e in self.events[since:] if e.kind == "new"]

    def close(self):
        self.groups.close()
        self.requests.close()
