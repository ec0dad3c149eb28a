#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that `reroute capabilities` tells what a host refuses, by the name of its errno, and what is done without it;
and that it says so of nothing else; and that a command with an event loop works there.

Usage: test_capabilities.py REROUTE USERWORLD"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from tap import check, run, same, skip, test

REROUTE, USERWORLD = sys.argv[1:]
XEN = {'epoll_pwait2': 'ENOSYS', 'io_uring': 'ENOSYS', 'SO_BINDTOIFINDEX': 'ENOPROTOOPT'}
ESXI = {**XEN, **dict.fromkeys(('recvmmsg', 'sendmmsg', 'eventfd', 'timerfd', 'signalfd', 'inotify', 'getrandom', 'FIOCLEX',
                                'madvise'), 'ENOSYS'),
        **dict.fromkeys(('SO_ATTACH_FILTER', 'SO_BINDTODEVICE', 'SO_TIMESTAMPING', 'IP_RECVERR'), 'ENOPROTOOPT'),
        **dict.fromkeys(('netlink', 'SOCK_DESTROY', 'getifaddrs'), 'EAFNOSUPPORT'), 'ping sockets': 'EPROTONOSUPPORT',
        'FIONBIO of Unix sockets': 'ENOTTY', '/proc': 'ENOENT', '/sys': 'ENOENT'}
# Of each profile what is refused. (This machine may refuse more: its ping sockets are closed to most.)
PROFILES = {
    'xen-4.4': {**XEN, 'SOCK_DESTROY': 'EINVAL'},
    'xen-4.19': XEN,
    'esxi-6.5': {**ESXI, 'epoll': 'ENOSYS', 'epoll of Unix sockets': 'ENOSYS'},
    'esxi-6.7': {**ESXI, 'epoll': 'EINVAL', 'epoll of Unix sockets': 'ENOSYS'},
    'esxi-7.0': ESXI,
    'nothing': {**ESXI, 'epoll': 'ENOSYS', 'epoll of Unix sockets': 'ENOSYS', 'ppoll': 'ENOSYS',
                'ICMP_FILTER': 'ENOPROTOOPT', 'IP_PKTINFO': 'ENOPROTOOPT', 'SO_MEMINFO': 'ENOPROTOOPT',
                'IP_MTU_DISCOVER': 'ENOPROTOOPT',
                'SO_RCVBUFFORCE': 'ENOPROTOOPT', 'flock': 'ENOSYS', 'prctl': 'ENOSYS'},
}


def ask(*before, json_wanted=True):
    done = subprocess.run([*before, REROUTE, 'capabilities', *(['--json'] if json_wanted else [])], capture_output=True,
                          text=True, timeout=60, check=False)
    same((done.returncode, done.stderr), (0, ''), before)
    return json.loads(done.stdout) if json_wanted else done.stdout


def refused(document):
    return {c['what']: c['result'] for c in document['capabilities'] if c['result'] != 'ok'}


@test
def each_host_says_what_it_refuses():
    here = refused(ask())
    for profile, want in PROFILES.items():
        document = ask(USERWORLD, profile)
        same(refused(document), {**here, **want}, profile)
        same(document['schema'], 'reroute.capabilities/1')
        for one in document['capabilities']:
            same((one['instead'] == '', one['error'] == '', one['errno'] == 0), (one['result'] == 'ok',) * 3, one)


@test
def the_table_says_the_same():
    for profile, want in PROFILES.items():
        lines = ask(USERWORLD, profile, json_wanted=False).splitlines()
        for what, result in want.items():
            line = next((line for line in lines if line.startswith(what + '  ')), '')
            check(line[len(what):].split()[:1] == [result], profile, what, line)


@test
def the_session_list_is_read_everywhere():
    with tempfile.TemporaryDirectory() as directory:
        listed, config = (os.path.join(directory, name) for name in ('list', 'conf'))
        with open(listed, 'w', encoding='ascii') as file:
            file.write('[{"uuid": "a", "ip": "10.9.9.1", "alive_sec": 5}]')
        with open(config, 'w', encoding='ascii') as file:
            file.write('service = "10.9.9.9"\naccess "a" { data = "10.9.9.1" }\n'
                       f'session {{ provider = "file" file = "{listed}" }}\n')
        for profile in PROFILES:
            done = subprocess.run([USERWORLD, profile, REROUTE, 'sessions', '-c', config], capture_output=True, text=True,
                                  timeout=60, check=False)
            same((done.returncode, done.stderr), (0, ''), profile)
            check(done.stdout.startswith('1 session from'), profile, done.stdout)


@test
def a_host_that_allows_no_probes_is_told_apart():
    done = subprocess.run(['setpriv', '--reuid=65534', '--clear-groups', '--bounding-set=-all', '--inh-caps=-all', REROUTE,
                           'capabilities', '--json'], capture_output=True, text=True, timeout=60, check=False)
    document = json.loads(done.stdout)
    may = any(c['result'] == 'ok' for c in document['capabilities'] if c['what'] in ('ping sockets', 'raw sockets'))
    same(done.returncode, 0 if may else 1)


if os.geteuid() != 0:
    skip('needs root')
sys.exit(run())
