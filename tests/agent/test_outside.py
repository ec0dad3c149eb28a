# SPDX-License-Identifier: Apache-2.0
"""Nobody may stop the agent from outside: clients that idle, flood or dawdle, a standard error that nobody reads, no
descriptors left, a state directory in any condition, a lock that others hold."""
import contextlib
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

from hanging import NO_PRELOAD, a_disk_that_hangs, may_hang
from harness import BUILD, NEVER_KEPT, RUN, TRANSPORT, main
from netlab.namespace import end_of_life, entering, inside, libc
from netlab.wait import wait_for

WINDOW = 0.05 * 4
LIMIT = WINDOW + 3  # of a failover here: several scenarios run at once; what they guard against is none at all
NOBODY = 65534
PORT = 9321
DEAF = os.path.join(BUILD, "tests", "agent", "libdeaf.so")


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def costs_little(t, agent, seconds, share, what):
    """What the agent uses of a processor in this time."""
    before, began = processor_seconds(agent.process.pid), time.monotonic()
    time.sleep(seconds)  # what is measured
    used = (processor_seconds(agent.process.pid) - before) / (time.monotonic() - began)
    t.ok(used < share, f"{what}: little of the processor", used)
    t.note(f"{what}: {used * 100:.0f} % of a processor")


def cut_and_time(t, world, monitor, home):
    """Cuts the node at home off; how long until the route had moved, None: never."""
    node = next(n for n in world.nodes if n.address("data") == home)
    before = monitor.changes()
    began = time.monotonic()
    world.cut(node, "data")
    if not wait_for(lambda: monitor.changes() > before and monitor.gateway() not in (None, home), 10):
        return None
    return monitor.events[-1].at - began


def fails_over(t, world, monitor, home, what):
    began = time.time()
    took = cut_and_time(t, world, monitor, home)
    t.ok(took is not None and took < LIMIT + t.command_s(world, began), f"{what}: failover within its bound", took)
    t.note(f"{what}: failover took {took and round(took * 1000)} ms")


def limited(soft, hard, namespace):
    enter = entering(namespace)

    def prepare():
        enter()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return prepare


def idle_on_control(t):
    """120 idle clients of the control socket, 64 descriptors, and a standard error that nobody reads."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home = world.node(1).address("data")
    reading, writing = os.pipe()
    agent = t.agent(world, start=False)
    agent.stderr = writing
    agent.program = ["prlimit", "--nofile=64:64", *RUN]
    agent.start()
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    with contextlib.suppress(BlockingIOError):  # full; our end is opened anew, so that the agent's still waits
        own = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
        while True:
            os.write(own, b"." * 4096)
    clients = [socket.socket(socket.AF_UNIX) for _ in range(120)]
    for client in clients:
        client.connect(agent.socket_path)
    costs_little(t, agent, 2, 0.2, "120 idle clients")
    t.ok(agent.descriptors() < 58, "descriptors are left", agent.descriptors())
    t.ok(agent.status().get("next_hop") == home, "who asks is answered all the same", agent.status())
    fails_over(t, world, monitor, home, "120 idle clients, 64 descriptors, a full pipe")
    t.eventually(lambda: agent.get("reason") == "path-down", "and says so", detail=agent.status)
    for client in clients:
        client.close()
    os.close(reading)
    t.ok(agent.terminate() == 0, "ends")


def idle_on_metrics(t):
    """1,100 idle connections from another host, and one who asks."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home, host = world.node(1).address("data"), world.host.address("data")
    agent = t.agent(world, start=False, top=f'metrics-listen = "{host}:{PORT}"')
    agent.program = ["prlimit", "--nofile=1024:1024", *RUN]
    agent.start()
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    flood = subprocess.Popen([sys.executable, "-c", f"""
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
all_of_them = []
for _ in range(1100):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("{host}", {PORT}))
    all_of_them.append(s)
print(flush=True)
sys.stdin.read()"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=entering(world.node(3).namespace))
    flood.stdout.readline()

    def scrape(node):
        def ask():
            with socket.create_connection((host, PORT), 5) as s:
                s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                text = b""
                while part := s.recv(65536):
                    text += part
                return text.decode()
        return inside(node.namespace, ask)

    costs_little(t, agent, 2, 0.2, "1,100 idle connections")
    t.ok(agent.descriptors() < 80, "a bounded number of descriptors", agent.descriptors())
    t.ok("reroute_route_present 1\n" in scrape(world.node(2)), "who asks from elsewhere is answered")
    t.ok(f"reroute_state_kept {0 if NEVER_KEPT else 1}\n" in scrape(world.node(3)), "and from the same place")
    t.ok(agent.status().get("next_hop") == home and agent.command("sessions")[0] == 0, "the other commands work")
    fails_over(t, world, monitor, home, "1,100 idle connections")
    flood.communicate()
    t.ok(not agent.events("accept-paused"), "no accept() failed", agent.events("accept-paused"))


def clients_that_misbehave(t):
    """Slow, endless, silent, half, wrong; who connects in a loop; who does not read his answer."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    home = world.node(1).address("data")
    agent = t.agent(world)
    t.eventually(agent.settled(home), "at home", detail=agent.status)

    def connect():
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(agent.socket_path)
        return s

    def answer(text):
        with connect() as s:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(text)
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while part := s.recv(65536):
                    got += part
            return got.decode(errors="replace").split("\r\n")[0]

    for text, status in ((b"nonsense\r\n\r\n", 400), (b"GET /v1/status HTTP/9.9\r\n\r\n", 505),
                         (b"GET /nothing HTTP/1.1\r\n\r\n", 404), (b"DELETE /v1/status HTTP/1.1\r\n\r\n", 405),
                         (b"GET /v1/pin HTTP/1.1\r\n\r\n", 405), (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
                         (b"GET /v1/status HTTP/1.1\r\nA: " + b"x" * 100000 + b"\r\n\r\n", 431),
                         (b"POST /v1/pin HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 100000, 413),
                         (b"POST /v1/pin HTTP/1.1\r\nContent-Length: 5\r\n\r\n{{{{{", 400),
                         (b"POST /v1/pin HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 409)):
        t.ok(f" {status} " in answer(text), f"{status} for {text[:30]}", answer(text))

    began = time.monotonic()
    slow, silent = connect(), connect()
    slow.setblocking(False)
    silent.setblocking(False)
    ended = {}

    def drip():
        for name, s in (("slow", slow), ("silent", silent)):
            if name in ended:
                continue
            try:
                if name == "slow":
                    s.send(b"G")
                if s.recv(1) == b"":
                    ended[name] = time.monotonic() - began
            except BlockingIOError:
                pass
            except OSError:
                ended[name] = time.monotonic() - began
        return len(ended) == 2

    t.ok(wait_for(drip, 15) and all(4 < s < 12 for s in ended.values()),
         "a byte now and then does not keep a connection longer than silence", ended)

    before, began, rounds = processor_seconds(agent.process.pid), time.monotonic(), 0
    while time.monotonic() < began + 2:  # connects and goes as fast as it can
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        with contextlib.suppress(BlockingIOError):
            s.connect(agent.socket_path)
            rounds += 1
        s.close()
    used = processor_seconds(agent.process.pid) - before
    t.ok(used < 0.4 * (time.monotonic() - began), f"{rounds} connections in a loop: little of the processor", used)
    t.eventually(agent.on(home), "and it answers when the queue is worked off", detail=agent.status)

    asker = os.fork()  # asks as fast as it can
    if asker == 0:
        end_of_life()
        while True:
            agent.status()
    # One works while the other waits: about half the time each, and on a quiet machine the answer may cost more.
    costs_little(t, agent, 2, 0.75, "who asks in a loop")
    os.kill(asker, signal.SIGKILL)
    os.waitpid(asker, 0)
    deaf = [connect() for _ in range(40)]
    for s in deaf:
        with contextlib.suppress(OSError):
            s.sendall(b"GET /v1/status HTTP/1.1\r\n\r\n")
    t.ok(agent.status().get("next_hop") == home, "who does not read his answer holds nobody up", agent.status())
    t.ok(agent.descriptors() < 70, "nor many descriptors", agent.descriptors())
    for s in deaf:
        s.close()
    fails_over(t, world, monitor, home, "afterwards")


def received(manager):
    """What the service manager has been told since it was asked last."""
    messages = []
    with contextlib.suppress(BlockingIOError):
        while True:
            messages.append(manager.recv(400))
    return messages


def has_children(pid):
    """Of any of its threads: a command that runs."""
    tasks = f"/proc/{pid}/task"
    for task in os.listdir(tasks):
        with contextlib.suppress(FileNotFoundError), open(f"{tasks}/{task}/children", encoding="ascii") as f:
            if f.read():
                return True
    return False


def is_asked(agent):
    """Has it a connection on its control socket, besides the one that listens?"""
    with open(f"/proc/{agent.process.pid}/net/unix", encoding="utf-8") as f:
        return sum(line.endswith(f" {agent.socket_path}\n") for line in f) > 1


def lasting_descriptors(agent):
    """Those that are open while no command runs, no file is being written and nobody asks; None: something of it is."""
    directory = f"/proc/{agent.process.pid}/fd"
    lasting = {os.path.join(agent.state_directory, name) for name in ("lock", "journal.jsonl")}
    opened = {}
    if is_asked(agent) or has_children(agent.process.pid):
        return None
    for n in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            opened[int(n)] = os.readlink(os.path.join(directory, n))
    if has_children(agent.process.pid):
        return None
    written = {path for path in opened.values() if path.startswith(agent.state_directory)}
    return set(opened) if written <= lasting else None


def no_descriptors(t):
    """The limit is lowered to what is open: nothing more can be, but the switch, its resets, the state and the
    watchdog go on."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    home = world.node(1).address("data")
    path = os.path.join(t.directory, "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.setblocking(False)
    agent = t.agent(world, start=False, provider="none")
    agent.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}
    agent.start()
    wait_for(lambda: agent.get("next_hop"))  # a route command that still runs has the descriptors that are kept for it
    home = monitor.gateway()
    client = inside(world.host.namespace, socket.create_connection, (world.service, 2049))
    client.settimeout(5)
    _, hard = resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE)
    wait_for(lambda: os.path.exists(os.path.join(agent.state_directory, "journal.jsonl")))
    opened = wait_for(lambda: lasting_descriptors(agent))
    resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE,
                     (min(set(range(max(opened) + 2)) - opened), hard))
    held = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for s in held:
        s.connect(agent.socket_path)
    t.eventually(lambda: agent.events("accept-paused"), "accepting pauses", detail=agent.log)
    costs_little(t, agent, 1.5, 0.2, "accept() that fails")
    t.ok(len(agent.events("accept-paused")) == 1, "and says so once", agent.events("accept-paused"))
    fails_over(t, world, monitor, home, "no descriptor left")
    t.eventually(lambda: agent.events("connections-reset"), "connections are reset", detail=agent.log)
    try:
        client.send(b"x")
        reset = client.recv(1) == b""
    except OSError:
        reset = True
    t.ok(reset, "ours was", agent.log())
    t.ok({os.path.basename(e["file"]) for e in agent.events("not-kept")} == NEVER_KEPT, "the state was saved",
         agent.log())
    received(manager)
    t.eventually(lambda: any(b"WATCHDOG=1" in m for m in received(manager)), "the watchdog is told")
    resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "with descriptors it answers again",
                 detail=agent.status)
    for s in held:
        s.close()
    client.close()


# --- the state directory --------------------------------------------------------------------------------------

def file_systems(t, directory):
    """A mount namespace of our own for what is mounted here: nothing is left in the end."""
    if libc.unshare(0x00020000) < 0:  # CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    os.makedirs(directory, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "none", directory], check=True)


def fill(path):
    with open(path, "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"." * 4096)


def full_or_read_only(t):
    """Full at the start, room again; full later; read-only at the start."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    home = world.node(1).address("data")
    disk = os.path.join(t.directory, "disk")
    file_systems(t, disk)
    agent = t.agent(world, start=False, hold="1s")
    agent.state_directory = os.path.join(disk, "st")
    agent.write(agent.text(hold="1s"))
    os.mkdir(agent.state_directory, 0o700)
    fill(os.path.join(disk, "fill"))
    agent.start()
    t.eventually(agent.settled(home), "a full disk: starts", detail=lambda: agent.log())
    t.eventually(lambda: {k["file"] for k in agent.get("not_kept") or []} >= {"state.json", "journal.jsonl"},
                 "and says what is not kept", detail=agent.status)
    t.ok(all("No space" in k["reason"] or k["file"] in NEVER_KEPT for k in agent.get("not_kept")), "and why",
         agent.get("not_kept"))
    t.ok(len([e for e in agent.events("not-kept") if e["file"].endswith("state.json")]) == 1, "once in the log",
         agent.events("not-kept"))
    code, error = agent.run_to_end()
    t.ok(code == 4 and str(agent.process.pid) in error, "a second one is refused", f"{code} {error}")
    fails_over(t, world, monitor, home, "a full disk")
    os.unlink(os.path.join(disk, "fill"))
    world.plug(world.node(1), "data")
    t.eventually(agent.on(home), "home again", detail=agent.status)
    t.eventually(lambda: [e for e in agent.events("kept-again") if e["file"].endswith("state.json")],
                 "with room it is kept again", detail=agent.log)
    fill(os.path.join(disk, "fill"))
    t.ok(agent.command("drain", world.node(1).name)[0] == 0, "full again: a drain")
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "is carried out", detail=agent.status)
    t.eventually(lambda: agent.get("not_kept"), "that it is not kept is said", detail=agent.status)
    t.ok(agent.terminate() == 0, "ends")
    os.unlink(os.path.join(disk, "fill"))
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    agent.start()
    t.eventually(lambda: agent.get("next_hop"), "read-only: starts", detail=agent.log)
    t.eventually(lambda: any("Read-only" in k["reason"] for k in agent.get("not_kept") or []), "and says so",
                 detail=agent.status)
    code, error = agent.run_to_end()
    t.ok(code == 4 and str(agent.process.pid) in error, "a second one is refused", f"{code} {error}")
    code, _, error = agent.command("clear")
    t.ok(code == 1 and str(agent.process.pid) in error, "and so is who moves the route by hand", f"{code} {error}")
    t.ok(agent.terminate() == 0, "ends")


def deaf(t):
    """For a while replies come and cannot be received: said once, held against nobody, and no reason to spin."""
    if NO_PRELOAD:
        t.ok(True, "replies that cannot be received", unless=NO_PRELOAD)
        return
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home, flag = world.node(1).address("data"), os.path.join(t.directory, "deaf")
    agent = t.agent(world, start=False)
    agent.write(agent.text(hold="1s").replace(f'transport = "{TRANSPORT}"', 'transport = "epoll"'))
    agent.environment = {"LD_PRELOAD": DEAF, "DEAF_WHILE": flag}
    agent.start()
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    changes = monitor.changes()
    with open(flag, "w"):
        pass
    t.eventually(lambda: agent.events("probe"), "that nothing can be received is said", detail=agent.log)
    costs_little(t, agent, 2, 0.3, "replies that cannot be received")
    t.ok(agent.status().get("next_hop") == home, "who asks is answered", agent.status())
    os.unlink(flag)
    t.eventually(agent.settled(home), "heard again: at home", detail=agent.status)
    t.ok([e["error"] for e in agent.events("probe")] == ["Input/output error"], "said once", agent.log())
    t.ok(monitor.changes() == changes, "the route was left alone", agent.log())
    fails_over(t, world, monitor, home, "heard again")


@a_disk_that_hangs
def disk_hangs(t):
    """Nothing in the state directory comes back: not a write, not a look. Later it does; and once more at the end."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    home, hang = world.node(1).address("data"), os.path.join(t.directory, "hang")
    agent = t.agent(world, start=False, hold="1s")
    may_hang(agent, agent.state_directory, hang)
    agent.start()
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    with open(hang, "w"):
        pass
    fails_over(t, world, monitor, home, "a disk that hangs")
    t.ok(agent.command("drain", world.node(1).name)[0] == 0, "an order is taken")
    t.eventually(lambda: {k["file"] for k in agent.get("not_kept") or []} >= {"state.json", "journal.jsonl"},
                 "says what is not kept", detail=agent.status)
    t.ok(all("does not answer" in k["reason"] for k in agent.get("not_kept")), "and why", agent.get("not_kept"))
    os.unlink(hang)
    t.eventually(lambda: agent.status() and not agent.get("not_kept"), "it answers: all is kept", detail=agent.status)

    def kept(name):
        with open(os.path.join(agent.state_directory, name)) as f:
            return f.read()

    t.eventually(lambda: f'"{world.node(1).name}"' in kept("state.json"), "the order", detail=agent.log)
    lines = [json.loads(line) for line in kept("journal.jsonl").splitlines()]
    switches = [(line["from"], line["to"]) for line in lines if line["kind"] == "switch"]
    t.ok(switches[-1] == (home, monitor.gateway()), "the switch", switches)
    t.ok([line["why"] for line in lines if line["kind"] == "snapshot"] == ["start"], "no line is lost", lines)
    with open(hang, "w"):
        pass
    t.ok(agent.command("undrain", world.node(1).name)[0] == 0, "hangs again: an order")
    t.ok(agent.terminate() == 0, "ends all the same", agent.log())


@a_disk_that_hangs
def list_hangs(t):
    """The file of the session list, on a disk that hangs: what was known stands, and nothing waits for it."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    far, hang = os.path.join(t.directory, "far"), os.path.join(t.directory, "hang")
    home, path = world.node(1).address("data"), os.path.join(far, "list.json")
    os.mkdir(far)
    with open(path, "w") as f:
        json.dump(service.entries(), f)
    agent = t.agent(world, start=False, provider="file", session=f'file = "{path}"', hold="1s")
    may_hang(agent, far, hang)
    agent.start()
    t.eventually(agent.on(home), "at home", detail=agent.status)
    t.eventually(lambda: agent.get("sessions")["accesses"][0]["state"] != "unknown", "the list is read", detail=agent.status)
    with open(hang, "w"):
        pass
    t.eventually(lambda: agent.events("session-list-failed"), "that it hangs is said", detail=agent.log)
    t.ok("list.json: the disk does not answer" in agent.events("session-list-failed")[0]["error"], "in words", agent.log())
    fails_over(t, world, monitor, home, "a list that hangs")
    t.eventually(lambda: agent.get("sessions")["overdue_s"], "lists are overdue", detail=agent.status)
    os.unlink(hang)
    t.eventually(lambda: agent.get("sessions")["overdue_s"] is None, "the disk answers: no longer", detail=agent.status)
    with open(hang, "w"):
        pass
    t.ok(agent.terminate() == 0, "ends though it hangs", agent.log())


def in_place_of(t):
    """Something else in place of the directory, or of each of its files: starts, keeps what it can, never waits."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    home = world.node(1).address("data")
    foreign = os.path.join(t.directory, "foreign")
    with open(foreign, "w") as f:
        f.write("{}")
    os.chown(foreign, NOBODY, NOBODY)
    kinds = {
        "a FIFO": os.mkfifo,
        "a socket": lambda path: socket.socket(socket.AF_UNIX).bind(path),
        "a directory": os.mkdir,
        "a link": lambda path: os.symlink(foreign, path),
        "a link to nowhere": lambda path: os.symlink(path + "-not-there", path),
        "another user's file": lambda path: (os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
                                             os.chown(path, NOBODY, NOBODY)),
    }
    number = 0

    def directory_of(make):
        nonlocal number
        number += 1
        path = os.path.join(t.directory, f"{number}")
        make(path)
        return path

    def whole(kind):
        def make(path):
            os.mkdir(path, 0o700)
            for name in ("lock", "state.json", "state.json.new", "sessions.json", "journal.jsonl", "journal.jsonl.1"):
                kinds[kind](os.path.join(path, name))
        return make

    def others_may_write(path):
        os.mkdir(path)
        os.chmod(path, 0o777)

    def foreign_directory(path):  # where anybody could have made it
        os.mkdir(path)
        os.chmod(path, 0o1777)
        os.mkdir(os.path.join(path, "state"))
        os.chown(os.path.join(path, "state"), NOBODY, NOBODY)

    cases = [(f"{kind} in place of each file", whole(kind), kind == "a directory") for kind in kinds]
    cases += [(f"{kind} in place of the directory", kinds[kind], True) for kind in kinds if kind != "a directory"]
    cases += [("a directory that others may write to", others_may_write, True),
              ("another user's directory", foreign_directory, True),
              ("a directory that cannot be made", lambda path: None, True)]
    agent = t.agent(world, start=False)
    for what, make, lasting in cases:
        agent.state_directory = directory_of(make) if "made" not in what else "/proc/reroute-state"
        if make is foreign_directory:
            agent.state_directory += "/state"
        agent.write(agent.text())
        if os.path.exists(agent.log_path):
            os.unlink(agent.log_path)
        agent.start()
        t.eventually(lambda: agent.get("next_hop") == home, f"{what}: runs", detail=agent.log)
        t.ok(agent.events("not-kept") or agent.events("not-read") or what.startswith("another user's file in"),
             f"{what}: is said", agent.log())
        if lasting:
            t.eventually(lambda: len(agent.get("not_kept") or []) >= 2, f"{what}: not kept", detail=agent.status)
        code, error = agent.run_to_end()
        t.ok(code == 4 and str(agent.process.pid) in error, f"{what}: no second one", f"{code} {error}")
        t.ok(agent.terminate() == 0, f"{what}: ends", agent.log())
        state = os.path.join(agent.state_directory, "state.json")
        if not lasting:
            t.ok(os.path.isfile(state) and not os.path.islink(state) and os.stat(state).st_uid == 0,
                 f"{what}: the state is kept", os.listdir(agent.state_directory))
    with open(foreign) as f:
        t.ok(f.read() == "{}" and os.stat(foreign).st_uid == NOBODY, "what a link led to is untouched")


def lock_of_others(t):
    """Who may not be trusted holds the lock's file or its name: starts all the same; one of ours is refused."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    home = world.node(1).address("data")
    agent = t.agent(world, start=False)
    os.mkdir(agent.state_directory, 0o755)
    os.chmod(t.directory, 0o755)
    lock = os.path.join(agent.state_directory, "lock")
    with open(lock, "w") as f:
        f.write("1\n")
    os.chmod(lock, 0o644)

    def as_nobody(code, namespace=world.host.namespace):
        process = subprocess.Popen(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                                    sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   preexec_fn=entering(namespace))
        process.stdout.readline()
        return process

    name = f"\\0reroute/254/{world.service}"
    squatters = [as_nobody(f"import fcntl, sys\nf = open('{lock}')\nfcntl.flock(f, fcntl.LOCK_EX)\nprint(flush=True)\n"
                           "sys.stdin.read()"),
                 as_nobody(f"import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind('{name}')\ns.listen()\n"
                           "print(flush=True)\nsys.stdin.read()")]
    agent.start()
    t.eventually(agent.settled(home), "starts while others hold both", detail=agent.log)
    t.ok(os.stat(lock).st_mode & 0o777 == 0o600, "the lock is ours alone now", oct(os.stat(lock).st_mode))
    code, error = agent.run_to_end()
    t.ok(code == 4 and str(agent.process.pid) in error, "a second one is refused", f"{code} {error}")
    modes = {n: oct(os.stat(os.path.join(agent.state_directory, n)).st_mode & 0o777)
             for n in os.listdir(agent.state_directory)}
    t.ok(set(modes.values()) == {"0o600"}, "all files are ours alone", modes)
    for one in squatters:
        one.communicate()
    t.ok(agent.terminate() == 0, "ends")

    # One of ours that we can see, by the file alone; and one whose pid nobody knows is not made up.
    with open(lock, "w") as f:
        f.write("1\n")
        fcntl.flock(f, fcntl.LOCK_EX)
        code, error = agent.run_to_end()
        t.ok(code == 4 and str(os.getpid()) in error and "pid 1)" not in error, "who really holds it is named",
             f"{code} {error}")
    # What could not be had at the start is had when the state is saved next.
    os.unlink(lock)
    os.makedirs(os.path.join(lock, "full"))
    agent.start()
    t.eventually(agent.settled(home), "starts without the file", detail=agent.log)
    t.ok([k["file"] for k in agent.get("not_kept") or []] == ["lock"], "and says so", agent.get("not_kept"))
    os.rmdir(os.path.join(lock, "full"))
    os.rmdir(lock)
    t.ok(agent.command("drain", world.node(2).name)[0] == 0, "an order, which is saved")
    t.eventually(lambda: agent.get("not_kept") is None, "the file is had by now", detail=agent.status)
    with open(lock) as f, contextlib.suppress(BlockingIOError):
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        t.ok(False, "it is locked")
    t.ok(agent.terminate() == 0, "ends")
    # A reroute command makes the lock no more readable than the agent does.
    os.unlink(lock)
    os.umask(0)
    t.ok(agent.command("clear")[0] == 0 and os.stat(lock).st_mode & 0o777 == 0o600, "0600 also when clear makes it")


def crash(agent):
    """Ends it as a fault would; was there a core file?"""
    agent.signal(signal.SIGSEGV)
    _, status = os.waitpid(agent.process.pid, 0)
    agent.process.returncode = -signal.SIGSEGV
    return os.WCOREDUMP(status)


def token(t):
    """With a token loaded there is no core file."""
    world = t.world(nodes=1, echo=False)
    secret = os.path.join(t.directory, "token")
    with open(secret, "w") as f:
        f.write("secret\n")
    os.chmod(secret, 0o600)
    dumped = {}
    for name, session in (("with", f'token-file = "{secret}"'), ("without", "")):
        agent = t.agent(world, name=name, start=False, session=session)
        agent.program = ["prlimit", "--core=unlimited:unlimited", "env", "-C", t.directory, *RUN]
        agent.start()
        t.eventually(lambda: agent.get("next_hop"), f"{name} a token: a route", detail=agent.log)
        dumped[name] = crash(agent)
    if not dumped["without"]:
        t.note("no process leaves a core file here: nothing is proved")
    t.ok(not dumped["with"], "no core file with a token", dumped)


def listening_later(t):
    """A port of the metrics that somebody has, a folder of the control socket that is not there: tried again."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    home, host = world.node(1).address("data"), world.host.address("data")
    busy = inside(world.host.namespace, socket.create_server, (host, PORT))
    folder = os.path.join(t.directory, "later")
    agent = t.agent(world, start=False, top=f'metrics-listen = "{host}:{PORT}"')
    agent.socket_path = os.path.join(folder, "deep", "control.sock")
    agent.write(agent.text(**agent.settings))
    agent.start()
    t.eventually(lambda: monitor.gateway() == home, "runs though it can listen nowhere", detail=agent.log)
    t.ok(len(agent.events("not-listening")) == 1, "and says so once", agent.log())
    os.mkdir(folder)
    t.eventually(lambda: agent.get("next_hop") == home, "listens when the folder is there", detail=agent.log)
    busy.close()
    t.eventually(lambda: agent.events("listening"), "and when the port is free", detail=agent.log)
    t.ok(agent.terminate() == 0, "ends")


def journal_priorities(t):
    """Standard error is the journal: lines begin with their priority and have no time."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    st = os.fstat(theirs.fileno())
    agent = t.agent(world, start=False)
    agent.stderr = theirs.fileno()
    agent.environment = {"JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}
    agent.start()
    t.eventually(lambda: monitor.gateway(), "a route")
    world.cut(world.node(1), "data")
    text = ""
    ours.settimeout(10)
    while "event=path-down" not in text:
        text += ours.recv(65536).decode()
    lines = text.splitlines()
    t.ok(all(line[:3] in ("<3>", "<4>", "<6>") and "time=" not in line for line in lines), "priorities, no time", text)
    t.ok(any(line.startswith("<4>level=warn event=path-down") for line in lines), "a warning is one", text)
    agent.terminate()
    agent.write("x = 1\n")
    agent.start()
    agent.process.wait(10)
    text = ours.recv(65536).decode()
    t.ok(text.splitlines()[-1].startswith("<3>reroute agent: "), "why it did not start is an error", text)


def commands(t):
    """A command that came too late to be answered; status --watch over a restart; check-config --quiet."""
    world, service, monitor = t.cluster(settings=dict(nodes=2))
    home = world.node(1).address("data")
    agent = t.agent(world)
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    watch = t.popen(world.host.namespace, [*RUN, "status", "--watch", "--config", agent.config_path],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    os.set_blocking(watch.stdout.fileno(), False)
    seen = []

    def shows(words):
        def check():
            seen.append((watch.stdout.read() or b"").decode())
            return words in "".join(seen)
        return check

    t.eventually(shows(f"via {home}"), "watches")
    agent.terminate()
    t.eventually(shows("no agent answers"), "says that the agent is gone", detail=lambda: seen)
    seen.clear()
    agent.start()
    t.eventually(shows(f"via {home}"), "and goes on when it is there", detail=lambda: seen)
    t.ok(watch.poll() is None, "has not ended")
    t.eventually(agent.settled(home), "at home again", detail=agent.status)
    agent.signal(signal.SIGSTOP)
    code, _, error = agent.command("drain", world.node(2).name)
    agent.signal(signal.SIGCONT)
    t.ok(code == 4 and "may still be done" in error and error.count("\n") == 1, "a command that timed out",
         f"{code} {error}")
    code, _, error = agent.command("status", "--socket", os.path.join(t.directory, "no.sock"), config=False)
    t.ok(code == 4 and "may still" not in error, "not said where nobody was reached", error)
    t.ok(agent.command("check-config", "--quiet") == (0, "", ""), "check-config --quiet says nothing of a good file",
         agent.command("check-config", "--quiet"))
    agent.write("x = 1\n")
    code, out, error = agent.command("check-config", "--quiet")
    t.ok(code == 3 and not out and error.count("\n") == 1, "and one line of a bad one", f"{code} {out} {error}")
    os.unlink(agent.config_path)
    os.mkfifo(agent.config_path)
    for what in ("nobody writes to", "somebody keeps open"):
        keep = os.open(agent.config_path, os.O_RDWR) if "open" in what else -1
        refused = len(agent.events("reload-refused"))
        agent.signal(signal.SIGHUP)
        t.eventually(lambda: len(agent.events("reload-refused")) > refused, f"a FIFO that {what}: a reload is refused",
                     detail=agent.log)
    os.close(keep)
    t.ok(agent.status().get("next_hop") == home, "and the agent goes on", agent.status())


sys.exit(main([idle_on_control, idle_on_metrics, clients_that_misbehave, no_descriptors, full_or_read_only,
               deaf, disk_hangs, list_hangs, in_place_of, lock_of_others, token, listening_later, journal_priorities,
               commands], parallel=4))
