"""Running it: first start, flags, draining, systemd, logs."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import sys
import threading
import time

import pytest

from harness import messages
from harness.config import configuration, to_toml
from harness.fake_upstream import accepting, server_context
from harness.messages import ErrorResponse
from harness.waiting import until


# --- starting


def test_two_flags_are_enough(run_proxy, cluster, connect, pki):
    proxy = run_proxy(arguments=["--listen", "127.0.0.1:0", "--upstream", f"localhost:{cluster.port}", "--sslrootcert", pki.new.cert])
    assert connect(proxy, "md5_user", sslmode="require")
    assert proxy.event("connected")["upstream_sslmode"] == "verify-full"


def test_the_flags_of_run_are_obeyed(run_proxy, cluster, client, directory):
    proxy = run_proxy(arguments=["--listen", "127.0.0.1:0", "--upstream", cluster.host, "--sslmode", "require",
                                 "--state-dir", directory / "elsewhere"])
    client(proxy).login()
    until(lambda: "connected" in (directory / "elsewhere" / "audit.jsonl").read_text())


def test_the_first_start_makes_certificates_that_verify_full_clients_can_trust(run_proxy, cluster, connect, pki):
    arguments = ["--listen", "127.0.0.1:0", "--upstream", cluster.host, "--sslrootcert", pki.new.cert]
    proxy = run_proxy(arguments=arguments)
    made = proxy.state_dir / "tls"
    assert {path.name for path in made.iterdir()} >= {"ca.crt", "ca.key", "server-ecdsa.crt", "server-rsa.crt"}
    assert stat.S_IMODE((made / "ca.key").stat().st_mode) == 0o600
    for host in ("localhost", "127.0.0.1"):
        connect(proxy, sslmode="verify-full", sslrootcert=str(made / "ca.crt"), host=host).close()
    before = (made / "ca.crt").read_bytes(), (made / "server-ecdsa.crt").read_bytes()
    proxy.stop()
    again = run_proxy(arguments=[*arguments, "--state-dir", proxy.state_dir])
    assert ((made / "ca.crt").read_bytes(), (made / "server-ecdsa.crt").read_bytes()) == before
    connect(again, sslmode="verify-full", sslrootcert=str(made / "ca.crt"), host="localhost")


def test_an_authority_that_vanishes_is_not_replaced(run_proxy, cluster, connect, pki):
    """As when a volume is gone for a moment: clients trust the one that was there."""
    proxy = run_proxy(arguments=["--listen", "127.0.0.1:0", "--upstream", cluster.host, "--sslrootcert", pki.new.cert])
    made = proxy.state_dir / "tls"
    trusted = (proxy.state_dir / "trusted.crt")
    trusted.write_bytes((made / "ca.crt").read_bytes())
    made.rename(proxy.state_dir / "away")
    assert "which clients may trust, is gone" in proxy.event("reload_failed")["message"]
    assert not made.exists()
    connect(proxy, sslmode="verify-full", sslrootcert=str(trusted), host="localhost").close()
    (proxy.state_dir / "away").rename(made)
    proxy.event("reloaded")
    connect(proxy, sslmode="verify-full", sslrootcert=str(trusted), host="localhost").close()


def test_a_line_is_printed_for_each_address(start):
    proxy = start(listener={"listen": ["127.0.0.1:0", "127.0.0.2:0"]}, listeners=2)
    lines = [line for line in proxy.stdout().splitlines() if line.startswith("listening on ")]
    assert [line.split(" -> ")[1] for line in lines] == ["orders (verify-full)"] * 2
    assert [host for host, _ in proxy.addresses] == ["127.0.0.1", "127.0.0.2"]


def test_an_address_in_use_is_a_runtime_failure(run_proxy, pki, cluster):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        proxy = run_proxy(configuration(pki, [cluster.host], listener={"listen": [f"127.0.0.1:{port}"]}), wait=False)
        proxy.expect_exit(1)
    assert str(port) in proxy.log()


def test_a_restart_may_reuse_the_address_at_once(start, client):
    proxy = start()
    client(proxy).login()
    address = "%s:%d" % proxy.address
    proxy.stop()
    client(start(listener={"listen": [address]})).login()


def test_several_threads_serve_alike(start, client):
    proxy = start(runtime={"threads": 4})
    clients = [client(proxy) for _ in range(12)]
    for raw in clients:
        raw.login()
    assert all(raw.query("SELECT 1") == [[b"1"]] for raw in clients)


# --- stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_proxy_stops_at_once(start, number):
    proxy = start(runtime={"drain_timeout": "1h"})
    proxy.signal(number)
    proxy.expect_exit(0)


def test_sigterm_lets_sessions_finish_and_takes_no_new_ones(start, client):
    proxy = start(runtime={"drain_timeout": "1h"})
    raw = client(proxy)
    raw.login()
    raw.send(messages.query("SELECT repeat('d', 1000) FROM pg_sleep(1)"))
    proxy.signal(signal.SIGTERM)
    proxy.event("stopping")
    assert_no_new_session(client, proxy)
    assert raw.rows() == [[b"d" * 1000]]
    assert raw.query("SELECT 2") == [[b"2"]]
    assert proxy.process.poll() is None
    raw.send(messages.TERMINATE)
    raw.close()
    proxy.expect_exit(0)


def test_drain_timeout_ends_what_is_left(start, client, cluster):
    proxy = start(runtime={"drain_timeout": "1s"})
    raw = client(proxy)
    pid = raw.login().backend_pid
    begin = time.monotonic()
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    assert 0.8 < time.monotonic() - begin
    while raw.receive_some():
        pass
    until(lambda: not cluster.has_backend(pid))
    assert [event["event"] for event in proxy.all_events()].count("disconnected") == 1


def test_a_second_sigterm_ends_at_once(start, client):
    proxy = start(runtime={"drain_timeout": "1h"})
    client(proxy).login()
    proxy.signal(signal.SIGTERM)
    proxy.event("stopping")
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)


def test_a_client_in_the_middle_of_its_login_is_told_of_the_shutdown(start, client):
    proxy = start(runtime={"drain_timeout": "1s"})
    raw = client(proxy)
    raw.send(messages.startup("md5_user"))
    assert raw.message()[0] == b"R"
    proxy.signal(signal.SIGTERM)
    assert raw.fatal().sqlstate == "57P03"
    proxy.expect_exit(0)


def assert_no_new_session(client, proxy) -> None:
    try:
        client(proxy).login()
    except ConnectionError:
        return
    except EOFError:
        return
    except ErrorResponse as error:
        assert error.sqlstate == "57P03", error
        return
    pytest.fail("a new session was taken while draining")


# --- systemd


class Notifications:
    """The other end of sd_notify."""

    def __init__(self, directory):
        self.path = directory / "notify"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.path))
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                self.lines += self.sock.recv(4096).decode().splitlines()
            except OSError:
                return

    def wait_for(self, line: str, count=1) -> None:
        until(lambda: self.lines.count(line) >= count, what=f"{line} in {self.lines}")


def test_systemd_is_told_of_ready_reloading_and_stopping(run_proxy, pki, cluster, directory):
    notifications = Notifications(directory)
    proxy = run_proxy(configuration(pki, [cluster.host]), environment={"NOTIFY_SOCKET": str(notifications.path)})
    notifications.wait_for("READY=1")
    proxy.signal(signal.SIGHUP)
    notifications.wait_for("RELOADING=1")
    notifications.wait_for("READY=1", 2)
    assert any(line.startswith("MONOTONIC_USEC=") for line in notifications.lines)
    proxy.signal(signal.SIGTERM)
    notifications.wait_for("STOPPING=1")


def test_systemd_shows_that_a_reload_failed_and_where(run_proxy, pki, cluster, directory):
    notifications = Notifications(directory)
    config = configuration(pki, [cluster.host])
    proxy = run_proxy(config, environment={"NOTIFY_SOCKET": str(notifications.path)})
    notifications.wait_for("STATUS=serving")
    proxy.write_config(to_toml(config) + '\n[log]\nlevle = "info"\n')
    proxy.signal(signal.SIGHUP)
    notifications.wait_for("READY=1", 2)
    failed = [line for line in notifications.lines if line.startswith("STATUS=")][-1]
    assert re.search(r"the reload failed: .*pgairlock\.toml:\d+:\d+: log\.levle: unknown key", failed), failed
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    notifications.wait_for("STATUS=serving", 2)
    proxy.signal(signal.SIGTERM)
    notifications.wait_for("STATUS=draining")


def test_systemd_shows_that_a_certificate_was_not_taken_up(run_proxy, pki, cluster, directory):
    notifications = Notifications(directory)
    certificate = directory / "proxy.crt"
    shutil.copy(pki.proxy.cert, certificate)
    proxy = run_proxy(configuration(pki, [cluster.host], tls={"cert_file": str(certificate)}),
                      environment={"NOTIFY_SOCKET": str(notifications.path)})
    certificate.write_text("nothing of the kind\n")
    until(lambda: [line for line in notifications.lines if "the reload failed" in line and str(certificate) in line], what="the status")
    shutil.copy(pki.proxy.cert, certificate)
    notifications.wait_for("STATUS=serving", 2)
    assert notifications.lines.count("READY=1") == 1
    proxy.stop()


def test_systemd_is_not_told_of_serving_again_once_a_drain_has_begun(run_proxy, pki, cluster, client, directory):
    notifications = Notifications(directory)
    proxy = run_proxy(configuration(pki, [cluster.host]), environment={"NOTIFY_SOCKET": str(notifications.path)})
    notifications.wait_for("READY=1")
    session = client(proxy)
    session.login()
    proxy.signal(signal.SIGTERM)
    notifications.wait_for("STOPPING=1")
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log("SIGHUP while draining: nothing is reloaded")
    session.close()
    proxy.expect_exit(0)
    after = notifications.lines[notifications.lines.index("STOPPING=1") + 1:]
    assert not {"READY=1", "RELOADING=1"} & set(after), notifications.lines


def test_systemd_hears_that_every_thread_is_alive(run_proxy, pki, cluster, directory):
    notifications = Notifications(directory)
    proxy = run_proxy(configuration(pki, [cluster.host]),
                      environment={"NOTIFY_SOCKET": str(notifications.path), "WATCHDOG_USEC": "400000"})
    notifications.wait_for("WATCHDOG=1", 5)
    assert notifications.lines.index("READY=1") < notifications.lines.index("WATCHDOG=1") + 2
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)


def test_a_service_manager_that_is_stopped_holds_up_nobody(run_proxy, pki, cluster, client, directory):
    path = directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unread:
        unread.bind(str(path))
        proxy = run_proxy(configuration(pki, [cluster.host]), environment={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"})
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        filler.setblocking(False)
        with filler, pytest.raises(BlockingIOError):
            while True:
                filler.sendto(b"x", str(path))
        for count in (1, 2):
            proxy.signal(signal.SIGHUP)
            proxy.events("reloaded", count)
        client(proxy).login()
        proxy.signal(signal.SIGTERM)
        proxy.expect_exit(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
@pytest.mark.parametrize("allowed", [False, True])
def test_no_other_process_of_its_user_looks_into_its_memory(run_proxy, cluster, pki, directory, allowed):
    """The kernel gives what shows it, such as /proc/PID/environ, to root then."""
    nobody = 65534
    directory.chmod(0o777)
    ca = directory / "ca.crt"
    ca.write_text(pki.new.cert.read_text())
    config = directory / "pgairlock.toml"
    config.write_text(f'[runtime]\nstate_dir = "{directory}/theirs"\ncore_dumps = {str(allowed).lower()}\n'
                      f'[[listener]]\nlisten = ["127.0.0.1:0"]\n[upstream.orders]\nhosts = ["{cluster.host}"]\nsslrootcert = ["{ca}"]\n')
    proxy = run_proxy(arguments=["--config", config], wrapper=["setpriv", f"--reuid={nobody}", "--clear-groups"])
    assert os.stat(f"/proc/{proxy.process.pid}/environ").st_uid == (nobody if allowed else 0)


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="legacy")
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_socket_of_systemd_is_used_and_its_backlog_served(run_proxy, pki, cluster, client):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        early = client(address)
        early.send(messages.startup())
        proxy = run_proxy(configuration(pki, [cluster.host], listener={"listen": ["%s:%d" % address]}),
                          wrapper=[sys.executable, "-c", ACTIVATE, str(listener.fileno())], pass_fds=[listener.fileno()])
        early.finish_login()
    assert proxy.address == address
    client(proxy).login()


# --- logs


def test_logs_can_be_json(start, client):
    proxy = start(log={"format": "json", "level": "debug"})
    client(proxy).login()
    proxy.stop()
    lines = proxy.log().splitlines()
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_log_line_holds_what_a_terminal_obeys(start, client, fake, pki, form):
    """Names come from strangers: nothing of them may move the cursor, turn text round or break UTF-8 and JSON."""
    proxy = start([fake(accepting(server_context(pki.server))).host], log={"format": form, "level": "debug"})
    raw = client(proxy)
    name = "\x1b]0;pwned\x07\n\x9b31m\u202eexe".encode() + b"\xff"
    raw.send(messages.startup("M" * len(name)).replace(b"M" * len(name), name))
    raw.finish_login()
    proxy.event("connected")
    proxy.stop()
    text = (proxy.directory / "stderr").read_bytes().decode()  # it is UTF-8
    (line,) = [line for line in text.splitlines() if "pwned" in line]
    assert "\ufffd]0;pwned\ufffd\ufffd\ufffd31m\ufffdexe" in line
    assert not set(text) & set("\x1b\x07\x9b\u202e")
    if form == "json":
        assert json.loads(line)["level"] == "debug"


def test_the_log_level_is_obeyed(start, client):
    quiet, chatty = start(log={"level": "error"}), start(log={"level": "debug"})
    for proxy in (quiet, chatty):
        client(proxy).login()
        proxy.stop()
    assert quiet.log() == ""
    assert chatty.log()


def test_the_log_file_is_reopened_on_sigusr1(start, client, directory):
    file = directory / "pgairlock.log"
    proxy = start(log={"file": str(file), "level": "debug"})
    client(proxy).login()
    until(lambda: file.exists() and file.read_text())
    file.rename(directory / "rotated.log")
    proxy.signal(signal.SIGUSR1)
    until(file.exists)
    client(proxy).login()
    until(file.read_text)


def test_an_upstream_failure_is_logged_with_its_reason(start, client):
    proxy = start(["127.0.0.1:1"])
    with pytest.raises(ErrorResponse):
        client(proxy).login()
    proxy.wait_for_log(r"127\.0\.0\.1:1.*refused")


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_client_that_just_leaves_makes_no_noise(start, client, how, end):
    proxy = start(log={"level": "warn"})
    for login in (False, True):
        raw = client(proxy).negotiate(how)
        if login:
            raw.login()
        getattr(raw, end)()
    client(proxy).close()
    proxy.event("disconnected")
    proxy.stop()
    assert [line for line in proxy.log().splitlines() if "error" in line.lower()] == []


def test_nothing_listens_outside_loopback_without_being_asked(run_proxy, cluster, pki):
    """The default address, unless this machine has something there."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 6432)) == 0:
            pytest.skip("127.0.0.1:6432 is in use")
    proxy = run_proxy(arguments=["--upstream", cluster.host, "--sslrootcert", pki.new.cert])
    assert proxy.addresses == [("127.0.0.1", 6432)]
