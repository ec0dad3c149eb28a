# SPDX-License-Identifier: Apache-2.0
"""What documents and the examples of manual pages show: commands, what they print, configurations."""
import glob
import itertools
import os
import re
import shlex
import shutil

from markdown import Page, without_comment
from told import ROOT, ManualPage

# What blocks show that are no commands, by how they begin.
KINDS = {"template": r"(?s)service +=.*@", "configuration": "service +=", "hosts": r"\S+ +ssh=", "list": r'\{"ec"',
         "prometheus": "scrape_configs:", "status": "service   192.168.33.2 via"}


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


def blocks_of(page, kind):
    return [block for block in page.blocks
            if next((k for k, begin in KINDS.items() if re.match(begin, "\n".join(block))), None) == kind]


def code_of(page):
    """All that can be a command. Where some lines begin with $, others are what those print."""
    lines = [line for block in page.blocks for line in [line for line in block if line.startswith("$ ")] or whole(block)]
    return map(bare, [*lines, *page.spans])


def printed_by(page):
    """What stands behind a command: (command, lines). ... is where some are left out."""
    for block in page.blocks:
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


def shown_commands(pages, wanted):
    """Those that match, each once, with the first page that has it."""
    commands = {}
    for name, page in pages.items():
        for command in filter(wanted.match, code_of(page)):
            commands.setdefault(command, name)
    return commands
