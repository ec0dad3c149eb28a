# SPDX-License-Identifier: Apache-2.0
"""The SysV script, under each sh that there is: every action, its exit codes (LSB, "Init Script Actions"), a wrong file,
and that its agent is the one of `--supervise`."""
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys

from harness import BUILD, RUN, main
from netlab.namespace import entering
from netlab.wait import wait_for
from no_death_signal import WHY_NOT
from supervised import ENTER, OUTLIVES, end_later, gone

SCRIPT = os.path.join(BUILD, "tools", "reroute.init")


def script(t, shell, program=RUN[-1]):
    """Calls the script as `call(ACTION)`, which gives (exit code, output); what runs in the end is ended."""
    world, _, _ = t.cluster(settings=dict(nodes=2))
    agent = t.agent(world, start=False)
    run = os.path.join(t.directory, "run")
    os.mkdir(run)
    environment = {**os.environ, "REROUTE": program, "REROUTE_CONFIG": agent.config_path}

    def call(*action):
        done = subprocess.run([*ENTER, run, *shell, SCRIPT, *action], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=90, env=environment, check=False,
                              preexec_fn=entering(world.host.namespace))
        return done.returncode, done.stdout

    t.stack.callback(call, "stop")
    return world, agent, call


def log_heeds_no_hangup(pid):
    """Does who reads what this process says ignore the signal of a terminal that goes?"""
    pipe = os.readlink(f"/proc/{pid}/fd/2")
    for other in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{other}/fd/0") == pipe:
                with open(f"/proc/{other}/status", encoding="ascii") as f:
                    ignored = next(line for line in f if line.startswith("SigIgn:"))
                return bool(int(ignored.split()[1], 16) & 1 << signal.SIGHUP - 1)
    return False


def all_actions(t, shell):
    world, agent, call = script(t, shell)
    home = world.node(1).address("data")
    t.ok(call("status") == (3, "reroute: not running\n"), "status of none", call("status"))
    t.ok(call("stop") == (0, ""), "stop of none is none")
    t.ok(call("reload") == (7, "reroute: not running\n"), "reload of none")
    t.ok(call("try-restart") == (0, ""), "try-restart starts none")
    t.ok(call("start") == (0, ""), "start")
    t.ok(agent.get("next_hop"), "returns with a route", agent.status())
    code, said = call("status")
    t.ok(code == 0 and said.startswith("reroute: running (pid "), "status", said)
    pid = int(said.split("pid ")[1].rstrip(")\n"))
    t.ok(log_heeds_no_hangup(pid), "a terminal that goes leaves the log")
    t.ok(call("start") == (0, "") and call("status")[1] == said, "a second start")
    agent.write("nonsense")
    for action in ("reload", "start", "restart", "try-restart"):
        code, said = call(action)
        t.ok(code == 6 and said.count("\n") == 1 and "a.conf:1:" in said, f"{action} with a wrong file", said)
    t.ok(call("status") == (0, f"reroute: running (pid {pid})\n"), "the agent goes on", call("status"))
    agent.write(agent.text(accesses=world.nodes[:1]))
    t.ok(len(agent.status()["paths"]) == 4 and call("reload") == (0, ""), "reload")
    t.eventually(lambda: len(agent.status().get("paths", [])) == 2, "is done", detail=agent.status)
    t.ok(call("restart") == (0, ""), "restart")
    t.ok(wait_for(lambda: gone(pid)), "the old one is gone")
    t.eventually(agent.settled(home), "the new one is at home", detail=agent.status)
    t.ok(call("stop") == (0, "") and not agent.status() and call("status")[0] == 3, "stop")
    t.ok(call("frobnicate")[0] == 2 and call()[0] == 2, "another word, or none")


def started_again(t):
    """The agent of the script is looked after."""
    world, agent, call = script(t, ["sh"])
    t.ok(call("start") == (0, ""), "start")
    pid = int(call("status")[1].split("pid ")[1].rstrip(")\n"))
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        first = int(f.read())
    os.kill(first, signal.SIGKILL)
    t.ok(wait_for(lambda: gone(first) and agent.status()), "another one runs", agent.status())
    t.ok(call("stop") == (0, ""), "stop")


def left(t):
    """The supervisor is killed, and the agent goes on: it runs, and stop ends it."""
    if WHY_NOT:
        t.ok(True, "an agent that outlives its supervisor", unless=WHY_NOT)
        return
    path = os.path.join(t.directory, "reroute")
    with open(path, "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nexec {shlex.join([*OUTLIVES, RUN[-1]])} "$@"\n')
    os.chmod(path, 0o700)
    _, agent, call = script(t, ["sh"], path)
    t.ok(call("start") == (0, ""), "start")
    supervisor = int(call("status")[1].split("pid ")[1].rstrip(")\n"))
    with open(f"/proc/{supervisor}/task/{supervisor}/children", encoding="ascii") as f:
        pid = int(f.read())
    end_later(t, pid)
    os.kill(supervisor, signal.SIGKILL)
    t.ok(wait_for(lambda: gone(supervisor)), "the supervisor is killed")
    t.ok(call("status") == (0, f"reroute: running (pid {pid})\n"), "the agent runs", call("status"))
    t.ok(call("stop") == (0, "") and not agent.status(), "stop ends it", agent.status())
    t.ok(call("status") == (3, "reroute: not running\n"), "none runs", call("status"))


def under_dash(t):
    all_actions(t, ["dash"])


def under_busybox(t):
    all_actions(t, ["busybox", "ash"])


sys.exit(main([started_again, left, *[one for one, shell in ((under_dash, "dash"), (under_busybox, "busybox"))
                                if shutil.which(shell)]]))
