#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that `reroute capabilities --try-route` goes through one cycle of a route and leaves nothing behind: by netlink,
by ip and by the stand-in for esxcfg-route, here and in the profiles of ESXi; when the command refuses, lies, hangs, when
it is stopped, and when nobody reads what it says. What cannot be removed is told.

Usage: test_try_route.py REROUTE USERWORLD STATIC STAND-IN. See tests/report/stage.py for where it runs."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'report'))
import stage
from stage import check, program, same, test
from static_program import why_not

ADDRESS, FIRST, SECOND = '192.0.2.1', '10.9.8.21', '10.9.8.22'
LAUNCHER, STATIC, STAND_IN = '/tmp/userworld', '/tmp/static', '/tmp/stand-in'
CYCLE = ['open', 'absent', 'add', 'added', 'change', 'changed', 'delete', 'absent']
ESXI = ['esxi-6.5', 'esxi-6.7', 'esxi-7.0', 'nothing']


class Esx:
    """The stand-in in a directory of its own. late: a command that has done its work hangs all the same."""

    def __init__(self, name, trouble='', late=''):
        self.directory = f'/tmp/esx-{name}'
        self.path = os.path.join(self.directory, 'esxcfg-route')
        real = os.path.join(self.directory, 'real')
        os.makedirs(real)
        for link in ('esxcfg-route', 'esxcfg-vmknic'):
            os.symlink(STAND_IN, os.path.join(real, link))
            stage.write(os.path.join(self.directory, link),
                        f'#!/bin/sh\n"{real}/{link}" "$@" || exit\n[ "$1" != "{late}" ] || sleep 3600\n')
            os.chmod(os.path.join(self.directory, link), 0o755)
        stage.write(os.path.join(real, 'routes'), '')
        self.trouble(trouble)

    def trouble(self, *lines):
        stage.write(os.path.join(self.directory, 'real', 'trouble'), ''.join(line + '\n' for line in lines if line))

    def read(self, name):
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.directory, 'real', name), encoding='ascii') as file:
            return file.read()
        return ''

    def has_begun(self, verb, times=1):
        return lambda: sum(line.startswith('begin') and f' {verb} ' in line + ' '
                           for line in self.read('log').splitlines()) >= times

    def options(self):
        return ['--backend', 'esxcfg', '--route-command', self.path]


def arguments(*options, via=(FIRST, SECOND)):
    return ['capabilities', '--try-route', ADDRESS + '/32', *options, 'via', *via]


def try_route(*options, code=0, before=(), command=stage.COMMAND, **more):
    """The member `route` of the document, after checking what holds for each."""
    done = subprocess.run([*before, command, *arguments('--json', *options, **more)], capture_output=True, text=True,
                          timeout=stage.DEADLINE_S, check=False)
    same((done.returncode, done.stderr), (code, ''), f'{before} {options}: {done.stdout}')
    return check_route(json.loads(done.stdout))


def check_route(document):
    same(document['schema'], 'reroute.capabilities/1')
    check(document['interfaces'] >= 2 and document['addresses'] >= 1 and document['build'], document)
    route = document['route']
    same(set(route), {'address', 'gateways', 'backend', 'route_command', 'netstack', 'end', 'steps'})
    for step in route['steps']:
        same(set(step), {'step', 'result', 'errno', 'message', 'ms', 'commands'})
        same(step['result'] == 'ok', step['errno'] == 0, step)
        check(step['ms'] >= sum(c['ms'] for c in step['commands']) - 0.1, step)
    return route


def results(route):
    return [(step['step'], step['result']) for step in route['steps']]


def standing():
    return subprocess.run(['ip', '-4', 'route', 'show', 'table', 'all', ADDRESS], capture_output=True, text=True,
                          check=True).stdout


def nothing_is_left(esx=None):
    same(standing(), '', 'the kernel')
    if esx:
        same(esx.read('routes'), '', 'the table of the command')


def whole(route):
    same(results(route), [(step, 'ok') for step in CYCLE], route)
    same(route['end'], 'done')
    for step, gateway in ((3, FIRST), (5, route['gateways'][-1])):
        check(f'{ADDRESS}/32 via {gateway} ' in route['steps'][step]['message'], route['steps'][step])


@test
def by_netlink_and_by_ip():
    for backend in ('auto', 'netlink', 'ip'):
        for via in ((FIRST, SECOND), (FIRST,)):
            route = try_route('--backend', backend, via=via)
            whole(route)
            same(any(step['commands'] for step in route['steps']), backend == 'ip')
            nothing_is_left()


@test
def by_esxcfg_route_on_each_host():
    for number, profile in enumerate([None] + ESXI):
        # Where pipe2() is refused too, musl makes pipes all the same, and glibc does not.
        for command in [stage.COMMAND] * (profile != 'nothing') + [STATIC] * os.path.exists(STATIC):
            esx = Esx(f'each-{number}-{os.path.basename(command)}')
            # ESXi is known by its kernel's name.
            backend = 'auto' if profile and profile.startswith('esxi') else 'esxcfg'
            route = try_route(*esx.options(), '--backend', backend, before=[LAUNCHER, profile] if profile else [],
                              command=command)
            whole(route)
            same(route['backend'], 'esxcfg')
            add = route['steps'][2]['commands'][0]
            same((add['command'], add['ended'], add['output'], add['cut']),
                 (f'esxcfg-route -a {ADDRESS}/32 {FIRST}', 'exit 0', f'Adding static route {ADDRESS}/32 to VMkernel\n', False))
            nothing_is_left(esx)


# What goes wrong, which step says so, by which error.
TROUBLES = {
    'refused': ('-a refuse Sysinfo error: Bad parameter', 'add', 'EREMOTEIO'),
    'lied': ('-a lie', 'add', 'EREMOTEIO'),
    'gone': ('-a vanish', 'add', 'EREMOTEIO'),
    'hung': ('-a stuck', 'add', 'ETIMEDOUT'),
    'second-refused': (f'-a@{SECOND} refuse Error: no', 'change', 'EREMOTEIO'),
    'second-hung': (f'-a@{SECOND} stuck', 'change', 'ETIMEDOUT'),
    'unreadable': ('-l garble VMkernel Routes: busy', 'absent', 'EBADMSG'),
    'silent': ('* stuck', 'absent', 'ETIMEDOUT'),
}


@test
def nothing_is_left_of_a_cycle_that_fails():
    for name, (trouble, where, error) in TROUBLES.items():
        esx = Esx(name, trouble)
        route = try_route(*esx.options(), '--command-timeout', '1s', code=1,
                          before=[LAUNCHER, 'esxi-7.0'] if name in ('refused', 'lied', 'hung') else [])
        at = CYCLE.index(where)
        same(results(route)[:at + 1], [(step, 'ok') for step in CYCLE[:at]] + [(where, error)], name)
        same([step for step, _ in results(route)[at + 1:]], ['clean up'] if at > 1 else [], name)
        same(route['end'], 'failed', name)
        if ' refuse ' in trouble:
            said = trouble.split(' refuse ')[1]
            check(said in route['steps'][at]['message'], route['steps'][at])
            check(any(said in c['output'] for c in route['steps'][at]['commands']), route['steps'][at])
        nothing_is_left(esx)


@test
def a_route_that_was_added_by_a_command_that_hangs_then_is_removed():
    esx = Esx('late', late='-a')
    route = try_route(*esx.options(), '--command-timeout', '1s', code=1)
    same(results(route)[2:], [('add', 'ETIMEDOUT'), ('clean up', 'ok')])
    nothing_is_left(esx)


@test
def what_cannot_be_removed_is_told():
    for name, trouble, error in (('keeps', '-d lie', 'EREMOTEIO'), ('never', '-d stuck', 'ETIMEDOUT')):
        esx = Esx(name, trouble)
        route = try_route(*esx.options(), '--command-timeout', '1s', code=4, via=[FIRST])
        same(results(route)[6:], [('delete', error)] + [('clean up', error)] * 3)
        same(route['end'], 'left')
        same(esx.read('routes'), f'{ADDRESS}/32 {FIRST}\n')
        esx.trouble()
        subprocess.run([esx.path, '-d', f'{ADDRESS}/32', FIRST], check=True, capture_output=True)
        nothing_is_left(esx)


def started(esx, *options):
    return subprocess.Popen([stage.COMMAND, *arguments('--json', *esx.options(), *options)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


@test
def a_signal_ends_the_cycle_and_not_the_cleaning_up():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        esx = Esx(f'stopped-{number}', late='-a')
        with started(esx) as process:
            stage.wait_until(lambda: esx.read('routes'), 'it is added', process)
            process.send_signal(number)
            out, error = process.communicate(timeout=stage.DEADLINE_S)
        same((process.returncode, error), (1, ''))
        route = check_route(json.loads(out))
        same(results(route)[2:], [('add', 'ECANCELED'), ('clean up', 'ok')])
        same(route['end'], 'stopped')
        nothing_is_left(esx)


@test
def a_second_signal_ends_the_cleaning_up():
    esx = Esx('twice', '-d stuck', late='-a')
    with started(esx) as process:
        stage.wait_until(lambda: esx.read('routes'), 'it is added', process)
        process.send_signal(signal.SIGINT)
        stage.wait_until(esx.has_begun('-d'), 'it is being deleted', process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=stage.DEADLINE_S)
    same(process.returncode, 4)
    route = check_route(json.loads(out))
    same((results(route)[3:], route['end']), ([('clean up', 'ECANCELED')], 'left'))
    esx.trouble()
    subprocess.run([os.path.join(esx.directory, 'real', 'esxcfg-route'), '-d', f'{ADDRESS}/32', FIRST], check=True,
                   capture_output=True)
    nothing_is_left(esx)


@test
def nobody_needs_to_read_what_it_says():
    esx = Esx('unread')
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([stage.COMMAND, *arguments(*esx.options())], stdout=writing, stderr=subprocess.PIPE, text=True,
                          timeout=stage.DEADLINE_S, check=False)
    os.close(writing)
    same(done.returncode, 4, done.stderr)
    check(esx.has_begun('-d', 2)(), 'the cycle goes on', esx.read('log'))
    nothing_is_left(esx)


@test
def people_get_a_line_for_each_step():
    esx = Esx('people')
    done = subprocess.run([stage.COMMAND, *arguments(*esx.options())], capture_output=True, text=True,
                          timeout=stage.DEADLINE_S, check=False)
    same((done.returncode, done.stderr), (0, ''))
    lines = done.stdout[done.stdout.index('STEP'):].splitlines()
    same([line.split()[:2] for line in lines[1:-2] if not line.startswith(' ')], [[step, 'ok'] for step in CYCLE])
    check(any('says: Deleting static route' in line for line in lines), lines)
    same(lines[-1], 'The whole cycle was gone through. Nothing is left of it.')


CONFIG = '''service = "{service}"
access "a" {{ data = "{first}" }}
session {{ provider = "none" }}
route {{ backend = "esxcfg" route-command = "{command}" command-timeout = "1s" }}
'''


@test
def the_backend_of_a_configuration():
    esx = Esx('configured')
    stage.write('/tmp/conf', CONFIG.format(service='192.0.2.9', first=FIRST, command=esx.path))
    route = try_route('-c', '/tmp/conf')
    whole(route)
    same((route['backend'], route['route_command']), ('esxcfg', esx.path))
    nothing_is_left(esx)
    stage.write('/tmp/conf', CONFIG.format(service=ADDRESS, first=FIRST, command=esx.path))
    refused(3, 'is the service of the configuration', '-c', '/tmp/conf')


def refused(code, what, *options, **more):
    done = subprocess.run([stage.COMMAND, *arguments(*options, **more)], capture_output=True, text=True,
                          timeout=stage.DEADLINE_S, check=False)
    same((done.returncode, done.stdout, done.stderr.count('\n')), (code, '', 1), done.stderr)
    check(what in done.stderr, done.stderr)


@test
def what_must_be_left_alone_is_refused():
    esx = Esx('refusing')
    for options in (['--backend', 'netlink'], esx.options()):
        refused(3, 'no connected network of this host holds it', *options, via=['10.7.7.7'])
        refused(3, 'is an address of this host', *options, via=['10.9.8.11'])
        # The last one of an option counts.
        refused(3, 'somebody there may have it', *options, '--try-route', '10.9.8.99')
        refused(3, 'is an address of this host', *options, '--try-route', '10.9.8.11')
    stage.command(f'ip route add {ADDRESS} via {FIRST}')
    refused(1, 'has a route of its own already: 192.0.2.1/32 via 10.9.8.21', '--backend', 'netlink')
    stage.command(f'ip route del {ADDRESS}')
    subprocess.run([esx.path, '-a', f'{ADDRESS}/32', SECOND], check=True, capture_output=True)
    refused(1, 'has a route of its own already: 192.0.2.1/32 via 10.9.8.22', *esx.options())
    same(esx.read('routes'), f'{ADDRESS}/32 {SECOND}\n', 'it is left alone')
    subprocess.run([esx.path, '-d', f'{ADDRESS}/32', SECOND], check=True, capture_output=True)
    nothing_is_left(esx)


@test
def what_does_not_go_together():
    tried = ['--try-route', ADDRESS]
    for given, what in (
            (['via', FIRST], 'an operand: only with --try-route'),
            (['--backend', 'ip'], 'only with --try-route'),
            (['-c', '/tmp/conf'], 'only with --try-route'),
            (tried, "expected 'via' and a gateway"),
            ([*tried, '--route-command', 'esxcfg-route', 'via', FIRST], 'expected an absolute path'),
            ([*tried, '--backend', 'netlink', '--route-command', '/sbin/ip', 'via', FIRST], 'netlink runs no command'),
            ([*tried, '--backend', 'netlink', '--command-timeout', '1s', 'via', FIRST], 'netlink runs no command'),
            (['--try-route', '2001:db8::1', '--backend', 'esxcfg', 'via', 'fd00::1'], 'esxcfg is for IPv4'),
            ([*tried, '--backend', 'ip', '--netstack', 'x', 'via', FIRST], 'only with backend esxcfg or auto')):
        done = subprocess.run([stage.COMMAND, 'capabilities', *given], capture_output=True, text=True,
                              timeout=stage.DEADLINE_S, check=False)
        same((done.returncode, done.stdout, done.stderr.count('\n')), (3, '', 2), given)
        check(what in done.stderr, given, done.stderr)


@test
def a_host_without_the_command_is_a_result():
    route = try_route('--backend', 'esxcfg', '--route-command', '/tmp/nowhere', code=1)
    same(results(route), [('open', 'ENOENT')])
    same(route['end'], 'failed')


def set_stage():
    stage.command('ip link set lo up')
    stage.command('ip link add vmk1 type veth peer name peer')
    stage.command('ip address add 10.9.8.11/24 dev vmk1')
    stage.command('ip link set vmk1 up')
    stage.command('ip link set peer up')
    for which, path in ((1, LAUNCHER), (3, STAND_IN), (2, STATIC))[:2 if why_not(program(2)) else 3]:
        shutil.copy(program(which), path)
        os.chmod(path, 0o755)


if __name__ == '__main__':
    stage.main(set_stage)
