"""One container with the restrictions of a pod of Kubernetes' "restricted" profile, run by runc or crun. Only the network is the machine's own.

Not root, no capability, no new privileges, the seccomp filter of container runtimes (RuntimeDefault), a root that is read-only. The volumes are folders
of the test, laid out as the kubelet does: a Secret is links into a folder that is changed as a whole, and belongs to root and the pod's fsGroup.
"""

import json
import os
import platform
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness.waiting import PATIENCE, until

UID = 65532
SECCOMP = Path("/usr/share/containers/seccomp.json")
ARCHES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}


def runtime() -> str | None:
    return next((name for name in ("runc", "crun") if shutil.which(name)), None)


def secret_volume(folder: Path, files: dict[str, bytes], mode=0o440, gid=UID) -> Path:
    """Makes or changes one, in one step, as the kubelet does."""
    folder.mkdir(mode=0o755, exist_ok=True)
    version = folder / f"..{time.time_ns()}"
    version.mkdir(mode=0o755)
    for name, content in files.items():
        (version / name).write_bytes(content)
        os.chown(version / name, 0, gid)
        (version / name).chmod(mode)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    new = folder / "..data_tmp"
    new.symlink_to(version.name)
    old = os.readlink(folder / "..data") if (folder / "..data").is_symlink() else None
    new.rename(folder / "..data")
    if old:
        shutil.rmtree(folder / old)
    return folder


def empty_dir(folder: Path, gid=UID) -> Path:
    """As the kubelet makes it: anybody's, and with an fsGroup its files are the group's."""
    folder.mkdir()
    os.chown(folder, 0, gid)
    folder.chmod(0o2777 if gid else 0o777)
    return folder


class Pod:
    """`volumes`: source by path within; those that end with "!" may be written to."""

    def __init__(self, directory: Path, image: Path, args: list[str], volumes: dict[str, Path], env: list[str] = (), gids=(UID,)):
        self.directory, self.name = directory, f"pgairlock-test-{os.getpid()}-{directory.name}"
        self.made_of = (image, args, volumes, env, gids)
        directory.mkdir(exist_ok=True)
        (directory / "config.json").write_text(json.dumps(specification(image, args, volumes, list(env), list(gids))))
        self.runtime = [runtime(), "--root", str(directory / "runtime")]
        self.output = open(directory / "output", "wb")
        self.started = time.monotonic()
        self.process = subprocess.Popen([*self.runtime, "run", "--bundle", str(directory), self.name], stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT)

    def again(self, directory: Path) -> "Pod":
        """Another container with the same volumes, as after the end of the first one."""
        return Pod(directory, *self.made_of)

    def log(self) -> str:
        return (self.directory / "output").read_text(errors="replace")

    def exec(self, *command: str) -> subprocess.CompletedProcess:
        """What a probe of kind exec, or HEALTHCHECK, does."""
        return subprocess.run([*self.runtime, "exec", "--user", f"{UID}:{UID}", self.name, *command], capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def wait_until_healthy(self, *command: str) -> float:
        """Seconds from the start of the container's process until the probe says yes. As a pod's events have them."""
        def healthy():
            assert self.process.poll() is None, self.log()
            return self.exec(*command).returncode == 0
        until(healthy, what=f"{command}: {self.log()}")
        return time.monotonic() - self.started

    def pid(self) -> int:
        """As the machine sees it."""
        return json.loads(subprocess.run([*self.runtime, "state", self.name], capture_output=True, text=True, check=True).stdout)["pid"]

    def terminate(self) -> None:
        subprocess.run([*self.runtime, "kill", self.name, "TERM"], check=True, capture_output=True)

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def remove(self) -> None:
        subprocess.run([*self.runtime, "delete", "--force", self.name], capture_output=True)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE)
        self.output.close()


def specification(image: Path, args: list[str], volumes: dict[str, Path], env: list[str], gids: list[int]) -> dict:
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        *({"destination": path, "type": "bind", "source": path, "options": ["bind", "ro"]} for path in ("/etc/hosts", "/etc/resolv.conf") if path not in volumes),
        *({"destination": path.rstrip("!"), "type": "bind", "source": str(source), "options": ["rbind", "rw" if path.endswith("!") else "ro", "nosuid", "nodev"]}
          for path, source in volumes.items()),
    ]
    none = {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(image), "readonly": True},
        "hostname": "orders-0",
        "process": {"terminal": False, "user": {"uid": UID, "gid": UID, "additionalGids": gids}, "args": args, "env": env, "cwd": "/",
                    "capabilities": none, "noNewPrivileges": True},
        "mounts": mounts,
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")], "seccomp": seccomp(),
                  "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"], "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"]},
    }


def seccomp() -> dict:
    """The runtimes' default, as it is for a process without capabilities on this architecture."""
    profile = json.loads(SECCOMP.read_text())
    arch, name = ARCHES[platform.machine()]
    rules = []
    for rule in profile["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if includes.get("caps") or (includes.get("arches") and arch not in includes["arches"]) or arch in excludes.get("arches", []):
            continue
        made = {"names": rule["names"], "action": rule["action"]}
        if rule.get("errnoRet") is not None:
            made["errnoRet"] = rule["errnoRet"]
        if rule.get("args"):
            made["args"] = [{key: value for key, value in arg.items() if key in ("index", "value", "valueTwo", "op")} for arg in rule["args"]]
        rules.append(made)
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile["defaultErrnoRet"], "architectures": [name], "syscalls": rules}
