#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab does what its commands say, and leaves nothing behind: not when it ends, not when `up` is
interrupted or killed at any point."""
import json
import os
import re
import signal
import socket
import subprocess
import sys

from lab import Failed, Lab, Tap, need_namespaces, wait_for
from netlab.lab import read
from netlab.namespace import end_process, new_namespace, within

need_namespaces()
tap = Tap()


def only_its_own():
    """What `down` removes has been made by a lab. In a /run of its own: the machine's is not put at risk."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "lab")
    script = f"""set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/elsewhere/below /run/rr-foreign/below /run/rr-empty /run/rr-made/below /run/rr-false
mkdir -p /run/systemd/below
touch /run/systemd/ready /run/elsewhere/made-by-tools-lab /run/rr-made/made-by-tools-lab
ln -s /run/elsewhere /run/rr-link
ln -s /run/elsewhere/made-by-tools-lab /run/rr-false/made-by-tools-lab
ln -s /run/elsewhere /run/rr-made/below/link
for name in systemd ../run/systemd rr-../systemd '' rr- 'rr-a b' "rr-x
rr-made" rr-foreign rr-link rr-false rr-nothing rr-empty rr-made; do
    code=0
    LAB_NAME=$name {program} down </dev/null >/run/said 2>&1 || code=$?
    echo "$(printf %q "$name") $code $(wc -l </run/said)"
done
cd /run
find systemd elsewhere rr-* | sort | tr '\\n' ' '
"""
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "bash", "-c", script], capture_output=True, text=True)
    *said, left = done.stdout.splitlines() or [""]
    done_with = dict(line.rsplit(" ", 2)[:2] for line in said)
    lines = {line.rsplit(" ", 1)[1] for line in said if line.split()[-2] != "0"}
    refused = [name for name, code in done_with.items() if code != "0"]
    tap.ok(refused == ["systemd", "../run/systemd", "rr-../systemd", "rr-", "rr-a\\ b", "$'rr-x\\nrr-made'", "rr-foreign",
                       "rr-link", "rr-false"] and lines == {"1"}, "a name or directory of others is refused in one line",
           done.stdout + done.stderr)
    tap.ok(left.split() == ["elsewhere", "elsewhere/below", "elsewhere/made-by-tools-lab", "rr-false",
                            "rr-false/made-by-tools-lab", "rr-foreign", "rr-foreign/below", "rr-link", "systemd",
                            "systemd/below", "systemd/ready"], "and stays; what a lab made is gone, its links not followed",
           left + done.stderr)


def commands():
    with Lab(LAB_LEASE_MS="60000") as lab:  # no lease ends while a node is frozen
        code, output = lab.run("up", 3)
        tap.ok(code == 0, "up when it is up: nothing to do", output)
        code, output = lab.run("up", 2)
        tap.ok(code == 1 and "3 accesses" in output, "up with another number is refused and says why", output)
        code, output = lab.run("cut", "scvm9", "data")
        tap.ok(code == 1 and "host scvm1 scvm2 scvm3" in output, "an unknown node: the known ones are named", output)
        code, output = lab.run("cut", "scvm1", "storage")
        tap.ok(code == 1 and "data management" in output, "an unknown network: the known ones are named", output)
        tap.ok(lab.run("kill", "host")[0] == 1, "the host cannot be killed")
        tap.ok(lab.run("kill")[0] == 3 and lab.run("frobnicate")[0] == 3, "bad usage: exit code 3")

        lab.write_configuration(LAB_HOLD="9s", LAB_SERVICE_CHECK="tcp:2049")
        text = read(lab.path("reroute.conf"))
        tap.ok('service-check = "tcp:2049"' in text and 'hold = "9s"' in text, "other settings are in the configuration", text)

        lab.must("cut", "scvm1", "data")
        tap.ok(not lab.pings("host", "10.10.85.15") and lab.pings("host", "192.168.85.15"),
               "cut scvm1 data: its data address is away, its management address is not")
        lab.must("plug", "scvm1", "data")
        tap.ok(wait_for(lambda: lab.pings("host", "10.10.85.15")), "plug: it is back")

        lab.must("cut", "host", "data")
        tap.ok("NO-CARRIER" in lab.must("exec", "host", "ip", "link", "show", "data0"),
               "cut host data: the host's own end has no carrier")
        tap.ok(lab.pings("scvm1", "10.10.85.16"), "... and the accesses still see each other")
        lab.must("plug", "host", "data")

        uuid = lab.state("scvm2")["uuid"]
        lab.must("kill", "scvm2")
        tap.ok(not lab.pings("host", "10.10.85.16") and not lab.pings("host", "192.168.85.16"),
               "kill scvm2: neither address answers")
        lab.must("cut", "scvm2", "management")
        lab.must("revive", "scvm2")
        tap.ok(wait_for(lambda: lab.pings("host", "10.10.85.16")), "revive: it answers again")
        tap.ok(not lab.pings("host", "192.168.85.16"), "... but what was cut stays cut")
        tap.ok(lab.state("scvm2")["uuid"] != uuid, "... and it is a new session")
        losses(lab)
        code, output = lab.run("status")
        tap.ok(code == 0 and all(n in output for n in ("host", "scvm1", "scvm2", "scvm3", "cut")),
               "status shows every node and the cut", output)

        lab.start("exec", "host", "sleep", "1000")
        tap.ok(wait_for(lambda: re.search(r"^process \d+ sleep", lab.remains(), re.M)), "something runs in the host's namespace")
        lab.must("down")
        tap.ok(wait_for(lambda: lab.remains() == ""), "down: no namespace, process or file is left", lab.remains())
        code, output = lab.run("down")
        tap.ok(code == 0, "down when it is down", output)
        code, output = lab.run("status")
        tap.ok(code == 1 and "not up" in output, "status when it is down", output)


def losses(lab):
    """What comes from, or through, a node that is neither cut nor off."""
    def answered():
        """So many of 200 pings to scvm1."""
        output = lab.run("exec", "host", "ping", "-n", "-q", "-c", "200", "-i", "0.002", "-W", "0.2", "10.10.85.15")[1]
        return int(output.split(" received")[0].split()[-1])

    def arrived():
        """Packets that came to scvm1."""
        link, = json.loads(lab.must("exec", "scvm1", "ip", "-s", "-j", "link", "show", "data0"))
        return link["stats64"]["rx"]["packets"]

    for direction in ("in", "out"):
        lab.must("lose", "scvm1", "data", direction, 100)
        before = arrived()
        tap.ok(not lab.pings("host", "10.10.85.15") and lab.pings("host", "192.168.85.15") and
               lab.pings("host", "10.10.85.17"), f"lose scvm1 data {direction} 100: only that cable")
        tap.ok((arrived() == before) == (direction == "in"), f"... all that goes {direction}, and nothing else",
               arrived() - before)
        lab.must("lose", "scvm1", "data", direction, 0)
        tap.ok(wait_for(lambda: lab.pings("host", "10.10.85.15")), "... and 0: nothing")
    lab.must("lose", "scvm1", "data", "in", 20)
    lab.must("lose", "scvm1", "data", "in", 50)
    count = answered()
    tap.ok(50 <= count <= 150, "lose 50 after 20: half of the packets", count)
    lab.must("lose", "scvm1", "data", "in", 0)
    for bad in (("scvm1", "data", "up", 5), ("scvm1", "data", "in", 101), ("scvm1", "data", "in", "-1"),
                ("scvm9", "data", "in", 5)):
        tap.ok(lab.run("lose", *bad)[0] == 1, f"refused: lose {' '.join(map(str, bad))}")

    uuid = lab.state("scvm3")["uuid"]
    lab.must("freeze", "scvm3")
    tap.ok(not lab.pings("host", "10.10.85.17") and not lab.pings("host", "192.168.85.17") and
           lab.state("scvm3") is None and "frozen" in lab.must("status"), "freeze scvm3: nothing comes from it")
    tap.ok("NO-CARRIER" not in lab.must("exec", "scvm3", "ip", "link", "show", "data0"), "... but its cable carries")
    lab.must("thaw", "scvm3")
    tap.ok(lab.pings("host", "10.10.85.17") and lab.state("scvm3")["uuid"] == uuid, "thaw: it goes on where it was")

    lab.must("suspend", "scvm3")
    connects = lab.run("exec", "host", "bash", "-c", ": < /dev/tcp/10.10.85.17/80")[0] == 0
    tap.ok(lab.pings("host", "10.10.85.17") and connects and lab.state("scvm3") is None,
           "suspend scvm3: it answers pings and accepts connections, and that is all")
    lab.must("resume", "scvm3")
    tap.ok(wait_for(lambda: lab.state("scvm3")) and lab.state("scvm3")["uuid"] == uuid, "resume: it goes on")

    lab.must("stop", "scvm3")
    tap.ok(lab.pings("host", "10.10.85.17") and lab.state("scvm3") is None, "stop scvm3: it answers pings and no more")
    lab.must("revive", "scvm3")
    tap.ok(wait_for(lambda: lab.state("scvm3")) and lab.state("scvm3")["uuid"] != uuid, "... and revive: a new session")


def stages(lab):
    """Points of an `up` at which it is interrupted, by what can be seen from outside."""
    here = lambda what: os.path.exists(f"/run/netns/{lab.name}-{what}")
    return {
        "the switch": lambda: here("switch"),
        "the host": lambda: here("host"),
        "the second access": lambda: here("scvm2"),
        "a session service": lambda: os.path.exists(f"/run/{lab.name}/scvm3.pid"),
        "the configuration": lambda: os.path.exists(f"/run/{lab.name}/reroute.conf"),
    }


def interrupted():
    for stage in stages(Lab()):
        lab = Lab()
        process = lab.start("up", start_new_session=True)
        wait_for(stages(lab)[stage])
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        tap.ok(process.returncode == 130 and wait_for(lambda: lab.remains() == ""),
               f"up interrupted after {stage}: nothing is left", f"{process.returncode}\n{output}{lab.remains()}")
        lab.run("down")


def killed():
    for stage in ("the host", "a session service"):
        lab = Lab()
        process = lab.start("up", start_new_session=True)
        wait_for(stages(lab)[stage])
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if stage == "the host":
            code, output = lab.run("up", 2)
            tap.ok(code == 0, f"up killed after {stage}: the next up starts anew", output)
        lab.must("down")
        tap.ok(wait_for(lambda: lab.remains() == ""), f"up killed after {stage}: down leaves nothing", lab.remains())


def not_taken_down():
    lab = Lab(accesses=1)
    marker, said = f"{lab.directory}/made-by-tools-lab", ""
    try:
        with lab:
            os.rename(marker, marker + ".away")
    except Failed as why:
        said = str(why)
    tap.ok(lab.name in said and "nothing is removed" in said, "a lab that cannot be taken down is told", said)
    os.rename(marker + ".away", marker)
    lab.must("down")


def side_by_side():
    one = Lab(accesses=1)
    with one:
        other = Lab(accesses=1)
        other.name = one.name + "-host"  # its namespaces begin with the other's names
        other.environment["LAB_NAME"] = other.name
        with other:
            one.must("down")
            tap.ok(other.pings("host", "10.10.85.15"), "down ends its own lab and not one whose name begins alike")


def own_machine():
    """The host is where this thread is, here a namespace made for it: what else is there goes on."""
    def interfaces():
        return {name for _, name in socket.if_nameindex()}

    machine = new_namespace()
    with within(machine):
        before = interfaces()  # not lo alone: modules of the kernel put theirs into each namespace (tunl0, sit0)
        bystander = subprocess.Popen(["sleep", "60"])
        try:
            with Lab(accesses=1, LAB_OWN_MACHINE="yes") as lab:
                tap.ok(interfaces() >= {"data0", "mgmt0"} and lab.pings("host", "10.10.85.15"),
                       "this machine is the lab's host", interfaces())
            tap.ok(bystander.poll() is None and interfaces() == before and lab.remains() == "",
                   "down takes nothing else from it", f"{interfaces()} {before} {lab.remains()}")
        finally:
            end_process(bystander)
            os.close(machine)
    lab = Lab(accesses=1, LAB_ISCSI="yes", LAB_OWN_MACHINE="")
    code, said = lab.run("up", 1)
    tap.ok(code == 1 and said.count("\n") == 1 and "LAB_OWN_MACHINE=yes" in said and lab.remains() == "",
           "iSCSI is refused on a machine in use", said)


only_its_own()
commands()
own_machine()
interrupted()
killed()
not_taken_down()
side_by_side()
sys.exit(tap.done())
