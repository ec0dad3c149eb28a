# SPDX-License-Identifier: Apache-2.0
"""What is wrong at the start is one line and the right exit code: 3 for a configuration or argument, 4 for the
system. Nothing is left behind, and no route is touched."""
import os
import socket
import subprocess
import sys

from harness import NEVER_KEPT, REROUTE, RUN, main
from netlab.namespace import entering


def refusals(t):
    world = t.world(nodes=2, echo=False)
    directory = t.directory
    agent = t.agent(world, start=False)
    good = agent.text()

    def file(name, text=""):
        with open(os.path.join(directory, name), "w") as f:
            f.write(text)
        return os.path.join(directory, name)

    def refused(what, code, *words, text=None, path=None):
        agent.config_path = path or file("test.conf", good if text is None else text)
        got, error = agent.run_to_end()
        lines = [line for line in error.splitlines() if not any(f"/{name} error=" in line for name in NEVER_KEPT)]
        t.ok(got == code and len(lines) == 1 and all(w in lines[0] for w in words),
             f"{what}: one line, code {code}", f"{got}: {error}")

    refused("no such file", 3, "missing.conf", path=os.path.join(directory, "missing.conf"))
    refused("a directory", 3, directory, path=directory)
    refused("binary", 3, "binary.conf:", path=file("binary.conf", "\x01\x02\x03"))
    refused("an unknown key", 3, "test.conf:1", "colour", text='colour = "blue"\n' + good)
    refused("a bad address", 3, "test.conf:1", "expected", text=good.replace(world.service, "198.18.7.999"))
    refused("no service", 3, "service", text="\n".join(good.splitlines()[1:]))
    refused("a service that is an address of this host", 4, world.host.address("data"),
            text=good.replace(world.service, world.host.address("data")))
    refused("loopback as the service", 3, "127.0.0.1", text=good.replace(world.service, "127.0.0.1"))
    refused("no access", 3, "access", text="\n".join(line for line in good.splitlines() if "access" not in line))
    refused("two local accesses", 3, "local", text=good.replace("{ data", "{ local = true data"))
    refused("a token that is not there", 3, "token", text=good.replace(
        "session {", f'session {{ token-file = "{directory}/token"'))
    token = file("token", "x")
    os.chmod(token, 0o644)
    refused("a token that others can read", 3, "token", text=good.replace(
        "session {", f'session {{ token-file = "{token}"'))
    refused("a socket path that is too long", 3, "control-socket", text=good.replace(
        agent.socket_path, directory + "/" + "x" * 120))
    refused("a socket path that is a file", 4, "plain", text=good.replace(agent.socket_path, file("plain")))
    t.ok(os.path.exists(os.path.join(directory, "plain")), "which stays")
    other = os.path.join(directory, "other.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(other)
    listener.listen()
    refused("a socket of somebody else", 4, "other.sock", text=good.replace(agent.socket_path, other))
    listener.close()
    t.ok(world.host.ip("route", "show", world.service) == "", "no route was touched")
    t.ok(not os.path.exists(agent.socket_path), "no socket is left")


def unprivileged(t):
    """Without the right to change routes: said at once, not at the first failover."""
    world = t.world(nodes=1, echo=False)
    agent = t.agent(world, start=False)
    os.chmod(t.directory, 0o777)
    os.chmod(agent.config_path, 0o644)
    process = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                              REROUTE, "agent", "--config", agent.config_path], capture_output=True, text=True,
                             timeout=10, preexec_fn=entering(world.host.namespace))
    t.ok(process.returncode == 4 and process.stderr.count("\n") == 1, "one line, code 4",
         f"{process.returncode} {process.stderr}")


def arguments(t):
    def run(*arguments):
        p = subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
        return p.returncode, p.stdout, p.stderr

    for command in ("agent", "status", "pin", "unpin", "drain", "undrain", "failback", "route", "clear", "sessions",
                    "check-config"):
        code, out, error = run(command, "--help")
        t.ok(code == 0 and out.startswith("Usage:") and not error, f"{command} --help", f"{code} {out} {error}")
        code, out, error = run(command, "--no-such-option")
        t.ok(code == 3 and error and not out, f"{command}: a bad option", f"{code} {out} {error}")
        code, out, error = run(command, "--config", "/nonexistent/reroute.conf", *(
            ["x"] if command in ("pin", "drain", "undrain") else ["--now"] if command == "failback" else
            ["--to", "10.0.0.1"] if command == "route" else []))
        t.ok(code == 3 and "/nonexistent/reroute.conf" in error and error.count("\n") == 1,
             f"{command}: a configuration that is not there", f"{code} {out} {error}")
    code, out, error = run("no-such-command")
    t.ok(code == 3 and error, "an unknown command", f"{code} {out} {error}")
    code, out, error = run("agent", "operand")
    t.ok(code == 3, "an operand too many", f"{code} {error}")


sys.exit(main([refusals, unprivileged, arguments]))
