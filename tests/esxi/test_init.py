#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the start script of the package for ESXi starts, stops and looks after the agent: in a root directory that
holds what the package holds and busybox, as ESXi's is, and nothing else: no /proc, no /run, no C library.

Usage: test_init.py BUILD-VIB STATIC. Skipped without the static program (tools/build-static), or where busybox is not static."""
import contextlib
import gzip
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import no_death_signal
import tap
from static_program import why_not
from tap import check, run, same, test
from netlab.wait import wait_for

ROOT = '/tmp/root'
CONFIG = os.path.join(ROOT, 'etc/reroute/reroute.conf')
GOOD = '''service = "192.0.2.9"
access "node1" { data = "10.9.8.21" }
session { provider = "none" }
state-directory = "/scratch/reroute"
'''
DEADLINE_S = 60
log = []  # what came to the system's log


def init(*words, before=None):
    """(exit code, what it says); before: called first in its process"""
    done = subprocess.run(['chroot', ROOT, '/etc/init.d/reroute', *words], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, preexec_fn=before)
    return done.returncode, done.stdout + done.stderr


def children(pid):
    with contextlib.suppress(FileNotFoundError), open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
        return [int(child) for child in file.read().split()]
    return []


def supervisor():
    """0: none."""
    done = subprocess.run(['chroot', ROOT, '/opt/reroute/bin/reroute', 'agent', '--pid'], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)
    return int(done.stdout) if done.returncode == 0 else 0


def agent():
    """The agent that is looked after, once it says that it has begun; 0: none."""
    pids = children(supervisor())
    return pids[0] if len(pids) == 1 and starts() else 0


def starts():
    return sum('event=start ' in line for line in log)


def kill(pid, number=signal.SIGKILL):
    check(pid > 0, 'it runs')
    os.kill(pid, number)


def eventually(condition, what):
    value = wait_for(condition, DEADLINE_S)
    check(value, what, log[-5:])
    return value


def processes():
    """Of everything that the script has started."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f'/proc/{pid}/root') == ROOT:
                found.append(int(pid))
    return found


def configure(text):
    with open(CONFIG, 'w', encoding='ascii') as file:
        file.write(text)


@test
def it_waits_for_a_configuration():
    code, said = init('start')
    same(code, 1, said)
    check('not started: ' in said and 'service' in said, said)
    same(init('status'), (3, 'reroute: does not run\n'))
    same(init('stop'), (0, 'reroute: does not run\n'))
    eventually(lambda: any('not started' in line for line in log), 'the log has it too')
    same(processes(), [])


@test
def start_status_and_start_again():
    configure(GOOD)
    same(init('start'), (0, 'reroute: started\n'))
    pid = supervisor()
    check(pid)
    eventually(agent, 'it runs')
    same(init('status'), (0, f'reroute: runs, process {pid}\n'))
    same(init('start'), (0, f'reroute: runs already, process {pid}\n'))
    same(supervisor(), pid)
    same(starts(), 1)
    check(os.path.exists(os.path.join(ROOT, 'scratch/reroute')), 'its state is where it survives')
    check(os.path.exists(os.path.join(ROOT, 'run/reroute/control.sock')), 'it listens')
    done = subprocess.run(['chroot', ROOT, '/opt/reroute/bin/reroute', 'status'], capture_output=True, text=True, check=False)
    check(done.returncode == 0 and '192.0.2.9' in done.stdout, done)


@test
def an_agent_that_is_killed_is_started_again():
    before = agent()
    kill(before)
    eventually(lambda: agent() not in (0, before) and starts() == 2, 'another one')


@test
def a_supervisor_that_is_killed_is_started_again():
    before = supervisor()
    kill(before)
    eventually(lambda: supervisor() not in (0, before), 'another one')
    eventually(lambda: starts() == 3 and agent(), 'which has an agent')
    eventually(lambda: init('status')[0] == 0, 'it runs')


@test
def a_terminal_that_goes_takes_nothing_with_it():
    for pid in processes():
        if pid not in (supervisor(), agent()):
            kill(pid, signal.SIGHUP)
    same(init('status')[0], 0)
    same(starts(), 3)


@test
def restart_is_another_agent():
    before = supervisor()
    code, said = init('restart')
    same((code, said), (0, 'reroute: stopped\nreroute: started\n'))
    check(supervisor() not in (0, before))
    eventually(lambda: starts() == 4 and agent(), 'it runs')


@test
def a_restart_with_a_wrong_file_leaves_the_agent():
    before = supervisor()
    configure('nonsense')
    code, said = init('restart')
    check(code == 1 and said.startswith('reroute: not started: '), said)
    same(supervisor(), before)
    configure(GOOD)


@test
def stop_while_it_waits_to_start_again():
    kill(supervisor())
    eventually(lambda: init('status')[0] == 3, 'none runs')
    same(init('stop'), (0, 'reroute: does not run\n'))
    eventually(lambda: processes() == [], 'no process is left')
    same(init('start'), (0, 'reroute: started\n'))


@test
def stop_leaves_nothing():
    same(init('stop', 'remove'), (0, 'reroute: stopped\n'))
    same(supervisor(), 0)
    eventually(lambda: processes() == [], 'no process is left')
    same(init('status')[0], 3)


def leave_an_agent():
    """All but the agent is killed, and it cannot know. Its process."""
    before = starts()
    same(init('start', before=no_death_signal.forbid_death_signal), (0, 'reroute: started\n'))
    eventually(lambda: starts() > before, 'it runs')
    pid, looks_after = agent(), supervisor()
    others = [one for one in processes() if one not in (pid, looks_after)]
    for one in (*others, looks_after):  # who starts a supervisor again first
        kill(one)
    eventually(lambda: processes() == [pid], 'it alone goes on')
    return pid


@test
def stop_ends_an_agent_that_was_left():
    if no_death_signal.WHY_NOT:
        return
    pid = leave_an_agent()
    same(init('status'), (0, f'reroute: runs, process {pid}\n'))
    same(init('stop'), (0, 'reroute: stopped\n'))
    eventually(lambda: processes() == [], 'no process is left')
    same(init('status'), (3, 'reroute: does not run\n'))


@test
def start_replaces_an_agent_that_was_left():
    if no_death_signal.WHY_NOT:
        return
    pid, before = leave_an_agent(), starts()
    same(init('start'), (0, 'reroute: started\n'))
    eventually(lambda: starts() > before and agent() not in (0, pid), 'another one')
    same(init('stop'), (0, 'reroute: stopped\n'))


@test
def the_words_of_the_installer():
    same(init('start', 'install'), (0, 'reroute: started\n'))
    same(init('stop', 'upgrade'), (0, 'reroute: stopped\n'))
    code, said = init('nonsense')
    check(code == 1 and said.startswith('Usage: '), said)
    code, said = init()
    check(code == 1 and said.startswith('Usage: '), said)


def listen():
    """Stands in for the system's log."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(os.path.join(ROOT, 'dev/log'))

    def take():
        while True:
            log.extend(listener.recv(65536).decode(errors='replace').splitlines())
    threading.Thread(target=take, daemon=True).start()


def is_static(path):
    return subprocess.run(['ldd', path], capture_output=True, check=False).returncode != 0


def pack(build_vib, static):
    """The payload of a package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([build_vib, '--program', static, '--output', folder], check=True, capture_output=True)
        vib, = (os.path.join(folder, name) for name in os.listdir(folder) if name.endswith('.vib'))
        return subprocess.run(['ar', 'p', vib, 'reroute'], check=True, capture_output=True).stdout


def make_root(packed, busybox):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        archive.extractall(ROOT)
    for folder in ('bin', 'dev', 'scratch', 'tmp', 'var'):
        os.mkdir(os.path.join(ROOT, folder))
    shutil.copy(busybox, os.path.join(ROOT, 'bin/busybox'))
    for applet in ('sh', 'sleep', 'logger', 'mkdir'):
        os.symlink('busybox', os.path.join(ROOT, 'bin', applet))
    os.mknod(os.path.join(ROOT, 'dev/null'), 0o020666, os.makedev(1, 3))


def main():
    build_vib, static = (os.path.abspath(path) for path in sys.argv[-2:])
    busybox = shutil.which('busybox')
    if os.geteuid() != 0:
        tap.skip('needs root')
    if sys.argv[1] != '--inside' and why_not(static):
        tap.skip(why_not(static))
    if not busybox or not is_static(busybox):
        tap.skip('no static busybox (Debian: busybox-static)')
    if sys.argv[1] != '--inside':
        own = tap.unshared('--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc')
        os.execvp(own[0], [*own, sys.executable, os.path.abspath(sys.argv[0]), '--inside', build_vib, static])
    packed = pack(build_vib, static)  # what is in /tmp, perhaps this tree, is hidden from here on
    for command in ('mount -t tmpfs -o mode=1777 tmpfs /tmp', 'ip link set lo up', 'ip link add vmk1 type veth peer name peer',
                    'ip address add 10.9.8.11/24 dev vmk1', 'ip link set vmk1 up', 'ip link set peer up'):
        subprocess.run(command.split(), check=True)
    os.mkdir(ROOT)
    make_root(packed, busybox)
    listen()
    sys.exit(run())


main()
