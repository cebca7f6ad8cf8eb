"""The upgrade without a gap: a new process takes the sockets, the old one serves its sessions; and all ways in which that can fail."""

import json
import os
import signal
import socket
import sqlite3
import threading
import time

import psycopg2
import pytest

from harness import programs
from harness.cluster import PASSWORDS, Cluster
from harness.config import configuration, to_toml
from harness.http import scrape
from harness.load import Load
from harness.programs import pgairlock, run
from harness.waiting import PATIENCE, until
from test_operations import Notifications


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Generations:
    """One proxy, process after process. Its binary is a link, which a test may turn to something else."""

    def __init__(self, directory, run_proxy, monkeypatch):
        self.real = programs.PGAIRLOCK
        self.binary = directory / "pgairlock"
        self.binary.symlink_to(self.real)
        self._run_proxy = run_proxy
        self._monkeypatch = monkeypatch
        self.proxy = None

    def start(self, config, **options):
        with self._monkeypatch.context() as patch:
            patch.setattr(programs, "PGAIRLOCK", str(self.binary))
            self.proxy = self._run_proxy(config, **options)
        return self.proxy

    def install(self, script: str) -> None:
        self.binary.unlink()
        self.binary.write_text(script)
        self.binary.chmod(0o755)

    def install_real(self) -> None:
        self.binary.unlink()
        self.binary.symlink_to(self.real)

    def pids(self) -> list[int]:
        return [self.proxy.process.pid] + [event["pid"] for event in self.proxy.all_events() if event["event"] == "upgraded"]

    @property
    def pid(self) -> int:
        """Of the one that accepts."""
        return self.pids()[-1]

    def upgrade(self):
        return pgairlock("upgrade", "--console", self.proxy.console, timeout=200)

    def upgraded(self) -> int:
        before = len(self.pids())
        done = self.upgrade()
        assert (done.returncode, done.stdout) == (0, "upgraded\n"), done.stderr + self.proxy.log()
        until(lambda: len(self.pids()) > before, what="the event")
        return self.pid

    def refused(self) -> str:
        done = self.upgrade()
        assert (done.returncode, done.stdout) == (1, ""), done
        return done.stderr

    def stop(self) -> None:
        """The newest drains, and has the others drain."""
        if self.proxy is None:
            return
        pids = self.pids()
        for pid in reversed(pids):
            if is_running(pid):
                os.kill(pid, signal.SIGTERM)
                break
        try:
            until(lambda: self.proxy.process.poll() is not None and not any(map(is_running, pids[1:])), what=f"the end of {pids}")
        finally:
            for pid in pids[1:]:
                if is_running(pid):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def generations(directory, run_proxy, monkeypatch):
    made = Generations(directory, run_proxy, monkeypatch)
    yield made
    made.stop()


@pytest.fixture
def start_one(generations, pki, cluster):
    def start(hosts=None, **tables):
        return generations.start(configuration(pki, hosts or [cluster.host], **{"audit": {"chain": True}, **tables}))
    return start


def verified(proxy) -> bool:
    done = pgairlock("audit", "verify", proxy.state_dir / "audit.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    return True


def inventory_rows(proxy, sql: str) -> list:
    with sqlite3.connect(proxy.state_dir / "inventory.db") as db:
        return db.execute(sql).fetchall()


def test_three_upgrades_in_a_row_cost_no_session_and_no_login(generations, start_one, record_property):
    proxy = start_one(admin={"http": "127.0.0.1:0"})
    address = proxy.address
    load = Load(address, sessions=12, logins=40)
    seen = [scrape(proxy)("client_connections_total")]
    try:
        load.goes_on()
        for _ in range(3):
            generations.upgraded()
            load.goes_on(logins=60)
            seen.append(scrape(proxy)("client_connections_total"))
    finally:
        load.stop()
    assert (load.disturbed, load.failed) == ([], []), load.figures()
    assert len(set(generations.pids())) == 4
    assert seen == sorted(seen) and seen[-1] >= load.logged_in, seen
    connected = [event for event in proxy.all_events() if event["event"] == "connected"]
    assert len({event["session"] for event in connected}) == len(connected) >= load.logged_in
    until(lambda: len([e for e in proxy.all_events() if e["event"] == "disconnected"]) == len(connected), what="every end")
    until(lambda: scrape(proxy)("client_connections_total") == len(connected), what="the sum over all processes")
    generations.stop()
    assert verified(proxy)
    assert inventory_rows(proxy, "SELECT sum(connections) FROM clients") == [(len(connected),)]
    assert inventory_rows(proxy, "SELECT events_dropped, unclean_ends, ended > 0 FROM proxies") == [(0, 0, 1)]
    record_property("figures", f"three upgrades: {load.figures()}")


def test_the_old_process_serves_its_session_and_then_ends(generations, start_one, connect):
    proxy = start_one()
    old = connect(proxy)
    generations.upgraded()
    new = connect(proxy)
    assert proxy.process.poll() is None and is_running(generations.pid)
    for connection in (old, new):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]
    old.close()
    proxy.expect_exit(0)
    assert is_running(generations.pid)
    assert connect(proxy).info.status == 0


def test_what_is_left_after_upgrade_timeout_is_told_and_ended(generations, start_one, connect):
    proxy = start_one(runtime={"upgrade_timeout": "1s"})
    session = connect(proxy)
    generations.upgraded()
    proxy.expect_exit(0)
    with pytest.raises(psycopg2.OperationalError), session.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.parametrize("script, why", [
    ("#!/bin/sh\necho 'libnothing.so.1: cannot open shared object file' >&2\nexit 127\n", "127: libnothing.so.1: cannot open shared object file"),
    ("#!/bin/sh\nkill -SEGV $$\n", "signal 11"),
    ("no program\n", "cannot start"),
], ids=["exits", "crashes", "is none"])
def test_a_binary_that_does_not_run_leaves_everything_as_it_was(generations, start_one, connect, script, why):
    proxy = start_one()
    session = connect(proxy)
    generations.install(script)
    assert why in generations.refused()
    assert why in proxy.event("upgrade_failed")["message"]
    proxy.wait_for_log("the upgrade failed, and this process goes on")
    with session.cursor() as cursor:
        cursor.execute("SELECT 1")
    connect(proxy)
    generations.install_real()
    generations.upgraded()
    connect(proxy)
    assert verified(proxy)


def test_a_binary_that_hangs_is_ended_after_a_minute(generations, start_one, connect):
    proxy = start_one()
    generations.install("#!/bin/sh\nexec sleep 3737\n")
    began = time.monotonic()
    assert "not ready within 60 s" in generations.refused()
    assert time.monotonic() - began >= 60
    assert not run(["pgrep", "-f", "^sleep 3737$"], check=False).stdout
    connect(proxy)


def test_a_broken_configuration_is_told_and_the_old_process_goes_on(generations, start_one, connect, pki, cluster):
    proxy = start_one()
    config = configuration(pki, [cluster.host])
    config["runtime"]["state_dir"] = str(proxy.state_dir)
    proxy.write_config(to_toml(config) + '\n[log]\nlevle = "info"\n')
    assert "log.levle: unknown key" in generations.refused()
    assert "log.levle: unknown key" in proxy.event("upgrade_failed")["message"]
    connect(proxy)
    assert generations.pids() == [proxy.process.pid]


def test_a_key_that_needs_a_restart_is_taken_up(generations, start_one, connect, pki, cluster):
    proxy = start_one(runtime={"name": "before"})
    config = configuration(pki, [cluster.host], runtime={"name": "after"})
    config["listener"][0]["listen"] = [f"127.0.0.1:{proxy.port}"]
    connect(proxy)
    proxy.write_config(config)
    # Port 0 was the kernel's to choose; by its number the address is another one, which the old process has.
    assert "Address already in use" in generations.refused()
    config["listener"][0]["listen"] = ["127.0.0.1:0"]
    proxy.write_config(config)
    generations.upgraded()
    connect(proxy)
    proxy.events("connected", proxy="after")


def test_sigusr2_is_the_same_and_a_second_one_meanwhile_is_refused(generations, start_one, connect):
    proxy = start_one()
    generations.install(f"#!/bin/sh\nsleep 3\nexec {generations.real} \"$@\"\n")
    proxy.signal(signal.SIGUSR2)
    proxy.wait_for_log("upgrade: starting")
    assert "one is under way already" in generations.refused()
    proxy.event("upgraded")
    assert connect(proxy).info.status == 0


def test_sigterm_meanwhile_ends_both(generations, start_one):
    proxy = start_one()
    generations.install("#!/bin/sh\nexec sleep 3738\n")
    proxy.signal(signal.SIGUSR2)
    until(lambda: run(["pgrep", "-f", "^sleep 3738$"], check=False).stdout, what="the new process")
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    until(lambda: not run(["pgrep", "-f", "^sleep 3738$"], check=False).stdout, what="its end")


def test_cancels_reach_sessions_of_every_generation(generations, start_one, connect, cluster):
    proxy = start_one()
    sessions = [connect(proxy)]
    for _ in range(2):
        generations.upgraded()
        sessions.append(connect(proxy))
    assert len(set(generations.pids())) == 3
    for session in sessions:
        pid = session.info.backend_pid
        with cancelling(cluster, session, pid), pytest.raises(psycopg2.errors.QueryCanceled), session.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(600)")
    cancels = proxy.events("cancel", 3)
    assert [event["matched"] for event in cancels] == [True] * 3
    assert {event["upstream_addr"] for event in cancels} == {f"127.0.0.1:{cluster.port}"}


class cancelling:
    """Cancels as soon as the server sleeps."""

    def __init__(self, cluster, session, pid):
        self.thread = threading.Thread(target=lambda: (cluster.wait_until_asleep(pid), session.cancel()))

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.thread.join(PATIENCE)


def test_max_connections_counts_the_sessions_of_both(generations, start_one, connect):
    proxy = start_one(runtime={"max_connections": 2})
    old = connect(proxy)
    generations.upgraded()
    connect(proxy)
    with pytest.raises(psycopg2.OperationalError, match="max_connections|too many"):
        connect(proxy)
    old.close()
    proxy.expect_exit(0)

    def let_in():
        try:
            return connect(proxy)
        except psycopg2.OperationalError:
            return None
    until(let_in, what="a place that has become free")


@pytest.mark.parametrize("limit, told", [({"listener": {"max_connections": 2}}, "max_connections of listener"),
                                         ({"upstream": {"max_user_connections": 2}}, "too many connections for role"),
                                         ({"upstream": {"max_db_connections": 2}}, "too many connections for database"),
                                         ({"runtime": {"max_connections": 3, "reserved_connections": 1, "reserved_users": ["postgres"]}},
                                          "reserved")])
def test_every_limit_counts_the_sessions_of_both(generations, start_one, connect, limit, told):
    proxy = start_one(**limit)
    old = connect(proxy)
    generations.upgraded()
    connect(proxy)
    with pytest.raises(psycopg2.OperationalError, match=told):
        connect(proxy)
    old.close()
    proxy.expect_exit(0)

    def let_in():
        try:
            return connect(proxy)
        except psycopg2.OperationalError:
            return None
    until(let_in, what="a place that has become free")


def test_each_console_answers_for_its_process(generations, start_one, connect, directory):
    proxy = start_one()
    old = connect(proxy)
    pid = generations.upgraded()
    aside = f"{proxy.console}.{proxy.process.pid}"
    assert os.path.exists(aside) and os.path.exists(proxy.console)
    assert is_running(pid)
    # libpq wants a number there.
    (directory / "old").mkdir()
    (directory / "old" / ".s.PGSQL.6434").symlink_to(aside)
    done = pgairlock("upgrade", "--console", directory / "old" / ".s.PGSQL.6434")
    assert done.returncode == 1 and "takes no more clients" in done.stderr, done
    old.close()
    proxy.expect_exit(0)
    assert not os.path.exists(aside) and os.path.exists(proxy.console)
    generations.upgraded()


def test_systemd_is_told_of_the_new_main_process_and_of_nothing_more_by_the_old_one(generations, pki, cluster, directory):
    notifications = Notifications(directory)
    proxy = generations.start(configuration(pki, [cluster.host]), environment={"NOTIFY_SOCKET": str(notifications.path)})
    notifications.wait_for("READY=1")
    pid = generations.upgraded()
    notifications.wait_for(f"MAINPID={pid}")
    proxy.expect_exit(0)
    assert "STOPPING=1" not in notifications.lines, notifications.lines
    notifications.wait_for("READY=1", 2)
    os.kill(pid, signal.SIGTERM)
    notifications.wait_for("STOPPING=1")


def test_a_unix_socket_stays_and_is_removed_by_the_last(generations, pki, cluster, directory):
    path = directory / ".s.PGSQL.6432"
    proxy = generations.start(configuration(pki, [cluster.host], listener={"listen": [f"unix:{path}"]}))
    before = os.stat(path).st_ino
    for _ in range(2):
        generations.upgraded()
    proxy.expect_exit(0)
    assert os.stat(path).st_ino == before
    with psycopg2.connect(host=str(directory), port=6432, user="trust_user", dbname="postgres") as session, session.cursor() as cursor:
        cursor.execute("SELECT 1")
    session.close()
    generations.stop()
    assert not path.exists()


def test_sockets_of_the_service_manager_go_on(generations, pki, cluster, directory, connect):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    wrapper = directory / "activate.py"
    wrapper.write_text(f"""import os, sys
os.dup2({listener.fileno()}, 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="legacy")
os.set_inheritable(3, True)
os.execv(sys.argv[1], sys.argv[1:])
""")
    proxy = generations.start(configuration(pki, [cluster.host], listener={"listen": [f"127.0.0.1:{port}"]}),
                              wrapper=["/usr/bin/python3", str(wrapper)], pass_fds=[listener.fileno()])
    for _ in range(2):
        generations.upgraded()
        assert connect(proxy).info.status == 0
    listener.close()


def test_a_second_proxy_on_the_same_state_directory_is_refused(start, run_proxy, pki, cluster, connect):
    proxy = start()
    config = configuration(pki, [cluster.host])
    config["runtime"]["state_dir"] = str(proxy.state_dir)
    second = run_proxy(config, wait=False)
    second.expect_exit(1)
    assert f"is in use by process {proxy.process.pid}" in second.log()
    connect(proxy)


def test_the_audit_goes_on_in_one_file_when_it_is_rotated(generations, start_one, connect):
    proxy = start_one()
    old = connect(proxy)
    newest = generations.upgraded()
    rotated = proxy.state_dir / "audit.jsonl.1"
    os.rename(proxy.state_dir / "audit.jsonl", rotated)
    os.kill(newest, signal.SIGUSR1)
    until(lambda: (proxy.state_dir / "audit.jsonl").exists(), what="a new file")
    connect(proxy).close()
    old.close()
    proxy.expect_exit(0)
    lines = (proxy.state_dir / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines].count("disconnected") == 2, lines
    done = pgairlock("audit", "verify", rotated, proxy.state_dir / "audit.jsonl")
    assert done.returncode == 0, done.stdout


def test_a_new_process_that_fails_late_leaves_sockets_and_inventory_as_they_were(generations, pki, cluster, directory):
    """It has the old one's sockets, and cannot bind another."""
    path = directory / ".s.PGSQL.6432"
    taken = socket.create_server(("127.0.0.1", 0))
    config = configuration(pki, [cluster.host], listener={"listen": [f"unix:{path}"]})
    proxy = generations.start(config)
    before = os.stat(path).st_ino
    config["listener"][0]["listen"].append(f"127.0.0.1:{taken.getsockname()[1]}")
    proxy.write_config(config)
    assert "Address already in use" in generations.refused()
    taken.close()
    assert os.stat(path).st_ino == before
    with psycopg2.connect(host=str(directory), port=6432, user="trust_user", dbname="postgres") as session, session.cursor() as cursor:
        cursor.execute("SELECT 1")
    session.close()
    assert os.path.exists(proxy.console)
    assert inventory_rows(proxy, "SELECT ended, unclean_ends FROM proxies") == [(0, 0)]
    generations.upgraded()


def test_no_counter_falls_and_no_scrape_fails_over_two_upgrades(generations, start_one, connect):
    proxy = start_one(admin={"http": "127.0.0.1:0"})
    address, scrapes, over = proxy.http, [], threading.Event()

    def look():
        while not over.is_set():
            scrapes.append(scrape(proxy))
    watching = threading.Thread(target=look)
    watching.start()
    try:
        old = connect(proxy)
        for _ in range(2):
            connect(proxy).close()
            generations.upgraded()
            with old.cursor() as cursor:
                cursor.execute("SELECT repeat('x', 100000)")
        old.close()
        until(lambda: not any(map(is_running, generations.pids()[:-1])), what="the end of the old processes")
        done = len(scrapes)
        until(lambda: len(scrapes) > done + 2, what="another look")
    finally:
        over.set()
        watching.join(PATIENCE)
    assert proxy.http == address and len(scrapes) > 10
    last: dict = {}
    for seen in scrapes:
        for name, labels, value in seen.samples:
            if not name.startswith("pgairlock_") or not name.endswith(("_total", "_count", "_bucket", "_sum")):
                continue
            series = (name, tuple(sorted(labels.items())))
            assert value >= last.get(series, 0), (series, value, last[series])
            last[series] = value
    assert scrapes[-1]("client_connections_total") == 3
    assert scrapes[-1]("client_connections") == 0
    assert scrapes[-1]("relay_bytes_total", direction="from_server") > 200_000


def test_an_address_has_its_share_over_all_processes(generations, start_one, connect):
    proxy = start_one(runtime={"max_connections_per_address": 2})
    old = [connect(proxy), connect(proxy)]
    generations.upgraded()
    with pytest.raises(psycopg2.OperationalError, match="max_connections_per_address|too many"):
        connect(proxy)
    old.pop().close()

    def let_in():
        try:
            return connect(proxy)
        except psycopg2.OperationalError:
            return None
    until(let_in, what="a place that has become free")


def test_a_stop_of_all_processes_at_once_lets_sessions_finish(generations, start_one, connect):
    """As `systemctl stop`: SIGTERM to each, beside the newest one's word to the old one."""
    proxy = start_one(runtime={"drain_timeout": "60s"})
    old = connect(proxy)
    pid = generations.upgraded()
    new = connect(proxy)
    os.kill(pid, signal.SIGTERM)
    os.kill(proxy.process.pid, signal.SIGTERM)
    proxy.events("stopping", 2)
    for session in (old, new):
        with session.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]
        session.close()
    proxy.expect_exit(0)
    until(lambda: not is_running(pid), what="the end of the new process")
    assert verified(proxy)


def test_an_audit_on_standard_output_is_one_chain_too(generations, start_one, connect, directory):
    proxy = start_one(audit={"file": "-", "chain": True})
    old = connect(proxy)
    assert generations.upgrade().returncode == 0
    connect(proxy).close()
    old.close()
    proxy.expect_exit(0)
    lines = [line for line in proxy.stdout().splitlines() if line.startswith("{")]
    newest = [json.loads(line) for line in lines if '"event":"upgraded"' in line][0]["pid"]
    os.kill(newest, signal.SIGTERM)
    until(lambda: not is_running(newest), what="its end")
    lines = [line for line in proxy.stdout().splitlines() if line.startswith("{")]
    assert [json.loads(line)["event"] for line in lines].count("disconnected") == 2
    (directory / "audit").write_text("".join(f"{line}\n" for line in lines))
    done = pgairlock("audit", "verify", directory / "audit")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def primary(directory, template, pki):
    made = Cluster(directory / "primary", template, pki.server, pki.people.cert).start()
    yield made
    made.stop()


@pytest.fixture
def standby(directory, primary):
    made = primary.standby(directory / "standby")
    yield made
    made.stop()


def test_roles_of_servers_are_handed_on_and_no_login_is_refused_for_want_of_them(generations, start_one, connect, primary, standby):
    """A SCRAM login that passes through cannot be repeated at the next host: the first one of a process is refused where the first host is none."""
    start_one([standby.host, primary.host], upstream={"target_session_attrs": "primary"}, auth={"scram": "passthrough"})

    def is_in():
        try:
            connect(generations.proxy, "scram_user", password=PASSWORDS["scram_user"]).close()
        except psycopg2.OperationalError:
            return False
        return True
    until(is_in, what="the roles are known")
    for _ in range(2):
        generations.upgraded()
        connect(generations.proxy, "scram_user", password=PASSWORDS["scram_user"]).close()


@pytest.mark.parametrize("on_demotion", ["keep", "close"])
def test_a_change_of_role_is_recorded_by_one_process(generations, start_one, connect, directory, primary, standby, on_demotion):
    password = directory / "monitor-password"
    password.write_text("secret\n")
    password.chmod(0o600)
    primary.sql("CREATE ROLE monitor LOGIN PASSWORD 'secret'")
    until(lambda: standby.sql("SELECT 1 FROM pg_roles WHERE rolname = 'monitor'"), what="the role has come")
    for cluster in (primary, standby):
        hba = cluster.data / "pg_hba.conf"
        hba.write_text("host postgres monitor all scram-sha-256\n" + hba.read_text())
        cluster.sql("SELECT pg_reload_conf()")

    def asking():
        return len(primary.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'monitor'"))
    upstream = {"target_session_attrs": "primary", "monitor_user": "monitor", "monitor_password_file": str(password),
                "monitor_interval": "300ms", "on_demotion": on_demotion}
    proxy = start_one([primary.host, standby.host], upstream=upstream, admin={"http": "127.0.0.1:0"})
    held = connect(proxy)
    until(lambda: asking() == 1, what="the monitor")
    generations.upgraded()
    # Of the old process those alone whose sessions may have to end.
    until(lambda: asking() == (2 if on_demotion == "close" else 1), what="the sessions of both monitors")
    standby.promote()
    assert proxy.event("host_role_changed")["upstream_addr"] == standby.host
    held.close()
    generations.stop()
    changes = [event for event in proxy.all_events() if event["event"] == "host_role_changed"]
    assert len(changes) == 1, changes


def test_an_order_to_reload_a_process_that_was_replaced_says_who_is_to_be_asked(generations, start_one, connect):
    proxy = start_one()
    old = generations.pid
    held = connect(proxy)
    generations.upgraded()
    os.kill(old, signal.SIGHUP)
    until(lambda: "SIGHUP: nothing is reloaded here, for another process serves new clients" in proxy.log(), what="the line")
    held.close()
