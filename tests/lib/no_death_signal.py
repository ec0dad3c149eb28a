#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A host whose kernel tells no process that its parent has ended, such as VMkernel: prctl(PR_SET_PDEATHSIG) fails, by
seccomp, in what is started from here.

Usage: no_death_signal.py PROGRAM ARGUMENT..."""
import ctypes
import errno
import os
import platform
import struct
import sys

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SECCOMP_MODE_FILTER = 2
CALL = {"x86_64": 157, "aarch64": 167}.get(platform.machine())  # prctl's number
WHY_NOT = "" if CALL else "the number of prctl(2) on this machine is not known here"
# Offsets in struct seccomp_data: the call's number; the low half of its first argument.
NUMBER, FIRST = 0, 16
LOAD, SKIP_UNLESS, RETURN = 0x20, 0x15, 0x06
libc = ctypes.CDLL(None, use_errno=True)


def forbid_death_signal():
    """For Popen's preexec_fn. Nothing else of prctl is refused."""
    code = b"".join(struct.pack("HBBI", *line) for line in (
        (LOAD, 0, 0, NUMBER), (SKIP_UNLESS, 0, 3, CALL), (LOAD, 0, 0, FIRST), (SKIP_UNLESS, 0, 1, PR_SET_PDEATHSIG),
        (RETURN, 0, 0, 0x00050000 | errno.ENOSYS), (RETURN, 0, 0, 0x7fff0000)))  # an errno; allowed
    memory = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(memory)))
    zero = ctypes.c_ulong(0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) < 0 or \
            libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), program, zero, zero) < 0:
        raise OSError(ctypes.get_errno(), "no seccomp")


if __name__ == "__main__":
    forbid_death_signal()
    os.execvp(sys.argv[1], sys.argv[1:])
