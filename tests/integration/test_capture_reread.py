"""Captures that the proxy itself wrote: what `capture read` tells of them, and played again by `pgairlock-bench replay`."""

import json
import os
import re
import ssl
from pathlib import Path

import pytest

from harness import messages, programs
from harness.capture import capture, files, raw, started, wait_for_event
from harness.cluster import PASSWORDS, WRONG_PASSWORD
from harness.programs import PGAIRLOCK, pgairlock
from harness.wire import tls_context

BENCH = Path(PGAIRLOCK).parents[1] / "bench/pgairlock-bench"
replays = pytest.mark.skipif(programs.sanitized(), reason="the sanitizers' builds are of the proxy")


def read(*arguments, code=0) -> str:
    done = pgairlock("capture", "read", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def read_json(*arguments) -> dict:
    return json.loads(read("--format", "json", *arguments))


def texts(session) -> list[str]:
    return [entry["text"] for entry in session["statements"] if entry.get("text")]


def whole(proxy) -> list[Path]:
    """The files of its capture, which has ended."""
    proxy.stop()
    return files(proxy)


# --- capture read

@pytest.mark.parametrize("payload", ["headers", "redacted", "full"])
def test_what_succeeded_and_what_failed_is_told(start, client, pki, payload):
    proxy = start(capture=capture(payload=payload))
    started(proxy)
    with client(proxy) as one:
        one.negotiate("sslrequest").login("scram_user", application_name="the app")
        one.query("SELECT 'a literal' AS answer")
        with pytest.raises(messages.ErrorResponse):
            one.query("SELECT * FROM a_missing_table")
        one.send(messages.TERMINATE)
    with client(proxy) as one, pytest.raises(messages.ErrorResponse):
        one.negotiate("sslrequest").login("md5_user", WRONG_PASSWORD)
    bad = client(proxy)
    with pytest.raises(ssl.SSLCertVerificationError):
        bad.negotiate("sslrequest", tls_context(ca=pki.old.cert))
    bad.close()
    for event in ("disconnected", "auth_failed", "tls_failed"):
        wait_for_event(proxy, event, proxy.event(event)["session"])
    events = {name: proxy.event(name)["session"] for name in ("connected", "auth_failed", "tls_failed")}
    paths = whole(proxy)

    report = read_json(*paths)
    by_name = {session["session"]: session for session in report["sessions"]}
    assert set(by_name) == set(events.values()) and len(report["sessions"]) == 3
    good, login, tls = (by_name[events[name]] for name in ("connected", "auth_failed", "tls_failed"))
    assert (good["usename"], good["datname"], good["application_name"]) == ("scram_user", "postgres", "the app")
    assert (good["ssl"], good["version"], good["opening"], good["login"]) == (True, "TLSv1.3", "session", "accepted")
    assert good["auth_method"] == "scram-sha-256" and good["failures"] == []
    first, second = good["statements"]
    assert (first["outcome"], first["tags"], first["rows"]) == ("completed", ["SELECT 1"], 1)
    assert (second["outcome"], second["error"]["sqlstate"]) == ("failed", "42P01")
    assert good["missing_from_client"] + good["missing_from_server"] + good["unreadable"] == 0
    assert (first["text"] or "").rstrip("*") == {"headers": "", "redacted": "SELECT '*********' AS answer", "full": "SELECT 'a literal' AS answer"}[payload]
    assert login["login"] == "refused" and login["failures"][0]["words"] == "wrong password, no such user, or expired"
    assert login["failures"][0]["sqlstate"] == "28P01" and login["usename"] == "md5_user"
    assert tls["failures"][0]["words"] == "the client does not trust the CA of the certificate that it was shown"
    assert tls["failures"][0]["event"] == "tls_failed"
    counts = report["summary"]["all"]
    assert (counts["connections"], counts["tls"], counts["tls_failed"], counts["login_failed"]) == (3, 2, 1, 1)
    assert any(f"payload is {payload}" in text for text in report["incomplete"])  # of full, secrets are blanked

    text = read(*paths)
    assert "scram_user@postgres" in text and '"the app"' in text
    assert re.search(r"FAILED \(auth_failed[^)]*\): wrong password, no such user, or expired\n", text)
    assert "FAILED (tls_failed): the client does not trust the CA of the certificate that it was shown" in text
    assert ("a literal" in text) == (payload == "full")
    assert WRONG_PASSWORD not in text and PASSWORDS["scram_user"] not in text


def ring(start, client, sessions=1):
    """Of some files, by sessions that are open all the time. Returns (the files, what each session said)."""
    proxy = start(capture=capture(payload="full", max_file_size="64KiB", max_total_size="64MiB"))
    started(proxy)
    said = []
    opened = [client(proxy).negotiate("sslrequest") for _ in range(sessions)]
    for number, one in enumerate(opened):
        one.login("scram_user", application_name=f"app {number}")
    while len(files(proxy)) < 12:
        said.append(f"SELECT {len(said)}, '{'y' * 1000}'")
        for one in opened:
            one.query(said[-1])
    for one in opened:
        one.send(messages.TERMINATE)
        one.close()
    for event in proxy.events("disconnected", sessions):
        wait_for_event(proxy, "disconnected", event["session"])
    names = {event["application_name"]: event["session"] for event in proxy.events("connected", sessions)}
    return whole(proxy), said, names


def test_a_ring_is_one_story_in_any_order_and_its_later_files_have_names(start, client):
    paths, said, names = ring(start, client, sessions=2)
    assert len(paths) >= 12
    for given in (paths, sorted(paths, key=str), paths[::-1]):
        report = read_json(*given)
        assert {session["application_name"]: session["session"] for session in report["sessions"]} == names
        for session in report["sessions"]:
            assert texts(session) == said
            assert session["missing_from_client"] + session["missing_from_server"] + session["unreadable"] == 0
            assert session["login"] == "accepted" and session["end_reason"] in ("client_closed", "server_closed")  # behind Terminate either may be first
    # From the middle on there is no login, but names: their last event is there.
    report = read_json(*paths[4:])
    assert {session["application_name"]: session["session"] for session in report["sessions"]} == names
    for session in report["sessions"]:
        assert session["opening"] == "established" and session["usename"] == "scram_user"
        told = texts(session)
        assert 10 < len(told) < len(said) and told == said[-len(told):]
    assert "files 1 to 4 of" in "\n".join(report["incomplete"])


# --- pgairlock-bench replay

def conninfo(name, cluster) -> str:
    host, port = cluster.address
    return f"{name}=host='{host}' port='{port}' sslmode='disable'"


def replay(*arguments, code=0) -> dict:
    done = programs.run([BENCH, "replay", *arguments, "--format", "json"], check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def tables(cluster):
    """Of pgbench, on a server of which nothing else knows them."""
    programs.run([programs.postgres_bin() / "pgbench", "-i", "-q", "-h", cluster.directory, "-p", cluster.port, "-U", "trust_user", "postgres"])
    yield
    cluster.sql("DROP TABLE IF EXISTS pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers")


def end_of_all(proxy) -> list[Path]:
    for event in proxy.events("disconnected", len(proxy.events("connected"))):
        wait_for_event(proxy, "disconnected", event["session"])
    return whole(proxy)


@replays
@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_pgbench_and_psql_are_the_same_on_the_same_server(start, cluster, tables, pg, sslmode):
    proxy = start(capture=capture(payload="full"))
    started(proxy)
    for protocol in ("simple", "extended", "prepared"):
        pg("pgbench", proxy, "-n", "-M", protocol, "-c", "2", "-t", "10", sslmode=sslmode)
    pg("psql", proxy, "-X", "-q", "-o", os.devnull, "-c", "SELECT generate_series(1, 10)", "-c", "\\d pg_class", "-c", "SELECT 1/0",
       "-c", "SELECT count(*) FROM pgbench_branches", sslmode=sslmode, check=False)
    paths = end_of_all(proxy)
    before = cluster.sql("SELECT count(*) FROM pgbench_history")[0][0]
    document = replay(*paths, conninfo("same", cluster), "--writes", "--speed", "max")
    assert document["left_out"] == []
    assert [session["targets"][0]["verdict"] for session in document["sessions"]] == ["same"] * len(document["sessions"])
    assert len(document["sessions"]) >= 7
    assert cluster.sql("SELECT count(*) FROM pgbench_history")[0][0] == before + 60


@replays
def test_a_missing_table_is_found(start, cluster, clear_cluster, tables, pg):
    proxy = start(capture=capture(payload="full"))
    started(proxy)
    pg("psql", proxy, "-X", "-q", "-o", os.devnull, "-c", "SELECT 1", "-c", "SELECT count(*) FROM pgbench_branches", "-c", "SELECT 2")
    document = replay(*end_of_all(proxy), conninfo("old", cluster), conninfo("new", clear_cluster), code=1)
    old, new = document["sessions"][0]["targets"]
    assert old["verdict"] == "same"
    found = new["first_difference"]
    assert (found["statement"], found["sql"], found["was"]) == (2, "SELECT count(*) FROM pgbench_branches", "SELECT 1")
    assert found["is"] == 'ERROR 42P01: relation "pgbench_branches" does not exist'


@replays
def test_a_ring_is_played_in_its_own_order(start, client, cluster):
    paths, said, _ = ring(start, client)
    session, = replay(*sorted(paths, key=str), conninfo("same", cluster) + f" password='{PASSWORDS['scram_user']}'", "--speed", "max")["sessions"]
    assert session["targets"][0]["played"] == session["statements"] == len(said)


@replays
def test_a_client_that_refuses_the_certificate_is_opened_again_with_its_groups(start, client, cluster, pki):
    """Its ClientHello is in the records; what it trusts is not, so that its refusal is compared with nothing."""
    proxy = start(capture=capture(payload="full"))
    started(proxy)
    bad = client(proxy)
    with pytest.raises(ssl.SSLCertVerificationError):
        bad.negotiate("sslrequest", tls_context(ca=pki.old.cert))
    bad.close()
    wait_for_event(proxy, "tls_failed", proxy.event("tls_failed")["session"])
    paths = whole(proxy)
    host, port = cluster.address
    secure = f"secure=host='{host}' port='{port}' sslmode='verify-full' sslrootcert='{pki.new.cert}'"
    document = replay(*paths, secure, "--openings", code=1)
    session, = document["sessions"]
    opened = session["targets"][0]
    assert (opened["verdict"], opened["different"], opened["tls_left_out"]) == ("left out", 0, [])
    assert any("its client refused the handshake (alert unknown_ca (48))" in text for text in document["left_out"])
    assert not any("groups of this OpenSSL" in text for text in document["left_out"])  # its own were offered
    document = replay(*paths, conninfo("clear", cluster), code=1)
    assert document["left_out"] == ["1 session not compared at clear: its TLS failed: that is played by --openings"]
