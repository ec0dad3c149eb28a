# SPDX-License-Identifier: Apache-2.0
"""What people and programs see: progress while it runs, a table and reasons, or one document."""
import json
import os
import sys
import threading
import time

COLUMNS = (("HOST", "name"), ("KIND", "kind"), ("RESULT", "result"), ("VERSION", "version"), ("CONFIG", "config"), ("SERVICE", "service"),
           ("BOOT", "boot"), ("AGENT", "agent"), ("ROUTE", "route"))

# In the table of what is long: yes or no, the beginning of a checksum.
SHORT = {"boot": lambda value: value.partition(":")[0], "config": lambda value: value[:8]}


def escaped(c):
    """A character by its bytes: a byte that was no text (PEP 383) is itself; half of a pair, which JSON may have, counts too."""
    return "".join(f"\\x{b:02x}" for b in c.encode(errors="surrogateescape" if "\udc80" <= c <= "\udcff" else "surrogatepass"))


def clean(text):
    """Text of others, so that it acts on no terminal."""
    return "".join(c if c.isprintable() else escaped(c) for c in text)


def aligned(rows):
    """Lines of columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def cell(result, key):
    value = result.get(key)
    if value is None:
        return "-"
    if key in SHORT:
        value = SHORT[key](value)
    return clean(str(value))


def text(results):
    """A table; below it what is to be said of each host, one line each."""
    lines = aligned([[head for head, _ in COLUMNS]] + [[cell(r, key) for _, key in COLUMNS] for r in results])
    for result in results:
        for line in [result["reason"]] if result["reason"] else result["differences"]:
            lines.append(f"{result['name']}: {clean(line)}")
        if result.get("note"):
            lines.append(f"{result['name']}: {clean(result['note'])}")
        if result["result"] == "planned":
            lines.append(f"{result['name']} ({result['kind']}), nothing of this is done:")
            lines += [f"  {number}. {clean(step)}" for number, step in enumerate(result["steps"], 1)]
    return "\n".join(lines) + "\n"


def document(action, dry_run, good, results):
    return json.dumps({"schema": "reroute.deploy/1", "action": action, "dry_run": dry_run, "ok": good,
                       "hosts": results}, indent=2) + "\n"


def progress_lines(names, began, says, over, now, size):
    """A line for each host, cut to the size (columns, lines) of a screen; one for all where that would not hold them."""
    columns, lines = size
    if len(names) >= lines:
        return [f"{len(over)} of {len(names)} hosts done"]
    return [clean(line)[:columns - 1] for line in aligned(
        [[name, f"{now - began[name]:.0f} s" if name in began else "", says.get(name, "waits")] for name in names])]


def screen_size():
    """Of the terminal that is drawn on; some do not tell theirs."""
    columns, lines = os.get_terminal_size(sys.stderr.fileno())
    return columns or 80, lines or 24


class Progress:
    """What each host does, drawn again when something changes; only on a terminal that can."""

    def __init__(self, names):
        self.names, self.lock, self.drawn = names, threading.Lock(), 0
        self.began, self.says, self.over = {}, {}, set()
        self.shown = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def say(self, name, words, over=False):
        with self.lock:
            self.began.setdefault(name, time.monotonic())
            self.says[name] = words
            if over:
                self.over.add(name)
            if self.shown:
                self.draw()

    def draw(self):
        lines = progress_lines(self.names, self.began, self.says, self.over, time.monotonic(),
                               screen_size())
        up = f"\x1b[{self.drawn}A" if self.drawn else ""  # ECMA-48: cursor up, erase to the end of the line
        sys.stderr.write(up + "".join(f"{line}\x1b[K\n" for line in lines))
        sys.stderr.flush()
        self.drawn = len(lines)

    def end(self):
        """Wipes it away: the table takes its place."""
        if self.drawn:
            sys.stderr.write(f"\x1b[{self.drawn}A\x1b[J")
            sys.stderr.flush()
            self.drawn = 0
