#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The scheme that reroute replaces, kept to be measured beside it (`reroute bench compare`).

Usage: old_scheme.py SELECT-TIMEOUT SELECT-COUNT THREADS < ADDRESSES

A pool of threads takes one address after the other. Each ping opens a raw ICMP socket of its own, sends one echo
request and then waits up to SELECT-COUNT times, SELECT-TIMEOUT seconds each, for the socket to become readable. A raw
ICMP socket receives every reply that reaches the host, not only its own: one that belongs to another thread's ping
wakes this one up as well, is found to be foreign, and has used up one of the waits. So with 1 x 1 a single foreign
reply is enough to call a live host unreachable, and with 0.01 x 100 a hundred of them are.

Prints the addresses that were found reachable, one a line, in the order given.
"""
import concurrent.futures
import itertools
import os
import select
import socket
import struct
import sys

ECHO_REPLY, ECHO_REQUEST = 0, 8
PAYLOAD = bytes(56)
sequences = itertools.count(1)


def checksum(message):
    total = sum(struct.unpack(f'>{len(message) // 2}H', message))
    total = (total >> 16) + (total & 0xffff)
    return 0xffff ^ (total + (total >> 16) & 0xffff)


def echo_request(ident, sequence):
    body = struct.pack('>HH', ident, sequence) + PAYLOAD
    return struct.pack('>BBH', ECHO_REQUEST, 0, checksum(struct.pack('>BBH', ECHO_REQUEST, 0, 0) + body)) + body


def is_ours(packet, ident, sequence):
    header_bytes = (packet[0] & 15) * 4
    kind, _, _, got_ident, got_sequence = struct.unpack('>BBHHH', packet[header_bytes:header_bytes + 8])
    return (kind, got_ident, got_sequence) == (ECHO_REPLY, ident, sequence)


def ping(address, timeout_s, count):
    """True when a reply to our request was read in one of `count` waits."""
    ident, sequence = os.getpid() & 0xffff, next(sequences) & 0xffff
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp:
        icmp.sendto(echo_request(ident, sequence), (address, 0))
        for _ in range(count):
            readable, _, _ = select.select([icmp], [], [], timeout_s)
            if readable and is_ours(icmp.recv(1024), ident, sequence):
                return True
    return False


def main():
    timeout_s, count, threads = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    addresses = sys.stdin.read().split()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        answers = pool.map(lambda address: ping(address, timeout_s, count), addresses)
        sys.stdout.writelines(f'{address}\n' for address, answer in zip(addresses, answers) if answer)


main()
