# SPDX-License-Identifier: Apache-2.0
"""The list of hosts. Pure: text in, hosts out; what is wrong is one line (Bad).

A host is a line, `NAME [KEY=VALUE ...]`; '#' begins a comment. Three keys are deploy's own:

    ssh=DESTINATION   what ssh(1) is called with; default: the name
    sudo=yes          the user there is not root, but may use sudo(8) without a password
    directory=PATH    VMkernel: where the files are kept, on a datastore

All others fill the template, see template.py. A value holds nothing that a shell, a configuration or a terminal could
take for something else."""
import os
import re

OWN_KEYS = ("ssh", "sudo", "directory")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
KEY = re.compile(r"[a-z][a-z0-9-]*")
VALUE = re.compile(r"[A-Za-z0-9._:/%@,+-]+")
PATH = re.compile(r"(/[A-Za-z0-9._-]+)+")


class Bad(Exception):
    """What a person gave is wrong; the text is one line: what, where, what was expected."""


class Host:
    """One line. `where` says where it stands, for messages."""

    def __init__(self, name, values, where):
        self.name, self.values, self.where = name, values, where
        self.ssh = values.get("ssh", name)
        self.sudo = values.get("sudo") == "yes"
        self.directory = values.get("directory")

    def words(self):
        """What fills the template."""
        return {key: value for key, value in self.values.items() if key not in OWN_KEYS}


def is_path(text):
    """Absolute, not the root, of plain characters, and without a way up."""
    return PATH.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))


def check_own_keys(values, where):
    if "name" in values:
        raise Bad(f"{where}: name={values['name']}: the name of a host is the first word of its line")
    if "ssh" in values and values["ssh"].startswith("-"):
        raise Bad(f"{where}: ssh={values['ssh']}: expected a destination, such as root@10.0.0.1")
    if values.get("sudo", "yes") not in ("yes", "no"):
        raise Bad(f"{where}: sudo={values['sudo']}: expected yes or no")
    directory = values.get("directory")
    # Not a datastore itself: clear removes files below it.
    if directory is not None and (not is_path(directory) or os.path.dirname(directory) in ("/", "/vmfs", "/vmfs/volumes")):
        raise Bad(f"{where}: directory={directory}: expected an absolute path below a datastore, such as "
                  "/vmfs/volumes/datastore1/reroute")


def parse_line(line, where):
    """The host of a line, None when the line has none."""
    words = line.split("#", 1)[0].split()
    if not words:
        return None
    name, values = words[0], {}
    if not NAME.fullmatch(name):
        raise Bad(f"{where}: '{name}': expected the name of a host: letters, digits, '.', '_' and '-'")
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals or not KEY.fullmatch(key):
            raise Bad(f"{where}: '{word}': expected KEY=VALUE, such as local=node1")
        if not VALUE.fullmatch(value):
            raise Bad(f"{where}: {key}='{value}': expected letters, digits and . _ : / % @ , + -")
        if key in values:
            raise Bad(f"{where}: {key} is given twice, expected once")
        values[key] = value
    check_own_keys(values, where)
    return Host(name, values, where)


def parse_list(text, name):
    """The hosts of a file."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        host = parse_line(line, f"{name}:{number}")
        if not host:
            continue
        if host.name in found:
            raise Bad(f"{host.where}: {host.name} stands in {found[host.name].where} already, expected it once")
        found[host.name] = host
    if not found:
        raise Bad(f"{name}: no host in it, expected lines such as: host1 local=node1")
    return list(found.values())


def choose(listed, given):
    """The hosts that are meant: all of the list; of the list those that were named; without a list (None) those that
    were given, each as a line of its own."""
    if listed is not None and not given:
        return listed
    if listed is None:
        hosts = [parse_line(line, f"--host '{line}'") for line in given]
        if None in hosts:
            raise Bad("--host '': expected a host, such as: --host 'host1 local=node1'")
    else:
        known = {host.name: host for host in listed}
        unknown = next((name for name in given if name not in known), None)
        if unknown is not None:
            raise Bad(f"--host '{unknown}': expected a name of the list: {', '.join(known)}")
        hosts = [known[name] for name in given]
    twice = next((host.name for host in hosts if [h.name for h in hosts].count(host.name) > 1), None)
    if twice:
        raise Bad(f"--host '{twice}': given twice, expected once")
    return hosts
