#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab's session service is a real cluster: it answers as session-service.md says, a lease ends when its access is
dead or cut off and not before, refreshes move addresses everywhere, a leader's death costs nothing but a
moment, and it misbehaves on command."""
import json
import sys
import time

from lab import Lab, Tap, need_namespaces, wait_for

need_namespaces()
tap = Tap()
LEASE = 2.5  # seconds; the default of 7 only makes the test longer
FIELDS = {"uuid", "ip", "num_ip", "port", "cid", "zone", "alive_sec", "machine_uuid"}


def ids(sessions):
    return sorted(s["cid"] for s in sessions or [])


def refresh(lab, node, uuid, clients):
    return lab.http(node, f"/api/v2/zbs_session/session/{uuid}", "PUT",
                    json.dumps({"local_clients_ips": clients}))


def clients(lab, node):
    return {s["cid"]: s["clients"] for s in lab.state(node)["sessions"]}


def uuid_of(lab, access):
    return {s["cid"]: s["uuid"] for s in lab.list("scvm1")}[access]


def uuids_of(lab, node, access):
    """The sessions of an access in a node's list."""
    return [s["uuid"] for s in lab.list(node) if s["cid"] == access]


def answers(lab):
    status, body = lab.http("host", "/api/v3/sessions", address="10.10.85.16")
    document = json.loads(body)
    tap.ok(status == 200 and document["ec"] == "EOK" and document["error"] == {}, "the list's envelope", body)
    sessions = document["data"]
    tap.ok(ids(sessions) == [1, 2, 3] and all(FIELDS <= set(s) for s in sessions), "every access, every field", body)
    first = next(s for s in sessions if s["cid"] == 1)
    tap.ok(first["ip"] == "10.10.85.15" and first["num_ip"] == 257231370 and
           first["scvm_mode_host_data_ip"] == "10.10.85.11", "scvm1 says that it runs on the host", first)
    tap.ok(not any("scvm_mode_host_data_ip" in s for s in sessions if s["cid"] != 1), "... and the others do not")
    age = first["alive_sec"]
    tap.ok(wait_for(lambda: lab.list("scvm3")[0]["alive_sec"] > age), "alive_sec moves on")
    tap.ok(lab.http("host", "/api/v3/nothing", address="10.10.85.16")[0] == 404, "an unknown resource: 404")
    status, body = lab.http("scvm2", "/api/v3/reroute/heartbeat", "POST", '{"host":"h","next_hop":"10.10.85.15"}')
    tap.ok(status == 200 and lab.state("scvm2")["heartbeats"][-1]["body"]["host"] == "h",
           "an agent's heartbeat is taken and kept", body)


def refreshes(lab):
    one, two = uuid_of(lab, 1), uuid_of(lab, 2)
    status, body = refresh(lab, "scvm3", one, "192.168.33.1, 10.10.85.11")
    tap.ok(status == 200 and json.loads(body)["ec"] == "EOK", "a refresh over any access", body)
    tap.ok(wait_for(lambda: all(clients(lab, n)[1] == "192.168.33.1,10.10.85.11" for n in ("scvm1", "scvm2", "scvm3"))),
           "... every access knows it", clients(lab, "scvm1"))
    tap.ok(refresh(lab, "scvm2", one, "10.10.85.12")[0] == 200, "another host enters there too")
    tap.ok(refresh(lab, "scvm1", two, "10.10.85.11")[0] == 200, "one address moves to another session")
    tap.ok(wait_for(lambda: all((clients(lab, n)[1], clients(lab, n)[2]) == ("192.168.33.1,10.10.85.12", "10.10.85.11")
                                for n in ("scvm1", "scvm2", "scvm3"))),
           "... the cluster forgets it elsewhere, and nothing else", clients(lab, "scvm2"))
    tap.ok(refresh(lab, "scvm2", "no-such-session", "10.10.85.11")[0] == 404, "an unknown session: 404")
    for bad in ("", "10.10.85", "10.10.85.11,x"):
        tap.ok(refresh(lab, "scvm1", one, bad)[0] == 400, f"no list of addresses ('{bad}'): 400")
    last = lab.state("scvm3")["refreshes"][-1]
    tap.ok(last["uuid"] == one and last["status"] == 200 and last["at"] < time.monotonic(),
           "what was asked is kept, with its time", last)


def lease_ends(lab):
    before = lab.state("scvm1")
    dead_at = time.monotonic()  # at the earliest
    lab.kill("scvm3")
    tap.ok(wait_for(lambda: 3 not in ids(lab.list("scvm2"))), "a dead access is taken out of the list")
    # Its last heartbeat may be one interval (250 ms) older than its death.
    held = time.monotonic() - dead_at
    tap.ok(held >= LEASE - 0.25, "... not before its lease is over", held)
    tap.ok(lab.state("scvm1")["leader"] == before["leader"], "... and the leader stays")
    lab.revive("scvm3")
    tap.ok(wait_for(lambda: ids(lab.list("scvm3")) == [1, 2, 3]), "revived: it is back")
    young = next(s for s in lab.list("scvm1") if s["cid"] == 3)
    tap.ok(young["uuid"] not in [s["uuid"] for s in before["sessions"]], "... as a new session", young)


def cut_off(lab):
    lab.cut("scvm2", "data")
    uuid = lab.state("scvm2")["uuid"]
    tap.ok(wait_for(lambda: ids(lab.list("scvm1")) == [1, 3]), "an access cut off from the others loses its lease")
    old = lab.list("host", address="192.168.85.16")
    tap.ok(ids(old) == [1, 2, 3], "... but itself still answers with the old list", old)
    age = lab.list("scvm1")[0]["alive_sec"]
    wait_for(lambda: lab.list("scvm1")[0]["alive_sec"] > age + 1)
    tap.ok(lab.list("scvm2") == old, "... in which time stands still")
    tap.ok(refresh(lab, "scvm2", uuid, "10.10.85.11")[0] == 503, "... and takes no refresh: 503")
    lab.plug("scvm2", "data")
    tap.ok(wait_for(lambda: ids(lab.list("scvm1")) == [1, 2, 3] and uuid not in
                    [s["uuid"] for s in lab.list("scvm1")]), "plugged again: a new session, the lost one never returns")


def restart(lab):
    uuid = lab.state("scvm3")["uuid"]
    lab.restart("scvm3")
    seen = []

    def twice():
        seen[:] = [s for s in lab.list("scvm1") if s["cid"] == 3]
        return len(seen) == 2

    both = wait_for(twice) and seen
    tap.ok(both and min(both, key=lambda s: s["alive_sec"])["uuid"] != uuid,
           "a quick restart: both sessions are listed, the younger is the new one", seen)
    tap.ok(wait_for(lambda: uuids_of(lab, "scvm1", 3) == [lab.state("scvm3")["uuid"]]),
           "... until the old lease is over")


def leader_restarts(lab):
    """It comes back within the lease, first of all by its number and with an empty table: it must not lead."""
    leader = lab.state("scvm2")["leader"]
    others = [n for n in (1, 2, 3) if n != leader]
    watch = f"scvm{others[0]}"
    refresh(lab, watch, uuid_of(lab, others[0]), "10.10.85.13")
    before = {s["cid"]: s["uuid"] for s in lab.list(watch)}
    lab.restart(f"scvm{leader}")
    tap.ok(wait_for(lambda: lab.state(watch)["leader"] in others), "the leader restarts: one with a table leads")
    after = {s["cid"]: s["uuid"] for s in lab.list(watch)}
    tap.ok(all(after[n] == before[n] for n in others) and "10.10.85.13" in clients(lab, watch)[others[0]],
           "... and no session is lost, nor who enters where", f"{before} {after}")
    tap.ok(wait_for(lambda: uuids_of(lab, watch, leader) == [lab.state(f"scvm{leader}")["uuid"]]),
           "... until its old lease is over")


def leader_dies(lab):
    leader = lab.state("scvm2")["leader"]
    others = [n for n in (1, 2, 3) if n != leader]
    watch = f"scvm{others[0]}"
    holds = clients(lab, watch)[others[0]]
    age = {s["cid"]: s["alive_sec"] for s in lab.list(watch)}
    lab.kill(f"scvm{leader}")
    tap.ok(wait_for(lambda: lab.state(watch)["leader"] in others), "the leader dies: another one leads")
    found = lab.list(watch)
    tap.ok(all(s["alive_sec"] >= age[s["cid"]] for s in found), "... no session looks restarted", f"{age} {found}")
    tap.ok(wait_for(lambda: ids(lab.list(watch)) == others), "... the dead one's lease ends")
    tap.ok(clients(lab, watch)[others[0]] == holds, "... who enters where is not forgotten")
    lab.revive(f"scvm{leader}")
    tap.ok(wait_for(lambda: ids(lab.list(f"scvm{leader}")) == [1, 2, 3]) and
           lab.state(watch)["leader"] in others, "... and back it follows")
    lab.cut(f"scvm{others[0]}", "data")
    lab.cut(f"scvm{others[1]}", "data")
    last = f"scvm{leader}"
    wait_for(lambda: lab.state(last)["state"] == "expired")
    tap.ok(lab.state(last)["leader"] == 0 and ids(lab.list(last)) == [1, 2, 3],
           "without a majority nobody leads and no lease ends", lab.state(last))
    for other in others:
        lab.plug(f"scvm{other}", "data")
    tap.ok(wait_for(lambda: lab.state(last)["leader"] != 0), "... until there is one again")


def misbehaviour(lab):
    def listed(**options):
        return lab.http("host", "/api/v3/sessions", address="10.10.85.15", **options)

    lab.behave("scvm1", "502")
    tap.ok(listed()[0] == 502, "502")
    lab.behave("scvm1", "html")
    status, body = listed()
    tap.ok(status == 200 and "<html>" in body, "a page of HTML with status 200")
    lab.behave("scvm1", "error")
    status, body = listed()
    tap.ok(status == 200 and json.loads(body)["ec"] != "EOK", "an error answer with status 200")
    lab.behave("scvm1", "empty")
    tap.ok(json.loads(listed()[1])["data"] == [], "an empty list")
    lab.behave("scvm1", "truncated")
    code, _ = lab.run("exec", "host", "curl", "-s", "http://10.10.85.15/api/v3/sessions")
    tap.ok(code == 18, "half a body (curl: partial file)", code)
    lab.behave("scvm1", "slow", "700")
    start = time.monotonic()
    status, body = listed()
    tap.ok(status == 200 and time.monotonic() - start >= 0.7, "an answer that takes its time")
    lab.behave("scvm1", "hang")
    tap.ok(listed(seconds=1)[0] == 0, "no answer at all")
    lab.behave("scvm1", "normal")
    tap.ok(ids(json.loads(listed()[1])["data"]) == [1, 2, 3], "and back to normal")
    tap.ok(lab.run("behave", "scvm1", "odd")[0] == 1, "an unknown mode is refused")
    for envelope, find in (("array", lambda d: d), ("sessions", lambda d: d["data"]["sessions"]),
                           ("data", lambda d: d["data"])):
        lab.http("scvm1", "/lab/behave", "POST", json.dumps({"envelope": envelope}))
        tap.ok(ids(find(json.loads(listed()[1]))) == [1, 2, 3], f"envelope '{envelope}'")


with Lab(LAB_LEASE_MS=str(int(LEASE * 1000))) as the_lab:
    answers(the_lab)
    refreshes(the_lab)
    misbehaviour(the_lab)
    lease_ends(the_lab)
    cut_off(the_lab)
    restart(the_lab)
    leader_restarts(the_lab)
    leader_dies(the_lab)
sys.exit(tap.done())
