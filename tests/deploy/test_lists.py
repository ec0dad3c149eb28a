#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: a list of hosts and a template say what they are meant to say, and what is wrong with them is one
line: what, where, what was expected."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(ROOT, "tests", "lib"), os.path.join(ROOT, "tools", "deploy")]
from tap import run, same, test, check
from hosts import Bad, choose, is_path, parse_list
from template import check_local, check_words, fill

LIST = """
# two rooms
esx1  ssh=root@10.0.0.1  local=node1 zone=a sources=10.1.0.1,10.2.0.1
esx2  sudo=yes directory=/vmfs/volumes/ds1/reroute local=node2 zone=b   # the second
"""
TEMPLATE = """service = "10.9.9.9"
zone = "@zone@"   # @name@
access "node1" { local = @local:node1@ data = "10.1.0.15" }
access "node2" { local = @local:node2@ data = "10.1.0.16" }
session { client-addresses = {@list:sources@} }
state-directory = "@state-directory@"
"""
KIND = {"state-directory": "/var/lib/reroute"}


def bad(function, *arguments):
    """The line of a refusal."""
    try:
        function(*arguments)
    except Bad as error:
        check("\n" not in str(error), "one line", error)
        return str(error)
    raise AssertionError(f"{arguments}: not refused")


@test
def a_list():
    one, two = parse_list(LIST, "hosts")
    same((one.name, one.ssh, one.sudo, one.directory), ("esx1", "root@10.0.0.1", False, None))
    same((two.name, two.ssh, two.sudo, two.directory), ("esx2", "esx2", True, "/vmfs/volumes/ds1/reroute"))
    same(two.words(), {"local": "node2", "zone": "b"})
    same(two.where, "hosts:4")


BAD_LISTS = [
    ("", "hosts: no host in it, expected lines such as: host1 local=node1"),
    ("# none\n\n", "hosts: no host in it, expected lines such as: host1 local=node1"),
    ("a\n\na zone=b", "hosts:3: a stands in hosts:1 already, expected it once"),
    ("-oProxyCommand=x", "hosts:1: '-oProxyCommand=x': expected the name of a host: letters, digits, '.', '_' and '-'"),
    ("a;b", "hosts:1: 'a;b': expected the name of a host: letters, digits, '.', '_' and '-'"),
    ("a zone", "hosts:1: 'zone': expected KEY=VALUE, such as local=node1"),
    ("a Zone=x", "hosts:1: 'Zone=x': expected KEY=VALUE, such as local=node1"),
    ("a zone=", "hosts:1: zone='': expected letters, digits and . _ : / % @ , + -"),
    ("a zone=$(id)", "hosts:1: zone='$(id)': expected letters, digits and . _ : / % @ , + -"),
    ('a zone="b"', "hosts:1: zone='\"b\"': expected letters, digits and . _ : / % @ , + -"),
    ("a name=b", "hosts:1: name=b: the name of a host is the first word of its line"),
    ("a zone=b zone=c", "hosts:1: zone is given twice, expected once"),
    ("a ssh=-oProxyCommand", "hosts:1: ssh=-oProxyCommand: expected a destination, such as root@10.0.0.1"),
    ("a sudo=perhaps", "hosts:1: sudo=perhaps: expected yes or no"),
    *((f"a directory={path}", f"hosts:1: directory={path}: expected an absolute path below a datastore, such as "
       "/vmfs/volumes/datastore1/reroute") for path in ("None", "/", "/a", "/vmfs/volumes/a", "/a/../b", "a/b", "/a//b", "/a/",
                                                        "/a/./b")),
]


@test
def bad_lists():
    for text, line in BAD_LISTS:
        same(bad(parse_list, text, "hosts"), line)


@test
def paths():
    same([p for p in ("/a", "/a/b-1.2", "", "/", "None", "/a b", "/a/..", "//a", "/a\n") if is_path(p)],
         ["/a", "/a/b-1.2"])


@test
def who_is_meant():
    listed = parse_list(LIST, "hosts")
    same([h.name for h in choose(listed, [])], ["esx1", "esx2"])
    same([h.name for h in choose(listed, ["esx2"])], ["esx2"])
    same([(h.name, h.words()) for h in choose(None, ["a zone=b", "c"])], [("a", {"zone": "b"}), ("c", {})])
    same(bad(choose, listed, ["esx3"]), "--host 'esx3': expected a name of the list: esx1, esx2")
    same(bad(choose, listed, ["esx1", "esx1"]), "--host 'esx1': given twice, expected once")
    same(bad(choose, None, [""]), "--host '': expected a host, such as: --host 'host1 local=node1'")


@test
def a_template():
    one, two = parse_list(LIST, "hosts")
    same(fill(TEMPLATE, "t", one, KIND), """service = "10.9.9.9"
zone = "a"   # esx1
access "node1" { local = true data = "10.1.0.15" }
access "node2" { local = false data = "10.1.0.16" }
session { client-addresses = {"10.1.0.1", "10.2.0.1"} }
state-directory = "/var/lib/reroute"
""")
    same(bad(fill, TEMPLATE, "t", two, KIND),
         "t:5: @list:sources@: esx2 (hosts:4) has no sources=..., expected one")
    same(bad(fill, "\n@zone:x@", "t", one, KIND), "t:2: @zone:x@: expected @KEY@, @list:KEY@ or @local:ACCESS@")
    same(fill("a@b.c @Zone@ @ @ @@", "t", one, KIND), "a@b.c @Zone@ @ @ @@", "no marks")
    same(fill("@local:node1@", "t", parse_list("a", "h")[0], KIND), "false", "a host without a local access")


@test
def words_without_a_place():
    one, two = parse_list(LIST, "hosts")
    check_words(TEMPLATE, "t", one)
    check_local(TEMPLATE, two)
    same(bad(check_words, "@zone@", "t", two), "hosts:4: local: t has no place for it, expected @local:ACCESS@ there")
    same(bad(check_words, TEMPLATE, "t", parse_list("a zome=b", "h")[0]),
         "h:1: zome: t has no place for it, expected @zome@ there")
    same(bad(check_local, TEMPLATE, parse_list("a local=nod1", "h")[0]),
         "h:1: local=nod1: expected one of node1, node2")


sys.exit(run())
