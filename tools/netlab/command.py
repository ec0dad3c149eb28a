# SPDX-License-Identifier: Apache-2.0
"""The command tools/lab."""
import os
import signal
import sys

from .lab import BUILD, Lab
from .wait import Failed, Interrupts

USAGE = """Usage: tools/lab COMMAND
A storage cluster in network namespaces, to try and to test reroute in.

  up [N]                       start it with N accesses (default 3)
  down                         end it, with everything that runs in it
  status                       what is alive, cut, and who enters where
  cut NODE data|management     pull a cable (NODE: host, scvm1, scvm2, ...)
  plug NODE data|management    put it back
  kill NODE                    turn an access off
  revive NODE                  turn it on again, with a new session
  freeze NODE                  let an access hang: it answers nothing, its cables carry, its programs stand still
  thaw NODE                    let it go on where it was
  stop NODE                    end its session service (and the TCP echo) only: the node keeps answering pings
  suspend NODE                 let its session service hang: the kernel accepts connections, nobody answers
  resume NODE                  let it go on
  restart NODE                 end it, and start it again: a new session
  lose NODE data|management in|out PERCENT
                               lose so many of the packets to (in) or from (out) a node; 100: all, 0: none
  behave NODE MODE [DELAY_MS]  its session service: normal, slow, hang, 502, html, empty, truncated, error
  exec NODE COMMAND...         run a command in a node

LAB_NAME (default rr-lab) names the lab, so that several can stand side by side; it begins with rr-. LAB_HOLD (default 180s),
LAB_SELECT_TIMEOUT (100ms), LAB_SELECT_COUNT (10) and LAB_SERVICE_CHECK (auto) are for the configuration that "up" writes,
LAB_LEASE_MS (default 7000) is the lease of a session. LAB_NFS=yes: the accesses serve NFS too (nfs-ganesha, port 20490,
mounts at 20491); it stops, hangs and goes on with the session service. LAB_ISCSI=yes: iSCSI (tgt, port 3260) in the same way;
it takes LAB_OWN_MACHINE=yes: the host is this machine itself, which must be there for nothing else. REROUTE_BUILD is the build directory (default build/).
"""
EXIT_USAGE = 3


class Usage(Exception):
    """The arguments are none."""


def up(lab, count="3", *_):
    configuration = lab.path("reroute.conf")
    if not lab.up(count):
        return f"lab: is up; configuration: {configuration}\n"
    return (f"lab: {count} accesses are up; configuration: {configuration}\n"
            f"lab: try: LAB_NAME={lab.name} tools/lab exec host {BUILD}/reroute agent --config {configuration}\n"
            f"lab: then: {BUILD}/reroute status --config {configuration}\n")


def access_row(lab, node):
    """What an access says of itself: its state, its session, the session's clients."""
    if lab.is_frozen(node):
        return "frozen", "-", "-"
    state = lab.state(node)
    if not state:
        return "dead", "-", "-"
    clients = next((s["clients"] for s in state["sessions"] if s["uuid"] == state["uuid"]), None)
    return state["state"] + (" leader" if state["leader"] == state["id"] else ""), state["uuid"], clients or "-"


def status(lab):
    if not lab.is_up():
        print("lab: not up")
        sys.exit(1)
    rows = [("node", "data", "management", "state", "session", "clients")]
    rows += [(node, lab.link(node, "data"), lab.link(node, "management"),
              *(("-", "-", "-") if node == "host" else access_row(lab, node))) for node in ["host", *lab.nodes()]]
    return ("".join("%-7s %-5s %-11s %-18s %-37s %s\n" % row for row in rows) +
            f"host's route: {lab.route() or 'none'}\n")


def execute(lab, node, *command):
    lab.check(node)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvp("ip", ["ip", "netns", "exec", f"{lab.name}-{node}", *command])


# The function, and how many arguments it takes.
COMMANDS = {
    "up": (up, range(100)), "down": (Lab.down, [0]), "status": (status, [0]), "cut": (Lab.cut, [2]), "plug": (Lab.plug, [2]),
    "kill": (Lab.kill, [1]), "revive": (Lab.revive, [1]), "freeze": (Lab.freeze, [1]), "thaw": (Lab.thaw, [1]),
    "stop": (Lab.stop, [1]), "restart": (Lab.restart, [1]),
    "suspend": (Lab.suspend, [1]), "resume": (Lab.resume, [1]), "lose": (Lab.lose, [4]), "behave": (Lab.behave, [2, 3]),
    "exec": (execute, range(2, sys.maxsize)),
}


def run(words):
    """What is to be printed."""
    lab = Lab(os.environ.get("LAB_NAME") or "rr-lab")
    name, *arguments = words or [""]
    if name in ("-h", "--help", "help"):
        return USAGE
    if name not in COMMANDS:
        raise Usage
    if os.geteuid() != 0:
        raise Failed("needs root, for network namespaces")
    if name not in ("up", "down", "status") and not lab.is_up():
        raise Failed("not up; run: tools/lab up")
    function, counts = COMMANDS[name]
    if len(arguments) not in counts:
        raise Usage
    return function(lab, *arguments)


def main():
    Interrupts.catch()
    code, text, out = 0, "", sys.stdout
    try:
        text = run(sys.argv[1:]) or ""
    except Usage:
        code, text, out = EXIT_USAGE, USAGE, sys.stderr
    except (Failed, OSError) as why:
        code, text, out = 1, f"lab: {why}\n", sys.stderr
    except KeyboardInterrupt:
        code = 130
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads no further ends it
    out.write(text)
    return code
