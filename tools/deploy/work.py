# SPDX-License-Identifier: Apache-2.0
"""What is done with one host: look, then check, change or clear. Its result is a dict; see reroute-deploy(8)."""
import contextlib
import os
import subprocess
import time

import kinds
from desk import reason_of
from remote import Trouble
from template import fill

CHANGE_S = 240  # a change is given up by then, whatever it waits for


class Wanted:
    """What hosts are to have. Programs and texts are read once."""

    def __init__(self, programs, template, template_name, services, vib):
        """services: the texts from which services are made, by the names of their files; vib: its bytes, or None."""
        self.programs, self.template, self.template_name = programs, template, template_name
        self.services, self.vib = services, vib

    def files(self, host, kind, facts):
        config = None
        if self.template is not None:
            text = fill(self.template, self.template_name, host, kinds.words_of(kind))
            reason = kinds.refuse_state(kind, text)
            if reason:
                raise kinds.Refused(reason)
            config = text.encode()
        if kind.name == "vib":
            return kinds.wanted(kind, None, config, self.vib)
        service = kinds.service_text(kind, self.services[kinds.service_file(kind, facts)]).encode()
        return kinds.wanted(kind, self.programs.of(kind, facts.get("machine", "")), config, service)


class Work:
    def __init__(self, remote, wanted, options, say):
        """say(text, over=False): what is being done now."""
        self.host, self.remote, self.wanted, self.options, self.say = remote.host, remote, wanted, options, say
        self.kind, self.hello, self.facts, self.status = None, {}, {}, {}
        self.made, self.staged = [], []
        self.result = {"name": self.host.name, "kind": None, "result": "failed", "reason": None, "note": None,
                       "differences": [], "steps": []}

    # --- looking ------------------------------------------------------------------------------------------------

    def meet(self):
        self.say("connects")
        self.hello = self.remote.call("host_hello")
        self.kind = kinds.kind_of(kinds.kind_name(self.hello, self.wanted.vib is not None), self.host.directory)
        self.result["kind"] = self.kind.name
        if self.hello.get("user") != "0":
            raise Trouble("needs root there: log in as root (ssh=root@...), or give sudo=yes in the host's line")

    def look(self):
        kind = self.kind
        self.say("looks")
        seen = self.remote.call("host_look", kind.name, kind.binary, kind.config, kind.service)
        self.facts = {**self.hello, **seen}
        self.status = kinds.parse_status(self.facts.get("status"))
        self.note()

    def note(self):
        """What was seen goes into the result."""
        facts, status = self.facts, self.status
        version = facts.get("version")
        self.result.update({
            "version": version.replace("reroute ", "") if version else None,
            "config": self.seen(self.kind.config),
            "service": facts.get("state") or None,
            "boot": facts.get("boot"),
            "agent": status.get("version"),
            "pid": status.get("pid"),
            "route": facts.get("route") or None,
        })

    def seen(self, path):
        value = self.facts.get(f"file:{path}", "none")
        return None if value == "none" else value

    # --- actions ------------------------------------------------------------------------------------------------

    def check(self):
        self.meet()
        self.look()
        files = self.wanted.files(self.host, self.kind, self.facts)
        if any(file.what == "configuration" for file in kinds.differing(files, self.facts)) and self.seen(self.kind.config):
            self.facts.update(self.remote.call("host_config", self.kind.config))
        self.result["differences"] = kinds.differences(self.kind, files, self.facts, self.status,
                                                       self.wanted.programs.version())
        self.result["result"] = "differs" if self.result["differences"] else "good"

    def bring(self):
        """install and upgrade."""
        self.meet()
        self.look()
        self.refuse(kinds.refuse(self.kind, self.facts))
        was_there = kinds.is_there(self.kind, self.facts)
        if self.options.action == "upgrade" and not was_there:
            raise Trouble("it is not installed there; expected an install first")
        files = self.wanted.files(self.host, self.kind, self.facts)
        if self.wanted.template is None and not self.seen(self.kind.config):
            raise Trouble(f"{self.kind.config} is not there; expected --config TEMPLATE")
        todo = kinds.differing(files, self.facts)
        if not todo and self.is_well():
            self.result["result"] = "unchanged"
            if not self.options.dry_run:  # what a run left whose connection ended
                self.staged = [f"{file.beside}.deploy-new" for file in files]
                self.tidy()
            return
        for file in todo:
            if file.what == kinds.VIB:
                self.refuse(kinds.refuse_vib(self.kind, file, self.facts))
        self.result["steps"] = kinds.change_steps(self.kind, todo, self.facts, self.options.wait_s)
        if self.options.dry_run:
            self.result["result"] = "planned"
            return
        self.change(todo)
        self.look()
        self.result["result"] = "upgraded" if was_there else "installed"

    @staticmethod
    def refuse(reason):
        if reason:
            raise Trouble(reason)

    def is_well(self):
        return (self.facts.get("state") in ("active", "activating") and self.facts.get("boot", "").startswith("yes")
                and bool(self.status))

    def change(self, todo):
        try:
            self.stage(todo)
        except Trouble as trouble:
            raise self.abandoned(trouble) from None
        kind = self.kind
        self.say("replaces, restarts, waits for the agent")
        try:
            self.survive("host_commit", *kind[:1], *kind[2:6], self.options.wait_s,
                         kinds.digest(b"".join(file.data for file in todo)), *(file.path for file in todo),
                         seconds=CHANGE_S + self.options.wait_s)
        except Trouble:
            self.tidy()
            raise

    def stage(self, todo):
        """Copies all beside, and tries it there. Nothing that is in use is touched."""
        arguments = []
        for file in todo:
            new = f"{file.beside}.deploy-new"
            self.say(f"copies the {file.what}")
            self.staged.append(new)
            self.made += self.remote.send(new, file.data)
            arguments += [new, kinds.digest(file.data), file.mode]
        self.say("verifies")
        if arguments:
            self.remote.call("host_verify", *arguments)
        new = {file.path: f"{file.beside}.deploy-new" for file in todo}
        if self.kind.name == "vib" and self.kind.service in new:
            self.remote.call("host_try_vib", new[self.kind.service], seconds=CHANGE_S)
        else:
            self.remote.call("host_try", *(new.get(path, path) for path in (self.kind.binary, self.kind.config)))

    def tidy(self):
        """What was copied goes again, and the directories made for it. False: the host cannot be reached."""
        try:
            self.remote.call("host_abandon", "made", *self.made, "staged", *self.staged)
        except Trouble:
            return False
        return True

    def abandoned(self, trouble):
        """The trouble, and how the host was left."""
        if self.tidy():
            return Trouble(f"{trouble}; the host is as it was")
        return Trouble(f"{trouble}; the host is as it was, but for files *.deploy-new, which nothing uses")

    def survive(self, function, *arguments, seconds):
        """A change that goes on without the connection: when that is lost, the host is asked what came of it."""
        token = os.urandom(8).hex()
        try:
            self.remote.call(function, token, *arguments, seconds=seconds)
        except Trouble as trouble:
            if not trouble.lost:
                raise
            if self.remote.running.stopped:
                raise Trouble(f"{trouble}; the host finishes by itself: see reroute deploy check") from None
            self.ask_outcome(trouble, token, seconds)
        with contextlib.suppress(Trouble):
            self.remote.call("host_forget", token)

    def ask_outcome(self, lost, token, seconds):
        """Returns when the change is made; Trouble when it is not, or when that is not known."""
        self.say("connects again")
        time.sleep(1)
        try:
            self.remote.call("host_outcome", token, seconds=seconds)
        except Trouble as trouble:
            if trouble.lost:
                raise Trouble(f"{lost}; what came of it is not known: see reroute deploy check") from None
            raise Trouble(f"{lost}; {trouble}") from None

    def clear(self):
        self.meet()
        self.look()
        kind = self.kind
        if kinds.left_by_vib(kind, self.facts):
            self.clear_leftover()
            return
        if not kinds.is_there(kind, self.facts):
            self.clear_rest()
            return
        self.result["steps"] = kinds.clear_steps(kind, self.options.route)
        if self.options.dry_run:
            self.result["result"] = "planned"
            return
        self.say("stops and removes")
        self.survive("host_clear", *kind[:1], *kind[2:6], "yes" if self.options.route else "no", seconds=CHANGE_S)
        route, note = self.result["route"], kinds.route_that_stays(kind, self.facts)
        self.look()
        self.result["route"] = None if self.options.route else route
        self.result["note"] = None if self.options.route else note
        self.result["result"] = "cleared"

    def clear_leftover(self):
        """The VIB is gone; what it had in the datastore is left, and maybe a route of ours."""
        self.kind = kind = kinds.kind_of("vib", self.host.directory)
        self.result["kind"] = kind.name
        ours = self.facts.get("ours") if self.options.route else None
        self.result["steps"] = ([f"ip route del {ours}"] if ours else []) + kinds.leftover_steps(kind)
        if self.options.dry_run:
            self.result["result"] = "planned"
            return
        self.say("removes what is left")
        if ours:
            self.survive("host_clear_routes", seconds=CHANGE_S)
        self.survive("host_clear", *kind[:1], *kind[2:6], "no", seconds=CHANGE_S)
        note = None if ours else kinds.route_that_stays(kind, self.facts)
        self.look()
        self.result.update(result="cleared", note=note)

    def clear_rest(self):
        """Nothing is installed; a route of ours may be left."""
        package, ours = self.facts.get("package"), self.facts.get("ours")
        if package or not ours or not self.options.route:
            self.result["result"] = "nothing there"
            self.result["note"] = None if package else kinds.route_that_stays(self.kind, self.facts)
            return
        self.result["steps"] = [f"ip route del {ours}"]
        if self.options.dry_run:
            self.result["result"] = "planned"
            return
        self.say("removes the route")
        self.survive("host_clear_routes", seconds=CHANGE_S)
        self.result.update(result="cleared", route=None)

    # --- all of it ----------------------------------------------------------------------------------------------

    def run(self):
        """The result, whatever happens."""
        began = time.monotonic()
        try:
            {"check": self.check, "clear": self.clear}.get(self.options.action, self.bring)()
        except Exception as error:
            self.result.update(result="failed", reason=reason_of(error))
        self.result["seconds"] = round(time.monotonic() - began, 1)
        self.say(self.result["result"], over=True)
        return self.result

    def illness(self):
        """Asked again after the work: why the host is not well, None: it is."""
        try:
            self.look()
        except Exception as error:
            return reason_of(error)
        return kinds.unhealthy(self.facts, self.status)

    def unhealthy(self):
        """The same, but it has some time: an agent answers before it has found a way."""
        deadline = time.monotonic() + self.options.wait_s
        why = self.illness()
        while why and time.monotonic() < deadline and not self.remote.running.stopped:
            time.sleep(1)
            why = self.illness()
        return why


# --- the programs for hosts -----------------------------------------------------------------------------------------

def is_static(path):
    """True of an ELF program that names no interpreter (elf(5), PT_INTERP)."""
    with open(path, "rb") as f:
        head = f.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        offset, size, count = (int.from_bytes(head[a:a + n], "little") for a, n in ((32, 8), (54, 2), (56, 2)))
        f.seek(offset)
        headers = f.read(size * count)
    return all(headers[i:i + 4] != b"\x03\0\0\0" for i in range(0, len(headers), size))


class Programs:
    """Which program a host gets: the one that was given, else this one, else the static one beside its build."""

    def __init__(self, given, own):
        self.given, self.own, self.data = given, own, {}
        self.static = own if is_static(own) else os.path.join(os.path.dirname(os.path.dirname(own)), "build-static",
                                                              "reroute")

    def of(self, kind, machine):
        """Its bytes."""
        if self.given:
            return self.read(self.given)
        if machine != os.uname().machine:
            raise Trouble(f"the host is {machine}, this one {os.uname().machine}; expected --binary FILE for it")
        if kind.name != "vmkernel":
            return self.read(self.own)
        if not os.path.exists(self.static):
            raise Trouble("VMkernel needs the static program; tools/build-static makes it: expected --binary FILE")
        return self.read(self.static)

    def version(self):
        """Of the program that was given, else of this one; None: it does not run here."""
        try:
            done = subprocess.run([os.path.abspath(self.given or self.own), "--version"], capture_output=True, text=True,
                                  timeout=10, check=False)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip().replace("reroute ", "") if done.returncode == 0 else None

    def read(self, path):
        if path not in self.data:
            with open(path, "rb") as f:
                self.data[path] = f.read()
        return self.data[path]
