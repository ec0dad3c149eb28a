#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that `reroute report` says the same of every target whatever the host refuses: in each profile of
profiles.c, by the program of this build and by the static one (tools/build-static; skipped where it is not made, or old), which
needs no file but itself.

Usage: test_report.py REROUTE USERWORLD STATIC. See tests/report/stage.py for where it runs."""
import json
import os
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'report'))
import stage
from stage import check, program, same, test
from static_program import why_not
from tap import Skip

PROFILES = {'esxi-6.5': 'poll', 'esxi-6.7': 'poll', 'esxi-7.0': 'epoll', 'xen-4.4': 'epoll', 'xen-4.19': 'epoll',
            'nothing': 'poll'}
LAUNCHER, STATIC = '/tmp/userworld', '/tmp/static'
# Alive; no answer; refused by an ICMP error; no way, for which each library of C has words of its own.
TARGETS = [*stage.live(40), 'fd00:1::9', '10.9.0.7', '10.3.7.1']
NO_WAY = ['10.8.0.1', 'fd00:9::1']


def report(before, command, *arguments, code=1):
    done = subprocess.run([*before, command, 'report', '--json', '--select-timeout', '0.3', *arguments],
                          capture_output=True, text=True, timeout=stage.DEADLINE_S, check=False)
    same(done.returncode, code, f'{before} {done.stderr}')
    return json.loads(done.stdout)


def in_each_profile(look):
    commands = [stage.COMMAND] + [STATIC] * os.path.exists(STATIC)
    for profile, transport in PROFILES.items():
        for command in commands:
            look([LAUNCHER, profile], command, transport)


def verdicts(document):
    return {r['target']: (r['outcome'], r['requests'], r['reason'] if r['target'] in TARGETS else '')
            for r in document['results']}


@test
def the_same_is_said_of_every_target():
    want = verdicts(report([], stage.COMMAND, *TARGETS, *NO_WAY))
    same(sorted({outcome for outcome, _, _ in want.values()}), ['reachable', 'unreachable'])

    def look(before, command, transport):
        got = report(before, command, *TARGETS, *NO_WAY)
        same(verdicts(got), want, f'{before[1]} {command}')
        same(got['transport'], transport, f'{before[1]} {command}')
    in_each_profile(look)


@test
def nobody_is_called_unreachable_for_the_host():
    targets = stage.live(2000)

    def look(before, command, _):
        got = report(before, command, *targets, code=0)
        same((got['reachable'], got['doubtful']), (2000, 0), f'{before[1]} {command}')
    in_each_profile(look)


@test
def an_interface_is_its_address_where_it_cannot_be_bound_to():
    def look(before, command, _):
        before_count = sent_from('10.9.0.1')
        # quiet0 has both networks: with its first address for a source a packet shows how it was bound.
        report(before, command, '--interface', 'quiet0', '11.0.0.9')
        bound = sent_from('10.9.0.1') - before_count
        same(bound, 0 if before[1].startswith('xen') else 1, f'{before[1]} {command}')
        same(report(before, command, '--interface', 'lo', '127.0.0.1', code=0)['reachable'], 1)
    in_each_profile(look)


def sent_from(address):
    listed = subprocess.run(['nft', '-j', 'list', 'counters'], capture_output=True, text=True, check=True)
    return next(c['counter']['packets'] for c in json.loads(listed.stdout)['nftables']
                if c.get('counter', {}).get('name') == 'from_' + address.replace('.', '_'))


@test
def a_file_of_its_own_is_all_that_the_static_program_needs():
    if not os.path.exists(STATIC):
        raise Skip(why_not(program(2)))
    os.mkdir('/tmp/root')
    shutil.copy(STATIC, '/tmp/root/reroute')
    for before in [[]] + [[LAUNCHER, profile] for profile in PROFILES]:
        done = subprocess.run([*before, 'chroot', '/tmp/root', '/reroute', 'report', '127.0.0.1', 'fd00:1::9', '10.3.7.1'],
                              capture_output=True, text=True, timeout=stage.DEADLINE_S, check=False)
        same((done.returncode, done.stderr), (1, ''), before)
        check('3 targets: 2 reachable, 1 unreachable' in done.stdout, before, done.stdout)


@test
def a_route_command_needs_no_file_but_itself():
    if not os.path.exists(STATIC):
        raise Skip(why_not(program(2)))
    os.makedirs('/tmp/root', exist_ok=True)
    shutil.copy(STATIC, '/tmp/root/reroute')
    with open('/tmp/root/conf', 'w', encoding='ascii') as file:
        file.write('service = "10.9.9.9"\naccess "a" { data = "10.9.0.7" }\nsession { provider = "none" }\n'
                   'route { backend = "esxcfg" route-command = "/reroute" }\n')
    done = subprocess.run(['chroot', '/tmp/root', '/reroute', 'clear', '-c', '/conf'], capture_output=True, text=True,
                          timeout=stage.DEADLINE_S, check=False)
    check("said: reroute: '-l' is no command" in done.stderr, done)  # so it ran


def set_stage():
    stage.set_stage()
    subprocess.run(['nft', '-f', '-'], check=True, text=True, input='''
        table ip seen {
            counter from_10_9_0_1 { }
            chain out {
                type filter hook output priority 0;
                ip saddr 10.9.0.1 icmp type echo-request counter name from_10_9_0_1
            }
        }''')
    for which, path in ((1, LAUNCHER), (2, STATIC))[:1 if why_not(program(2)) else 2]:
        shutil.copy(program(which), path)
        os.chmod(path, 0o755)


if __name__ == '__main__':
    stage.main(set_stage)
