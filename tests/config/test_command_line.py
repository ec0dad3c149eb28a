# SPDX-License-Identifier: Apache-2.0
"""What this proves: the options that every command has mean the same everywhere, whatever is wrong with the
arguments is at most two lines and exit code 3, `--json` answers are documents, and a standard file that was closed
at the start is not taken by another one."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap

REROUTE, EXAMPLE = sys.argv[1:]
OPERANDS = {"agent": [], "status": [], "pin": ["x"], "unpin": [], "drain": ["x"], "undrain": ["x"],
            "failback": ["--now"], "route": ["--to", "10.0.0.1"], "clear": [], "sessions": [], "check-config": [],
            "capabilities": [], "journal": [], "explain": []}
SOCKET = {"status", "explain", "pin", "unpin", "drain", "undrain", "failback"}
ANSWER = {"pin", "unpin", "drain", "undrain", "failback", "route", "clear"}
ALONE = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]
tap = Tap()
ok = tap.ok


def run(*arguments):
    done = subprocess.run([REROUTE, *arguments], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def common(command):
    rest = OPERANDS[command]
    code, text, error = run(command, "--help")
    ok(code == 0 and error == "" and text.startswith(f"Usage: reroute {command}"), f"{command} --help", text + error)
    ok(run(command, "-h") == (code, text, error), f"{command} -h is the same")
    ok(("--json" in text) == (command != "agent"), f"{command} prints JSON, if anything", text)
    for option in () if command == "capabilities" else ("-c", "--config"):
        code, out, error = run(command, option, "/nonexistent/x.conf", *rest)
        ok(code == 3 and out == "" and error.count("\n") == 1 and "/nonexistent/x.conf" in error,
           f"{command} {option} FILE", f"{code} {out} {error}")
    for what, arguments in (("an unknown option", ["--nonsense"]), ("an unknown letter", ["-Z"]),
                            ("an option without its value", [*rest, "--config"]),
                            ("a value too many", [*rest, "--help=x"]), ("operands too many", [*rest, "x", "y"])):
        code, out, error = run(command, *arguments)
        ok(code == 3 and out == "" and error.endswith(f"\nTry 'reroute {command} --help'.\n")
           and error.count("\n") == 2, f"{command}: {what}", f"{code} {out} {error}")


def answers(command):
    """No agent, no configuration: not done, and a document says so too."""
    where = ["--socket", "/nonexistent/sock"] if command in SOCKET else ["-c", "/nonexistent/x.conf"]
    code, out, error = run(command, "--json", *where, *OPERANDS[command])
    document = json.loads(out or "null")
    ok(code == (4 if command in SOCKET else 3) and error.count("\n") == 1 and document["ok"] is False
       and document["schema"] == "reroute.answer/1" and document["message"] in error,
       f"{command} --json: refused", f"{code} {out} {error}")


def no_studies():
    """A program that is alone, as the static one is: one line says what is missing, where, and why."""
    with tempfile.TemporaryDirectory() as directory:
        alone = shutil.copy(REROUTE, directory)
        done = subprocess.run([alone, "bench", "hold"], capture_output=True, text=True, timeout=20)
    ok((done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1) and done.stderr.startswith("reroute bench: ")
       and "/reroute-bench" in done.stderr and "the static program has no studies" in done.stderr, "no studies", done)


def missing_files():
    """They may come until the agent starts; but somebody should look."""
    with tempfile.TemporaryDirectory() as directory:
        config = os.path.join(directory, "conf")
        with open(config, "w") as f:
            f.write('service = "10.9.9.9"\naccess "a" { data = "10.9.9.1" }\n'
                    f'session {{ token-file = "{directory}/none" tls = true ca-file = "{config}" }}\n')
        code, _, error = run("check-config", config)
        ok(code == 0 and error == f'{config}: warning: token-file "{directory}/none": No such file or directory\n',
           "check-config warns of a file that is not there", f"{code} {error}")
    if not os.path.exists("/etc/reroute/reroute.conf"):
        for command in ("check-config", "agent", "sessions", "clear"):
            code, _, error = run(command)
            ok(code == 3 and error.count("\n") == 1 and "write it (" in error and "`reroute check-config`" in error and
               ("reroute.conf.example)" in error or "reroute.conf(5)" in error),
               f"{command} without a configuration says where an example is and what to do", f"{code} {error}")


def sessions_of_a_file():
    """Who gave a list is said also where it was nobody with an address."""
    with tempfile.TemporaryDirectory() as directory:
        config, file = os.path.join(directory, "conf"), os.path.join(directory, "list.json")
        with open(config, "w") as f:
            f.write('service = "10.9.9.9"\naccess "a" { data = "10.9.9.1" }\n'
                    f'session {{ provider = "file" file = "{file}" }}\n')
        with open(file, "w") as f:
            f.write('[{"uuid":"u","ip":"10.9.9.1"}]')
        code, out, error = run("sessions", "-c", config)
        ok(code == 0 and error == "" and out.startswith(f"1 session from {file} in "), "sessions of a file", out + error)
        code, out, _ = run("sessions", "--json", "-c", config)
        ok(code == 0 and json.loads(out)["from"] == file, "sessions of a file, as a document", out)


def own_addresses():
    """The service or a node's address that this host has itself: a warning, for the file may be another host's."""
    with tempfile.TemporaryDirectory() as directory:
        config = os.path.join(directory, "conf")

        def check(text):
            with open(config, "w") as f:
                f.write(text)
            done = subprocess.run([*ALONE, "sh", "-c", "ip link set lo up && ip address add 10.9.9.9 dev lo && "
                                   'ip address add 10.9.9.2 dev lo && exec "$0" check-config "$1"', REROUTE, config],
                                  capture_output=True, text=True, timeout=20)
            return done, done.stderr.splitlines()

        done, lines = check('service = "10.9.9.8"\nbootstrap = {"10.9.9.1", "10.9.9.2"}\n')
        ok(done.returncode == 0 and lines == [f"{config}: warning: bootstrap 10.9.9.2 is an address of this host, "
                                              "expected those of nodes"], "check-config looks at bootstrap too", done)
        done, lines = check('service = "10.9.9.9"\naccess "a" { data = "10.9.9.1" management = "10.9.9.2" }\n'
                            'session { provider = "none" }\n')
        ok(done.returncode == 0 and len(lines) == 2 and all(line.startswith(f"{config}: warning: ") for line in lines)
           and "service 10.9.9.9 is an address of this host" in lines[0] and "10.9.9.2 of access 'a'" in lines[1],
           "check-config warns of addresses that this host has itself", done)
        ok(run("check-config", "-q", config) == (0, "", ""), "and of no others", run("check-config", "-q", config))


def closed_files():
    """An agent whose service is an address of its host is refused when it has its lock file already: nothing of
    what it says may be in there."""
    with tempfile.TemporaryDirectory() as directory:
        config = os.path.join(directory, "conf")
        with open(config, "w") as f:
            f.write('service = "10.9.9.9"\naccess "a" { data = "10.9.9.1" }\nsession { provider = "none" }\n'
                    f'state-directory = "{directory}/state"\ncontrol-socket = "{directory}/sock"\n')
        for redirection in ("<&-", ">&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"):
            code = subprocess.run([*ALONE, "sh", "-c", "ip link set lo up && ip address add 10.9.9.9 dev lo && "
                                   f'exec "$0" agent -c "$1" {redirection}', REROUTE, config],
                                  capture_output=True, timeout=20).returncode
            with open(os.path.join(directory, "state", "lock"), errors="replace") as f:
                held = f.read()
            ok(code == 4 and "address" not in held, f"the agent with {redirection}", f"{code} {held}")
    code = subprocess.run(["sh", "-c", 'exec "$0" check-config /nonexistent/x <&- >&-', REROUTE],
                          capture_output=True, timeout=20)
    ok(code.returncode == 3 and code.stderr == b"/nonexistent/x: No such file or directory\n",
       "what is open is used", code)


def full_disk():
    for arguments in (["help"], ["pin", "--help"], ["check-config", "--json", EXAMPLE]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([REROUTE, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
        ok(done.returncode == 4 and "cannot write" in done.stderr, f"{arguments[0]}: a full disk is no success", done)


for name in OPERANDS:
    common(name)
for name in sorted(ANSWER):
    answers(name)
missing_files()
no_studies()
sessions_of_a_file()
if subprocess.run([*ALONE, "true"], capture_output=True).returncode:
    tap.skipped("own addresses, closed standard files", "no network namespace to be had")
else:
    own_addresses()
    closed_files()
full_disk()
ok(run("help") == run("--help") == run("-h") and run("help")[0] == 0, "reroute help")
ok(all(run("help", name) == run(name, "--help") for name in [*OPERANDS, "report", "bench"]), "reroute help COMMAND")
ok(run("help", "nonsense") == run("nonsense"), "reroute help of no command")
ok(run("--version")[1].startswith("reroute ") and
   all(run(word) == run("--version") == (0, run(word)[1], "") for word in ("version", "-V", "-v")), "reroute --version",
   run("version"))
code, _, error = run("nonsense")
ok(code == 3 and error.endswith("Try 'reroute --help'.\n"), "no such command", error)
sys.exit(tap.done())
