#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that `reroute report` works through a VRF: a peer that only the VRF's table knows is reachable with
--interface VRF and not without, over ping sockets and raw ones, with every transport.

Usage: vrf.py PATH-OF-REROUTE. See stage.py for where it runs and what it prints. Skipped where the kernel has no VRF.
"""
import subprocess

from stage import FAST, Peer, command, document, main, run, same, tap, test, write


@test
def through_a_vrf():
    for group in ('0 2147483647', '1 0'):
        write('/proc/sys/net/ipv4/ping_group_range', group)
        for transport in ('epoll', 'poll', 'io_uring'):
            more = ['--transport', transport, *FAST]
            if run('127.0.0.1', *more)[0] != 0:
                continue
            for target in ('10.70.0.2', 'fd00:70::2', 'fe80::2%near'):
                same(document(target, '--interface', 'blue', *more, code=0)['reachable'], 1, (group, transport, target))
            for target in ('10.70.0.2', 'fd00:70::2'):
                same(document(target, *more, code=1)['reachable'], 0, (group, transport, target))
                same(document(target, '--interface', 'near', *more, code=0)['reachable'], 1, (group, transport, target))


def set_stage():
    done = subprocess.run('ip link add blue type vrf table 10'.split(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tap.skip(f'the kernel has no VRF (CONFIG_NET_VRF): {done.stderr.strip()}')
    peer = Peer()
    command('ip link set lo up')
    command(f'ip link add near type veth peer name far netns {peer.path}')
    for text in ('ip link set blue up', 'ip link set near master blue', 'ip address add 10.70.0.1/24 dev near',
                 'ip -6 address add fd00:70::1/64 dev near nodad', 'ip -6 address add fe80::1/64 dev near nodad',
                 'ip link set near up', 'ip route add unreachable default', 'ip -6 route add unreachable default'):
        command(text)
    for text in ('ip address add 10.70.0.2/24 dev far', 'ip -6 address add fd00:70::2/64 dev far nodad',
                 'ip -6 address add fe80::2/64 dev far nodad', 'ip link set far up'):
        peer.run(text)


main(set_stage)
