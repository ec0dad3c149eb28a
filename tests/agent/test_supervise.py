# SPDX-License-Identifier: Apache-2.0
"""`reroute agent --supervise`: started again when it ends badly or hangs, once for a configuration, ended and reloaded
as the agent would be; and the route stays as it is in all that."""
import contextlib
import os
import signal
import subprocess
import sys
import time

from hanging import a_disk_that_hangs, may_hang
from harness import NO_DEATH_SIGNAL, main
from netlab.namespace import entering
from netlab.wait import wait_for
from no_death_signal import WHY_NOT
from supervised import OUTLIVES, child, end_later, gone, replaced, supervised


def started(t):
    """An agent at home behind a supervisor: (world, monitor, agent, home)."""
    world, _, monitor = t.cluster(settings=dict(nodes=2))
    agent = supervised(t, t.agent(world, start=False))
    agent.start()
    home = world.node(1).address("data")
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    return world, monitor, agent, home


def ask_pid(agent):
    done = subprocess.run([*agent.program, "agent", "--pid", "--config", agent.config_path], capture_output=True, text=True,
                          timeout=30, preexec_fn=entering(agent.world.host.namespace), check=False)
    return done.returncode, done.stdout, done.stderr


def crash(t):
    """It crashes, and crashes again: each time another one runs soon, and waits longer to do so. The route stays."""
    world, monitor, agent, home = started(t)
    changes, pid = monitor.changes(), child(agent)
    for times, wait in enumerate(("1", "2", "4"), 1):
        os.kill(pid, signal.SIGABRT if times == 1 else signal.SIGKILL)
        pid = replaced(agent, pid)
        t.ok(pid, f"another one runs, the {times}. time", agent.log())
        told = agent.events("agent-ended")[-1]
        t.ok((told["restarts"], told["again_s"]) == (str(times), wait), "how often, and how soon", told)
    t.ok("Aborted" in agent.events("agent-ended")[0]["how"], "and why", agent.events("agent-ended"))
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    t.ok(monitor.changes() == changes, "the route was not touched", monitor.events)
    t.ok(agent.process.poll() is None and agent.terminate() == 0 and gone(pid), "both end by SIGTERM")
    t.ok(monitor.gateway() == home, "and the route stays")


def hangs(t):
    """One that says nothing any more is killed and replaced."""
    world, monitor, agent, home = started(t)
    pid = child(agent)
    os.kill(pid, signal.SIGSTOP)
    t.ok(replaced(agent, pid), "another one runs", agent.log())
    told = agent.events("agent-hangs")
    t.ok(len(told) == 1 and 9 <= int(told[0]["silent_s"]) <= 30 and told[0]["pid"] == str(pid), "that is said", told)
    t.eventually(agent.settled(home), "at home", detail=agent.status)


def machine_stood_still(t):
    """Both stood still, as with the whole machine: that is nobody's fault."""
    world, monitor, agent, home = started(t)
    pid = child(agent)
    for one in (pid, agent.process.pid):
        os.kill(one, signal.SIGSTOP)
    done = agent.up(home, 1)
    time.sleep(13)  # so long they stand still: longer than the watchdog waits
    for one in (agent.process.pid, pid):  # the supervisor first: it finds nothing to read
        os.kill(one, signal.SIGCONT)
    t.eventually(done, "it goes on", detail=agent.status)
    t.ok(child(agent) == pid and not agent.events("agent-hangs"), "the same agent", agent.log())


def second(t):
    """A second start is harmless, and says nothing: beside a supervisor, whatever the file says by now; beside an agent."""
    world, monitor, agent, home = started(t)
    pid, good = child(agent), agent.text()
    t.ok(agent.run_to_end() == (0, ""), "beside a supervisor")
    agent.write("nonsense")
    t.ok(agent.run_to_end() == (0, ""), "though the file is wrong now")
    t.ok(ask_pid(agent) == (0, f"{agent.process.pid}\n", ""), "--pid says who", ask_pid(agent))
    agent.write(good)
    t.ok(child(agent) == pid, "the agent is the same")
    t.ok(agent.terminate() == 0, "ends")
    t.ok(ask_pid(agent) == (1, "", ""), "then --pid names nobody", ask_pid(agent))
    alone = t.agent(world, name="b")
    t.eventually(alone.settled(home), "an agent without supervisor", detail=alone.status)
    t.ok(agent.run_to_end() == (0, ""), "beside it: not a word either")
    t.ok(alone.get("next_hop") == home, "which goes on")


def signals(t):
    """SIGHUP is passed on; the agent's own good end is the supervisor's; who is killed takes the agent along."""
    world, monitor, agent, home = started(t)
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "SIGHUP reloads")
    os.kill(child(agent), signal.SIGTERM)
    t.ok(wait_for(lambda: agent.process.poll() == 0), "the agent ends well: so does the supervisor", agent.log())
    agent.start()
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    pid = child(agent)
    agent.signal(signal.SIGKILL)
    t.ok(agent.process.wait(10) == -signal.SIGKILL, "the supervisor is killed")
    t.ok(NO_DEATH_SIGNAL or wait_for(lambda: gone(pid)), "the agent ends", agent.log(), unless=NO_DEATH_SIGNAL)
    agent.start()
    t.eventually(lambda: gone(pid) and agent.settled(home)(), "the next one starts", detail=agent.status)
    t.ok(len(agent.events("stop")) == 2 and monitor.gateway() == home,
         "the other one ended in order, and the route stays", agent.log())


def what_it_runs(t):
    """A program that it runs, and that program's child, end with an agent that is killed, however that comes."""
    path = os.path.join(t.directory, "notified")
    with open(path, "w", encoding="ascii") as f:
        f.write('#!/bin/sh\nsleep 1000 &\necho $$ $! >>"$0.pids"\nwait\n')
    os.chmod(path, 0o700)

    def programs():
        with contextlib.suppress(OSError), open(path + ".pids", encoding="ascii") as f:
            return [line.split() for line in f.read().splitlines()]
        return []

    world, _, monitor = t.cluster(settings=dict(nodes=2))
    agent = supervised(t, t.agent(world, start=False, top=f'notify = "{path}" notify-timeout = "1h"'))
    agent.start()
    for run, number in enumerate((signal.SIGKILL, signal.SIGSTOP)):
        t.eventually(lambda: len(programs()) > run, "it runs", detail=agent.log)
        before = child(agent)
        os.kill(before, number)
        t.ok(replaced(agent, before), f"{number.name}: another agent runs", agent.log())
        t.ok(wait_for(lambda: all(gone(pid) for pid in programs()[run])), "what the old one ran is gone", programs())
    t.ok(agent.terminate(20) == 0, "ends")
    t.ok(wait_for(lambda: all(gone(pid) for pids in programs() for pid in pids)), "and nothing is left", programs())


def started_at_once(t):
    """The supervisor is killed and the next one started before the agent has ended: it waits for that end."""
    path = os.path.join(t.directory, "notified")
    with open(path, "w", encoding="ascii") as f:
        f.write('#!/bin/sh\n[ "$REROUTE_EVENT" != stop ] || sleep 1000\n')
    os.chmod(path, 0o700)
    world, _, monitor = t.cluster(settings=dict(nodes=2))
    agent = supervised(t, t.agent(world, start=False, top=f'notify = "{path}"'))
    home = world.node(1).address("data")
    agent.start()
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    changes, before = monitor.changes(), child(agent)
    agent.signal(signal.SIGKILL)
    agent.process.wait(10)
    t.ok(not gone(before), "the agent takes its time to end")
    agent.start()
    t.ok(replaced(agent, before) and wait_for(lambda: gone(before)), "then another one runs", agent.log())
    t.ok([told["pid"] for told in agent.events("agent-left")] == [str(before)], "that is said", agent.log())
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    t.ok(monitor.changes() == changes and not agent.events("agent-ended"), "the route was not touched", monitor.events)
    t.ok(agent.terminate(20) == 0, "ends")


def left(t):
    """The supervisor is killed, and the agent goes on: --pid names it, so that it can be ended."""
    if WHY_NOT:
        t.ok(True, "an agent that outlives its supervisor", unless=WHY_NOT)
        return
    world, _, monitor = t.cluster(settings=dict(nodes=2))
    agent = supervised(t, t.agent(world, start=False), OUTLIVES)
    home = world.node(1).address("data")
    agent.start()
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    pid = child(agent)
    end_later(t, pid)
    agent.signal(signal.SIGKILL)
    agent.process.wait(10)
    t.ok(ask_pid(agent) == (1, f"{pid}\n", ""), "--pid names it, and says that nobody supervises it", ask_pid(agent))
    t.ok(agent.status().get("next_hop") == home, "it goes on", agent.status())
    os.kill(pid, signal.SIGTERM)
    t.ok(wait_for(lambda: gone(pid)), "it ends", agent.log())
    t.ok(ask_pid(agent) == (1, "", ""), "then --pid names nobody", ask_pid(agent))
    t.ok(monitor.gateway() == home, "and the route stays")


def nobody_reads(t):
    """Who read standard error is gone (a login that ended): an agent that ends is started again all the same."""
    world, _, monitor = t.cluster(settings=dict(nodes=2))
    agent = supervised(t, t.agent(world, start=False))
    reads, agent.stderr = os.pipe()
    agent.start()
    os.close(agent.stderr)
    t.eventually(agent.settled(world.node(1).address("data")), "at home", detail=agent.status)
    os.close(reads)
    pid = child(agent)
    os.kill(pid, signal.SIGKILL)
    t.ok(replaced(agent, pid), "another one runs", agent.process.poll())


def has_read_its_file(agent):
    """The agent's process has taken the name of its lock, for which it must know the service."""
    with contextlib.suppress(OSError):  # at first the child is a mount(8), which ends
        with open(f"/proc/{child(agent)}/net/unix", encoding="utf-8", errors="replace") as f:
            return "@reroute/" in f.read()
    return False


@a_disk_that_hangs
def reload_at_the_start(t):
    """SIGHUP while an agent starts, which has read its file already and waits for its disk: the new file is in force."""
    world, _, _ = t.cluster(settings=dict(nodes=2))
    agent = supervised(t, t.agent(world, start=False))
    hang = os.path.join(t.directory, "hang")
    may_hang(agent, agent.state_directory, hang)
    os.makedirs(agent.state_directory, 0o700, exist_ok=True)
    with open(hang, "w", encoding="ascii"):
        pass
    agent.start()
    t.eventually(lambda: has_read_its_file(agent), "it starts", detail=agent.log)
    agent.write(agent.text(top='host = "renamed"'))
    os.kill(child(agent), signal.SIGHUP)
    os.unlink(hang)
    t.eventually(lambda: agent.get("host") == "renamed", "the new file is in force", detail=agent.log)


def wrong_file(t):
    """A file that is wrong: tried again until it is mended; SIGTERM ends it between two tries."""
    world, _, _ = t.cluster(settings=dict(nodes=2))
    agent = supervised(t, t.agent(world, config="nonsense", start=False))
    good = agent.text()
    agent.start()
    t.eventually(lambda: len(agent.events("agent-ended")) == 2, "tried again", detail=agent.log)
    t.ok(agent.log().count("a.conf:1:") == 2, "a line each time", agent.log())
    t.ok("Invalid argument" in agent.events("agent-ended")[0]["how"], "and how it ended", agent.log())
    t.eventually(lambda: not child(agent), "waits")
    t.ok(agent.terminate() == 0, "SIGTERM ends it")
    agent.start()
    agent.write(good)
    t.eventually(agent.settled(world.node(1).address("data")), "mended: it runs", detail=agent.log)


def both_options(t):
    world = t.world(nodes=1)
    agent = supervised(t, t.agent(world, start=False))
    agent.arguments.append("--dry-run")
    code, error = agent.run_to_end()
    t.ok(code == 3 and "--supervise and --dry-run" in error, "not together with --dry-run", [code, error])


sys.exit(main([machine_stood_still, what_it_runs, hangs, started_at_once, left, crash, second, signals, nobody_reads, reload_at_the_start, wrong_file, both_options]))
