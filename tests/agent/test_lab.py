# SPDX-License-Identifier: Apache-2.0
"""The agent in the lab, with the configuration that the lab writes: what README tells a newcomer to do."""
import json
import os
import signal
import subprocess
import sys

from harness import BUILD, METER, REROUTE, ROOT, UnixConnection, end_process, main, stays
from world import end_of_life

MANAGEMENT, DATA = "192.168.85.15", "10.10.85.15"


class Lab:
    def __init__(self, t, **settings):
        self.t = t
        self.name = f"rr-agent-{os.getpid()}"
        self.directory = f"/run/{self.name}"
        self.environment = dict(os.environ, LAB_NAME=self.name, REROUTE_BUILD=BUILD, **settings)
        t.afterwards([os.path.join(ROOT, "tools", "lab"), "down"], {"LAB_NAME": self.name})

    def run(self, *arguments):
        done = subprocess.run([os.path.join(ROOT, "tools", "lab"), *arguments], env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0 and arguments[0] != "down":
            raise RuntimeError(f"tools/lab {' '.join(arguments)}: {done.returncode}: {done.stdout}")
        return done.stdout

    def start(self, *command, **options):
        process = subprocess.Popen(["ip", "netns", "exec", f"{self.name}-host", *command], preexec_fn=end_of_life,
                                   **options)
        self.t.stack.callback(end_process, process)
        return process

    def status(self):
        connection = UnixConnection(f"{self.directory}/control.sock")
        try:
            connection.request("GET", "/v1/status")
            return json.loads(connection.getresponse().read())
        except OSError:
            return {}
        finally:
            connection.close()

    def log_tail(self):
        with open(os.path.join(self.t.directory, "log")) as f:
            return "".join(f.readlines()[-45:])

    def state(self, node):
        return json.loads(self.run("exec", node, "curl", "-s", "http://127.0.0.1/lab/state"))


def lab(t):
    lab = Lab(t, LAB_HOLD="3s", LAB_LEASE_MS="2500")
    lab.run("up", "4")
    t.agents.append(lab)
    agent = lab.start(REROUTE, "agent", "--config", f"{lab.directory}/reroute.conf",
                      stderr=open(os.path.join(t.directory, "log"), "w"))

    def at(address):
        return lambda: lab.status().get("next_hop") == address

    def away():
        return lab.status().get("next_hop") not in (None, DATA)

    t.eventually(at(DATA), "at home", detail=lab.status)
    meter = lab.start(METER, "192.168.33.2", stdout=subprocess.DEVNULL)
    lab.run("kill", "scvm1")
    t.eventually(away, "the local node dies", detail=lab.status)
    t.ok(lab.status()["tier"] == "data", "another one in the storage network")
    lab.run("revive", "scvm1")
    t.eventually(at(DATA), "revived: home", detail=lab.status)
    lab.run("cut", "host", "data")
    t.eventually(at(MANAGEMENT), "the host loses the storage network", detail=lab.status)
    lab.run("plug", "host", "data")
    t.eventually(at(DATA), "and finds it again", detail=lab.status)
    for mode in ("hang", "502", "html", "truncated", "empty", "error", "slow"):
        for i in range(1, 5):
            lab.run("behave", f"scvm{i}", mode)
        t.ok(stays(at(DATA), 0.7), f"session services: {mode}", lab.status())
    for i in range(1, 5):
        lab.run("behave", f"scvm{i}", "normal")
    t.eventually(lambda: lab.status()["sessions"]["error"] is None, "all is well again", detail=lab.status)
    t.eventually(lambda: any(s["clients"] for s in lab.state("scvm2")["sessions"] if s["uuid"] ==
                             lab.status()["refresh"]["session"]), "the cluster knows where we enter")
    for _ in range(3):
        lab.run("restart", "scvm1")
        stays(lambda: True, 2.5)
    t.eventually(away, "three restarts in a row: left", detail=lab.status)
    meter.send_signal(signal.SIGTERM)
    agent.send_signal(signal.SIGTERM)
    t.ok(agent.wait(10) == 0, "ends")
    lab.run("down")
    t.ok(not os.path.exists(lab.directory), "leaves nothing")


sys.exit(main([lab]))
