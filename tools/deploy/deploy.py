# SPDX-License-Identifier: Apache-2.0
"""`reroute deploy`: puts reroute on hosts over ssh, and looks after it there. Started by deploy.c, which has read the
options: the arguments are the program itself and NAME=VALUE.

    hosts.py, template.py   the list of hosts, a configuration for each; pure
    kinds.py                what each kind of host needs, what differs, which steps; pure
    desk.py                 what was given, the ways to the hosts, the end
    remote.py               ssh
    host.sh                 what runs on a host
    vmkernel.sh.in          the service on VMkernel
    work.py                 one host, from looking to its result
    show.py                 progress, table, document"""
import functools
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from desk import AT_ONCE, EXIT_INTERRUPTED, EXIT_NOT_ALL, end, read, ssh_words, ways
from hosts import Bad, choose, parse_list
from kinds import KINDS, SERVICE_FILES, vib_version, words_of
from show import Progress, document, text
from template import check_local, check_words, fill
from work import Programs, Wanted, Work

HERE = os.path.dirname(os.path.abspath(__file__))


class Options:
    def __init__(self, words):
        pairs = [word.partition("=")[::2] for word in words]
        given = dict(pairs)
        self.action = given["action"]
        self.list, self.config, self.binary, self.vib = (given.get(name) for name in ("hosts", "config", "binary", "vib"))
        self.hosts = [value for name, value in pairs if name == "host"]
        self.ssh = ssh_words(given.get("ssh"))
        self.rolling, self.wait_s = int(given["rolling"]), int(given["wait"])
        self.route, self.dry_run, self.json = (name in given for name in ("route", "dry-run", "json"))


def own(name):
    return read(os.path.join(HERE, name))


def check_config(program, config, name, host):
    """The check that will be made on the host, before any host is asked. Lines are those of the template."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="reroute-deploy-", suffix=".conf") as file:
        file.write(config)
        file.flush()
        done = subprocess.run([program, "check-config", "--quiet", file.name], capture_output=True, encoding="utf-8",
                              errors="replace", check=False)
        if done.returncode != 0:
            line = (done.stderr.strip().splitlines() or ["check-config does not say why"])[-1]
            raise Bad(f"{line.replace(file.name, name)} (filled for {host.name})")


def check_template(program, template, name, hosts):
    for host in hosts:
        check_words(template, name, host)
        check_local(template, host)
        check_config(program, fill(template, name, host, words_of(KINDS["systemd"])), name, host)


def programs(given, own_program):
    found = Programs(given, own_program)
    try:
        if given:
            found.read(given)
    except OSError:
        raise Bad(f"--binary {given}: expected a file that can be read") from None
    return found


def read_vib(path):
    try:
        with open(path, "rb") as f:
            data = f.read()
    except OSError as error:
        raise Bad(f"--vib {path}: {error.strerror}") from None
    if vib_version(data) is None:
        raise Bad(f"--vib {path}: expected a VIB of reroute, as tools/build-vib makes")
    return data


def prepare(program, options):
    """(hosts, what they are to have). Bad: something that was given is wrong; nothing was asked of any host."""
    listed = parse_list(read(options.list), options.list) if options.list else None
    hosts = choose(listed, options.hosts)
    template = read(options.config) if options.config else None
    if template is not None:
        check_template(program, template, options.config, hosts)
    return hosts, Wanted(programs(options.binary, program), template, options.config,
                         {name: own(name) for name in SERVICE_FILES}, read_vib(options.vib) if options.vib else None)


# --- all hosts ------------------------------------------------------------------------------------------------------

def not_begun(work, reason):
    work.result.update(result="not begun", reason=reason)
    return work.result


def failed(result):
    return result["result"] in ("failed", "not begun", "differs")


def first_illness(works):
    """(name, why) of the first host that is not well, None: all are."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for work, why in zip(works, pool.map(Work.unhealthy, works)):
            if why:
                return work.host.name, why
    return None


def roll(works, at_a_time, asks):
    """Some at a time; asks: whether those that are done must be well before others are begun."""
    results, stopped = [], None
    for begin in range(0, len(works), at_a_time):
        batch = works[begin:begin + at_a_time]
        if stopped:
            results += [not_begun(work, stopped) for work in batch]
            continue
        with ThreadPoolExecutor(at_a_time) as pool:
            results += pool.map(Work.run, batch)
        broken = next((r for r in results[begin:] if failed(r)), None)
        if broken:
            stopped = f"{broken['name']} failed"
        elif asks:
            ill = first_illness(works[:begin + len(batch)])
            stopped = f"{ill[0]} is done and not well: {ill[1]}" if ill else None
    return results


def run_all(works, options):
    if options.rolling:
        return roll(works, options.rolling, options.action != "clear" and not options.dry_run)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(Work.run, works))


def deploy(program, options):
    hosts, wanted = prepare(program, options)
    progress = Progress([host.name for host in hosts])
    with ways(hosts, options.ssh) as (running, remotes):
        works = [Work(remote, wanted, options, functools.partial(progress.say, remote.host.name)) for remote in remotes]
        try:
            results = run_all(works, options)
        finally:
            progress.end()
    good = not any(failed(result) for result in results)
    print(document(options.action, options.dry_run, good, results) if options.json else text(results), end="",
          flush=True)
    if running.stopped:
        return EXIT_INTERRUPTED
    return 0 if good else EXIT_NOT_ALL


sys.exit(end("reroute deploy", lambda: deploy(sys.argv[1], Options(sys.argv[2:]))))
