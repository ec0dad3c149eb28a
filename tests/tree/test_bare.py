#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the README's commands do where nothing is prepared: no python3, no compiler, no sudo, only what every Debian
has. They must come as far as apt-get, which is ours here and installs nothing. (tools/bare tries the whole of it.)"""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests", "lib"))
from tap import Tap, skip

ESSENTIAL = ("bash cat chmod chown cp cut date dirname env grep head id ls mkdir mktemp mount mv realpath rm sed sh sort "
             "tail touch tr uname").split()
INSTALLS = {"gcc", "pkg-config", "meson", "ninja-build", "python3", "libevent-dev", "libcriterion-dev"}
if os.geteuid() != 0:
    skip("needs root, for a mount namespace")
tap = Tap()


class Bare:
    """A machine in a directory: its commands, its release, a checkout, and what was asked of apt-get and sudo."""

    def __init__(self, directory, *more):
        self.directory = directory
        self.asked = os.path.join(directory, "asked")
        self.bin = os.path.join(directory, "bin")
        self.release = os.path.join(directory, "os-release")
        os.mkdir(self.bin)
        for name in ESSENTIAL:
            os.symlink(shutil.which(name), os.path.join(self.bin, name))
        for name in ("apt-get", "apt-cache", *more):
            path = os.path.join(self.bin, name)
            with open(path, "w", encoding="ascii") as f:
                f.write(f'#!/bin/bash\necho "{name} $*" >>{self.asked}\n')
            os.chmod(path, 0o755)
        open(self.asked, "w", encoding="ascii").close()
        os.chmod(self.asked, 0o666)
        self.checkout = os.path.join(directory, "checkout")
        os.makedirs(os.path.join(self.checkout, "tools"))
        for name in ("demo", "test", "setup", "root.sh"):
            shutil.copy(os.path.join(ROOT, "tools", name), os.path.join(self.checkout, "tools"))
        self.is_a("debian", "12")

    def is_a(self, name, version):
        with open(self.release, "w", encoding="ascii") as f:
            f.write(f'ID={name}\nVERSION_ID="{version}"\nPRETTY_NAME="The {name} {version}"\n')

    def run(self, command, *before):
        """(exit code, output, what was asked)"""
        setup = 'mount --bind "$1" "$(realpath /etc/os-release)"; export PATH="$2"; shift 2; exec "$@"'
        done = subprocess.run([shutil.which("unshare"), "--mount", "bash", "-c", setup, "bare", self.release, self.bin, *before,
                               os.path.join(self.checkout, command)], stdin=subprocess.DEVNULL, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={})
        with open(self.asked, encoding="ascii") as f:
            return done.returncode, done.stdout, f.read()


def bare(function):
    """Calls it with a directory that goes with it."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        function(directory)


@bare
def from_nothing(directory):
    for command in ("tools/setup", "tools/demo", "tools/test"):
        os.mkdir(os.path.join(directory, os.path.basename(command)))
        machine = Bare(os.path.join(directory, os.path.basename(command)))
        code, output, asked = machine.run(command)
        installed = {word for line in asked.splitlines() if " install " in line for word in line.split()}
        tap.ok(code == 1 and INSTALLS <= installed and "apt-get update" in asked,
               f"{command} gets what is missing from apt-get", f"{code}\n{output}\n{asked}")
        tap.ok(("nfs-ganesha" in installed) is (command == "tools/test"), "... an NFS server only for the tests", asked)
        tap.ok("still missing" in output and "not found" not in output and "No such file" not in output,
               "... and says what is missing all the same", output)


@bare
def old_release(directory):
    machine = Bare(directory)
    for name, version, good in (("debian", "11", False), ("debian", "13", True), ("debian", "", True),
                                ("ubuntu", "22.04", False), ("ubuntu", "24.04", True), ("linuxmint", "9", True)):
        machine.is_a(name, version)
        code, output, asked = machine.run("tools/setup")
        refused = code == 1 and f"setup: The {name} {version} is too old; Debian 12" in output
        tap.ok(refused is not good and ("apt-get" in asked) is good,
               f"{name} {version or 'unstable'} is {'' if good else 'not '}supported", f"{code}\n{output}\n{asked}")
        open(machine.asked, "w", encoding="ascii").close()


USER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@bare
def no_root_and_no_sudo(directory):
    machine = Bare(directory)
    os.symlink(shutil.which("setpriv"), os.path.join(machine.bin, "setpriv"))
    for command in ("tools/demo", "tools/test"):
        code, output, asked = machine.run(command, *USER)
        tap.ok(code == 1 and output.count("\n") == 1 and "run it as root" in output and asked == "",
               f"{command} by an ordinary user without sudo says what to do", f"{code}\n{output}\n{asked}")


@bare
def sudo(directory):
    machine = Bare(directory, "sudo")
    os.symlink(shutil.which("setpriv"), os.path.join(machine.bin, "setpriv"))
    for command in ("tools/demo", "tools/test"):
        code, output, asked = machine.run(command, *USER)
        tap.ok(code == 0 and asked.endswith(f"sudo {os.path.join(machine.checkout, command)}\n"),
               f"{command} becomes root by sudo", f"{code}\n{output}\n{asked}")


sys.exit(tap.done())
