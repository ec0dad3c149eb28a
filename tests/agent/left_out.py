# SPDX-License-Identifier: Apache-2.0
"""What is not tried on other hosts (tests/userworld), and why. Everything else is."""

BUILD = "it is about this build's program, not the static one"
WAY = "what becomes of a packet is told by netlink alone"
CONNECTIONS = "connections are told by sock_diag alone"
IPV6 = "esxcfg-route is used for IPv4 only"
LINUX = "protocols, metrics, kinds and rules are Linux's; others' routes are in test_esxcfg.py"
PACKAGES = "it is about packages of Linux"
RESET = "connections cannot be reset"

ANYWHERE = {
    "test_deb.py": PACKAGES,
    "test_errors.py: unprivileged": "the launcher needs root",
    "test_log.py: a_hanging_disk": BUILD,
    "test_memory.py": BUILD,
    "test_monitoring.py": "it says nothing of a host",
    "test_observe.py: a_file_system_hangs": "what is mounted later does not reach the launcher's file systems",
    "test_observe.py: its_disk_hangs": BUILD,
    "test_observe.py: starts_while_its_disk_hangs": BUILD,
    "test_observe.py: state_hangs": BUILD,
    "test_outside.py: deaf": BUILD,
    "test_outside.py: disk_hangs": BUILD,
    "test_outside.py: list_hangs": BUILD,
    "test_rpm.py": PACKAGES,
    "test_systemd.py": "it is about Linux's service manager",
    "test_sysv.py": "the script starts the program without the launcher",
    "test_watch.py": "it is about a terminal",
    "test_without.py": BUILD,
}
WITHOUT_NETLINK = {
    "test_dom0.py": "it is about XenServer",
    "test_failover.py: restarting_process": "a command takes so long that its hold is over between two restarts",
    "test_interfaces.py": IPV6,
    "test_ipv6.py": IPV6,
    "test_outside.py: lock_of_others": "who holds a lock is read in /proc",
    "test_route.py: by_hand": LINUX,
    "test_route.py: shadowed": LINUX,
    "test_route.py: standing_at_our_key": LINUX,
    "test_upgrade.py": "the old scheme sets routes by ip(8)",
    "test_way.py": WAY,
    "test_witness.py": CONNECTIONS,
}
WITHOUT_RESET = {
    "test_boot.py: first_route_where_answers_get_lost": RESET,
}
WITHOUT_BINDING = {
    "test_route.py: refused": "probes go where the routes lead, and do not outlive the route that is deleted",
}


def left_out(file, scenario, has_netlink, resets, binds):
    """Why not; None: it is tried. file: of the scenario, as test_NAME.py."""
    table = {**ANYWHERE, **({} if has_netlink else WITHOUT_NETLINK), **({} if resets else WITHOUT_RESET),
             **({} if binds else WITHOUT_BINDING)}
    return table.get(file) or table.get(f"{file}: {scenario}")
