"""Hosts and addresses that are silent, not ready or gone: what a login pays for them, who is tried next, and that the next login pays
nothing."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from harness import messages
from harness.cluster import Cluster
from harness.config import configuration
from harness.fake_upstream import FakeUpstream, accepting
from harness.messages import ErrorResponse
from harness.waiting import until


def silent_after_tls(tls):
    def script(peer):
        peer.open(tls)
        peer.until_closed()
    return script


def refusing(tls, sqlstate, message="not now"):
    def script(peer):
        peer.open(tls)
        peer.send(messages.message(b"E", f"SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0".encode()))
    return script


def connected(proxy, count=1) -> dict:
    return proxy.events("connected", count)[-1]


# --- silence after the StartupMessage


def test_a_server_that_is_silent_after_tls_costs_connect_timeout_once(start, client, fake, server_tls):
    dead, live = fake(silent_after_tls(server_tls)), fake(accepting(server_tls))
    proxy = start([dead.host, live.host], upstream={"connect_timeout": "8s"})
    client(proxy).login()
    event = connected(proxy)
    assert (event["upstream_addr"], event["failed_attempts"]) == (live.host, 1)
    assert event["timings_us"]["failed_attempts"] >= 7_900_000
    for count in range(2, 5):
        client(proxy).login()
        event = connected(proxy, count)
        assert (event["upstream_addr"], event["failed_attempts"]) == (live.host, 0)
        assert event["timings_us"]["failed_attempts"] == 0
    assert len(dead.peers) == 1
    failed = f"{dead.host} does not serve: timeout expired"
    proxy.wait_for_log(re.escape(failed))
    assert proxy.log().count(failed) == 1


def test_when_nobody_answers_the_startup_message_that_is_said(start, client, fake, server_tls):
    dead = [fake(silent_after_tls(server_tls)) for _ in range(2)]
    proxy = start([server.host for server in dead], upstream={"connect_timeout": "5s"})
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login()
    for server in dead:
        assert f"{server.host}: timeout expired: no answer to the StartupMessage" in refused.value.message
    assert proxy.event("upstream_failed")["reason"] == "server_not_reached"


def test_a_password_may_take_longer_than_connect_timeout(start, client, fake, server_tls):
    """The server has answered: the rest is the client's."""
    def script(peer):
        peer.open(server_tls)
        peer.send(messages.authentication(3))
        peer.message()
        peer.ready()
        peer.serve()

    proxy = start([fake(script).host], upstream={"connect_timeout": "5s"})
    raw = client(proxy)
    raw.begin_login("scram_user")
    assert raw.is_silent(6)
    raw.send(messages.message(b"p", b"secret\0"))
    connected(proxy)


def test_a_host_that_serves_again_is_told_of(start, client, fake, server_tls):
    """The one that works is lost, so that the other is asked though it failed."""
    gate = []

    def first(peer):
        accepting(server_tls)(peer) if gate else silent_after_tls(server_tls)(peer)

    def second(peer):
        refusing(server_tls, "57P03")(peer) if gate else accepting(server_tls)(peer)

    one, other = fake(first), fake(second)
    proxy = start([one.host, other.host], upstream={"connect_timeout": "8s"})
    client(proxy).login()
    assert connected(proxy)["upstream_addr"] == other.host
    gate.append(True)
    client(proxy).login()
    assert connected(proxy, 2)["upstream_addr"] == one.host
    proxy.wait_for_log(f"{one.host} serves again")


# --- looking after hosts that could not be connected to, in the background


def silent_unless(gate, script):
    """Says nothing to SSLRequest as long as the gate is shut; then what the script says."""
    def scripted(peer):
        script(peer) if gate else peer.until_closed()
    return scripted


def test_a_host_that_answers_again_is_first_again_and_no_login_found_that_out(start, client, fake, server_tls):
    gate = []
    first, second = fake(silent_unless(gate, accepting(server_tls))), fake(accepting(server_tls))
    proxy = start([first.host, second.host], upstream={"connect_timeout": "5s"})
    client(proxy).login()
    assert connected(proxy)["upstream_addr"] == second.host
    gate.append(True)
    proxy.wait_for_log(f"{first.host} serves again")
    client(proxy).login()
    event = connected(proxy, 2)
    assert (event["upstream_addr"], event["failed_attempts"]) == (first.host, 0)
    log = proxy.log()
    assert log.count("does not serve: ") == 1 and "it is tried last until it answers again" in log
    looks = [peer for peer in first.peers if peer.opening and peer.opening[-1] == "tls"]
    assert looks and isinstance(looks[-1].ended, EOFError)  # it has not logged in


def test_a_host_that_is_still_dead_is_looked_at_and_costs_no_login_anything(start, client, fake, server_tls):
    first, second = fake(silent_unless([], None)), fake(accepting(server_tls))
    proxy = start([first.host, second.host], upstream={"connect_timeout": "3s"})
    client(proxy).login()
    until(lambda: len(first.peers) >= 4, what="it is looked at several times")
    client(proxy).login()
    event = connected(proxy, 2)
    assert (event["upstream_addr"], event["failed_attempts"]) == (second.host, 0)
    assert proxy.log().count("does not serve") == 1


def test_a_name_that_means_nothing_for_a_while_is_looked_up_again(run_proxy, pki, client, fake, server_tls, names):
    first, second = fake(accepting(server_tls)), fake(accepting(server_tls))
    hosts = [f"good.test:{first.port}", second.host]
    config = configuration(pki, [], upstream=anonymous(first, "good.test", hosts=hosts, connect_timeout="20s"))
    proxy = run_proxy(config, environment=names("other.test 0 127.0.0.1"))
    client(proxy).login()
    assert connected(proxy)["upstream_addr"] == second.host
    names("good.test 0 127.0.0.1")
    proxy.wait_for_log(f"good.test:{first.port} serves again")
    client(proxy).login()
    assert connected(proxy, 2)["upstream_addr"] == first.host


def test_a_host_that_is_taken_out_of_the_configuration_is_not_looked_at_any_more(run_proxy, pki, client, fake, server_tls):
    removed, stays, live = fake(silent_unless([], None)), fake(silent_unless([], None)), fake(accepting(server_tls))
    config = configuration(pki, [removed.host, stays.host, live.host], upstream={"connect_timeout": "2s"})
    proxy = run_proxy(config)
    client(proxy).login()
    until(lambda: len(removed.peers) >= 2 and len(stays.peers) >= 2, what="both are looked at")
    config["upstream"]["orders"]["hosts"] = [stays.host, live.host]
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    proxy.event("reloaded")
    until(lambda: all(peer.sock.fileno() < 0 for peer in list(removed.peers)), what="looks under way are given up")
    looks = len(removed.peers), len(stays.peers)
    until(lambda: len(stays.peers) >= looks[1] + 3, what="the other is still looked at")
    assert len(removed.peers) == looks[0]


def test_a_look_leaves_no_error_in_the_log_of_postgresql(run_proxy, pki, client, fake, root, template, server_tls):
    """In clear as well, where PostgreSQL is asked for TLS all the same: it would miss the handshake."""
    server = Cluster(root / "looked-at", template, pki.server, pki.people.cert).start()
    try:
        spare = fake(accepting(server_tls))
        clear_spare = fake(accepting(None))
        config = configuration(pki, [server.host, spare.host])
        config["listener"].append({**config["listener"][0], "name": "clear", "upstream": "clear"})
        config["upstream"]["clear"] = {"hosts": [f"[::1]:{server.port}", clear_spare.host], "sslmode": "disable"}
        proxy = run_proxy(config, listeners=2)
        server.stop()
        for address in proxy.addresses:
            client(address).login()
        server.start_again()
        proxy.wait_for_log(f" {server.host} serves again")
        proxy.wait_for_log(rf"\[::1\]:{server.port} serves again")
        # Those that have looked are gone when the server, which ends with its last child, has ended.
        server.shut_down()
        log = server.log_file.read_text()
        # It answers an SSLRequest before it is ready.
        told = log[log.rindex("starting PostgreSQL"):]
        assert len(re.findall(r"connection received: host=(127\.|::1)", told)) >= 2
        assert not re.search("could not|incomplete|reset|EOF|unexpected", told), told
    finally:
        server.stop()


# --- what moves on, and what does not


def test_a_server_that_is_starting_up_is_left_for_the_next_host(start, client, fake, server_tls):
    starting, live = fake(refusing(server_tls, "57P03")), fake(accepting(server_tls))
    proxy = start([starting.host, live.host])
    client(proxy).login()
    event = connected(proxy)
    assert (event["upstream_addr"], event["failed_attempts"]) == (live.host, 1)


def test_when_all_are_starting_up_the_last_one_is_heard(start, client, fake, server_tls):
    proxy = start([fake(refusing(server_tls, "57P03", name)).host for name in ("first", "second")])
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login()
    assert (refused.value.sqlstate, refused.value.message) == ("57P03", "second")


@pytest.mark.parametrize("sqlstate", ["28P01", "53300", "57P01", "3D000"])
def test_another_refusal_is_the_answer(start, client, fake, server_tls, sqlstate):
    second = fake(accepting(server_tls))
    proxy = start([fake(refusing(server_tls, sqlstate)).host, second.host])
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login()
    assert refused.value.sqlstate == sqlstate
    assert not second.peers


def test_a_server_that_hangs_up_is_the_answer(start, client, fake, server_tls):
    second = fake(accepting(server_tls))
    proxy = start([fake(lambda peer: peer.open(server_tls)).host, second.host])
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login()
    assert refused.value.sqlstate == "57P03"
    assert not second.peers


# --- connections that were ready


def test_one_that_was_ready_and_is_silent_is_replaced(start, client, fake, server_tls):
    """As those to a host that died. connect_timeout is 60 s here."""
    silent = []

    def script(peer):
        peer.open(server_tls)
        if len(silent) < 1:
            silent.append(peer)
            peer.until_closed()
            return
        peer.ready()
        peer.serve()

    server = fake(script)
    proxy = start([server.host], upstream={"prewarm": 1}, runtime={"threads": 1})
    until(lambda: server.peers and "tls" in server.peers[0].opening, what="one is ready")
    until(lambda: log_in(client, proxy) and silent, what="a client meets it")
    event = proxy.event("connected", failed_attempts=1)
    assert event["upstream_prewarmed"] is False
    assert event["timings_us"]["failed_attempts"] >= 900_000
    assert "does not serve" not in proxy.log()


def log_in(client, proxy) -> bool:
    client(proxy).login()
    return True


def test_an_attempt_to_make_one_ready_ends_with_its_configuration(run_proxy, pki, fake):
    """connect_timeout is 60 s here."""
    server = fake(lambda peer: (peer.packet(), peer.until_closed()))
    config = configuration(pki, [server.host], upstream={"prewarm": 1}, runtime={"threads": 1})
    proxy = run_proxy(config)
    until(lambda: server.peers and server.peers[0].opening == ["SSLRequest"], what="it is being made")
    config["upstream"]["orders"]["prewarm"] = 0
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    proxy.event("reloaded")
    until(lambda: server.peers[0].sock.fileno() < 0, what="it is given up", timeout=30)


def keepalive_seconds(proxy, port) -> list[float]:
    """Until the next probe of each connection to that port, by the kernel (proc(5), /proc/net/tcp: timer 2 is keepalive)."""
    seconds = []
    for row in Path(f"/proc/{proxy.process.pid}/net/tcp").read_text().split("\n")[1:]:
        fields = row.split()
        if not fields or fields[3] != "01" or int(fields[2].split(":")[1], 16) != port:
            continue
        timer, when = fields[5].split(":")
        if timer == "02":
            seconds.append(int(when, 16) / os.sysconf("SC_CLK_TCK"))
    return seconds


def test_connections_that_are_ready_notice_within_seconds_that_their_host_has_died(start, client, fake, server_tls):
    server = fake(accepting(server_tls))
    proxy = start([server.host], upstream={"prewarm": 1, "tcp_keepalive": "1000s"}, runtime={"threads": 1})
    until(lambda: [s for s in keepalive_seconds(proxy, server.port) if s <= 3], what="one is ready")
    until(lambda: log_in(client, proxy) and connected(proxy)["upstream_prewarmed"], what="it has a client")
    assert [s for s in keepalive_seconds(proxy, server.port) if s > 3]


# --- names


@pytest.fixture(scope="session")
def resolver_library(root) -> Path:
    library = root / "names.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, Path(__file__).parent / "data" / "names.c", "-ldl"], check=True)
    return library


@pytest.fixture
def names(resolver_library, directory):
    """Writes what names mean, and gives the environment in which they do."""
    def write(*lines) -> dict:
        (directory / "names.new").write_text("\n".join(lines) + "\n")
        os.replace(directory / "names.new", directory / "names")
        options = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": str(resolver_library), "NAMES": str(directory / "names"),
                "ASAN_OPTIONS": f"{options}:verify_asan_link_order=0".lstrip(":")}
    return write


def anonymous(server, name, **upstream) -> dict:
    """By a name that the certificate does not have."""
    return {"hosts": [f"{name}:{server.port}"], "sslmode": "require", "sslrootcert": None, "connect_timeout": "60s", **upstream}


def test_names_that_hang_hold_up_no_other(run_proxy, pki, client, fake, server_tls, names):
    server = fake(accepting(server_tls))
    config = configuration(pki, [], upstream=anonymous(server, "good.test"))
    lines = ["good.test 25 127.0.0.1"]
    for number in range(8):
        upstream = f"dead{number}"
        config["listener"].append({"name": upstream, "listen": ["127.0.0.1:0"], "upstream": upstream})
        config["upstream"][upstream] = {**config["upstream"]["orders"], "hosts": [f"{upstream}.test:5432"]}
        lines.append(f"{upstream}.test 1000000 127.0.0.1")
    proxy = run_proxy(config, listeners=9, environment=names(*lines))
    for address in proxy.addresses[1:]:
        for _ in range(4):
            client(address).send(messages.startup())
    client(proxy.addresses[0]).login()
    assert len([event for event in proxy.all_events() if event["event"] == "upstream_failed"]) == 0


def test_a_wave_of_logins_shares_its_look_ups(run_proxy, pki, client, fake, server_tls, names):
    server = fake(accepting(server_tls))
    config = configuration(pki, [], upstream=anonymous(server, "good.test", connect_timeout="10s"))
    proxy = run_proxy(config, environment=names("good.test 300 127.0.0.1"))
    crowd = [client(proxy) for _ in range(60)]
    for raw in crowd:
        raw.send(messages.startup())
    proxy.events("connected", len(crowd))  # one after the other on four threads, the last would wait for 4.5 s


def test_the_last_answer_stands_in_for_a_name_server_that_is_silent(run_proxy, pki, client, fake, server_tls, names):
    server = fake(accepting(server_tls))
    config = configuration(pki, [], upstream=anonymous(server, "good.test"))
    proxy = run_proxy(config, environment=names("good.test 0 127.0.0.1"))
    client(proxy).login()
    assert connected(proxy)["upstream_addr_stale"] is False
    names("good.test 1000000 127.0.0.1")
    client(proxy).login()
    assert connected(proxy, 2)["upstream_addr_stale"] is True
    proxy.wait_for_log('host name "good.test": no answer yet; its addresses of a moment ago are used')


def test_the_next_address_begins_beside_one_that_is_silent(run_proxy, pki, client, fake, server_tls, names):
    """connect_timeout is 60 s here, which a black hole would cost."""
    server = fake(accepting(server_tls))
    with socket.create_server(("127.0.0.2", server.port), backlog=0) as full:
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        config = configuration(pki, [], upstream=anonymous(server, "two.test"))
        proxy = run_proxy(config, environment=names("two.test 0 127.0.0.2 127.0.0.1"))
        client(proxy).login()
        event = connected(proxy)
        assert (event["upstream_addr"], event["failed_attempts"]) == (server.host, 1)
        assert 240_000 <= event["timings_us"]["failed_attempts"] < 30_000_000
        client(proxy).login()
        assert connected(proxy, 2)["failed_attempts"] == 0
        failed = f"127.0.0.2:{server.port} does not serve"
        proxy.wait_for_log(re.escape(failed))
        assert proxy.log().count(failed) == 1
        for one in waiting:
            one.close()


# --- a name that leads to a whole cluster


def in_role(tls, state, name):
    """Lets everybody in, and says what it is."""
    def script(peer):
        peer.open(tls)
        standby = "off" if state["primary"] == name else "on"
        peer.send(messages.AUTHENTICATION_OK + messages.parameter_status("in_hot_standby", standby) +
                  messages.parameter_status("default_transaction_read_only", "off") + messages.READY_FOR_QUERY)
        peer.serve()
    return script


def test_of_all_addresses_of_a_name_the_primary_is_found_wherever_it_moves(run_proxy, pki, client, server_tls, names):
    state = {"primary": "b"}
    first = FakeUpstream(in_role(server_tls, state, "a"))
    second = FakeUpstream(in_role(server_tls, state, "b"), "127.0.0.2", first.port)
    try:
        config = configuration(pki, [], upstream=anonymous(first, "cluster.test", target_session_attrs="primary"))
        proxy = run_proxy(config, environment=names("cluster.test 0 127.0.0.1 127.0.0.2"))
        client(proxy).login()
        event = connected(proxy)
        assert (event["upstream_addr"], event["failed_attempts"]) == (f"127.0.0.2:{first.port}", 1)
        client(proxy).login()
        event = connected(proxy, 2)
        assert (event["upstream_addr"], event["failed_attempts"]) == (f"127.0.0.2:{first.port}", 0)
        state["primary"] = "a"
        until(lambda: reached_primary(client, proxy), what="the primary at its new address")
        assert connected(proxy, 3)["upstream_addr"] == f"127.0.0.1:{first.port}"
    finally:
        first.close()
        second.close()


def reached_primary(client, proxy) -> bool:
    """False: told that there is none."""
    raw = client(proxy)
    raw.send(messages.startup())
    kind, body = raw.message()
    assert kind == b"R" or ErrorResponse(body).sqlstate == "57P03"
    return kind == b"R"
