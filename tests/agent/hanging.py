# SPDX-License-Identifier: Apache-2.0
"""A disk that hangs while a file is there: by a library that is preloaded, see hang.c."""
import functools
import os

from harness import BUILD, SANITIZED

NO_PRELOAD = "a sanitizer must be loaded first" if SANITIZED else ""


def may_hang(agent, directory, flag):
    """For this agent, which is started later, the directory hangs while the file `flag` is there."""
    agent.environment = {"LD_PRELOAD": os.path.join(BUILD, "tests", "agent", "libhang.so"), "HANG_DIRECTORY": directory,
                         "HANG_WHILE": flag}


def a_disk_that_hangs(scenario):
    """Of a scenario that needs one: skipped where there can be none."""
    @functools.wraps(scenario)
    def unless_sanitized(t):
        if NO_PRELOAD:
            t.ok(True, "a disk that hangs", unless=NO_PRELOAD)
        else:
            scenario(t)
    return unless_sanitized
