# SPDX-License-Identifier: Apache-2.0
"""Observing only: while the file is there the agent decides and says, and touches nothing: no route, no connection, no
refresh, whatever happens and whoever changes the route. The disk of the file may hang: nothing waits for it."""
import ctypes
import os
import signal
import socket
import subprocess
import sys
import urllib.request

from hanging import a_disk_that_hangs, may_hang
from harness import SANITIZED, main, stays
from netlab.namespace import inside, libc


def put(path):
    with open(path, "w"):
        pass


def metrics(world):
    def ask():
        with urllib.request.urlopen("http://127.0.0.1:9323/metrics", timeout=5) as answer:
            return answer.read().decode()
    return inside(world.host.namespace, ask)


def connect(world):
    return inside(world.host.namespace, lambda: socket.create_connection((world.service, 2049), 5))


def echoes(connection):
    """Does it go on?"""
    connection.settimeout(5)
    try:
        connection.send(b"x")
        return connection.recv(1) == b"x"
    except OSError:
        return False


def touches_nothing(t):
    path = os.path.join(t.directory, "observe-only")
    world, service, monitor, agent, home = t.settled(
        hold="1s", top=f'observe-file = "{path}" metrics-listen = "127.0.0.1:9323"')
    first, second = world.node(1), world.node(2)
    t.ok(agent.get("observe_only") is None, "it acts")
    put(path)
    t.eventually(lambda: agent.get("observe_only"), "it observes", detail=agent.status)
    t.ok(agent.events("observe-only")[0]["file"] == path and agent.get("observe_only")["file"] == path,
         "log and status say why", agent.log())
    t.ok("reroute_observe_only 1\n" in metrics(world), "and the metrics")
    connection = connect(world)
    changes, told = monitor.changes(), len(service.seen("PUT"))
    t.ok(agent.command("drain", first.name)[0] == 0, "a drain is taken")
    t.eventually(lambda: any(e["action"] == "switch-planned-not-done" for e in agent.events("decision")),
                 "what would be done is said", detail=agent.log)
    t.ok(stays(lambda: agent.get("next_hop") == home, agent.up(second.address("data"), 1.5)), "and not done", agent.status())
    t.ok(echoes(connection), "connections live on")
    connection.close()
    t.ok(agent.command("undrain", first.name)[0] == 0, "undrain")
    world.cut(first, "data")
    t.eventually(lambda: any(e["action"] == "switch-not-done" for e in agent.events("decision")), "nor a failover",
                 detail=agent.log)
    t.ok(stays(lambda: monitor.changes() == changes and len(service.seen("PUT")) == told, agent.asks(40)),
         "no route was touched, and the cluster told nothing", f"{monitor.events}\n{service.seen('PUT')}")
    out = agent.command("status")[1] + agent.command("explain")[1]
    t.ok(out.count("WARNING   this host only observes since") == 2 and "Nothing moves it while" in out,
         "people read it first", out)
    t.ok(agent.terminate() == 0, "a restart")
    agent.start()
    t.eventually(lambda: agent.get("observe_only") and agent.path(second.address("data")).get("up"), "observes at once",
                 detail=agent.status)
    t.ok(stays(lambda: monitor.changes() == changes, agent.up(second.address("data"), 1)), "and touches nothing",
         monitor.events)
    os.remove(path)
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "without the file it acts", detail=agent.status)
    t.eventually(lambda: len(service.seen("PUT")) > told, "and tells the cluster")
    t.ok(agent.get("observe_only") is None and agent.events("acts-again"), "and says so", agent.log())


def follows_what_others_do(t):
    """A route that somebody else moves or removes while the agent observes is not put back, also later."""
    path = os.path.join(t.directory, "observe-only")
    world, service, monitor, agent, home = t.settled(hold="60s", top=f'observe-file = "{path}"')
    other = world.node(2).address("data")
    put(path)
    t.eventually(lambda: agent.get("observe_only"), "it observes")
    before = monitor.changes()
    world.host.ip("route", "replace", world.service, "via", other, "proto", "static")
    t.eventually(lambda: monitor.changes() > before, "somebody moves the route")
    changes = monitor.changes()
    t.eventually(agent.on(other), "it follows", detail=agent.status)
    t.ok(stays(lambda: monitor.changes() == changes, agent.up(other, 1.5)), "and leaves it", monitor.events)
    os.remove(path)
    t.eventually(lambda: agent.events("acts-again"), "it acts again")
    t.ok(stays(lambda: agent.get("next_hop") == other, agent.up(other, 1.5)), "the route is adopted as it is",
         agent.status())
    t.ok(agent.get("repairs") == 0, "nothing was put back", agent.status())
    put(path)
    t.eventually(lambda: agent.get("observe_only"), "it observes once more")
    world.host.ip("route", "del", world.service)
    t.eventually(lambda: agent.get("next_hop") is None, "a route that is removed", detail=agent.status)
    t.ok(stays(lambda: monitor.standing() == [], agent.up(other, 1.5)), "is not put back", monitor.standing())
    os.remove(path)
    t.eventually(lambda: agent.get("next_hop"), "until it acts", detail=agent.status)


def hanging(t, which):
    """An agent, not started, whose disk with `which` of its things hangs on demand: (world, monitor, agent, home, path
    of observe-file, path of a file: while it is there the disk hangs)."""
    world, _, monitor = t.cluster(settings=dict(nodes=3))
    far, hang = os.path.join(t.directory, "far"), os.path.join(t.directory, "hang")
    os.mkdir(far)
    path = os.path.join(far, "observe-only")
    agent = t.agent(world, start=False, hold="1s", top=f'observe-file = "{path}" metrics-listen = "127.0.0.1:9323"')
    may_hang(agent, far if which == "file" else agent.state_directory, hang)
    return world, monitor, agent, world.node(1).address("data"), path, hang


def why_unknown(agent):
    return (agent.get("observe_file") or {}).get("error") or ""


def unknown(agent):
    return why_unknown(agent) == "the disk does not answer"


def fails_over(t, agent, home):
    """Waits for the agent's own word: the route moves before the agent has logged that."""
    t.eventually(lambda: agent.get("next_hop") not in (None, home), "failover", detail=agent.status)
    silent_ms = agent.events("switch")[-1]["silent_ms"]
    t.ok(float(silent_ms) < 5000, "that waited for no look", silent_ms)


@a_disk_that_hangs
def its_disk_hangs(t):
    """A look that does not come back: the failover comes in time, it is said once, and the last answer counts."""
    world, monitor, agent, home, path, hang = hanging(t, "file")
    agent.start()
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    t.ok(agent.get("observe_file") == {"file": path, "there": False, "error": None, "error_since": None},
         "it is looked for", agent.get("observe_file"))
    put(hang)
    t.eventually(lambda: unknown(agent), "it hangs: status", detail=agent.status)
    t.ok("reroute_observe_file_known 0\n" in metrics(world) and "reroute_observe_only 0\n" in metrics(world), "and metric",
         metrics(world))
    t.ok("cannot be looked for since" in agent.command("status")[1], "for people too", agent.command("status")[1])
    before = agent.get("probe")["sent"]
    world.cut(world.node(1), "data")
    fails_over(t, agent, home)
    t.ok(stays(lambda: len(agent.events("observe-file-unknown")) == 1, lambda: agent.get("probe")["sent"] > before + 100),
         "said once, and probing goes on", agent.log())
    t.ok(agent.events("observe-file-unknown")[0]["acts"] == "true" and not agent.get("not_kept"),
         "it acts, and its state is kept", agent.status())
    put(path)
    os.unlink(hang)
    t.eventually(lambda: agent.get("observe_only") and not unknown(agent), "it answers: the file counts", detail=agent.status)
    t.ok(agent.events("observe-file-known"), "and that is said", agent.log())
    put(hang)
    t.eventually(lambda: unknown(agent), "hangs again", detail=agent.status)
    os.unlink(path)
    changes = monitor.changes()
    world.cut(next(n for n in world.nodes if n.address("data") == agent.get("next_hop")), "data")
    t.eventually(lambda: agent.events("decision")[-1]["action"] == "switch-not-done", "it would move the route",
                 detail=agent.log)
    t.ok(stays(lambda: agent.get("observe_only") and monitor.changes() == changes, agent.asks(100)),
         "but observes by what it knew last", agent.status())
    t.ok(agent.events("observe-file-unknown")[1]["acts"] == "false", "the log says so", agent.log())
    os.unlink(hang)
    t.eventually(lambda: agent.events("acts-again") and monitor.changes() > changes, "it answers: the file is gone, it acts",
                 detail=agent.log)
    put(hang)
    t.ok(agent.terminate() == 0, "ends though the disk hangs")


@a_disk_that_hangs
def starts_while_its_disk_hangs(t):
    """Nothing is known: nothing is touched, but not for good. Another file by a reload is looked at all the same."""
    world, monitor, agent, home, path, hang = hanging(t, "file")
    other = os.path.join(t.directory, "observe-only")
    put(hang)
    agent.start()
    t.eventually(lambda: (agent.get("observe_file") or {}).get("there", 0) is None, "it is not known", detail=agent.status)
    t.eventually(lambda: any(e["action"] == "switch-not-done" for e in agent.events("decision")), "it would set a route",
                 detail=agent.log)
    t.eventually(agent.on(home), "and does after a while", detail=agent.status)
    t.ok(not agent.events("observe-only") and not agent.events("acts-again"), "nobody says that a file was there", agent.log())
    t.eventually(lambda: unknown(agent), "why is said", detail=agent.status)
    put(other)
    with open(agent.config_path, encoding="ascii") as f:
        agent.write(f.read().replace(path, other))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: (agent.get("observe_only") or {}).get("file") == other, "another file is found",
                 detail=agent.status)
    t.ok(not unknown(agent), "and is known", agent.status())
    with open(agent.config_path, encoding="ascii") as f:
        agent.write(f.read().replace(f'observe-file = "{other}"', ""))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("acts-again"), "no file: it acts", detail=agent.status)
    t.ok(agent.get("observe_file") is None, "and looks for none", agent.status())


@a_disk_that_hangs
def state_hangs(t):
    """A write of the state that hangs does not keep it from seeing the file."""
    world, monitor, agent, home, path, hang = hanging(t, "state")
    agent.start()
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    put(hang)
    t.ok(agent.command("drain", world.node(3).name)[0] == 0, "an order")
    t.eventually(lambda: agent.get("not_kept"), "is not kept", detail=agent.status)
    put(path)
    t.eventually(lambda: agent.get("observe_only"), "the file is seen", detail=agent.status)
    os.unlink(path)
    t.eventually(lambda: agent.events("acts-again"), "and that it is gone", detail=agent.log)
    t.ok(agent.get("not_kept"), "while the state hangs", agent.status())


def mount_what_hangs(directory):
    """Mounts there a FUSE whose server answers nobody, not even the kernel's first question: the server's descriptor.
    When that is closed, at the latest with this process, whoever waits gets an error."""
    server = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0"
    if libc.mount(b"hangs", directory.encode(), b"fuse", 0, options.encode()) < 0:
        raise OSError(ctypes.get_errno(), "mount")
    return server


def a_file_system_hangs(t):
    """No stand-in: the kernel itself does not come back from the look."""
    world, _, _ = t.cluster(settings=dict(nodes=3))
    far = os.path.join(t.directory, "far")
    os.mkdir(far)
    if libc.unshare(0x00020000) < 0:  # CLONE_NEWNS: nothing is left in the end
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    agent = t.agent(world, hold="1s", top=f'observe-file = "{far}/observe-only"')
    home = world.node(1).address("data")
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    try:
        server = mount_what_hangs(far)
    except OSError as error:
        t.ok(True, "it hangs", unless=f"no FUSE: {error}")
        return
    t.eventually(lambda: unknown(agent), "it hangs", detail=agent.status)
    world.cut(world.node(1), "data")
    fails_over(t, agent, home)
    os.close(server)
    t.eventually(lambda: "not connected" in why_unknown(agent), "an error is said as well", detail=agent.status)
    subprocess.run(["umount", far], check=True)
    t.eventually(lambda: agent.events("observe-file-known"), "the directory is back", detail=agent.log)
    server = mount_what_hangs(far)
    t.eventually(lambda: unknown(agent), "hangs again", detail=agent.status)
    t.ok(agent.terminate() == 0, "ends all the same", agent.log(),
         unless=SANITIZED and "the sanitizer looks for leaks at the end, and waits for each thread")
    os.close(server)


sys.exit(main([touches_nothing, follows_what_others_do, its_disk_hangs, starts_while_its_disk_hangs, state_hangs,
               a_file_system_hangs], parallel=6))
