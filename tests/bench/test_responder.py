#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that a prober meets what the profile says: the responder in a namespace of its own, asked by the built
`reroute report` through the real kernel, and by a socket of this file where every reply is looked at. What the
prober counted and what the responder counted agree.

Usage: test_responder.py PATH-OF-RESPONDER PATH-OF-REROUTE. Prints TAP, also where no namespace could be made. Nothing is left when the process is gone. No speed is asserted; the precision is printed."""
import contextlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import tap
from tap import check, same, test
from netlab.wait import until

DEADLINE_S = 60
ADDRESSES = ['--address', '10.0.0.1/24', '--address', 'fd00::1/64']
ROUTES = ['--route', '10.1.0.0/16', '--route', 'fd01::/64']
responder_path = reroute_path = ''

def say(text):
    print(f'# {text}', flush=True)


@contextlib.contextmanager
def network(*profiles, seed=1):
    """A running responder; yields a dictionary that holds its counters afterwards."""
    arguments = [responder_path, '--tun', 'net0', *ADDRESSES, *ROUTES, '--seed', str(seed)]
    for profile in profiles:
        arguments += ['--profile', profile]
    counters = {}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            same(process.stdout.readline(), 'ready\n', 'the first line')
            counters['pid'] = process.pid
            yield counters
            process.terminate()
            rest, _ = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    same(process.returncode, 0, 'exit code')
    same(rest.count('\n'), 1, 'lines after "ready"')
    counters.update(json.loads(rest))
    check_counters(counters)


def check_counters(c):
    """What holds for every run."""
    same(c['schema'], 'reroute.responder/1')
    verdicts = ('replies', 'errors', 'dead', 'lost', 'lost_in_bursts', 'limited', 'too_big')
    for part in [c, *c['prefixes']]:
        same(sum(part[v] for v in verdicts), part['requests'], f'verdicts of {part}')
    for key in c['prefixes'][0]:
        if key != 'prefix':
            same(sum(p[key] for p in c['prefixes']), c[key], f'sum of {key}')
    for key in ('queue_drops', 'write_failures', 'overflows', 'forgotten'):
        same(c[key], 0, key)


def report(targets, *options):
    """The report's document: its results by address, its counters."""
    done = subprocess.run([reroute_path, 'report', '--json', '-f', '-', *options], input='\n'.join(targets),
                          capture_output=True, text=True, timeout=DEADLINE_S)
    check(done.returncode in (0, 1), done.returncode, done.stderr)
    return json.loads(done.stdout)


def unreachable(document):
    return {r['address'] for r in document['results'] if r['outcome'] != 'reachable'}


def hosts(count, first=1):
    return [f'10.1.{n // 256}.{n % 256}' for n in range(first, first + count)]


def hosts6(count):
    return [f'fd01::{n:x}' for n in range(1, count + 1)]


class Pinger:
    """Echo requests by hand, so that each reply is seen."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE

    def ask(self, target, sequence):
        message = struct.pack('>BBHHH', 8, 0, 0, 99, sequence) + bytes(48)
        total = sum(struct.unpack('>28H', message))
        total = (total & 0xffff) + (total >> 16)
        self.socket.sendto(message[:2] + struct.pack('>H', 0xffff ^ total) + message[4:], (target, 0))

    def replies(self, timeout):
        """(arrival, source, sequence) of what came until nothing has come for so long."""
        found = []
        while select.select([self.socket], [], [], timeout)[0]:
            packet, source = self.socket.recvfrom(2048)
            if packet[20] == 0:
                found.append((time.monotonic(), source[0], struct.unpack('>H', packet[26:28])[0]))
        return found


# --- who answers ---------------------------------------------------------------------------------------------

@test
def perfect_answers_everything():
    targets = hosts(3000) + hosts6(1000) + ['10.0.0.200', 'fd00::200']
    with network() as counters:
        same(unreachable(report(targets, '--select-timeout', '5')), set())
    same(counters['requests'], len(targets))
    same(counters['replies'], len(targets))


@test
def a_burst_of_65000_is_not_dropped():
    targets = hosts(65000)
    with network('10.1.0.0/16=delay=5ms') as counters:
        document = report(targets, '--select-timeout', '20')
    same(document['reachable'], 65000)
    same(counters['requests'], document['counters']['sent'])
    say(f"65,000 targets in {document['elapsed_ms']:.0f} ms, at most {counters['pending_most']} answers pending")


@test
def dead_prefix():
    with network('10.1.1.0/24=dead', 'fd01::/120=dead', '10.1.1.7=perfect') as counters:
        document = report(hosts(600) + hosts6(300), '--select-timeout', '1')
    dead = {h for h in hosts(256, 256) if h != '10.1.1.7'} | set(hosts6(255))
    same(unreachable(document), dead)
    same(counters['dead'], len(dead))


@test
def dead_addresses_are_the_same_each_time():
    found = []
    for seed in (1, 1, 2):
        with network('10.1.0.0/16=dead=20%', seed=seed) as counters:
            document = report(hosts(1000), '--select-timeout', '0.3', '--select-count', '3')
        found.append(unreachable(document))
        same(counters['dead'], 3 * len(found[-1]), 'three requests to each')
        check(120 < len(found[-1]) < 280, len(found[-1]))
    same(found[0], found[1], 'with the same seed')
    check(found[0] != found[2], 'with another seed')


# --- loss ----------------------------------------------------------------------------------------------------

@test
def loss_is_repeatable():
    lost = []
    for seed in (5, 5, 6):
        with network('10.1.0.0/16=loss=30%', seed=seed) as counters:
            document = report(hosts(1000), '--select-timeout', '0.5')
        lost.append(counters['lost'])
        same(len(unreachable(document)), counters['lost'])
        check(220 < counters['lost'] < 380, counters['lost'])
    same(lost[0], lost[1], 'with the same seed')
    check(lost[0] != lost[2], 'with another seed')


@test
def loss_is_overcome_by_more_requests():
    with network('10.1.0.0/16=loss=30%') as counters:
        document = report(hosts(500), '--select-timeout', '0.1', '--select-count', '30')
    same(unreachable(document), set())
    same(counters['requests'], 500 + counters['lost'])


@test
def loss_in_bursts():
    pinger = Pinger()
    with network('10.1.0.0/16=burst=2%:20%') as counters:
        for n in range(5000):
            pinger.ask('10.1.0.1', n)
        got = {sequence for _, _, sequence in pinger.replies(0.3)}
    same(5000 - len(got), counters['lost_in_bursts'])
    missing = [n not in got for n in range(5000)]
    starts = sum(now and not before for before, now in zip([False] + missing, missing))
    check(20 < starts < 200, 'bursts:', starts)
    check(2.5 < sum(missing) / starts < 10, 'requests in a burst:', sum(missing) / starts)


@test
def limit():
    pinger = Pinger()
    with network('10.1.0.0/16=limit=3') as counters:
        start = time.monotonic()
        for n in range(100):
            pinger.ask(f'10.1.0.{n % 2}', n)
        replies = pinger.replies(0.3)
        seconds = int(time.monotonic() - start) + 2
    check(6 <= len(replies) <= 6 * seconds, len(replies))
    same(counters['limited'], 100 - len(replies))


# --- time ----------------------------------------------------------------------------------------------------

@test
def delay():
    with network('10.1.0.0/16=delay=30ms', 'fd01::/64=delay=normal:60ms:1ms') as counters:
        document = report(hosts(200) + hosts6(200), '--select-timeout', '5')
    rtts = {r['address']: r['rtt_ms'] for r in document['results']}
    check(min(rtts[h] for h in hosts(200)) >= 30, 'never too early')
    check(min(rtts[h] for h in hosts6(200)) >= 54, 'six standard deviations')
    check(sorted(rtts[h] for h in hosts6(200))[100] >= 59, 'the median')
    same(counters['replies'], 400)
    check(counters['pending_most'] > 0, 'answers wait')


@test
def late():
    # The dead one keeps the report waiting for the replies to the second requests.
    with network('10.1.0.0/16=late=1:400ms', '10.1.9.9=dead') as counters:
        short = report(hosts(20), '--select-timeout', '0.2')
        window = report([*hosts(20, 100), '10.1.9.9'], '--select-timeout', '0.2', '--select-count', '10')
    same(len(unreachable(short)), 20, 'a window that is too short')
    same(unreachable(window), {'10.1.9.9'}, 'late is alive')
    check(window['counters']['late'] >= 20, window['counters'])
    check(min(r['rtt_ms'] for r in window['results'] if r['rtt_ms']) >= 400)
    same(counters['late'], counters['replies'])


@test
def reordered_replies_overtake():
    pinger = Pinger()
    with network('10.1.0.0/16=delay=300ms,reorder=10%') as counters:
        for n in range(200):
            pinger.ask('10.1.0.1', n)
        order = [sequence for _, _, sequence in pinger.replies(1)]
    check(5 < counters['reordered'] < 50, counters['reordered'])
    same(sorted(order), list(range(200)))
    early = order[:counters['reordered']]
    same(order, early + [n for n in range(200) if n not in early], 'all others in their order')
    check(early != list(range(len(early))), early)


@test
def spikes():
    pinger = Pinger()
    sent = {}
    with network('10.1.0.0/16=spike=200ms:400ms,delay=1ms') as counters:
        for n in range(300):
            sent[n] = time.monotonic()
            pinger.ask('10.1.0.1', n)
            time.sleep(0.005)  # the pace of the requests, not a wait for a state
        replies = pinger.replies(1)
    same(len(replies), 300)
    check(20 < counters['spiked'] < 280, counters['spiked'])
    rtts = {sequence: at - sent[sequence] for at, _, sequence in replies if sequence in sent}
    check(min(rtts.values()) >= 0.001)


@test
def precision_is_measured():
    with network('10.1.0.0/16=delay=1ms') as counters:
        document = report(hosts(5000), '--select-timeout', '5')
    check(min(r['rtt_ms'] for r in document['results']) >= 1, 'never too early')
    lateness = counters['lateness_us']
    check(0 < lateness['p50'] <= lateness['p99'] <= lateness['p999'] <= lateness['max'], lateness)
    say(f"answers were late by (us): {lateness}")


# --- damage --------------------------------------------------------------------------------------------------

@test
def duplicates():
    # The dead one keeps the report waiting until all duplicates are there.
    with network('10.1.0.0/16=duplicate=1,delay=1ms', '10.1.9.9=dead') as counters:
        document = report([*hosts(300), '10.1.9.9'], '--select-timeout', '1')
    same(unreachable(document), {'10.1.9.9'})
    same(counters['duplicates'], 300)
    same(document['counters']['duplicates'], 300)
    same(document['counters']['replies'], 300)


@test
def corrupt():
    for what in ('payload', 'token', 'checksum'):
        with network(f'10.1.0.0/16=corrupt=1:{what}', f'fd01::/64=corrupt=1:{what}') as counters:
            # What the kernel drops for its checksum looks like a drop of our own: those would be asked again.
            document = report(hosts(50) + hosts6(50), '--select-timeout', '0.3', '--no-retry-doubtful')
        same(len(unreachable(document)), 100, what)
        same(counters['corrupt'], 100)
        if what != 'checksum':  # that is for the kernel to drop, on most sockets
            same(document['counters']['corrupt'], 100, what)


@test
def truncated():
    with network('10.1.0.0/16=truncate=1:16', '10.1.1.0/24=truncate=1:40') as counters:
        document = report(hosts(50) + hosts(50, 256), '--select-timeout', '0.3')
    # 16 bytes hold no token: whose reply it is cannot be known.
    same(len(unreachable(document)), 50)
    same(counters['truncated'], 100)
    same((document['counters']['corrupt'], document['counters']['truncated']), (50, 50))


@test
def wrong_source():
    with network('10.1.0.0/16=wrong-source=1', 'fd01::/64=wrong-source=1') as counters:
        document = report(hosts(50) + hosts6(50), '--select-timeout', '0.3')
    same(len(unreachable(document)), 100)
    same(counters['wrong_source'], 100)
    same(document['counters']['foreign'], 100)


@test
def errors():
    rows = [('net', 'net(work)? unreachable', 'no route'), ('host', 'host unreachable', 'address unreachable'),
            ('admin', 'prohibited', 'prohibited'), ('ttl', 'TTL|time', 'TTL|hop|time')]
    for quote in ('full', '8'):
        for kind, text4, text6 in rows:
            with network(f'10.1.0.0/16=error={kind},quote={quote}',
                         f'fd01::/64=error={kind},quote={quote}') as counters:
                # A full quote ends the wait; a short one is a reason only.
                document = report(['10.1.0.5', 'fd01::5'], '--select-timeout', '2' if quote == 'full' else '0.5')
            same(len(unreachable(document)), 2)
            same(counters['errors'], 2)
            four, six = (r['reason'] for r in document['results'])
            if quote == 'full' or document['counters']['icmp_errors'] == 2:
                check(re.search(text4, four, re.I) and four.endswith('says 10.0.0.2'), kind, four)
                check(re.search(text6, six, re.I) and six.endswith('says fd00::2'), kind, six)


@test
def mtu():
    options = ('--select-timeout', '1', '--dont-fragment', '--size')
    with network('10.1.0.0/16=mtu=1400', 'fd01::/64=mtu=1400', '10.1.1.0/24=mtu=1400:drop') as counters:
        fits = report(['10.1.0.5', '10.1.1.5'], *options, '1372')
        too_big = report(['10.1.0.5', '10.1.1.5'], *options, '1373')
        fits6 = report(['fd01::5'], *options, '1352')
        too_big6 = report(['fd01::5'], *options, '1353')
        huge = report(['10.0.0.9'], *options, '9000')
    same(unreachable(fits) | unreachable(fits6) | unreachable(huge), set())
    same(unreachable(too_big), {'10.1.0.5', '10.1.1.5'})
    same(unreachable(too_big6), {'fd01::5'})
    for document in (too_big, too_big6):
        check('1400' in document['results'][0]['reason'], document['results'][0])
    check('no reply' in too_big['results'][1]['reason'], too_big['results'][1])
    same((counters['errors'], counters['too_big']), (2, 1))


# --- the program ---------------------------------------------------------------------------------------------

def is_there(device):
    return device in (name for _, name in socket.if_nameindex())


def wait_until_gone(device):
    until('the device is gone', lambda: not is_there(device), DEADLINE_S)


def packets_from(device):
    with open('/proc/net/dev', encoding='ascii') as file:
        return int(re.search(rf'{device}:\s*\d+\s+(\d+)', file.read()).group(1))


@test
def stops_under_load():
    with network('10.1.0.0/16=delay=1ms') as counters:
        with subprocess.Popen([reroute_path, 'report', '--json', '-f', '-', '--select-timeout', '10'],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as flood:
            flood.stdin.write('\n'.join(hosts(60000)).encode())
            flood.stdin.close()
            until('there is traffic', lambda: packets_from('net0') >= 1000, DEADLINE_S)
            os.kill(counters['pid'], signal.SIGTERM)
            wait_until_gone('net0')
            flood.kill()


@test
def the_device_goes_with_the_program():
    with subprocess.Popen([responder_path, '--tun', 'net0', *ADDRESSES], stdout=subprocess.PIPE) as process:
        same(process.stdout.readline(), b'ready\n')
        check(is_there('net0'))
        process.kill()
        process.wait()
    wait_until_gone('net0')


@test
def bad_arguments():
    given = ['--tun', 'net0', '--address', '10.0.0.1/24']
    rows = [
        ([], 3, '--tun and --address are needed'),
        (['--tun', 'net0'], 3, '--tun and --address are needed'),
        (['--tun', 'a-name-that-is-too-long', '--address', '10.0.0.1/24'], 3, 'up to 15 characters'),
        (['--address', '10.0.0.1'], 3, "'10.0.0.1': expected an address with its length"),
        (given + ['--route', '10.1.0.1/16'], 3, "'10.1.0.1/16': expected a network"),
        (given + ['--profile', '10.1.0.0/16=los=1%'], 3, "--profile 10.1.0.0/16: 'los': no such name or word"),
        (given + ['--profile', 'lan'], 3, "'lan': expected PREFIX=PROFILE"),
        (given + ['--seed', 'x'], 3, "--seed 'x': expected a number"),
        (given + ['lan'], 3, 'lan: not expected here'),
        (given + ['--nonsense'], 3, '--nonsense'),
        (given + ['--route', '10.0.0.0/24', '--route', '10.0.0.0/24'], 4, 'cannot add the route 10.0.0.0/24'),
        (given + ['--profile', '10.1.0.0/16=lan', '--profile', '10.1.0.0/16=wan'], 4, '10.1.0.0/16 has two profiles'),
        (['--tun', 'lo', '--address', '10.0.0.1/24'], 4, 'cannot make the device lo'),
    ]
    for arguments, code, text in rows:
        done = subprocess.run([responder_path, *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
        same(done.returncode, code, f'{arguments}: {done.stderr}')
        check(text in done.stderr, arguments, 'says', done.stderr)
        same(done.stdout, '')
    check(not is_there('net0'), 'a device is left')


@test
def help_text():
    done = subprocess.run([responder_path, '--help'], capture_output=True, text=True, timeout=DEADLINE_S)
    same((done.returncode, done.stderr), (0, ''))
    for word in ('--tun', '--profile', 'perfect', 'lan', 'nested', 'wan', 'lossy', 'delay=', 'burst=', 'wrong-source='):
        check(word in done.stdout, word)
    for line in done.stdout.splitlines():
        check(len(line) <= 110, 'a long line:', line)


def main():
    global responder_path, reroute_path
    if sys.argv[1] != '--inside':
        if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
            tap.skip('there is no /dev/net/tun')
        os.execvp('unshare', tap.unshared('--net') + [sys.executable, __file__, '--inside', *sys.argv[1:]])
    responder_path, reroute_path = sys.argv[2:]
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    sys.exit(tap.run())


main()
