#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tests of one Criterion program have one .timeout at most. Criterion keeps the deadlines of tests that run side by side
in a list. A deadline that is earlier than one of the list takes the place of all that are later: those tests are never
ended, and what is lost is a leak to the address sanitizer."""
import os
import re
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIMEOUT = re.compile(r"^Test(?:Suite)?\([^{;]*?\.timeout\s*=\s*([^,)]+)", re.M)


def timeouts(text):
    """The different ones of a program's tests, as they are written."""
    return sorted(set(found.strip() for found in TIMEOUT.findall(text)))


def main():
    tap = Tap()
    for text, expected in (("Test(a, b, .timeout = 60)\n{\n}\nTest(a, c, .init = d, .timeout = 60)\n{", ["60"]),
                           ("TestSuite(a, .timeout = 60);\nTest(a, b,\n     .timeout = 5 * LONG)\n{", ["5 * LONG", "60"]),
                           ("Test(a, b)\n{\n    x = (struct y){.timeout = 3};\n}", [])):
        tap.ok(timeouts(text) == expected, f"the timeouts of {text!r}", str(timeouts(text)))
    bad, seen = [], 0
    for folder, _, files in os.walk(TESTS):
        for name in sorted(f for f in files if f.endswith(".c")):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                found = timeouts(f.read())
            seen += bool(found)
            if len(found) > 1:
                bad.append(f"{os.path.relpath(os.path.join(folder, name), TESTS)}: {', '.join(found)}")
    tap.ok(seen > 0 and not bad, "one timeout in a program", "\n".join(bad))
    return tap.done()


sys.exit(main())
