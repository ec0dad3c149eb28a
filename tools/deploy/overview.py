# SPDX-License-Identifier: Apache-2.0
"""`reroute status --all`: asks the agent of every host over ssh, and shows one table. Started by status.c, which has read
the options: the arguments are the program itself and NAME=VALUE. The list and the way to a host are those of deploy."""
import json
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor

from desk import AT_ONCE, EXIT_INTERRUPTED, EXIT_NOT_ALL, end, read, reason_of, ssh_words, ways
from hosts import choose, parse_list
from kinds import current_path
from remote import Trouble
from show import Progress, aligned, clean

ASK_S = 20
COLUMNS = ("HOST", "ENTERS THROUGH", "TIER", "HOME", "SINCE", "WHY")
# What runs on a host. $1: a directory that is looked at first, or nothing.
ASK = r"""
ask() {
    for program in ${1:+"$1/reroute"} /usr/local/bin/reroute /usr/bin/reroute /opt/reroute/bin/reroute \
        /vmfs/volumes/datastore1/reroute/reroute; do
        [ -x "$program" ] || continue
        config=${program%/*}/reroute.conf
        [ -e "$config" ] || config=
        if text=$("$program" status --json ${config:+--config "$config"} 2>&1); then
            printf 'status=%s\ndone=\n' "$(printf %s "$text" | tr -d '\n')"
        else
            printf 'failed=%s\n' "$(printf %s "$text" | tail -n 1)"
        fi
        return
    done
    echo 'failed=reroute is not installed there'
}
"""


# --- pure ---------------------------------------------------------------------------------------------------------

def rank(path):
    return path.get("rank", 1000)


def is_home(status):
    """Is there nothing better, whether it works or not? None: there is no route, or a person decided otherwise."""
    current = current_path(status)
    if current is None or status.get("pin"):
        return None
    return rank(current) <= min(map(rank, status["paths"]))


def order_text(name, until, because):
    return name + (f" until {until}" if until else "") + (f" ({because})" if because else "")


def why(status):
    """Why a host is not at home, and what else is to be known of it; empty: all is well."""
    current, failback, found = current_path(status), status.get("failback"), []
    if status.get("observe_only"):
        found.append("only observes")
    looked_for = status.get("observe_file") or {}
    if looked_for.get("error"):
        found.append(f"cannot look for {looked_for['file']}: {looked_for['error']}")
    if status.get("pin"):
        found.append(order_text(f"pinned to {status['pin']}", status.get("pin_until"), status.get("pin_because")))
    for access in status.get("sessions", {}).get("accesses", []):
        if access.get("drained"):
            found.append(order_text(f"{access['access']} is drained", access.get("drain_until"),
                                    access.get("drain_because")))
    if failback and failback.get("in_s") is not None:
        found.append(f"goes to {failback['access']} in {failback['in_s']:.0f} s")
    elif status.get("decision") != "best":
        found.append(status.get("explanation", ""))
    if current is not None and not is_home(status) and not failback:
        better = [path for path in status["paths"] if rank(path) < rank(current) and path.get("why")]
        found += [f"{path['access']} {path['tier']}: {path['why']}" for path in sorted(better, key=rank)[:1]]
    return "; ".join(found)


def entry(name, status, reason):
    """What is to be said of a host; status None: it did not answer, for this reason."""
    if status is None:
        return {"name": name, "answered": False, "home": None, "why": reason, "status": None}
    return {"name": name, "answered": True, "home": is_home(status), "why": why(status), "status": status}


def cells(one):
    status = one["status"] or {}
    home = {True: "yes", False: "no", None: "-"}[one["home"]]
    route = "no route" if one["answered"] else "-"
    return [clean(str(text)) for text in (
        one["name"], status.get("access") or route, status.get("tier") or "-", home,
        (status.get("since") or "-").replace("T", " ")[:19], one["why"] if one["answered"] else f"no answer: {one['why']}")]


def summary(entries):
    answered = [one for one in entries if one["answered"]]
    away = sum(one["home"] is False for one in answered)
    hosts = "1 host" if len(entries) == 1 else f"{len(entries)} hosts"
    return f"{hosts}: {len(entries) - len(answered)} did not answer, {away} not at home"


def table(entries):
    return "\n".join(aligned([COLUMNS] + [cells(one) for one in entries])) + "\n\n" + summary(entries) + "\n"


def document(entries):
    return json.dumps({"schema": "reroute.status-all/1", "hosts": entries}, indent=2) + "\n"


def parse_status(text):
    try:
        status = json.loads(text)
    except (ValueError, RecursionError):
        status = None
    if not isinstance(status, dict) or status.get("schema") != "reroute.status/1":
        raise Trouble("its answer is not understood")
    return status


# --- all hosts ----------------------------------------------------------------------------------------------------

def answered(name, text):
    """What is to be said of a host that answered; Trouble: that cannot be shown."""
    try:
        one = entry(name, parse_status(text), None)
        cells(one)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Trouble("its answer is not understood") from None
    return one


def ask_text(directory):
    """For the shell of a host; directory: None where its line names none."""
    return ASK + "ask " + shlex.quote(directory or "") + "\n"


def ask(remote):
    text = ask_text(remote.host.directory)
    return answered(remote.host.name, remote.ssh("/bin/sh", text.encode(), ASK_S).get("status", ""))


def look(remote, progress):
    name = remote.host.name
    progress.say(name, "is asked")
    try:
        one = ask(remote)
    except Exception as error:
        one = entry(name, None, reason_of(error))
    progress.say(name, "answered" if one["answered"] else "did not answer")
    return one


def look_at_all(hosts, ssh):
    """(what is to be said of each, whether it was interrupted)"""
    progress = Progress([host.name for host in hosts])
    with ways(hosts, ssh) as (running, remotes), ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(pool.map(lambda remote: look(remote, progress), remotes)), running.stopped
        finally:
            progress.end()


def show_all(words):
    pairs = [word.partition("=")[::2] for word in words]
    given = dict(pairs)
    hosts = choose(parse_list(read(given["hosts"]), given["hosts"]), [value for name, value in pairs if name == "host"])
    entries, interrupted = look_at_all(hosts, ssh_words(given.get("ssh")))
    print(document(entries) if "json" in given else table(entries), end="", flush=True)
    if interrupted:
        return EXIT_INTERRUPTED
    return 0 if all(one["answered"] for one in entries) else EXIT_NOT_ALL


if __name__ == "__main__":
    sys.exit(end("reroute status", lambda: show_all(sys.argv[2:])))
