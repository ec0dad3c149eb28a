#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each command that README.md shows, and each example of reroute(8), is run on the host of a lab whose addresses are the
README's, with the configuration that the README shows; or it is in NOT_RUN, with the reason. Nothing of the machine is
changed: /etc, /run and /var/lib are the test's own."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(ROOT, "tests", "lib"), os.path.join(ROOT, "tools", "deploy")]
from hosts import parse_list
from tap import Tap, skip
from netlab.lab import Lab
from netlab.namespace import end_process, entering
from netlab.wait import Failed, wait_for
from markdown import Page, without_comment
from template import check_local, check_words, fill
from told import examples, shown

BUILD = os.environ.get("REROUTE_BUILD") or os.path.join(ROOT, "build")
COMMAND = re.compile(r"^(?:sudo|reroute|systemctl|journalctl|meson|ninja|tools/[\w-]+|build/\w+)(?= |$)")
NOT_RUN = {
    "tools/demo": "a minute; tests/lab/test_demo.py",
    "tools/demo --nfs": "minutes; tests/lab/test_demo.py",
    "tools/test": "this is one of its tests",
    "tools/setup && meson setup build && ninja -C build": "what is tested was built so; tools/bare begins with it",
    "meson setup build -Dcurl=disabled": "another build; tests/agent/test_without.py",
    "tools/build-static": "another build; tests/userworld",
    "tools/build-vib": "another build; tests/esxi",
    "tools/build-deb": "another build; tests/agent/test_deb.py",
    "tools/build-rpm": "another build; tests/agent/test_rpm.py",
    "sudo meson install -C build": "may build; tools/kernels installs",
    "sudo ninja -C build uninstall": "the same",
    "sudo systemctl daemon-reload": "needs a service manager; tests/agent/test_systemd.py boots one",
    "sudo systemctl enable --now reroute": "the same",
    "systemctl reload reroute": "the same",
    "systemctl disable --now reroute": "the same",
    "journalctl -u reroute": "the same",
    "sudo reroute bench tune --config /etc/reroute/reroute.conf": "ten minutes; tests/bench",
    "sudo tools/lab up 2": "another lab; tests/lab/test_lab.py",
    "sudo tools/lab down": "the same",
    "tools/lab": "says how it is called",
    "reroute status --all --hosts FILE": "needs hosts behind sshd; tests/deploy/test_overview.py",
}
# All of these are: need hosts behind sshd.
DEPLOYING = ("reroute deploy", "tests/deploy/test_hosts.py, tests/deploy/test_upgrades.py")
# Blocks that are no commands, by how they begin.
PICTURES = ("paths ──> probes",)
STATUS = "service   192.168.33.2 via"
# These do not end by themselves: what they print before Ctrl-C, and their exit code then.
ENDLESS = {
    "reroute agent --dry-run --config tools/reroute.conf.example": ("event=start", 0),
    "reroute agent --dry-run": ("event=decision", 0),
    "reroute agent --supervise": ("event=start", 0),
    "reroute report --watch=5s -f hosts.txt": ("reachable", 130),
    "reroute journal --since 1h --follow": ("the agent started", -signal.SIGINT),
}
OWN = ("/etc", "/run", "/var/lib")
# An agent would be in their way.
ALONE = ("reroute agent", "reroute clear")


def own_directories():
    """Nobody else sees from here on what this process and its children do to the system's directories, and with it all
    ends that it has started."""
    if os.geteuid() != 0:
        skip("needs root, for namespaces")
    place = next((place for place in OWN if any(path.startswith(f"{place}/") for path in (ROOT, BUILD))), None)
    if place:
        skip(f"the checkout or the build is below {place}, which is hidden here")
    if "REROUTE_OWN_DIRECTORIES" not in os.environ:
        os.environ["REROUTE_OWN_DIRECTORIES"] = "yes"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                              "--mount-proc", sys.executable, *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def hide_system(work):
    """/etc is a copy, /run and /var/lib are empty."""
    etc = os.path.join(work, "etc")
    shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
    for command in (["--bind", etc, "/etc"], ["-t", "tmpfs", "tmpfs", "/run"], ["-t", "tmpfs", "tmpfs", "/var/lib"]):
        subprocess.run(["mount", *command], check=True)
    with open("/etc/hosts", "a", encoding="ascii") as f:
        f.write("10.10.85.17 storage.example\n")


class Host:
    """The host of the lab, with a directory to work in, where `tools` is what a checkout has there."""

    def __init__(self, work, lab):
        self.lab = lab
        self.directory = os.path.join(work, "checkout")
        self.log_path = os.path.join(work, "agent.log")
        programs = os.path.join(work, "bin")
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        self.agent = None
        os.makedirs(self.directory)
        os.makedirs(programs)
        os.makedirs("/etc/reroute")
        os.symlink(os.path.join(ROOT, "tools"), os.path.join(self.directory, "tools"))
        os.symlink(os.path.join(BUILD, "reroute"), os.path.join(programs, "reroute"))
        with open(os.path.join(self.directory, "hosts.txt"), "w", encoding="ascii") as f:
            f.write("10.10.85.15\nstorage.example\n")

    def start(self, command, output):
        return subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=self.directory, env=self.environment,
                                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                preexec_fn=entering(self.lab.namespace("host")))

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def ends(self, process):
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(20)
        finally:
            end_process(process)

    def with_agent(self, wanted):
        if wanted and not self.agent:
            with open(self.log_path, "w", encoding="ascii") as log:
                self.agent = self.start("reroute agent", log)
            if not wait_for(lambda: "via 10.10.85.15" in self.run("reroute status")[1]):
                raise Failed(f"the agent is not at home: {self.log()}")
        elif self.agent and not wanted:
            self.ends(self.agent)
            self.agent = None

    def run(self, command):
        """(exit code, output)"""
        process = self.start(command, subprocess.PIPE)
        try:
            output = process.communicate(timeout=60)[0]
        finally:
            end_process(process)
        return process.returncode, output.decode(errors="replace")

    def run_endless(self, command, text):
        """The same; it gets Ctrl-C when it has said `text`. The exit code is None when it does not say so."""
        with open(self.log_path, "w", encoding="ascii") as log:
            process = self.start(command, log)
        said = wait_for(lambda: text in self.log() or process.poll() is not None) and text in self.log()
        code = self.ends(process)
        return code if said else None, self.log()


def commands_of(page):
    found = [without_comment(line) for line in page.code if COMMAND.match(line) and line != "reroute"]
    return list(dict.fromkeys(found))


def what_block(block):
    """command, configuration, template, hosts, picture, status; None: none of these."""
    if all(COMMAND.match(line) for line in block):
        return "command"
    if block[0].startswith("service = "):
        return "template" if "@" in "".join(block) else "configuration"
    if "ssh=" in block[0]:
        return "hosts"
    return "status" if block[0].startswith(STATUS) else "picture" if block[0].startswith(PICTURES) else None


def block_of(page, what):
    """The only one of its kind."""
    [lines] = [block for block in page.blocks if what_block(block) == what]
    return lines


def check_configuration(tap, host, text):
    with open("/etc/reroute/reroute.conf", "w", encoding="ascii") as f:
        f.write(text + "\n")
    code, output = host.run("reroute check-config")
    tap.ok(code == 0, f"a configuration is good: {text.splitlines()[1]}", output)


def check_configurations(tap, host, page):
    """The one in a block, which stays for the commands, and the one that is told between the words."""
    lines = block_of(page, "configuration")
    fragments = [code for code in page.code if re.match(r"(?:bootstrap = |session \{ )", code)]
    tap.ok(len(fragments) >= 2, "keys stand between the words", page.code)
    for text in [*(f"{lines[0]}\n{f}\n" + ("" if f.startswith("bootstrap") else "\n".join(lines[1:])) for f in fragments),
                 "\n".join(lines)]:
        check_configuration(tap, host, text)


def check_template(tap, host, page):
    """With the list of hosts it gives a good configuration for each."""
    template = "\n".join(block_of(page, "template"))
    for one in parse_list("\n".join(block_of(page, "hosts")), "hosts"):
        check_words(template, "template", one)
        check_local(template, one)
        check_configuration(tap, host, fill(template, "template", one, {}))


def check_status(tap, host, page):
    """What the page shows has the parts of what the command prints."""
    shown = block_of(page, "status")
    host.with_agent(True)
    printed = host.run("reroute status")[1].splitlines()
    for line in shown:
        first = line.split()[0] if not line.startswith("  ACCESS") else line.strip()
        if re.match(r"[a-z]+ |  ACCESS", line) and first != "failback":  # which comes and goes
            tap.ok(any(p.strip().startswith(first) for p in printed), f"the status has: {first}", "\n".join(printed))


def check_command(tap, host, command):
    why = NOT_RUN.get(command, DEPLOYING[1] if command.startswith(DEPLOYING[0]) else None)
    if why:
        tap.skipped(command, why)
        return
    run = command.removeprefix("sudo ").removeprefix("build/")
    host.with_agent(not run.startswith(ALONE))
    text, wanted = ENDLESS.get(run, (None, 0))
    code, output = host.run_endless(run, text) if text else host.run(run)
    tap.ok(code == wanted, command, f"exit code {code}, expected {wanted}: {output}")


def main():
    own_directories()
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        tap, page = Tap(), Page(f.read())
    commands = commands_of(page)
    strange = [block[0] for block in page.blocks if what_block(block) is None]
    tap.ok(not strange, "each block is known", "\n".join(strange))
    tap.ok(len(commands) >= 30, "the commands are found", commands)
    gone = [c for c in NOT_RUN if c not in commands]
    tap.ok(not gone, "what is not run is in the page", "\n".join(gone))
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory())
        hide_system(work)
        try:
            lab = stack.enter_context(Lab(f"rr-readme-{os.getpid()}", 3))
        except Failed as why:
            skip(f"no lab: {why}")
        host = Host(work, lab)
        check_template(tap, host, page)
        check_configurations(tap, host, page)
        check_status(tap, host, page)
        if shutil.which("mandoc"):
            commands += examples(shown(os.path.join(ROOT, "tools", "man", "reroute.8")))
            shutil.copy("/etc/reroute/reroute.conf", os.path.join(host.directory, "new.conf"))
        else:
            tap.skipped("the examples of reroute(8)", "no mandoc here: tools/setup --tests installs it")
        for command in commands:
            check_command(tap, host, command)
        host.with_agent(False)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
