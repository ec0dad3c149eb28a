# SPDX-License-Identifier: Apache-2.0
"""The log in files: what is in them and what on standard error, renamed by others, changed by a reload, on disks that are
full or hang; and that the route moves meanwhile as ever."""
import contextlib
import os
import re
import signal
import sys

from hanging import a_disk_that_hangs, may_hang
from harness import main


def in_file(t, more="", prepare=None, **settings):
    """An agent at home whose log is in a file: (world, monitor, agent, home, the path of the log, how to read it)."""
    world, _, monitor = t.cluster(settings=dict(nodes=3))
    path = os.path.join(t.directory, "log", "a.log")
    agent = t.agent(world, start=False, hold="1s", top=f'log {{ file = "{path}" {more} }}', **settings)
    if prepare:
        prepare(agent, path)
    agent.start()
    home = world.node(1).address("data")
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    return world, monitor, agent, home, path


def read(*paths):
    text = ""
    for path in paths:
        with contextlib.suppress(OSError), open(path, encoding="utf-8") as f:
            text += f.read()
    return text


def whole_lines(text):
    return text.endswith("\n") and all(re.fullmatch(r"time=\S+Z level=\w+ event=\S+.*", x) for x in text.splitlines())


def a_file(t):
    """All is in the file, nothing on standard error. Renamed by others: SIGHUP, and the next event, begin a new one."""
    link = os.path.join(t.directory, "link")
    _, _, agent, home, path = in_file(t, f'link = "{link}"')
    t.eventually(lambda: f"to={home}" in read(path), "the switch is in the file", detail=lambda: read(path))
    t.ok(" restarts=0" in read(path) and whole_lines(read(path)), "whole lines, from the start on", read(path))
    t.ok(agent.log() == "", "and standard error is empty", agent.log())
    t.ok(os.readlink(link) == path and os.stat(path).st_mode & 0o777 == 0o600, "a link leads to it; it is ours alone")
    os.rename(path, path + ".moved")
    os.unlink(link)
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: "event=reload " in read(path), "SIGHUP begins a new one", detail=lambda: read(path + ".moved"))
    t.ok(os.readlink(link) == path, "and makes the link again")
    agent.write("nonsense")
    os.rename(path, path + ".again")
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: "event=reload-refused " in read(path), "with a wrong file too", detail=lambda: read(path))
    t.ok(agent.terminate() == 0 and "event=stop " in read(path), "its end is there", read(path))


def a_reload_moves_it(t):
    """To another file, to standard error, and back."""
    _, _, agent, _, path = in_file(t)
    other = os.path.join(t.directory, "other", "b.log")

    def reloads(top, where):
        agent.write(agent.text(**{**agent.settings, "top": top}))
        agent.signal(signal.SIGHUP)
        t.eventually(lambda: "event=reload " in where(), f"the log of '{top}'", detail=where)

    reloads(f'log {{ file = "{other}" }}', lambda: read(other))
    reloads("", agent.log)
    reloads(f'log {{ file = "{path}" size = "16KiB" }}', lambda: read(path))
    t.ok(agent.get("next_hop"), "goes on")


def bounded(t):
    """Debug lines for some seconds: small files, three at most, and no line is lost between them."""
    _, _, agent, home, path = in_file(t, 'size = "16KiB" keep = 2', prepare=lambda agent, _: agent.arguments.append("-v"))

    def files():
        return sorted(os.listdir(os.path.dirname(path)))

    for _ in range(300):  # each a line or two
        agent.command("pin", home)
        if files() == ["a.log", "a.log.1", "a.log.2"]:
            break
        agent.command("unpin")
    t.ok(agent.terminate() == 0, "it ends: nothing is written any more")
    t.ok(files() == ["a.log", "a.log.1", "a.log.2"], "three of them", files())
    sizes = [os.path.getsize(os.path.join(os.path.dirname(path), name)) for name in files()]
    t.ok(max(sizes) <= 16384 and max(sizes[1:]) > 12000, "bounded, and full", sizes)
    t.ok(all(whole_lines(read(p)) for p in (path, path + ".1", path + ".2")), "whole lines")
    t.ok("log-lines-lost" not in read(path, path + ".1", path + ".2"), "none lost")


def no_directory(t):
    """There can be no file: told on standard error, and the agent works. Then it can be: all lines are there."""
    def prepare(_, path):
        with open(os.path.dirname(path), "w", encoding="ascii"):
            pass

    world, monitor, agent, home, path = in_file(t, prepare=prepare)
    told = agent.events("log-not-written")
    t.ok(len(told) == 1 and told[0]["file"] == path and told[0]["error"], "told once, and why", agent.log())
    world.cut(world.node(1), "data")
    t.eventually(lambda: monitor.gateway() not in (None, home), "failover", detail=agent.status)
    os.unlink(os.path.dirname(path))
    t.eventually(lambda: agent.events("log-written-again"), "told when it works again", detail=agent.log)
    t.ok("event=start " in read(path) and "reason=path-down" in read(path), "with all that was said", read(path))


@a_disk_that_hangs
def a_hanging_disk(t):
    """A write that does not come back: the failover comes in time, the agent ends, and what was said is there after it."""
    hang = os.path.join(t.directory, "hang")

    def prepare(agent, path):
        may_hang(agent, os.path.dirname(path), hang)

    world, monitor, agent, home, path = in_file(t, prepare=prepare, timeout="100ms", count=10)
    t.eventually(lambda: f"to={home}" in read(path), "the log is written")
    with open(hang, "w", encoding="ascii"):
        pass
    world.cut(world.node(1), "data")
    t.eventually(lambda: monitor.gateway() not in (None, home), "failover", detail=agent.status)
    t.eventually(lambda: agent.events("log-not-written"), "that it hangs is told", 20, detail=agent.log)
    t.ok("does not answer" in agent.events("log-not-written")[0]["error"], "in words", agent.log())
    t.ok("path-down" not in read(path), "nothing is written", read(path))
    os.unlink(hang)
    t.eventually(lambda: "reason=path-down" in read(path), "it comes when the disk answers", detail=lambda: read(path))
    silent = re.search(r"event=switch .*reason=path-down.* silent_ms=(\d+)", read(path))
    t.ok(silent and int(silent[1]) < 1070 + 500, "the failover was in time", silent and silent[0])
    with open(hang, "w", encoding="ascii"):
        pass
    agent.signal(signal.SIGHUP)
    t.ok(agent.terminate() == 0, "it ends though the disk hangs")


def says_why_it_did_not_start(t):
    """Where nobody reads standard error the file has it."""
    world, _, monitor = t.cluster(settings=dict(nodes=2))
    path = os.path.join(t.directory, "log", "a.log")
    agent = t.agent(world, start=False, top=f'log {{ file = "{path}" }}')
    world.host.ip("address", "add", f"{world.service}/32", "dev", "lo")
    code, error = agent.run_to_end()
    t.ok(code == 4 and error.count("\n") == 1, "one line on standard error", [code, error])
    t.ok("event=not-started " in read(path) and "is an address of this host" in read(path), "and one in the file", read(path))


sys.exit(main([a_file, a_reload_moves_it, bounded, no_directory, a_hanging_disk, says_why_it_did_not_start]))
