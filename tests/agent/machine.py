# SPDX-License-Identifier: Apache-2.0
"""A machine that boots this one's systemd, in namespaces: the agent as an installed service, with a real service manager,
real cgroups and a real journal.

Its root is a copy-on-write view of this machine's own, without what an agent left there; it has its own /run, /tmp,
/etc/systemd/system and processes, the network of the namespace that it is started in, and no right to load modules, set
clocks or restart the real one."""
import contextlib
import os
import shutil
import signal
import subprocess

from harness import BUILD, REROUTE
from netlab.namespace import entering
from netlab.wait import wait_for

SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(path)), None)
UNIT = os.path.join(BUILD, "tools", "reroute.service")
NOT_FOR_IT = "-sys_module,-sys_boot,-sys_time,-sys_rawio,-mac_admin,-mac_override,-audit_control,-wake_alarm"

# A cgroup of its own first: what a cgroup namespace shows as its root is the one in which it was made.
OUTER = r"""
set -e
mount -t tmpfs none "$1"
mkdir "$1/cgroup" "$1/up" "$1/work" "$1/root"
mount -t cgroup2 none "$1/cgroup"
mkdir -p "$1/cgroup/$2"
echo $$ >"$1/cgroup/$2/cgroup.procs"
exec unshare --cgroup --pid --mount --uts --ipc --fork --kill-child sh -c "$3" machine "$1" "$4"
"""
INNER = r"""
set -e
mount --make-rprivate /
umount "$1/cgroup"
mount -t overlay none -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,rw proc/sys/net
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 none dev
for name in null zero full random urandom tty; do
    : >"dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666 none dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs none dev/shm
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 none run
mount -t tmpfs none tmp
mount -t tmpfs -o mode=755 none etc/systemd/system
rm -rf var/lib/reroute var/lib/private/reroute var/log/reroute var/log/private/reroute
cp -R "$2"/. .
mkdir -p .old
pivot_root . .old
umount -l /.old
exec env -i container=reroute-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set NOT_FOR_IT SYSTEMD --unit=machine.target --show-status=no </dev/null >/run/console 2>&1
"""
TRIAL = """
mount -t tmpfs none /mnt && cd /mnt && mkdir up work root &&
    mount -t overlay none -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work root && mount -t cgroup2 none root/mnt
"""
TARGET = """[Unit]
Requires=basic.target
Wants=remote-fs.target
After=basic.target
AllowIsolate=yes
"""


def why_not():
    """Why no such machine can be had here; None: it can."""
    if not SYSTEMD:
        return "no systemd on this machine"
    missing = [name for name in ("unshare", "nsenter", "setpriv", "pivot_root", "systemctl", "journalctl")
               if not shutil.which(name)]
    if missing:
        return f"no {', '.join(missing)}"
    if subprocess.run(["unshare", "--mount", "sh", "-c", TRIAL], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return "no overlay or cgroup2 file system can be mounted here"
    return None


class Machine:
    """`config`: of the agent, which is installed then. `files`: more files of it, by their path. It is ended with the
    scenario."""

    def __init__(self, t, config, files=()):
        self.t = t
        self.place = os.path.join(t.directory, "machine")
        self.cgroup = f"reroute-test-{os.getpid()}"
        self.files = os.path.join(t.directory, "machine-files")
        os.makedirs(self.place)
        self.write("etc/systemd/system/machine.target", TARGET)
        self.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        self.write("etc/fstab", "")
        if config:
            self.write("etc/reroute/reroute.conf", config)
            self.install(UNIT, REROUTE)
        for path, text in dict(files).items():
            self.write(path, text)
        self.errors = open(os.path.join(t.directory, "machine-errors"), "w+", encoding="utf-8")
        self.process = self.init = None
        t.stack.callback(self.end)

    def boot(self, world):
        """In this world's host namespace."""
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", OUTER, "machine", self.place, self.cgroup,
             INNER.replace("SYSTEMD", SYSTEMD).replace("NOT_FOR_IT", NOT_FOR_IT), self.files],
            stdin=subprocess.DEVNULL, stderr=self.errors, preexec_fn=entering(world.host.namespace))

    def said(self):
        """What was wrong before its systemd ran."""
        self.errors.seek(0)
        return self.errors.read()

    def write(self, path, text):
        path = os.path.join(self.files, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def copy(self, path, source):
        path = os.path.join(self.files, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(source, path)

    def install(self, unit, program):
        with open(unit, encoding="utf-8") as f:
            text = f.read()
        self.write("etc/systemd/system/reroute.service", text)
        self.write("etc/systemd/system/machine.target.d/reroute.conf", "[Unit]\nWants=reroute.service\n")
        self.copy(text.split("ExecStart=/")[1].split()[0], program)

    def booted(self):
        """Waits until its systemd answers."""
        def find():
            with contextlib.suppress(OSError, IndexError, ValueError):
                outer = self.process.pid
                with open(f"/proc/{outer}/task/{outer}/children", encoding="ascii") as f:
                    init = int(f.read().split()[0])
                with open(f"/proc/{init}/comm", encoding="ascii") as f:
                    if f.read() == "systemd\n":
                        self.init = init
                        return self.run("systemctl", "is-system-running")[1].strip() in ("running", "degraded", "starting")
            return False

        return wait_for(find, 60)

    def run(self, *command, seconds=60):
        """(exit code, output) of a command there."""
        done = subprocess.run(["nsenter", "--target", str(self.init), "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup",
                               *command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=seconds, check=False)
        return done.returncode, done.stdout

    def does(self, what, *command):
        """A command there that must not fail."""
        code, said = self.run(*command, seconds=100)
        return self.t.ok(code == 0, what, said)

    def active(self):
        return self.show("ActiveState") == "active"

    def show(self, name, unit="reroute.service"):
        return self.run("systemctl", "show", "--value", "--property", name, unit)[1].strip()

    def journal(self, *options):
        return self.run("journalctl", "--no-pager", "--unit", "reroute.service", *options)[1]

    def end(self):
        if self.process and self.process.poll() is None:
            if self.init:
                with contextlib.suppress(OSError):
                    os.kill(self.init, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            self.process.kill()
            self.process.wait()
        remove_cgroups(self.cgroup)


def remove_cgroups(name):
    """With all that is in it; what ends just now is waited for."""
    script = 'mount -t cgroup2 none "$0" && cd "$0" && find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; ! [ -e "$1" ]'
    wait_for(lambda: subprocess.run(["unshare", "--mount", "sh", "-c", script, "/mnt", name], check=False).returncode == 0,
             seconds=5, look_s=0.1)
