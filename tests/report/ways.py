#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that `reroute report` goes the way it is told to: through an interface, by a firewall mark, from a source
address, to link-local addresses; that IPv6 prefixes are like IPv4 ones; and that a packet that is too big for the
way is a verdict only where it must not be fragmented. Over ping sockets and raw ones, with every transport.

Usage: ways.py PATH-OF-REROUTE. See stage.py for where it runs and what it prints. The world:

    us  one0 --- one1  one    10.20.0.0/24, fd00:20::/64: .2 is there, but not .3; the main table leads here
    us  two0 --- two1  two    the same addresses, but .3 is there and not .2; nobody's first choice
    two wide0 -- wide1 router -- narrow (MTU 1280) -- end: 10.50.0.2, fd00:50::2
"""
import socket

from stage import FAST, Peer, command, document, main, run, same, test, write
from netlab.wait import until


def variants():
    """Ping sockets with each transport that there is, raw ones with one."""
    for kind, group, transports in (('ping', '0 2147483647', ('epoll', 'poll', 'io_uring')), ('raw', '1 0', ('epoll',))):
        write('/proc/sys/net/ipv4/ping_group_range', group)
        for transport in transports:
            arguments = ['--transport', transport, '--select-timeout', '0.1']
            if run('127.0.0.1', *arguments)[0] == 0:
                yield f'{kind} {transport}', arguments


def outcomes(*arguments, code):
    return [r['outcome'] for r in document(*arguments, code=code)['results']]


BOTH = ['10.20.0.2', '10.20.0.3', 'fd00:20::2', 'fd00:20::3']


@test
def interface():
    for name, more in variants():
        for through, want in (('one0', ['reachable', 'unreachable'] * 2), ('two0', ['unreachable', 'reachable'] * 2)):
            same(outcomes(*BOTH, '--interface', through, *more, code=1), want, f'{name} {through}')
        same(outcomes(*BOTH, *more, code=1), ['reachable', 'unreachable'] * 2, name)


@test
def a_reply_through_another_interface_proves_nothing():
    """The target answers, but its reply comes in by two0."""
    for name, more in variants():
        for target in ('10.60.0.2', 'fd00:60::2'):
            same(outcomes(target, *more, code=0), ['reachable'], f'{name} {target}')
            same(outcomes(target, '--interface', 'one0', *more, code=1), ['unreachable'], f'{name} {target} one0')


@test
def mark():
    for name, more in variants():
        for target in ('10.40.0.2', 'fd00:40::2'):
            report = document(target, *more, code=1)
            same(report['counters']['send_failures'], 1, f'{name} {target}: there is no way without the mark')
            same(outcomes(target, '--mark', '0x28', *more, code=0), ['reachable'], f'{name} {target}')
            same(outcomes(target, '--mark', '41', *more, code=1), ['unreachable'], f'{name} {target}')


def sources(interface, *arguments):
    """From where the requests came, as the other end of the link saw them."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as wire:
        wire.bind((interface, 3))
        wire.setblocking(False)
        same(run(*arguments)[0], 0, arguments)
        seen = set()
        while True:
            try:
                packet, (_, protocol, kind, _, _) = wire.recvfrom(256)
            except BlockingIOError:
                return seen
            if kind == 4 and protocol == 0x0800 and packet[9] == 1:
                seen.add(socket.inet_ntop(socket.AF_INET, packet[12:16]))
            if kind == 4 and protocol == 0x86dd and packet[6] == 58 and packet[40] == 128:
                seen.add(socket.inet_ntop(socket.AF_INET6, packet[8:24]))


@test
def source():
    for name, more in variants():
        same(sources('one0', '10.20.0.2', 'fd00:20::2', *more), {'10.20.0.1', 'fd00:20::1'}, name)
        same(sources('one0', '10.20.0.2', 'fd00:20::2', '--source', '10.20.0.9', '--source', 'fd00:20::9', *more),
             {'10.20.0.9', 'fd00:20::9'}, name)
        same(sources('two0', '10.20.0.3', '--interface', 'two0', '--source', '10.20.0.9', *more), {'10.20.0.9'}, name)


@test
def link_local():
    for name, more in variants():
        report = document('fe80::2%one0', 'fe80::2%two0', 'fe80::1:0-fe80::1:2%two0', 'fe80::1:4%two0/126', *more, code=1)
        same([(r['target'], r['outcome']) for r in report['results']],
             [('fe80::2%one0', 'reachable'), ('fe80::2%two0', 'unreachable')] +
             [(f'fe80::1:{i}%two0' if i else 'fe80::1:0%two0', 'reachable') for i in range(3)] +
             [(f'fe80::1:{i}%two0', 'reachable') for i in range(4, 8)], name)
        same(outcomes('fe80::2%one0', '--interface', 'one0', *more, code=0), ['reachable'], name)
        same(outcomes('fe80::2%one0', '--source', 'fe80::1%one0', *more, code=0), ['reachable'], name)
        same(sources('one0', 'fe80::2%one0', '--source', 'fe80::1%one0', *more), {'fe80::1'}, name)


@test
def prefixes_of_ipv6():
    for name, more in variants():
        report = document('fd00:20::1:0/120', '--exclude', 'fd00:20::1:80/121', *more, code=0)
        same([r['address'] for r in report['results']], [f'fd00:20::1:{i:x}' for i in range(128)], name)


@test
def too_big_is_a_verdict_only_where_nobody_may_fragment():
    for name, more in variants():
        for target, router in (('10.50.0.2', '10.52.0.2'), ('fd00:50::2', 'fd00:52::2')):
            command('ip route flush cache')
            command('ip -6 route flush cache')
            report = document(target, '--size', '1400', *more, code=0)
            same((report['reachable'], report['results'][0]['requests']), (1, 1), f'{name} {target}')
            report = document(target, '--size', '1400', '--dont-fragment', *more, code=1)
            same(report['results'][0]['reason'], f'packet too big for an MTU of 1280, says {router}', name)
            document(target, '--size', '1200', '--dont-fragment', *more, code=0)
            # Our own MTU is the limit on the first link, and then it is this host who says so.
            report = document(router, '--size', '1490', '--dont-fragment', *more, code=1)
            same(report['results'][0]['reason'], 'packet too big for an MTU of 1500, says this host', name)


def link(name, peer, address4, address6):
    command(f'ip link add {name}0 type veth peer name {name}1 netns {peer.path}')
    command(f'ip address add {address4} dev {name}0')
    command(f'ip -6 address add {address6} dev {name}0 nodad')
    command(f'ip -6 address add fe80::1/64 dev {name}0 nodad')
    command(f'ip link set {name}0 up')
    peer.run(f'ip link set {name}1 up')


def lives(peer, device, *addresses):
    for address in addresses:
        if ':' in address:
            peer.run(f'ip -6 address add {address} dev {device} nodad')
        else:
            peer.run(f'ip address add {address} dev {device}')


def set_stage():
    one, two, router, end = (Peer() for _ in range(4))
    command('ip link set lo up')
    command('sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0')
    link('one', one, '10.20.0.1/24', 'fd00:20::1/64')
    link('two', two, '10.52.0.1/24', 'fd00:52::1/64')
    command('ip address add 10.20.0.9/32 dev lo')
    command('ip -6 address add fd00:20::9/128 dev one0 nodad preferred_lft 0')
    # The same network is on both links; this one is not the first choice.
    command('ip route add 10.20.0.0/24 dev two0 metric 500')
    command('ip -6 route add fd00:20::/64 dev two0 metric 5000')
    lives(one, 'one1', '10.20.0.2/24', 'fd00:20::2/64', 'fe80::2/64')
    one.run('ip -6 route add local fd00:20::1:0/112 dev lo')
    command('ip -6 route add fd00:20::1:0/112 via fd00:20::2')
    lives(two, 'two1', '10.20.0.3/24', 'fd00:20::3/64', '10.52.0.2/24', 'fd00:52::2/64', 'fe80::3/64',
          *[f'fe80::1:{i:x}/64' for i in range(8)])
    # 10.40: only who has the mark finds it. 10.60: behind two, but one of its ways there leads over one.
    lives(two, 'lo', '10.40.0.2/32', 'fd00:40::2/128', '10.60.0.2/32', 'fd00:60::2/128')
    for family, net, via in (('', '10.{}.0.0/16', '10.52.0.2'), ('-6 ', 'fd00:{}::/64', 'fd00:52::2')):
        command(f'ip {family}rule add fwmark 0x28 table 140')
        command(f'ip {family}route add {net.format(40)} via {via} table 140')
        command(f'ip {family}route add unreachable {net.format(40)}')
        command(f'ip {family}route add {net.format(60)} via {via}')
        command(f'ip {family}route add {net.format(50)} via {via}')
    # one passes on to two what is for 10.60, over a link of theirs; two answers by its own link to us.
    one.run(f'ip link add cross0 type veth peer name cross1 netns {two.path}')
    lives(one, 'cross0', '10.61.0.1/24', 'fd00:61::1/64')
    lives(two, 'cross1', '10.61.0.2/24', 'fd00:61::2/64')
    for peer in (one, two, router):
        peer.run('sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 '
                 'net.ipv4.conf.default.rp_filter=0 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0')
    one.run('ip link set cross0 up')
    two.run('ip link set cross1 up')
    for peer in (one, two):
        peer.run('sysctl -qw net.ipv4.conf.cross0.rp_filter=0' if peer is one else
                 'sysctl -qw net.ipv4.conf.cross1.rp_filter=0')
    one.run('ip route add 10.60.0.0/16 via 10.61.0.2')
    one.run('ip -6 route add fd00:60::/64 via fd00:61::2')
    command('ip route add 10.60.0.0/16 via 10.20.0.2 dev one0 metric 500')
    command('ip -6 route add fd00:60::/64 via fd00:20::2 dev one0 metric 5000')
    two.run('ip route add 10.20.0.1/32 via 10.52.0.1')
    two.run('ip -6 route add fd00:20::1/128 via fd00:52::1')
    # two -- end: a narrow link. two is the router who says so.
    two.run(f'ip link add narrow0 mtu 1280 type veth peer name narrow1 mtu 1280 netns {end.path}')
    lives(two, 'narrow0', '10.50.0.1/24', 'fd00:50::1/64')
    lives(end, 'narrow1', '10.50.0.2/24', 'fd00:50::2/64')
    two.run('ip link set narrow0 up')
    end.run('ip link set narrow1 up')
    end.run('ip route add default via 10.50.0.1')
    end.run('ip -6 route add default via fd00:50::1')
    # Some ways need a moment after their devices are up.
    until('everybody answers', lambda: run('10.20.0.2', '10.50.0.2', 'fd00:20::2', 'fd00:50::2', 'fe80::2%one0',
                                           'fe80::3%two0', *FAST)[0] == 0, 20)


main(set_stage)
