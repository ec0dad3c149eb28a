# SPDX-License-Identifier: Apache-2.0
"""What the tests of the agent share: scenarios that run side by side, and the agent under test.

A scenario is a function of one argument `t`. Each runs in a process of its own with a world of its own; the results
are printed as one TAP stream. Waiting is always for a state, with a deadline.
"""
import contextlib
import datetime
import http.client
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from static_program import why_not
from tap import Tap, skip
from netlab.meter import Meter
from netlab.namespace import end_of_life, end_process, entering
from netlab.wait import PATIENCE_S, Failed, wait_for
from esx import Esx
from left_out import left_out
from service import Service
from world import IPV4, RouteMonitor, World

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("REROUTE_BUILD", os.path.join(ROOT, "build"))
REROUTE = os.path.join(BUILD, "reroute")
# What is run: this build's program or another one, as it is or on a host that refuses calls (tests/userworld).
PROFILE = os.environ.get("REROUTE_PROFILE")
STATIC = os.environ.get("REROUTE_PROGRAM")
RUN = [*([os.path.join(BUILD, "tests", "userworld", "userworld"), PROFILE] if PROFILE else []),
       STATIC if STATIC and not why_not(STATIC) else REROUTE]
# A host without netlink moves the route by a command. What follows from that, and from what others lack, for
# t.ok(unless=...): why something cannot be said there, or nothing.
BY_COMMAND = PROFILE is not None and not PROFILE.startswith("xen")
NO_SWAP = "no command swaps a route: there is a moment without one" if BY_COMMAND else ""
NO_MARK = "a command marks no route: protocol and metric are Linux's" if BY_COMMAND else ""
NO_RESET = "connections cannot be reset" if BY_COMMAND or PROFILE == "xen-4.4" else ""
# Without prctl(2) no process ends with its parent, without flock(2) no file is a lock.
NO_DEATH_SIGNAL = "the kernel tells no process of its parent's end" if PROFILE == "nothing" else ""
NEVER_KEPT = {"lock"} if PROFILE == "nothing" else set()
# Without SO_BINDTODEVICE and IP_PKTINFO probes go where the routes lead.
PROBES_BY_ROUTES = PROFILE == "nothing"
TRANSPORT = os.environ.get("REROUTE_TEST_TRANSPORT", "auto")
# In an emulated machine (tools/kernels) one scenario runs at a time.
EMULATED = bool(os.environ.get("REROUTE_EMULATED"))
with open(REROUTE, "rb") as f:
    SANITIZED = b"__asan_init" in f.read()


def stays(condition, enough, seconds=PATIENCE_S):
    """True when condition() was true at every look until enough() was too. What enough() waits for says that so much
    has happened that condition() could have become false; false when that does not come."""
    held = True

    def over():
        nonlocal held
        held = condition()
        return not held or enough()

    return wait_for(over, seconds) and held


def log_time(event):
    """When a line of the agent's log was written, in seconds."""
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


# --- scenarios ------------------------------------------------------------------------------------------------

class Scenario:
    """`t` of a scenario: its results, and what it made, which is taken down in the end."""

    def __init__(self, name, out, directory):
        self.name, self.out, self.directory = name, out, directory
        self.stack = contextlib.ExitStack()
        self.agents = []
        self.made_esx = {}

    def say(self, **line):
        os.write(self.out, (json.dumps(line) + "\n").encode())

    def ok(self, good, what, detail="", unless=""):
        """unless: why this cannot be said on this host; then it counts as skipped, whatever was found."""
        if unless:
            self.say(what=f"{self.name}: {what}", skipped=unless)
            return True
        if not good:
            detail = f"{detail}\n" + "".join(f"--- log of the agent {a.name}:\n{a.log_tail()}" for a in self.agents)
        self.say(good=bool(good), what=f"{self.name}: {what}", detail=str(detail) if not good else "")
        return good

    def note(self, text):
        self.say(note=f"{self.name}: {text}")

    def eventually(self, condition, what, seconds=PATIENCE_S, detail=None):
        value = wait_for(condition, seconds)
        return self.ok(value, what, detail() if detail and not value else "")

    def afterwards(self, command, environment):
        """To be run when the scenario has ended, also when it was killed: what does not go with its processes."""
        with open(os.path.join(self.directory, "afterwards"), "w") as f:
            json.dump([command, environment], f)

    def world(self, **settings):
        if BY_COMMAND:
            settings["networks"] = [(name, prefix, f"vmk{i}", node) for i, (name, prefix, _, node)
                                    in enumerate(settings.get("networks", IPV4))]
        world = World(**settings)
        self.stack.callback(world.clean)
        return world

    def cluster(self, settings=None, **service):
        """A world with these settings and its session service: (world, service, monitor of the host's route)."""
        world = self.world(**(settings or {}))
        monitor = RouteMonitor(world)
        self.stack.callback(monitor.close)
        made = Service(world, monitor, **service)
        self.stack.callback(made.end)
        return world, made, monitor

    def esx(self, world):
        """The commands of this world's host, made once."""
        if id(world) not in self.made_esx:
            self.made_esx[id(world)] = Esx(os.path.join(self.directory, f"esx{len(self.made_esx)}"), world)
        return self.made_esx[id(world)]

    def command_s(self, world, since):
        """What the route command took, by its own clock, for a move that began after `since`; 0 where there is none."""
        return self.esx(world).move_s(since) if BY_COMMAND else 0

    def agent(self, world, config=None, name="a", start=True, **settings):
        agent = Agent(self, world, config, name, **settings)
        self.agents.append(agent)
        self.stack.callback(agent.kill)
        if start:
            agent.start()
        return agent

    def settled(self, nodes=3, settings=None, **configuration):
        """An agent at home in a cluster: (world, service, monitor, agent, the address that is home)."""
        world, service, monitor = self.cluster(settings=dict(nodes=nodes, **(settings or {})))
        agent = self.agent(world, **configuration)
        home = world.node(1).address("data")
        self.eventually(agent.settled(home), "at home", detail=agent.status)
        return world, service, monitor, agent, home

    def meter(self, world, *options):
        meter = Meter(world.host.namespace, world.service, *options)
        self.stack.callback(meter.kill)
        return meter

    def popen(self, namespace, command, **options):
        process = subprocess.Popen(command, preexec_fn=entering(namespace), **options)
        self.stack.callback(end_process, process)
        return process


def child(function, name, out, directory):
    end_of_life()
    os.setsid()  # a scenario that hangs is ended with all that it started
    scenario = Scenario(name, out, directory)
    try:
        function(scenario)
    except BaseException:
        scenario.ok(False, "ran to its end", traceback.format_exc())
    finally:
        with contextlib.suppress(BaseException):
            scenario.stack.close()
    os._exit(0)


def start_scenario(function, ended):
    """Its process says what it finds through a pipe; `ended` gets something when that is closed."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    name = function.__name__
    directory = tempfile.mkdtemp(prefix=f"reroute-{name}-")
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        child(function, name, writing, directory)
    os.close(writing)
    lines, over = [], threading.Event()

    def read():
        lines.extend(os.fdopen(reading))
        over.set()
        ended.put(name)

    thread = threading.Thread(target=read)
    thread.start()
    return {"name": name, "directory": directory, "pid": pid, "thread": thread, "lines": lines, "over": over,
            "began": time.monotonic()}


def end_scenario(one):
    """Ends what still runs of it and removes what it left; what it was started for may be over already."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(one["pid"], signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(one["pid"], 0)
    with contextlib.suppress(OSError):
        with open(os.path.join(one["directory"], "afterwards")) as f:
            command, environment = json.load(f)
        subprocess.run(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True)
    shutil.rmtree(one["directory"], ignore_errors=True)


def main(scenarios, parallel=4, each_seconds=200):
    """Runs the scenarios, `parallel` at a time; those named on the command line when there are any."""
    if os.geteuid() != 0:
        skip("needs root, for network namespaces")
    if PROFILE == "nothing" and RUN[-1] == REROUTE:
        skip(f"glibc cannot do without accept4 and pipe2, and {why_not(STATIC)}")
    try:
        World(nodes=1, echo=False).clean()
    except (OSError, Failed) as error:
        skip(f"no network namespaces: {error}")
    each_seconds *= 2 if SANITIZED or EMULATED else 1
    parallel = 1 if EMULATED else parallel
    wanted = [s for s in scenarios if not sys.argv[1:] or s.__name__ in sys.argv[1:]]
    running, tap, ended = [], Tap(), queue.SimpleQueue()
    for scenario in list(wanted) if PROFILE else []:
        why = left_out(os.path.basename(sys.argv[0]), scenario.__name__, not BY_COMMAND, not NO_RESET,
                       not PROBES_BY_ROUTES)
        if why:
            wanted.remove(scenario)
            tap.skipped(scenario.__name__, why)

    def on_signal(*_):
        for one in running:
            end_scenario(one)
        os._exit(1)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    while wanted or running:
        while wanted and len(running) < parallel:
            running.append(start_scenario(wanted.pop(0), ended))
        for one in running[:]:
            late = time.monotonic() - one["began"] > each_seconds
            if not late and not one["over"].is_set():
                continue
            if not late:
                os.waitpid(one["pid"], 0)
            end_scenario(one)
            one["thread"].join()
            running.remove(one)
            results = [json.loads(line) for line in one["lines"] if line.endswith("\n")]
            if late or not any("good" in r or "skipped" in r for r in results):
                results.append({"good": False, "what": f"{one['name']}: ended in time", "detail": "it did not"})
            for result in results:
                if "note" in result:
                    tap.say(result["note"])
                elif "skipped" in result:
                    tap.skipped(result["what"], result["skipped"])
                else:
                    tap.ok(result["good"], result["what"], result["detail"])
            tap.say(f"{one['name']} took {time.monotonic() - one['began']:.1f} s")
        if running and not (wanted and len(running) < parallel):
            first = min(one["began"] for one in running) + each_seconds
            with contextlib.suppress(queue.Empty):
                ended.get(timeout=max(first - time.monotonic(), 0))
    return tap.done()


# --- the agent --------------------------------------------------------------------------------------------------

class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=3)
        self.unix_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(3)
        self.sock.connect(self.unix_path)


class Agent:
    """One agent in the host's namespace. `settings` are keys of the configuration, see text()."""

    def __init__(self, t, world, config, name, arguments=(), **settings):
        self.t, self.world, self.name = t, world, name
        self.arguments = list(arguments)
        self.config_path = os.path.join(t.directory, f"{name}.conf")
        self.log_path = os.path.join(t.directory, f"{name}.log")
        self.socket_path = os.path.join(t.directory, f"{name}.sock")
        self.state_directory = os.path.join(t.directory, f"state-{name}")
        self.settings = settings
        self.environment = {}
        self.program = RUN
        self.stderr = None  # a descriptor instead of the log file
        self.begun = 0
        self.process = None
        self.write(config if config is not None else self.text(**settings))

    def write(self, text):
        with open(self.config_path, "w") as f:
            f.write(text)

    def text(self, accesses=None, top="", probe="", session="", route="", hold="3s", timeout="50ms", count=4,
             provider="rest", poll="500ms", wait="400ms", candidate="200ms"):
        """A configuration for this world. `accesses`: the nodes that are named in it (default: all)."""
        lines = [f'service = "{self.world.service}"', f'control-socket = "{self.socket_path}"',
                 f'state-directory = "{self.state_directory}"', top]
        for node in self.world.nodes if accesses is None else accesses:
            lines.append(f'access "{node.name}" {{ ' + "".join(
                f'{n} = "{node.address(n)}" ' for n in self.world.networks) + "}")
        lines.append(f'probe {{ select-timeout = "{timeout}" select-count = {count} candidate-interval = "{candidate}" '
                     f'transport = "{TRANSPORT}" {probe} }}')
        lines.append(f'session {{ provider = "{provider}" poll-interval = "{poll}" timeout = "{wait}" '
                     f'hedge-delay = "100ms" {session} }}')
        lines.append(f'route {{ hold = "{hold}" {route} {self.by_command(route)} }}')
        return "\n".join(lines) + "\n"

    def by_command(self, route):
        """The rest of the route's settings where it is moved by a command."""
        if not BY_COMMAND or "backend" in route:
            return ""
        esx = self.t.esx(self.world)
        esx.write("kernel", "")
        # uname() says VMkernel in the others.
        return f'route-command = "{esx.path}"' + (' backend = "esxcfg"' if PROFILE == "nothing" else "")

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.program, "agent", "--config", self.config_path, *self.arguments],
                                            stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log if self.stderr is None else self.stderr,
                                            env={**os.environ, **self.environment},
                                            preexec_fn=entering(self.world.host.namespace))
        return self

    def run_to_end(self, seconds=15):
        """(exit code, standard error) of an agent that is expected to refuse to run."""
        process = subprocess.run([*self.program, "agent", "--config", self.config_path, *self.arguments],
                                 capture_output=True, text=True, timeout=seconds,
                                 env={**os.environ, **self.environment},
                                 preexec_fn=entering(self.world.host.namespace))
        return process.returncode, process.stderr

    def command(self, *arguments, config=True):
        """(exit code, standard output, standard error) of reroute ARGUMENTS, on this agent's configuration."""
        process = subprocess.run([*RUN, *arguments, *(["--config", self.config_path] if config else [])],
                                 capture_output=True, text=True, timeout=30,
                                 preexec_fn=entering(self.world.host.namespace))
        return process.returncode, process.stdout, process.stderr

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process:
            end_process(self.process)

    def terminate(self, seconds=10):
        """Exit code after SIGTERM; None: it did not end."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def ask(self, method, path, body=None):
        connection = UnixConnection(self.socket_path)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self):
        """The status document; {} while nobody answers."""
        try:
            code, text = self.ask("GET", "/v1/status")
            return json.loads(text) if code == 200 else {}
        except (OSError, ValueError, http.client.HTTPException):
            return {}

    def get(self, name):
        return self.status().get(name)

    def path(self, address):
        return next((p for p in self.status().get("paths", []) if p["address"] == address), {})

    def up(self, address, seconds):
        """For waiting: from now on this path has been up for so long without a break, by the agent's clock."""
        before = self.path(address).get("up_s") or 0
        return lambda: (self.path(address).get("up_s") or 0) >= before + seconds

    def asks(self, requests):
        """For waiting: from now on it has sent so many more requests."""
        before = self.get("probe")["sent"]
        return lambda: self.get("probe")["sent"] >= before + requests

    def access(self, name):
        return next((a for a in self.status().get("sessions", {}).get("accesses", []) if a["access"] == name), {})

    def on(self, address):
        """For waiting: the route points at this address, says the agent."""
        return lambda: self.get("next_hop") == address

    def settled(self, address):
        """For waiting: there, the cluster told, every path with a verdict, every session known."""
        def check():
            s = self.status()
            if not (s.get("next_hop") == address and s["refresh"]["done"] and
                    all(p["state"] != "unknown" for p in s["paths"])):
                return False
            self.begun = self.begun or len(self.events("switch"))
            return True
        return check

    def starved_s(self):
        """How long its threads have been ready to run and had no processor, in seconds; 0 where nobody counts it.
        A bound of a failover that is to hold on a busy machine is meant without it."""
        waited_ns = 0
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{self.process.pid}/task"):
                with open(f"/proc/{self.process.pid}/task/{thread}/schedstat") as f:
                    waited_ns += int(f.read().split()[1])
        return waited_ns / 1e9

    def log(self):
        try:
            with open(self.log_path) as f:
                return f.read()
        except OSError:
            return ""

    def log_tail(self, lines=45):
        return "\n".join(self.log().splitlines()[-lines:]) + "\n"

    def events(self, name):
        """The log's lines of one event, as dictionaries."""
        found = []
        for line in self.log().splitlines():
            fields = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)}
            if fields.get("event") == name:
                found.append(fields)
        return found

    def switches(self):
        """(from, to, reason) of each; the way to where it first settled counts as one, however slow the start was."""
        all_of_them = [(e["from"], e["to"], e["reason"]) for e in self.events("switch")]
        if not self.begun:
            return all_of_them
        return [("none", all_of_them[self.begun - 1][1], "cold-start")] + all_of_them[self.begun:]

    def departures(self):
        """The same without those that came home: on a busy machine another path can be up before home's, and is then
        a better one for that while."""
        return [switch for switch in self.switches() if switch[2] != "failback"]

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            user, system = f.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
