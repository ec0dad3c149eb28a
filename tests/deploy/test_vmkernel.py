#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What this proves: on a host that looks like VMkernel (busybox, a crontab that a boot resets, local.sh, a datastore)
`reroute deploy` leaves an agent that survives a boot, and says so; what keeps it from that is said beforehand; clear
leaves no trace."""
import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from deploying import as_before, fails, install, of_all, results, snapshots, stage
from stage import SERVICE, TEMPLATE, eventually, missing, programs, skip
from tap import check, run, same, test

KIND = {"esx1": "vmkernel"}
DIRECTORY = "/vmfs/volumes/datastore1/reroute"
CRONTAB, LOCAL = "/var/spool/cron/crontabs/root", "/etc/rc.local.d/local.sh"


def reboot(host):
    """As VMkernel does: the root file system is the saved one, the crontab is that of the image."""
    host.inside("kill $(cat /var/run/crond.pid)", check=False)
    host.inside(f"for p in $(ps | awk '/reroute/ && !/awk/ {{ print $1 }}'); do kill -9 $p; done", check=False)
    host.inside(f"rm -rf /run /var/run; mkdir /var/run; cp -p /bootbank/local.sh {LOCAL}; cp -p /bootbank/crontab {CRONTAB}; "
                "crond")
    eventually("nothing runs", lambda: not host.status())
    host.inside(f"sh {LOCAL} </dev/null >/dev/null 2>&1")


@test
def from_nothing_to_nothing():
    with stage(KIND) as s:
        host, before = s.hosts["esx1"], snapshots(s)
        code, found = install(s)
        same((code, results(found)), (0, of_all(s, "installed")))
        check(found["esx1"]["boot"].startswith("yes: "), found["esx1"]["boot"])
        eventually("its route", host.route)
        same(install(s, action="check")[1]["esx1"]["route"], host.route()[0], "the route by esxcfg-route")
        same(host.read(CRONTAB).splitlines()[-1], f"* * * * * /bin/sh {DIRECTORY}/service.sh start")
        same(len(host.read(CRONTAB).splitlines()), 4, "the other lines stay")
        same(host.read(LOCAL).splitlines()[-2:], [f"/bin/sh {DIRECTORY}/service.sh boot", "exit 0"])
        same(oct(os.stat(host.files(LOCAL)).st_mode & 0o7777), "0o1755", "the mark of a file that is saved")
        same(host.read("/bootbank/local.sh"), host.read(LOCAL), "saved")
        same(host.read("/var/log/crond"), "started\nstarted\n", "cron was started again, once")

        reboot(host)
        eventually("the agent runs after a boot", host.status)
        check(f"{DIRECTORY}/service.sh start" in host.read(CRONTAB), "the line is there again")
        pid = host.status()["pid"]
        host.inside(f"/bin/sh {DIRECTORY}/service.sh start </dev/null >/dev/null 2>&1")
        code, found = install(s, action="check")
        same((code, results(found)), (0, of_all(s, "good")), "check after a boot")
        same(found["esx1"]["pid"], pid, "what cron starts beside it ends by itself")

        code, found = s.deploy("clear", "--hosts", s.path("hosts"))
        same((code, results(found)), (0, of_all(s, "cleared")))
        as_before(s, before, "esx1")
        same(host.read("/bootbank/local.sh"), host.read(LOCAL), "saved")
        check(host.route(), "the route stays")


@test
def an_upgrade():
    with stage(KIND) as s:
        host = s.hosts["esx1"]
        install(s)
        eventually("its route", host.route)
        stood, meter = host.route(), s.meter(host)
        eventually("traffic", meter.answered(200))
        code, found = install(s, action="upgrade", program=programs(s.path("program"), "2"))
        same((code, results(found)), (0, of_all(s, "upgraded")))
        eventually("traffic goes on", meter.answered(200))
        summary = meter.finish()
        same((meter.interruptions("icmp"), summary["icmp"]["errors"], host.route()), ([], 0, stood), summary)
        same(host.read(CRONTAB).count("service.sh"), 1)
        same(host.read(LOCAL).count("service.sh"), 1)


@test
def clear_while_cron_is_at_work():
    """What ends the agent comes after what starts it."""
    with stage(KIND) as s:
        host, before = s.hosts["esx1"], snapshots(s)
        install(s)
        host.inside(f"touch /tmp/cron; (while [ -e /tmp/cron ]; do grep service.sh {CRONTAB} | cut -d ' ' -f 6- | sh; "
                    "sleep 0.1; done) </dev/null >/dev/null 2>&1 &")
        same(results(s.deploy("clear", "--hosts", s.path("hosts"))[1]), of_all(s, "cleared"))
        host.inside("rm /tmp/cron")
        as_before(s, before, "esx1")


@test
def what_is_refused():
    with stage(KIND) as s:
        host, before = s.hosts["esx1"], snapshots(s)
        host.write("/etc/stand-in/execInstalledOnly", "1")
        fails(install(s)[1], "esx1", "execInstalledOnly is on: ")
        host.write("/etc/stand-in/execInstalledOnly", "0")
        arguments = ["--config", s.template(), "--binary", programs(s.path("program"))]
        listed = s.list(esx1="directory=/vmfs/volumes/datastore2/reroute")
        fails(s.deploy("install", "--hosts", listed, *arguments)[1], "esx1", "no such path: /vmfs/volumes/datastore2; ")
        state = s.template(TEMPLATE.replace("@state-directory@", "/var/lib/reroute"), "state.conf")
        fails(s.deploy("install", "--hosts", s.list(), "--config", state, "--binary", s.path("program"))[1], "esx1",
              "state-directory is /var/lib/reroute, which a boot empties; ")
        as_before(s, before, "esx1")


@test
def files_that_cannot_be_changed():
    """A local.sh that cannot be written, a backup that fails: put back, nothing is half there."""
    with stage(KIND) as s:
        host, before = s.hosts["esx1"], snapshots(s)
        host.run("mount", "--bind", f"/mnt/tree{LOCAL}", f"/mnt/tree{LOCAL}")
        host.run("mount", "-o", "remount,bind,ro", f"/mnt/tree{LOCAL}")
        fails(install(s)[1], "esx1", "cannot be enabled: ", "; put back, nothing runs, as before")
        host.run("umount", f"/mnt/tree{LOCAL}")
        as_before(s, before, "esx1")
        host.write("/sbin/auto-backup.sh", "#!/bin/sh\nexit 1\n", 0o755)
        fails(install(s)[1], "esx1", "cannot be enabled: reroute: /sbin/auto-backup.sh failed")
        as_before(s, before, "esx1")


@test
def what_survives_a_boot():
    with stage(KIND) as s:
        host = s.hosts["esx1"]
        before = snapshots(s)
        host.write("/etc/stand-in/secureboot", "Enabled\n")
        host.write("/etc/stand-in/httpClient", "false\n")
        code, found = install(s)
        same((code, results(found)), (0, of_all(s, "installed")))
        code, found = install(s, action="check")
        same((code, found["esx1"]["differences"]), (1, [
            f"it does not survive a reboot: UEFI secure boot is on, so the host does not run {LOCAL}"]))
        # What starts it is there all the same: a change that fails leaves it, clear takes it away.
        crontab = host.read(CRONTAB)
        bad = s.template(TEMPLATE.replace(SERVICE, host.address), "bad.conf")
        fails(s.deploy("upgrade", "--hosts", s.path("hosts"), "--config", bad, "--binary", s.path("program"), "--wait",
                       "4")[1], "esx1", "the agent does not come up: ", "; the old one is put back and answers")
        same(host.read(CRONTAB), crontab)
        same(results(s.deploy("clear", "--hosts", s.path("hosts"))[1]), of_all(s, "cleared"))
        as_before(s, before, "esx1")


sys.exit(skip(missing()) if missing() else run())
