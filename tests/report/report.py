#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves what `reroute report` promises to people and programs, on the built command and the real kernel.

Usage: report.py PATH-OF-REROUTE. See stage.py for where it runs and what it prints.
"""
import csv
import ctypes
import io
import json
import os
import pty
import resource
import shutil
import signal
import stat
import subprocess
import tempfile

from stage import (COMMAND, DEADLINE_S, ENVIRONMENT, FAST, HOSTS, check, check_document, document, live, main, run, same,
                   start, test, wait_until, write)
from netlab.namespace import icmp_count


# --- what is printed ---------------------------------------------------------------------------------------

@test
def json_all_reachable():
    report = document('10.0.0.1', '10.0.0.2', 'fd00:1::5')
    same([r['target'] for r in report['results']], ['10.0.0.1', '10.0.0.2', 'fd00:1::5'])
    same([r['address'] for r in report['results']], ['10.0.0.1', '10.0.0.2', 'fd00:1::5'])
    same(report['reachable'], 3)
    same(report['counters']['sent'], 3)
    same(report['counters']['replies'], 3)
    same([r['requests'] for r in report['results']], [1, 1, 1])


@test
def json_one_of_each_kind():
    report = document('10.9.0.9', '10.0.0.1', 'nosuch.example', '10.8.0.1', '10.3.7.7', 'here.example', *FAST,
                      code=2)
    silent, good, name, no_way, refused, here = report['results']
    same([r['outcome'] for r in report['results']],
         ['unreachable', 'reachable', 'not-found', 'unreachable', 'unreachable', 'reachable'])
    same((report['targets'], report['reachable'], report['unreachable']), (6, 2, 3))
    check('200 ms' in silent['reason'], silent)
    check(name['address'] is None and name['requests'] == 0, name)
    check('10.3.7.7' in refused['reason'], 'who refused it is not said:', refused)
    check(len({silent['reason'], no_way['reason'], refused['reason']}) == 3, 'reasons are not told apart')
    same((here['target'], here['address']), ('here.example', '10.0.0.77'))
    same(good['requests'], 1)
    check(report['counters']['icmp_errors'] >= 1, report['counters'])
    check(report['counters']['send_failures'] >= 1, report['counters'])


@test
def requests_follow_count_and_single_request():
    window = ['--select-timeout', '50ms', '--select-count', '4']
    same(document('10.9.0.9', *window, code=1)['results'][0]['requests'], 4)
    report = document('10.9.0.9', *window, '--single-request', code=1)
    same(report['results'][0]['requests'], 1)
    check(report['elapsed_ms'] >= 200, 'the window was not waited for:', report['elapsed_ms'])
    report = document('10.9.0.9', *window, '--ping-timeout', '0.12', code=1)
    check(120 <= report['elapsed_ms'] and '120 ms' in report['results'][0]['reason'], report)


@test
def csv_with_header():
    code, out, _ = run('10.0.0.1', '10.9.0.9', 'nosuch.example', '10.3.7.7', *FAST, '--csv')
    same(code, 2)
    rows = list(csv.DictReader(io.StringIO(out)))
    same(list(rows[0]), ['target', 'address', 'outcome', 'rtt_ms', 'requests', 'reason'])
    same([r['outcome'] for r in rows], ['reachable', 'unreachable', 'not-found', 'unreachable'])
    check(float(rows[0]['rtt_ms']) > 0 and rows[1]['rtt_ms'] == '' and rows[2]['address'] == '', rows)
    for row in rows:
        check(None not in row, 'a field too many:', row)
        check((row['reason'] == '') == (row['outcome'] == 'reachable'), row)


@test
def table_for_people():
    code, out, error = run('10.0.0.1', '10.9.0.9', 'nosuch.example', 'here.example', 'gone.example', *FAST)
    same(code, 2)
    same(error, '')
    lines = out.splitlines()
    check(lines[0].startswith('10.9.0.9 ') and ' unreachable ' in lines[0] and '200 ms' in lines[0], out)
    check(lines[1].startswith('nosuch.example ') and ' not-found ' in lines[1], out)
    check(lines[2].startswith('gone.example (10.9.0.8) ') and ' unreachable ' in lines[2], out)
    same(lines[3], '')
    check(lines[4].startswith('5 targets: 2 reachable, 2 unreachable, 1 not found; took '), out)
    for word in ('min ', 'p50 ', 'p95 ', 'p99 ', 'max '):
        check(word in lines[5], out)
    check(lines[6].startswith('packets: sent 4, replies 2'), out)
    check('duplicate' not in out and 'corrupt' not in out, 'zero counters are not worth a word:', out)
    same(len(lines), 7)


@test
def quiet_is_the_summary_only():
    code, out, _ = run('10.0.0.1', '10.9.0.9', *FAST, '-q')
    same(code, 1)
    check(out.startswith('2 targets: 1 reachable, 1 unreachable; took '), out)


@test
def nothing_reachable_has_no_rtt():
    code, out, _ = run('10.9.0.9', *FAST)
    same(code, 1)
    check('RTT' not in out and '1 target: 0 reachable, 1 unreachable' in out, out)


@test
def progress_only_on_a_terminal():
    parent, child = pty.openpty()
    with subprocess.Popen([COMMAND, 'report', '10.9.0.9', '--select-timeout', '1.5'], stderr=child,
                          stdout=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        os.close(child)
        text = b''
        while True:
            try:
                part = os.read(parent, 4096)
            except OSError:
                break
            if not part:
                break
            text += part
        process.wait(DEADLINE_S)
    os.close(parent)
    check(b'0 of 1 targets known' in text and text.endswith(b'\r\x1b[K'), text)


# --- targets -----------------------------------------------------------------------------------------------

@test
def order_and_duplicates_are_kept():
    with tempfile.NamedTemporaryFile('w') as file:
        file.write('10.0.0.5 10.0.0.5 # twice\nhere.example\n\n10.0.0.3\n')
        file.flush()
        report = document('10.0.0.9', '-f', file.name, '10.0.0.9', '-f', '-', stdin='10.0.0.1\n10.0.0.5')
    same([r['target'] for r in report['results']],
         ['10.0.0.9', '10.0.0.5', '10.0.0.5', 'here.example', '10.0.0.3', '10.0.0.9', '10.0.0.1', '10.0.0.5'])


@test
def targets_after_two_dashes():
    same(document('--', '10.0.0.1', '10.0.0.2')['targets'], 2)


@test
def family_of_names():
    same(document('both.example', '-4')['results'][0]['address'], '10.0.0.78')
    same(document('both.example', '-6')['results'][0]['address'], 'fd00:1::78')
    report = document('here.example', 'fd00:1::1', '-6', code=2)
    same([r['outcome'] for r in report['results']], ['not-found', 'reachable'])


@test
def many_names():
    write('/etc/hosts', HOSTS + ''.join(f'10.1.{i >> 8}.{i & 255} n{i}.example\n' for i in range(500)))
    try:
        report = document('-f', '-', stdin='\n'.join(f'n{i}.example' for i in range(500)))
    finally:
        write('/etc/hosts', HOSTS)
    same([r['address'] for r in report['results']], [f'10.1.{i >> 8}.{i & 255}' for i in range(500)])


@test
def sixty_six_thousand_targets():
    addresses = live(66000)
    report = document('-f', '-', stdin='\n'.join(addresses), code=0)
    same(report['reachable'], 66000)
    same([r['address'] for r in report['results']], addresses)
    same(report['counters']['receive_drops'], 0)


@test
def silent_neighbours_hold_nobody_up():
    """Hosts on our own link that do not answer even ARP: the kernel keeps what is for them for some seconds."""
    silent = [f'10.9.0.{i}' for i in range(3, 253)]
    for transport in ('poll', 'epoll', 'auto'):
        report = document('--select-timeout', '0.1', '--select-count', '10', '--transport', transport, '-f', '-',
                          stdin='\n'.join(silent + [f'10.0.0.{i}' for i in range(1, 101)]), code=1)
        same(report['reachable'], 100, transport)
        check(report['elapsed_ms'] < 2900, f'{transport}: a window of 1000 ms took', report['elapsed_ms'])


@test
def transports():
    for name in ('epoll', 'poll'):
        same(document('10.0.0.1', '--transport', name)['transport'], name)
    code, _, error = run('10.0.0.1', '--transport', 'io_uring')
    if code:  # not to be had here: one line that says so
        same((code, error.count('\n')), (4, 1), error)
        check('transport io_uring: ' in error, error)
    else:
        same(document('10.0.0.1', '--transport', 'io_uring')['transport'], 'io_uring')


@test
def packet_options():
    same(document('10.0.0.1', '--size', '1400', '--dont-fragment', '--tos', '0xb8', '--ttl', '9', '--workers',
                  '8', '--mark', '7', '--interface', 'lo', '--source', '10.0.0.200')['reachable'], 1)
    same(document('fd00:1::1', '--size', '4000', '--tos', '4', '--ttl', '3', '--source', 'fd00:1::2',
                  '--source', '10.0.0.1')['reachable'], 1)
    report = document('10.9.0.9', '--size', '2000', '--dont-fragment', *FAST, code=1)
    check('1500' in report['results'][0]['reason'], 'the MTU is not said:', report['results'][0])


# --- names that take their time ----------------------------------------------------------------------------

@test
def hanging_name_server_holds_nobody_up():
    write('/etc/nsswitch.conf', 'hosts: files dns\n')
    try:
        before = icmp_count('InEchoReps')
        with start('--json', 'hangs.example', *live(2000), 'hangs.too.example', 'here.example') as process:
            wait_until(lambda: icmp_count('InEchoReps') >= before + 2001, 'all addresses have answered', process)
            check(process.poll() is None, 'the name server did not hang')
            # The last reply may be in the kernel still: it is read before the signal is looked at.
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=DEADLINE_S)
    finally:
        write('/etc/nsswitch.conf', 'hosts: files\n')
    same(process.returncode, 130)
    report = json.loads(out)
    check_document(report)
    same([r['outcome'] for r in report['results']],
         ['unfinished'] + ['reachable'] * 2000 + ['unfinished', 'reachable'])


@test
def dead_name_server_ends_as_not_found():
    write('/etc/nsswitch.conf', 'hosts: files dns\n')
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        report = document('10.0.0.1', 'here.example', 'hangs.example', code=2)
    finally:
        write('/etc/nsswitch.conf', 'hosts: files\n')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    same([r['outcome'] for r in report['results']], ['reachable', 'reachable', 'not-found'])
    used_ms = 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    check(used_ms < report['elapsed_ms'] / 3, 'it spins instead of waiting:', used_ms, report['elapsed_ms'])


@test
def dead_name_server_is_given_up():
    """However many names there are: 60 of them took four times the three seconds of a lookup."""
    write('/etc/nsswitch.conf', 'hosts: files dns\n')
    names = [f'hangs{i}.example' for i in range(60)]
    try:
        report = document('10.0.0.1', 'here.example', *names, '--name-timeout', '1.5', code=2)
    finally:
        write('/etc/nsswitch.conf', 'hosts: files\n')
    same([r['outcome'] for r in report['results']], ['reachable', 'reachable'] + ['not-found'] * 60)
    same({r['reason'] for r in report['results'][2:]}, {'the name service did not answer in time'})
    check(1500 <= report['elapsed_ms'] < 2900, report['elapsed_ms'])


@test
def no_thread_without_a_name():
    before = icmp_count('OutEchos')
    with start('10.9.0.9', '--select-timeout', '30') as process:
        wait_until(lambda: icmp_count('OutEchos') > before, 'it has sent', process)
        same(len(os.listdir(f'/proc/{process.pid}/task')), 1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)


# --- ends that are not usual -------------------------------------------------------------------------------

@test
def interrupt_prints_what_is_known():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for arguments in ([], ['--json']):
            before = icmp_count('InEchoReps')
            with start('10.0.0.1', '10.9.0.9', '--select-timeout', '60', *arguments) as process:
                wait_until(lambda: icmp_count('InEchoReps') > before, 'the live one has answered', process)
                process.send_signal(number)
                out, _ = process.communicate(timeout=DEADLINE_S)
            same(process.returncode, 128 + number)
            if arguments:
                report = json.loads(out)
                check_document(report)
                same([r['outcome'] for r in report['results']], ['reachable', 'unfinished'])
                same(report['results'][1]['reason'], 'interrupted')
            else:
                check(out.startswith('2 targets: 1 reachable, 0 unreachable, 1 not known when interrupted;'), out)


@test
def slow_reader_of_a_nonblocking_pipe_gets_all():
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with subprocess.Popen([COMMAND, 'report', '--json', '10.1.0.0/20'], stdout=theirs, env=ENVIRONMENT) as process:
        os.close(theirs)
        with open(ours) as pipe:
            report = json.load(pipe)
    same((process.returncode, report['reachable']), (0, 4096))


@test
def output_that_cannot_be_written():
    for arguments in (['10.0.0.1'], ['--json', '-f', '-'], ['--csv', '10.0.0.1'], ['--help']):
        with open('/dev/full', 'w', encoding='ascii') as full:
            done = subprocess.run([COMMAND, 'report', *arguments], input='\n'.join(live(3000)), stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S, env=ENVIRONMENT,
                                  check=False)
        same(done.returncode, 4, arguments)
        check('cannot write' in done.stderr and 'No space left on device' in done.stderr, done.stderr)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([COMMAND, 'report', '10.0.0.1'], stdout=writer, stderr=subprocess.PIPE, text=True,
                          timeout=DEADLINE_S, env=ENVIRONMENT, check=False)
    os.close(writer)
    same(done.returncode, 4, 'closed pipe')
    check('Broken pipe' in done.stderr, done.stderr)


BAD_INPUTS = [
    # arguments, standard input, exit code, what standard error says
    ([], '', 3, 'no target given'),
    (['10.0.0.300'], '', 3, "'10.0.0.300' is neither an address nor a name"),
    (['10.0.0.0/33'], '', 3, "'10.0.0.0/33': expected a prefix length from 0 to 32"),
    (['10.0.0.0/7'], '', 3, "'10.0.0.0/7': too many: at most 16777216 addresses"),
    (['10.0.0.9-10.0.0.1'], '', 3, "'10.0.0.9-10.0.0.1': the range ends before it begins"),
    (['10.0.0.1', '--exclude', 'host'], '', 3, "'host': expected an address, a prefix or a range"),
    (['10.0.0.1', '--strict', '--exclude', '10.0.0.0/24'], '', 3, 'no target is left'),
    (['10.0.0.1', '--strict', '--shard', '2/2'], '', 3, 'no target is left'),
    (['::ffff:10.0.0.1'], '', 3, "'::ffff:10.0.0.1': it is an IPv4 address written as an IPv6 one"),
    (['b\u00fccher.example'], '', 3, "'b\u00fccher.example': a name beyond ASCII"),
    (['fe80::1%none0'], '', 3, "'fe80::1%none0': there is no such interface on this host"),
    (['fe80::1'], '', 3, "'fe80::1': it is link-local: say through which interface, as in fe80::1%NAME"),
    (['-f', '/nonexistent/list'], '', 4, '/nonexistent/list: cannot read it: No such file or directory'),
    (['-f', '/tmp'], '', 4, '/tmp: cannot read it: Is a directory'),
    (['-f', '/dev/null'], '', 3, '/dev/null: there is no target in it'),
    (['--strict', '-f', '-'], '10.0.0.1\n# ok\n10.0.0.2 10.0.0.x/\n', 3, "standard input:3: '10.0.0.x/' is neither"),
    (['10.0.0.1', '--exclude-file', '-'], '10.0.0.2\n10.0.0.x', 3, "standard input:2: '10.0.0.x': expected"),
    (['-f', '-'], '', 3, 'standard input: there is no target in it'),
    (['10.0.0.1', '--size', '70000'], '', 3, "--size '70000': expected a number from 24 to 65507"),
    (['10.0.0.1', '--size', '1'], '', 3, "--size '1': expected a number from 24 to 65507"),
    (['10.0.0.1', '--interface', 'none0'], '', 3, "--interface 'none0': there is no such interface"),
    (['10.0.0.1', '--source', '192.0.2.1'], '', 3, "--source '192.0.2.1': this host has no such address"),
    (['fd00:1::1', '--source', '2001:db8::1'], '', 3, "--source '2001:db8::1': this host has no such address"),
    (['10.0.0.1', '--source', 'me'], '', 3, "--source 'me': expected an address"),
    (['10.0.0.1', '--source', '224.0.0.1'], '', 3, "--source '224.0.0.1': it is a multicast address, no host's"),
    (['fd00:1::1', '--source', '::'], '', 3, "--source '::': it is the unspecified address, no host's"),
    (['10.0.0.1', '--select-timeout', '-1'], '', 3, "--select-timeout '-1': expected a time"),
    (['10.0.0.1', '--transport', 'udp'], '', 3, "--transport 'udp': expected auto, epoll, io_uring or poll"),
    (['10.0.0.1', '--nonsense'], '', 3, "'--nonsense'"),
    (['10.0.0.1', '-6'], '', 3, "'10.0.0.1': expected IPv6, as -6 says"),
    (['-4', '--strict', '-f', '-'], '10.0.0.0/30\nfd00::/126', 3, "standard input:2: 'fd00::/126': expected IPv4, as -4 says"),
    (['10.0.0.1', '--size', '\x1b[31m\n9'], '', 3, "--size '\\x1b[31m\\x0a9': expected a number"),
    (['10.0.0.1', '--\x07bell'], '', 3, "'--\\x07bell'"),
    (['-f', '/tmp/\x1b[2J'], '', 4, '/tmp/\\x1b[2J: cannot read it'),
    (['10.0.0.1', '--json-lines', '--output', '/tmp/a'], '', 3, '--output is for what is written at the end'),
]


@test
def bad_targets_cost_themselves_only():
    text = '10.0.0.1\n' + ''.join(f'10.0.{i}.x/\n10.0.1.{i} # good\n' for i in range(30)) + 'fe80::1%none0 0.0.0.0\n'
    code, out, error = run('--json', '-4', 'fd00:1::1', '-f', '-', stdin=text)
    report = json.loads(out)
    check_document(report)
    same((code, report['targets'], report['reachable'], report['invalid']), (2, 31, 31, 33))
    lines = error.splitlines()
    same(len(lines), 21, error)
    check("'fd00:1::1': expected IPv4, as -4 says" in lines[0], error)
    check("standard input:38: '10.0.18.x/' is neither" in lines[19], error)
    same(lines[20], 'reroute report: 13 more are no targets')
    code, out, _ = run('10.0.0.1', '10.0.0.x/', '-q')
    same((code, out.split(';')[0]), (2, '1 target: 1 reachable, 0 unreachable, 1 left out because they are no targets'))


@test
def nothing_to_exclude_and_nothing_to_ask():
    same(document('10.0.0.1', '--exclude-file', '/dev/null', '--exclude', '')['reachable'], 1)
    same(document('10.0.0.1', '-f', '/dev/null')['reachable'], 1, 'one list of two is empty')
    for arguments in (['10.0.0.1', '--shard', '2/2'], ['10.0.0.0/30', '--exclude', '10.0.0.0/24']):
        code, out, error = run('--json', *arguments)
        report = json.loads(out)
        check_document(report)
        same((code, report['targets'], report['results']), (0, 0, []), arguments)
        check('warning: no target is left' in error and error.count('\n') == 1, error)


@test
def names_of_no_host():
    write('/etc/hosts', HOSTS + '0.0.0.0 blocked.example\n224.0.0.9 group.example\n')
    try:
        report = document('blocked.example', '10.0.0.1', 'group.example', code=2)
    finally:
        write('/etc/hosts', HOSTS)
    same([r['outcome'] for r in report['results']], ['not-found', 'reachable', 'not-found'])
    check("no host's" in report['results'][0]['reason'], report)
    same(report['counters']['sent'], 1)


@test
def bad_inputs():
    for arguments, stdin, code, text in BAD_INPUTS:
        got, out, error = run(*arguments, stdin=stdin)
        same(got, code, f'exit code of {arguments}: {error}')
        check(text in error, arguments, 'says', error)
        check(error.startswith('reroute report: '), error)
        same(out, '', f'standard output of {arguments}')
        check(error.count('\n') <= 2, 'more than a line and a hint:', error)


@test
def help_text():
    code, out, error = run('--help')
    same((code, error), (0, ''))
    for word in ('--select-timeout', '--json', 'Exit code'):
        check(word in out, word)
    for line in out.splitlines():
        check(len(line) <= 110, 'a long line:', line)


@test
def no_permission_says_what_to_do():
    # The last test: in a user namespace the range cannot be set back to what it was, nobody.
    copy = shutil.copy(COMMAND, '/tmp/reroute')
    os.chmod(copy, stat.S_IRUSR | stat.S_IXUSR | stat.S_IROTH | stat.S_IXOTH)

    def drop():
        # No capability of root's survives, in a user namespace either.
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in range(64):
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
        libc.prctl(47, 4, 0, 0, 0)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL

    done = subprocess.run([copy, 'report', '10.0.0.1'], capture_output=True, text=True, preexec_fn=drop,
                          timeout=DEADLINE_S, env=ENVIRONMENT, check=False)
    same(done.returncode, 4, done.stderr)
    check('CAP_NET_RAW' in done.stderr and 'ping_group_range' in done.stderr, done.stderr)
    same(done.stderr.count('\n'), 1, 'one line')
    write('/proc/sys/net/ipv4/ping_group_range', '0 0')
    done = subprocess.run([copy, 'report', '10.0.0.1'], capture_output=True, text=True, preexec_fn=drop,
                          timeout=DEADLINE_S, env=ENVIRONMENT, check=False)
    same(done.returncode, 0, 'ping sockets are allowed: ' + done.stderr)


main()
