# SPDX-License-Identifier: Apache-2.0
"""The session service misbehaves: the route stays where the network evidence says, probing goes on at its pace,
nothing grows. And what the cluster is told: refreshes, heartbeats, the token; what a service check adds."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

from harness import SANITIZED, main, stays
from netlab.namespace import end_process, inside
from netlab.wait import wait_for
from service import OUTSIDE, Session


def misbehaving(t):
    """Every misbehaviour in turn, by all nodes at once."""
    world, service, monitor = t.cluster(settings=dict(nodes=5, zones=("a", "b")), alive="string")
    home = world.node(1)
    agent = t.agent(world, session='heartbeat-path = "/heartbeat/reroute" heartbeat-interval = "500ms"')
    t.eventually(agent.settled(home.address("data")), "at home")
    t.eventually(lambda: agent.access(home.name)["state"] == "stable", "all is known")
    t.ok(wait_for(service.asked(2)), "lists come")
    rss, descriptors, changes = agent.rss_kib(), agent.descriptors(), monitor.changes()
    peak, most = rss, descriptors

    def look():
        nonlocal peak, most
        peak, most = max(peak, agent.rss_kib()), max(most, agent.descriptors())
        return True

    for mode in ("hang", "html", "502", "garbage", "half", "empty", "error", "huge", "refused"):
        before, began = agent.status(), time.monotonic()
        if mode == "refused":
            for node in world.nodes:
                service.refuse(node, True)
        else:
            service.behave(mode)
        t.ok(stays(look, agent.up(home.address("data"), 2)), f"{mode}: home is up", agent.status())
        after, took = agent.status(), time.monotonic() - began
        good = after["next_hop"] == home.address("data") and all(p["up"] for p in after["paths"])
        t.ok(good, f"{mode}: the route and every path stay", after)
        # One path every half a select-timeout, nine others every 200 ms.
        due = took / 0.025 + 9 * took / 0.2
        sent = after["probe"]["sent"] - before["probe"]["sent"]
        t.ok(sent > 0.8 * due, f"{mode}: probing goes on", f"{sent} of {due:.0f}")
        t.ok(after["probe"]["replies"] - before["probe"]["replies"] >= sent - 12, f"{mode}: and is answered",
             after["probe"])
        t.ok(after["sessions"]["error"], f"{mode}: the status says so", after["sessions"])
        t.ok(all(a["state"] == "stable" for a in after["sessions"]["accesses"]), f"{mode}: silence is not death",
             after["sessions"])
    t.ok(len(agent.events("session-lists-overdue")) == 1, "a warning that there is no fresh list", agent.log())
    t.ok(agent.get("sessions")["overdue_s"] > 10, "the status says for how long", agent.status())
    t.ok("no fresh session list" in agent.command("status")[1], "in words too")
    for node in world.nodes:
        service.refuse(node, False)
    service.behave("normal")
    t.eventually(lambda: agent.get("sessions")["error"] is None, "all is well again", detail=agent.status)
    t.eventually(lambda: agent.events("session-lists-fresh"), "and the log says so", detail=agent.log)
    t.ok(agent.get("sessions")["overdue_s"] is None, "as does the status", agent.status())
    t.ok(monitor.changes() == changes, "the route was not touched", monitor.events)
    t.ok(peak < rss + (400000 if SANITIZED else 12000), "memory is bounded", f"{rss} to {peak} KiB")
    t.note(f"resident {rss} KiB, at most {peak}; {descriptors} descriptors, at most {most}")
    t.eventually(lambda: agent.descriptors() <= descriptors, "no descriptor leaks",
                 detail=lambda: f"{descriptors} to {agent.descriptors()}, at most {most}")
    t.ok(most <= descriptors + 24, "nor piles up", most)


def failover_without_service(t):
    """Nobody answers HTTP: network evidence decides alone, both ways of leaving; no failback without a list."""
    world, service, monitor = t.cluster(settings=dict(nodes=4))
    home = world.node(1)
    agent = t.agent(world, hold="2s")
    t.eventually(agent.settled(home.address("data")), "at home")
    service.behave("hang")
    began = time.monotonic()
    world.cut(home, "data")
    t.eventually(lambda: agent.get("tier") == "data" and not agent.get("local"), "left all the same")
    t.ok(monitor.events[-1].at - began < 0.27 + 1, "as fast", monitor.events[-1].at - began)
    t.eventually(lambda: agent.get("refresh")["error"], "the cluster is not told, and the status says so",
                 detail=agent.status)
    world.plug(home, "data")
    service.behave("normal")
    t.eventually(lambda: service.entered(world.host.address("data")) != [home], "told later")
    t.eventually(agent.on(home.address("data")), "home")
    service.behave("hang", home)
    world.cut(world.node(2), "data")
    t.ok(stays(agent.on(home.address("data")), agent.up(home.address("data"), 1)),
         "one bad node and one bad service: nothing")


def slow_refresh(t):
    """A planned switch while another refresh is in flight: the cluster is told again after the route moved."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home, second = world.node(1), world.node(2)
    over, send = threading.Event(), service._serve

    def serve(handler, node, method, body):
        if method == "PUT" and handler.path.endswith(service.uuid(home)):
            over.wait(5)  # in flight as long as it matters here
        return send(handler, node, method, body)

    service._serve = serve
    agent = t.agent(world, wait="6s", poll="6s")
    t.eventually(lambda: agent.get("next_hop") == home.address("data") and service.seen("PUT") and
                 all(p["up"] for p in agent.status()["paths"]), "at home, the cluster being told", detail=agent.status)
    told = agent.get("refresh")["done"]  # asked before the pin: that is carried out within some milliseconds
    code, text = agent.ask("POST", "/v1/pin", json.dumps({"target": second.name}))
    t.ok(code == 200 and not told, "pinned meanwhile", f"{code} {text}")
    t.eventually(lambda: [r for r in service.seen("PUT") if service.node_of(r.path.rsplit("/", 1)[1]) is second],
                 "the new session is told first", detail=lambda: service.seen("PUT"))
    t.eventually(agent.on(second.address("data")), "moved", detail=agent.status)
    t.eventually(lambda: [r for r in service.seen("PUT") if r.route == second.address("data") and
                          service.node_of(r.path.rsplit("/", 1)[1]) is second], "told again after that", seconds=5,
                 detail=lambda: service.seen("PUT"))
    t.eventually(lambda: agent.get("refresh")["done"], "and it is done", seconds=5, detail=agent.status)
    over.set()


def one_sided(t):
    """A failback waits until the cluster is told; a drain goes on after ten seconds."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1)
    agent = t.agent(world, hold="1s")
    t.eventually(agent.settled(home.address("data")), "at home")
    world.cut(home, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "left")
    away = agent.get("next_hop")
    t.eventually(agent.settled(away), "told")
    send = service._serve

    def refuse_puts(handler, node, method, body):
        if method == "PUT":
            return service._send(handler, 503, json.dumps({"ec": "EBUSY", "error": {"msg": "try later"}}))
        return send(handler, node, method, body)

    service._serve = refuse_puts
    world.plug(home, "data")
    t.eventually(lambda: agent.events("refresh-failed"), "a failback asks first", detail=agent.status)
    t.ok(stays(agent.on(away), agent.up(home.address("data"), 3)), "and waits", agent.log())
    service._serve = send
    t.eventually(agent.on(home.address("data")), "then goes")
    service._serve = refuse_puts
    began = time.monotonic()
    code, _, error = agent.command("drain", home.name)
    t.ok(code == 0, "drain", error)
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "a drain goes on untold",
                 detail=agent.status)
    t.ok(time.monotonic() - began > 9 and agent.events("planned-switch-untold"), "after ten seconds, and says so",
         time.monotonic() - began)


def telling(t):
    """Token, client addresses, heartbeats, a new uuid."""
    world, service, monitor = t.cluster(settings=dict(nodes=3), token="s3cret", port=8081)
    home = world.node(1)
    token = os.path.join(t.directory, "token")
    with open(token, "w") as f:
        f.write("s3cret\n")
    os.chmod(token, 0o600)
    agent = t.agent(world, top='host = "hv-07"', hold="2s", wait="5s",
                    session=f'port = 8081 token-file = "{token}" client-addresses = {{"198.18.7.1", "10.77.16.33"}} '
                            'heartbeat-path = "/heartbeat/reroute" heartbeat-interval = "1s"')
    t.eventually(agent.settled(home.address("data")), "at home, so the token was right")
    t.ok(service.seen("PUT")[-1].body == '{"local_clients_ips":"198.18.7.1,10.77.16.33"}', "the configured addresses",
         service.seen("PUT"))
    t.eventually(lambda: len(service.seen("POST")) >= 3, "heartbeats")
    beat = json.loads(service.seen("POST")[-1].body)
    t.ok(beat == {"host": "hv-07", "version": agent.get("version"), "service": world.service,
                  "next_hop": home.address("data"), "access": home.name, "local": True,
                  "since": agent.get("since"), "reason": "cold-start"}, "with what is documented", beat)
    t.ok(all(r.node is home and r.path == "/heartbeat/reroute" for r in service.seen("POST")), "to the access in use")
    service.restart(home)
    t.eventually(lambda: service.entered("198.18.7.1") == [home], "the new session is told", detail=service.seen("PUT"))
    changed = time.monotonic()
    world.cut(home, "data")
    t.eventually(lambda: [r for r in service.seen("POST", changed) if r.node is not home], "a heartbeat on the change")
    beat = json.loads(next(r for r in service.seen("POST", changed) if r.node is not home).body)
    t.ok(beat["reason"] == "path-down" and not beat["local"], "which says why", beat)
    with open(token, "w") as f:
        f.write("new\n")
    service.token = "new"
    t.eventually(lambda: agent.get("sessions")["error"], "a token that ran out shows", detail=agent.status)
    agent.signal(1)
    t.eventually(lambda: agent.get("sessions")["error"] is None, "and is read again on reload", detail=agent.status)


def cut_off(t):
    """An access that is cut off from its cluster answers with an old list: it is not believed about itself."""
    world, service, monitor = t.cluster(settings=dict(nodes=4), lease=1)
    home = world.node(1)
    agent = t.agent(world, hold="2s")
    t.eventually(agent.settled(home.address("data")), "at home")
    # Its process loses the cluster, its addresses answer: only the lists of the others tell.
    service.network_cut(home)
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "left by what the others say",
                 detail=agent.status)
    t.ok(agent.get("reason") == "session-dead", "as dead", agent.status())
    t.ok(stays(lambda: agent.access(home.name)["state"] == "dead", service.asked(6)),
         "its own old list does not revive it")
    service.network_plugged(home)
    t.eventually(agent.on(home.address("data")), "home when it is back")


def unlisted(t):
    """An access that no list names is not better than one that they name: at a cold start, and when the route stands."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1)
    with service.lock:  # it has never been there
        service.running[home] = False
        service.sessions[home].clear()
    agent = t.agent(world, hold="2s", wait="2s")  # the first choice waits so long for a list
    t.eventually(lambda: agent.get("next_hop"), "a first choice")
    t.ok(agent.get("next_hop") != home.address("data"), "that is in the list", agent.status())
    t.eventually(lambda: agent.access(home.name)["state"] == "dead", "two lists without it: dead", detail=agent.status)
    t.ok("list" in agent.path(home.address("data"))["why"], "the path says why", agent.status())
    t.ok(stays(lambda: agent.get("next_hop") != home.address("data"), agent.up(home.address("data"), 3)), "it stays away")
    service.start(home)
    t.eventually(agent.on(home.address("data")), "home when it is listed, after a hold", detail=agent.status)
    t.ok(agent.access(home.name)["restarts"] == 0, "its first life is no restart", agent.status())


def unlisted_in_use(t):
    """The route stands already, to an access that no list names: left when two lists said so. As a last resort it
    is good enough."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1)
    with service.lock:
        service.running[home] = False
        service.sessions[home].clear()
    world.host.ip("route", "add", world.service, "via", home.address("data"), "proto", "213")
    agent = t.agent(world)
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "left", detail=agent.status)
    t.ok(agent.get("reason") == "session-dead", "as dead", agent.status())
    for node in world.nodes[1:]:
        for network in ("data", "management"):
            world.cut(node, network)
    t.eventually(agent.on(home.address("data")), "better than nothing", detail=agent.status)


def dead_before(t):
    """Who was dead is known after a restart of the agent, also when nobody gives a list."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1)
    agent = t.agent(world)
    t.eventually(agent.settled(home.address("data")), "at home")
    service.stop(home)
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "left", detail=agent.status)
    away = next(n for n in world.nodes if n.address("data") == agent.get("next_hop"))
    third = next(n for n in world.nodes if n not in (home, away))
    t.ok(agent.terminate() == 0, "ends")
    service.behave("hang")
    agent.start()
    t.eventually(lambda: agent.get("pid") == agent.process.pid and all(p["up"] for p in agent.status()["paths"]),
                 "runs again", detail=agent.status)
    t.ok(agent.access(home.name)["state"] == "dead", "it is still dead", agent.status())
    for network in ("data", "management"):
        world.cut(away, network)
    t.eventually(lambda: agent.get("next_hop") not in (None, away.address("data")), "left", detail=agent.status)
    t.ok(agent.get("next_hop") == third.address("data"), "for the one that was not dead", agent.status())
    service.behave("normal")
    service.start(home)
    t.eventually(lambda: agent.access(home.name)["state"] in ("alive", "stable"), "a list says otherwise",
                 detail=agent.status)


def stepped_clock(t):
    """The cluster's clock steps ahead and back: lists are stale for a few polls, and a death is seen again."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1)
    agent = t.agent(world)
    t.eventually(agent.settled(home.address("data")), "at home")
    t.eventually(lambda: agent.access(home.name)["state"] == "stable", "stable")
    t.eventually(lambda: len(service.seen("GET")) > 8, "every node has been asked before the clock steps")
    for ahead in (28800, 0, 86400):
        service.ahead = ahead
        t.eventually(lambda: "stale" in (agent.get("sessions")["error"] or ""), f"{ahead} s ahead: stale",
                     detail=agent.status)
        t.eventually(lambda: agent.get("sessions")["error"] is None, "then believed", seconds=10, detail=agent.status)
    t.ok(all(a["restarts"] == 0 for a in agent.get("sessions")["accesses"]), "nobody restarted", agent.status())
    t.ok(len(agent.events("switch")) == agent.begun, "the route was not touched", agent.log())
    began = time.monotonic()
    service.stop(home)
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "a death is seen",
                 detail=agent.status)
    t.ok(time.monotonic() - began < 16, "soon", time.monotonic() - began)


def contradictions(t):
    """Each access names only itself; then one comes and goes by whom one asks: nothing moves while paths answer."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1)
    agent = t.agent(world, hold="1s")
    t.eventually(agent.settled(home.address("data")), "at home")
    t.eventually(lambda: agent.access(home.name)["state"] == "stable", "stable")
    lists = lambda: len(service.seen("GET"))
    for what in ("each names only itself", "by whom one asks"):
        for node in world.nodes:
            others = [n for n in world.nodes if n is not node]
            service.hide(node, *(others if what.startswith("each") else [home] if node is others[-1] else []))
        if not what.startswith("each"):
            service.hide(world.node(2), home)
        before = lists()
        t.eventually(lambda: lists() > before + 8, "lists are asked for")
        t.ok(len(agent.events("switch")) == agent.begun, f"{what}: the route stays", agent.log())
        t.ok(agent.access(home.name)["state"] == "stable", "what was known stands", agent.status())
    for node in world.nodes:
        service.hide(node)
    world.cut(home, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "the network decides",
                 detail=agent.status)


def two_alone(t):
    """Two nodes, each of which knows only itself: word stands against word. A real death is left."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    home, other = world.nodes
    agent = t.agent(world)
    t.eventually(agent.settled(home.address("data")), "at home")
    service.hide(home, other)
    service.hide(other, home)
    before = len(service.seen("GET"))
    t.eventually(lambda: len(service.seen("GET")) > before + 8, "lists are asked for")
    t.ok(len(agent.events("switch")) == agent.begun, "the route stays", agent.log())
    service.hide(home)
    service.hide(other)
    service.stop(home)
    t.eventually(agent.on(other.address("data")), "a dead one is left", detail=agent.status)


def made_up(t):
    """Lists name a thousand new addresses every time, all of them on-link: that costs little, and a failover
    takes no longer."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1)
    agent = t.agent(world, accesses=[], top='bootstrap = {"' + '", "'.join(n.address("data") for n in world.nodes) +
                    '"}')
    t.eventually(agent.settled(home.address("data")), "at home")
    t.eventually(lambda: len(agent.status()["paths"]) == 3, "all are there", detail=agent.status)
    service.made_up = 1000
    began, cpu, log = time.monotonic(), agent.cpu_seconds(), len(agent.log())
    t.eventually(lambda: len(service.seen("GET", began)) > 12, "lists are asked for")
    took = time.monotonic() - began
    cpu, log = (agent.cpu_seconds() - cpu) / took, (len(agent.log()) - log) / took
    t.note(f"{len(agent.status()['paths'])} paths, {100 * cpu:.0f} % of a core, {log:.0f} bytes of log a second")
    t.ok(len(agent.status()["paths"]) <= 128 + 3, "few of them enter", len(agent.status()["paths"]))
    t.ok(cpu < 0.35 or SANITIZED, "little work", cpu)
    t.ok(log < 20000, "and a short log", log)
    t.ok(agent.get("next_hop") == home.address("data"), "the route stays", agent.status())
    began, starved_s = time.monotonic(), agent.starved_s()
    world.cut(home, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "a failover")
    real = [n.address("data") for n in world.nodes]
    t.ok(monitor.gateway() in real, "to a real one", monitor.events)
    took = monitor.events[-1].at - began - (agent.starved_s() - starved_s)
    t.ok(took < 0.27 + 1, "as fast", took)


def odd_entries(t):
    """Entries that are no entries, duplicates, an access that nobody configured."""
    world, service, monitor = t.cluster(settings=dict(nodes=3), envelope="data")
    home = world.node(1)
    service.extra += [{}, {"uuid": ""}, {"uuid": "x", "ip": "not-an-address"}, {"uuid": 7, "ip": "10.77.16.120"}, None,
                      "entry", {"uuid": "stranger", "ip": "203.0.113.9", "alive_sec": 5},
                      {"uuid": "nothing", "ip": "", "secondary_data_ip": ""},
                      {"uuid": "odd", "ip": "10.77.16.250", "alive_sec": -3, "zone": 7}]
    agent = t.agent(world, hold="2s")
    t.eventually(agent.settled(home.address("data")), "at home", detail=agent.status)
    t.ok(len(agent.status()["paths"]) == 6, "only configured paths", agent.status())
    with service.lock:  # the process begins anew; both sessions are listed, whichever comes first
        service.sessions[home].insert(0, Session())
        service.sessions[home][0].renewed += 1000
        service.sessions[home].reverse()
    new = min(service.sessions[home], key=lambda s: -s.born).uuid
    t.eventually(lambda: agent.access(home.name)["uuid"] == new, "the younger of two sessions counts",
                 detail=agent.status)
    t.eventually(lambda: agent.get("refresh")["session"] == new and agent.get("refresh")["done"], "and is told")


# Answers every RPC call over TCP with an empty reply, as the NULL procedure of an NFS server does (RFC 5531).
NULL_SERVER = """
import socketserver, struct, sys
class Calls(socketserver.StreamRequestHandler):
    def handle(self):
        while len(call := self.rfile.read(44)) == 44:
            self.wfile.write(struct.pack(">7I", 0x80000018, struct.unpack(">I", call[4:8])[0], 1, 0, 0, 0, 0))
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer((sys.argv[1], 2049), Calls).serve_forever()
"""


def service_check(t):
    """The node answers pings but does not serve: left at once, for one that does; a success is needed before the way
    back. First its server ends, then it hangs (stopped: its kernel goes on accepting)."""
    world, service, monitor = t.cluster(settings=dict(nodes=4))
    home = world.node(1)
    servers = {}

    def serve(node):
        servers[node] = t.popen(node.namespace, [sys.executable, "-c", NULL_SERVER, node.address("data")],
                                stderr=subprocess.DEVNULL)

    def end(node):
        end_process(servers.pop(node))

    for node in world.nodes[:3]:
        serve(node)
    check = 'service-check = "nfs3:2049" service-check-window = '
    metrics = 'metrics-listen = "127.0.0.1:9321"'
    agent = t.agent(world, hold="1s", session=check + '"1h"', top=metrics)
    t.eventually(agent.on(home.address("data")), "at home")
    t.eventually(lambda: agent.path(home.address("data"))["why"] == "", "serving", detail=agent.status)
    idle = world.node(4)
    t.eventually(lambda: "service check" in agent.path(idle.address("data"))["why"], "one node never served",
                 detail=agent.status)

    def down():
        with inside(world.host.namespace, urllib.request.urlopen, "http://127.0.0.1:9321/metrics") as metrics:
            return re.findall(r'path_service_down\{access="([^"]*)",tier="data".* 1$', metrics.read().decode(), re.M)

    t.eventually(lambda: down() == [idle.name], "the metrics say which", detail=down)
    agent.write(agent.text(hold="1s", session=check + '"600ms"', top=metrics))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "another window, by a reload")
    off = world.node(3).address("data")
    t.eventually(lambda: agent.path(off)["serves"], "serves still", detail=agent.status)
    told = len(agent.events("service-down"))
    world.cut(world.node(3), "data")
    t.eventually(lambda: agent.path(off)["serves"] is False, "a node is off: its service is silent", detail=agent.status)
    t.ok(off not in [e["path"] for e in agent.events("service-down")[told:]], "which is no news", agent.log())
    world.plug(world.node(3), "data")
    t.eventually(lambda: agent.path(off)["serves"] and agent.path(off)["up"], "it is back", detail=agent.status)
    for what, fail, reason in (
            ("ended", lambda: end(home), "Connection refused"),
            ("hangs", lambda: servers[home].send_signal(signal.SIGSTOP), "does not answer")):
        t.eventually(agent.settled(home.address("data")), f"{what}: at home", detail=agent.status)
        began = time.monotonic()
        fail()
        t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), f"{what}: left",
                     detail=agent.status)
        t.note(f"{what}: left after {(time.monotonic() - began) * 1000:.0f} ms")
        t.ok(agent.get("reason") == "service-check", f"{what}: for that reason", agent.status())
        t.ok(agent.get("next_hop") != idle.address("data"), f"{what}: for a node that serves", agent.status())
        t.ok(reason in agent.path(home.address("data"))["why"], f"{what}: the path says why", agent.status())
        down = [e for e in agent.events("service-down") if e["path"] == home.address("data")]
        t.ok(down and reason in down[-1]["reason"], f"{what}: the log too", agent.log())
        t.ok(stays(lambda: not agent.get("local"), agent.up(home.address("data"), 2)),
             f"{what}: not back while it does not serve", agent.status())
        if what == "ended":
            serve(home)
        else:
            servers[home].send_signal(signal.SIGCONT)
        t.eventually(agent.on(home.address("data")), f"{what}: home when it serves", detail=agent.status)
    data = [node.address("data") for node in world.nodes]
    for node in list(servers):
        end(node)
    t.eventually(lambda: all("service check" in p["why"] for p in agent.get("paths") if p["tier"] == "data"),
                 "nobody serves", detail=agent.status)
    t.eventually(lambda: not (agent.get("route_command") or {}).get("waits_for"), "no move is under way")
    t.ok(agent.get("next_hop") in data, "the route is at one of them", agent.status())
    where = agent.get("next_hop")
    t.ok(stays(agent.on(where), agent.up(where, 1)), "and stays", agent.status())


def service_pace(t):
    """The path in use is asked at the pace of its probes, the others seldom."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    listeners = [inside(n.namespace, socket.create_server, (n.address("data"), 2049)) for n in world.nodes]
    agent = t.agent(world, hold="1s", candidate="10s", session='service-check = "tcp:2049"')
    t.eventually(agent.settled(world.node(1).address("data")), "at home")
    t.eventually(lambda: all(p["serves"] for p in agent.get("paths") if p["tier"] == "data"), "all serve")

    def asked(listener):
        """How often, since it was last looked."""
        count = 0
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
                count += 1
        return count

    for listener in listeners:
        asked(listener)
    counts = [0, 0]

    def count():
        counts[:] = [so_far + asked(listener) for so_far, listener in zip(counts, listeners)]
        return counts[0] >= 20

    t.eventually(count, "twenty times", detail=lambda: counts)
    t.ok(counts[1] <= 5, "the other one not nearly as often", counts)


def outside_text(t):
    """What the cluster says is nothing but text: in the log, on a terminal and in documents."""
    world, service, monitor = t.cluster(settings=dict(nodes=2, zones=(OUTSIDE.split()[0], "east")))
    agent = t.agent(world)
    bad = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]")

    def clean(what, text):
        t.ok(text and not bad.search(text) and "event=forged\n" not in text, f"{what}: clean", ascii(text))

    t.eventually(agent.settled(world.node(1).address("data")), "at home")
    said = "[2J\\xc2\\x9b31m\\xe2\\x80\\xae"
    for mode in ("normal", "outside"):
        service.behave(mode)
        t.eventually(lambda: bool(agent.get("sessions")["error"]) == (mode == "outside"), mode, detail=agent.status)
        clean(f"{mode}: status", agent.command("status")[1])
        document = agent.command("status", "--json")[1]
        json.loads(document)
        clean(f"{mode}: status --json", document.replace("\t", " "))
        _, out, error = agent.command("sessions")
        clean(f"{mode}: sessions", out + error)
        t.ok(mode == "normal" or said in out + error, f"{mode}: and what was said is to be seen", out + error)
        clean(f"{mode}: sessions --json", "".join(agent.command("sessions", "--json")[1:]).replace("\t", " "))
    t.ok("[2J\\xc2\\x9b31m" in agent.command("status")[1], "in the status too", agent.command("status")[1])
    clean("log", agent.log())
    t.ok(not re.search(r"^[^\"]* level=error event=forged", agent.log(), re.M), "no field of the log is theirs", agent.log())


sys.exit(main([one_sided, stepped_clock, misbehaving, contradictions, unlisted, unlisted_in_use, dead_before, two_alone,
               made_up, failover_without_service, slow_refresh, telling, cut_off, odd_entries, service_check,
               service_pace, outside_text], parallel=4))
