# SPDX-License-Identifier: Apache-2.0
"""A session of the agent under valgrind: start, failovers, reloads, commands, a service that misbehaves, SIGTERM.
No leak, no error."""
import os
import shutil
import signal
import sys

from harness import REROUTE, SANITIZED, main
from netlab.wait import wait_for
from tap import skip


def session(t):
    world, service, monitor = t.cluster(settings=dict(nodes=4, zones=("a", "b")))
    agent = t.agent(world, start=False, hold="2s", timeout="200ms", count=4,
                    top='metrics-listen = "127.0.0.1:9321"',
                    session='heartbeat-path = "/heartbeat/reroute" heartbeat-interval = "500ms" '
                            'service-check = "tcp:80"')
    output = os.path.join(t.directory, "valgrind")
    run = [shutil.which("valgrind"), "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
           "--errors-for-leak-kinds=definite,indirect,possible", "--error-exitcode=99", "--track-fds=yes", "-q",
           f"--log-file={output}", REROUTE]
    agent.program = run
    agent.start()
    home = world.node(1)
    t.eventually(agent.settled(home.address("data")), "at home", seconds=60, detail=agent.status)
    world.cut(home, "data")
    t.eventually(lambda: agent.get("next_hop") not in (None, home.address("data")), "failover")
    good = agent.text(**agent.settings)
    agent.write(good + "x = 1\n")
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload-refused"), "a reload that is refused")
    agent.write(agent.text(**{**agent.settings, "accesses": world.nodes[:2]}))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: agent.events("reload"), "a reload")
    agent.write(good)
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: len(agent.status().get("paths", [])) == 8, "and back")
    world.plug(home, "data")
    for arguments in (["status"], ["drain", world.node(4).name], ["pin", world.node(3).name], ["unpin"],
                      ["undrain", world.node(4).name]):
        t.ok(agent.command(*arguments)[0] == 0, " ".join(arguments))
    t.eventually(agent.on(home.address("data")), "home", seconds=40, detail=agent.status)
    for mode in ("html", "half", "garbage", "huge", "hang"):
        service.behave(mode)
        t.ok(wait_for(service.asked(3)), f"{mode}: it goes on asking")
    world.host.ip("link", "set", world.host.interface("data"), "down")
    t.eventually(lambda: agent.get("tier") == "management", "management")
    world.host.ip("link", "set", world.host.interface("data"), "up")
    world.host.ip("route", "del", world.service)
    t.eventually(lambda: agent.get("repairs"), "a repair")
    code = agent.terminate(30)
    with open(output) as f:
        said = f.read()
    t.ok(code == 0, "ends with no error and no leak", f"code {code}\n{said}")
    # The one that valgrind writes to is always there, and is inherited.
    t.ok(said.count("Open ") == said.count("<inherited from parent>"), "and closes what it opened", said)


if SANITIZED or not shutil.which("valgrind"):
    skip("valgrind cannot run a sanitized program" if SANITIZED else "no valgrind")
sys.exit(main([session]))
