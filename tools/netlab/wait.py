# SPDX-License-Identifier: Apache-2.0
"""Waiting for a state, and being interrupted, in one way for the lab, the demo, the studies and the tests."""
import contextlib
import signal
import time

# On a busy machine everything takes longer; what must come by itself is never waited for longer than this.
PATIENCE_S = 40.0
# How often it is looked: a look at an agent's status costs some milliseconds, and many tests look at once.
LOOK_S = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):
    """Something that was to happen did not."""


def wait_for(condition, seconds=PATIENCE_S, look_s=LOOK_S):
    """Polls until condition() is true; returns its value, the last false one after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(look_s)


def until(what, condition, seconds=PATIENCE_S, look_s=LOOK_S):
    """The same, but Failed when it was not true within so many seconds."""
    if not wait_for(condition, seconds, look_s):
        raise Failed(f"waited {seconds:g} s in vain: {what}")


class Interrupts:
    """Ctrl-C and its kin become KeyboardInterrupt, once: what comes later, while things are put away, is ignored, here
    and in what is started from then on."""

    signal = 0  # the one that came

    @classmethod
    def handle(cls, number, _):
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        cls.signal = number
        raise KeyboardInterrupt

    @classmethod
    def catch(cls):
        for number in SIGNALS:
            signal.signal(number, cls.handle)

    @staticmethod
    @contextlib.contextmanager
    def deferred():
        """They come in the end: for putting things away that is not the end of the program. What is started in here
        defers them too."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
