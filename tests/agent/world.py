# SPDX-License-Identifier: Apache-2.0
"""A storage cluster of network namespaces that is not the lab: other addresses, other interface names, more nodes,
two zones, a secondary storage network, IPv4 or IPv6, and the session service of service.py.

Namespaces have no names: each is a file descriptor of this process, so that they go with it however it ends. Cables
are veth pairs between a node and a bridge in a namespace of its own; `cut` pulls one at the bridge.
"""
import ipaddress
import os
import selectors
import signal
import socket
import struct
import threading
import time

from netlab.namespace import (NODE_SETTINGS, NO_IPV6, batch, bridges, cable, configure, end_of_life, execute, inside,
                              new_namespace)


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
USE_IPV6 = tuple(f"net.ipv6.conf.{name}.{setting}=0" for name in ("default", "all")
                 for setting in ("accept_dad", "disable_ipv6"))
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

    def run(self, *command, text="", check=True):
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
        settings = NODE_SETTINGS + (USE_IPV6 if self.six else NO_IPV6)
        nodad = " nodad" if self.six else ""
        bridges(self.switch, self.networks)
        batch(self.switch, [cable(self._port(node, name), name, node.interface(name), node.namespace)
                            for node in every for name in self.networks])
        for node in every:
            configure(node.namespace, settings)
            lines = ["link set lo up"]
            for name, network in self.networks.items():
                length = network.prefix.prefixlen
                lines += [f"address add {node.address(name)}/{length} dev {node.interface(name)}{nodad}",
                          f"link set {node.interface(name)} up"]
            if node is not self.host:
                lines.append(f"address add {self.service}/{128 if self.six else 32} dev lo{nodad}")
            batch(node.namespace, lines)

    def node(self, which):
        return self.nodes[which - 1]

    def _port(self, node, network):
        """The switch's end of a cable."""
        return f"{network[:4]}{([self.host] + self.nodes).index(node)}"

    def cut(self, node, network):
        batch(self.switch, [f"link set {self._port(node, network)} down"])

    def plug(self, node, network):
        batch(self.switch, [f"link set {self._port(node, network)} up"])

    def switch_off(self, network):
        """The whole network falls silent; nobody's carrier goes."""
        batch(self.switch, [f"link set {network} down"])

    def switch_on(self, network):
        batch(self.switch, [f"link set {network} up"])

    def power(self, node, on):
        batch(node.namespace, [f"link set {node.interface(n)} {'up' if on else 'down'}" for n in self.networks])
        node.powered = on

    def lose(self, node, percent):
        """Random loss of what arrives at a node or the host, its neighbour protocol excepted; 0 ends it."""
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
