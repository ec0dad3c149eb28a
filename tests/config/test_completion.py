# SPDX-License-Identifier: Apache-2.0
"""What the shells complete. Of bash: asked of a real one, by the function that it would call. Of zsh: what its function
would hand to _arguments.

Usage: test_completion.py REROUTE DIRECTORY    DIRECTORY: of the two files"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Skip, check, run, same, test

REROUTE, DIRECTORY = sys.argv[1:]
STATUS = """service   192.0.2.1 via 10.0.0.1 (one, data) since ..., reason cold-start

  ACCESS           TIER        ADDRESS            STATE
> one              data        10.0.0.1           up
  one              management  10.0.1.1           up
  two              data        10.0.0.2           up

  ACCESS           WHERE       SESSION    ALIVE s
  three            local       alive           41
"""
# As an interactive bash does it: $1... are the words, the last one is being written.
ASK_BASH = r"""
. "$0"
reroute() { printf '%s' "$STATUS"; }
COMP_WORDS=(reroute "$@")
COMP_CWORD=$#
complete -p reroute | grep -q -- '-F _reroute' || exit 1
_reroute
printf '%s\n' "${COMPREPLY[@]}"
"""
ASK_ZSH = r"""
_arguments() { print -rl -- "$@" }
_describe() { print -rl -- "${(P@)2}" }
compadd() { print -rl -- "${(P@)argv[-1]}" }
words=(reroute "$@")
CURRENT=$(($# + 1))
. "$0"
"""


def ask(shell, name, script, *words):
    if not shutil.which(shell[0]):
        raise Skip(f"no {shell[0]}")
    done = subprocess.run([*shell, "-c", script, os.path.join(DIRECTORY, name), *words], capture_output=True, text=True,
                          env={**os.environ, "STATUS": STATUS}, timeout=20, check=False)
    same((done.returncode, done.stderr), (0, ""), words)
    return done.stdout.split("\n")[:-1]


def bash(*words):
    return sorted(filter(None, ask(["bash"], "reroute", ASK_BASH, *words)))


def zsh(*words):
    return ask(["zsh", "-f"], "_reroute", ASK_ZSH, *words)


def helped(*command):
    return subprocess.run([REROUTE, *command, "--help"], capture_output=True, text=True, check=True, timeout=20).stdout


def commands():
    listing = subprocess.run([REROUTE, "help"], capture_output=True, text=True, check=True, timeout=20).stdout
    return re.findall(r"^  ([a-z-]+) ", listing, re.M)


def options(text):
    return sorted(set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z-]+)", text, re.M) + re.findall(r"^  (-\w)", text, re.M)))


@test
def bash_knows_all_commands():
    same(bash(""), sorted(commands() + ["help", "--help", "--version"]))
    same(bash("sta"), ["status"])
    same(bash("help", "un"), ["undrain", "unpin"])


@test
def bash_knows_all_options():
    for command in commands():
        if command == "bench":
            continue
        want = options(helped(command))
        check(len(want) >= 2, command, want)
        same(bash(command, "-"), want, command)
    same(bash("report", "--sel"), ["--select-count", "--select-timeout"])
    check("--hold" in bash("replay", "--"), "of replay")


@test
def bash_knows_the_studies():
    same(bash("bench", ""), ["--help", "compare", "failover", "hold", "sweep", "tune"])
    check("--json" in bash("bench", "tune", "--"), bash("bench", "tune", "--"))


@test
def bash_knows_values():
    same(bash("report", "--order", ""), ["given", "random"])
    same(bash("report", "--count", ""), [], "a number")
    same(bash("report", "--transport", ""), ["auto", "epoll", "io_uring", "poll"])
    same(bash("capabilities", "--backend", ""), ["auto", "esxcfg", "ip", "netlink"])
    same(bash("replay", "--set", "s"), ["sessions=off", "sessions=on"])
    same(bash("deploy", ""), ["check", "clear", "install", "upgrade"])
    same(bash("pin", ""), ["one", "two"], "what the agent knows")
    same(bash("drain", "t"), ["two"])
    with tempfile.TemporaryDirectory() as directory:
        paths = [os.path.join(directory, name) for name in ("a.conf", "b.conf")]
        for path in paths:
            with open(path, "w", encoding="ascii"):
                pass
        for words in (("agent", "--config"), ("deploy", "--config"), ("deploy", "--binary")):
            same(bash(*words, directory + "/"), paths, words)
        same(bash("status", "-c", directory + "/b"), paths[1:])
        same(bash("replay", directory + "/a"), paths[:1])


@test
def bash_asks_the_agent_that_is_meant():
    for words, want in ((("-c", "/f"), "status -c /f"), (("--config", "=", "/f"), "status --config /f"),
                        (("--socket", "/s"), "status --socket /s"), (("--for", "2h"), "status")):
        script = ASK_BASH.replace("printf '%s' \"$STATUS\"", "echo \"$*\" >\"$ASKED\"")
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as asked:
            os.environ["ASKED"] = asked.name
            ask(["bash"], "reroute", script, "drain", *words, "")
            same(asked.read(), want + "\n", words)


@test
def an_interactive_bash_completes():
    """Keys, through a terminal."""
    import pty
    master, slave = pty.openpty()
    process = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave,
                               start_new_session=True, env={**os.environ, "PS1": "", "TERM": "dumb", "INPUTRC": "/dev/null"})
    os.close(slave)
    try:
        os.write(master, f". {DIRECTORY}/reroute; reroute() {{ echo got: \"$@\"; }}\nreroute capa\t\nexit\n".encode())
        text = b""
        while True:
            try:
                chunk = os.read(master, 4096)
            except OSError:
                break
            if not chunk:
                break
            text += chunk
        check(b"got: capabilities\r" in text, text)
    finally:
        process.kill()
        process.wait()
        os.close(master)


@test
def zsh_hands_over_the_options():
    check(set(commands()) <= {line.split(":")[0] for line in zsh("")}, "commands", zsh(""))
    for command in commands():
        if command == "bench":
            continue
        text = "\n".join(zsh(command, ""))
        for option in options(helped(command)):
            check(re.search(rf"(^|\)){re.escape(option)}[\[=+]", text, re.M), command, option, text)
    check(any(line.endswith(":random|given:(random given)") for line in zsh("report", "")), zsh("report", ""))
    check(any("tune" in line for line in zsh("bench", "")), zsh("bench", ""))
    check(any(line.startswith("--json[") for line in zsh("bench", "tune", "")), zsh("bench", "tune", ""))


sys.exit(run())
