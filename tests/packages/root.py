"""A clean Debian in a folder, entered by chroot, in memory: nothing of this machine's packages is there, so what a package forgets to depend on
is missing. And what stands in for systemd there. What debootstrap downloads is kept in ~/.cache/pgairlock-packages."""

import os
import pathlib
import socket
import subprocess
import threading

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "pgairlock-packages"


def release():
    words = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return words["VERSION_CODENAME"]


class Root:
    def __init__(self, path):
        self.path = path
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", path], check=True)
        try:
            self.fill()
        except BaseException:
            self.close()
            raise

    def fill(self):
        path = self.path
        CACHE.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["debootstrap", "--variant=minbase", f"--cache-dir={CACHE}", release(), path, "http://deb.debian.org/debian"],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout[-4000:]
        for name in ("proc", "dev"):
            subprocess.run(["mount", "--bind", f"/{name}", path / name], check=True)
        (self.path / "etc/hosts").write_text("127.0.0.1 localhost\n")

    def run(self, *command, check=True, **more):
        done = subprocess.run(["chroot", self.path, *map(str, command)], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=environment(), **more)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return done

    def start(self, *command, **more):
        return subprocess.Popen(["chroot", self.path, *map(str, command)], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, env=environment(), **more)

    def take(self, *files):
        """Copies them in; their paths inside."""
        into = self.path / "packages"
        into.mkdir(exist_ok=True)
        for file in files:
            (into / file.name).write_bytes(file.read_bytes())
        return [f"/packages/{file.name}" for file in files]

    def close(self):
        subprocess.run(["umount", "-R", "-l", self.path], check=True)


def environment():
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
            "DEBIAN_FRONTEND": "noninteractive"}


SYSTEMCTL = r"""#!/bin/sh
# What maintainer scripts and logrotate ask of systemd. It is told by the test who the main process is.
echo "$*" >>/run/systemd/calls
main=$(cat /run/systemd/main-pid 2>/dev/null)
command= signal=TERM
for word; do
    case $word in
        --signal=*) signal=${word#--signal=} ;;
        -*) ;;
        *) [ -n "$command" ] || command=$word ;;
    esac
done
is_alive() { [ -n "$main" ] && kill -0 "$main" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$main/status"; }
case $command in
    is-active) is_alive || exit 3 ;;
    show) is_alive && echo "$main" || echo 0 ;;
    kill) kill -s "$signal" "$main" ;;
    stop) ! is_alive || kill "$main"; while is_alive; do sleep 0.1; done; rm -rf /run/pgairlock ;;  # RuntimeDirectory=
esac
exit 0
"""


class Systemd:
    """Runs the service as its unit says: its user, no capability, no new privileges, a file system that it may only read but for its folders. System
    calls, devices and kernel settings are not fenced off as systemd would. Hears READY and MAINPID, and answers systemctl."""

    def __init__(self, root):
        self.root = root
        self.folder = root.path / "run/systemd"
        (self.folder / "system").mkdir(parents=True, exist_ok=True)
        (root.path / "usr/local/bin/systemctl").write_text(SYSTEMCTL)
        (root.path / "usr/local/bin/systemctl").chmod(0o755)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        (self.folder / "notify").unlink(missing_ok=True)
        self.socket.bind(str(self.folder / "notify"))
        (self.folder / "notify").chmod(0o777)
        self.ready = threading.Event()
        self.processes = []
        threading.Thread(target=self.hear, daemon=True).start()

    def hear(self):
        while said := self.socket.recv(65536).decode():
            for line in said.splitlines():
                if line == "READY=1":
                    self.ready.set()
                if line.startswith("MAINPID="):
                    self.set_main(int(line.removeprefix("MAINPID=")))

    def set_main(self, pid):
        (self.folder / "main-pid.new").write_text(str(pid))
        (self.folder / "main-pid.new").rename(self.folder / "main-pid")

    @property
    def main(self):
        return int((self.folder / "main-pid").read_text())

    @property
    def calls(self):
        return (self.folder / "calls").read_text().splitlines()

    def unit(self):
        lines = self.root.run("sh", "-c", "cat /usr/lib/systemd/system/pgairlock.service").stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    def start(self):
        unit, root = self.unit(), self.root.path
        assert unit["User"] == "pgairlock" and unit["ProtectSystem"] == "strict" and unit["CapabilityBoundingSet"] == ""
        for made, mode in (("var/lib/" + unit["StateDirectory"], 0o750), ("run/" + unit["RuntimeDirectory"], 0o755)):
            (root / made).mkdir(exist_ok=True)
            (root / made).chmod(mode)
            self.root.run("chown", "pgairlock:pgairlock", "/" + made)
        sandbox = f"""
            set -e
            mount --rbind {root} {root}
            for folder in var/lib/pgairlock run/pgairlock tmp; do mount --bind {root}/$folder {root}/$folder; done
            mount -o remount,bind,ro {root}
            umask {unit['UMask']}
            exec chroot {root} setpriv --reuid=pgairlock --regid=pgairlock --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all {unit['ExecStart']}
        """
        log = open(root / "run/systemd/log", "a", encoding="utf-8")
        process = subprocess.Popen(["unshare", "--mount", "bash", "-c", sandbox], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env=environment() | {"NOTIFY_SOCKET": "/run/systemd/notify", "STATE_DIRECTORY": "/var/lib/pgairlock",
                                                        "RUNTIME_DIRECTORY": "/run/pgairlock"})
        self.processes.append(process)
        self.set_main(process.pid)  # everything on the way is an exec
        for _ in range(900):
            if self.ready.wait(0.1) or process.poll() is not None:
                break
        assert self.ready.is_set(), self.log()

    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8")

    def close(self):
        pid = self.main if (self.folder / "main-pid").exists() else 0
        if pid and pathlib.Path(f"/proc/{pid}").exists():
            self.root.run("systemctl", "stop", "pgairlock")
        for process in self.processes:
            process.kill()
            process.wait()
        (self.root.path / "usr/local/bin/systemctl").unlink()
        subprocess.run(["rm", "-rf", self.folder], check=True)
