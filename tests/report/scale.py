#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that `reroute report` takes prefixes, ranges, excludes and shards, in the order given or at random; that
more targets than there are sequence numbers are all found, in less than 64 bytes each; that --rate is kept; and
that an interrupted large report is whole.

Usage: scale.py PATH-OF-REROUTE. See stage.py for where it runs and what it prints.
"""
import ipaddress
import json
import re
import signal
import socket
import subprocess
import tempfile

from stage import (COMMAND, DEADLINE_S, ENVIRONMENT, FAST, check, check_document, document, main, run, same, start, test,
                   wait_until)
from netlab.namespace import icmp_count

QUIET = ['--select-timeout', '100ms']


def targets(*arguments, code=0, **more):
    return [r['target'] for r in document(*arguments, code=code, **more)['results']]


def addresses(first, count):
    start_at = ipaddress.ip_address(first)
    return [str(start_at + i) for i in range(count)]


@test
def prefixes_and_ranges_in_the_order_given():
    with tempfile.NamedTemporaryFile('w') as file:
        file.write('10.1.0.254-10.1.1.1 # across\nhere.example fd00:1::fffe-fd00:1::1:1\n')
        file.flush()
        report = document('10.0.0.8/30', '10.0.0.1', '-f', file.name, '10.0.0.1')
    want = (addresses('10.0.0.8', 4) + ['10.0.0.1'] + addresses('10.1.0.254', 4) + ['here.example'] +
            addresses('fd00:1::fffe', 4) + ['10.0.0.1'])
    same([r['target'] for r in report['results']], want)
    same([r['address'] for r in report['results']], [w.replace('here.example', '10.0.0.77') for w in want])


@test
def other_ways_to_write_an_address_stay_as_given():
    same([(r['target'], r['address']) for r in document('FD00:1:0::5', 'fd00:1::5', 'fd00:1::6/127')['results']],
         [('FD00:1:0::5', 'fd00:1::5'), ('fd00:1::5', 'fd00:1::5'), ('fd00:1::6', 'fd00:1::6'),
          ('fd00:1::7', 'fd00:1::7')])


@test
def excludes():
    with tempfile.NamedTemporaryFile('w') as file:
        file.write('10.0.0.3 10.0.0.5-10.0.0.6\nfd00:1::/64')
        file.flush()
        same(targets('10.0.0.0/29', 'fd00:1::1', '--exclude', '10.0.0.0,10.0.0.7', '--exclude-file', file.name),
             ['10.0.0.1', '10.0.0.2', '10.0.0.4'])


@test
def a_name_whose_address_is_excluded_is_not_asked():
    report = document('here.example', '10.0.0.1', '--exclude', '10.0.0.77/32')
    same([r['outcome'] for r in report['results']], ['excluded', 'reachable'])
    same(report['results'][0]['address'], '10.0.0.77')
    same((report['targets'], report['reachable'], report['counters']['sent']), (2, 1, 1))
    code, out, _ = run('here.example', '10.0.0.1', '--exclude', '10.0.0.77')
    same(code, 0)
    check(out.startswith('here.example (10.0.0.77)  excluded '), out)


@test
def shards_are_the_whole():
    given = ['10.0.0.0/28', 'here.example', '10.2.0.1', 'fd00:1::/125', '--exclude', '10.0.0.5']
    whole = targets(*given)
    same(len(whole), 15 + 1 + 1 + 8)
    for count in (1, 2, 5):
        for part in range(count):
            same(targets(*given, '--shard', f'{part + 1}/{count}'), whole[part::count], (part, count))


def order_seen(order):
    """The last two bytes of where the requests went, as the other end of the link saw them."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        wire.bind(('quiet1', 0x0800))
        report = document('11.5.0.0/23', *order, *QUIET, code=1)
        wire.settimeout(5)
        seen = []
        while len(seen) < 512:
            packet = wire.recv(256)
            if packet[9] == 1 and packet[16:18] == b'\x0b\x05':
                seen.append(packet[18] << 8 | packet[19])
    same([r['target'] for r in report['results']], addresses('11.5.0.0', 512))
    same(sorted(seen), list(range(512)))
    return seen


@test
def random_order_unless_given():
    same(order_seen(['--order', 'given']), list(range(512)))
    for order in ([], ['--order', 'random']):
        seen = order_seen(order)
        check(sum(b == a + 1 for a, b in zip(seen, seen[1:])) < 20, 'neighbours follow each other', seen[:50])
    check(order_seen([]) != seen, 'the same order twice')


@test
def more_targets_than_sequence_numbers():
    """Four times as many, in one run with one identifier."""
    report = document('10.0.0.0/14', '--exclude', '10.3.7.0/24')
    same(report['targets'], (1 << 18) - 256)
    same(report['reachable'], report['targets'])
    same(report['counters']['receive_drops'], 0)
    same(report['doubtful'], 0)
    same(len({r['address'] for r in report['results']}), report['targets'])


def is_sanitized():
    with open(COMMAND, 'rb') as file:
        return b'__asan_init' in file.read()


@test
def less_than_64_bytes_a_target():
    """The greatest resident size of the whole process, output included, dead targets with several requests."""
    if is_sanitized():
        print('# not measured: built with the address sanitizer')
        return
    # Started by a small process: what its parent has weighs on a process until it has its own image.
    script = 'import resource,subprocess,sys; subprocess.run(sys.argv[1:]); ' \
             'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)'
    for count, form in ((600000, '--json'), (300000, '--json-lines'), (300000, '--openmetrics')):
        last = ipaddress.ip_address('11.1.0.0') + count - 1
        with tempfile.TemporaryFile('w+', encoding='ascii') as out:
            done = subprocess.run(
                ['python3', '-c', script, COMMAND, 'report', form, *QUIET, '--select-count', '2', f'11.1.0.0-{last}'],
                stdout=out, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, check=True, timeout=DEADLINE_S)
            out.seek(0)
            text = out.read()
        same(done.stderr, '')
        check(re.search(f'"unreachable":{count}|"unreachable"}} {count}', text), text[-1000:])
        size = 1024 * int(text.rsplit('\n', 2)[1])
        check(size <= count * 64, form, size / count, 'bytes a target')


@test
def less_than_64_bytes_a_target_round_after_round():
    if is_sanitized():
        print('# not measured: built with the address sanitizer')
        return
    count = 1 << 17
    before = icmp_count('OutEchos')
    with start('-q', '--watch=1ms', *QUIET, '11.2.0.0/15') as process:
        wait_until(lambda: icmp_count('OutEchos') >= before + 2.5 * count, 'the third round', process)
        with open(f'/proc/{process.pid}/status', encoding='ascii') as file:
            size = 1024 * int(re.search(r'VmHWM:\s+(\d+) kB', file.read())[1])
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE_S)
    check(f'now 0 reachable, {count} unreachable' in out and ' 0 changes' in out, out)
    check(size <= count * 64, size / count, 'bytes a target')


@test
def rate():
    """Not before its time; that it comes without bursts is tested with a virtual clock."""
    report = document('10.0.0.0/23', '--rate', '1000')
    check(report['elapsed_ms'] >= 500, report['elapsed_ms'])
    same(report['reachable'], 512)


@test
def interrupted_in_the_middle():
    before = icmp_count('InEchoReps')
    with start('--json', '10.0.0.0/15', '--rate', '2000', 'here.example') as process:
        wait_until(lambda: icmp_count('InEchoReps') >= before + 500, 'some have answered', process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE_S)
    same(process.returncode, 130)
    report = json.loads(out)
    check_document(report)
    same(report['targets'], 131073)
    check(500 <= report['reachable'] < 100000, report['reachable'])
    same(report['unreachable'], 0)
    same([r['target'] for r in report['results'][:3]], addresses('10.0.0.0', 3))


@test
def every_kind_among_many():
    """Each outcome keeps its reason among thousands of others."""
    report = document('10.9.0.0/25', '10.8.0.0/24', '10.3.7.0/28', '10.0.0.0/22', *FAST, code=1)
    outcomes = [(r['outcome'], r['reason']) for r in report['results']]
    same(set(outcomes[:1] + outcomes[2:128]), {('unreachable', 'no reply in 200 ms')})
    same(set(outcomes[128:384]), {('unreachable', 'cannot send: No route to host')})
    check(all('says 10.3.7.' in r['reason'] and r['address'] in r['reason'] or r['reason'] == 'no reply in 200 ms'
              for r in report['results'][384:400]), outcomes[384:400])
    same(set(outcomes[400:]), {('reachable', '')})


@test
def help_says_it():
    _, out, _ = run('--help')
    for word in ('--exclude', '--exclude-file', '--shard', '--order', '--rate', '--no-retry-doubtful', 'prefix'):
        check(word in out, word)


main()
