# SPDX-License-Identifier: Apache-2.0
"""What a person can do beside a running agent, and without one: pin, drain, failback, route, clear, sessions,
check-config, status, metrics."""
import datetime
import errno
import json
import os
import re
import signal
import socket
import stat
import sys
import urllib.error
import urllib.request

from harness import NO_RESET, NO_SWAP, UnixConnection, main, stays
from netlab.namespace import execute, inside
from netlab.wait import wait_for

STATUS = {"schema": str, "service": str, "next_hop": str, "access": str, "tier": str, "local": bool, "since": str,
          "reason": str, "mode": str, "paths": list, "sessions": dict}
PATH = {"access": str, "tier": str, "address": str, "up": bool, "rtt_ms": (int, float), "eligible": bool, "why": str}


def run(t, agent, what, code, *arguments):
    got, out, error = agent.command(*arguments)
    t.ok(got == code and (code == 0) == (error == "") and error.count("\n") <= 2, what, f"{got}: {out} {error}")
    return out


def warned(t, agent, what, *arguments):
    """Done, with a warning: what it says."""
    code, out, error = agent.command(*arguments)
    t.ok(code == 0 and out.count("\n") == 1 and error.count("\n") == 1
         and error.startswith(f"reroute {arguments[0]}: warning: "), what, f"{code}: {out} {error}")
    return error


def pins(t):
    world, service, monitor, agent, home = t.settled(hold="2s")
    second, third = world.node(2), world.node(3)
    run(t, agent, "pin to an access", 0, "pin", second.name)
    t.eventually(agent.on(second.address("data")), "goes there at once", detail=agent.status)
    t.ok(agent.get("mode") == "pinned" and agent.get("pin") == second.name and agent.get("reason") == "pin",
         "the status says so", agent.status())
    t.ok(stays(agent.on(second.address("data")), agent.up(home, 3)), "and stays, longer than hold")
    world.cut(second, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, second.address("data")), "left when it is down")
    world.plug(second, "data")
    t.eventually(agent.on(second.address("data")), "resumed after hold", detail=agent.status)
    t.ok(agent.terminate() == 0, "restart")
    agent.start()
    t.eventually(lambda: agent.get("pin") == second.name, "the pin is kept")
    t.eventually(lambda: agent.path(third.address("management"))["up"], "the next one is up", detail=agent.status)
    out = run(t, agent, "pin to an address, hard", 0, "pin", "--hard", third.address("management"))
    t.ok("pinned, hard:" in out and "unpin" in out, "the answer says what that means", out)
    t.eventually(agent.on(third.address("management")), "goes there")
    t.ok(agent.get("mode") == "pinned-hard", "the status says so", agent.status())
    world.cut(third, "management")
    t.eventually(lambda: agent.path(third.address("management"))["up"] is False, "it is down")
    t.ok(stays(agent.on(third.address("management")), agent.up(home, 1.5)), "and never left", agent.log())
    run(t, agent, "unpin", 0, "unpin")
    t.eventually(lambda: agent.get("tier") == "data", "left now", detail=agent.status)
    t.eventually(agent.on(home), "and home in the end")
    run(t, agent, "unpin again: refused", 1, "unpin")
    t.ok(json.loads(agent.command("unpin", "--json")[1])["ok"] is False, "as JSON too")
    answer = json.loads(run(t, agent, "pin --json", 0, "pin", "--json", second.name))
    t.ok(answer == {"schema": "reroute.answer/1", "ok": True, "message": f"{second.name} is pinned"}, "a document",
         answer)
    run(t, agent, "pin to nobody: refused", 1, "pin", "nobody")
    run(t, agent, "pin without operand", 3, "pin")
    t.eventually(agent.on(second.address("data")), "the last pin is followed", detail=agent.status)
    t.ok(len(monitor.standing()) == 1, "one route", monitor.standing())


def pinned_to_the_dead(t):
    """A pin to a path that does not work: done, and it is said at once what becomes of it."""
    world, service, monitor, agent, home = t.settled(hold="1s")
    second = world.node(2)
    data = second.address("data")
    for network in world.networks:
        world.cut(second, network)
    t.eventually(lambda: not any(p["up"] for p in agent.get("paths") if p["access"] == second.name), "a node dies")
    answer = warned(t, agent, "a pin", "pin", second.name)
    t.ok(f"{data} cannot be used now (" in answer and "the route goes there when it can" in answer,
         "waits for the node", answer)
    t.ok(stays(agent.on(home), agent.up(home, 2)), "and the route with it", agent.log())
    answer = warned(t, agent, "a hard pin", "pin", "--hard", second.name)
    t.ok(f"{data} cannot be used now (" in answer and "goes there all the same" in answer,
         "is a person's order", answer)
    t.eventually(agent.on(data), "and is done", detail=agent.status)
    code, out, error = agent.command("pin", "--hard", "--json", second.name)
    document = json.loads(out)
    t.ok(code == 0 and document["ok"] and f"{data} is in use (" in document["warning"] and document["warning"] in error
         and "is in use" not in document["message"], "once more: the warning in the document", f"{out} {error}")
    run(t, agent, "unpin", 0, "unpin")
    t.eventually(agent.on(home), "home again", detail=agent.status)
    out = run(t, agent, "drain home, which can be left", 0, "drain", world.node(1).name)
    t.eventually(lambda: agent.get("next_hop") != home, "left", detail=agent.status)
    answer = warned(t, agent, "a pin to what is drained", "pin", home)
    t.ok("(its access is drained)" in answer, "says so", answer)


def pinned_where_it_is(t):
    """A pin to the path in use, which is dead as all are: nothing is said of a route that would have to go there. Nor is
    it while the agent only observes."""
    observe = os.path.join(t.directory, "observe-only")
    world, service, monitor, agent, home = t.settled(hold="1s", top=f'observe-file = "{observe}"')
    for node in world.nodes:
        for network in world.networks:
            world.cut(node, network)
    t.eventually(lambda: agent.get("decision") == "nothing-eligible" and not any(p["up"] for p in agent.get("paths")),
                 "all nodes die", detail=agent.status)
    used = agent.get("next_hop")
    answer = warned(t, agent, "a pin to the path in use", "pin", used)
    t.ok(f"{used} is in use (no reply in" in answer and "does not keep the route there" in answer, "says what it is", answer)
    answer = warned(t, agent, "a hard one", "pin", "--hard", used)
    t.ok(f"{used} is in use (no reply in" in answer and "no failure moves the route away" in answer, "too", answer)
    with open(observe, "w"):
        pass
    t.eventually(lambda: agent.get("observe_only"), "it observes", detail=agent.status)
    other = next(n.address("data") for n in world.nodes if n.address("data") != used)
    answer = warned(t, agent, "a hard pin elsewhere", "pin", "--hard", other)
    t.ok(f"{other} cannot be used now (" in answer and "only observes" in answer and "goes there" not in answer,
         "goes nowhere", answer)
    t.ok(agent.get("next_hop") == used and monitor.gateway() == used, "the route is where it was", agent.status())


def pinned_to_nobody(t):
    """A hard pin to an access that a reload takes out of the configuration: it keeps the route nowhere."""
    world, service, monitor, agent, home = t.settled(hold="1s")
    second = world.node(2)
    run(t, agent, "pin, hard", 0, "pin", "--hard", second.name)
    t.eventually(agent.on(second.address("data")), "goes there", detail=agent.status)
    answer = warned(t, agent, "drain it", "drain", second.name)
    t.ok("pinned hard" in answer and "unpin" in answer, "the answer says that the route stays, and why", answer)
    run(t, agent, "undrain it", 0, "undrain", second.name)
    agent.write(agent.text(hold="1s", accesses=[world.node(1), world.node(3)]))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("pin-unknown"), "its access is gone: said", detail=agent.log)
    world.cut(second, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, second.address("data")), "left when it dies",
                 detail=agent.status)
    t.ok(agent.terminate() == 0, "stopped")
    execute(world.host.namespace, ["ip", "route", "flush", world.service])
    agent.start()
    t.eventually(lambda: agent.get("next_hop"), "a start with such a pin sets a route", detail=agent.status)
    t.ok(len(agent.events("pin-unknown")) == 2, "and says so once more", agent.log())


def error_of(connection):
    """What ends it, within ten seconds; 0: it is closed; None: nothing does."""
    connection.settimeout(10)
    try:
        return 0 if connection.recv(1) == b"" else None
    except OSError as error:
        return error.errno
    finally:
        connection.close()


def drains(t):
    world, service, monitor, agent, home = t.settled(hold="1s")
    meter = t.meter(world, "--port", "0")
    t.eventually(lambda: meter.has_begun("icmp"), "traffic flows")
    with inside(world.node(1).namespace, socket.create_server, (world.service, 7777)) as listener:
        client = inside(world.host.namespace, socket.create_connection, (world.service, 7777), 10)
        there, _ = listener.accept()
    run(t, agent, "drain", 0, "drain", world.node(1).name)
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "left")
    t.ok(agent.get("reason") == "drained" and agent.path(home)["why"], "and says why", agent.status())
    ends = error_of(client), error_of(there)
    t.ok(ends[0] == errno.ECONNABORTED, "a client of the service connects anew", ends, unless=NO_RESET)
    t.ok(ends[1] == errno.ECONNRESET, "the node that was left hears of it, and forgets its half", ends,
         unless=NO_RESET)
    moved = [r for r in service.seen("PUT") if r.route == home and service.node_of(r.path.rsplit("/", 1)[1]) is not
             world.node(1)]
    t.ok(moved, "the cluster was told before", service.seen("PUT"))
    t.ok(stays(lambda: agent.get("next_hop") != home, agent.up(home, 2)), "not returned to, longer than hold")
    run(t, agent, "twice: refused", 1, "drain", world.node(1).name)
    t.ok(agent.terminate() == 0, "restart")
    agent.start()
    t.eventually(lambda: agent.access(world.node(1).name).get("drained"), "kept over a restart", detail=agent.status)
    run(t, agent, "undrain", 0, "undrain", world.node(1).name)
    t.eventually(agent.on(home), "home after hold")
    t.ok(agent.access(world.node(1).name)["failures"] == 0, "maintenance is no failure")
    for node in world.nodes[:-1]:
        run(t, agent, f"drain {node.name}", 0, "drain", node.name)
    answer = warned(t, agent, "drain the last one", "drain", world.nodes[-1].name)
    t.ok("the route stays where it is until another path can be used" in answer, "says what to expect", answer)
    t.ok(stays(lambda: monitor.gateway() is not None, agent.up(home, 1)), "all drained: the last way stays",
         monitor.standing(), unless=NO_SWAP)
    run(t, agent, "drain nobody: refused", 1, "drain", "nobody")
    summary = meter.finish()
    t.ok(not meter.interruptions("icmp") and summary["icmp"]["errors"] == 0, "in all this no echo was lost",
         meter.events, unless=NO_SWAP)


def maintenance(t):
    """Orders with an end and a reason: shown everywhere, kept over a restart, over by themselves."""
    world, service, monitor, agent, home = t.settled(hold="1s", top='metrics-listen = "127.0.0.1:9322"')
    first, second = world.node(1), world.node(2)
    out = run(t, agent, "drain", 0, "drain", "--for", "1h", "--because", "a disk is replaced", first.name)
    t.ok(out.startswith(f"{first.name} is drained for 1h, until 20"), "the answer says until when", out)
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "left")
    seen = agent.access(first.name)
    t.ok(seen["drained"] and seen["drain_because"] == "a disk is replaced" and seen["drain_until"].endswith("Z"),
         "the status has it", seen)
    event = agent.events("drain")[0]
    t.ok(event["because"] == "a disk is replaced" and event["until"] == seen["drain_until"], "the log too", event)
    out = agent.command("status")[1] + agent.command("explain")[1]
    t.ok(out.count(f"until {seen['drain_until']}, because: a disk is replaced") == 2, "and what people read", out)

    def metrics():
        with urllib.request.urlopen("http://127.0.0.1:9322/metrics", timeout=5) as answer:
            return answer.read().decode()
    text = inside(world.host.namespace, metrics)
    left = [float(line.split()[1]) for line in text.splitlines()
            if line.startswith(f'reroute_access_drain_left_seconds{{access="{first.name}"}}')]
    t.ok(f'reroute_access_drained{{access="{first.name}"}} 1\n' in text and 3000 < left[0] <= 3600, "and the metrics", text)
    t.ok(agent.terminate() == 0, "restart")
    agent.start()
    t.eventually(lambda: agent.access(first.name).get("drain_until") == seen["drain_until"], "kept over a restart",
                 detail=agent.status)
    t.ok(agent.access(first.name)["drain_because"] == "a disk is replaced", "with its reason", agent.status())
    out = run(t, agent, "another end", 0, "drain", "--for", "2", first.name)
    t.ok(out.startswith(f"{first.name} is drained for 2s, until 20"), "a time without a unit is said with one", out)
    t.eventually(lambda: not agent.access(first.name)["drained"], "it ends by itself", detail=agent.status)
    t.ok(agent.events("undrain")[0].get("why") == "its time is over", "the log says why", agent.log())
    t.eventually(agent.on(home), "and the route goes home", detail=agent.status)
    run(t, agent, "pin", 0, "pin", "--for", "2s", "--because", "a test", second.name)
    t.eventually(lambda: agent.get("pin_because") == "a test", "a pin with an end")
    t.eventually(lambda: agent.get("mode") == "auto", "is over by itself", detail=agent.status)
    t.ok(agent.get("pin_until") is None and agent.get("pin_because") is None, "nothing is left of it", agent.status())
    run(t, agent, "a pin that ends while no agent runs", 0, "pin", "--for", "1s", second.name)
    t.ok(agent.terminate() == 0, "ends")
    with open(os.path.join(agent.state_directory, "state.json")) as f:
        until = json.load(f).get("pin", {"until": ""})["until"]
    t.ok(wait_for(lambda: until < datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")),
         "its time goes by", until)
    agent.start()
    t.eventually(lambda: agent.get("mode") == "auto", "is over at the start", detail=agent.status)
    run(t, agent, "a reason that is too long", 1, "drain", "--because", "x" * 121, first.name)
    run(t, agent, "no time", 3, "drain", "--for", "soon", first.name)
    for body in ('{"access": "%s", "for_s": "1"}', '{"access": "%s", "for_s": 0}', '{"access": "%s", "for_s": 1e99}'):
        code, text = agent.ask("POST", "/v1/drain", body % first.name)
        t.ok(code == 409 and "expected a number of seconds" in text, f"refused: {body}", f"{code} {text}")
    t.ok(not agent.access(first.name)["drained"], "and nothing is done", agent.status())


def failback(t):
    world, service, monitor, agent, home = t.settled(hold="60s")
    run(t, agent, "nothing waits: refused", 1, "failback", "--now")
    run(t, agent, "without --now", 3, "failback")
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "left")
    world.plug(world.node(1), "data")
    t.eventually(lambda: agent.get("failback"), "a countdown")
    countdown = agent.get("failback")
    t.ok(countdown["to"] == home and countdown["hold_s"] == 60 and countdown["waits_for"] == "hold", "of 60 s",
         countdown)
    run(t, agent, "ends it", 0, "failback", "--now")
    t.eventually(agent.on(home), "home", detail=agent.status)
    t.ok(agent.get("reason") == "failback-now", "because somebody said so", agent.status())


def explains(t):
    world, service, monitor, agent, home = t.settled(hold="60s")
    first = world.node(1)
    out = run(t, agent, "explain", 0, "explain")
    t.ok(f"leads to {first.name} (data, {home})" in out and "That is home: the node on this host." in out and
         "If the path in use fails, the route goes to" in out, "at home, and where else it could go", out)
    world.cut(first, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "left")
    out = run(t, agent, "explain", 0, "explain")
    t.ok("That is not home." in out and f"Better would be {first.name} (data, {home}), but: no reply in" in out,
         "away: why not home", out)
    world.plug(first, "data")
    t.eventually(lambda: agent.get("failback"), "a countdown")
    out = run(t, agent, "explain", 0, "explain")
    t.ok("(its hold is 60 s), if it stays healthy until then" in out and "reroute failback --now" in out,
         "when it goes home, and how to be quicker", out)
    document = json.loads(run(t, agent, "explain --json", 0, "explain", "--json"))
    t.ok(document["schema"] == "reroute.explain/1" and "That is not home." in document["lines"], "a document", document)
    run(t, agent, "drain", 0, "drain", first.name)
    t.eventually(lambda: f"A person drained {first.name}" in agent.command("explain")[1], "a drain",
                 detail=lambda: agent.command("explain"))
    t.ok(agent.terminate() == 0, "ends")
    run(t, agent, "no agent", 4, "explain")


def left_just_now(t):
    """What was left is not taken again at once: the status, its table, the words and the log say so."""
    world, service, monitor, agent, home = t.settled(hold="1s", route='stay = "60s"')
    second = world.node(2)
    t.eventually(agent.up(home, 1.5), "home is up for longer than its hold", detail=agent.status)
    run(t, agent, "pin", 0, "pin", second.name)
    t.eventually(agent.on(second.address("data")), "goes there", detail=agent.status)
    run(t, agent, "unpin", 0, "unpin")
    t.eventually(lambda: agent.get("decision") == "stay", "home waits for stay", detail=agent.status)
    waits = agent.get("failback")
    t.ok(waits["to"] == home and waits["waits_for"] == "stay" and 1 < waits["in_s"] <= 60, "how long, too", waits)
    t.ok(1 < agent.path(home)["stay_s"] <= 60 and agent.path(second.address("data"))["stay_s"] is None,
         "of the path that was left", agent.status())
    table, words = agent.command("status")[1], agent.command("explain")[1]
    t.ok("left just now: the last choice for" in table and "waits for: stay" in table, "the table", table)
    t.ok("not taken again before its stay is over" in words, "in words", words)
    t.eventually(lambda: [e for e in agent.events("decision") if e["reason"] == "stay"], "the log", detail=agent.log)
    run(t, agent, "a person's word", 0, "failback", "--now")
    t.eventually(agent.on(home), "does not wait for it", detail=agent.status)


def with_query(t):
    """A command with a query behind it is that command, or none: not another one."""
    world, service, monitor, agent, home = t.settled(nodes=4, hold="60s")
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "left")
    away = agent.get("next_hop")
    world.plug(world.node(1), "data")
    t.eventually(lambda: (agent.get("failback") or {}).get("to") == home and agent.path(home)["eligible"],
                 "home is possible, and waits for hold", detail=agent.status)
    spare = next(n for n in world.nodes[1:] if n.address("data") != away)
    code, text = agent.ask("POST", "/v1/drain?force=1", json.dumps({"access": spare.name}))
    t.ok(code >= 400 or wait_for(lambda: agent.access(spare.name)["drained"]), "drain with a query", f"{code} {text}")
    for path in ("/v1/undrain?", "/v1/unpin?now", "/v1/pin?hard=1"):
        code, text = agent.ask("POST", path, json.dumps({"access": "nobody", "target": "nobody"}))
        t.ok(code >= 400, f"{path}: refused", f"{code} {text}")
    t.ok(stays(agent.on(away), agent.up(home, 2)), "none of it was a failback", agent.log())


def by_hand(t):
    """route --to and clear: refused while the agent runs, static without it."""
    world, service, monitor, agent, home = t.settled()
    other, stranger = world.node(2).address("data"), "203.0.113.1"
    run(t, agent, "route --to beside the agent: refused", 1, "route", "--to", other)
    refusal = agent.command("route", "--to", other)[2]
    t.ok("an agent for this service runs" in refusal and "another" not in refusal, "and said to a person", refusal)
    run(t, agent, "clear beside the agent: refused", 1, "clear")
    t.ok(monitor.gateway() == home, "nothing happened", monitor.standing())
    agent.terminate()
    out = run(t, agent, "route --to", 0, "route", "--to", other)
    t.ok(other in out and monitor.gateway() == other and len(monitor.standing()) == 1, "points there", out)
    answer = json.loads(run(t, agent, "route --to --json", 0, "route", "--json", "--to", other))
    t.ok(answer["ok"] is True and answer["route"]["next_hop"] == other and answer["route"]["service"] == world.service
         and answer["route"]["interface"], "the route as it stands", answer)
    run(t, agent, "an address that is not on-link", 3, "route", "--to", stranger)
    run(t, agent, "no address", 3, "route", "--to", "there")
    run(t, agent, "of another family", 3, "route", "--to", "fd00::1")
    run(t, agent, "an address of this host", 3, "route", "--to", world.host.address("data"))
    t.ok(monitor.gateway() == other, "none of these did anything", monitor.standing())
    nobody = world.networks["data"].address(250)
    answer = warned(t, agent, "an address that nobody has", "route", "--to", nobody)
    t.ok(f"{nobody} does not answer pings (" in answer and monitor.gateway() == nobody, "done, and said", answer)
    answer = json.loads(agent.command("route", "--json", "--to", nobody)[1])
    t.ok(answer["ok"] is True and "does not answer pings" in answer["warning"], "in the document too", answer)
    run(t, agent, "clear", 0, "clear")
    t.ok(monitor.standing() == [], "the route is gone", monitor.standing())
    answer = json.loads(run(t, agent, "clear again", 0, "clear", "--json"))
    t.ok(answer["ok"] is True and answer["route"] is None, "no route, as a document", answer)
    world.host.ip("route", "add", world.service, "via", other, "metric", "9")
    out = run(t, agent, "clear leaves what is not ours", 0, "clear")
    t.ok("--adopted" in out and monitor.gateway() == other, "and says how", out)
    run(t, agent, "clear --adopted", 0, "clear", "--adopted")
    t.ok(monitor.standing() == [], "removes it", monitor.standing())


def connected(connection):
    try:
        connection.connect()
        return True
    except BlockingIOError:  # too many at once for its backlog
        return False


def wrong_file(t, world, agent, good):
    """An order goes to the agent that a wrong file names for certain, or to none; a question may go to the usual one."""
    orders = (("drain", world.node(1).name), ("undrain", world.node(1).name), ("pin", world.node(1).name), ("unpin",),
              ("failback", "--now"))
    for key in ("x-control-socket", "/* control-socket = '/run/old.sock' */ control-sockets"):
        agent.write(good.replace("control-socket", key))
        for order in orders:
            code, out, error = agent.command(*order)
            t.ok(code == 3 and out == "" and error.count("\n") == 1 and re.search(r"a\.conf:\d+: .*--socket\n", error),
                 f"{order[0]}: refused where {key} is all that names a socket", f"{code} {out} {error}")
        code, out, error = agent.command("status")
        t.ok("/run/reroute/control.sock is asked" in error, "the status says whom it asks", f"{code} {out} {error}")
    t.ok(agent.get("mode") == "auto" and not agent.access(world.node(1).name)["drained"], "nothing was done", agent.status())
    code, out, error = agent.command("drain", world.node(3).name, "--socket", agent.socket_path)
    t.ok(code == 0 and error == "", "--socket says which agent", f"{code} {out} {error}")
    agent.write("/* control-socket = '/run/old.sock' */ nonsense = 1\n" + good)
    code, out, error = agent.command("undrain", world.node(3).name)
    t.ok(code == 0 and f"{agent.socket_path} is asked" in error, "so does a file that names it", f"{code} {out} {error}")
    agent.write(good.replace("state-directory", "state-directories"))
    code, out, error = agent.command("journal")
    t.ok("in /var/lib/reroute is read" in error, "the journal of the usual directory: it says so", f"{code} {out} {error}")


def asking(t):
    """status, sessions, check-config, the control socket itself, metrics."""
    world, service, monitor, agent, home = t.settled(
        nodes=5, settings=dict(zones=("a", "b")), top='metrics-listen = "127.0.0.1:9321"')
    document = json.loads(run(t, agent, "status --json", 0, "status", "--json"))
    wrong = [k for k, kind in STATUS.items() if not isinstance(document.get(k), kind)]
    wrong += [k for p in document["paths"] for k, kind in PATH.items() if not isinstance(p.get(k), kind)]
    t.ok(not wrong and document["schema"] == "reroute.status/1", "has the documented shape", f"{wrong} {document}")
    t.ok(document["next_hop"] == home and document["local"] is True and document["tier"] == "data"
         and document["access"] == world.node(1).name and len(document["paths"]) == 10, "and says what is", document)
    text = run(t, agent, "status", 0, "status")
    t.ok(all(n.name in text and n.address("data") in text for n in world.nodes) and "\t" not in text, "a table", text)
    code, out, _ = agent.command("status", "--json", "--socket", agent.socket_path, config=False)
    t.ok(code == 0 and json.loads(out)["pid"] == agent.process.pid, "status --socket", out)
    mode = os.stat(agent.socket_path).st_mode
    t.ok(stat.S_IMODE(mode) == 0o660, "the socket is for its owner and group", oct(mode))

    for method, path, body, code in (("GET", "/v1/nothing", None, 404), ("GET", "/v1/pin", None, 405),
                                     ("POST", "/v1/status", "{}", 405), ("POST", "/v1/pin", "{", 400),
                                     ("POST", "/v1/pin", '{"target": 7}', 409), ("POST", "/v1/pin", "[1]", 409),
                                     ("POST", "/v1/pin", "x" * 100000, 413), ("DELETE", "/v1/status", None, 405)):
        try:
            got = agent.ask(method, path, body)[0]
        except BrokenPipeError:  # it did not want to read all of that
            got = 413
        t.ok(got == code, f"{method} {path} {(body or '')[:20]}: {code}", got)
    half = UnixConnection(agent.socket_path)
    half.connect()
    half.sock.send(b"GET /v1/status HT")
    t.ok(agent.status(), "half a request holds nobody up")
    before = agent.descriptors()
    many = [UnixConnection(agent.socket_path) for _ in range(40)]
    t.ok(all(wait_for(lambda: connected(c)) for c in many), "forty more connect")
    t.eventually(agent.status, "nor do forty silent clients", seconds=3)
    t.ok(monitor.gateway() == home and agent.path(home)["loss_percent"] == 0, "probing does not suffer")
    for c in many:
        c.close()
    t.eventually(lambda: agent.descriptors() <= before, "all are closed again", detail=agent.descriptors)

    out = json.loads(run(t, agent, "sessions --json", 0, "sessions", "--json"))
    t.ok({s["uuid"] for s in out["sessions"]} == {service.uuid(n) for n in world.nodes}, "all sessions", out)
    out = run(t, agent, "sessions", 0, "sessions")
    t.ok(all(service.uuid(n) in out for n in world.nodes), "as a table", out)
    service.behave("502")
    run(t, agent, "sessions, but nobody answers well", 1, "sessions")
    t.ok('provider = "none"' in agent.command("sessions")[2], "what to do where there is no such service")
    service.behave("normal")
    run(t, agent, "check-config", 0, "check-config")
    bad = t.agent(world, name="bad", start=False, config="service = 7\n")
    code, out, error = bad.command("check-config")
    t.ok(code == 3 and "bad.conf:1" in out + error, "check-config of a bad one", f"{code} {out} {error}")

    with open(agent.config_path) as f:
        good = f.read()
    for what, text in (("an unknown key", "nonsense = 1\n"), ("a text without its end", 'zone = "b\n')):
        agent.write(text + good)
        code, out, error = agent.command("status", "--json")
        t.ok(code == 0 and json.loads(out)["next_hop"] == home and re.search(r"a\.conf:\d+: ", error)
             and f"{agent.socket_path} is asked" in error and error.count("\n") == 2,
             f"a file that is wrong by now ({what}): the agent is asked all the same", f"{code} {out} {error}")
        code, out, error = agent.command("journal")
        t.ok(code == 0 and out and re.search(r"a\.conf:\d+: ", error) and f"in {agent.state_directory} is read" in error,
             "so is its journal", f"{code} {out} {error}")
    wrong_file(t, world, agent, good)
    agent.write(good)

    def fetch(path):
        try:
            return inside(world.host.namespace, lambda: urllib.request.urlopen(
                f"http://127.0.0.1:9321{path}", timeout=3).read().decode())
        except urllib.error.HTTPError as error:
            return str(error.code)

    metrics = fetch("/metrics")
    t.ok("reroute_route_present 1\n" in metrics and "reroute_route_local 1\n" in metrics and
         f'reroute_path_current{{access="{world.node(1).name}",tier="data",address="{home}"}} 1\n' in metrics,
         "metrics", metrics)
    t.ok(fetch("/v1/status") == "404", "and nothing else over TCP")
    answered = sum(int(n) for n in re.findall(r"reroute_path_reply_seconds_count{.*} (\d+)", metrics))
    t.ok(answered >= int(re.search(r"probe_replies_total (\d+)", metrics)[1]) > 0 and
         metrics.count('le="+Inf"') == len(document["paths"]), "every reply is in a histogram", metrics)
    out = run(t, agent, "metrics", 0, "metrics")
    names = lambda text: set(re.findall(r"^# TYPE (\w+)", text, re.M))
    t.ok(names(out) == names(metrics) and "reroute_agent_up 1\n" in out, "the same as a command", out)
    path = os.path.join(t.directory, "reroute.prom")
    run(t, agent, "metrics into a file", 0, "metrics", "--output", path)
    with open(path) as f:
        t.ok("reroute_agent_up 1\n" in f.read(), "are there")
    t.ok(agent.terminate() == 0, "stopped")
    run(t, agent, "metrics without an agent", 4, "metrics", "--output", path)
    with open(path) as f:
        text = f.read()
    t.ok("reroute_agent_up 0\n" in text and "route_present" not in text, "say so in the file", text)


sys.exit(main([pins, pinned_to_the_dead, pinned_where_it_is, pinned_to_nobody, drains, maintenance, failback, explains, left_just_now,
               with_query, by_hand, asking], parallel=4))
