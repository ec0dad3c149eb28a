# SPDX-License-Identifier: Apache-2.0
"""One host over ssh: calls of host.sh, and files.

All calls of a host share a connection (ControlMaster). Options given by the user come before these, and ssh takes the
first: so they win, as does everything of ssh_config that is not named here.

What a host sends is bounded in time and size, whoever answers there. What its login shell prints before the answer
does not count."""
import contextlib
import os
import selectors
import shlex
import subprocess
import threading
import time

# No terminal, no other command than ours, nothing of this machine for the host to use.
OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3", "LogLevel=ERROR",
           "RequestTTY=no", "RemoteCommand=none", "ClearAllForwardings=yes", "ForwardAgent=no", "ForwardX11=no",
           "ControlMaster=auto", "ControlPersist=60")
CALL_S, COPY_S = 60, 900
ANSWER_BYTES = 1 << 20  # no answer is half as long
LINGER_S = 1            # so long ssh may take to end when the answer is whole
LOOK_S = 0.1            # how often it is looked whether a process has ended whose files another one holds
BEGIN = "\nbegin=\n"    # an answer stands behind it
# Takes a file from its input, which may end too early; then nothing of it stays. $1: path, $2: how many bytes. What its
# commands say is plain ASCII, and can be looked up in HOST_SAYS, whatever the host's language is.
RECEIVE = ('umask 077; export LC_ALL=C; d=${1%/*}; m=; '
           '[ -d "$d" ] || { mkdir "$d" && chmod 755 "$d" && m=$d && echo "made=$d"; } && '
           'rm -f "$1" && cat >"$1" && [ "$(wc -c <"$1")" -eq "$2" ] && echo done= || '
           '{ rm -f "$1"; [ -z "$m" ] || rmdir "$m"; exit 1; }')

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "host.sh"), encoding="ascii") as f:
    FUNCTIONS = f.read()


class Trouble(Exception):
    """It did not work on this host; the text is the reason, one line. `lost`: the connection, not the host."""

    def __init__(self, reason, lost=False):
        super().__init__(reason)
        self.lost = lost


def cannot_run(program, why):
    """ssh, on this machine."""
    return Trouble(f"{program} cannot be run here ({why}): expected an ssh, see --ssh")


# --- pure ---------------------------------------------------------------------------------------------------------

def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


SSH_SAYS = (
    ("HOST IDENTIFICATION HAS CHANGED", "the host key has changed: if that is right, forget the old one by ssh-keygen -R"),
    ("Host key verification failed", "the host key is not known: log in once by hand, or add it to known_hosts"),
    ("Permission denied", "the host does not accept the key"),
    ("Too many authentication failures", "the host does not accept the key"),
    ("Connection refused", "no ssh there"),
    ("Connection timed out", "no ssh there"),
    ("No route to host", "no ssh there"),
    ("Network is unreachable", "no ssh there"),
    ("Could not resolve hostname", "no ssh there"),
    ("kex_exchange_identification", "no ssh there"),
)


def ssh_reason(words):
    """Why ssh itself failed, by what it said."""
    line = last_line(words)
    for text, reason in SSH_SAYS:
        if text in words:
            return f"{reason} ({line})"
    return f"the connection ended in the middle ({line or 'ssh does not say why'})"


HOST_SAYS = (("No space left", "the disk is full"), ("Read-only file system", "the disk is read-only"),
             ("No such file or directory", "no such path"), ("Permission denied", "not allowed"))


def host_reason(words):
    """Why something on the host failed, by what its commands said."""
    line = last_line(words)
    for text, reason in HOST_SAYS:
        if text in words:
            return f"{reason} ({line})"
    return line or "the host's shell ended and does not say why"


def call_text(function, arguments):
    """A call that does nothing when a part of it does not arrive."""
    return f"{{ {function} {' '.join(shlex.quote(str(a)) for a in arguments)}\n}}\n"


def parse_answer(text):
    """The lines KEY=VALUE behind the mark as a dict; of several equal keys the last one counts, but for `made`, a list."""
    facts = {"made": []}
    _, begun, answer = text.rpartition(BEGIN)
    for line in answer.split("\n") if begun else []:  # and nothing else that may stand in a value
        key, equals, value = line.partition("=")
        if key == "made" and equals:
            facts["made"].append(value)
        elif equals:
            facts[key] = value
    return facts


# --- processes ----------------------------------------------------------------------------------------------------

def feed(file, data):
    """What is left of it; empty also where nobody reads."""
    try:
        return data[file.write(data) or 0:]
    except BrokenPipeError:
        return b""


def hear(file, said):
    """Takes what has come. False: no more comes. Trouble: it is too much."""
    while part := file.read(65536):
        said += part
        if len(said) > ANSWER_BYTES:
            raise Trouble(f"the host sends more than {ANSWER_BYTES >> 20} MiB, expected an answer of some lines", lost=True)
    return part is None


def is_whole(said):
    """Has the last line of an answer come?"""
    _, begun, answer = said.rpartition(BEGIN.encode())
    lines = answer[-4096:].split(b"\n")
    return bool(begun) and len(lines) > 1 and not lines[-1] and lines[-2].startswith((b"done=", b"failed="))


def exchange(process, data, seconds):
    """(exit code, standard output, standard error); code None: it took too long, or does not end when it has answered:
    what a login has left running there keeps the connection. A process that ssh leaves behind here may keep the files
    open: it is not waited for."""
    deadline = time.monotonic() + seconds
    said, data = {process.stdout: bytearray(), process.stderr: bytearray()}, memoryview(data)
    with selectors.DefaultSelector() as selector:
        for file in (process.stdin, *said):
            os.set_blocking(file.fileno(), False)
            selector.register(file, selectors.EVENT_READ if file in said else selectors.EVENT_WRITE)
        while selector.get_map() and process.poll() is None and time.monotonic() < deadline:
            for file in [key.fileobj for key, _ in selector.select(LOOK_S)]:
                if file in said:
                    more = hear(file, said[file])
                else:
                    more = data = feed(file, data)
                if not more:
                    selector.unregister(file)
                if not more and file not in said:
                    file.close()
            if is_whole(said[process.stdout]):
                deadline = min(deadline, time.monotonic() + LINGER_S)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0, deadline - time.monotonic()))
    for file, text in said.items():
        hear(file, text)
    return process.returncode, *(bytes(text).decode(errors="replace") for text in said.values())


class Running:
    """The ssh processes of all hosts: when the user interrupts they end."""

    def __init__(self):
        self.lock = threading.RLock()  # a signal may come in the middle of stop(), which its handler calls again
        self.processes = set()
        self.stopped = False

    def begin(self, command):
        with self.lock:
            if self.stopped:
                raise Trouble("interrupted")
            try:
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                           bufsize=0, start_new_session=True)
            except OSError as error:
                raise cannot_run(command[0], error.strerror) from None
            self.processes.add(process)
        return process

    def run(self, command, data, seconds):
        """As exchange()."""
        process = self.begin(command)
        try:
            return exchange(process, data, seconds)
        finally:
            process.kill()
            process.wait()
            with self.lock:
                self.processes.discard(process)
            for file in (process.stdin, process.stdout, process.stderr):
                file.close()

    def stop(self):
        with self.lock:
            self.stopped = True
            for process in self.processes:
                process.kill()


class Remote:
    """A host. `directory` is private to this process: the shared connections are in it."""

    def __init__(self, host, ssh, directory, running):
        self.host, self.running = host, running
        self.command = [*ssh, *(word for option in (*OPTIONS, f"ControlPath={directory}/%C") for word in ("-o", option)),
                        "--", host.ssh]

    def ssh(self, line, data, seconds):
        """Standard output of a command line on the host. Trouble when it fails."""
        sudo = "sudo -n " if self.host.sudo else ""
        code, out, words = self.running.run([*self.command, f"printf {BEGIN!r}; {sudo}{line}"], data, seconds)
        facts = parse_answer(out)
        if "done" in facts:
            return facts
        if self.running.stopped:
            raise Trouble("interrupted", lost=True)
        if "failed" in facts:
            raise Trouble(facts["failed"])
        if code is None:
            raise Trouble(f"the host did not answer within {seconds} s", lost=True)
        if code == 255:
            raise Trouble(ssh_reason(words), lost=True)
        raise Trouble(host_reason(words))

    def call(self, function, *arguments, seconds=CALL_S):
        return self.ssh("/bin/sh", (FUNCTIONS + call_text(function, arguments)).encode(), seconds)

    def send(self, path, data):
        """The directories that had to be made for it."""
        words = " ".join(shlex.quote(word) for word in (RECEIVE, "receive", path, str(len(data))))
        return self.ssh(f"/bin/sh -c {words}", data, COPY_S)["made"]

    def close(self):
        """Ends the shared connection, if there is one."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([*self.command[:-2], "-O", "exit", "--", self.host.ssh], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=CALL_S)
