#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves what a user of `reroute bench tune` sees: bad arguments and damaged traces end in one line; a simulated
network is watched, judged, and the answer tried, in virtual and in real time; a trace that was kept gives the same
answer again; Ctrl-C uses what was seen; the paths of a configuration are watched through the kernel; what is to be
pasted is accepted by check-config.

Usage: test_tune.py PATH-OF-RESPONDER PATH-OF-REROUTE. Prints TAP. What needs a namespace is skipped without one;
nothing is left when the process is gone."""
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import tap
from tap import Skip, check, same, test
from netlab.wait import until

DEADLINE_S = 60
responder_path = reroute_path = folder = ''

def path(name):
    return os.path.join(folder, name)


def write(name, text):
    with open(path(name), 'w', encoding='latin-1') as out:
        out.write(text)
    return path(name)


def tune(*arguments, code=0, before=()):
    done = subprocess.run([*before, reroute_path, 'bench', 'tune', *arguments], capture_output=True, text=True,
                          timeout=DEADLINE_S)
    same(done.returncode, code, f'exit code of {arguments}, {done.stderr}')
    return done


def document(*arguments, **keywords):
    found = json.loads(tune(*arguments, '--json', **keywords).stdout)
    same(found['schema'], 'reroute.bench-tune/1')
    return found


def need_namespace():
    done = subprocess.run(['unshare', '-n', 'true'], capture_output=True, check=False)
    if done.returncode or not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        raise Skip('no network namespaces, or no /dev/net/tun')


SLOW_TRACE = ('reroute-trace 1\ninterval-us 200000\nwait-us 3000000\npayload-bytes 56\n'
              'path 10.0.0.1 -\ndata\n0 0 812 790\nend 2\n')
VIRTUAL = ['--profile', 'nested', '--virtual', '--duration', '3m']


@test
def arguments_are_checked():
    good = write('good.conf', 'service = "10.9.9.9"\naccess "a" { data = "10.0.0.1" }\n')
    for arguments, message in [
            ([], 'expected one of --target, --config, --trace and --profile'),
            (['--target', '10.0.0.1', '--profile', 'lan'], 'expected one of'),
            (['10.0.0.1', '--config', good], "'10.0.0.1': not expected here"),
            (['--target', '10.0.0.300'], "'10.0.0.300': expected an address"),
            (['--target', '10.0.0.1', '10.0.0.1'], "'10.0.0.1': given twice"),
            (['--profile', 'nowhere'], 'no such name or word'),
            (['--target', '10.0.0.1', '--duration', '0.5'], "--duration '0.5': expected a time from 1s to 259200s"),
            (['--target', '10.0.0.1', '--save', '-'], "--save '-': expected a file"),
            (['--target', '10.0.0.1', '--interval', '5s'], "--interval '5s': expected a time"),
            (['--target', '10.0.0.1', '--interval', '1s'], "--interval '1s': expected a time"),
            (['--target', '10.0.0.1', '--interval', '200ms'], 'a request every 200ms cannot show what'),
            (['--trace', write('slow.trace', SLOW_TRACE)], 'a request every 200ms cannot show what'),
            (['--target', '10.0.0.1', '--wait', '1m'], "--wait '1m': expected a time"),
            (['--target', '10.0.0.1', '--failure', '1ms'], "--failure '1ms': expected a time"),
            (['--target', '10.0.0.1', '-m', '0'], "--max-false-per-year '0': expected a number above 0"),
            (['--target', '10.0.0.1', '-m', 'few'], "--max-false-per-year 'few': expected"),
            (['--profile', 'lan', '--seed', 'x'], "--seed 'x': expected a number"),
            (['--target', '10.0.0.1', '--validate'], '--virtual and --validate need a --profile'),
            (['--profile', 'lossy', '--validate'], 'bursts'),
            (['--trace', good, '--save', 'x'], '--save and --trace exclude each other'),
            (['--target', '10.0.0.1', '--json', '--csv'], '--json and --csv exclude each other'),
            (['--target', '10.0.0.1', '--plot', 'x.pdf'], "--plot 'x.pdf': expected"),
            (['--config', path('missing.conf')], 'missing.conf'),
            (['--trace', path('missing.trace')], 'missing.trace: No such file'),
            (['--trace', good], 'good.conf:1: this is no trace'),
    ]:
        done = tune(*arguments, code=4 if 'missing.trace' in message else 3)
        check(message in done.stderr, arguments, done.stderr)
        check(len(done.stderr.splitlines()) <= 2 and not done.stdout, arguments, done.stderr)


def pair_of(found, wanted):
    return next(p for p in found['rows']
                if (p['select_timeout_ms'], p['select_count']) == (wanted['select_timeout_ms'], wanted['select_count']))


@test
def a_network_is_simulated_judged_and_tried():
    found = document(*VIRTUAL, '--validate', '--duration', '10m')
    same([p['requests'] for p in found['paths']], [60000] * 3)
    check(found['sure'], 'there are spikes and losses enough for an answer')
    best = pair_of(found, found['recommended'])
    check(best['high_per_year'] <= 0.1 and best['basis'] in ('fitted', 'measured'), best)
    check(best['window_ms'] > 300, 'longer than the spikes', best)
    same(found['standing'], {'select_timeout_ms': 100, 'select_count': 10})
    check(len(found['validations']) >= 3, found['validations'])
    for row in found['validations']:
        same(row['agrees'], 'yes', row)
        check(re.fullmatch(r'[0-9.]+x\d+', row['setting']), row)
    check(sum(row['observed'] for row in found['validations']) > 10, 'settings that fail are among them')
    same(found['validations'][0]['observed'], 0, 'the recommended one')


@test
def the_block_is_accepted_by_check_config():
    text = tune(*VIRTUAL).stdout
    check('Do not rely on this: 180.0 s' in text, text)
    check('Do not rely' not in tune(*VIRTUAL, '--duration', '10m').stdout, 'ten minutes are enough')
    block = re.search(r'^    (probe \{.*\})$', text, re.M).group(1)
    conf = write('tuned.conf', f'service = "10.9.9.9"\naccess "a" {{ data = "10.0.0.1" }}\n{block}\n')
    done = subprocess.run([reroute_path, 'check-config', conf], capture_output=True, text=True, timeout=DEADLINE_S)
    same(done.returncode, 0, done.stderr)
    for words in ('false a year', 'A failure is acted upon after', 'for 180 s (hold)', 'minutes a year', 'than with 0.1x10.'):
        check(words in text, words, text)


@test
def a_limit_decides():
    strict = document(*VIRTUAL, '-m', '0.0001')
    loose = document(*VIRTUAL, '-m', '1000000')
    slow, fast = (pair_of(d, d['recommended'])['detection_bound_ms'] for d in (strict, loose))
    check(fast < slow, fast, slow)
    same(loose['rows'][0].keys(), strict['rows'][0].keys())


@test
def a_trace_gives_the_same_answer_again():
    first = document(*VIRTUAL, '--save', path('a.trace'))
    again = document('--trace', path('a.trace'))
    for key in ('standing', 'recommended', 'likely', 'sure', 'interval_ms', 'wait_ms'):
        same(again[key], first[key], key)
    same([p['requests'] for p in again['paths']], [p['requests'] for p in first['paths']])
    twice = document('--trace', path('a.trace'), path('a.trace'))
    same([p['requests'] for p in twice['paths']], [2 * p['requests'] for p in first['paths']])
    with open(path('a.trace'), encoding='ascii') as trace:
        text = trace.read()
    check(len(text) < 8 * 54000, len(text), 'bytes')
    for name, damaged, line in [('cut.trace', text[:len(text) // 2], None), ('none.trace', '', 1),
                                ('old.trace', text.replace('trace 1', 'trace 0', 1), 1)]:
        done = tune('--trace', write(name, damaged), code=3)
        check(re.match(rf'reroute bench tune: \S*{name}:{line or ""}', done.stderr), done.stderr)
        same(len(done.stderr.splitlines()), 1, done.stderr)


@test
def csv_has_every_pair():
    rows = list(csv.DictReader(io.StringIO(tune(*VIRTUAL, '--csv').stdout)))
    check(len(rows) > 200, len(rows))
    check({'select_timeout_ms', 'false_per_year', 'basis', 'frontier'} <= set(rows[0]), rows[0])
    bounds = [float(r['detection_bound_ms']) for r in rows]
    same(bounds, sorted(bounds), 'the fastest first')


@test
def a_picture_is_drawn():
    if not shutil.which('gnuplot'):
        raise Skip('gnuplot is not installed')
    for name, begin in [('a.svg', b'<?xml'), ('a.png', b'\x89PNG')]:
        tune(*VIRTUAL, '--plot', path(name))
        with open(path(name), 'rb') as picture:
            check(picture.read().startswith(begin), name)


@test
def nothing_goes_wrong_on_a_clean_network():
    done = tune('--profile', 'perfect', '--virtual', '--duration', '1m')
    check('No setting can be recommended from this trace; keep what you have' in done.stdout, done.stdout)
    check('select-timeout = "100ms"  select-count = 10' in done.stdout, done.stdout)
    check('Too little went wrong for a fit' in done.stdout, done.stdout)
    done = tune('--profile', 'dead', '--virtual', '--duration', '1m', code=4)
    check('no path answered' in done.stderr, done.stderr)


@test
def the_real_kernel_is_watched():
    need_namespace()
    found = document('--profile', 'delay=5ms,loss=20%', '--duration', '2s', '--wait', '1s')
    for row in found['paths']:
        check(100 < row['requests'] <= 201, row)
        check(0.1 < row['lost'] / row['requests'] < 0.35, row)
        check(row['rtt_p50_ms'] >= 5, row)


@test
def an_interrupt_uses_what_was_seen():
    need_namespace()
    trace = path('interrupted.trace')
    with subprocess.Popen([reroute_path, 'bench', 'tune', '--profile', 'delay=1ms,loss=10%', '--wait', '1s', '--save',
                           trace], stdout=subprocess.PIPE, text=True) as process:
        try:
            until('it is written', lambda: os.path.exists(trace) and os.path.getsize(trace) > 4000, DEADLINE_S)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    same(process.returncode, 128 + signal.SIGINT, 'exit code')
    check('false a year' in out, out)
    document('--trace', trace)


@test
def the_paths_of_a_configuration_are_watched():
    need_namespace()
    conf = write('paths.conf', 'service = "10.9.9.9"\n'
                 'access "one" { data = "10.77.0.20" management = "192.0.2.9" }\naccess "two" { data = "10.77.0.21" }\n'
                 'probe { select-timeout = "50ms" select-count = 4 }\nroute { hold = "60s" }\n')
    script = (f'mkfifo "{path("ready")}"; "{responder_path}" --tun r0 --address 10.77.0.1/24 '
              f'--profile 10.77.0.0/24=delay=2ms,loss=10% > "{path("ready")}" & '
              f'responder=$!; exec 3< "{path("ready")}"; read ready <&3; "$@"; code=$?; kill $responder; exit $code')
    done = tune('--config', conf, '--duration', '2s', '--wait', '1s', '--json',
                before=['unshare', '-n', 'sh', '-c', script, 'sh'])
    found = json.loads(done.stdout)
    same([(p['path'], p['address'], p['interface']) for p in found['paths']],
         [('one data', '10.77.0.20', 'r0'), ('two data', '10.77.0.21', 'r0')])
    check(all(p['requests'] > 100 and p['lost'] < p['requests'] / 2 for p in found['paths']), found['paths'])
    same(found['standing'], {'select_timeout_ms': 50, 'select_count': 4})
    check('one management 192.0.2.9 is left out: it is not on-link here' in done.stderr, done.stderr)


if __name__ == '__main__':
    responder_path, reroute_path = (os.path.abspath(p) for p in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(tap.run())
