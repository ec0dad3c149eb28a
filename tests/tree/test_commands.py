#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each command of reroute that a document shows, and each example of a manual page, is run on the host of a lab whose
addresses are the documents', with the configuration of README.md; or command_tables.py has it, with the reason. What stands
behind a command that begins with $ is what it prints. Configurations that documents show are good ones."""
import contextlib
import os
import re
import shutil
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(TOP, "tests", "lib"), os.path.join(TOP, "tools", "deploy")]
from hosts import parse_list
from tap import Tap, skip
from netlab.lab import Lab
from netlab.wait import Failed, wait_for
from command_tables import ENDLESS, EXIT_CODES, PREPARED, STANDS_FOR, UNDONE, WITHOUT_AGENT, is_run, unused
from document_host import Host, hide_system, own_directories
from shown import blocks_of, printed_by, read_pages, shown_commands
from template import check_local, check_words, fill

SERVICE, ACCESS = 'service = "192.168.33.2"\n', 'access "node1" { data = "10.10.85.15" }\n'
COMMAND = re.compile("reroute [a-z]")
FRAGMENT = re.compile(r'(?:(?!service)[a-z][\w-]* = (?:"[^"]*"|\{.*\}|\w+)|(?:probe|session|route|log) \{ [^.]*=.*\})')
PLACES = ("%s", "probe { %s }", "session { %s }", "route { %s }", "log { %s }",
          'access "node2" { data = "10.10.85.16" %s }')
# What differs from run to run in a status: times, UUIDs, numbers that are no addresses, and how old a session is.
CHANGING = re.compile(r"(?<![\w.])(?:[\d-]{10}T[\d:.]+Z|[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}|\d+(?:\.\d+)?|alive|stable)(?![\w.])")


# --- configurations ----------------------------------------------------------------------------------------------

def is_good(host, text):
    """(good, what is said)"""
    host.write("tried.conf", text + "\n")
    code, output = host.run("reroute check-config tried.conf")
    return code == 0, output


def check_configurations(tap, host, name, page):
    for block in blocks_of(page, "configuration"):
        good, said = is_good(host, "\n".join(block))
        tap.ok(good, f"{name}: a good configuration: {block[1]}", said)
    for fragment in dict.fromkeys(code for code in page.code if FRAGMENT.fullmatch(code) and "..." not in code):
        base = SERVICE + ("" if fragment.startswith("bootstrap") else ACCESS)
        tap.ok(any(is_good(host, base + place % fragment)[0] for place in PLACES),
               f"{name}: a key with a good value: {fragment}")


def check_templates(tap, host, name, page):
    """With the list of hosts it gives a good configuration for each."""
    for template in map("\n".join, blocks_of(page, "template")):
        for one in parse_list("\n".join(blocks_of(page, "hosts")[0]), "hosts"):
            check_words(template, "template", one)
            check_local(template, one)
            good, said = is_good(host, fill(template, "template", one, {}))
            tap.ok(good, f"{name}: the template is good for {one.name}", said)


def check_lists(tap, host, name, page):
    """A list of sessions is one."""
    for block in blocks_of(page, "list"):
        host.write("sessions.json", "\n".join(block))
        host.write("list.conf", SERVICE + f'session {{ provider = "file" file = "{host.directory}/sessions.json" }}\n')
        code, output = host.run("reroute sessions --config list.conf")
        tap.ok(code == 0 and "10.10.85.15" in output, f"{name}: a list of sessions", output)


def check_prometheus(tap, host, name, page):
    for block in blocks_of(page, "prometheus"):
        if not shutil.which("promtool"):
            tap.skipped(f"{name}: a configuration of Prometheus", "no promtool here: tools/setup --tests installs it")
            continue
        host.write("prometheus.yml", "\n".join(block))
        code, output = host.run("promtool check config prometheus.yml")
        tap.ok(code == 0, f"{name}: a configuration of Prometheus", output)


# --- commands ----------------------------------------------------------------------------------------------------

def masked(lines):
    return [" ".join(CHANGING.sub("*", line).split()) for line in lines]


def check_status(tap, host, page):
    """README.md shows it behind a failover, when home is well again, and before there is an advice."""
    def status():
        return masked(host.run("reroute status")[1].splitlines())

    def lost():
        printed = before + status()
        return [line for line in masked(shown) if line not in printed]

    [shown] = blocks_of(page, "status")
    host.with_agent(True)
    before = status()
    host.lab.cut("scvm1", "data")
    tap.ok(wait_for(lambda: "via 10.10.85.16" in status()[0]), "a failover", host.log())
    host.lab.plug("scvm1", "data")
    tap.ok(wait_for(lambda: not lost()), "README.md: the status", "\n".join([*lost(), "is not in", *before, *status()]))
    host.run("reroute failback --now")
    tap.ok(wait_for(lambda: "via 10.10.85.15" in status()[0]), "home again", host.log())


def lost_line(output, lines):
    """The first line of the document that the command does not print behind the ones before; None: it prints all. A
    line may be broken elsewhere."""
    printed, at = output.split(), 0
    for words in map(str.split, lines):
        starts = range(at, len(printed) - len(words) + 1)
        at = next((i + len(words) for i in starts if printed[i:i + len(words)] == words), None)
        if at is None:
            return " ".join(words)
    return None


def check_command(tap, host, name, command, printed):
    run = command
    for placeholder, value in STANDS_FOR.items():
        run = re.sub(rf"\b{placeholder}\b", value, run)
    if "| jq " in run and not shutil.which("jq"):
        tap.skipped(f"{name}: {command}", "no jq here: tools/setup --tests installs it")
        return
    host.with_agent(not command.startswith(WITHOUT_AGENT))
    if command in PREPARED:
        host.run(PREPARED[command])
    text, wanted = ENDLESS.get(command, (None, EXIT_CODES.get(command, 0)))
    code, output = host.run(run) if text is None else host.run_endless(run, text)
    tap.ok(code == wanted, f"{name}: {command}", f"exit code {code}, expected {wanted}: {output[-2000:]}")
    for lines in printed:
        lost = lost_line(output, lines)
        tap.ok(lines and lost is None, f"... prints what stands there: {lines[0]}", f"{lost}\nis not in\n{output}")
    if command in UNDONE:
        host.run(UNDONE[command])


# -----------------------------------------------------------------------------------------------------------------

def check_commands(tap, host, pages):
    """Each once. Those in whose way an agent would be are the last: so it is not started again and again."""
    commands = shown_commands(pages, COMMAND)
    run = sorted(filter(is_run, commands), key=lambda command: command.startswith(WITHOUT_AGENT))
    printed = [pair for page in pages.values() for pair in printed_by(page)]
    tap.ok(len(run) >= 30, "the commands are found", commands)
    if "reroute.8" in pages:
        tap.ok(not unused(commands), "... and each that the tables have", "\n".join(unused(commands)))
    else:
        tap.skipped("the examples of the manual pages", "no mandoc here: tools/setup --tests installs it")
    for command in run:
        check_command(tap, host, commands[command], command, [lines for c, lines in printed if c == command])
    tap.say(f"{len(commands) - len(run)} more are not run: tests/tree/command_tables.py says why")
    host.with_agent(False)


def main():
    own_directories()
    tap, pages = Tap(), read_pages()
    with contextlib.ExitStack() as stack:
        hide_system()
        try:
            lab = stack.enter_context(Lab(f"rr-documents-{os.getpid()}", 3))
        except Failed as why:
            skip(f"no lab: {why}")
        host = Host(lab)
        for name, page in pages.items():
            check_configurations(tap, host, name, page)
            check_templates(tap, host, name, page)
            check_lists(tap, host, name, page)
            check_prometheus(tap, host, name, page)
        host.configure("\n".join(blocks_of(pages["README.md"], "configuration")[0]))
        check_status(tap, host, pages["README.md"])
        check_commands(tap, host, pages)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
