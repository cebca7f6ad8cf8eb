"""[auth] scram = "terminate": the proxy is the SCRAM server of its clients, by users_file."""

import os
import math
import re
import select
import shutil
import signal
import ssl
import time

import psycopg2
import pytest

from harness import messages, programs, secrets
from harness.cluster import PASSWORDS, WRONG_PASSWORD
from harness.config import configuration, to_toml
from harness.messages import CLEARTEXT, OK, SASL, SASL_CONTINUE, SASL_FINAL, ErrorResponse
from harness.pki import HERE
from harness.programs import pgairlock
from harness.proxy import authenticated
from harness.scram import PLAIN, PLUS, ScramClient, ScramServer, attributes, end_point, secret
from harness.waiting import until
from harness.wire import mechanisms, tls_context

SECRET = PASSWORDS["scram_user"]
ROLE_SECRET = "Secret-of-this-role-1a"
TLS12 = ssl.TLSVersion.TLSv1_2
SASL_DONE = [SASL, SASL_CONTINUE, SASL_FINAL, OK]


@pytest.fixture
def users(directory):
    """Writes users_file as an operator's tools do: beside, then renamed. Gives its path."""
    def write(entries: dict, *, mode=0o600, more=b"") -> str:
        lines = []
        for user, password in entries.items():
            secrets.tell_password(password)
            lines.append(b'"%s" "%s"\n' % (_quoted(user), _quoted(password)))
        return install(b"; made by a test\n" + b"".join(lines) + more, mode)

    def install(content: bytes, mode=0o600) -> str:
        beside = directory / "users.new"
        beside.write_bytes(content)
        beside.chmod(mode)
        os.rename(beside, directory / "userlist.txt")
        return str(directory / "userlist.txt")

    write.raw = install
    return write


def _quoted(text: str | bytes) -> bytes:
    return (text.encode() if isinstance(text, str) else text).replace(b'"', b'""')


@pytest.fixture
def stored(cluster):
    """scram_user's SCRAM secret at the server."""
    return cluster.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'")[0][0]


@pytest.fixture
def terminating(start):
    """A proxy with this users_file, and the most talkative log: what Proxy.stop() looks for must not be in it."""
    def start_proxy(users_file, hosts=None, **tables):
        auth = {"scram": "terminate", "users_file": users_file, **tables.pop("auth", {})}
        return start(hosts, log={"level": "trace"}, auth=auth, **tables)
    return start_proxy


@pytest.fixture
def by_password(terminating, users):
    return terminating(users({"scram_user": SECRET}))


# --- logging in


@pytest.mark.parametrize("kind", ["password", "secret"])
@pytest.mark.parametrize("options, flag", [
    ({"sslmode": "disable"}, "n"), ({"sslmode": "require"}, "p"), ({"sslmode": "require", "channel_binding": "require"}, "p"),
    ({"sslmode": "require", "channel_binding": "disable"}, "n"),
], ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else None)
def test_libpq_logs_in(terminating, users, connect, stored, kind, options, flag):
    proxy = terminating(users({"scram_user": SECRET if kind == "password" else stored}))
    with connect(proxy, "scram_user", **options).cursor() as cursor:
        cursor.execute("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == ("scram_user", True)
    assert authenticated(proxy.event("connected")) == ("scram-sha-256-plus", "terminate", flag)


def test_psql_logs_in_with_channel_binding(by_password, pki):
    options = {"PGCHANNELBINDING": "require", "PGPASSWORD": SECRET, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(pki.front.cert)}
    done = programs.run([programs.postgres_bin() / "psql", "-X", "-At", "-h", "localhost", "-p", by_password.port, "-U", "scram_user", "-d",
                         "postgres", "-c", "SELECT 1"], env={**os.environ, **options})
    assert done.stdout == "1\n"


@pytest.mark.parametrize("how, offered, flags", [
    ("sslrequest", [PLUS, PLAIN], "np"), ("direct", [PLUS, PLAIN], "np"), ("plain", [PLAIN], "ny"),
])
def test_channel_binding_is_offered_within_tls(by_password, client, how, offered, flags):
    for flag in flags:
        login = client(by_password).negotiate(how).login("scram_user", gs2=flag)
        assert (login.mechanisms, login.asked) == (offered, SASL_DONE)
    assert {event["gs2_flag"] for event in by_password.events("connected", 2)} == set(flags)


@pytest.mark.parametrize("kind", ["password", "secret"])
def test_the_server_leg_may_be_clear(terminating, users, client, clear_cluster, kind):
    stored = clear_cluster.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'")[0][0]
    file = users({"scram_user": SECRET if kind == "password" else stored})
    proxy = terminating(file, [clear_cluster.host], upstream={"sslmode": "disable"})
    client(proxy).negotiate("sslrequest").login("scram_user", gs2="p")
    assert authenticated(proxy.event("connected")) == ("scram-sha-256", "terminate", "p")


@pytest.mark.parametrize("flag", ["n", "p"])
def test_a_client_may_wait_to_be_asked_for_its_first_message(by_password, client, flag):
    raw = client(by_password).negotiate("sslrequest")
    raw.begin_login("scram_user")
    scram = ScramClient(SECRET, flag, end_point(raw.certificate()) if flag == "p" else b"")
    raw.send(messages.sasl_initial_response(scram.mechanism, None))
    assert raw.authentication() == (SASL_CONTINUE, b"")
    raw.send(messages.message(b"p", scram.first()))
    raw.send(messages.message(b"p", scram.final(raw.authentication()[1])))
    code, proof = raw.authentication()
    assert code == SASL_FINAL
    scram.check(proof)
    assert raw.finish_login().asked == [OK]


@pytest.mark.parametrize("user, method", [("md5_user", "md5"), ("password_user", "password"), ("trust_user", "cert/trust")])
def test_other_methods_pass_through(by_password, client, user, method):
    """None of them is in users_file."""
    client(by_password).negotiate("sslrequest").login(user)
    assert authenticated(by_password.event("connected")) == (method, "none", None)


@pytest.mark.parametrize("name", ['Role "with quotes"', "role\\with\\backslashes", "r\u00f4le", "; role", ' role\twith blanks '])
def test_users_and_passwords_of_all_kinds_are_found(terminating, users, client, scram_role, name):
    password = f'Secret "of" \\ {name}'
    scram_role(password, name)
    client(terminating(users({"scram_user": SECRET, name: password}))).login(name, password)


@pytest.mark.parametrize("written, typed", [("Secret-prep-\u00aa-1", "Secret-prep-a-1"), ("Secret-prep-\u2168-4", "Secret-prep-IX-4"),
                                            ("Secret-prep-e\u0301-5", "Secret-prep-\u00e9-5"), ("Secret-prep-\u00ad-2", "Secret-prep--2")])
def test_passwords_are_prepared_on_both_legs(terminating, users, connect, scram_role, written, typed):
    """libpq prepares what its user types."""
    name = scram_role(typed)
    proxy = terminating(users({name: written}))
    for password in (written, typed):
        connect(proxy, name, password=password, sslmode="require")


def test_passwords_that_are_not_utf_8_are_taken_as_they_are(terminating, users, client, scram_role):
    password = b"Secret-latin1-caf\xe9"
    name = scram_role(secret(password))
    client(terminating(users({name: password}))).login(name, password)


# --- channel binding


def test_the_binding_is_to_the_certificate_that_this_client_was_shown(terminating, users, client, pki):
    """RSA beside ECDSA, others by name, and hashes by the signature of each."""
    rsa = pki.leaf(pki.front, "proxy.rsa", ("DNS:localhost",), key="rsa", signature=("-md", "sha384"))
    alpha = pki.leaf(pki.front, "alpha.test", ("DNS:alpha.test",), signature=("-md", "sha512"))
    tables = [{"cert_file": str(rsa.cert), "key_file": str(rsa.key)},
              {"cert_file": str(alpha.cert), "key_file": str(alpha.key), "server_names": ["alpha.test"]}]
    proxy = terminating(users({"scram_user": SECRET}), tls={"certificate": tables})
    for ciphers, name, certificate, digest in (("ECDHE+aRSA", None, rsa, "sha384"), ("ECDHE+aECDSA", None, pki.proxy, "sha256"),
                                               ("ECDHE+aECDSA", "alpha.test", alpha, "sha512")):
        for right in (True, False):
            raw = client(proxy)
            assert raw.request_tls() == b"S"
            raw.start_tls(tls_context(maximum=TLS12, ciphers=ciphers), name)
            assert end_point(raw.certificate()) == end_point(certificate)
            raw.binding = end_point(raw.certificate(), digest) if right else end_point(pki.server)
            if right:
                raw.login("scram_user", gs2="p")
                continue
            with pytest.raises(ErrorResponse) as refused:
                raw.login("scram_user", gs2="p")
            assert (refused.value.sqlstate, refused.value.message) == ("28000", "SCRAM channel binding check failed")
    assert {authenticated(event) for event in proxy.events("connected", 3)} == {("scram-sha-256-plus", "terminate", "p")}
    assert {(event["sqlstate"], event["gs2_flag"]) for event in proxy.events("auth_failed", 3)} == {("28000", "p")}


def test_the_binding_is_to_the_certificate_of_this_handshake_whatever_is_reloaded_meanwhile(terminating, users, client, pki, directory):
    live = directory / "live.crt", directory / "live.key"

    def install(certificate):
        for source, target in zip((certificate.cert, certificate.key), live):
            shutil.copy(source, target)
            target.chmod(0o600)

    install(pki.proxy)
    proxy = terminating(users({"scram_user": SECRET}), tls={"cert_file": str(live[0]), "key_file": str(live[1])})
    before, begun = client(proxy).negotiate("sslrequest"), client(proxy).negotiate("sslrequest")
    code, offer = begun.begin_login("scram_user")
    assert (code, mechanisms(offer)) == (SASL, [PLUS, PLAIN])
    renewed = pki.leaf(pki.front, "proxy.renewed", HERE)
    install(renewed)
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded")
    after = client(proxy).negotiate("sslrequest")
    assert after.certificate() != before.certificate() == begun.certificate()
    for raw in (before, after):
        raw.login("scram_user", gs2="p")
    raw, scram = begun, ScramClient(SECRET, "p", end_point(pki.proxy))
    raw.send(messages.sasl_initial_response(PLUS, scram.first()))
    raw.send(messages.message(b"p", scram.final(raw.authentication()[1])))
    assert raw.authentication()[0] == SASL_FINAL
    raw.finish_login()


def test_flag_y_is_a_downgrade_where_channel_binding_was_offered(by_password, client):
    """With PostgreSQL's words."""
    with pytest.raises(ErrorResponse) as refused:
        client(by_password).negotiate("sslrequest").login("scram_user", gs2="y")
    error = refused.value
    assert (error.severity, error.sqlstate, error.message) == ("FATAL", "28000", "SCRAM channel binding negotiation error")
    assert error.detail == ("The client supports SCRAM channel binding but thinks the server does not.  "
                            "However, this server does support channel binding.")
    event = by_password.event("auth_failed")
    assert (event["sqlstate"], event["auth_bridge"], event["gs2_flag"]) == ("28000", "terminate", "y")


def test_no_binding_is_offered_where_none_is_defined(terminating, users, client, pki):
    leaf = pki.leaf(pki.authority("Test Edwards CA", key="ed25519"), "proxy.edwards", HERE, key="ed25519")
    proxy = terminating(users({"scram_user": SECRET}), tls={"cert_file": str(leaf.cert), "key_file": str(leaf.key)})
    for flag in "ny":
        assert client(proxy).negotiate("sslrequest").login("scram_user", gs2=flag).mechanisms == [PLAIN]
    proxy.wait_for_log("Ed25519")


GS2_LIES = {
    "p without -PLUS": (PLAIN, "p=tls-server-end-point,,"),
    "-PLUS without p": (PLUS, "n,,"),
    "-PLUS with y": (PLUS, "y,,"),
    "another binding": (PLUS, "p=tls-unique,,"),
    "an authorization name": (PLAIN, "n,a=postgres,"),
    "no flag": (PLAIN, ",,"),
    "nothing": (PLAIN, ""),
    "a mandatory extension": (PLAIN, "n,,m=none,"),
    "another mechanism": ("SCRAM-SHA-1", "n,,"),
}


@pytest.mark.parametrize("mechanism, header", GS2_LIES.values(), ids=GS2_LIES)
def test_first_messages_that_do_not_hold_together_are_refused(by_password, client, mechanism, header):
    raw = client(by_password).negotiate("sslrequest")
    raw.begin_login("scram_user")
    raw.send(messages.sasl_initial_response(mechanism, f"{header}n=,r={'x' * 24}".encode() if header else b""))
    assert raw.fatal().sqlstate == "08P01"


FINAL_LIES = {
    "another header than before": (lambda final: final.replace(b"c=biws", b"c=eSws"), "08P01"),
    "another nonce": (lambda final: final.replace(b",r=", b",r=x"), "08P01"),
    "no proof": (lambda final: final.partition(b",p=")[0], "08P01"),
    "a proof of another size": (lambda final: final[:-8], "08P01"),
    "an empty proof": (lambda final: final.partition(b",p=")[0] + b",p=", "08P01"),
    "nothing": (lambda final: b"", "08P01"),
    "an extension that was not signed": (lambda final: final.replace(b",p=", b",x=y,p="), "28P01"),
}


@pytest.mark.parametrize("lie, sqlstate", FINAL_LIES.values(), ids=FINAL_LIES)
@pytest.mark.parametrize("kind", ["password", "secret"])
def test_final_messages_that_do_not_hold_together_are_refused(terminating, users, client, stored, kind, lie, sqlstate):
    proxy = terminating(users({"scram_user": SECRET if kind == "password" else stored}))
    raw, scram = client(proxy), ScramClient(SECRET, "n")
    raw.begin_login("scram_user")
    raw.send(messages.sasl_initial_response(PLAIN, scram.first()))
    raw.send(messages.message(b"p", lie(scram.final(raw.authentication()[1]))))
    assert raw.fatal().sqlstate == sqlstate
    assert proxy.event("auth_failed")["sqlstate"] == sqlstate


# --- who is refused, and what that tells


def conversation(raw, user: str, password: str) -> list:
    """All that a stranger is told, without what is random; the salt apart, as its length."""
    raw.send(messages.startup(user))
    told, scram = [], ScramClient(password, "n")
    while True:
        kind, body = raw.message()
        if kind == b"E":
            raw.expect_closed()
            fields = messages.ErrorResponse(body).fields
            return [*told, {key: text.replace(user, "USER") for key, text in fields.items()}]
        code, data = int.from_bytes(body[:4], "big"), body[4:]
        if code == SASL:
            told.append((code, mechanisms(data)))
            raw.send(messages.sasl_initial_response(PLAIN, scram.first()))
        else:
            first = attributes(data)
            told.append((code, list(first), len(first["r"]), len(first["s"]), first["i"]))
            raw.send(messages.message(b"p", scram.final(data)))


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_unknown_users_and_wrong_passwords_look_alike(terminating, users, client, stored, role, how):
    """`ghost` is known to nobody, `role` to the server alone."""
    proxy = terminating(users({"scram_user": SECRET, "by_secret": stored}))
    said = [conversation(client(proxy).negotiate(how), user, WRONG_PASSWORD) for user in ("scram_user", role, "ghost")]
    assert said[0] == said[1] == said[2]
    assert said[0][-1] == {"S": "FATAL", "V": "FATAL", "C": "28P01", "M": 'password authentication failed for user "USER"'}
    assert len(said[0]) == 3
    events = proxy.events("auth_failed", 3)
    assert {(event["sqlstate"], event["auth_bridge"], event["gs2_flag"]) for event in events} == {("28P01", "terminate", "n")}


def test_a_wrong_password_against_a_secret_looks_the_same(terminating, users, client, stored):
    proxy = terminating(users({"scram_user": stored}))
    assert conversation(client(proxy), "scram_user", WRONG_PASSWORD) == conversation(client(proxy), "ghost", WRONG_PASSWORD)


def test_the_empty_password_of_a_user_who_is_unknown_lets_nobody_in(by_password, client):
    with pytest.raises(ErrorResponse) as refused:
        raw = client(by_password)
        raw.send(messages.startup("ghost"))
        raw.finish_login("ghost", "")
    assert refused.value.sqlstate == "28P01"


def test_libpq_is_told_of_a_wrong_password_as_always(by_password, connect):
    with pytest.raises(psycopg2.OperationalError, match='password authentication failed for user "scram_user"'):
        connect(by_password, "scram_user", password=WRONG_PASSWORD, sslmode="require")


@pytest.mark.parametrize("user", ["scram_user", "ghost"])
def test_the_server_is_told_nothing_before_the_client_has_proved_itself(terminating, users, client, offering_scram, user):
    proxy = terminating(users({"scram_user": SECRET}), [offering_scram.host])
    conversation(client(proxy), user, WRONG_PASSWORD)
    offering_scram.close()
    assert b"SCRAM" not in offering_scram.peers[0].heard


@pytest.fixture
def offering_scram(fake, server_tls):
    """A server that offers SCRAM to every user."""
    def script(peer):
        peer.open(server_tls)
        peer.send(messages.sasl_offer(PLUS, PLAIN))
        peer.until_closed()

    return fake(script)


def challenge(raw, user) -> tuple[str, str]:
    """Salt and iterations, which anybody is told."""
    raw.begin_login(user)
    raw.send(messages.sasl_initial_response(PLAIN, ScramClient("", "n").first()))
    told = attributes(raw.authentication()[1])
    raw.close()
    return told["s"], told["i"]


def test_salts_are_the_same_at_every_attempt_and_after_a_restart(terminating, users, client, stored, role):
    file = users({"scram_user": SECRET, "by_secret": stored})
    proxy = terminating(file)
    names = ("scram_user", "ghost", role)
    seen = [[challenge(client(proxy), name) for name in names] for _ in range(2)]
    proxy.stop()
    again = terminating(file, runtime={"state_dir": str(proxy.state_dir)})
    seen.append([challenge(client(again), name) for name in names])
    assert all(told == seen[0] for told in seen)
    assert len({salt for salt, _ in seen[0]}) == len(names)
    assert (proxy.state_dir / "mock_authentication_nonce").stat().st_mode & 0o777 == 0o600


def test_salts_say_nothing_about_the_contents_of_users_file(terminating, users, client):
    """Whoever knew a salt that is made of the file could try contents at leisure."""
    file = users({"scram_user": SECRET})
    one, other = (challenge(client(terminating(file)), "ghost") for _ in range(2))
    assert one != other
    proxy = terminating(file)
    before = [challenge(client(proxy), name) for name in ("scram_user", "ghost")]
    users({"scram_user": SECRET, "more": WRONG_PASSWORD})
    proxy.event("reloaded")
    assert [challenge(client(proxy), name) for name in ("scram_user", "ghost")] == before


def test_proxies_with_the_same_secret_give_the_same_salts(terminating, users, client, directory):
    nonce = directory / "nonce"
    nonce.write_bytes(os.urandom(32))
    nonce.chmod(0o600)
    file = users({"scram_user": SECRET})

    def start_one():
        return terminating(file, auth={"mock_authentication_nonce_file": str(nonce)})

    one, other = (challenge(client(start_one()), "ghost") for _ in range(2))
    assert one == other


def test_who_is_not_there_gets_the_iterations_of_most_who_are(terminating, users, client, offering_scram):
    secret_of = {name: secret(SECRET, iterations=10_000) for name in ("ann", "bob")}
    proxy = terminating(users({**secret_of, "scram_user": SECRET}), [offering_scram.host])
    told = {name: challenge(client(proxy), name)[1] for name in ("ann", "bob", "scram_user", "ghost")}
    assert set(told.values()) == {"10000"}


def test_the_log_tells_why_and_the_client_is_not_told(terminating, users, client):
    proxy = terminating(users({"scram_user": SECRET}))
    told = []
    for user in ("scram_user", "ghost"):
        with pytest.raises(ErrorResponse) as refused:
            client(proxy).login(user, WRONG_PASSWORD)
        told.append((refused.value.sqlstate, refused.value.message.replace(user, "U")))
    assert told == [("28P01", 'password authentication failed for user "U"')] * 2
    proxy.wait_for_log('failed for user "scram_user": wrong password')
    proxy.wait_for_log('failed for user "ghost": not in users_file')


def test_wrong_passwords_are_answered_ever_later_and_a_right_one_at_once(terminating, users, client):
    proxy = terminating(users({"scram_user": SECRET}))
    for _ in range(6):
        with pytest.raises(ErrorResponse):
            client(proxy).login("scram_user", WRONG_PASSWORD)
    guesses, scram = client(proxy), ScramClient(WRONG_PASSWORD, "n")
    guesses.begin_login("scram_user")
    guesses.send(messages.sasl_initial_response(PLAIN, scram.first()))
    guesses.send(messages.message(b"p", scram.final(guesses.authentication()[1])))
    proxy.events("auth_failed", 7)  # it is known, and not yet told
    begin = time.monotonic()
    client(proxy).login("scram_user")
    assert not select.select([guesses.sock], [], [], 0)[0]
    guesses.error()
    assert time.monotonic() - begin > 0.1  # of 2 s


@pytest.mark.skipif(programs.sanitized(), reason="a sanitizer's speed says nothing")
def test_the_time_of_a_refusal_does_not_tell_who_is_known(terminating, users, client, offering_scram):
    """From the client's proof to the answer. Every attempt has a name and an address of its own: it is the first wrong password
    of both, which is answered without a delay. What else the machine has to do slows most of them, but not all: if none tells
    more than another, enough attempts show it."""
    count, rounds = 25, 8
    stored = secret(SECRET)
    known = {f"password{i}": SECRET for i in range(rounds * count)} | {f"secret{i}": stored for i in range(rounds * count)}
    proxy = terminating(users(known), [offering_scram.host])
    fastest = dict.fromkeys(("password", "secret", "ghost"), math.inf)
    for i in range(rounds * count):
        for number, kind in enumerate(fastest, 1):
            raw, scram = client(proxy, source=f"127.0.{number}.{i + 1}"), ScramClient(WRONG_PASSWORD, "n")
            raw.begin_login(f"{kind}{i}")
            raw.send(messages.sasl_initial_response(PLAIN, scram.first()))
            final = messages.message(b"p", scram.final(raw.authentication()[1]))
            begin = time.monotonic()
            raw.send(final)
            raw.error()
            fastest[kind] = min(fastest[kind], time.monotonic() - begin)
            raw.close()
        if i % count == count - 1 and max(fastest.values()) < 3 * min(fastest.values()):
            return
    pytest.fail(f"seconds: {fastest}")


@pytest.fixture
def role(scram_role):
    """Of the server; in users_file only where a test writes it."""
    return scram_role(ROLE_SECRET)


# --- a users_file that does not fit the server


@pytest.mark.parametrize("other", [{}, {"iterations": 5000}], ids=["salt", "iterations"])
def test_a_secret_that_is_not_the_servers_is_named(terminating, users, client, other):
    proxy = terminating(users({"scram_user": secret(SECRET, **other)}))
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).negotiate("sslrequest").login("scram_user", gs2="p")
    assert (refused.value.severity, refused.value.sqlstate) == ("FATAL", "28000")
    assert "users_file" in refused.value.message
    assert proxy.event("auth_failed")["sqlstate"] == "28000"


def test_a_password_that_is_not_the_servers_is_refused_by_the_server(terminating, users, client):
    other = "Secret-of-yesterday-9c"
    proxy = terminating(users({"scram_user": other}))
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login("scram_user", other)
    assert refused.value.sqlstate == "28P01"
    assert authenticated(proxy.event("auth_failed")) == ("scram-sha-256-plus", "terminate", "n")


@pytest.mark.parametrize("lie, sqlstate", [
    (lambda peer: peer.ready(), "08006"),
    (lambda peer: peer.send(messages.authentication(SASL_FINAL, b"v=" + b"A" * 43 + b"=")), "08006"),
    (lambda peer: peer.send(messages.authentication(CLEARTEXT)), "08P01"),
], ids=["lets in at once", "proves nothing", "asks for the password"])
def test_a_server_that_does_not_prove_itself_lets_nobody_in(terminating, users, client, fake, server_tls, lie, sqlstate):
    """The client is not told that it was authenticated: its own SCRAM is not over before the server's."""
    def script(peer):
        peer.open(server_tls)
        peer.sasl(PLUS, PLAIN)
        lie(peer)
        peer.until_closed()

    server = fake(script)
    raw, scram = client(terminating(users({"scram_user": SECRET}), [server.host])), ScramClient(SECRET, "n")
    raw.begin_login("scram_user")
    raw.send(messages.sasl_initial_response(PLAIN, scram.first()))
    raw.send(messages.message(b"p", scram.final(raw.authentication()[1])))
    assert raw.fatal().sqlstate == sqlstate
    server.close()
    assert SECRET.encode() not in server.peers[0].heard


def test_a_secret_serves_where_the_server_has_the_same(terminating, users, client, fake, server_tls):
    """The client key is recovered from the client's proof: there is no password anywhere."""
    server, name = ScramServer(SECRET), "scram_user"

    def script(peer):
        peer.open(server_tls)
        mechanism, first = peer.sasl(PLUS, PLAIN)
        peer.send(messages.authentication(SASL_CONTINUE, server.first(first, salt=b"0123456789abcdef")))
        peer.send(messages.authentication(SASL_FINAL, server.final(peer.message()[1])))
        peer.ready()
        peer.serve()

    proxy = terminating(users({name: secret(SECRET, salt=b"0123456789abcdef")}), [fake(script).host])
    client(proxy).negotiate("sslrequest").login(name, gs2="p")
    assert (server.flag, server.proved) == ("p", True)


# --- the file


def test_changes_are_picked_up_by_themselves_and_broken_ones_are_not(terminating, users, client, role):
    proxy = terminating(users({"scram_user": SECRET}))
    session = client(proxy)
    session.login("scram_user")

    def gets_in(user, password):
        try:
            client(proxy).login(user, password)
            return True
        except ErrorResponse as error:
            assert error.sqlstate == "28P01"
            return False

    assert not gets_in(role, ROLE_SECRET)
    users({"scram_user": SECRET, role: ROLE_SECRET})
    until(lambda: gets_in(role, ROLE_SECRET), interval=0.2)
    users({}, more=f'"scram_user" "{SECRET}'.encode())
    message = proxy.events("reload_failed")[0]["message"]
    assert "userlist.txt" in message and ":2" in message
    assert gets_in("scram_user", SECRET) and gets_in(role, ROLE_SECRET)
    assert session.query("SELECT 1") == [[b"1"]]


@pytest.mark.parametrize("damage", ["readable by others", "missing", "a broken secret", "garbage"])
def test_a_damaged_file_keeps_the_last_good_one(terminating, users, client, directory, damage):
    proxy = terminating(users({"scram_user": SECRET}))
    if damage == "missing":
        os.unlink(directory / "userlist.txt")
    elif damage == "readable by others":
        users({"ghost": WRONG_PASSWORD}, mode=0o644)
    elif damage == "a broken secret":
        users({"ghost": "SCRAM-SHA-256$4096:c2FsdA==$too:short"})
    else:
        users.raw(os.urandom(100).replace(b"\n", b" ") + b"\n")
    proxy.signal(signal.SIGHUP)
    message = proxy.event("reload_failed")["message"]
    assert "userlist.txt" in message
    assert ("0600" in message) == (damage == "readable by others")
    client(proxy).login("scram_user")


def test_a_login_that_has_begun_keeps_the_file_that_it_began_with(terminating, users, client):
    proxy = terminating(users({"scram_user": SECRET}))
    raw, scram = client(proxy), ScramClient(SECRET, "n")
    raw.begin_login("scram_user")
    raw.send(messages.sasl_initial_response(PLAIN, scram.first()))
    final = scram.final(raw.authentication()[1])
    users({"somebody": WRONG_PASSWORD})
    proxy.signal(signal.SIGHUP)
    proxy.event("reloaded")
    raw.send(messages.message(b"p", final))
    assert raw.authentication()[0] == SASL_FINAL
    raw.finish_login()
    with pytest.raises(ErrorResponse):
        client(proxy).login("scram_user")


def test_the_mode_can_be_changed_by_a_reload(terminating, users, client):
    proxy = terminating(users({"scram_user": SECRET}))
    assert client(proxy).negotiate("sslrequest").login("scram_user", gs2="p").asked == SASL_DONE
    for mode, asked in (("bridge", [CLEARTEXT, OK]), ("auto", SASL_DONE)):
        proxy.config_file.write_text(re.sub(r'scram = ".*"', f'scram = "{mode}"', proxy.config_file.read_text()))
        count = len(proxy.events("reloaded", 0))
        proxy.signal(signal.SIGHUP)
        proxy.events("reloaded", count + 1)
        assert client(proxy).negotiate("sslrequest").login("scram_user").asked == asked


@pytest.fixture
def config_file(directory, pki):
    def write(auth: dict):
        path = directory / "pgairlock.toml"
        path.write_text(to_toml(configuration(pki, ["127.0.0.1:1"], runtime={"state_dir": str(directory / "state")}, auth=auth)))
        return path
    return write


def test_check_reads_the_file_without_connecting(config_file, users):
    done = pgairlock("check", "--offline", "--config", config_file({"scram": "terminate", "users_file": users({"scram_user": SECRET})}))
    assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "configuration is valid", "")


@pytest.mark.parametrize("command", [["check", "--offline"], ["run"]], ids=" ".join)
@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(config_file, users, command, mode):
    file = users({"scram_user": SECRET}, mode=mode)
    done = pgairlock(*command, "--config", config_file({"scram": "terminate", "users_file": file}))
    assert done.returncode == 2
    assert re.search(r"pgairlock\.toml:\d+:\d+: ", done.stderr)
    assert file in done.stderr and "0600" in done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("line, place, words", [
    ('"scram_user" "Secret-without-end', 2, "double quotes"),
    ('scram_user Secret-without-quotes', 2, "double quotes"),
    ('"scram_user"', 2, "double quotes"),
    ('"scram_user" "SCRAM-SHA-256$4096:c2FsdA==$Secret-stored:Secret-server"', 2, "SCRAM secret"),
])
def test_a_broken_line_is_named_by_its_place_and_not_by_its_content(config_file, users, line, place, words):
    file = users.raw(b"; a comment\n" + line.encode() + b"\n")
    done = pgairlock("check", "--offline", "--config", config_file({"scram": "terminate", "users_file": file}))
    assert done.returncode == 2
    assert re.search(rf"userlist\.txt:{place}\b", done.stderr) and words in done.stderr
    assert "Secret-" not in done.stderr


@pytest.mark.parametrize("auth, word", [
    ({"scram": "terminate"}, "users_file"), ({"scram": "terminate", "users_file": "/nowhere/userlist.txt"}, 'auth.users_file: cannot read "/nowhere/userlist.txt": No such file or directory'),
    ({"scram": "terminate", "users_file": "/tmp"}, "directory"), ({"scram": "sometimes"}, "passthrough"), ({"users": "x"}, "users"),
])
def test_contradictions_are_configuration_errors(config_file, auth, word):
    done = pgairlock("check", "--offline", "--config", config_file(auth))
    assert done.returncode == 2
    assert re.search(r"pgairlock\.toml:\d+:\d+: ", done.stderr) and word in done.stderr


def test_md5_hashes_are_warned_about_and_of_no_use(terminating, users, client):
    proxy = terminating(users({"md5_user": "md5" + "0123456789abcdef" * 2, "scram_user": "md5" + "fedcba9876543210" * 2}))
    proxy.wait_for_log('user "md5_user" has an MD5 hash')
    client(proxy).login("md5_user")
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login("scram_user")
    assert refused.value.sqlstate == "28P01"
