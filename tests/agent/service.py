# SPDX-License-Identifier: Apache-2.0
"""The cluster's session service, written from its description alone and not from the lab's: http.server, one
listener per node, all in this process.

Leases: a node whose service runs and whose storage cable reaches the switch renews its session; else the session
stays in the list until the lease is over. A node that comes back after that begins a new one. A node that is cut off
from the storage network goes on answering with the list it knew.
"""
import http.server
import json
import socket
import threading
import time
import uuid

from netlab.namespace import inside

GARBAGE = bytes(range(256)) * 16
# What acts on a terminal: escape sequences, C1 controls, a mark that turns the direction; and a field for the log.
OUTSIDE = "a\x1b[2J\u009b31m\u202e level=error event=forged"


class Session:
    def __init__(self):
        self.uuid = str(uuid.uuid4())
        self.born = self.renewed = time.monotonic()
        self.clients = ""


class Request:
    """One that was answered (or refused), with where the host's route pointed at that moment."""

    def __init__(self, node, method, path, body, route):
        self.node, self.method, self.path, self.body, self.route = node, method, path, body, route
        self.at = time.monotonic()

    def __repr__(self):
        return f"{self.at:.4f} {self.node.name} {self.method} {self.path} {self.body} (route: {self.route})"


class Service:
    """`envelope`: "top", "data" or "sessions"; `alive`: "number", "string" or "none" (an old release)."""

    def __init__(self, world, monitor=None, port=80, lease=1.5, envelope="sessions", alive="number", age=3600,
                 token=None, name_host=True):
        self.world, self.monitor, self.port, self.lease = world, monitor, port, lease
        self.envelope, self.alive, self.token, self.name_host = envelope, alive, token, name_host
        self.lock = threading.RLock()
        self.sessions = {node: [Session()] for node in world.nodes}
        for i, node in enumerate(world.nodes):
            self.sessions[node][0].born -= age + 10 * i
        self.running = {node: True for node in world.nodes}
        self.cut = set()
        self.frozen = {}
        self.modes = {node: "normal" for node in world.nodes}
        self.extra = []          # entries that every list has besides
        self.ahead = 0           # seconds by which the cluster's clock, and so every alive_sec, is ahead
        self.made_up = 0         # so many entries in every list, with other addresses each time
        self.hidden = {}         # the nodes that a node's own lists do not have
        self.requests = []
        self.servers = {}
        self.ended = threading.Event()
        for node in world.nodes:
            self._listen(node)
        threading.Thread(target=self._renew, daemon=True).start()

    # --- leases ---

    def _renew(self):
        while not self.ended.wait(0.05):
            self.tick()

    def tick(self):
        now = time.monotonic()
        with self.lock:
            for node, sessions in self.sessions.items():
                connected = self.running[node] and node.powered and node not in self.cut
                sessions[:] = [s for s in sessions if now - s.renewed < self.lease]
                if connected:
                    if not sessions:
                        sessions.append(Session())
                    sessions[-1].renewed = now

    def restart(self, node, keep_old=False):
        """Its process begins anew: a new session; the old one may stay listed beside it until its lease is over."""
        with self.lock:
            if not keep_old:
                self.sessions[node].clear()
            self.sessions[node].append(Session())

    def stop(self, node):
        """The storage process dies, the node goes on answering pings and another process its HTTP requests."""
        self.running[node] = False

    def start(self, node):
        self.running[node] = True

    def is_listed(self, node):
        with self.lock:
            return bool(self.sessions[node])

    def uuid(self, node):
        with self.lock:
            return self.sessions[node][-1].uuid if self.sessions[node] else None

    def node_of(self, session):
        with self.lock:
            return next((n for n, ss in self.sessions.items() for s in ss if s.uuid == session), None)

    def entered(self, address):
        """The nodes which the cluster believes to be used by this client address."""
        with self.lock:
            return [n for n, ss in self.sessions.items() for s in ss if address in s.clients.split(",")]

    def network_cut(self, node):
        with self.lock:
            self.frozen[node] = self.entries()
            self.cut.add(node)

    def network_plugged(self, node):
        with self.lock:
            self.cut.discard(node)
            self.frozen.pop(node, None)

    # --- lists ---

    def entries(self):
        now = time.monotonic()
        with self.lock:
            found = []
            for node, sessions in self.sessions.items():
                for s in sessions:
                    entry = {"uuid": s.uuid, "port": 10201, "cid": node.number, "zone": node.zone,
                             "ip": node.address("data"), "machine_uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, node.name))}
                    if "secondary" in self.world.networks:
                        entry["secondary_data_ip"] = node.address("secondary")
                    if node.local and self.name_host:
                        entry["scvm_mode_host_data_ip"] = self.world.host.address("data")
                    alive = int(now - s.born) + self.ahead
                    if self.alive == "number":
                        entry["alive_sec"] = alive
                    elif self.alive == "string":
                        entry["alive_sec"], entry["port"] = str(alive), "10201"
                    found.append(entry)
            return found[::-1] + self.extra + [self.make_up() for _ in range(self.made_up)]

    def make_up(self):
        """A session that nobody has, at an address that is on-link."""
        self.number = getattr(self, "number", 256) % 4000 + 1
        return {"uuid": str(uuid.uuid4()), "ip": self.world.networks["data"].address(max(self.number, 256)), "alive_sec": 5}

    def hide(self, giver, *nodes):
        """The lists that giver gives do not have these nodes: the cluster's answers contradict each other."""
        self.hidden[giver] = {n.address("data") for n in nodes}

    def document(self, node):
        with self.lock:
            entries = self.frozen.get(node) or self.entries()
            entries = [e for e in entries if not e or not isinstance(e, dict) or
                       e.get("ip") not in self.hidden.get(node, ())]
        if self.envelope == "top":
            return entries
        data = entries if self.envelope == "data" else {"sessions": entries, "total_num": len(entries)}
        return {"ec": "EOK", "error": {}, "data": data}

    # --- HTTP ---

    def _listen(self, node):
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                service._answer(self, node, "GET")

            def do_PUT(self):
                service._answer(self, node, "PUT")

            def do_POST(self):
                service._answer(self, node, "POST")

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 64
            address_family = socket.AF_INET6 if self.world.six else socket.AF_INET

            def handle_error(self, *_):
                pass

            def server_bind(self):  # HTTPServer's asks the resolver for a name
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.socket.bind(self.server_address)
                self.server_name, self.server_port = "node", self.server_address[1]

        server = inside(node.namespace, lambda: Server(("::" if self.world.six else "0.0.0.0", self.port), Handler))
        self.servers[node] = server
        threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()

    def refuse(self, node, refusing):
        """Nobody listens on its port."""
        if refusing:
            self.servers[node].shutdown()
            self.servers.pop(node).server_close()
        else:
            self._listen(node)

    def behave(self, mode, *nodes):
        """normal, slow, hang, html, 502, garbage, half, empty, huge, error, outside: these nodes (default: all) from now on."""
        for node in nodes or self.world.nodes:
            self.modes[node] = mode

    def _answer(self, handler, node, method):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        # Where the route points is read before anybody knows of the answer.
        route = self.monitor.gateway() if self.monitor and method == "PUT" else None
        with self.lock:
            self.requests.append(Request(node, method, handler.path, body, route))
        mode = self.modes[node]
        if self.token and handler.headers.get("x-smartx-token") != self.token:
            return self._send(handler, 401, json.dumps({"ec": "EAUTH", "error": {"msg": "no such token"}}))
        if mode == "slow":
            self.ended.wait(0.3)
        if mode in ("normal", "slow"):
            return self._serve(handler, node, method, body)
        return self._misbehave(handler, node, mode)

    def _misbehave(self, handler, node, mode):
        if mode == "hang":
            self.ended.wait(20)
            handler.close_connection = True
        elif mode == "html":
            self._send(handler, 200, "<!DOCTYPE html><html><body><h1>It works!</h1></body></html>", "text/html")
        elif mode == "502":
            self._send(handler, 502, "<html><body>Bad Gateway</body></html>", "text/html")
        elif mode == "garbage":
            self._send(handler, 200, GARBAGE)
        elif mode == "half":
            text = json.dumps(self.document(node)).encode()
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text[:len(text) // 2])
            handler.close_connection = True
        elif mode == "empty":
            self._send(handler, 200, json.dumps({"ec": "EOK", "error": {}, "data": []}))
        elif mode == "error":
            self._send(handler, 200, json.dumps({"ec": "ENOTLEADER", "error": {"msg": "no leader"}, "data": {}}))
        elif mode == "outside":  # the words of its error are for a terminal, and no UTF-8
            self._send(handler, 200, b'{"ec": "E\x9b", "error": {"msg": "' + OUTSIDE.encode("unicode_escape").replace(
                b"\\x", b"\\u00") + b'\xc0\xaf\xff"}, "data": {}}')
        elif mode == "huge":
            handler.send_response(200)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(40 << 20))
            handler.end_headers()
            try:
                handler.wfile.write(b"[")
                for _ in range(40):
                    handler.wfile.write(b" " * (1 << 20))
            except OSError:
                pass
            handler.close_connection = True

    def _send(self, handler, status, text, kind="application/json"):
        data = text if isinstance(text, bytes) else text.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _serve(self, handler, node, method, body):
        if method == "GET" and handler.path == "/api/v3/sessions":
            return self._send(handler, 200, json.dumps(self.document(node)))
        if method == "PUT" and handler.path.startswith("/api/v2/zbs_session/session/"):
            session = handler.path.rsplit("/", 1)[1]
            clients = json.loads(body)["local_clients_ips"]
            with self.lock:
                known = [s for ss in self.sessions.values() for s in ss]
                if session not in [s.uuid for s in known]:
                    return self._send(handler, 404, json.dumps({"ec": "ENOENT", "error": {"msg": "no such session"}}))
                moved = clients.split(",")
                for s in known:
                    kept = [a for a in s.clients.split(",") if a and a not in moved]
                    s.clients = clients if s.uuid == session else ",".join(kept)
            return self._send(handler, 200, json.dumps({"ec": "EOK", "error": {}, "data": {}}))
        if method == "POST" and handler.path == "/heartbeat/reroute":
            return self._send(handler, 200, json.dumps({"ec": "EOK", "error": {}}))
        return self._send(handler, 404, "not here", "text/plain")

    def seen(self, method, since=0.0):
        with self.lock:
            return [r for r in self.requests if r.method == method and r.at >= since]

    def asked(self, times):
        """For waiting: from now on there were so many more requests for a list, those tried again among them."""
        before = len(self.seen("GET"))
        return lambda: len(self.seen("GET")) >= before + times

    def end(self):
        """Of requests that wait. The servers end with the process: to stop each takes a part of a second."""
        self.ended.set()
