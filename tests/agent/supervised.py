# SPDX-License-Identifier: Apache-2.0
"""An agent behind `--supervise`, whose locks are in a /run of its own."""
import contextlib
import os
import signal
import sys

import no_death_signal
from harness import RUN
from netlab.wait import wait_for

ENTER = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /run && exec "$@"']


def supervised(t, agent, launcher=()):
    """Makes this agent one that is started with --supervise, by this command."""
    run = os.path.join(t.directory, "run")
    os.makedirs(run, exist_ok=True)
    agent.program = [*ENTER, run, *launcher, *RUN]
    agent.arguments.append("--supervise")
    return agent


# On a host where the agent does not end with a supervisor that is killed.
OUTLIVES = [sys.executable, no_death_signal.__file__]


def child(agent):
    """The process of the agent that the supervisor has started; None: it has none now."""
    with open(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children", encoding="ascii") as f:
        pids = f.read().split()
    return int(pids[0]) if pids else None


def replaced(agent, before):
    """Waits for another agent than that process; its number, or None."""
    return wait_for(lambda: child(agent) not in (None, before) and agent.status() and child(agent), 30)


def end_later(t, pid):
    """Of an agent that was left: when the scenario ends, so does it, whatever was found."""
    def end():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    t.stack.callback(end)


def gone(pid):
    return not os.path.exists(f"/proc/{pid}")
