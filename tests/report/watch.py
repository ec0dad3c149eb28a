#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that `reroute report --watch` tells the state once and then changes only, each one once, with what it was
and for how long, over one worker and over several; that a reply to a request of an earlier round changes nothing; and
that it asks as often as it was told to. An interface that is made anew is found again, and keeps its name in the text of
its targets.

Usage: watch.py PATH-OF-REROUTE PATH-OF-RESPONDER. See stage.py for where it runs and what it prints.
"""
import json
import os
import re
import select
import signal
import socket
import subprocess
import time

from stage import (DEADLINE_S, HOSTS, Peer, check, command, main, program, run, same, set_stage, soon, start, test,
                   wait_until, write)
from netlab.namespace import icmp_count

TIME = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z'
PACE = ['--watch=50ms', '--select-timeout', '20ms']


class Watch:
    """A running watch, read line by line."""

    def __init__(self, *arguments):
        self.process = start(*arguments)
        self.text = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def line(self):
        end = time.monotonic() + DEADLINE_S
        while b'\n' not in self.text:
            check(time.monotonic() < end, 'no line came; so far:', self.text)
            if select.select([self.process.stdout], [], [], 1)[0]:
                piece = os.read(self.process.stdout.fileno(), 65536)
                check(piece, 'it ended')
                self.text += piece
        line, self.text = self.text.split(b'\n', 1)
        return line.decode()

    def lines(self, count):
        return [self.line() for _ in range(count)]

    def end(self):
        """The lines that had not been read."""
        self.process.send_signal(signal.SIGINT)
        out, error = self.process.communicate(timeout=DEADLINE_S)
        same((self.process.returncode, error), (130, ''))
        return (self.text.decode() + out).splitlines()


def rounds(count):
    """Waits until so many more requests have been made."""
    before = icmp_count('OutEchos')
    soon('it asks on', lambda: icmp_count('OutEchos') >= before + count)


def silence(addresses):
    """Nobody answers for these any more."""
    subprocess.run(['nft', '-f', '-'], check=True, text=True, input=f'''
        table ip silence {{
            chain in {{ type filter hook input priority 0; ip daddr {addresses} icmp type echo-request drop; }}
        }}''')


def speak():
    command('nft delete table ip silence')


@test
def lines_for_people():
    with Watch('10.0.0.1', '10.0.0.2', '10.9.0.9', 'here.example', 'nosuch.example', *PACE) as watch:
        same(watch.line(), '10.9.0.9        unreachable  no reply in 20 ms')
        check(re.fullmatch('nosuch.example  not-found    .+', watch.line()))
        same(watch.line(), '')
        check(watch.line().startswith('5 targets: 3 reachable, 1 unreachable, 1 not found; took '))
        check(watch.line().startswith('RTT in ms: '))
        check(watch.line().startswith('packets: '))
        silence('10.0.0.2')
        check(re.fullmatch(TIME + r'  10\.0\.0\.2  reachable -> unreachable  after [0-9.]+ s  no reply in 20 ms', watch.line()))
        silent = time.monotonic()
        rounds(3 * 4)  # in which nothing changes
        # What a name's address is was asked once.
        write('/etc/hosts', HOSTS.replace('10.0.0.77', '10.9.0.7'))
        rounds(3 * 4)
        write('/etc/hosts', HOSTS)
        speak()
        back = watch.line()
        match = re.fullmatch(TIME + r'  10\.0\.0\.2  unreachable -> reachable  after ([0-9.]+) s  RTT [0-9.]+ ms', back)
        check(match and float(match[1]) <= time.monotonic() - silent + 0.2, back)
        silence('10.0.0.77')
        check(re.match(TIME + r'  here\.example \(10\.0\.0\.77\)  reachable -> unreachable  after ', watch.line()))
        speak()
        watch.line()
        rest = watch.end()
        same(len(rest), 1, rest)
        check(re.fullmatch(r'watched for [0-9.]+ s: \d+ rounds, 4 changes; now 3 reachable, 1 unreachable', rest[0]), rest)


@test
def many_over_several_workers():
    count = 4096
    write('/proc/sys/net/ipv4/ping_group_range', '0 2147483647')  # of raw sockets there is one
    for workers in ('1', '3'):
        with Watch('10.0.0.0/20', 'nosuch.example', '--watch=20ms', '--select-timeout', '200ms', '--json-lines',
                   '--workers', workers) as watch:
            first = [json.loads(line) for line in watch.lines(count + 2)]
            same({r['schema'] for r in first[:-1]}, {'reroute.report.result/1'})
            same((first[-1]['schema'], first[-1]['reachable'], first[-1]['not_found']), ('reroute.report.summary/1', count, 1))
            same(first[-1]['workers'], int(workers))
            for want, change in (('unreachable', lambda: silence('10.0.3.0/24')), ('reachable', speak)):
                change()
                lines = [json.loads(line) for line in watch.lines(256)]
                same(sorted(r['index'] for r in lines), list(range(3 * 256, 4 * 256)), want)
                for r in lines:
                    same((r['schema'], r['outcome']), ('reroute.report.change/1', want))
                    same(r['was'], {'reachable': 'unreachable', 'unreachable': 'reachable'}[want])
                    same(r['target'], f'10.0.3.{r["index"] - 768}')
                    check(re.fullmatch(TIME, r['time']) and r['was_for_ms'] > 0, r)
                    check((r['rtt_ms'] is None) == (want == 'unreachable') == bool(r['reason']), r)
                rounds(count)
            rest = [json.loads(line) for line in watch.end()]
            same((len(rest), rest[0]['schema'], rest[0]['reachable'], rest[0]['unreachable'], rest[0]['unfinished']),
                 (1, 'reroute.report.summary/1', count, 0, 0))
            check(rest[0]['counters']['replies'] >= 4 * count, rest[0]['counters'])
            same(rest[0]['counters']['receive_drops'], 0)


@test
def a_reply_to_an_earlier_round_is_late():
    """Replies come 60 ms after their request: when the next one has been waiting for 10 ms."""
    responder = subprocess.Popen([program(1), '--tun', 'slow0', '--address', '10.77.0.1/24', '--profile',
                                  '10.77.0.0/24=delay=60ms'], stdout=subprocess.PIPE, text=True)
    with responder:
        try:
            same(responder.stdout.readline(), 'ready\n')
            for transport in ('epoll', 'io_uring'):
                if run('10.0.0.1', '--transport', transport)[0] != 0:
                    continue
                with Watch('10.77.0.9', '10.0.0.1', *PACE, '--json-lines', '--transport', transport) as watch:
                    watch.lines(3)
                    rounds(2 * 12)
                    rest = [json.loads(line) for line in watch.end()]
                    same((len(rest), rest[0]['reachable'], rest[0]['unreachable']), (1, 1, 1), rest)
                    check(rest[0]['counters']['late'] >= 5, rest[0]['counters'])
                    same((rest[0]['counters']['foreign'], rest[0]['counters']['corrupt']), (0, 0))
        finally:
            responder.terminate()


@test
def its_pace():
    with Watch('10.0.0.1', '--watch=100ms', '--json-lines') as watch:
        watch.lines(2)
        before = time.monotonic()
        rounds(5)
        check(time.monotonic() - before >= 0.35, 'too often')
        same(len(watch.end()), 1)
    # A round that takes longer than that is followed by the next one.
    with Watch('10.0.0.1', '10.9.0.9', '--watch=1ms', '--select-timeout', '100ms', '--json-lines') as watch:
        watch.lines(3)
        before = time.monotonic()
        rounds(2 * 4)
        check(time.monotonic() - before >= 0.25, 'rounds overlap')
        same(len(watch.end()), 1)


@test
def interrupted_in_the_first_round():
    before = icmp_count('InEchoReps')
    with start('10.0.0.1', '10.9.0.9', '--watch', '--select-timeout', '60') as process:
        wait_until(lambda: icmp_count('InEchoReps') > before, 'one has answered', process)
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=DEADLINE_S)
    same((process.returncode, error), (143, ''))
    check(out.startswith('2 targets: 1 reachable, 0 unreachable, 1 not known when interrupted;'), out)


@test
def who_does_not_read_any_more_ends_it():
    with Watch('10.0.0.1', *PACE) as watch:
        watch.lines(3)
        watch.process.stdout.close()
        silence('10.0.0.1')
        try:
            error = watch.process.stderr.read()
            same((watch.process.wait(DEADLINE_S), error), (4, 'reroute report: cannot write the report: Broken pipe\n'))
        finally:
            speak()


def make_pair(peer):
    subprocess.run(['ip', 'link', 'delete', 'v0'], stderr=subprocess.DEVNULL, check=False)
    command(f'ip link add v0 type veth peer name v1 netns {peer.path}')
    for run_there, device, last in ((peer.run, 'v1', 2), (command, 'v0', 1)):
        run_there(f'ip address add fe80::{last}/64 dev {device} nodad')
        run_there(f'ip address add 10.78.0.{last}/24 dev {device}')
        run_there(f'ip link set {device} up')


def until(watch, target, outcome):
    """The line of that change; others may come before it."""
    line = {}
    while (line.get('target'), line.get('outcome')) != (target, outcome):
        line = json.loads(watch.line())
    return line


@test
def an_interface_that_is_made_anew_is_found_again():
    peer = Peer()
    for targets, names in ((['fe80::2%v0', 'fe80::1:0%v0/127'], ['fe80::2%v0', 'fe80::1:0%v0', 'fe80::1:1%v0']),
                           (['--interface', 'v0', '10.78.0.2', 'fe80::2'], ['10.78.0.2', 'fe80::2'])):
        make_pair(peer)
        index = socket.if_nametoindex('v0')
        with Watch('--json-lines', *targets, *PACE) as watch:
            same(sorted(json.loads(line)['target'] for line in watch.lines(len(names))), sorted(names))
            watch.line()  # the summary
            command('ip link delete v0')
            check('cannot send' in until(watch, names[0], 'unreachable')['reason'], 'it says why')
            make_pair(peer)
            check(index != socket.if_nametoindex('v0'), 'another index')
            line = until(watch, names[0], 'reachable')
            same(line['address'].split('%')[0], names[0].split('%')[0])


@test
def rounds_find_it_again_too():
    peer = Peer()
    make_pair(peer)
    process = start('--json', '--count', '60', '--period', '50ms', '--select-timeout', '0.1', 'fe80::2%v0')

    def asked():
        with open('/proc/self/net/snmp6', encoding='ascii') as file:
            return sum(int(line.split()[1]) for line in file if line.startswith('Icmp6OutEchos '))
    before = asked()
    wait_until(lambda: asked() > before + 3, 'it asks', process)
    command('ip link delete v0')
    make_pair(peer)
    out, error = process.communicate(timeout=DEADLINE_S)
    result = json.loads(out)['results'][0]
    same((process.returncode, error, result['target'], result['address']), (0, '', 'fe80::2%v0', 'fe80::2%v0'))
    check(result['rounds']['lost'] >= 1 and result['rounds']['answered'] >= 12, result)


@test
def zones():
    for target in ('::1%lo', 'fd00:1::2%lo'):
        code, _, error = run(target)
        check(code != 0 and "only a link-local address has a zone (the part behind '%')" in error, (code, error))
    peer = Peer()
    make_pair(peer)
    index = socket.if_nametoindex('v0')
    for target, more in ((f'fe80::2%{index}', []), ('fe80::2', ['--interface', 'v0'])):
        code, out, error = run('--json', target, *more)
        same(code, 0, error)
        result = json.loads(out)['results'][0]
        same((result['target'], result['address'], result['outcome']), (target, 'fe80::2%v0', 'reachable'))


main(set_stage)
