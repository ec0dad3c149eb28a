# SPDX-License-Identifier: Apache-2.0
"""The live screen of `reroute status --watch`, as tmux shows it at 80x24: what is on it, what its keys do, and what there is
instead on a terminal that can only print lines."""
import json
import os
import re
import shutil
import subprocess
import sys

from harness import REROUTE, main
from netlab.namespace import entering
from tap import skip

if not shutil.which("tmux"):
    skip("no tmux: run tools/setup")
if os.environ.get("REROUTE_NCURSES") == "false":
    skip("built without ncurses")


class Screen:
    """A terminal in a tmux server of its own."""

    def __init__(self, t, agent, columns=80, rows=24, term="screen"):
        self.socket = os.path.join(t.directory, f"tmux-{term}")
        self.code = os.path.join(t.directory, f"code-{term}")
        command = (f"trap : INT; TERM={term} LC_ALL=C.UTF-8 {REROUTE} status --watch --config {agent.config_path}; "
                   f"echo $? >{self.code}")
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), command,
                  preexec_fn=entering(agent.world.host.namespace))
        self.tmux("set-option", "-g", "remain-on-exit", "on")
        t.stack.callback(self.tmux, "kill-server")

    def tmux(self, *arguments, **options):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *arguments], capture_output=True, text=True, timeout=20,
                              stdin=subprocess.DEVNULL, **options).stdout

    def lines(self):
        return self.tmux("capture-pane", "-p").split("\n")

    def text(self):
        return "\n".join(self.lines())

    def has(self, *parts):
        """For waiting: all of these are on it."""
        return lambda: all(part in self.text() for part in parts)

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def ended(self):
        """The exit code, None: it runs. (tmux 3.3a now and then knows that it has ended, but never how.)"""
        if not os.path.exists(self.code):
            return None
        with open(self.code) as f:
            text = f.read()
        return int(text) if text else None


def at_80x24(t):
    world, service, monitor, agent, home = t.settled(hold="60s")
    first, second = world.node(1), world.node(2)
    screen = Screen(t, agent)
    t.eventually(screen.has(f"{world.service} -> {home} ({first.name}, data, local)", "now the best path is in use"),
                 "the route and why", detail=screen.text)
    lines = screen.lines()
    t.ok(len([line for line in lines[:24] if line]) >= 10 and lines[23].startswith("q end"), "keys at the bottom",
         screen.text())
    row = next(line for line in lines if line.startswith(f"> {first.name}"))
    t.ok(re.search(rf"data +{re.escape(home)} +up +[0-9.]+ +0\.00", row), "a row for each path", row)
    t.eventually(lambda: re.search("[\u2581-\u2588]{3}", screen.text()), "with its round trips", detail=screen.text)
    world.cut(first, "data")
    t.eventually(screen.has(f"-> {second.address('data')} ({second.name}, data)", "no reply in 200 ms"), "a failover is seen",
                 detail=screen.text)
    t.eventually(screen.has(f"the route leads to {second.address('data')} ({second.name}): path-down"),
                 "among the changes", detail=screen.text)
    world.plug(first, "data")
    t.eventually(lambda: re.search(rf"home {first.name} in \d+ s \[#*\.+\]", screen.text()), "the countdown",
                 detail=screen.text)
    agent.kill()
    t.eventually(screen.has("no agent answers on"), "an agent that is gone", detail=screen.text)
    agent.start()
    t.eventually(screen.has("the agent answers"), "and comes back", detail=screen.text)
    screen.tmux("resize-window", "-x", "40", "-y", "10")
    # tmux itself leaves the old last line there; the first one is drawn anew.
    t.eventually(lambda: screen.lines()[0].startswith("reroute ") and screen.lines()[9].startswith("q end"),
                 "a small window has the keys too", detail=screen.text)
    t.ok(all(len(line) <= 40 for line in screen.lines()), "and no line that is too long", screen.text())
    screen.press("q")
    t.eventually(lambda: screen.ended() == 0, "q ends it", detail=screen.text)


def keys(t):
    world, service, monitor, agent, home = t.settled(hold="60s")
    second = world.node(2)
    screen = Screen(t, agent)
    t.eventually(screen.has("now the best path is in use"), "it runs", detail=screen.text)
    names = [path["access"] for path in agent.get("paths")]
    screen.press(*["Down"] * names.index(second.name), "p")
    t.eventually(screen.has(f"pin {second.name}? y: yes"), "a key is asked back", detail=screen.text)
    screen.press("n")
    t.eventually(screen.has("q end"), "and can be taken back", detail=screen.text)
    t.ok(agent.get("pin") is None, "nothing was done", agent.status())
    screen.press("p", "y")
    t.eventually(lambda: agent.get("pin") == second.name, "pin", detail=agent.status)
    t.eventually(screen.has(f"pinned to {second.name}"), "is shown", detail=screen.text)
    screen.press("u", "y")
    t.eventually(lambda: agent.get("pin") is None, "unpin", detail=agent.status)
    screen.press("d", "y")
    t.eventually(lambda: agent.access(second.name)["drained"], "drain", detail=agent.status)
    t.eventually(screen.has("its access is drained"), "is shown", detail=screen.text)
    screen.press("d", "y")
    t.eventually(lambda: not agent.access(second.name)["drained"], "undrain", detail=screen.text)
    screen.press("u", "y")
    t.eventually(screen.has("nothing is pinned"), "a refusal is shown", detail=screen.text)
    screen.press("C-c")
    t.eventually(lambda: screen.ended() == 0, "Ctrl-C ends it", detail=screen.text)
    agent.write("control-sockets = 7\n")
    screen = Screen(t, agent, term="xterm")
    t.eventually(lambda: screen.ended() == 3, "its keys are for no agent that a wrong file does not name", detail=screen.text)


def a_dumb_terminal(t):
    world, service, monitor, agent, home = t.settled()
    screen = Screen(t, agent, term="dumb")
    t.eventually(lambda: screen.text().count("decision  best") >= 1, "the same as lines", detail=screen.text)
    t.ok("^[" not in screen.text() and "q end" not in screen.text(), "without a screen", screen.text())
    code, out, error = agent.command("status", "--json")
    t.ok(code == 0 and json.loads(out)["next_hop"] == home, "and the document as ever", error)


sys.exit(main([at_80x24, keys, a_dumb_terminal]))
