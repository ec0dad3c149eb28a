#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that what came of a target is said of that target, in every format: a reply that was cut short is life and is
called truncated; one that cannot be believed (from elsewhere, corrupt, cut before it proves itself) is the reason of
its target, with --count and in the path MTU as well; what a filter of system calls forbids ends with an error; and an
ICMP error is counted for packets and for hosts.

Usage: refused.py PATH-OF-REROUTE PATH-OF-RESPONDER. See stage.py for where it runs and what it prints. 10.81.0.0/16 to
10.86.0.0/16 and fd00:81::/64 are a responder's, see PROFILES; its device has an MTU of 1500.
"""
import json
import subprocess

import stage
from stage import check, command, document, main, program, run, same, test
from netlab.namespace import end_of_life

PROFILES = ['10.81.0.0/16=truncate=1:64', '10.82.0.0/16=truncate=1:16', '10.83.0.0/16=wrong-source=1',
            '10.84.0.0/16=corrupt=1:payload', '10.85.0.0/16=truncate=1:64,mtu=1300:tell',
            '10.86.0.0/16=truncate=1:64,mtu=1300:drop', 'fd00:81::/64=truncate=1:64']
FAST = ['--select-timeout', '0.3']
CUT = 'reply truncated to 64 bytes'


def waited(why):
    return f'no valid reply in 300 ms; {why}'


REASONS = [('10.82.0.9', waited('a reply truncated to 16 bytes came from 10.82.0.9, too short to prove itself')),
           ('10.83.0.9', waited('a reply came from 10.83.0.8')), ('10.84.0.9', waited('a corrupt reply came from 10.84.0.9'))]


def every_way(condition):
    for group in ('0 2147483647', '1 0'):
        stage.write('/proc/sys/net/ipv4/ping_group_range', group)
        for transport in ('epoll', 'poll', 'io_uring'):
            arguments = ['--transport', transport, *FAST]
            if run('127.0.0.1', *arguments)[0] == 0:
                condition(arguments)


@test
def a_truncated_reply_is_life():
    def see(way):
        for target in ('10.81.0.9', 'fd00:81::9'):
            report = document(target, '--size', '1000', *way, code=0)
            result = report['results'][0]
            same((result['reason'], result['truncated_bytes'], result['requests']), (CUT, 64, 1), f'{way} {target}')
            same((report['counters']['truncated'], report['counters']['corrupt']), (1, 0))
        check('truncated_bytes' not in document('10.81.0.9', *way)['results'][0], 'what is whole is not cut')
    every_way(see)


@test
def it_is_said_in_every_format():
    ask = ['10.81.0.9', '--size', '1000', *FAST]
    code, out, _ = run('--csv', *ask)
    same((code, out.splitlines()[1].endswith(f',1,{CUT}')), (0, True), out)
    code, out, _ = run(*ask)
    check(code == 0 and f'10.81.0.9  reachable    {CUT}\n' in out and 'truncated replies 1' in out, out)
    code, out, _ = run('--openmetrics', *ask)
    check(code == 0 and 'reroute_report_truncated_bytes{target="10.81.0.9"} 64\n' in out, out)
    line = json.loads(run('--json-lines', *ask)[1].splitlines()[0])
    same((line['outcome'], line['truncated_bytes'], line['reason']), ('reachable', 64, CUT))
    result = document('--count', '2', '--period', '10ms', *ask)['results'][0]
    same((result['reason'], result['truncated_bytes'], result['rounds']['lost']), (CUT, 64, 0))


@test
def what_is_refused_is_the_reason_of_its_target():
    targets = [target for target, _ in REASONS]
    every_way(lambda way: same([(r['target'], r['reason']) for r in document(*targets, *way, code=1)['results']], REASONS, way))
    result = document('10.83.0.9', '--count', '2', '--period', '10ms', *FAST, code=1)['results'][0]
    same((result['rounds']['last_error'], result['reason']), ('no valid reply; a reply came from 10.83.0.8', REASONS[1][1]))
    code, out, _ = run('10.84.0.9', *FAST)
    check(code == 1 and f'unreachable  {REASONS[2][1]}\n' in out, out)
    code, out, _ = run('--openmetrics', '10.84.0.9', '10.9.0.9', *FAST)
    check('reroute_report_reply_refused{target="10.84.0.9"} 1\n' in out, out)
    check('reply_refused{target="10.9.0.9"}' not in out, out)


def path_mtu(target, *more, code=0):
    result = document('--path-mtu', target, *FAST, *more, code=code)['results'][0]
    return result['mtu'], result


@test
def path_mtu_goes_by_what_arrived():
    for target, verdict, passes, fails in (('10.81.0.9', 'passes', 1500, None), ('10.85.0.9', 'too-big', 1300, 1301),
                                           ('10.86.0.9', 'silent', 1300, 1301), ('fd00:81::9', 'passes', 1500, None)):
        mtu, result = path_mtu(target)
        same((mtu['verdict'], mtu['passes'], mtu['fails'], result['truncated_bytes']), (verdict, passes, fails, 64), target)
    _, out, _ = run('--path-mtu', '10.81.0.9', *FAST)
    check('passes       all that the interface takes; on the way there: replies are truncated to 64 bytes, of the way back '
          'nothing is known\n' in out, out)
    same(run('--mtu', '1500', '10.81.0.9', *FAST)[0], 0)
    for target, reason in REASONS:
        mtu, result = path_mtu(target, code=1)
        same((mtu['verdict'], mtu['why'], result['reason']), ('unreachable', reason, reason), target)


@test
def icmp_errors_of_packets_and_of_hosts():
    code, out, _ = run('10.3.7.1', '10.3.7.2', '--select-timeout', '0.1', '--select-count', '3')
    check(code == 1 and 'ICMP errors 6 (the reason of 2 unreachable)' in out, out)


def make():
    stage.set_stage()
    responder = subprocess.Popen([program(1), '--tun', 'answers', '--address', '10.80.0.1/24', '--address', 'fd00:80::1/64',
                                  '--route', 'fd00:81::/64', *[w for i in range(81, 87) for w in ('--route', f'10.{i}.0.0/16')],
                                  *[word for profile in PROFILES for word in ('--profile', profile)]],
                                 stdout=subprocess.PIPE, text=True, preexec_fn=end_of_life)
    same(responder.stdout.readline(), 'ready\n')
    command('ip link set answers mtu 1500')


main(make)
