#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unit for systemd 219 has no directive that this version does not know, no value that it does not take, and
everything else that reroute.service has.

What 219 knows is in its manual pages systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5) and
systemd.resource-control(5), of February 2015. (Those of RHEL 7 know a few more.)"""
import os
import re
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

KNOWN = {
    "Unit": """Description Documentation SourcePath Requires RequiresOverridable Requisite RequisiteOverridable Wants
        BindsTo PartOf Conflicts Before After OnFailure OnFailureJobMode PropagatesReloadTo ReloadPropagatedFrom
        JoinsNamespaceOf RequiresMountsFor IgnoreOnIsolate IgnoreOnSnapshot StopWhenUnneeded RefuseManualStart
        RefuseManualStop AllowIsolate DefaultDependencies JobTimeoutSec JobTimeoutAction JobTimeoutRebootArgument""",
    "Service": """Type RemainAfterExit GuessMainPID PIDFile BusName BusPolicy ExecStart ExecStartPre ExecStartPost
        ExecReload ExecStop ExecStopPost RestartSec TimeoutStartSec TimeoutStopSec TimeoutSec WatchdogSec Restart
        SuccessExitStatus RestartPreventExitStatus RestartForceExitStatus PermissionsStartOnly RootDirectoryStartOnly
        NonBlocking NotifyAccess Sockets StartLimitInterval StartLimitBurst StartLimitAction FailureAction
        RebootArgument FileDescriptorStoreMax
        WorkingDirectory RootDirectory User Group SupplementaryGroups Nice OOMScoreAdjust IOSchedulingClass
        IOSchedulingPriority CPUSchedulingPolicy CPUSchedulingPriority CPUSchedulingResetOnFork CPUAffinity UMask
        Environment EnvironmentFile StandardInput StandardOutput StandardError TTYPath TTYReset TTYVHangup
        TTYVTDisallocate SyslogIdentifier SyslogFacility SyslogLevel SyslogLevelPrefix TimerSlackNSec LimitCPU
        LimitFSIZE LimitDATA LimitSTACK LimitCORE LimitRSS LimitNOFILE LimitAS LimitNPROC LimitMEMLOCK LimitLOCKS
        LimitSIGPENDING LimitMSGQUEUE LimitNICE LimitRTPRIO LimitRTTIME PAMName CapabilityBoundingSet SecureBits
        Capabilities ReadWriteDirectories ReadOnlyDirectories InaccessibleDirectories PrivateTmp PrivateDevices
        PrivateNetwork ProtectSystem ProtectHome MountFlags UtmpIdentifier SELinuxContext AppArmorProfile
        SmackProcessLabel IgnoreSIGPIPE NoNewPrivileges SystemCallFilter SystemCallErrorNumber SystemCallArchitectures
        RestrictAddressFamilies Personality RuntimeDirectory RuntimeDirectoryMode
        KillMode KillSignal SendSIGHUP SendSIGKILL
        CPUAccounting CPUShares StartupCPUShares CPUQuota MemoryAccounting MemoryLimit BlockIOAccounting BlockIOWeight
        StartupBlockIOWeight BlockIODeviceWeight BlockIOReadBandwidth BlockIOWriteBandwidth DeviceAllow DevicePolicy
        Slice Delegate""",
    "Install": "Alias WantedBy RequiredBy Also DefaultInstance",
}
KNOWN = {section: set(names.split()) for section, names in KNOWN.items()}
# Values that came later, of directives that were there.
UNKNOWN = [("Type", r"exec|notify-reload"), ("ProtectSystem", r"strict"), ("ProtectHome", r"tmpfs"),
           ("Exec\\w+", r"[+!:|].*"), ("SystemCallFilter", r".*@.*"),
           ("StandardOutput|StandardError", r"(append|file):.*")]
# What reroute.service says that is said otherwise for 219, or not at all, though 219 knows the name.
OTHERWISE = {"ProtectSystem", "SystemCallFilter", "SystemCallErrorNumber", "User"}  # it cannot give rights to a user


def directives(name):
    """(section, directive, value) of each line."""
    section, found = None, []
    with open(os.path.join(ROOT, "tools", "systemd", name), encoding="ascii") as f:
        for line in map(str.strip, f):
            if line.startswith("["):
                section = line.strip("[]")
            elif line and not line.startswith("#"):
                directive, value = line.split("=", 1)
                found.append((section, directive, value))
    return found


def unknown(unit):
    return [f"{directive}={value} in [{section}]" for section, directive, value in unit
            if directive not in KNOWN[section] or any(
                re.fullmatch(names, directive) and re.fullmatch(values, value) for names, values in UNKNOWN)]


def main():
    tap = Tap()
    old, new = directives("reroute-219.service.in"), directives("reroute.service.in")
    tap.ok(not unknown(old), "219 knows all of its unit", unknown(old))
    tap.ok(len(unknown(new)) > 10, "and not all of reroute.service", unknown(new))
    wanted = [d for d in new if d[1] in KNOWN[d[0]] and d[1] not in OTHERWISE]
    tap.ok([d for d in old if d in wanted] == wanted, "what it knows of that stands in its unit too, in the same order",
           [d for d in wanted if d not in old])
    more = [d[1] for d in old if d not in wanted]
    tap.ok(sorted(more) == ["ProtectSystem", "StartLimitInterval"], "and little more", more)
    return tap.done()


sys.exit(main())
