"""Certificate probes: what they may cost whom, and that nobody else ever sees another certificate than the real one."""

import itertools
import json
import shutil
import signal
import ssl
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import messages
from harness.config import configuration
from harness.messages import ErrorResponse
from harness.pki import HERE
from harness.programs import pgairlock
from harness.waiting import PATIENCE, until
from harness.wire import Client, tls_context
from test_inventory import total


@pytest.fixture
def ca_dir(pki, directory):
    """The listener's CA as `gen-cert` keeps one, for the wrong name."""
    (directory / "ca").mkdir()
    shutil.copy(pki.front.cert, directory / "ca/ca.crt")
    shutil.copy(pki.front.key, directory / "ca/ca.key")
    return directory / "ca"


@pytest.fixture
def probing(start, pki, ca_dir):
    """A proxy that probes as often as it may: start's keyword arguments, and keys of [audit.probe]."""
    following = pki.authority("Test Next CA")
    candidate = pki.leaf(following, "proxy.next", HERE)

    def run(*, tables=None, **keys):
        probe = {"enabled": True, "fraction": 1.0, "grace": "0s", "ca_dir": str(ca_dir), "candidate_cert_file": str(candidate.cert),
                 "candidate_key_file": str(candidate.key), **keys}
        return start(audit={"probe": probe}, **(tables or {}))
    return run


@pytest.fixture
def verifying(pki):
    return tls_context(ca=pki.front.cert)


def log_in(proxy, context, *, source=None) -> bool:
    """False: the client did not like the certificate."""
    with Client(proxy.address, source=source) as raw:
        try:
            raw.negotiate("sslrequest", context)
        except ssl.SSLCertVerificationError:
            return False
        raw.login()
        return True


def lose_one(proxy, context, source=None) -> None:
    """A connection whose process is not found at once is nobody's, and is not probed: on a busy machine that may be many."""
    until(lambda: not log_in(proxy, context, source=source), what="a probe")


def real_certificate(pki) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pki.proxy.cert.read_text())


def shown_a_probe(proxy, client, pki) -> Client:
    """A TLS connection that was shown a probe's certificate, and has sent nothing yet. Those that were not are cancel requests for nobody."""
    def ask():
        raw = client(proxy).negotiate("sslrequest", tls_context())
        if raw.certificate() != real_certificate(pki):
            return raw
        raw.send(messages.cancel_request(1, b"none"))
        raw.expect_closed()
    return until_probed(proxy, ask)


def until_probed(proxy, ask):
    """A login whose process was found too late made nobody known, and who is not known is not probed: after some vain attempts there is another."""
    attempts = itertools.count(1)
    return until(lambda: ask() or next(attempts) % 20 == 0 and not log_in(proxy, tls_context()), what="a probe")


def knock(proxy, context, source=None) -> str | None:
    """TLS with a CancelRequest for nobody, which costs no server; the certificate that was seen, None for one that was refused."""
    with Client(proxy.address, source=source) as raw:
        try:
            raw.negotiate("sslrequest", context)
        except ssl.SSLCertVerificationError:
            return None
        seen = raw.certificate()
        raw.send(messages.cancel_request(1, b"none"))
        raw.expect_closed()
        return seen


def in_parallel(function, arguments, threads=16) -> list:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda each: function(*each), arguments))


# --- what it costs


@pytest.mark.parametrize("connections, budget", [(2_000, 1), (10_000, 2), (2_000, 3)])
def test_parallel_connections_cost_no_client_more_than_its_budget(probing, verifying, connections, budget):
    proxy = probing(max_per_client=budget)
    addresses = [f"127.0.0.{number}" for number in range(11, 15)]
    for address in addresses:
        lose_one(proxy, verifying, source=address)
    each = [(address,) for address in addresses * (connections // len(addresses))]
    seen = in_parallel(lambda address: (address, knock(proxy, verifying, address)), each)
    lost = Counter(address for address, certificate in seen if certificate is None)
    assert +lost == +Counter({address: budget - 1 for address in addresses})
    assert len({certificate for _, certificate in seen if certificate}) == 1
    until(lambda: total(proxy.state_dir, "refused", "probes") == budget * len(addresses))


def test_within_the_grace_only_one_connection_is_lost(probing, verifying):
    proxy = probing(grace="60s")
    lose_one(proxy, verifying)
    assert None not in in_parallel(knock, [(proxy, verifying)] * 200)


def test_a_client_that_does_not_verify_loses_nothing(probing):
    proxy = probing()
    assert log_in(proxy, tls_context())
    assert None not in in_parallel(knock, [(proxy, tls_context())] * 200)
    assert all(log_in(proxy, tls_context()) for _ in range(3))
    assert "untrusted" in [event["probe"] for event in proxy.events("connected", 4)]
    until(lambda: total(proxy.state_dir, "accepted", "probes") > 0)
    assert total(proxy.state_dir, "refused", "probes") == 0


def test_the_first_connection_of_a_source_is_never_probed(probing, verifying):
    proxy = probing()
    for number in range(21, 41):
        assert log_in(proxy, verifying, source=f"127.0.0.{number}")


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_restart_keeps_the_budget(probing, verifying, how):
    proxy = probing(max_per_client=1)
    lose_one(proxy, verifying)
    if how == "killed":
        until(lambda: total(proxy.state_dir, "refused", "probes") == 1)
        proxy.expected_exit = -signal.SIGKILL
        proxy.signal(signal.SIGKILL)
        proxy.process.wait(PATIENCE)
    else:
        proxy.stop()
    again = probing(max_per_client=1, tables={"runtime": {"state_dir": str(proxy.state_dir)}})
    assert all(log_in(again, verifying) for _ in range(10))


def test_a_restart_keeps_what_was_answered_by_an_alert(probing, verifying):
    proxy = probing(max_per_client=1)
    lose_one(proxy, verifying)
    proxy.stop()
    before = len(proxy.all_events())
    again = probing(max_per_client=2, tables={"runtime": {"state_dir": str(proxy.state_dir)}})
    lose_one(again, verifying)
    assert all(log_in(again, verifying) for _ in range(4))
    again.stop()
    assert [event["probe"] for event in proxy.all_events()[before:] if event["event"] == "tls_failed"] == ["candidate"]


def test_without_its_inventory_the_same_client_is_probed_again(probing, verifying):
    """Which is what makes the test before this one say something."""
    for _ in range(2):
        proxy = probing(max_per_client=1)
        lose_one(proxy, verifying)
        assert all(log_in(proxy, verifying) for _ in range(9))


def test_a_client_that_is_cut_off_by_a_stop_has_refused_nothing_but_has_lost_its_connection(probing, client, pki):
    """It was us who closed: a slow client is not one that verifies. Its connection is gone all the same."""
    proxy = probing(tables={"runtime": {"drain_timeout": "0s"}})
    assert log_in(proxy, tls_context())
    shown_a_probe(proxy, client, pki)  # and then nothing
    proxy.stop()
    assert [event["evidence"] for event in proxy.all_events() if event["event"] in ("tls_failed", "rejected") and event["evidence"]] == []
    assert total(proxy.state_dir, "refused", "probes") == 1


HANDSHAKE_FAILURE, ACCESS_DENIED, INTERNAL_ERROR, DECODE_ERROR, CLOSE_NOTIFY = 40, 49, 80, 50, 0


def refuse(proxy, pki, alert) -> bool:
    """Answers any certificate but the real one with that alert, in TLS 1.2 where alerts need no keys. False: it was the real one."""
    real = real_certificate(pki)
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = tls_context(maximum=ssl.TLSVersion.TLSv1_2).wrap_bio(received, sent, server_hostname="localhost")
    with Client(proxy.address) as raw:
        assert raw.request_tls() == b"S"
        flight = b""
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.send_raw(sent.read())
                received.write(some := raw.sock.recv(65536))
                flight += some
                if real not in flight and b"\x0e\0\0\0" in flight:  # ServerHelloDone
                    raw.send_raw(bytes([21, 3, 3, 0, 2, 2 if alert else 1, alert]))
                    raw.sock.recv(65536)
                    return True
        raw.send_raw(sent.read())
        tls.write(messages.cancel_request(1, b"none"))
        raw.send_raw(sent.read())
        raw.sock.recv(65536)
        return False


@pytest.mark.parametrize("alert", [HANDSHAKE_FAILURE, ACCESS_DENIED, INTERNAL_ERROR, DECODE_ERROR, CLOSE_NOTIFY])
def test_however_a_client_refuses_a_probe_it_loses_no_more_than_its_budget(probing, pki, alert):
    """Erlang/OTP says handshake_failure of a wrong name."""
    proxy = probing(max_per_client=2)
    assert log_in(proxy, tls_context())
    until_probed(proxy, lambda: refuse(proxy, pki, alert))
    lost = 1 + sum(refuse(proxy, pki, alert) for _ in range(20))
    assert lost == 2
    failed = proxy.events("tls_failed", 2)
    evidence = {DECODE_ERROR: [], CLOSE_NOTIFY: ["untrusted_refused_silently"]}.get(alert, ["untrusted_refused"])
    assert failed[0]["evidence"] == evidence
    until(lambda: total(proxy.state_dir, "refused", "probes") == 2)
    proxy.stop()
    again = probing(max_per_client=2, tables={"runtime": {"state_dir": str(proxy.state_dir)}})
    assert log_in(again, tls_context())
    assert not any(refuse(again, pki, alert) for _ in range(5))


def test_all_clients_together_lose_no_more_than_the_hours_budget(probing, verifying):
    proxy = probing(max_per_hour=2)
    for number in (11, 12):
        lose_one(proxy, verifying, source=f"127.0.0.{number}")
    assert all(log_in(proxy, verifying, source=f"127.0.0.{number}") for number in range(11, 16) for _ in range(4))
    proxy.stop()
    assert "hourly_budget_used_up" in {event["not_probed"] for event in proxy.all_events() if event["event"] == "connected"}


def test_for_each_client_it_is_said_why_it_was_not_probed(start, probing, client):
    proxy = start()
    assert log_in(proxy, tls_context())
    assert proxy.event("connected")["not_probed"] == "off"
    proxy = probing()
    assert log_in(proxy, tls_context())
    assert proxy.event("connected")["not_probed"] in ("first_connection", "process_unknown")
    client(proxy).login()
    assert proxy.events("connected", 2)[-1]["not_probed"] is None  # it came in clear


@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_client_that_gave_up_once_is_not_said_to_verify(probing, how):
    """A crash or a timeout of the application looks like that too."""
    proxy = probing()
    assert log_in(proxy, tls_context())
    raw = Client(proxy.address).negotiate("sslrequest", tls_context())
    getattr(raw, how)()
    proxy.event("tls_failed")
    assert all(log_in(proxy, tls_context()) for _ in range(10))
    proxy.stop()
    said = json.loads(pgairlock("report", "--format", "json", "--state-dir", proxy.state_dir, check=True).stdout)
    assert {client["verifies"] for client in said["clients"]} <= {"no", "unknown"}


# --- what it does not touch


def test_with_probes_off_everybody_sees_the_real_certificate(start, pki, verifying):
    proxy = start()
    assert log_in(proxy, verifying)
    seen = in_parallel(knock, [(proxy, verifying)] * 300 + [(proxy, tls_context())] * 300)
    assert set(seen) == {real_certificate(pki)}
    assert {event.get("probe") for event in proxy.all_events()} == {None}


@pytest.mark.parametrize("window", [["2020-01-01T00:00Z/2020-01-02T00:00Z"], ["2120-01-01T00:00Z/2120-01-02T00:00Z"]], ids=["past", "future"])
def test_outside_of_its_windows_nobody_is_probed(probing, verifying, window):
    proxy = probing(window=window)
    assert all(log_in(proxy, verifying) for _ in range(10))


def test_within_a_window_there_are_probes(probing, verifying):
    proxy = probing(window=["2020-01-01T00:00Z/2020-01-02T00:00Z", "2020-01-01T00:00Z/2120-01-01T00:00Z"], max_per_client=1)
    lose_one(proxy, verifying)
    assert all(log_in(proxy, verifying) for _ in range(4))


def test_a_fraction_of_nothing_probes_nobody(probing, verifying):
    proxy = probing(fraction=0.0)
    assert all(log_in(proxy, verifying) for _ in range(10))


def test_an_undistributed_certificate_needs_no_probes(probing):
    proxy = probing(tables={"tls": {"trust": "undistributed"}})
    assert all(log_in(proxy, tls_context()) for _ in range(3))
    assert {event["probe"] for event in proxy.events("connected", 3)} == {None}


def test_a_client_with_a_session_open_is_not_probed_so_its_cancel_request_arrives(probing, client, cluster, verifying):
    proxy = probing()
    lose_one(proxy, verifying)
    session = client(proxy).negotiate("sslrequest", tls_context())
    login = cluster.put_to_sleep(session)
    assert None not in [knock(proxy, verifying) for _ in range(20)]
    raw = client(proxy).negotiate("sslrequest", verifying)
    raw.send(messages.cancel_request(login.backend_pid, login.key))
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"


def test_a_cancel_request_over_a_probed_connection_works(probing, client, cluster, pki):
    """One of a session in clear: nothing says that its cancel request comes through TLS."""
    proxy = probing()
    assert log_in(proxy, tls_context())
    session = client(proxy).negotiate("plain")
    login = cluster.put_to_sleep(session)
    shown_a_probe(proxy, client, pki).send(messages.cancel_request(login.backend_pid, login.key))
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"
    assert [event for event in proxy.events("cancel", 1) if event["matched"]]


# --- whoever turns it on is told


def test_turning_it_on_says_what_will_happen_to_whom(probing):
    proxy = probing(fraction=0.25, max_per_client=2)
    said = proxy.wait_for_log("warning certificate probes are on .*")
    for words in ('"legacy"', "untrusted, wrong-name, candidate", "25%", "at any time", "at most 2", "720 h"):
        assert words in said, said


def test_turning_it_on_by_a_reload_says_so_too(start, pki, cluster):
    proxy = start()
    assert "certificate probes" not in proxy.log()
    proxy.write_config(configuration(pki, [cluster.host], audit={"probe": {"enabled": True}}))
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log("certificate probes are on")


def test_a_kind_that_is_not_possible_is_named(start, pki):
    proxy = start(audit={"probe": {"enabled": True}})
    assert "pgairlock gen-cert makes one" in proxy.wait_for_log('kind "wrong-name" is not available: .*')
    assert "(untrusted)" in proxy.wait_for_log("certificate probes are on .*")


@pytest.mark.parametrize("keys, where", [
    ({"probe": {"enabled": True}, "inventory": ""}, "audit.inventory"),
    ({"probe": {"enabled": True, "kinds": ["candidate"]}}, "candidate_cert_file"),
    ({"probe": {"enabled": True, "candidate_cert_file": "absent.crt", "candidate_key_file": "absent.key"}}, "absent.crt"),
    ({"probe": {"enabled": True, "candidate_cert_file": "absent.crt"}}, "candidate_key_file"),
    ({"probe": {"enabled": True, "kinds": []}}, "kinds"),
    ({"probe": {"enabled": True, "kinds": ["expired"]}}, "expired"),
    ({"probe": {"enabled": True, "fraction": 1.5}}, "fraction"),
    ({"probe": {"enabled": True, "max_per_client": 0}}, "max_per_client"),
    ({"probe": {"enabled": True, "window": ["tomorrow"]}}, "window"),
    ({"probe": {"enabled": True, "window": ["2026-03-02T00:00Z/2026-03-01T00:00Z"]}}, "window"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_configuration_is_refused(run_proxy, pki, cluster, keys, where):
    proxy = run_proxy(configuration(pki, [cluster.host], audit=keys), wait=False)
    # A file that is missing may come: whoever supervises the proxy is to start it again.
    proxy.expect_exit(1 if where == "absent.crt" else 2)
    assert where in proxy.log()
    assert pgairlock("check", "--offline", "--config", proxy.config_file).returncode == 2
