# SPDX-License-Identifier: Apache-2.0
"""Kinds of hosts: where things are there, what is to be there, how far a host is from it, which steps lead there. Pure:
what a host said comes as a dict of texts (`facts`, of host.sh)."""
import hashlib
import json
import re
from collections import namedtuple

from hosts import is_path

DATASTORE_DIRECTORY = "/vmfs/volumes/datastore1/reroute"

SOCKET = "/run/reroute/control.sock"
DEFAULT_STATE = "/var/lib/reroute"
STATE = re.compile(r'^\s*state-directory\s*=\s*"([^"]*)"', re.M)

Kind = namedtuple("Kind", "name label binary config service state socket")
LINUX = ("/usr/local/bin/reroute", "/etc/reroute/reroute.conf")
KINDS = {
    "systemd": Kind("systemd", "Linux, systemd", *LINUX, "/etc/systemd/system/reroute.service", DEFAULT_STATE,
                    SOCKET),
    "linux": Kind("linux", "Linux", *LINUX, "/etc/init.d/reroute", DEFAULT_STATE, SOCKET),
}
# Of a file that is to be on a host. `what` is for people. `beside`: its new and its old text are there, with an ending.
File = namedtuple("File", "what path data mode beside")
VIB = "file of the VIB"


class Refused(Exception):
    """This host cannot get what is asked for; the text is one line."""


def vmkernel(directory):
    return Kind("vmkernel", "VMkernel", f"{directory}/reroute", f"{directory}/reroute.conf", f"{directory}/service.sh",
                f"{directory}/state", SOCKET)


def vib(directory):
    """A VIB brings program and service; its file is what deploy keeps on the host."""
    return Kind("vib", "VMkernel, VIB", "/opt/reroute/bin/reroute", "/etc/reroute/reroute.conf", f"{directory}/reroute.vib",
                f"{directory}/state", SOCKET)


def kind_name(hello, with_vib):
    """Which kind a host is, by its first answer; with_vib: it is to get a VIB."""
    name = hello.get("kind", "")
    return "vib" if name == "vmkernel" and (with_vib or hello.get("package")) else name


def kind_of(name, directory):
    """The kind with all of its paths, each of them sound."""
    make = {"vmkernel": vmkernel, "vib": vib}.get(name)
    kind = make(directory or DATASTORE_DIRECTORY) if make else KINDS.get(name)
    if kind is None:
        raise Refused(f"the host is of kind '{name}', expected systemd, linux or vmkernel")
    for path in kind[2:]:
        if not is_path(path):
            raise Refused(f"'{path}' is no path that can be used")
    return kind


def words_of(kind):
    """What the kind fills a template with."""
    return {"state-directory": kind.state, "control-socket": kind.socket}


def digest(data):
    return hashlib.sha256(data).hexdigest()


# What the service is made from. systemd 219 (XenServer, XCP-ng) lets hardly any system call through where a unit names a
# group of them; it has groups since 231.
UNIT, OLD_UNIT, SYSV, VMKERNEL = SERVICE_FILES = ("reroute.service.in", "reroute-219.service.in", "reroute.sysv.in",
                                                  "vmkernel.sh.in")
SCRIPTS = ("linux", "vmkernel")  # kinds whose service is a script


def service_file(kind, facts):
    """Which of them this host gets."""
    if kind.name != "systemd":
        return {"linux": SYSV, "vmkernel": VMKERNEL}[kind.name]
    version = facts.get("systemd") or ""
    return OLD_UNIT if version.isdigit() and int(version) < 231 else UNIT


def service_text(kind, text):
    """The same with the paths of the kind."""
    for mark, path in (("@reroute@", kind.binary), ("@config@", kind.config), ("@service@", kind.service)):
        text = text.replace(mark, path)
    return text


def wanted(kind, program, config, service):
    """The files of a host, in the order in which they are put there; data None: what is there stays."""
    with_vib = kind.name == "vib"
    files = [File("program", kind.binary, program, "755", kind.binary),
             File(VIB if with_vib else "service", kind.service, service, "755" if kind.name in SCRIPTS else "644",
                  kind.service),
             File("configuration", kind.config, config, "644",
                  f"{kind.service.rpartition('/')[0]}/reroute.conf" if with_vib else kind.config)]
    return [file for file in files if file.data is not None]


def vib_version(data):
    """The version of a VIB of reroute; None: it is none. It is an ar archive whose descriptor stands first."""
    head = data[:65536]
    found = re.search(rb"<version>([A-Za-z0-9._-]+)</version>", head)
    good = found and head.startswith(b"!<arch>\ndescriptor.xml") and b"<name>reroute</name>" in head
    return found[1].decode() if good else None


def other_version(file, facts):
    """Is it a VIB of another version than the one that is installed?"""
    return file.what == VIB and facts.get("vib", "") != vib_version(file.data)


def differing(files, facts):
    return [file for file in files
            if facts.get(f"file:{file.path}") != digest(file.data) or other_version(file, facts)]


def is_there(kind, facts):
    return any(facts.get(f"file:{path}", "none") != "none" for path in (kind.binary, kind.config, kind.service))


def refuse(kind, facts):
    """Why this host cannot be changed, None: it can."""
    if facts.get("package") and kind.name != "vib":
        return f"{facts['package']} is there: reroute is installed otherwise; remove that first, or upgrade it its own way"
    if kind.name not in ("vmkernel", "vib"):
        return None
    if facts.get("datastore") != "yes":
        return f"no such path: {kind.service.rsplit('/', 2)[0]}; expected directory=/vmfs/volumes/NAME/reroute in its line"
    if facts.get("execInstalledOnly") == "1" and kind.name != "vib":
        return ("execInstalledOnly is on: the host runs only programs that a VIB brought; expected --vib FILE (tools/build-vib "
                "makes it), or: esxcli system settings advanced set -o /User/execInstalledOnly -i 0")
    return None


def refuse_vib(kind, file, facts):
    """Why this host cannot get the VIB of this file, None: it can."""
    installed, new, kept = facts.get("vib", ""), vib_version(file.data), facts.get("kept", "")
    if facts.get("script"):
        return f"{facts['script']} is there: reroute is installed without a VIB; expected reroute deploy clear first"
    if facts.get("secureboot") == "Enabled":
        return "UEFI secure boot is on: the host would not boot with a VIB that nobody signed"
    if facts.get("acceptance") != "CommunitySupported":
        return (f"the host's acceptance level is {facts.get('acceptance') or 'not known'}, which forbids a VIB of the "
                "community; to allow it: esxcli software acceptance set --level=CommunitySupported")
    if installed == new and kept == new:
        return f"another VIB of version {new} is installed, which ESXi does not replace; expected one of another version"
    if installed and installed != new and kept != installed:
        return (f"VIB {installed} is installed, and {kind.service} is not its file, so it could not be put back; expected "
                f"an install with the VIB of version {installed} first")
    return None


def refuse_state(kind, config):
    """The same of a configuration: whose a route is stands in the state directory on VMkernel, and a boot empties all
    but datastores."""
    found = STATE.search(config)
    directory = found[1] if found else DEFAULT_STATE
    if kind.name not in ("vmkernel", "vib") or directory.startswith("/vmfs/volumes/"):
        return None
    return f'state-directory is {directory}, which a boot empties; expected state-directory = "@state-directory@"'


# --- is it as it is to be? ----------------------------------------------------------------------------------------

def parse_status(text):
    """The agent's document; {}: none, or nothing that can be one."""
    try:
        status = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(status, dict):
        return {}
    paths = status.get("paths", [])
    good = isinstance(paths, list) and all(isinstance(path, dict) for path in paths)
    return status if good and isinstance(status.get("sessions", {}), dict) else {}


def current_path(status):
    return next((path for path in status.get("paths", []) if path.get("current")), None)


def unhealthy(facts, status):
    """Why the agent is not well, None: it is. `status`: its document, {} when it does not answer."""
    if not status:
        return f"the agent does not answer, the service is {facts.get('state') or 'not there'}"
    if not status.get("next_hop"):
        return f"there is no route: {status.get('explanation', 'the agent does not say why')}"
    path = current_path(status)
    if path is not None and not path.get("up"):
        return f"the path in use, {path.get('address')}, is {path.get('state')}"
    return None


def first_difference(wanted, facts):
    """Of a configuration. facts: the lines there, by line:NUMBER. Empty: they differ in no line, but in how lines end."""
    here = {f"line:{number}": line for number, line in enumerate(wanted.decode().split("\n"), 1) if line}
    there = {key: line for key, line in facts.items() if re.fullmatch("line:[0-9]{1,9}", key) and line}
    differing = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    if not differing:
        return ""
    first = min(differing, key=lambda key: int(key[len("line:"):]))
    return f"line {first[len('line:'):]} is '{there.get(first, '')[:80]}' there, '{here.get(first, '')[:80]}' here"


def how(file, facts, here):
    """How a file there differs from that here; empty: it is not said."""
    if file.what == "configuration":
        return first_difference(file.data, facts)
    if file.what != "program":
        return ""
    there = version_of(facts)
    if there and here and there != here:
        return f"version {there} there, {here} here"
    return f"another build, of checksum {facts[f'file:{file.path}'][:8]} there, {digest(file.data)[:8]} here"


def version_of(facts):
    return facts.get("version", "").replace("reroute ", "")


def different(file, facts, here):
    """The line for a file that differs."""
    if facts.get(f"file:{file.path}") == "none":
        return f"the {file.what} is not there"
    return ": ".join(filter(None, [f"the {file.what} differs", how(file, facts, here)]))


def differences(kind, files, facts, status, here=None):
    """One line for each. here: the version of the program that it is to have, None: not known."""
    if not is_there(kind, facts):
        return ["it is not installed"]
    found = []
    for file in files:
        if facts.get(f"file:{file.path}") != digest(file.data):
            found.append(different(file, facts, here))
        if other_version(file, facts):
            found.append(f"VIB {facts.get('vib') or 'none'} is installed, expected {vib_version(file.data)}")
    if facts.get("wrong"):
        found.append(f"{'the agent runs, but ' if status else ''}its file is wrong: {facts['wrong']}")
    version = version_of(facts)
    if status and status.get("version") != version:
        found.append(f"version {status.get('version')} is running, {version} is installed")
    if facts.get("digest") and status.get("config_digest", facts["digest"]) != facts["digest"]:
        found.append("the agent runs with another configuration than the one in the file")
    if facts.get("state") != "active":
        found.append(f"the service is {facts.get('state') or 'not there'}")
    if not facts.get("boot", "").startswith("yes"):
        found.append(f"it does not survive a reboot: {facts.get('boot', '').partition(': ')[2]}")
    ill = unhealthy(facts, status)
    if ill:
        found.append(ill)
    if facts.get("httpClient") == "false" and status.get("sessions", {}).get("provider") == "rest":
        found.append("the firewall lets no list of sessions in: esxcli network firewall ruleset set -e true -r httpClient")
    return found


# --- what is to be done -------------------------------------------------------------------------------------------

def bytes_text(count):
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count} bytes"


def start_text(kind):
    if kind.name == "systemd":
        return "systemctl daemon-reload, enable, restart"
    if kind.name == "linux":
        return f"{kind.service}: links of init; stop, start"
    if kind.name == "vib":
        return "auto-backup.sh; /etc/init.d/reroute stop, start"
    return "a line in local.sh and in root's crontab, auto-backup.sh, crond again; stop, start"


def change_steps(kind, files, facts, wait_s):
    """What brings these files there, for people; in this order it is done."""
    steps = [f"copy the {file.what} to {file.beside}.deploy-new ({bytes_text(len(file.data))})" for file in files]
    steps += ["compare the checksums there"] if files else []
    steps.append("esxcli software vib install --dry-run there" if any(file.what == VIB for file in files) else
                 "run check-config and --version of the program there")
    steps += [f"keep {file.path} as {file.beside}.deploy-old" for file in files
              if facts.get(f"file:{file.path}") != "none"]
    for file in files:
        steps.append(f"rename {file.beside}.deploy-new to {file.path}" if file.beside == file.path else
                     f"write {file.beside}.deploy-new into {file.path}")
        steps += [f"esxcli software vib install -f --no-sig-check -v {file.path}"] if file.what == VIB else []
    steps.append(start_text(kind))
    steps.append(f"wait until the agent answers, {wait_s} s at most; else put back what was there")
    return steps


def clear_steps(kind, route):
    steps = [] if kind.name == "vib" else ["end its start at boot"]
    steps.append("stop the service")
    steps += ["remove the route to the service"] if route else []
    steps += ["esxcli software vib remove -n reroute"] if kind.name == "vib" else []
    steps += [f"remove {path}" for path in (kind.binary, kind.config, kind.service)]
    steps.append(f"remove the agent's files in {kind.state}")
    return steps


def left_by_vib(kind, facts):
    """Nothing is installed, but what a VIB had in the datastore is still there."""
    return kind.name == "vmkernel" and not is_there(kind, facts) and bool(facts.get("left"))


def leftover_steps(kind):
    return [f"remove {path}" for path in (kind.config, kind.service)] + [f"remove the agent's files in {kind.state}"]


def route_that_stays(kind, facts):
    """Which route is left when the program goes, and how it is removed later; None: there is none."""
    address, next_hop = facts.get("address"), facts.get("route")
    on_vmkernel = kind.name in ("vmkernel", "vib")
    if not address or not next_hop:
        return "esxcfg-route -l shows whether a route of the agent still stands" if on_vmkernel else None
    if facts.get("ours"):
        remove = "reroute deploy clear --route"
    elif on_vmkernel:
        remove = f"esxcfg-route -d {address}/32 {next_hop}"
    else:
        remove = f"ip route del {address} via {next_hop}"
    return f"the route to {address} via {next_hop} stays; to remove it: {remove}"
