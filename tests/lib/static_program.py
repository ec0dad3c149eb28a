# SPDX-License-Identifier: Apache-2.0
"""The program that tools/build-static makes, for the tests that run it where it is."""
import os
import subprocess


def why_not(program):
    """Why it cannot be tested (None: nobody names one): there is none, or it is of other sources than these; "": it can be."""
    if not program or not os.path.exists(program):
        return "tools/build-static has not been run"
    made = os.path.join(os.path.dirname(os.path.realpath(program)), "meson")
    done = subprocess.run(["ninja", "-C", made, "-n", "reroute"], capture_output=True, text=True)
    if "no work to do" in done.stdout and os.path.getmtime(program) >= os.path.getmtime(os.path.join(made, "reroute")):
        return ""
    return "build-static/reroute is older than its sources: run tools/build-static again"
