# SPDX-License-Identifier: Apache-2.0
"""The host of XenServer and XCP-ng: its address is on a bridge, xenbr0, of Linux or of Open vSwitch; and a daemon of
its own rewrites addresses and routes. (Open vSwitch without its kernel module: it forwards in a process of its own.)"""
import json
import os
import shutil
import subprocess
import sys

from harness import main
from netlab.namespace import batch
from netlab.wait import wait_for

BRIDGE = "xenbr0"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def linux_bridge(t, host, device):
    host.ip("link", "add", BRIDGE, "type", "bridge")
    host.ip("link", "set", device, "master", BRIDGE)


def open_vswitch(t, host, device):
    """Its two processes in the host's namespace, which end with the scenario."""
    directory = os.path.join(t.directory, "ovs")
    os.mkdir(directory)
    env = {**os.environ, **{f"OVS_{name}": directory for name in ("RUNDIR", "DBDIR", "LOGDIR", "SYSCONFDIR")}}
    database = f"unix:{directory}/db.sock"
    subprocess.run(["ovsdb-tool", "create", f"{directory}/conf.db", SCHEMA], env=env, check=True)
    quiet = {"env": env, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    t.popen(host.namespace, ["ovsdb-server", f"{directory}/conf.db", f"--remote=p{database}"], **quiet)
    t.eventually(lambda: os.path.exists(f"{directory}/db.sock"), "the switch has a database")
    host.run("ovs-vsctl", f"--db={database}", "--no-wait", "init")
    t.popen(host.namespace, ["ovs-vswitchd", database], **quiet)
    host.run("ovs-vsctl", f"--db={database}", "--timeout=20", "add-br", BRIDGE, "--", "set", "bridge", BRIDGE,
             "datapath_type=netdev", "--", "add-port", BRIDGE, device)


def behind_a_bridge(t, make):
    """A cluster whose host has its data address on the bridge."""
    world, service, monitor = t.cluster(settings=dict(nodes=3))
    network, host = world.networks["data"], world.host
    device = network.host_interface
    host.ip("address", "flush", "dev", device)
    make(t, host, device)
    network.host_interface = BRIDGE
    batch(host.namespace, [f"address add {own(world)} dev {BRIDGE}", f"link set {BRIDGE} up"])
    return world, monitor


def own(world):
    return f"{world.host.address('data')}/{world.networks['data'].prefix.prefixlen}"


def interface_of_route(world):
    routes = json.loads(world.host.ip("-json", "route", "show", world.service))
    return routes[0]["dev"] if routes else None


def fails_over(t, make):
    """A node dies and comes back; the host's cable is pulled, of which a bridge may say nothing."""
    world, monitor = behind_a_bridge(t, make)
    home, management = world.node(1).address("data"), world.node(1).address("management")
    agent = t.agent(world, hold="1s", route='stay = "0s"')
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    t.ok(interface_of_route(world) == BRIDGE, "through the bridge", monitor.standing())
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("tier") == "data" and agent.get("next_hop") != home, "the node dies: the next one",
                 detail=agent.status)
    world.plug(world.node(1), "data")
    t.eventually(agent.on(home), "home", detail=agent.status)
    world.cut(world.host, "data")
    t.eventually(agent.on(management), "the host's cable: management", detail=agent.status)
    world.plug(world.host, "data")
    t.eventually(agent.on(home), "home again", detail=agent.status)
    t.ok(interface_of_route(world) == BRIDGE and len(monitor.standing()) == 1, "one route, through the bridge",
         monitor.standing())


def a_bridge_of_linux(t):
    fails_over(t, linux_bridge)


def a_bridge_of_open_vswitch(t):
    if not shutil.which("ovs-vswitchd") or not os.path.exists("/dev/net/tun"):
        t.ok(True, "at home", unless="no Open vSwitch here (openvswitch-switch, /dev/net/tun)")
        return
    fails_over(t, open_vswitch)


def rewritten(t):
    """The daemon rewrites the table, or gives the bridge its address anew: the route of the service is not in what it
    writes, and comes back."""
    world, monitor = behind_a_bridge(t, linux_bridge)
    home, prefix = world.node(1).address("data"), world.networks["data"].prefix
    agent = t.agent(world, hold="1s", route='stay = "0s"')
    t.eventually(agent.settled(home), "at home", detail=agent.status)
    default = f"route replace default via {world.node(2).address('management')}"
    for what, lines in (
            ("the table", ["route flush table main", f"route replace {prefix} dev {BRIDGE} scope link",
                           f"route replace {world.networks['management'].prefix} dev "
                           f"{world.host.interface('management')} scope link", default]),
            ("the address", [f"address flush dev {BRIDGE}", f"address add {own(world)} dev {BRIDGE}", default]),
            ("the bridge", [f"link set {BRIDGE} down", f"address flush dev {BRIDGE}", f"link set {BRIDGE} up",
                            f"address add {own(world)} dev {BRIDGE}", default])):
        changes = monitor.changes()
        batch(world.host.namespace, lines)
        t.ok(wait_for(lambda: monitor.changes() > changes), f"{what}: the route goes with it", monitor.events)
        t.eventually(lambda: [r.gateway for r in monitor.standing()] == [home] and agent.get("next_hop") == home,
                     f"{what}: it stands again, at home", detail=agent.log)
        t.eventually(lambda: agent.get("packets") == "ours", f"{what}: and packets take it", detail=agent.status)
    t.ok(world.host.ip("route", "show", "default") != "", "what it wrote stands")


sys.exit(main([a_bridge_of_linux, a_bridge_of_open_vswitch, rewritten]))
