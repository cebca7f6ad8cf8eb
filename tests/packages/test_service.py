"""The packages in a clean Debian: installed, started, upgraded under load, and taken away."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

CONFIG = """
[runtime]
drain_timeout = "2s"

[[listener]]
name = "default"
listen = ["127.0.0.1:{listen}"]

[upstream.default]
hosts = ["localhost:{server}"]
sslrootcert = ["server-ca.crt"]
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def until(condition, what):
    end = time.monotonic() + 90
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within 90 s"
        time.sleep(0.05)
    return value


class Service:
    """The proxy as installed, before a server that answers everybody, and clients."""

    def __init__(self, root, systemd):
        self.root, self.systemd = root, systemd
        self.listen = free_port()
        root.run("pgairlock", "gen-cert", "--ca-dir", "/root/server", "--host", "localhost")
        root.run("install", "-m", "644", "/root/server/ca.crt", "/etc/pgairlock/server-ca.crt")
        self.server = root.start("pgairlock-bench", "serve", "--listen", "127.0.0.1:0", "--cert-file", "/root/server/server-ecdsa.crt", "--key-file",
                                 "/root/server/server-ecdsa.key")
        port = re.search(r":(\d+)$", self.server.stdout.readline().strip())[1]
        self.write_config(CONFIG.format(listen=self.listen, server=port))
        systemd.start()
        self.running = []

    def write_config(self, text):
        (self.root.path / "etc/pgairlock/pgairlock.toml").write_text(text)

    def target(self):
        return f"proxy=host=127.0.0.1 port={self.listen} user=app dbname=app sslmode=disable"

    def begin_load(self, seconds):
        """Logins one after the other, 40 a second, and sessions that stay and never stop asking."""
        self.running = [
            self.root.start("pgairlock-bench", "connect", self.target(), "--rate", 40, "--duration", f"{seconds}s", "--repetitions", 1, "--format", "json"),
            self.root.start("pgairlock-bench", "relay", self.target(), "--workload", "ping", "--clients", 8, "--duration", f"{seconds}s", "--repetitions", 1)]

    def end_load(self):
        """How many logins there were: none failed, and no session was disturbed."""
        said = [process.communicate(timeout=180)[0] for process in self.running]
        assert [process.returncode for process in self.running] == [0, 0], said
        result = json.loads(said[0])["targets"][0]
        return result["connections"]

    def is_loaded(self):
        return all(process.poll() is None for process in self.running)

    def login(self):
        done = self.root.run("pgairlock-bench", "connect", self.target(), "--connections", 1, "--repetitions", 1, check=False)
        return done.returncode == 0

    def close(self):
        for process in (*self.running, self.server):
            process.kill()
            process.wait()


@pytest.fixture
def service(installed, systemd):
    started = Service(installed, systemd)
    yield started
    started.close()


def exe_of(pid):
    return os.readlink(f"/proc/{pid}/exe")


def version_of(root):
    return root.run("dpkg-query", "-W", "-f", "${Version}", "pgairlock").stdout


def test_the_packages_depend_on_all_that_the_programs_need(installed):
    assert installed.run("pgairlock", "version").stdout.startswith("pgairlock ")
    assert installed.run("pgairlock-bench", "--version").stdout.startswith("pgairlock-bench ")


def test_the_configuration_that_is_installed_is_valid_and_nothing_starts_with_it(installed, systemd):
    done = installed.run("runuser", "-u", "pgairlock", "--", "pgairlock", "check", "--offline", "--config", "/etc/pgairlock/pgairlock.toml")
    assert "configuration is valid" in done.stdout
    assert not (installed.path / "run/systemd/main-pid").exists()
    assert installed.run("sh", "-c", "ls /etc/systemd/system/*/pgairlock* 2>/dev/null", check=False).stdout == ""


def test_the_service_has_a_user_and_folders_of_its_own(installed):
    assert installed.run("stat", "-c", "%U:%G %a", "/var/lib/pgairlock").stdout == "pgairlock:pgairlock 750\n"
    assert installed.run("getent", "passwd", "pgairlock").stdout.endswith(":/usr/sbin/nologin\n")
    installed.run("runuser", "-u", "pgairlock", "--", "pgairlock", "gen-cert", "--host", "db.internal", "--state-dir", "/var/lib/pgairlock")
    assert installed.run("stat", "-c", "%U %a", "/var/lib/pgairlock/tls/ca.key").stdout == "pgairlock 600\n"


def test_the_units_are_right_and_fence_the_service_in(installed):
    units = [f"/usr/lib/systemd/system/pgairlock.{kind}" for kind in ("service", "socket")]
    done = installed.run("/usr/bin/systemd-analyze", "verify", "--man=no", *units)
    assert "pgairlock" not in done.stdout
    done = installed.run("/usr/bin/systemd-analyze", "security", "--offline=true", "--threshold=15", units[0])
    assert re.search(r"Overall exposure level for pgairlock.service: [01]\.[0-9] OK", done.stdout), done.stdout


def test_an_upgrade_cuts_no_session_and_refuses_nobody(service, packages):
    root, systemd = service.root, service.systemd
    _, after = packages
    old = systemd.main
    service.begin_load(25)
    until(service.login, "a login")
    done = root.run("dpkg", "-i", *root.take(after["pgairlock"]))
    assert service.is_loaded(), "the load has to go on beyond the upgrade"
    assert version_of(root) == "0.0.2"
    assert systemd.main != old, done.stdout
    assert exe_of(systemd.main) == str(root.path / "usr/bin/pgairlock")
    assert exe_of(old).endswith(" (deleted)")
    assert service.end_load() > 500
    until(lambda: not os.path.exists(f"/proc/{old}") or exe_of_zombie(old), "the end of the old process")
    assert service.login()


def exe_of_zombie(pid):
    try:
        return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_a_configuration_that_is_wrong_stops_neither_dpkg_nor_the_process(service, packages):
    root, systemd = service.root, service.systemd
    _, after = packages
    config = (root.path / "etc/pgairlock/pgairlock.toml").read_text()
    service.write_config(config + "\n[log]\nlevle = 'info'\n")
    old = systemd.main
    done = root.run("dpkg", "-i", *root.take(after["pgairlock"]))
    assert "log.levle" in done.stdout and "the process of the old one goes on" in done.stdout
    assert systemd.main == old and service.login()
    # And what it says helps.
    service.write_config(config)
    root.run("pgairlock", "upgrade", "--config", "/etc/pgairlock/pgairlock.toml")
    assert systemd.main != old and service.login()


def test_a_service_that_does_not_run_is_not_started_by_an_upgrade(installed, systemd, packages):
    _, after = packages
    installed.run("dpkg", "-i", *installed.take(after["pgairlock"]))
    assert "--system daemon-reload" in systemd.calls
    assert not (installed.path / "run/systemd/main-pid").exists()


def test_going_back_is_as_gapless(service, packages):
    root, systemd = service.root, service.systemd
    before, after = packages
    root.run("dpkg", "-i", *root.take(after["pgairlock"]))
    newer = systemd.main
    service.begin_load(20)
    until(service.login, "a login")
    root.run("dpkg", "-i", *root.take(before["pgairlock"]))
    assert service.is_loaded() and version_of(root) == "0.0.1" and systemd.main != newer
    assert service.end_load() > 400


def test_removal_stops_the_service_and_purge_leaves_nothing_behind(service):
    root, systemd = service.root, service.systemd
    pid = systemd.main
    root.run("dpkg", "--remove", "pgairlock")
    assert exe_of_zombie(pid)
    assert (root.path / "etc/pgairlock/pgairlock.toml").exists() and (root.path / "var/lib/pgairlock/audit.jsonl").exists()
    (root.path / "etc/pgairlock/server-ca.crt").unlink()  # not dpkg's
    root.run("dpkg", "--purge", "pgairlock")
    left = root.run("find", "/etc", "/var/lib", "/usr", "/run", "-name", "*pgairlock*", "-not", "-path", "*bench*").stdout
    assert left == ""


def test_logrotate_renames_the_audit_and_the_service_begins_a_new_one(service):
    root = service.root
    root.run("apt-get", "-qy", "install", "--no-install-recommends", "logrotate", timeout=600)
    assert service.login()
    state = root.path / "var/lib/pgairlock"
    until(lambda: (state / "audit.jsonl").stat().st_size > 0, "an event")
    first = (state / "audit.jsonl").stat().st_ino
    done = root.run("logrotate", "--force", "/etc/logrotate.d/pgairlock")
    assert done.stdout == ""
    until(lambda: (state / "audit.jsonl").exists() and (state / "audit.jsonl").stat().st_ino != first, "a new file")
    renamed = list(state.glob("audit.jsonl-*"))
    assert [file.stat().st_ino for file in renamed] == [first]
    assert root.run("stat", "-c", "%U %a", "/var/lib/pgairlock/audit.jsonl").stdout == "pgairlock 640\n"


def test_a_stop_drains_and_ends(service):
    pid = service.systemd.main
    os.kill(pid, signal.SIGTERM)
    until(lambda: exe_of_zombie(pid), "the end")
