#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: what documents say of many hosts does what they say, word for word, on hosts behind sshd."""
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(os.path.dirname(HERE), "tree")]
from deploying import stage
from stage import REROUTE, missing, programs, skip
from netlab.namespace import entering
from tap import check, run, same, test
from command_tables import ON_HOSTS
from shown import read_pages, shown_commands

HOSTS = {"kvm1": "systemd", "kvm2": "systemd", "kvm3": "linux"}
STANDS_FOR = {"FILE": "hosts", "LIST": "hosts", "TEMPLATE": "reroute.conf.in"}


def commands():
    """In their order; who clears comes last."""
    return sorted(shown_commands(read_pages(), ON_HOSTS), key=lambda command: command.startswith("reroute deploy clear"))


def desk(s):
    """A directory to work in, with the files that the documents name, and ssh that knows the hosts."""
    place, bin_path = s.path("work"), s.path("bin")
    for directory in (place, bin_path, os.path.join(place, "build-static")):
        os.mkdir(directory)
    shutil.copy(s.list(), os.path.join(place, "hosts"))
    shutil.copy(s.template(), os.path.join(place, "reroute.conf.in"))
    programs(os.path.join(place, "build-static", "reroute"))
    os.symlink(REROUTE, os.path.join(bin_path, "reroute"))
    with open(os.path.join(bin_path, "ssh"), "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {s.path("ssh_config")} "$@"\n')
    os.chmod(f.name, 0o755)
    return place, {**os.environ, "PATH": f"{bin_path}:{os.environ['PATH']}"}


@test
def commands_of_documents():
    with stage(HOSTS) as s:
        place, environment = desk(s)
        check(len(commands()) >= 10, commands())
        for command in commands():
            for placeholder, value in STANDS_FOR.items():
                command = re.sub(rf"\b{placeholder}\b", value, command)
            done = subprocess.run(["sh", "-c", command], cwd=place, env=environment, stdin=subprocess.DEVNULL, text=True,
                                  capture_output=True, preexec_fn=entering(s.desk), check=False)
            same(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
            print(f"# {command}", flush=True)
        check(not any(host.exists("/usr/local/bin/reroute") for host in s.hosts.values()), "all is cleared")


if missing():
    skip(missing())
sys.exit(run())
