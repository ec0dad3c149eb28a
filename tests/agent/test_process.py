# SPDX-License-Identifier: Apache-2.0
"""The process: stopped, starved, reloaded, ended, watched by a service manager; and loss that is no failure.

`LOSS_SECONDS=600 tests/agent/test_process.py random_loss` is the long run."""
import fcntl
import os
import re
import signal
import socket
import sys
import threading
import time

from harness import log_time, main, stays
from netlab.namespace import end_of_life
from netlab.wait import PATIENCE_S, wait_for


def stopped(t):
    """SIGSTOP for three seconds: no false failover, and a real failure in that time is seen."""
    world, service, monitor, agent, home = t.settled(timeout="20ms", count=3)
    changes = monitor.changes()
    for seconds in (3, 0.2, 0.5):
        agent.signal(signal.SIGSTOP)
        time.sleep(seconds)  # so long it stands still
        agent.signal(signal.SIGCONT)
        t.ok(stays(lambda: monitor.changes() == changes, agent.up(home, 1)), f"{seconds} s: no switch", agent.log())
    t.ok(all(p["up"] for p in agent.status()["paths"]), "no path went down", agent.status())
    t.ok(len(agent.events("path-down")) == 0, "not even for a moment", agent.log())
    agent.signal(signal.SIGSTOP)
    world.cut(world.node(1), "data")
    said = world.host.run("ping", "-c", "4", "-i", "0.2", "-W", "0.3", home, check=False)
    t.ok("4 packets transmitted, 0 received" in said, "the host sees the node silent for longer than a window", said)
    agent.signal(signal.SIGCONT)
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "what broke meanwhile is seen",
                 detail=agent.status)


def starved(t):
    """Busy loops beside, twice as many as processors."""
    world, service, monitor, agent, home = t.settled(timeout="20ms", count=3)
    changes = monitor.changes()
    pids = []
    for _ in range(2 * os.cpu_count()):
        pid = os.fork()
        if pid == 0:
            end_of_life()
            while True:
                pass
        pids.append(pid)
    try:
        t.ok(stays(lambda: monitor.changes() == changes, agent.up(home, 6)), "no switch", agent.log())
        t.ok(len(agent.events("path-down")) == 0, "no path down", agent.log())
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def random_loss(t):
    """Five percent of all packets to and from every node lost at random, as ever."""
    seconds = float(os.environ.get("LOSS_SECONDS", "30"))
    world, service, monitor = t.cluster(settings=dict(nodes=4))
    home = world.node(1).address("data")
    for node in world.nodes:
        world.lose(node, 5)
    agent = t.agent(world, timeout="50ms", count=10)
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    changes = monitor.changes()
    t.ok(stays(lambda: monitor.changes() == changes, agent.up(home, seconds), seconds + PATIENCE_S),
         f"no switch in {seconds:.0f} s", agent.log())
    t.ok(wait_for(lambda: 1 < agent.path(home)["loss_percent"] < 15), "the loss is in the status",
         agent.path(home)["loss_percent"])
    t.ok(agent.path(home)["up"] and agent.path(home)["eligible"], "up and eligible", agent.path(home))
    for node in world.nodes:
        world.lose(node, 0)


def degraded(t):
    """A path that loses half: left for a clean one; not returned to while it does."""
    world, service, monitor, agent, home = t.settled(probe='degraded-over = "1s"', count=20, timeout="50ms", hold="2s")
    world.lose(world.node(1), 50)
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "left", detail=agent.status)
    t.ok(agent.get("reason") == "degraded" and "degraded" in agent.path(home)["why"], "for that reason", agent.status())
    t.ok("clean after 1.25 s with 15 %" in agent.path(home)["why"], "25 requests are waited for", agent.path(home))
    t.ok(stays(lambda: agent.get("next_hop") != home, agent.up(agent.get("next_hop"), 3)), "and not returned to",
         agent.log())
    world.lose(world.node(1), 0)
    t.eventually(agent.on(home), "home when it is clean", detail=agent.status)


def all_lose(t):
    """Half of what comes in is lost, by the host's own cable, so by all paths at the same moment: no other one is better, so
    the route does not wander. One may look clean for a moment; then the route comes home after a hold."""
    world, service, monitor, agent, home = t.settled(timeout="100ms", count=10)
    before = len(agent.switches())
    world.lose(world.host, 50)
    t.eventually(lambda: "degraded" in agent.path(home)["why"], "noticed", detail=agent.status)
    t.ok(stays(lambda: len(agent.switches()) <= before + 2, agent.asks(700), 60), "out and back at most", agent.switches())
    world.lose(world.host, 0)


def lossy_candidate(t):
    """A candidate that loses every second request, seldom asked as it is, is not what a failover takes."""
    world, service, monitor = t.cluster(settings=dict(nodes=3, zones=("a", "b")))
    home, near, far = (n.address("data") for n in world.nodes)
    agent = t.agent(world, timeout="100ms", count=10, candidate="1s")  # the defaults
    t.eventually(agent.settled(home), "at home")
    device = world.node(2).interface("data")
    world.node(2).run("nft", "-f", "-", text="table inet loss {\n chain in {\n type filter hook input priority 0\n"
                      f"iifname {device} meta l4proto icmp numgen inc mod 2 < 1 drop\n}}\n}}\n")
    t.eventually(lambda: "degraded" in agent.path(near)["why"], "it is found out", 90, detail=lambda: agent.path(near))
    t.ok(agent.path(near)["up"] and agent.path(near)["rank"] < agent.path(far)["rank"],
         "it is up, and nearer than a clean one", agent.status())
    service.stop(world.node(1))  # left at once when that is known: no time of doubt, in which all are asked more often
    t.eventually(lambda: agent.get("next_hop") != home, "failover", detail=agent.status)
    t.ok(agent.switches()[-1][:2] == (home, far) and len(agent.switches()) == 2, "to the clean one, at once",
         agent.switches())


def without_sessions(t):
    """A reload that ends the asking for sessions: who was dead by the last list does not stay so for ever."""
    world, service, monitor, agent, home = t.settled(hold="1s")
    service.stop(world.node(1))
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "its session ends: left", detail=agent.status)
    t.ok(agent.get("reason") == "session-dead", "for that reason", agent.status())
    agent.write(agent.text(provider="none", hold="1s"))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "reloads")
    t.eventually(lambda: agent.path(home).get("eligible"), "eligible by its network alone", seconds=10,
                 detail=agent.status)
    t.eventually(agent.on(home), "and home after hold", detail=agent.status)


def stalled_log(t):
    """Nobody reads the log and the pipe is full: the agent goes on, and says later what was lost."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1).address("data")
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(reading, False)
    # Of its own, so that it alone does not wait: the agent's end is left as most are.
    own = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)

    def fill():
        try:
            while os.write(own, b"x"):
                pass
        except BlockingIOError:
            pass

    def read():
        text = b""
        try:
            while chunk := os.read(reading, 65536):
                text += chunk
        except BlockingIOError:
            pass
        return text.decode().lstrip("x")

    def lost(text):
        return [int(n) for n in re.findall(r"event=log-lines-lost count=(\d+)", text)]

    agent = t.agent(world, start=False, hold="1s")
    agent.stderr = writing
    agent.start()
    t.eventually(agent.settled(home), "at home, unread")
    text = read()
    t.ok(text and not lost(text), "what was read is the beginning", text)
    fill()
    world.cut(world.node(1), "data")
    t.eventually(lambda: monitor.gateway() not in (None, home), "failover", detail=agent.status)
    t.eventually(lambda: agent.get("reason") == "path-down", "and it answers", detail=agent.status)
    t.ok(read() == "", "no line came through a full pipe")
    world.plug(world.node(1), "data")
    parts = []
    t.eventually(lambda: parts.append(read()) or (lost("".join(parts)) and agent.get("next_hop") == home),
                 "read again: what was lost is said", detail=lambda: parts)
    text = "".join(parts)
    t.ok(lost(text)[0] > 3 and all(re.match(r"time=\S+ level=\w+ event=\S", x) for x in text.splitlines()),
         "in whole lines", text)
    fill()
    t.ok(agent.terminate() == 0, "ends while nobody reads")
    for fd in (own, reading, writing):
        os.close(fd)


def reload(t):
    """SIGHUP: a bad file, changed timings, an access more, the access in use gone from the file."""
    world, service, monitor, agent, home = t.settled(nodes=4, hold="60s")
    changes, good = monitor.changes(), agent.text(hold="60s")

    def hup():
        before = len(agent.events("reload")) + len(agent.events("reload-refused"))
        agent.signal(signal.SIGHUP)
        t.eventually(lambda: len(agent.events("reload")) + len(agent.events("reload-refused")) == before + 1, "reloads")

    for text, expected in ((good + 'colour = "blue"\n', "colour"), (good.replace("hold =", "holt ="), "holt"),
                           (good.replace(world.service, "10.0.0.300"), "10.0.0.300"),
                           (good.replace(world.service, "198.18.7.10"), "service"), ("", "service"),
                           (good.replace(agent.socket_path, agent.socket_path + "2"), "control-socket"),
                           (good.replace(f'{agent.state_directory}"', f'{agent.state_directory}2"'), "state-directory"),
                           (good.replace("hold =", "metric = 7 hold ="), "metric"),
                           (good.replace("hold =", 'command-timeout = "2s" hold ='), "command-timeout"),
                           (good + 'metrics-listen = "127.0.0.1:1"\n', "metrics-listen")):
        agent.write(text)
        refused = len(agent.events("reload-refused"))
        hup()
        line = agent.events("reload-refused")[-1:]
        t.ok(len(agent.events("reload-refused")) == refused + 1 and expected in line[0]["error"],
             f"a bad file: one line that names {expected}", line)
        t.ok(agent.get("next_hop") == home and len(agent.status()["paths"]) == 8, "the old one is kept", agent.status())
    up = agent.path(home)["up_s"]
    agent.write(agent.text(hold="60s", timeout="30ms", count=3, accesses=world.nodes[:3]))
    hup()
    t.eventually(lambda: len(agent.status().get("paths", [])) == 6, "an access less", detail=agent.status)
    t.ok(agent.path(home)["up"] and agent.path(home)["up_s"] > up, "what is known stays", agent.path(home))
    sent, began = agent.get("probe")["sent"], time.monotonic()
    t.eventually(agent.asks(40), "it goes on asking")
    t.ok((agent.get("probe")["sent"] - sent) / (time.monotonic() - began) > 28 + 5 * 2.5, "new timings hold")
    agent.write(agent.text(hold="60s", accesses=world.nodes[1:]))
    hup()
    t.eventually(lambda: agent.get("access") == "foreign", "the access in use is gone from the file",
                 detail=agent.status)
    t.ok(agent.get("next_hop") == home and agent.path(home)["up"], "its route stays while it answers", agent.status())
    t.ok(stays(agent.on(home), agent.up(home, 1.5)), "and stays", agent.log())
    t.ok(monitor.changes() == changes, "in all this the route was not touched", monitor.events)
    agent.write(good)
    hup()
    t.eventually(lambda: agent.get("access") == world.node(1).name and agent.get("local"), "and back in the file",
                 detail=agent.status)
    agent.write(agent.text(hold="60s", accesses=world.nodes[1:]))
    hup()
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") in [n.address("data") for n in world.nodes[1:]],
                 "gone from the file and silent: left", detail=agent.status)
    for _ in range(30):
        agent.signal(signal.SIGHUP)
    hops = agent.get("next_hop")
    t.ok(stays(lambda: monitor.gateway() == hops, agent.up(hops, 1)), "a storm of SIGHUPs", agent.log())


def reload_storm(t):
    """A reload every 50 ms: a failure is found as if there were none, and many signals are few reloads."""
    world, service, monitor, agent, home = t.settled(timeout="100ms", count=5)
    over = threading.Event()

    def storm():
        while not over.wait(0.05):
            agent.signal(signal.SIGHUP)

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        t.eventually(lambda: len(agent.events("reload")) >= 2, "reloads", detail=agent.log)
        puts = len(service.seen("PUT"))
        world.cut(world.node(1), "data")
        t.eventually(lambda: agent.get("next_hop") not in (None, home), "the failover", detail=agent.status)
        switch = agent.events("switch")[-1]
        silent = float(switch["silent_ms"]) - float(switch["replace_us"]) / 1000
        t.ok(silent < 100 * 6 + 20 + 600, "in time", f"{silent} ms")
        t.eventually(lambda: len(service.seen("PUT")) > puts and agent.get("refresh")["done"], "the cluster is told",
                     detail=agent.status)
        world.plug(world.node(1), "data")
        t.eventually(agent.on(home), "the way home too", detail=agent.status)
    finally:
        over.set()
        thread.join()
    seconds = log_time(agent.events("reload")[-1]) - log_time(agent.events("reload")[0])
    t.ok(len(agent.events("reload")) <= 2 * seconds + 2, "two a second at most", (seconds, len(agent.events("reload"))))
    t.ok(not agent.events("reload-refused"), "none refused")


def ending(t):
    """SIGTERM and SIGINT leave the route; a second agent is refused; what another agent holds is left alone."""
    world, service, monitor, agent, home = t.settled()
    code, error = agent.run_to_end()
    t.ok(code == 4 and error.count("\n") == 1 and str(agent.process.pid) in error, "a second agent: one line, code 4",
         f"{code} {error}")
    second = t.agent(world, name="b", start=False)
    second.write(second.text().replace(second.socket_path, agent.socket_path))
    code, error = second.run_to_end()
    t.ok(code == 4 and error.count("\n") == 1, "another state directory, the same socket: refused too",
         f"{code} {error}")
    t.ok(agent.status(), "and the first one still answers on it")
    changes = monitor.changes()
    for number in (signal.SIGTERM, signal.SIGINT):
        agent.signal(number)
        t.ok(wait_for(lambda: agent.process.poll() == 0), f"{number.name}: code 0", agent.process.poll())
        t.ok(monitor.changes() == changes and monitor.gateway() == home, "the route stays", monitor.events)
        t.ok(not os.path.exists(agent.socket_path), "the socket is gone")
        code, _, error = agent.command("status")
        t.ok(code == 4 and error.count("\n") == 1, "status without an agent: one line, code 4", f"{code} {error}")
        agent.start()
        t.eventually(agent.settled(home), "starts again")
    # Ended while the session service hangs: at once.
    service.behave("hang")
    t.ok(wait_for(service.asked(1)), "a request hangs")
    began = time.monotonic()
    t.ok(agent.terminate() == 0 and time.monotonic() - began < 2, "ends while requests hang", time.monotonic() - began)


def notify(t):
    """READY, WATCHDOG, RELOADING and STOPPING for the service manager."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    path = os.path.join(t.directory, "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.settimeout(5)
    agent = t.agent(world, start=False)
    agent.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}
    agent.start()
    seen, times = [], []

    def hear(until, seconds=5):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                text = manager.recv(4096).decode()
            except TimeoutError:
                return False
            seen.append(text)
            times.append(time.monotonic())
            if until(text):
                return True
        return False

    t.ok(hear(lambda x: "READY=1" in x), "READY", seen)
    t.ok(agent.status(), "when it answers")
    for _ in range(5):
        hear(lambda x: "WATCHDOG=1" in x)
    t.ok(max(b - a for a, b in zip(times[1:], times[2:])) < 0.4, "WATCHDOG in time", times)
    agent.signal(signal.SIGHUP)
    t.ok(hear(lambda x: "RELOADING=1" in x and "MONOTONIC_USEC=" in x), "RELOADING", seen)
    t.ok(hear(lambda x: "READY=1" in x), "READY again", seen)
    agent.signal(signal.SIGTERM)
    t.ok(hear(lambda x: "STOPPING=1" in x), "STOPPING", seen)


def dry_run(t):
    """Decides and explains, touches nothing."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home, other = world.node(1).address("data"), world.node(2).address("data")
    agent = t.agent(world, start=False, arguments=["--dry-run"], hold="1s",
                    session='heartbeat-path = "/heartbeat/reroute"')
    agent.start()
    t.eventually(lambda: [e for e in agent.events("decision") if e["action"] == "switch-not-done"], "decides",
                 detail=agent.log)
    t.ok(agent.events("decision")[-1]["to"] == home, "for the local access", agent.log())
    t.ok(stays(lambda: monitor.changes() == 0, service.asked(2)), "no route", monitor.events)
    world.host.ip("route", "add", world.service, "via", other)
    changes = wait_for(monitor.changes)
    t.eventually(lambda: agent.events("adopt"), "follows what others do", seconds=15)
    t.eventually(lambda: [e for e in agent.events("decision") if e["reason"] == "failback"], "would go home",
                 detail=agent.log)
    world.cut(world.node(2), "data")
    t.eventually(lambda: [e for e in agent.events("decision") if e["reason"] == "path-down"], "would leave",
                 detail=agent.log)
    t.ok(agent.terminate() == 0 and monitor.changes() == changes, "touched no route", monitor.events)
    t.ok(not service.seen("PUT") and not service.seen("POST"), "told nobody", service.requests)
    t.ok(not os.path.exists(agent.socket_path) and not os.path.exists(agent.state_directory), "wrote nothing")


sys.exit(main([random_loss, all_lose, lossy_candidate, stopped, starved, degraded, reload, reload_storm,
               without_sessions, stalled_log, ending, notify, dry_run], parallel=3,
              each_seconds=100 + float(os.environ.get("LOSS_SECONDS", "0"))))
