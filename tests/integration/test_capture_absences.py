"""Sessions that a capture does not have, or not wholly: the file says which, the audit counts them, and `capture read` says so first."""

import json
import re
from pathlib import Path

import pytest

from harness import messages
from harness.capture import capture, files, raw, started, tshark, values, wait_for_bytes, wait_for_event
from harness.cluster import WRONG_PASSWORD
from harness.messages import ErrorResponse
from harness.programs import pgairlock
from harness.waiting import until
from test_capture import reload

QUERY = messages.query("SELECT 1")


def stop(proxy) -> dict:
    """Ends the process, and with it the capture."""
    proxy.stop()
    return proxy.events("capture_stopped")[-1]


def read(proxy, *arguments) -> dict:
    done = pgairlock("capture", "read", "--format", "json", *arguments, *files(proxy))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def text(proxy, *arguments, code=0) -> str:
    done = pgairlock("capture", "read", *arguments, *files(proxy))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def answers(one, count: int) -> None:
    for _ in range(count):
        one.rows()


def counts(event: dict) -> tuple[int, int]:
    return event["left_out"], event["not_entered"]


def test_a_client_that_asks_ahead_enters_when_all_is_answered(start, client):
    proxy = start()
    one = client(proxy)
    one.login()
    one.send(QUERY + QUERY + QUERY)
    answers(one, 3)
    reload(proxy, capture=capture(payload="full"))
    started(proxy)
    until(lambda: one.query("SELECT 'in the capture'") and b"in the capture" in raw(proxy), what="it has entered")
    one.close()
    assert counts(stop(proxy)) == (0, 0)
    told = read(proxy)
    (session,) = told["sessions"]
    assert session["absences"] == ["joined"] and told["absent_sessions"] == {"left_out": 0, "not_entered": 0}


def test_a_client_of_which_nobody_knows_what_it_waits_for_is_counted_and_named(start, client):
    proxy = start()
    one = client(proxy)
    one.login("md5_user", application_name="asks ahead")
    many = messages.query("SELECT generate_series(1, 100)")
    one.send(many + many)  # rows in between: which of the two is answered is not followed
    answers(one, 2)
    idle = client(proxy)
    idle.login()
    reload(proxy, capture=capture(payload="full"))
    started(proxy)
    name = next(event["session"] for event in proxy.events("connected", 2) if event["usename"] == "md5_user")
    wait_for_bytes(proxy, b"not_entered")
    one.query("SELECT 'never in it'")
    until(lambda: idle.query("SELECT 'idle before'") and b"idle before" in raw(proxy), what="the idle one has entered")
    one.close()
    wait_for_event(proxy, "disconnected", name)
    assert counts(stop(proxy)) == (0, 1)
    assert b"never in it" not in raw(proxy)
    told = read(proxy)
    assert told["absent_sessions"] == {"left_out": 0, "not_entered": 1}
    assert told["incomplete"][0].startswith("1 session open before the capture, and not in it so far")
    (absent,) = [session for session in told["sessions"] if session["absences"] == ["not_entered"]]
    assert (absent["session"], absent["usename"], absent["application_name"], absent["end_reason"]) == \
        (name, "md5_user", "asks ahead", "client_closed")
    assert absent["login"] == "not_captured" and absent["statements"] == []
    assert text(proxy).splitlines()[1].startswith("  - 1 session open before the capture, and not in it so far")
    # Also where somebody asks for others, and finds none.
    said = text(proxy, "--user", "nobody", code=2)
    assert said.splitlines()[1].startswith("  - 1 session open before the capture, and not in it so far")
    assert "1 session that the capture was about is not in it" in said.splitlines()[-1]


def test_a_failed_login_that_said_too_much_is_left_out_and_named(start, client, fake):
    def refuses(peer) -> None:
        assert peer.packet() == "StartupMessage"
        for _ in range(20):
            peer.send(messages.message(b"N", b"SNOTICE\0VNOTICE\0C00000\0M" + b"much" * 5000 + b"\0\0"))
        peer.send(messages.error_response("28P01", "no"))

    server = fake(refuses)
    proxy = start([server.host], upstream={"sslmode": "disable", "sslrootcert": None}, capture=capture(trigger="failures"))
    started(proxy)
    with client(proxy) as one, pytest.raises(ErrorResponse):
        one.login()
    event = proxy.event("auth_failed")
    wait_for_event(proxy, "auth_failed", event["session"])
    stopped = stop(proxy)
    assert counts(stopped) == (1, 0) and stopped["packets"] == 0
    told = read(proxy)
    assert told["incomplete"][0].startswith("1 session left out: more was said before the login was over than is held back")
    (session,) = told["sessions"]
    assert (session["session"], session["absences"]) == (event["session"], ["opening_too_large"])
    assert [failure["event"] for failure in session["failures"]] == ["auth_failed"]
    assert told["summary"]["all"]["login_failed"] == 1


def test_a_login_that_had_begun_before_is_told_by_how_it_ended(start, client):
    proxy = start()
    one = client(proxy)
    one.begin_login("md5_user")
    reload(proxy, capture=capture(trigger="failures"))
    started(proxy)
    one.send(messages.password("md5" + "0" * 32))
    with pytest.raises(ErrorResponse):
        while True:
            one.authentication()
    event = proxy.event("auth_failed")
    wait_for_event(proxy, "auth_failed", event["session"])
    assert counts(stop(proxy)) == (0, 1)
    told = read(proxy)
    (session,) = told["sessions"]
    assert session["absences"] == ["login_begun_before"] and session["usename"] == "md5_user"
    assert [failure["sqlstate"] for failure in session["failures"]] == ["28P01"]


@pytest.mark.parametrize("order", [{"trigger": "failures"}, {"payload": "full", "keylog": True, "allow_secrets": True}], ids=["failures", "keylog"])
def test_a_connection_that_was_ready_before_has_its_handshake_nowhere_and_says_so(start, client, order):
    proxy = start(upstream={"prewarm": 2}, runtime={"threads": 1}, capture=capture(**order))
    started(proxy)

    def fails_prewarmed() -> str:
        """Its session, where its connection was ready."""
        count = len([event for event in proxy.all_events() if event["event"] == "auth_failed"])
        with client(proxy) as one, pytest.raises(ErrorResponse):
            one.negotiate("sslrequest").login("md5_user", WRONG_PASSWORD)
        name = proxy.events("auth_failed", count + 1)[-1]["session"]
        wait_for_event(proxy, "auth_failed", name)
        return name if re.search(f"session={name} [^\0]*prewarmed=true".encode(), raw(proxy)) else ""

    name = until(fails_prewarmed, what="a login that fails over a connection that was ready")
    stop(proxy)
    told = read(proxy, "--session", name)
    (session,) = told["sessions"]
    assert session["upstream_prewarmed"] is True and session["absences"] == ["prewarmed"]
    assert "its TLS handshake is not in the capture" in "\n".join(told["incomplete"])
    assert "(its handshake was before: prewarm)" in text(proxy, "--session", name)
    path = files(proxy)[0]
    comments = [comment for comment in values(path, "frame.comment") if f"session={name} " in comment]
    assert {("leg=server" in comment, "prewarmed=true" in comment) for comment in comments} == {(False, False), (True, True)}
    # Its client's leg has all of it, its server's leg no records.
    assert not any("leg=server" in comment and "content=tls-records" in comment for comment in comments)
    assert any("leg=client" in comment and "content=tls-records" in comment for comment in comments)
    assert tshark(path, "frame.number", filter="tls.handshake.type == 1 && frame.interface_name == \"legacy client leg\"")


def written_ring(start, client) -> list[Path]:
    """Of a proxy that has ended: four files, closed in order."""
    proxy = start(capture=capture(payload="full", max_file_size="64KiB", max_total_size="64MiB"))
    started(proxy)
    with client(proxy) as one:
        one.login()
        number = 0
        while len(files(proxy)) < 4:
            number += 1
            one.query(f"SELECT '{number} {'y' * 1000}'")
    event = proxy.events("disconnected")[-1]
    wait_for_event(proxy, "disconnected", event["session"])
    stop(proxy)
    return files(proxy)


def incomplete(*given) -> str:
    done = pgairlock("capture", "read", "--format", "json", *given)
    assert done.returncode == 0, done.stderr
    return "\n".join(json.loads(done.stdout)["incomplete"])


def test_a_ring_whose_first_files_are_gone_or_not_given_is_never_whole(start, client):
    ring = written_ring(start, client)
    assert "not given" not in incomplete(*ring)
    assert "file 1 of" in incomplete(*ring[1:])
    assert "3 of " in incomplete(ring[0], ring[1], *ring[3:])
    assert f"the ring goes on with {ring[2]}, which was not given" in incomplete(*ring[:2])
    ring[0].unlink()
    assert "the ring has removed them, or they were not given" in incomplete(*ring[1:])


def test_a_ring_whose_last_file_is_gone_is_never_whole(start, client):
    """There is nothing beside the others that shows it: each file says whether another one follows."""
    ring = written_ring(start, client)
    assert "goes on behind" not in incomplete(*ring)
    ring[-1].unlink()
    last = len(ring) - 1
    assert f"goes on behind file {last}: the ring has removed them, or they were not given" in incomplete(*ring[:-1])
    alone = ring[-2].rename(ring[-2].with_name("mine.pcapng"))
    assert "mine.pcapng was one file of a ring, and others of it came behind" in incomplete(alone)


def test_a_capture_with_a_filter_says_whom_it_leaves_out(start, client):
    proxy = start(capture=capture(payload="full", users=["trust_user"], client_addrs=["127.0.0.0/8"]))
    started(proxy)
    for user in ("trust_user", "md5_user"):
        with client(proxy) as one:
            one.login(user)
            assert one.query("SELECT 1")
    proxy.event("disconnected", usename="md5_user")
    stop(proxy)
    told = read(proxy)
    assert [session["usename"] for session in told["sessions"]] == ["trust_user"]
    (said,) = [line for line in told["incomplete"] if line.startswith("only sessions of ")]
    assert said.startswith("only sessions of user=trust_user client_addr=127.0.0.0/8 were captured: whoever failed before that was known")
    assert said in text(proxy)


def test_who_falls_back_to_clear_text_in_a_rotation_is_named(start, pg, pki):
    """libpq's prefer with a root certificate: it verifies, and goes on in clear when it does not like what it sees."""
    # On a busy machine a short process is not always found, and would be another client.
    proxy = start(capture=capture(payload="redacted"), audit={"process_owner": False})
    started(proxy)

    def connects(ca, tls: bool) -> dict:
        def ended() -> list[dict]:
            return [event for event in proxy.all_events() if event["event"] == "disconnected"]
        seen = len(ended())
        pg("psql", proxy, "-X", "-q", "-c", "SELECT 1", sslmode="prefer", sslrootcert=ca.cert, host="localhost")
        event = until(lambda: ended()[seen:], what="the end of the session")[-1]
        assert event["ssl"] is tls
        return event

    before = connects(pki.front, tls=True)
    since = connects(pki.old, tls=False)
    refused = proxy.event("tls_failed")
    assert before["ts"] < refused["ts"] < since["ts"]
    stop(proxy)
    # The client comes in clear while the refusal is still being written down.
    said = text(proxy, "--compare-at", before["ts"])
    assert "had TLS before and connects in clear text since, 1 time: it may refuse the certificate, and go on without" in said
    (one,) = [entry for entry in read(proxy, "--compare-at", before["ts"])["summary"]["clients"] if entry["since"]["plain"]]
    assert (one["before"]["tls"], one["before"]["plain"], one["since"]["tls"], one["since"]["plain"]) == (1, 0, 0, 1)
