# SPDX-License-Identifier: Apache-2.0
"""The stage on which `reroute report` is tested: a network and a mount namespace of its own, where

  10.0.0.0/14, fd00:1::/64   are this very host: every address answers
  10.9.0.0/24, 11.0.0.0/8    are networks on which nobody lives: silence; quiet1 is the other end of the link
  10.8.0.0/16                has no way there, the kernel says so at once
  10.3.7.0/24                is refused by a packet filter, with an ICMP error

and /etc/hosts, /etc/resolv.conf and /etc/nsswitch.conf are private. Nothing is left when the process is gone.

A test program gets the path of reroute as its argument, marks its tests with @test and ends with main(). It
prints TAP.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import tap
from tap import check, same, test
from netlab.namespace import inside, new_namespace
from netlab.wait import until

DEADLINE_S = 60
KEYS = {'schema', 'targets', 'reachable', 'unreachable', 'not_found', 'excluded', 'unfinished', 'elapsed_ms', 'invalid',
        'transport', 'workers', 'doubtful', 'counters', 'results'}
COUNTERS = {'sent', 'replies', 'late', 'duplicates', 'truncated', 'corrupt', 'foreign', 'icmp_errors', 'send_failures',
            'send_retries', 'receive_drops', 'tx_stamps'}
RESULT_KEYS = {'target', 'address', 'outcome', 'rtt_ms', 'requests', 'reason'}
FAST = ['--select-timeout', '0.2']
ENVIRONMENT = {**os.environ, 'LC_ALL': 'C'}
COMMAND = '/tmp/command'  # a copy, inside

def run(*arguments, stdin='', **more):
    """(exit code, standard output, standard error)"""
    done = subprocess.run([COMMAND, 'report', *arguments], input=stdin, capture_output=True, text=True,
                          timeout=DEADLINE_S, env=ENVIRONMENT, **more)
    return done.returncode, done.stdout, done.stderr


def document(*arguments, code=0, **more):
    """The parsed JSON document, after checking everything that holds for each of them."""
    got, out, error = run('--json', *arguments, **more)
    same(got, code, f'exit code of {arguments[:6]} ({error.strip()})')
    report = json.loads(out)
    check_document(report)
    return report


def check_document(report):
    same(set(report), KEYS, 'keys')
    same(set(report['counters']), COUNTERS, 'counters')
    same(report['schema'], 'reroute.report/1')
    same(report['targets'], len(report['results']))
    check(1 <= report["workers"] <= os.cpu_count(), report["workers"])
    check(report['transport'] in ('epoll', 'io_uring', 'poll'), report['transport'])
    check(report['elapsed_ms'] >= 0)
    for result in report['results']:
        same(set(result) - {'truncated_bytes', 'rounds', 'mtu'}, RESULT_KEYS, 'keys of a result')
        check(isinstance(result['requests'], int), result)
        if result['outcome'] == 'reachable':
            check((result['reason'] == '') == ('truncated_bytes' not in result), result)
            check(0 < result['rtt_ms'] < 60000 and result['requests'] >= 1, result)
        else:
            check(result['outcome'] in ('unreachable', 'not-found', 'excluded', 'unfinished'), result)
            check(result['reason'] != '' and result['rtt_ms'] is None, result)
    for outcome in ('reachable', 'unreachable', 'not-found', 'excluded', 'unfinished'):
        same(report[outcome.replace('-', '_')], sum(r['outcome'] == outcome for r in report['results']), outcome)


def write(path, text):
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)


def soon(what, condition):
    """Waits for what happens in the middle of a report, which may take some milliseconds."""
    until(what, condition, DEADLINE_S, 0.005)


def wait_until(condition, what, process):
    """... of this report."""
    soon(what, lambda: condition() or check(process.poll() is None, 'ended before', what))


def live(count):
    return [f'10.{i >> 16}.{i >> 8 & 255}.{i & 255}' for i in range(1, count + 1)]


def start(*arguments, **more):
    return subprocess.Popen([COMMAND, 'report', *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=ENVIRONMENT, **more)


HOSTS = '''127.0.0.1 localhost
10.0.0.77 here.example
10.0.0.78 both.example
fd00:1::78 both.example
10.9.0.8 gone.example
'''


def command(text):
    subprocess.run(text.split(), check=True)


def set_stage():
    command('ip link set lo up')
    command('ip route add local 10.0.0.0/14 dev lo')
    command('ip -6 route add local fd00:1::/64 dev lo')
    command('ip address add fd00:1::2/128 dev lo')
    # Without ARP the packets go out to a peer that has no address, and nothing comes back, no error either.
    command('ip link add quiet0 type veth peer name quiet1')
    command('ip address add 10.9.0.1/24 dev quiet0')
    command('ip address add 11.0.0.1/8 dev quiet0')
    command('ip link set quiet0 arp off up')
    command('ip link set quiet1 up')
    command('ip route add unreachable 10.8.0.0/16')
    subprocess.run(['nft', '-f', '-'], check=True, text=True, input='''
        table ip refuse {
            chain in {
                type filter hook input priority 0;
                ip daddr 10.3.7.0/24 icmp type echo-request reject with icmp type admin-prohibited
            }
        }''')
    # A copy of /etc, since not every machine has all of these files, and none of ours must stay.
    with contextlib.suppress(shutil.Error):  # what an ordinary user may not read
        shutil.copytree('/etc', '/tmp/etc', symlinks=True)
    for name, text in (('hosts', HOSTS), ('nsswitch.conf', 'hosts: files\n'),
                       ('resolv.conf', 'nameserver 10.9.0.53\noptions timeout:3 attempts:1\n')):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f'/tmp/etc/{name}')
        write(f'/tmp/etc/{name}', text)
    command('mount --bind /tmp/etc /etc')


def program(which):
    """The path of a program that was given as an argument."""
    return f'/proc/{os.getpid()}/fd/{sys.argv[2 + which]}'


class Peer:
    """Another network namespace, which is gone when this process is."""

    def __init__(self):
        self.namespace = new_namespace()
        self.path = f'/proc/{os.getpid()}/fd/{self.namespace}'
        self.run('ip link set lo up')

    def run(self, text):
        inside(self.namespace, command, text)


def main(make=set_stage):
    if sys.argv[1] != '--inside':
        own = tap.unshared('--net', '--mount')
        # Programs are opened here, since /tmp is hidden inside: there these arguments are their descriptors.
        arguments = list(sys.argv[1:])
        for i, argument in enumerate(arguments):
            if os.path.isfile(argument):
                arguments[i] = str(os.open(argument, os.O_RDONLY))
                os.set_inheritable(int(arguments[i]), True)
        os.execvp(own[0], own + [sys.executable, os.path.abspath(sys.argv[0]), '--inside', *arguments])
    # Everything that is written from here on is on a file system that only this process sees.
    command('mount -t tmpfs -o mode=1777 tmpfs /tmp')
    shutil.copy(program(0), COMMAND)
    os.chmod(COMMAND, 0o755)
    make()
    sys.exit(tap.run())
