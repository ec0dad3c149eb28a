# SPDX-License-Identifier: Apache-2.0
"""Without libcurl in the build everything works but TLS, which is refused with one line. Where the build has it and the
host has not, the session provider "rest" is refused. The commands that talk to the agent never need it. Without inotify
and eventfd everything works, a change of the list's file is followed a little later, and the log says so."""
import json
import os
import signal
import sys

from harness import BUILD, REROUTE, main

BUILT_WITH = os.environ.get("REROUTE_CURL", "true") == "true"
REFUSAL = "cannot load libcurl" if BUILT_WITH else "this build has no TLS (libcurl), expected tls = false"
# What needs libcurl.
REST = {"session": "" if BUILT_WITH else "tls = true"}


def hide_libcurl(directory):
    """What is started from now on finds an empty file in its place."""
    hidden = os.path.join(directory, "libraries")
    os.mkdir(hidden)
    open(os.path.join(hidden, "libcurl.so.4"), "w").close()
    os.environ["LD_LIBRARY_PATH"] = hidden


def write_list(path, nodes):
    with open(path, "w") as f:
        json.dump([{"uuid": n.name, "ip": n.address("data"), "alive_sec": 5000} for n in nodes], f)


def with_a_file(t):
    """The agent of a list in a file, and every command that asks it."""
    hide_libcurl(t.directory)
    world = t.world(nodes=3)
    home, other = world.node(1), world.node(2)
    path = os.path.join(t.directory, "list.json")
    write_list(path, world.nodes)
    agent = t.agent(world, provider="file", session=f'file = "{path}"', hold="60s")
    t.eventually(lambda: agent.get("next_hop"), "a route", detail=agent.status)
    for command in (["check-config"], ["status"], ["status", "--json"], ["sessions"], ["drain", other.name],
                    ["undrain", other.name], ["pin", home.name], ["unpin"], ["failback", "--now"]):
        code, out, error = agent.command(*command)
        t.ok(code == (1 if command[0] == "failback" else 0) and (code or out), f"{' '.join(command)}: as ever",
             f"{code} {out} {error}")
    code, out, error = agent.command("status", "--json")
    t.ok(json.loads(out)["next_hop"] == agent.get("next_hop"), "the status is whole", out + error)
    code, out, error = agent.command("drain", "nobody")
    t.ok(code == 1 and "nobody" in error, "a refusal in the agent's own words", f"{code} {error}")
    agent.write(agent.text(**REST))
    agent.signal(signal.SIGHUP)
    t.eventually(lambda: any(REFUSAL[:-1] in e["error"].replace("\\", "") for e in agent.events("reload-refused")),
                 "a reload to what needs libcurl is refused", detail=agent.log)
    t.ok(agent.get("next_hop"), "and the agent goes on", agent.status())


def with_a_service(t):
    hide_libcurl(t.directory)
    agent = t.agent(t.world(nodes=1, echo=False), start=False, **REST)
    code, error = agent.run_to_end()
    t.ok(code == (4 if BUILT_WITH else 3) and REFUSAL in error and error.count("\n") == 1, "the agent: one line",
         f"{code} {error}")
    code, out, error = agent.command("check-config")
    t.ok(BUILT_WITH and code == 0 or (code, out, error) == (3, "", f"{agent.config_path}: {REFUSAL}\n"),
         "check-config knows of the build", f"{code} {out} {error}")
    code, out, error = agent.command("sessions")
    t.ok(code == (4 if BUILT_WITH else 3) and REFUSAL in error and not out, "sessions: one line", f"{code} {out} {error}")


def without_inotify(t):
    world = t.world(nodes=2)
    path = os.path.join(t.directory, "list.json")
    write_list(path, world.nodes[:1])
    agent = t.agent(world, start=False, accesses=[], provider="file", session=f'file = "{path}"')
    agent.program = [os.path.join(BUILD, "tests", "lib", "without-watching"), REROUTE]
    agent.start()
    t.eventually(agent.on(world.node(1).address("data")), "a route", detail=agent.status)
    write_list(path, world.nodes)
    t.eventually(lambda: agent.path(world.node(2).address("data")), "a change is followed", detail=agent.status)
    said = agent.events("not-watched")
    t.ok(len(said) == 1 and "inotify" in said[0]["hint"], "the log says once how", agent.log())
    said = [(e["error"], e["instead"]) for e in agent.events("lacking") if e["what"] == "eventfd"]
    t.ok(said == [("Function not implemented", "a pipe or a pair of sockets")], "and once what else is refused", agent.log())
    t.ok(agent.terminate() == 0, "ends")


sys.exit(main([with_a_file, with_a_service, without_inotify]))
