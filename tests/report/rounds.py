#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves what `reroute report` says with --count, --mtu and --path-mtu: loss to the request, round-trip times in
order, verdicts and path MTUs to the byte, in every format; exit codes; what an interruption leaves; that many targets
with many MTUs are searched at once.

Usage: rounds.py PATH-OF-REROUTE PATH-OF-RESPONDER. See stage.py for where it runs; beside that stage there are

  10.71.0.0/16, fd00:71::/64   a responder, see PROFILES; its device has an MTU of 1500
  us 1500 --- router --- 1300 end: 10.73.0.2, fd00:73::2   real kernels, as 10.72.0.2 the router itself
  10.2.0.9                     this host, but every fourth request is dropped
"""
import csv
import io
import json
import signal
import subprocess

import stage
from stage import (DEADLINE_S, FAST, Peer, check, check_document, command, document, main, program, run, same, start,
                   test, wait_until)
from netlab.namespace import end_of_life, icmp_count

PROFILES = ['10.71.1.0/24=delay=2ms', '10.71.2.0/24=delay=1ms,duplicate=100%', '10.71.3.0/24=late=100%:150ms',
            '10.71.4.0/24=dead', '10.71.5.0/24=delay=1ms,loss=30%', '10.71.10.0/24=mtu=1400,delay=1ms',
            '10.71.11.0/24=mtu=1400:drop,delay=1ms', '10.71.12.0/24=mtu=777:drop', '10.71.13.0/24=mtu=1400,quote=8',
            'fd00:71::10/124=mtu=1400', 'fd00:71::20/124=mtu=1281:drop']
ROUNDS = {'sent', 'answered', 'lost', 'waiting', 'unsent', 'doubtful', 'late', 'duplicates', 'loss_ratio', 'min_ms',
          'avg_ms', 'p50_ms', 'p95_ms', 'p99_ms', 'max_ms', 'jitter_ms', 'last_error'}
MTU = {'verdict', 'asked', 'passes', 'fails', 'named', 'from', 'why'}
QUICK = ['--period', '20ms', '--select-timeout', '0.1']


def details(kind, *arguments, code=0):
    """(document, what this kind adds to each result), after checking what holds for each of them."""
    got, out, error = run('--json', *arguments)
    same(got, code, f'exit code of {arguments} ({error.strip()})')
    report = json.loads(out)
    return report, taken_out(report, kind)


def taken_out(report, kind):
    added = [result.pop(kind) for result in report['results']]
    check_document(report)
    for one, result in zip(added, report['results']):
        same(set(one), ROUNDS if kind == 'rounds' else MTU)
        if kind == 'rounds':
            check_rounds(one, result)
    return added


def check_rounds(one, result):
    same(one['sent'], one['answered'] + one['lost'] + one['waiting'], one)
    same(one['sent'], result['requests'])
    times = [one[name + '_ms'] for name in ('min', 'p50', 'p95', 'p99', 'max')]
    if one['answered'] == 0:
        same(times, [None] * 5)
    else:
        same(times, sorted(times))
        check(one['min_ms'] <= one['avg_ms'] <= one['max_ms'], one)
        same(result['rtt_ms'], one['p50_ms'])
    over = one['answered'] + one['lost']
    check(one['loss_ratio'] is None if over == 0 else abs(one['loss_ratio'] - one['lost'] / over) < 1e-5, one)


# --- rounds -------------------------------------------------------------------------------------------------

@test
def rounds_of_all_sorts():
    report, (slow, twice, late, dead, lossy, fourth, no_way, six) = details(
        'rounds', '10.71.1.1', '10.71.2.1', '10.71.3.1', '10.71.4.1', '10.71.5.1', '10.2.0.9', '10.8.0.1', 'fd00:71::1',
        '--count', '40', *QUICK, code=1)
    check(slow['answered'] == 40 and slow['min_ms'] >= 2 and slow['jitter_ms'] is not None, slow)
    check(twice['answered'] == 40 and twice['duplicates'] == 40, twice)
    check(late['answered'] == 0 and late['late'] > 30 and late['lost'] == 40, late)
    check(dead['lost'] == 40 and dead['loss_ratio'] == 1 and dead['jitter_ms'] is None, dead)
    check(0 < lossy['lost'] < 40 and lossy['unsent'] == 0, lossy)
    same((fourth['sent'], fourth['lost'], fourth['loss_ratio']), (40, 10, 0.25))
    check(no_way['lost'] == 40 and 'No route to host' in no_way['last_error'], no_way)
    same(six['answered'], 40)
    same([r['outcome'] for r in report['results']],
         ['reachable'] * 2 + ['unreachable'] * 2 + ['reachable'] * 2 + ['unreachable', 'reachable'])
    same((report['workers'], report['doubtful']), (1, 0))
    check(report['elapsed_ms'] >= 39 * 20, report['elapsed_ms'])


@test
def rounds_exit_codes_and_names():
    details('rounds', '10.71.5.1', '10.2.0.9', '--count', '20', *QUICK, code=0)
    report, (here, _) = details('rounds', 'here.example', 'nosuch.example', '--count', '3', *QUICK, code=2)
    same([r['outcome'] for r in report['results']], ['reachable', 'not-found'])
    same(here['answered'], 3)


@test
def rounds_with_a_window_of_many_periods():
    _, (slow, dead) = details('rounds', '10.71.3.1', '10.71.4.1', '--count', '30', '--period', '20ms',
                              '--select-timeout', '0.1', '--select-count', '4', code=1)
    check(slow['answered'] == 30 and slow['min_ms'] >= 150, slow)
    same((dead['sent'], dead['lost']), (30, 30))


@test
def rounds_interrupted():
    for number in (signal.SIGINT, signal.SIGTERM):
        before = icmp_count('InEchoReps')
        with start('--json', '10.71.1.1', '10.71.4.1', '--count', '1000', '--period', '20ms', '--select-timeout',
                   '3') as process:
            wait_until(lambda: icmp_count('InEchoReps') >= before + 10, 'ten have been answered', process)
            process.send_signal(number)
            out, _ = process.communicate(timeout=DEADLINE_S)
        same(process.returncode, 128 + number)
        report = json.loads(out)
        live, dead = taken_out(report, 'rounds')
        same([r['outcome'] for r in report['results']], ['reachable', 'unfinished'])
        check(10 <= live['answered'] < 1000 and live['lost'] == 0 and live['loss_ratio'] == 0, live)
        check(dead['waiting'] == dead['sent'] >= 9 and dead['loss_ratio'] is None, dead)


@test
def rounds_in_all_formats():
    arguments = ['10.71.1.1', '10.2.0.9', '10.71.4.1', '--count', '8', *QUICK]
    code, out, error = run(*arguments)
    same((code, error), (1, ''))
    head, slow, fourth, dead, empty, summary, medians, packets = out.splitlines()
    same(head.split()[:4], ['target', 'outcome', 'sent', 'loss'])
    same(slow.split()[:4], ['10.71.1.1', 'reachable', '8', '0.0%'])
    same(fourth.split()[:4], ['10.2.0.9', 'reachable', '8', '25.0%'])
    check(dead.startswith('10.71.4.1  unreachable') and dead.endswith('no reply in 100 ms'), dead)
    check(empty == '' and summary.startswith('3 targets: 2 reachable, 1 unreachable; took '), out)
    check(medians.startswith('Medians of the RTT in ms: min ') and packets.startswith('packets: sent 24'), out)
    _, out, _ = run('-q', *arguments)
    check(out.startswith('3 targets: '), out)
    rows = list(csv.DictReader(io.StringIO(run('--csv', *arguments)[1])))
    same([row['loss_ratio'] for row in rows], ['0', '0.25', '1'])
    check(set(rows[0]) == stage.RESULT_KEYS | ROUNDS and None not in rows[0], rows[0])
    check(rows[2]['jitter_ms'] == '' and float(rows[0]['p99_ms']) >= 2, rows)
    lines = [json.loads(line) for line in run('--json-lines', *arguments)[1].splitlines()]
    same({line['target']: line['rounds']['lost'] for line in lines[:-1]},
         {'10.71.1.1': 0, '10.2.0.9': 2, '10.71.4.1': 8})
    _, out, _ = run('--openmetrics', *arguments)
    check('reroute_report_loss_ratio{target="10.2.0.9"} 0.25\n' in out, out)
    check('reroute_report_jitter_seconds{target="10.71.1.1"} ' in out, out)


# --- packet sizes -------------------------------------------------------------------------------------------

REAL = ['10.73.0.2', 'fd00:73::2', '10.72.0.2', 'fd00:72::2']


@test
def path_mtu_behind_a_router():
    _, found = details('mtu', *REAL, '127.0.0.1', '::1', '--path-mtu', *FAST)
    same([one['passes'] for one in found], [1300, 1300, 1500, 1500, 65535, 65536])
    same([one['verdict'] for one in found], ['too-big'] * 2 + ['passes'] * 4)
    same([(one['named'], one['fails'], one['from']) for one in found[:2]],
         [(1300, 1301, '10.72.0.2'), (1300, 1301, 'fd00:72::2')])
    same([(one['named'], one['fails'], one['from'], one['why']) for one in found[2:]], [(None, None, None, '')] * 4)


@test
def path_mtu_behind_a_silent_router():
    router.run('nft add table inet hush')
    router.run('nft add chain inet hush out { type filter hook output priority 0 ; }')
    router.run('nft add rule inet hush out icmp type destination-unreachable drop')
    router.run('nft add rule inet hush out icmpv6 type packet-too-big drop')
    try:
        _, found = details('mtu', *REAL, '--path-mtu', '--select-timeout', '50ms', '--select-count', '2')
        _, checked = details('mtu', *REAL, '--mtu', '1301', *FAST, code=1)
    finally:
        router.run('nft delete table inet hush')
    same([(one['passes'], one['verdict']) for one in found], [(1300, 'silent')] * 2 + [(1500, 'passes')] * 2)
    same([one['verdict'] for one in checked], ['silent'] * 2 + ['passes'] * 2)
    same([one['fails'] for one in checked], [1301, 1301, None, None])


@test
def path_mtu_of_many():
    tells = [f'10.71.10.{i}' for i in range(1, 101)]
    drops = [f'10.71.11.{i}' for i in range(1, 101)]
    odd = [f'10.71.12.{i}' for i in range(1, 101)]
    short = [f'10.71.13.{i}' for i in range(1, 51)]
    six = [f'fd00:71::1{i:x}' for i in range(8)] + [f'fd00:71::2{i:x}' for i in range(8)]
    targets = tells + drops + odd + short + six + ['10.71.4.9']
    report, found = details('mtu', *targets, '--path-mtu', *FAST, code=1)
    same([one['passes'] for one in found],
         [1400] * 200 + [777] * 100 + [1400] * 50 + [1400] * 8 + [1281] * 8 + [None])
    same([one['verdict'] for one in found],
         ['too-big'] * 100 + ['silent'] * 200 + [one['verdict'] for one in found[300:350]] + ['too-big'] * 8 +
         ['silent'] * 8 + ['unreachable'])
    check({one['verdict'] for one in found[300:350]} <= {'too-big', 'silent'}, found[300])
    same(report['doubtful'], 0)
    same(report['counters']['receive_drops'], 0)


@test
def one_size():
    targets = REAL + ['10.71.10.1', '10.71.11.1', '10.71.4.1', '10.8.0.1']
    _, found = details('mtu', *targets, '--mtu', '1301', *FAST, code=1)
    same([one['verdict'] for one in found],
         ['too-big'] * 2 + ['passes'] * 4 + ['unreachable'] * 2)
    same([one['from'] for one in found[:3]], ['10.72.0.2', 'fd00:72::2', None])
    _, found = details('mtu', *targets[:6], '--mtu', '1300', *FAST, code=0)
    same([one['passes'] for one in found], [1300] * 6)
    _, found = details('mtu', '10.72.0.2', 'fd00:72::2', '--mtu', '1501', *FAST, code=1)
    same([(one['verdict'], one['named'], one['from']) for one in found], [('too-big', 1500, None)] * 2)
    check('this host' in found[0]['why'], found[0])


@test
def a_path_that_became_better():
    """The kernel has learnt an MTU of 1300 by now, and keeps it for ten minutes."""
    router.run('ip link set end0 mtu 1400')
    end.run('ip link set end1 mtu 1400')
    try:
        _, found = details('mtu', '10.73.0.2', 'fd00:73::2', '--path-mtu', *FAST)
        same([one['passes'] for one in found], [1400, 1400])
        details('mtu', '10.73.0.2', 'fd00:73::2', '--mtu', '1400', *FAST, code=0)
    finally:
        router.run('ip link set end0 mtu 1300')
        end.run('ip link set end1 mtu 1300')


@test
def sizes_in_all_formats():
    code, out, error = run('10.73.0.2', '10.72.0.2', '10.71.11.1', '10.71.4.1', '--path-mtu', *FAST)
    same((code, error), (1, ''))
    rows = out.splitlines()
    same(rows[0].split()[:2], ['target', 'MTU'])
    same(rows[1].split(), '10.73.0.2 1300 too-big packet too big for an MTU of 1300, says 10.72.0.2'.split())
    same(rows[2].split()[:3], ['10.72.0.2', '1500', 'passes'])
    same(rows[3].split(), '10.71.11.1 1400 silent 1401 bytes vanish, 1400 pass: no reply in 200 ms'.split())
    same(rows[4].split()[:3], ['10.71.4.1', '-', 'unreachable'])
    code, out, _ = run('10.73.0.2', '10.72.0.2', '--mtu', '1500', '-q', *FAST)
    check(code == 1 and out.startswith('1500 bytes pass to 1 of 2 targets\n2 targets: 2 reachable'), out)
    parsed = list(csv.DictReader(io.StringIO(run('--csv', '10.73.0.2', '10.72.0.2', '--path-mtu', *FAST)[1])))
    same([(row['verdict'], row['passes'], row['named']) for row in parsed],
         [('too-big', '1300', '1300'), ('passes', '1500', '')])
    check(set(parsed[0]) == stage.RESULT_KEYS | MTU and None not in parsed[0], parsed[0])
    _, out, _ = run('--openmetrics', '10.73.0.2', '10.71.4.1', '--path-mtu', *FAST)
    check('reroute_report_mtu_bytes{target="10.73.0.2"} 1300\n' in out and
          'reroute_report_mtu_bytes{target="10.71.4.1"}' not in out, out)


@test
def sizes_interrupted():
    before = icmp_count('InEchoReps')
    with start('--json', '10.72.0.2', '10.71.11.1', '--path-mtu', '--select-timeout', '60') as process:
        wait_until(lambda: icmp_count('InEchoReps') >= before + 3, 'all that answers has answered', process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE_S)
    same(process.returncode, 130)
    report = json.loads(out)
    whole, part = taken_out(report, 'mtu')
    same((whole['verdict'], whole['passes']), ('passes', 1500))
    same((part['verdict'], part['passes']), ('unfinished', 68))


BAD = [
    (['--count', '0'], "--count '0': expected a number from 1 to 1000000"),
    (['--count', '3', '--period', '1ms'], "--period '1ms': expected a time from 10ms to 1h"),
    (['--period', '1'], '--period goes with --count only'),
    (['--mtu', '50'], "--mtu '50': expected a number from 88 to 65535"),
    (['--mtu', '1500', '--path-mtu'], '--count, --mtu and --path-mtu exclude each other'),
    (['--count', '2', '--single-request'], 'do not go with --count'),
    (['--path-mtu', '--ping-timeout', '1'], 'do not go with --mtu or --path-mtu'),
    (['--path-mtu', '--size', '100'], '--size and --dont-fragment do not go with'),
]


@test
def bad_options():
    for arguments, text in BAD:
        code, out, error = run('10.0.0.1', *arguments)
        same((code, out), (3, ''), arguments)
        check(text in error, arguments, 'says', error)


@test
def without_them_all_is_as_before():
    document('10.0.0.1', '10.2.0.9')


def connect(one, name, other, address, number):
    """A link from a peer (None: us) to another peer; .1 is the nearer end, .2 the other one."""
    command(f'ip link add {name} type veth peer name {address}')
    command(f'ip link set {address} netns {other.path}')
    if one:
        command(f'ip link set {name} netns {one.path}')
    for run_there, device, last in ((one.run if one else command, name, 1), (other.run, address, 2)):
        run_there(f'ip address add 10.{number}.0.{last}/24 dev {device}')
        run_there(f'ip address add fd00:{number}::{last}/64 dev {device} nodad')
        run_there(f'ip link set {device} up')


def make():
    global router, end
    stage.set_stage()
    subprocess.run(['nft', '-f', '-'], check=True, text=True, input='''
        table ip fourth {
            chain in {
                type filter hook input priority 0;
                ip daddr 10.2.0.9 icmp type echo-request numgen inc mod 4 == 1 drop
            }
        }''')
    router, end = Peer(), Peer()
    connect(None, 'us0', router, 'us1', 72)
    connect(router, 'end0', end, 'end1', 73)
    router.run('ip link set end0 mtu 1300')
    end.run('ip link set end1 mtu 1300')
    router.run('sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 '
               'net.ipv6.icmp.ratelimit=0')
    end.run('ip route add default via 10.73.0.1')
    end.run('ip route add default via fd00:73::1')
    command('ip route add 10.73.0.0/24 via 10.72.0.2')
    command('ip route add fd00:73::/64 via fd00:72::2')
    responder = subprocess.Popen([program(1), '--tun', 'answers', '--address', '10.70.0.1/24', '--address',
                                  'fd00:70::1/64', '--route', '10.71.0.0/16', '--route', 'fd00:71::/64',
                                  *[word for profile in PROFILES for word in ('--profile', profile)]],
                                 stdout=subprocess.PIPE, text=True, preexec_fn=end_of_life)
    same(responder.stdout.readline(), 'ready\n')
    command('ip link set answers mtu 1500')


main(make)
