# SPDX-License-Identifier: Apache-2.0
"""What `reroute deploy` and `reroute status --all` have in common on the machine from which they ask: what a person
gives, the ways to the hosts, how it ends."""
import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from hosts import Bad
from kinds import Refused
from remote import Remote, Running, Trouble, cannot_run
from show import clean

EXIT_NOT_ALL, EXIT_USAGE, EXIT_SYSTEM, EXIT_INTERRUPTED = 1, 3, 4, 130
AT_ONCE = 32


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Bad(f"{path}: {getattr(error, 'strerror', None) or 'expected a text in UTF-8'}") from None


def ssh_words(text):
    """How ssh is called; None: nothing was given."""
    try:
        return shlex.split(text or "ssh") or ["ssh"]
    except ValueError:
        raise Bad(f"--ssh '{text}': expected an end of each quotation") from None


def reason_of(error):
    """Why it failed on one host; what nobody expected costs no other host its result."""
    if isinstance(error, (Trouble, Refused, Bad, OSError)):
        return str(error)
    return f"an error of this program: {error!r}"


@contextlib.contextmanager
def ways(hosts, ssh):
    """(Running, a Remote for each host); their connections end with it. A signal ends what is asked of hosts. Trouble: there
    is no ssh here."""
    if not shutil.which(ssh[0]):
        raise cannot_run(ssh[0], "no program")
    running = Running()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: running.stop())
    # Sockets of shared connections are in there: their paths must be short (unix(7)).
    with tempfile.TemporaryDirectory(prefix="rr-", dir="/tmp") as directory:
        remotes = [Remote(host, ssh, directory, running) for host in hosts]
        try:
            yield running, remotes
        finally:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(Remote.close, remotes))


def end(command, work):
    """The exit code of work(), or that of what came in its way, said in one line."""
    if sys.version_info < (3, 9):
        print(f"{command}: this is Python {sys.version.split()[0]}, expected 3.9 or newer", file=sys.stderr)
        return EXIT_SYSTEM
    if sys.stdout:
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: the terminal may not have what a host says
    try:
        return work()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Bad as error:
        print(f"{command}: {clean(str(error))}", file=sys.stderr)
        return EXIT_USAGE
    except (Trouble, OSError) as error:
        print(f"{command}: {clean(str(error))}", file=sys.stderr)
        return EXIT_SYSTEM
