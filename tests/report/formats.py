#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves what programs rely on of `reroute report`: that --json-lines tells each target when it is known and takes
few writes for many, that --openmetrics keeps to the grammar of OpenMetrics 1.0 and to what node_exporter takes, and
that --output replaces a file as a whole.

Usage: formats.py PATH-OF-REROUTE. See stage.py for where it runs and what it prints.
"""
import fcntl
import json
import os
import re
import select
import signal
import stat
import subprocess
import time

from stage import (COMMAND, DEADLINE_S, ENVIRONMENT, FAST, RESULT_KEYS, KEYS, check, check_document, command, main,
                   run, same, start, test, wait_until, write)
from netlab.namespace import icmp_count


# --- a line for each target --------------------------------------------------------------------------------

def parse_lines(text):
    """(results, summary), after checking everything that holds for all of them."""
    check(text.endswith('\n'), 'no end of line')
    lines = [json.loads(line) for line in text.splitlines()]
    results, summary = lines[:-1], lines[-1]
    same(summary.pop('schema'), 'reroute.report.summary/1')
    for result in results:
        same(result.pop('schema'), 'reroute.report.result/1')
    same(sorted(r['index'] for r in results), list(range(summary['targets'])), 'a line for each target')
    # With these put together it must be the document of --json.
    same(set(summary), KEYS - {'schema', 'results'})
    plain = [{k: v for k, v in r.items() if k != 'index'} for r in results]
    for result in plain:
        same(set(result), RESULT_KEYS)
    check_document({**summary, 'schema': 'reroute.report/1', 'results': plain})
    return results, summary


@test
def lines_of_every_outcome():
    code, out, error = run('10.9.0.9', '10.0.0.1', 'nosuch.example', '10.8.0.1', 'here.example', '10.0.0.1', *FAST,
                           '--exclude', '10.0.0.77', '--json-lines')
    same((code, error), (2, ''))
    results, summary = parse_lines(out)
    same({r['index']: (r['target'], r['outcome']) for r in results},
         {0: ('10.9.0.9', 'unreachable'), 1: ('10.0.0.1', 'reachable'), 2: ('nosuch.example', 'not-found'),
          3: ('10.8.0.1', 'unreachable'), 4: ('here.example', 'excluded'), 5: ('10.0.0.1', 'reachable')})
    same(results[-1]['index'], 0, 'who was waited for longest comes last')
    same((summary['not_found'], summary['excluded'], summary['unfinished']), (1, 1, 0))


@test
def a_line_comes_while_others_are_waited_for():
    with start('10.0.0.1', '10.9.0.9', 'here.example', '--json-lines', '--select-timeout', '60') as process:
        first = {json.loads(process.stdout.readline())['target'] for _ in range(2)}
        same(first, {'10.0.0.1', 'here.example'})
        check(process.poll() is None, 'it is over already')
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=DEADLINE_S)
    same(process.returncode, 130)
    unfinished, summary = [json.loads(line) for line in rest.splitlines()]
    same((unfinished['target'], unfinished['outcome'], unfinished['reason'], unfinished['requests']),
         ('10.9.0.9', 'unfinished', 'interrupted', 1))
    same((summary['reachable'], summary['unfinished']), (2, 1))


@test
def interrupted_lines_are_whole():
    before = icmp_count('InEchoReps')
    with start('--json-lines', '10.0.0.0/18', '--rate', '4000', 'nosuch.example') as process:
        os.set_blocking(process.stdout.fileno(), False)
        text = b''
        while icmp_count('InEchoReps') < before + 500:
            select.select([process.stdout], [], [], DEADLINE_S)
            text += os.read(process.stdout.fileno(), 1 << 20)
        process.send_signal(signal.SIGINT)
        os.set_blocking(process.stdout.fileno(), True)
        text += process.stdout.buffer.read()
    results, summary = parse_lines(text.decode())
    check(500 <= summary['reachable'] < 16384 and summary['not_found'] == 1, summary)
    check(summary['unfinished'] == 16385 - 1 - summary['reachable'], summary)


@test
def thousands_share_their_writes():
    """A pipe of packets shows each write(): there is one for each 4 KB, and a smaller one in 10 ms at most."""
    ours, theirs = os.pipe2(os.O_DIRECT)
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 1 << 20)
    with subprocess.Popen([COMMAND, 'report', '--json-lines', '10.0.0.0/18'], stdout=theirs,
                          env=ENVIRONMENT) as process:
        os.close(theirs)
        pieces = []
        while piece := os.read(ours, 65536):
            pieces.append(piece)
    os.close(ours)
    results, summary = parse_lines(b''.join(pieces).decode())
    same((process.returncode, len(results)), (0, 16384))
    small = sum(len(p) < 4096 for p in pieces)
    check(small < 50 + summary['elapsed_ms'] / 10, small, 'writes in', summary['elapsed_ms'], 'ms')


@test
def a_slow_reader_costs_time_and_no_target():
    """While nobody reads, replies wait in the kernel, and count by when they came."""
    ours, theirs = os.pipe()
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 4096)
    with subprocess.Popen([COMMAND, 'report', '--json-lines', '10.0.0.0/17', '--select-timeout', '100ms'],
                          stdout=theirs, env=ENVIRONMENT) as process, open(ours, encoding='ascii') as pipe:
        os.close(theirs)
        end = time.monotonic() + 0.5
        text = ''
        while time.monotonic() < end:  # 4 KB each tenth of a second: longer than a window
            text += os.read(ours, 4096).decode()
            select.select([], [], [], 0.1)
        text += pipe.read()
    same(process.returncode, 0)
    _, summary = parse_lines(text)
    same((summary['reachable'], summary['counters']['receive_drops']), (32768, 0))


@test
def a_reader_that_leaves_ends_it():
    before = time.monotonic()
    with start('10.0.0.1', '10.0.0.2', '10.9.0.9', '--json-lines', '--select-timeout', '30', '--rate', '2') as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, error = process.communicate(timeout=DEADLINE_S)
    same((process.returncode, error), (4, 'reroute report: cannot write the report: Broken pipe\n'))
    check(time.monotonic() - before < 20, 'it went on for nobody')


# --- OpenMetrics -------------------------------------------------------------------------------------------

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:{NAME}="(?:[^"\\\n]|\\["\\n])*",?)*)\}})? (-?[0-9]+(?:\.[0-9]+)?)')
LABEL = re.compile(rf'({NAME})="((?:[^"\\\n]|\\["\\n])*)"')


def parse_metrics(text):
    """{name: {labels: value}} of a text of gauges, strictly by OpenMetrics 1.0, and by what older readers take."""
    same(text.count('# EOF\n'), 1)
    check(text.endswith('\n# EOF\n'), 'the last line is not # EOF')
    check('\r' not in text and '\n\n' not in text, 'an empty line')
    families, current, about = {}, None, {}
    for line in text.splitlines()[:-1]:
        if line.startswith('#'):
            word, name, value = re.fullmatch(rf'# (TYPE|UNIT|HELP) ({NAME}) (.+)', line).groups()
            if name != current:
                check(name not in families, 'a family in two places:', name)
                same(word, 'TYPE', 'what a family begins with')
                families[name], current, about = {}, name, {}
            check(not families[name], 'said after the samples:', line)
            check(word not in about, 'said twice:', line)
            about[word] = value
            if word == 'TYPE':
                same(value, 'gauge')
                check(not re.search('_(total|created|count|sum|bucket|info)$', name), 'a name that means more:', name)
            if word == 'UNIT':
                check(name.endswith('_' + value), 'a unit that the name does not have:', line)
            if word == 'HELP':
                check(re.fullmatch(r'(?:[^\\\n"]|\\["\\n])*', value), line)
        else:
            match = SAMPLE.fullmatch(line)
            check(match, 'no sample:', line)
            name, labels, value = match.groups()
            same(name, current, 'a sample out of its family')
            same(set(about) - {'UNIT'}, {'TYPE', 'HELP'})
            pairs = LABEL.findall(labels or '')
            same(','.join(f'{k}="{v}"' for k, v in pairs), labels or '')
            same(len({k for k, _ in pairs}), len(pairs), 'a label twice')
            key = tuple((k, re.sub(r'\\(.)', lambda m: {'n': '\n'}.get(m[1], m[1]), v)) for k, v in pairs)
            check(key not in families[name], 'a series twice:', line)
            families[name][key] = float(value)
    return families


def by_target(family):
    return {dict(labels)['target']: value for labels, value in family.items()}


@test
def metrics():
    code, out, _ = run('10.9.0.9', '10.0.0.1', 'nosuch.example', '10.0.0.1', 'here.example', 'fd00:1::1', *FAST,
                       '--exclude', '10.0.0.77', '--openmetrics')
    same(code, 2)
    families = parse_metrics(out)
    same(set(families), {'reroute_report_reachable', 'reroute_report_rtt_seconds', 'reroute_report_targets',
                         'reroute_report_doubtful', 'reroute_report_invalid', 'reroute_report_packets',
                         'reroute_report_elapsed_seconds', 'reroute_report_truncated_bytes',
                         'reroute_report_reply_refused'})
    same(by_target(families['reroute_report_reachable']),
         {'10.9.0.9': 0, '10.0.0.1': 1, 'nosuch.example': 0, 'fd00:1::1': 1})
    rtts = by_target(families['reroute_report_rtt_seconds'])
    same(set(rtts), {'10.0.0.1', 'fd00:1::1'})
    check(all(0 < value < 2 for value in rtts.values()), rtts)
    same({dict(k)['outcome']: v for k, v in families['reroute_report_targets'].items()},
         {'unfinished': 0, 'reachable': 3, 'unreachable': 1, 'not-found': 1, 'excluded': 1})
    packets = {dict(k)['kind']: v for k, v in families['reroute_report_packets'].items()}
    same((packets['sent'], packets['replies'], packets['receive_drops']), (4, 3, 0))
    check(0.2 <= families['reroute_report_elapsed_seconds'][()] < 10, families)


@test
def metrics_of_many_with_repetitions():
    code, out, _ = run('10.0.0.0/20', '10.0.1.0-10.0.1.99', '10.0.0.7', '--openmetrics')
    same(code, 0)
    families = parse_metrics(out)
    same(len(families['reroute_report_reachable']), 4096)
    same(len(families['reroute_report_rtt_seconds']), 4096)
    same(families['reroute_report_targets'][(('outcome', 'reachable'),)], 4096 + 101)


@test
def metrics_count_what_is_no_target():
    code, out, _ = run('10.0.0.1', '10.1.0.1-10', '0.0.0.0', '--openmetrics')
    same((code, parse_metrics(out)['reroute_report_invalid']), (2, {(): 2}))
    _, out, _ = run('10.0.0.1', '--openmetrics')
    same(parse_metrics(out)['reroute_report_invalid'], {(): 0})


@test
def labels_are_escaped():
    """The name of an interface may have any byte but white space and a slash."""
    odd = 'a"b\\c{}'
    subprocess.run(['ip', 'link', 'add', 'name', odd, 'type', 'veth', 'peer', 'name', 'oddpeer'], check=True)
    try:
        subprocess.run(['ip', '-6', 'address', 'add', 'fe80::7/64', 'dev', odd, 'nodad'], check=True)
        subprocess.run(['ip', 'link', 'set', odd, 'up'], check=True)
        subprocess.run(['ip', 'link', 'set', 'oddpeer', 'up'], check=True)
        target = f'fe80::7%{odd}'
        code, out, error = run(target, '--openmetrics')
        same((code, error), (0, ''))
        same(by_target(parse_metrics(out)['reroute_report_reachable']), {target: 1})
        code, out, _ = run(target, '--json-lines')
        same(json.loads(out.splitlines()[0])['target'], target)
    finally:
        subprocess.run(['ip', 'link', 'del', odd], check=True)


# --- a file as a whole -------------------------------------------------------------------------------------

def files():
    return sorted(os.listdir('/tmp/out'))


@test
def output_replaces_a_file_as_a_whole():
    os.mkdir('/tmp/out')
    path = '/tmp/out/reroute.prom'
    same(run('10.0.0.1', '--openmetrics', '--output', path), (0, '', ''))
    same(stat.S_IMODE(os.stat(path).st_mode), 0o666 & ~current_umask())
    os.chmod(path, 0o640)
    with open(path, encoding='ascii') as old:
        before = icmp_count('InEchoReps')
        with start('10.0.0.1', '10.0.0.2', '10.9.0.9', '--openmetrics', '--output', path, '--select-timeout',
                   '60') as process:
            wait_until(lambda: icmp_count('InEchoReps') >= before + 2, 'both have answered', process)
            same(files(), ['reroute.prom'], 'while it is probing')
            process.send_signal(signal.SIGTERM)
            same(process.communicate(timeout=DEADLINE_S), ('', ''))
        same(process.returncode, 143)
        same(files(), ['reroute.prom'])
        same(len(parse_metrics(old.read())['reroute_report_reachable']), 1)
    with open(path, encoding='ascii') as new:
        same(len(parse_metrics(new.read())['reroute_report_reachable']), 2)
    same(stat.S_IMODE(os.stat(path).st_mode), 0o640)
    for form in (['--json'], ['--csv'], []):
        same(run('10.0.0.1', *form, '--output', path), (0, '', ''))
        with open(path, encoding='ascii') as new:
            check('10.0.0.1' in new.read() or not form, form)
    os.unlink(path)
    path = f'/tmp/out/{"a" * 255}'  # no file beside it can have a longer name
    same(run('10.0.0.1', '--csv', '--output', path), (0, '', ''))
    same(files(), [os.path.basename(path)])
    os.unlink(path)


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@test
def output_that_cannot_be():
    os.makedirs('/tmp/out', exist_ok=True)
    os.symlink('loop', '/tmp/loop')
    before = icmp_count('InEchos')
    write_only = [
        # path, exit code, what is said, before anything is sent
        ('/tmp/out/none/a', 4, "--output '/tmp/out/none/a': cannot write there: No such file or directory"),
        ('/tmp/out', 3, "--output '/tmp/out': expected a file"),
        ('', 3, "--output '': expected a file"),
        ('/tmp/loop', 4, "--output '/tmp/loop': cannot write there: Too many levels of symbolic links"),
        ('/dev/fd/77', 4, "--output '/dev/fd/77': cannot write there: No such file or directory"),
        ('/dev/fd/0', 4, "--output '/dev/fd/0': cannot write there: Bad file descriptor"),
        ('/proc/self/a', 4, "cannot write"),
        (f'/tmp/out/{"a" * 256}', 4, 'cannot write there: File name too long'),
    ]
    for path, code, text in write_only:
        got, out, error = run('10.0.0.1', '--output', path)
        same((got, out, error.count('\n')), (code, '', 1), path)
        check(text in error, error)
    same(icmp_count('InEchos'), before, 'something was sent')
    command('mount -t tmpfs -o size=8k tmpfs /tmp/out')
    try:
        path = '/tmp/out/full'
        with open(path, 'w', encoding='ascii') as file:
            file.write('as it was')
        got, out, error = run('10.0.0.0/22', '--json', '--output', path)
        same((got, out), (4, ''))
        check('cannot write /tmp/out/full: No space left on device' in error, error)
        with open(path, encoding='ascii') as file:
            same(file.read(), 'as it was')
        same(files(), ['full'])
    finally:
        command('umount /tmp/out')


def content(path):
    """How many results there are in a file of --csv."""
    with open(path, encoding='ascii') as file:
        lines = file.read().splitlines()
    same(lines[0].split(',')[0], 'target', path)
    return len(lines) - 1


@test
def output_follows_links():
    os.makedirs('/tmp/links/below')
    os.symlink('below/real', '/tmp/links/relative')
    os.symlink('/tmp/links/relative', '/tmp/links/chain')
    same(run('10.0.0.1', '--csv', '--output', '/tmp/links/chain'), (0, '', ''), 'it leads nowhere yet')
    same(content('/tmp/links/below/real'), 1)
    os.link('/tmp/links/below/real', '/tmp/links/hard')
    same(run('10.0.0.1', '10.0.0.2', '--csv', '--output', '/tmp/links/chain'), (0, '', ''))
    same((content('/tmp/links/below/real'), content('/tmp/links/hard')), (2, 1), 'other names keep the old one')
    check(os.path.islink('/tmp/links/chain') and os.path.islink('/tmp/links/relative'), 'a link was replaced')
    same(sorted(os.listdir('/tmp/links/below')), ['real'])


@test
def output_keeps_who_owns_a_file():
    path = '/tmp/owned'
    write(path, 'old')
    owner = (12, 34) if os.stat('/proc/1').st_uid == 0 else (0, 0)  # a user namespace has one user only
    os.chown(path, *owner)
    os.chmod(path, 0o604)
    same(run('10.0.0.1', '--csv', '--output', path), (0, '', ''))
    got = os.stat(path)
    same((got.st_uid, got.st_gid, stat.S_IMODE(got.st_mode), content(path)), (*owner, 0o604, 1))


@test
def output_to_what_cannot_be_replaced():
    command('mknod /tmp/fifo p')
    os.symlink('/proc/self/fd/1', '/tmp/stdout')
    os.symlink('/dev/null', '/tmp/null')
    write('/tmp/mounted', 'a long text that has to go\n' * 100)
    command('mount --bind /tmp/mounted /tmp/mounted')
    for path in ('-', '/tmp/stdout', '/dev/fd/1'):
        code, out, error = run('10.0.0.1', '--csv', '--output', path)
        same((code, error, out.count('\n')), (0, '', 2), path)
    same(run('10.0.0.1', '--csv', '--output', '/tmp/null'), (0, '', ''))
    with subprocess.Popen(['cat', '/tmp/fifo'], stdout=subprocess.PIPE, text=True) as reader:
        same(run('10.0.0.1', '--csv', '--output', '/tmp/fifo'), (0, '', ''))
        same(reader.communicate(timeout=DEADLINE_S)[0].count('\n'), 2)
    same(run('10.0.0.1', '--csv', '--output', '/tmp/mounted'), (0, '', ''))
    command('umount /tmp/mounted')
    same(content('/tmp/mounted'), 1)
    # What stands before and behind it in the same file stays.
    subprocess.run(f'{{ echo first; {COMMAND} report -q --output /tmp/stdout 10.0.0.1; echo last; }} >/tmp/around',
                   shell=True, check=True)
    with open('/tmp/around', encoding='ascii') as file:
        lines = file.read().splitlines()
    same((lines[0], lines[1].split(';')[0], lines[-1]), ('first', '1 target: 1 reachable, 0 unreachable', 'last'))
    same([os.readlink(f'/tmp/{name}') for name in ('stdout', 'null')], ['/proc/self/fd/1', '/dev/null'])
    check(stat.S_ISFIFO(os.stat('/tmp/fifo').st_mode), 'the FIFO was replaced')
    check(not os.path.exists('-') and os.path.islink('/dev/stdout'), 'a file was made')


main()
