# SPDX-License-Identifier: Apache-2.0
"""What documents and the examples of manual pages show: commands, what they print, configurations."""
import glob
import itertools
import os
import re
import shlex
import shutil

from command_tables import PICTURES
from markdown import Page, without_comment
from told import BUILD, ROOT, ManualPage

# With an operand; by a path also without.
COMMAND = re.compile(r"(?:\$ )?(?:sudo |(?:reroute|systemctl|journalctl|meson|ninja|ip|ps|ss|grep|sysctl|gnuplot|promtool|jq|"
                     r"esxcli|esxcfg-\w+|vi|scp|ssh|ssh-keygen|unshare|sleep|clang-format|systemd-sysusers|"
                     r"(?:build|tools|/etc/init\.d|/opt/reroute/bin)/[\w/-]+) )")
PROGRAM = re.compile(r"(build|tools)/([\w/-]+)")
STATUS = "service   192.168.33.2 via"


def is_command(line):
    program = PROGRAM.fullmatch(line.removeprefix("sudo "))
    path = program and os.path.join(BUILD if program[1] == "build" else os.path.join(ROOT, "tools"), program[2])
    return bool(COMMAND.match(line) or path and os.path.isfile(path) and os.access(path, os.X_OK))


def bare(command):
    """Without what differs from host to host: how it becomes root's, and where reroute is."""
    return re.sub(r"^(?:\$ )?(?:sudo )?(?:(?:build|/opt/reroute/bin)/(?=reroute))?", "", command)


def whole(lines):
    """Without comments. A text between quotes may go on in the next line."""
    joined = []
    for line in map(without_comment, lines):
        if joined and is_open(joined[-1]):
            joined[-1] += "\n" + line
        else:
            joined.append(line)
    return joined


def is_open(text):
    try:
        shlex.split(text)
    except ValueError:
        return True
    return False


def what_block(block):
    """command, printed, configuration, template, hosts, list, prometheus, status, picture; None: none of these."""
    first = block[0]
    if all(is_command(line) for line in whole(block)):
        return "command"
    if first.startswith("$ "):
        return "printed"
    if re.match("service +=", first):
        return "template" if "@" in "".join(block) else "configuration"
    if "ssh=" in first:
        return "hosts"
    if first.startswith('{"ec"'):
        return "list"
    if first.startswith("scrape_configs:"):
        return "prometheus"
    return "status" if first.startswith(STATUS) else "picture" if first.strip().startswith(PICTURES) else None


def blocks_of(page, what):
    return [block for block in page.blocks if what_block(block) == what]


def commands_of(page):
    shown = [line for block in blocks_of(page, "command") for line in whole(block)]
    shown += [line for block in blocks_of(page, "printed") for line in block if line.startswith("$ ")]
    return [bare(code) for code in [*shown, *filter(is_command, page.spans)]]


def printed_by(page):
    """What stands behind a command: (command, lines). ... is where some are left out."""
    for block in blocks_of(page, "printed"):
        starts = [i for i, line in enumerate(block) if line.startswith("$ ")] + [len(block)]
        for begin, end in itertools.pairwise(starts):
            yield bare(block[begin]), [line for line in block[begin + 1:end] if line != "..."]


def read_pages():
    pages = {}
    for path in [os.path.join(ROOT, "README.md"), *sorted(glob.glob(os.path.join(ROOT, "tools", "doc", "*.md")))]:
        with open(path, encoding="utf-8") as f:
            pages[os.path.basename(path)] = Page(f.read())
    if shutil.which("mandoc"):
        pages |= {os.path.basename(path): ManualPage(path)
                  for path in sorted(glob.glob(os.path.join(ROOT, "tools", "man", "*.[1-9]")))}
    return pages


def all_commands(pages):
    """Each once, with the first page that has it."""
    commands = {}
    for name, page in pages.items():
        for command in commands_of(page):
            commands.setdefault(command, name)
    return commands
