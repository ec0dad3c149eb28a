#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: on a host that looks like VMkernel and runs only what a VIB brought, `reroute deploy` brings the VIB
and the configuration, which survive a boot; an upgrade that fails puts the old VIB back; what forbids a VIB is said in
one line, and nothing is changed then; clear leaves no trace. The host's `esxcli software` is a stand-in.

Skipped without the static program (tools/build-static)."""
import os
import shutil
import subprocess
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from deploying import as_before, fails, of_all, results, snapshots, stage
from stage import REROUTE, ROOT, SERVICE, TEMPLATE, eventually, missing, skip
from netlab.namespace import entering
from tap import check, run, same, test

KIND = {"esx1": "vmkernel"}
DIRECTORY = "/vmfs/volumes/datastore1/reroute"
CONFIG = "/etc/reroute/reroute.conf"
STATIC = os.path.join(ROOT, "build-static", "reroute")
# The header of a program, and nothing that could run.
BROKEN = bytes.fromhex("7f454c46020101000000000000000000" "02003e0001000000") + b"\0" * 24 + b"@" + b"\0" * 5000


def vib(s, version, program=None, note=b""):
    """The path of a VIB of this version, made by tools/build-vib of this program, by default of one that works."""
    top = s.path(f"top-{version}")
    os.makedirs(os.path.join(top, "tools"), exist_ok=True)
    for name in ("build-vib", "esxi", "reroute.conf.example"):
        if not os.path.lexists(os.path.join(top, "tools", name)):
            (shutil.copy if name == "build-vib" else os.symlink)(os.path.join(ROOT, "tools", name),
                                                                 os.path.join(top, "tools", name))
    with open(os.path.join(top, "meson.build"), "w", encoding="ascii") as f:
        f.write(f"    version: '{version}'\n")
    if program is None:
        with open(STATIC, "rb") as f:
            program = f.read()
    with open(os.path.join(top, "program"), "wb") as f:
        f.write(program + note)
    subprocess.run([os.path.join(top, "tools", "build-vib"), "--program", os.path.join(top, "program")], check=True,
                   capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    return os.path.join(top, f"reroute-{version}-1.vib")


def deploy(s, action, *arguments, config=True):
    return s.deploy(action, "--hosts", s.list(), *(["--config", s.template()] if config else []), *arguments)


def set_up(host, **values):
    for name, value in {"execInstalledOnly": "1", **values}.items():
        host.write(f"/etc/stand-in/{name.replace('_', '-')}", value + "\n")


def installed(host):
    return host.read("/bootbank/vib/version").strip() if host.exists("/bootbank/vib/version") else None


def calls(host):
    """What `esxcli software` was asked that can change a host."""
    lines = host.read("/var/log/esxcli").splitlines() if host.exists("/var/log/esxcli") else []
    return [line for line in lines if line.startswith(("vib install", "vib remove")) and "--dry-run" not in line]


def reboot(host):
    """Files of the VIB come from the boot disk, the configuration from what was saved."""
    host.inside(f"for p in $(ps | awk '/reroute/ && !/awk/ {{ print $1 }}'); do kill -9 $p; done", check=False)
    host.inside("rm -rf /opt /etc/init.d /etc/reroute /run /var/run; mkdir /var/run")
    eventually("nothing runs", lambda: not host.status())
    host.inside("esxcli software boot")


@test
def from_nothing_to_nothing():
    with stage(KIND) as s:
        host, before = s.hosts["esx1"], snapshots(s)
        set_up(host)
        first = vib(s, "0.3.1")
        code, found = deploy(s, "install", "--vib", first, "--dry-run")
        same((code, results(found), calls(host)), (0, of_all(s, "planned"), []))
        check(f"esxcli software vib install -f --no-sig-check -v {DIRECTORY}/reroute.vib" in found["esx1"]["steps"],
              found["esx1"]["steps"])
        code, found = deploy(s, "install", "--vib", first)
        same((code, results(found)), (0, of_all(s, "installed")))
        same((found["esx1"]["kind"], found["esx1"]["boot"], installed(host)), ("vib", "yes: VIB 0.3.1-1", "0.3.1-1"))
        same(oct(os.stat(host.files(CONFIG)).st_mode & 0o7777), "0o1644", "the mark of a file that is saved")
        check(f'state-directory = "{DIRECTORY}/state"' in host.read(CONFIG), host.read(CONFIG))
        same(sorted(os.listdir(host.files(DIRECTORY))), ["reroute.vib", "state"])
        eventually("its route", host.route)

        reboot(host)
        eventually("the agent runs after a boot", host.status)
        for arguments in ((), ("--vib", first)):
            code, found = deploy(s, "check", *arguments)
            same((code, results(found)), (0, of_all(s, "good")), "check after a boot")
        same(results(deploy(s, "install", "--vib", first)[1]), of_all(s, "unchanged"))

        shown = subprocess.run([REROUTE, "status", "--all", "--hosts", s.list(), "--ssh", f"ssh -F {s.path('ssh_config')}"],
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
                               preexec_fn=entering(s.desk))
        check("1 host: 0 did not answer" in shown.stdout, shown.stdout, shown.stderr)

        code, found = s.deploy("clear", "--hosts", s.list())
        same((code, results(found)), (0, of_all(s, "cleared")))
        as_before(s, before, "esx1")
        check(host.route(), "the route stays")


@test
def an_upgrade():
    """No echo is lost; the configuration stays, though each VIB brings one. One that does not run is put back."""
    with stage(KIND) as s:
        host = s.hosts["esx1"]
        set_up(host)
        deploy(s, "install", "--vib", vib(s, "0.3.1"))
        eventually("its route", host.route)
        stood, config, meter = host.route(), host.read(CONFIG), s.meter(host)
        eventually("traffic", meter.answered(200))
        code, found = deploy(s, "upgrade", "--vib", vib(s, "0.3.2"), config=False)
        same((code, results(found)), (0, of_all(s, "upgraded")))
        eventually("traffic goes on", meter.answered(200))
        same((installed(host), host.read(CONFIG)), ("0.3.2-1", config))
        before = snapshots(s)

        fails(deploy(s, "upgrade", "--vib", vib(s, "0.3.3", BROKEN), config=False)[1], "esx1", "cannot be enabled: ",
              "; the old one is put back and answers")
        same((installed(host), host.read(CONFIG)), ("0.3.2-1", config))
        as_before(s, before, "esx1")
        host.write("/sbin/auto-backup.sh", "#!/bin/sh\nexit 1\n", 0o755)
        more = s.template(TEMPLATE + "# more\n", "more.conf")
        fails(s.deploy("upgrade", "--hosts", s.list(), "--config", more, "--vib", vib(s, "0.3.4"))[1], "esx1",
              "cannot be enabled: /sbin/auto-backup.sh failed", "; what is put back is not saved: /sbin/auto-backup.sh failed: "
              "a boot would bring what was saved before; the old one is put back and answers")
        same((installed(host), host.read(CONFIG)), ("0.3.2-1", config))
        as_before(s, before, "esx1")
        summary = meter.finish()
        same((meter.interruptions("icmp"), summary["icmp"]["errors"], host.route()), ([], 0, stood), summary)


@test
def only_what_differs():
    """Without a VIB the configuration alone is changed."""
    with stage(KIND) as s:
        host = s.hosts["esx1"]
        set_up(host)
        first = vib(s, "0.3.1")
        deploy(s, "install", "--vib", first)
        eventually("its route", host.route)
        asked = calls(host)
        more = s.template(TEMPLATE + "# more\n", "more.conf")
        code, found = s.deploy("upgrade", "--hosts", s.list(), "--config", more)
        same((code, results(found), calls(host)), (0, of_all(s, "upgraded"), asked))
        check(host.read(CONFIG).endswith("# more\n") and os.stat(host.files(CONFIG)).st_mode & 0o1000)
        same(host.read("/bootbank/reroute.conf"), host.read(CONFIG), "saved")
        code, found = deploy(s, "check", "--vib", vib(s, "0.3.2"))
        same((code, found["esx1"]["differences"]), (1, [
            "the file of the VIB differs", "VIB 0.3.1-1 is installed, expected 0.3.2-1",
            "the configuration differs: line 8 is '# more' there, '' here"]))
        host.inside(f"chmod 644 {CONFIG}")
        code, found = s.deploy("check", "--hosts", s.list(), "--config", more, "--vib", first)
        same((code, found["esx1"]["differences"]), (1, [f"it does not survive a reboot: {CONFIG} has no sticky bit"]))


def bad_config(s, host):
    """check-config accepts it, and no agent starts with it: the service's address is the host's own."""
    return s.template(TEMPLATE.replace(SERVICE, host.address), "bad.conf")


@test
def a_configuration_that_is_put_back():
    """It is also what a boot brings. Of a first install that fails a boot brings nothing."""
    with stage(KIND) as s:
        host, before, first = s.hosts["esx1"], snapshots(s), vib(s, "0.3.1")
        set_up(host)
        bad = ("--hosts", s.list(), "--config", bad_config(s, host), "--wait", "4")
        fails(s.deploy("install", *bad, "--vib", first)[1], "esx1", "the agent does not come up: ",
              "; put back, nothing runs, as before")
        as_before(s, before, "esx1")

        deploy(s, "install", "--vib", first)
        eventually("its route", host.route)
        config, before = host.read(CONFIG), snapshots(s)
        fails(s.deploy("upgrade", *bad)[1], "esx1", "the agent does not come up: ", "; the old one is put back and answers")
        same(host.read(CONFIG), config)
        same(host.read("/bootbank/reroute.conf"), config, "saved")
        same(oct(os.stat(host.files(CONFIG)).st_mode & 0o7777), "0o1644", "the mark of a file that is saved")
        as_before(s, before, "esx1")
        reboot(host)
        eventually("the agent runs after a boot", host.status)


@test
def clear_with_its_route():
    """The VIB's program removes the route, so the VIB goes after it."""
    with stage(KIND) as s:
        host, before = s.hosts["esx1"], snapshots(s)
        set_up(host)
        deploy(s, "install", "--vib", vib(s, "0.3.1"))
        eventually("its route", host.route)
        program = host.files("/opt/reroute/bin/reroute")
        os.rename(program, program + ".real")
        host.write("/opt/reroute/bin/reroute", '#!/bin/sh\n[ "$1" != clear ] || exit 1\nexec "$0.real" "$@"\n', 0o755)
        fails(s.deploy("clear", "--hosts", s.list(), "--route")[1], "esx1", "stopped, but the route is not removed: ")
        check(host.route() and installed(host), "what is left can be cleared")
        os.rename(program + ".real", program)
        steps = s.deploy("clear", "--hosts", s.list(), "--route", "--dry-run")[1]["esx1"]["steps"]
        same(steps[:3], ["stop the service", "remove the route to the service", "esxcli software vib remove -n reroute"])
        code, found = s.deploy("clear", "--hosts", s.list(), "--route")
        same((code, results(found), found["esx1"]["route"]), (0, of_all(s, "cleared"), None))
        same((host.route(), installed(host)), ([], None))
        as_before(s, before, "esx1")
        same(results(s.deploy("clear", "--hosts", s.list(), "--route")[1]), of_all(s, "nothing there"))


@test
def what_a_vib_left():
    """A VIB that a person removed leaves its file and the agent's state in the datastore. Clear removes both, and
    the route where the host shows whose it is."""
    with stage(KIND) as s:
        host, before = s.hosts["esx1"], snapshots(s)
        set_up(host)
        deploy(s, "install", "--vib", vib(s, "0.3.1"))
        eventually("its route", host.route)
        for left in ("reroute.vib", "state"):
            if installed(host):
                host.inside("esxcli software vib remove -n reroute")
            else:
                host.inside(f"mkdir -p {DIRECTORY}/state && echo x >{DIRECTORY}/state/route")
            check(host.exists(f"{DIRECTORY}/{left}"), left)
            had_route = bool(host.route())
            code, found = s.deploy("clear", "--hosts", s.list(), "--route", "--dry-run")
            same((code, results(found), found["esx1"]["steps"][-2:]), (0, of_all(s, "planned"), [
                f"remove {DIRECTORY}/reroute.vib", f"remove the agent's files in {DIRECTORY}/state"]))
            code, found = s.deploy("clear", "--hosts", s.list(), "--route")
            same((code, results(found), found["esx1"]["kind"], host.route()), (0, of_all(s, "cleared"), "vib", []))
            same(found["esx1"]["note"],
                 None if had_route else "esxcfg-route -l shows whether a route of the agent still stands")
            as_before(s, before, "esx1")
        same(results(s.deploy("clear", "--hosts", s.list(), "--route")[1]), of_all(s, "nothing there"))


@test
def what_is_refused():
    with stage(KIND) as s:
        host, before, first = s.hosts["esx1"], snapshots(s), vib(s, "0.3.1")
        set_up(host)
        fails(s.deploy("install", "--hosts", s.list(), "--config", s.template(), "--binary", STATIC)[1], "esx1",
              "execInstalledOnly is on: the host runs only programs that a VIB brought; expected --vib FILE")
        backup = host.read("/sbin/auto-backup.sh")
        host.write("/sbin/auto-backup.sh", "#!/bin/sh\nexit 1\n", 0o755)
        fails(deploy(s, "install", "--vib", first)[1], "esx1", "cannot be enabled: ", "; put back, nothing runs, as before")
        same(installed(host), None)
        as_before(s, before, "esx1")
        host.write("/sbin/auto-backup.sh", backup, 0o755)
        for name, value, reason in (
                ("acceptance", "PartnerSupported", "the host's acceptance level is PartnerSupported, which forbids "),
                ("secureboot", "Enabled", "UEFI secure boot is on: "),
                ("refuses_dry_run", "('reroute_bootbank_reroute_0.3.1-1', 'Could not find a trusted signer.')",
                 "esxcli there: [InstallationError] ('reroute_bootbank_reroute_0.3.1-1', 'Could not find a trusted signer.')"),
                ("refuses_install", "The pending transaction requires 524 MB free space, however the maximum supported size "
                 "is 489 MB.", f"{DIRECTORY}/reroute.vib: cannot be replaced: [InstallationError] The pending transaction "
                 "requires 524 MB free space"),
                ("reboot_required", "", "esxcli there: the host would have to boot for it")):
            set_up(host, **{name: value})
            fails(deploy(s, "install", "--vib", first)[1], "esx1", reason)
            same(installed(host), None)
            as_before(s, before, "esx1")
            host.inside(f"rm /etc/stand-in/{name.replace('_', '-')}")
            set_up(host, acceptance="CommunitySupported", secureboot="Disabled")
        same(calls(host)[0].split()[:2], ["vib", "install"])
        check(not any("acceptance set" in line for line in host.read("/var/log/esxcli").splitlines()))


@test
def what_came_otherwise():
    """A VIB that a person installed can be upgraded once its file is there to go back to; files of the other kind must
    go first."""
    with stage(KIND) as s:
        host = s.hosts["esx1"]
        set_up(host, execInstalledOnly="0")
        first, second = vib(s, "0.3.1"), vib(s, "0.3.2")
        same(results(s.deploy("install", "--hosts", s.list(), "--config", s.template(), "--binary", STATIC)[1]),
             of_all(s, "installed"))
        fails(deploy(s, "install", "--vib", first)[1], "esx1", f"{DIRECTORY}/service.sh is there: ")
        same(results(s.deploy("clear", "--hosts", s.list())[1]), of_all(s, "cleared"))

        with open(first, "rb") as f, open(host.files("/tmp/reroute.vib"), "wb") as to:
            to.write(f.read())
        host.inside("esxcli software vib install -f -v /tmp/reroute.vib")
        before = snapshots(s)
        fails(deploy(s, "upgrade", "--vib", second)[1], "esx1", "VIB 0.3.1-1 is installed, and ")
        as_before(s, before, "esx1")
        same(results(deploy(s, "install", "--vib", first)[1]), of_all(s, "upgraded"))
        fails(deploy(s, "upgrade", "--vib", vib(s, "0.3.1", note=b"2"))[1], "esx1", "another VIB of version 0.3.1-1 is ")
        same(results(deploy(s, "upgrade", "--vib", second)[1]), of_all(s, "upgraded"))
        same(installed(host), "0.3.2-1")
        same(results(deploy(s, "upgrade", "--vib", vib(s, "0.3.0"))[1]), of_all(s, "upgraded"), "a way back")


def why_not():
    return missing() or (None if os.path.exists(STATIC) else "tools/build-static has not been run")


sys.exit(skip(why_not()) if why_not() else run())
