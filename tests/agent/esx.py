# SPDX-License-Identifier: Apache-2.0
"""What stands in for ESXi's commands, as a host of a test has them: see tests/lib/esxcfg-route."""
import os

COMMAND = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib", "esxcfg-route")


class Esx:
    """The command in a directory of its own, and its troubles."""

    def __init__(self, directory, world):
        self.world = world
        self.directory = directory
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "esxcfg-route")
        for name in ("esxcfg-route", "esxcfg-vmknic"):
            os.symlink(COMMAND, os.path.join(self.directory, name))
        self.write("routes", "")

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path + ".made", "w") as f:
            f.write(text)
        os.rename(path + ".made", path)

    def read(self, name):
        try:
            with open(os.path.join(self.directory, name)) as f:
                return f.read()
        except OSError:
            return ""

    def trouble(self, *lines):
        self.write("trouble", "".join(line + "\n" for line in lines))

    def routes(self):
        """The gateways of the service's routes, in the command's own table."""
        return [line.split()[1] for line in self.read("routes").splitlines()
                if line.split()[0] == f"{self.world.service}/32"]

    def calls(self, verb=None):
        """The arguments of each call that has begun."""
        begun = [line.split()[2:] for line in self.read("log").splitlines() if line.startswith("begin")]
        return [call for call in begun if verb is None or verb in call]

    def move_s(self, since):
        """For how long commands ran that changed the table since then: from the first one's begin to the last one's
        end, in seconds; 0: none did."""
        spans = [(word, float(at)) for word, at, verb, *_ in (line.split() for line in self.read("log").splitlines())
                 if verb in ("-a", "-d") and float(at) >= since]
        begun, ended = ([at for word, at in spans if word == kind] for kind in ("begin", "end"))
        return max(ended) - min(begun) if begun and ended else 0

    def runs(self):
        """How many calls have begun and not ended."""
        words = [line.split()[0] for line in self.read("log").splitlines()]
        return words.count("begin") - words.count("end")

    def by_hand(self, *arguments):
        return self.world.host.run(self.path, *arguments)
