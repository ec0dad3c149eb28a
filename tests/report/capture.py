#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the round-trip times of `reroute report` are those of the interface: a capture on a veth pair, with the
kernel's time stamps, sees each request leave and its reply come in; with --tx-timestamps the reported times are
nearer to that than without, over ping sockets and raw ones, IPv4 and IPv6. With a number of rounds it is the
measurement:

    sudo tests/report/capture.py build/reroute 20

Usage: capture.py PATH-OF-REROUTE [ROUNDS]. Prints TAP, with the medians in comments. Skipped without namespaces.
"""
import json
import socket
import statistics
import struct
import sys

from stage import Peer, check, command, main, run, same, test

TARGETS = 200
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
ETH_P_ALL, PACKET_OUTGOING = 3, 4
LISTS = {4: '10.7.1.0/25 10.7.2.0-10.7.2.71', 6: 'fd00:7::1:0/121 fd00:7::2:0-fd00:7::2:47'}
rounds = 1


class Capture:
    """Every echo that passes the interface, with the time at which the kernel saw it."""

    def __init__(self, interface):
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.wire.bind((interface, ETH_P_ALL))
        self.wire.setblocking(False)

    def round_trips(self):
        """{address: nanoseconds} of all that has passed."""
        left, trips = {}, {}
        while True:
            try:
                packet, control, _, (_, protocol, kind, _, _) = self.wire.recvmsg(2048, 256)
            except BlockingIOError:
                return trips
            if protocol == 0x0800 and packet[9] == 1:
                header, family, types = (packet[0] & 15) * 4, socket.AF_INET, (8, 0)
                source, destination = packet[12:16], packet[16:20]
            elif protocol == 0x86dd and packet[6] == 58:
                header, family, types = 40, socket.AF_INET6, (128, 129)
                source, destination = packet[8:24], packet[24:40]
            else:
                continue
            seconds, nanoseconds = struct.unpack('qq', control[0][2])
            at = seconds * 10**9 + nanoseconds
            identity = packet[header + 4:header + 8]
            if packet[header] == types[0] and kind == PACKET_OUTGOING:
                left[destination, identity] = at
            elif packet[header] == types[1] and kind != PACKET_OUTGOING:
                trips[socket.inet_ntop(family, source)] = at - left.pop((source, identity))


def reported(version, *arguments):
    """{address: nanoseconds} and how many requests had a time stamp, as reroute says."""
    code, out, error = run('--openmetrics', '-f', '-', *arguments, stdin=LISTS[version])
    same((code, error), (0, ''), arguments)
    trips, stamps = {}, None
    for line in out.splitlines():
        if line.startswith('reroute_report_rtt_seconds{'):
            name, value = line.rsplit(' ', 1)
            trips[name.split('"')[1]] = float(value) * 10**9
        elif line.startswith('reroute_report_packets{kind="tx_stamps"}'):
            stamps = int(line.rsplit(' ', 1)[1])
    same(len(trips), TARGETS)
    return trips, stamps


def compare(version, *arguments):
    """Medians over all rounds in microseconds: captured, reported, and of the differences."""
    captured, told, apart = [], [], []
    for _ in range(rounds):
        capture = Capture('near')
        trips, stamps = reported(version, *arguments)
        seen = capture.round_trips()
        same(set(seen), set(trips), 'who was seen')
        same(stamps, TARGETS if '--tx-timestamps' in arguments else 0)
        captured += seen.values()
        told += trips.values()
        apart += [trips[a] - seen[a] for a in seen]
    return [statistics.median(values) / 1000 for values in (captured, told, apart)]


def compare_both(version, kind):
    for transport in ('epoll', 'poll') if kind == 'ping' else ('epoll',):
        for pace in ([], ['--rate', '2000']):
            arguments = ['--transport', transport, *pace]
            result = {}
            for stamps in ([], ['--tx-timestamps']):
                captured, told, apart = compare(version, *arguments, *stamps)
                print(f'# IPv{version} {kind} {transport:5} {"2000/s" if pace else "at once":7} '
                      f'{"with" if stamps else "without":7} captured {captured:6.1f} us, reported {told:6.1f} us, '
                      f'difference {apart:+6.1f} us', flush=True)
                result[bool(stamps)] = abs(apart)
            # Requests at once leave in batches, and all but the first later than when their batch was begun.
            check(result[True] <= (result[False] + 1 if pace else result[False] / 2), 'time stamps are no use:', result)


def allow_ping_sockets(yes):
    with open('/proc/sys/net/ipv4/ping_group_range', 'w', encoding='ascii') as file:
        file.write('0 2147483647' if yes else '1 0')


@test
def ping_sockets():
    allow_ping_sockets(True)
    for version in (4, 6):
        compare_both(version, 'ping')


@test
def raw_sockets():
    allow_ping_sockets(False)
    for version in (4, 6):
        compare_both(version, 'raw ')


@test
def automatic_transport_is_one_that_can():
    for count in ('10.7.0.2', '10.7.0.0/20'):
        code, out, _ = run('--json', '--tx-timestamps', '--single-request', '--select-timeout', '0.5', count)
        report = json.loads(out)
        same((code in (0, 1), report['transport']), (True, 'epoll'))
        check(report['counters']['tx_stamps'] > 0, report['counters'])
    code, out, error = run('--transport', 'io_uring', '--tx-timestamps', '10.7.0.2')
    same((code, out), (3, ''))
    check('transport is io_uring, expected epoll or poll for TX time stamps' in error, error)


@test
def big_packets_and_errors_have_their_place():
    """In fragments, and where the error queue has other things too."""
    allow_ping_sockets(True)
    for target in ('10.7.0.2', 'fd00:7::2'):
        code, out, _ = run('--json', '--tx-timestamps', '--size', '20000', target)
        report = json.loads(out)
        same((code, report['counters']['tx_stamps']), (0, 1), target)
    code, out, _ = run('--json', '--tx-timestamps', '10.7.0.2', '10.6.0.1', 'fd00:6::1', 'fd00:7::2')
    report = json.loads(out)
    same((code, [r['outcome'] for r in report['results']]),
         (1, ['reachable', 'unreachable', 'unreachable', 'reachable']))
    check(all('says ' in r['reason'] for r in report['results'][1:3]), report)
    same((report['counters']['tx_stamps'], report['counters']['icmp_errors']), (4, 2))


def set_stage():
    """near (us) -- far, in another namespace, whose kernel answers for all of 10.7.0.0/16 and fd00:7::/64."""
    peer = Peer()
    command(f'ip link add near type veth peer name far netns {peer.path}')
    for text in ('ip link set lo up', 'ip address add 10.7.0.1/24 dev near',
                 'ip -6 address add fd00:7:1::1/64 dev near nodad', 'ip link set near up'):
        command(text)
    for text in ('ip address add 10.7.0.2/24 dev far', 'ip -6 address add fd00:7:1::2/64 dev far nodad',
                 'ip link set far up', 'ip route add local 10.7.0.0/16 dev lo', 'ip route add 10.7.0.1/32 dev far',
                 'ip -6 route add local fd00:7::/64 dev lo', 'ip route add unreachable 10.6.0.0/16',
                 'ip -6 route add unreachable fd00:6::/64',
                 'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1'):
        peer.run(text)
    for text in ('ip route add 10.7.0.0/16 via 10.7.0.2', 'ip route add 10.6.0.0/16 via 10.7.0.2',
                 'ip -6 route add fd00:7::/64 via fd00:7:1::2', 'ip -6 route add fd00:6::/64 via fd00:7:1::2'):
        command(text)


if sys.argv[1] == '--inside' and len(sys.argv) > 3:
    rounds = int(sys.argv[3])
main(set_stage)
