# SPDX-License-Identifier: Apache-2.0
"""The lab's meter for who asks what it has said and does not follow it; see stand.py for who does."""
import json
import os
import signal
import subprocess
import threading

from .lab import program
from .namespace import end_process, entering, icmp_count, inside


def meter(service, *options):
    """Its command. An emulated machine (REROUTE_EMULATED, see tools/kernels) takes ten times as long for everything: an
    echo every millisecond would use it up."""
    slowly = ("--interval", "10", "--tcp-interval", "20", "--wait", "1000", "--connect-timeout", "100")
    return [program("lab-meter"), *options, *(slowly if os.environ.get("REROUTE_EMULATED") else ()), service]


class Meter:
    """The meter of the two streams to a service, in the namespace of a host. It ends with this process."""

    def __init__(self, namespace, service, *options):
        self.namespace = namespace
        self.events = []
        self.process = subprocess.Popen(meter(service, *options), stdout=subprocess.PIPE, text=True,
                                        preexec_fn=entering(namespace))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def has(self, kind, *streams):
        """Each of these streams has had an event of this kind."""
        return {e["stream"] for e in self.events if e["event"] == kind} >= set(streams)

    def has_begun(self, *streams):
        return self.has("first", *streams)

    def answered(self, echoes):
        """For waiting: from now on its host has got so many more echoes answered; the whole stream has one each
        millisecond."""
        before = inside(self.namespace, icmp_count, "InEchoReps")
        return lambda: inside(self.namespace, icmp_count, "InEchoReps") >= before + echoes

    def interruptions(self, stream, since=0.0):
        return [e for e in self.events if e["event"] == "interruption" and e["stream"] == stream
                and e["until"] >= since]

    def finish(self):
        """Ends it; its summary."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.reader.join(5)
        return self.events[-1]

    def kill(self):
        end_process(self.process)
