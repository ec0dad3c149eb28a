#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves `reroute bench sweep` and `reroute bench compare` end to end, each as small as it can be: documents, rows and
pictures are well formed, the truth of the simulated network is what comes out, what is missing or wrong is one clear
line, Ctrl-C prints what is known, and nothing is left of the namespaces, also after a kill.

Usage: test_bench.py PATH-OF-REROUTE PATH-OF-RESPONDER. Prints TAP. No speed is asserted."""
import contextlib
import csv
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import tap
from tap import Skip, check, same, test
from netlab.namespace import inhabitants
from netlab.wait import until

DEADLINE_S = 60
reroute_path = responder_path = ''
folder = ''

def bench(*arguments, code=0, path=None):
    """(standard output, standard error) of a study."""
    environment = {**os.environ, 'LC_ALL': 'C', **({'PATH': path} if path else {})}
    done = subprocess.run([reroute_path, 'bench', *arguments], capture_output=True, text=True, timeout=DEADLINE_S,
                          env=environment, check=False)
    same(done.returncode, code, f'exit code of {arguments} ({done.stderr.strip()})')
    return done.stdout, done.stderr


def document(schema, *arguments, **more):
    out, _ = bench(*arguments, '--json', **more)
    got = json.loads(out)
    same(got['schema'], schema)
    check(got['host'] and not got['interrupted'], got)
    return got


def sweep(*arguments, **more):
    return document('reroute.bench-sweep/1', 'sweep', *arguments, **more)['rows']


def compare(*arguments, **more):
    return document('reroute.bench-compare/1', 'compare', *arguments, **more)


def one_line(error, *words):
    same(error.count('\n'), 1, f'lines of {error!r}')
    for word in words:
        check(word in error, word, 'is not in', error)


def path_without(*programs):
    """A PATH with what the studies start, but these."""
    made = tempfile.mkdtemp(dir=folder)
    for program in ('ip', 'fping', 'python3', 'gnuplot', 'sh'):
        found = shutil.which(program)
        if found and program not in programs:
            os.symlink(found, f'{made}/{program}')
    return made


# --- sweep -------------------------------------------------------------------------------------------------------

@test
def sweep_finds_the_truth():
    """The dead are found, nobody else is; time is what the window says."""
    rows = sweep('--addresses', '3,60', '--settings', '0.3x1,0.15x2', '--workers', '1', '--rounds', '1', '--profile',
                 'lan,dead=30%,kernel,perfect,dead')
    same(len(rows), 12, 'rows')
    for row in rows:
        dead = {'lan,dead=30%': row['dead'], 'kernel': 0, 'perfect,dead': row['addresses']}[row['profile']]
        same(row['dead'], dead, row)
        same(row['dead_found'], dead, row)
        same((row['false_sum'], row['false_max'], row['false_reachable'], row['false_doubtful']), (0, 0, 0, 0), row)
        check(0 < row['min_ms'] <= row['median_ms'] <= row['max_ms'], row)
        check(not dead or row['min_ms'] >= 300, 'a dead one ends with the window', row)
        check(row['cpu_ms'] > 0, row)
        same(row['rounds'], 1)
        same(row['setting'], f"{row['select_timeout_ms'] / 1000:g}x{row['select_count']}")
    many = [row['dead'] for row in rows if row['profile'] == 'lan,dead=30%' and row['addresses'] == 60]
    check(len(set(many)) == 1 and 5 < many[0] < 35, 'some 18 of 60 are dead:', many)


@test
def sweep_counts_false_unreachables():
    """What the network loses is found by nobody, at one request; at ten, all are found."""
    rows = sweep('--addresses', '100', '--settings', '0.2x1,0.02x10', '--workers', '1', '--rounds', '1', '--profile',
                 'loss=30%')
    once, often = rows
    check(10 < once['false_sum'] < 60, once)
    same(once['false_mean'], once['false_sum'])
    check(often['false_sum'] <= 1, often)


@test
def sweep_prints_csv():
    out, error = bench('sweep', '--csv', '--addresses', '5,6', '--settings', '1x1,0.5x2,0.25x4', '--workers', '1,2',
                       '--transport', 'poll,epoll', '--profile', 'perfect,kernel', '--rounds', '1')
    rows = list(csv.DictReader(io.StringIO(out)))
    same(error, '')
    same(len(rows), 2 * 3 * 2 * 2 * 2, 'rows')
    cells = {(r['addresses'], r['setting'], r['workers'], r['transport'], r['profile']) for r in rows}
    same(len(cells), len(rows), 'different cells')
    for row in rows:
        same(row['transport_ran'], row['transport'])
        check(1 <= int(row['workers_ran']) <= int(row['workers']), row)
        same(row['false_sum'], '0')


@test
def sweep_prints_a_table():
    out, _ = bench('sweep', '--addresses', '5', '--settings', '1x1', '--workers', '1', '--rounds', '1', '--profile',
                   'perfect')
    lines = out.splitlines()
    check(re.search('[0-9]+ CPUs', lines[0]), lines[0])
    check(re.match('profile +transport +workers +ran +setting +addresses +dead +min ms', lines[2]), lines[2])
    check(lines[3].startswith('perfect') and len(lines) == 4, lines)


@test
def sweep_draws():
    if not shutil.which('gnuplot'):
        raise Skip('gnuplot is not installed')
    arguments = ['sweep', '--addresses', '5,9', '--settings', '1x1,0.5x2', '--workers', '1,2', '--rounds', '1',
                 '--transport', 'epoll', '--profile', 'perfect,delay=1ms,kernel']
    bench(*arguments, '--plot', f'{folder}/a.svg')
    svg = xml.etree.ElementTree.parse(f'{folder}/a.svg').getroot()
    same(svg.tag, '{http://www.w3.org/2000/svg}svg')
    texts = {''.join(node.itertext()).strip() for node in svg.iter('{http://www.w3.org/2000/svg}text')}
    for label in ('addresses', 'select-timeout (s) x select-count', 'median time of a sweep, ms', '0.5x2', '9', '0 %',
                  'live addresses called unreachable, %', 'perfect,delay=1ms: time, epoll, 1 worker', 'epoll, 2 workers',
                  'kernel: false unreachables, epoll, 1 worker', 'kernel: time over addresses, setting 1x1',
                  'bars: fastest and slowest round'):
        check(label in texts, f'no {label!r} in the picture, but', sorted(texts))
    bench(*arguments[:-1], 'perfect', '--plot', f'{folder}/a.png')
    with open(f'{folder}/a.png', 'rb') as file:
        same(file.read(8), b'\x89PNG\r\n\x1a\n')
    return None


@test
def plots_that_cannot_be():
    """One line, before anything is measured; a picture that was there stays."""
    long = ['sweep', '--rounds', '100000']
    _, error = bench(*long, '--plot', f'{folder}/b.svg', code=4, path=path_without('gnuplot'))
    one_line(error, 'gnuplot is not installed')
    check(not os.path.exists(f'{folder}/b.svg'))
    if shutil.which('gnuplot'):
        _, error = bench(*long, '--plot', f'{folder}/none/b.svg', code=4)
        one_line(error, f'{folder}/none/b.svg', 'No such file')
    _, error = bench(*long, '--plot', f'{folder}/b.pdf', code=3)
    check('.svg or .png' in error, error)

    path = path_without('gnuplot')
    with open(f'{path}/gnuplot', 'w', encoding='ascii') as file:
        file.write('#!/bin/sh\necho "<svg half"\necho "no terminal" >&2\nexit 7\n')
    os.chmod(f'{path}/gnuplot', 0o755)
    with open(f'{folder}/c.svg', 'w', encoding='ascii') as file:
        file.write('old')
    out, error = bench('sweep', '--addresses', '5', '--settings', '1x1', '--workers', '1', '--rounds', '1', '--profile',
                       'perfect', '--csv', '--plot', f'{folder}/c.svg', code=4, path=path)
    one_line(error, 'status 7', 'no terminal')
    same(out.count('\n'), 2, 'the table is printed all the same')
    with open(f'{folder}/c.svg', encoding='ascii') as file:
        same(file.read(), 'old')
    same([name for name in os.listdir(folder) if name.startswith(('b.', 'c.'))], ['c.svg'])


@test
def studies_refuse_alike():
    """What no study can print or draw ends in the same words and exit codes in all of them."""
    for study in (['sweep'], ['compare'], ['tune', '--profile', 'lan'], ['hold'], ['failover']):
        _, error = bench(*study, '--json', '--csv', code=3)
        check('--json and --csv exclude each other' in error, study, error)
        out, _ = bench(*study, '--help')
        check(f'print one document, schema reroute.bench-{study[0]}/1' in out, out)
        if study[0] == 'compare':
            continue
        _, error = bench(*study, '--plot', 'x.gif', code=3)
        check("--plot 'x.gif': expected a file name that ends in .svg or .png" in error, study, error)
        _, error = bench(*study, '--plot', f'{folder}/x.svg', code=4, path=path_without('gnuplot'))
        one_line(error, 'gnuplot is not installed')


@test
def progress_on_a_terminal():
    """How far it is and how much time is left, on standard error only, and wiped away in the end."""
    ours, theirs = pty.openpty()
    done = subprocess.run([reroute_path, 'bench', 'sweep', '--csv', '--addresses', '5', '--settings', '0.3x1', '--workers',
                           '1', '--rounds', '3', '--profile', 'perfect,dead'], stdout=subprocess.PIPE, stderr=theirs,
                          timeout=DEADLINE_S, check=True)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    check(re.search('33 %, round 2 of 3, [0-9]+ s left', shown), repr(shown))
    check(shown.endswith('\r\x1b[K'), repr(shown))
    same(done.stdout.count(b'\n'), 2)


# --- compare -----------------------------------------------------------------------------------------------------

@test
def compare_side_by_side():
    got = compare('--addresses', '30,40', '--rounds', '2', '--threads', '1', '--tools', 'reroute,old,fping,nmap',
                  path=path_without('nmap'))
    rows = got['rows']
    same([(r['addresses'], r['tool'], r['setting']) for r in rows if r['addresses'] == 30],
         [(30, *way) for way in (('reroute', '1x1'), ('reroute', '0.1x10'), ('reroute', '0.01x100'),
                                 ('reroute --json', '1x1'), ('old scheme', '1x1'), ('old scheme', '0.1x10'),
                                 ('old scheme', '0.01x100'), ('fping', '1x1'), ('nmap', '-'))])
    same(len(rows), 18)
    for row in rows:
        if row['tool'] == 'nmap' or row['tool'] == 'fping' and not shutil.which('fping'):
            same((row['note'], row['rounds'], row['wall_median_ms']), ('not installed', 0, None))
            continue
        same(row['note'], '')
        same(row['rounds'], 2, row)
        same((row['false_sum'], row['false_max']), (0, 0), row)
        check(0 < row['wall_min_ms'] <= row['wall_median_ms'] <= row['wall_max_ms'], row)
        check(abs(row['cpu_us_per_probe'] - row['cpu_median_ms'] * 1000 / row['addresses']) < 0.5, row)
        if (row['tool'], row['setting']) == ('reroute', '1x1'):
            same((row['wall_ratio'], row['cpu_ratio']), (1, 1))
    same(got['bars'], [], 'none is about so few')


@test
def compare_with_dead_ones():
    """They are no false unreachables; a tool that waits for them waits for the window."""
    rows = compare('--addresses', '20', '--dead', '3', '--rounds', '1', '--tools', 'reroute')['rows']
    for row in rows:
        same(row['false_sum'], 0, row)
        check(row['wall_min_ms'] >= 1000, row)


@test
def compare_shows_why_one_by_one_was_too_sensitive():
    """The figures side by side. How many the old scheme loses depends on the machine's load, see the next test."""
    got = compare('--addresses', '506', '--threads', '16', '--rounds', '2', '--tools', 'reroute,old')
    false = {(r['tool'], r['setting']): r['false_sum'] for r in got['rows']}
    for setting in ('1x1', '0.1x10', '0.01x100'):
        same(false['reroute', setting], 0)
        print(f"# the old scheme at {setting}: {false['old scheme', setting]} of 1012 live ones unreachable")
    same([(b['bar'], b['met']) for b in got['bars']], [('false unreachables in all rounds, 506 targets', 'yes')])


def old_scheme(addresses, *arguments):
    """How many it calls unreachable, in a network where every reply takes 100 ms."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../bench/old_scheme.py')
    network = [responder_path, '--tun', 'net0', '--address', '10.0.0.1/16', '--profile', '10.0.0.0/16=delay=100ms']
    with subprocess.Popen(['unshare', '-n', *network], stdout=subprocess.PIPE, text=True) as process:
        try:
            same(process.stdout.readline(), 'ready\n', 'the first line')
            done = subprocess.run(['nsenter', '-t', str(process.pid), '-n', sys.executable, script, *arguments],
                                  input='\n'.join(addresses), capture_output=True, text=True, timeout=DEADLINE_S,
                                  check=True)
        finally:
            process.kill()
    found = done.stdout.split()
    same(found, [address for address in addresses if address in set(found)], 'in the order given')
    return len(addresses) - len(found)


@test
def old_scheme_loses_to_foreign_replies():
    """32 pings at a time: all replies of a wave reach all 32 sockets, and one foreign one is enough at 1 x 1."""
    if os.geteuid() != 0:
        raise Skip('only root can start the network beside the scheme')
    addresses = [f'10.0.1.{n}' for n in range(1, 65)]
    same(old_scheme(addresses[:5], '1', '1', '1'), 0, 'one thread')
    same(old_scheme(addresses, '0.01', '1000', '32'), 0, 'more waits than replies')
    lost = old_scheme(addresses, '1', '1', '32')
    check(lost > 32, lost)
    return None


@test
def compare_while_busy():
    got = compare('--addresses', '20', '--rounds', '3', '--busy', '--tools', 'reroute')
    check(got['busy'])
    for row in got['rows']:
        same(row['false_sum'], 0, row)


@test
def compare_says_what_failed():
    path = path_without('fping')
    with open(f'{path}/fping', 'w', encoding='ascii') as file:
        file.write('#!/bin/sh\necho "fping: not enough sequence numbers" >&2\nexit 4\n')
    os.chmod(f'{path}/fping', 0o755)
    out, _ = bench('compare', '--addresses', '10', '--rounds', '3', '--tools', 'reroute,fping', path=path)
    row = next(line for line in out.splitlines() if ' fping ' in line)
    check(row.endswith('status 4: fping: not enough sequence numbers'), row)
    check('reroute report -q -f -' in out, out)


# --- both --------------------------------------------------------------------------------------------------------

@test
def arguments():
    for words in (['sweep', '--addresses', '0'], ['sweep', '--addresses', '5,'], ['sweep', '--settings', '1'],
                  ['sweep', '--workers', '0'], ['sweep', '--transport', 'pigeon'], ['sweep', '--rounds', '0'],
                  ['sweep', '--profile', 'lan,nonsense=1'], ['sweep', '--profile', 'kernel,loss=1%'],
                  ['sweep', '--json', '--csv'], ['sweep', 'operand'], ['compare', '--addresses', '5000000'],
                  ['compare', '--addresses', '10', '--dead', '10'], ['compare', '--tools', 'ping'],
                  ['compare', '--threads', '0'], ['compare', '--rounds', 'x'], ['compare', '--json', '--csv']):
        out, error = bench(*words, code=3)
        same(out, '')
        check(error.endswith(f"Try 'reroute bench {words[0]} --help'.\n") and error.count('\n') == 2, error)
    for study in ('sweep', 'compare'):
        out, _ = bench(study, '--help')
        check(out.startswith(f'Usage: reroute bench {study} '), out)


def packets(pid, device):
    try:
        with open(f'/proc/{pid}/net/dev', encoding='ascii') as file:
            found = re.search(rf'{device}:(.*)', file.read())
    except OSError:
        return 0
    return int(found[1].split()[1]) if found else 0


@contextlib.contextmanager
def started(device, *arguments):
    """A study that will not end by itself, its own process group, in the middle of its work. Everybody has left its
    namespace in the end."""
    study = subprocess.Popen([reroute_path, 'bench', *arguments, '--rounds', '100000', '--json'],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        until('it works', lambda: study.poll() is not None or packets(study.pid, device) > 200, DEADLINE_S)
        same(study.poll(), None, 'exit code')
        with open(f'/proc/{study.pid}/ns/net', 'rb') as namespace:
            yield study
            until('everybody has left', lambda: not inhabitants(namespace.fileno()), DEADLINE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(study.pid, signal.SIGKILL)
        study.communicate()


@test
def interrupted():
    """Ctrl-C: what is known is printed, nothing is left."""
    for device, *arguments in (
            ('bench0', 'sweep', '--addresses', '50', '--workers', '1', '--profile', 'lan'),
            ('peer0', 'compare', '--addresses', '50', '--tools', 'reroute,old', '--busy')):
        with started(device, *arguments) as study:
            os.killpg(study.pid, signal.SIGINT)
            out, error = study.communicate(timeout=DEADLINE_S)
            same(study.returncode, 130, error)
            same(error, '')
            got = json.loads(out)
            check(got['interrupted'] and sum(row['rounds'] for row in got['rows']) > 0, got)


@test
def killed():
    """... and by the kernel, when there was no time to clean up."""
    for device, *arguments in (
            ('bench0', 'sweep', '--addresses', '50', '--workers', '2', '--profile', 'lan'),
            ('peer0', 'compare', '--addresses', '500', '--tools', 'old', '--busy')):
        with started(device, *arguments) as study:
            study.kill()
            study.communicate(timeout=DEADLINE_S)


def main():
    global reroute_path, responder_path, folder
    reroute_path, responder_path = map(os.path.abspath, sys.argv[1:3])
    probe = subprocess.run([reroute_path, 'bench', 'sweep', '--addresses', '1', '--rounds', '1', '--workers', '1',
                            '--profile', 'perfect,kernel'], capture_output=True, text=True, check=False)
    if probe.returncode == 4 and re.search('namespace|/dev/net/tun', probe.stderr):
        tap.skip(probe.stderr.strip())
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(tap.run())


main()
