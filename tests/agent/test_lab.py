# SPDX-License-Identifier: Apache-2.0
"""The agent in the lab, with the configuration that the lab writes: what README tells a newcomer to do."""
import os
import sys
from types import SimpleNamespace

from harness import ROOT, main, stays
from netlab.lab import SERVICE, Lab

MANAGEMENT, DATA = "192.168.85.15", "10.10.85.15"


def lab(t):
    lab = Lab(f"rr-agent-{os.getpid()}", LAB_HOLD="3s", LAB_LEASE_MS="2500")
    t.afterwards([os.path.join(ROOT, "tools", "lab"), "down"], {"LAB_NAME": lab.name})
    lab.up(4)
    host = SimpleNamespace(namespace=lab.namespace("host"))
    agent = t.agent(SimpleNamespace(host=host, service=SERVICE), config="", start=False)
    agent.config_path, agent.socket_path = lab.path("reroute.conf"), lab.path("control.sock")
    with open(agent.config_path) as f:
        agent.write(f.read().replace("route   {", f"route   {{ {agent.by_command('')}"))
    agent.start()
    t.eventually(agent.on(DATA), "at home", detail=agent.status)
    meter = t.meter(agent.world)
    lab.kill("scvm1")
    t.eventually(lambda: agent.get("next_hop") not in (None, DATA), "the local node dies", detail=agent.status)
    t.ok(agent.get("tier") == "data", "another one in the storage network")
    lab.revive("scvm1")
    t.eventually(agent.on(DATA), "revived: home", detail=agent.status)
    lab.cut("host", "data")
    t.eventually(agent.on(MANAGEMENT), "the host loses the storage network", detail=agent.status)
    lab.plug("host", "data")
    t.eventually(agent.on(DATA), "and finds it again", detail=agent.status)
    for mode in ("hang", "502", "html", "truncated", "empty", "error", "slow"):
        for node in lab.nodes():
            lab.behave(node, mode)
        t.ok(stays(agent.on(DATA), agent.up(DATA, 2.5)), f"session services: {mode}", agent.status())
    for node in lab.nodes():
        lab.behave(node, "normal")
    t.eventually(lambda: agent.get("sessions")["error"] is None, "all is well again", detail=agent.status)
    t.eventually(lambda: any(s["clients"] for s in lab.state("scvm2")["sessions"] if s["uuid"] ==
                             agent.get("refresh")["session"]), "the cluster knows where we enter")
    for _ in range(3):
        lab.restart("scvm1")
        t.eventually(lambda: agent.access("scvm1").get("uuid") == lab.state("scvm1")["uuid"], "a restart is seen",
                     detail=agent.status)
    t.eventually(lambda: agent.get("next_hop") not in (None, DATA), "three restarts in a row: left", detail=agent.status)
    meter.finish()
    t.ok(agent.terminate() == 0, "ends")
    lab.down()
    t.ok(not os.path.exists(lab.directory), "leaves nothing")


sys.exit(main([lab]))
