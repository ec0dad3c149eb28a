# SPDX-License-Identifier: Apache-2.0
"""A storage cluster in network namespaces, and what it is made of: the lab (lab.py, as a command: tools/lab), agents and
meters in it (stand.py, meter.py), namespaces (namespace.py), waiting and interrupts (wait.py). For tools/lab,
tools/demo, `reroute bench failover` and the tests."""
