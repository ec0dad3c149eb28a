# SPDX-License-Identifier: Apache-2.0
"""TAP, for the tests in Python: results one by one (Tap), or a program of functions, each a test that fails by an
exception (test, check, same, run).

Who imports it can import netlab too, from tools/."""
import os
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tools"))


def skip(why):
    """Ends the program: nothing can be tested here. (Meson takes any other exit code for an error.)"""
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def unshared(*kinds):
    """The command that runs one in namespaces of its own ("--net" and so on), of an ordinary user too. Skips where there
    are none to be had, in unshare's own words."""
    own = ["unshare", *kinds] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    done = subprocess.run([*own, "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        more = "" if os.geteuid() == 0 else "; run it as root, or allow unprivileged user namespaces"
        skip(f"no namespaces: {' '.join(done.stderr.split())}{more}")
    return own


class Tap:
    """Counts and prints; leave with sys.exit(tap.done())."""

    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, what, detail=""):
        self.count += 1
        self.failed += not good
        # A '#' would begin a directive.
        print(f"{'ok' if good else 'not ok'} {self.count} - {what.replace('#', '')}", flush=True)
        if not good:
            self.say(detail, "  ")
        return good

    def skipped(self, what, why):
        """A result that is none, for want of something."""
        self.count += 1
        print(f"ok {self.count} - {what} # SKIP {why}", flush=True)

    def say(self, text, indent=""):
        for line in str(text).splitlines():
            print(f"# {indent}{line}", flush=True)

    def done(self):
        """The exit code."""
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed else 0


# --- a program of functions --------------------------------------------------------------------------------------

tests = []


class Skip(Exception):
    """Raised in a test: something is missing for it."""


def test(function):
    tests.append(function)
    return function


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def same(got, want, what=""):
    check(got == want, f"{what}: got {got!r}, expected {want!r}")


def run():
    """All functions marked with @test; the exit code."""
    tap = Tap()
    for function in tests:
        name = function.__name__.replace("_", " ")
        try:
            function()
            tap.ok(True, name)
        except Skip as why:
            tap.skipped(name, why)
        except Exception as error:  # a broken test is a failed one, the others still count
            tap.ok(False, name, f"{type(error).__name__}: {error}"[:1000])
    return tap.done()
