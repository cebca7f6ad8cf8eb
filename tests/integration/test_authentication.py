"""SCRAM across two TLS connections: [auth] scram = auto, bridge and passthrough. What needs a users_file is in test_users_file.py."""

import os
import signal
from pathlib import Path

import psycopg2
import pytest

from harness import messages, programs
from harness.cluster import PASSWORDS, WRONG_PASSWORD
from harness.fake_upstream import server_context
from harness.messages import CLEARTEXT, MD5, OK, SASL, SASL_CONTINUE, SASL_FINAL, ErrorResponse
from harness.pki import HERE
from harness.private_network import private_network
from harness.proxy import authenticated
from harness.scram import PLAIN, PLUS, ScramClient, ScramServer, end_point, secret
from harness.waiting import until
from harness.wire import mechanisms

SECRET = PASSWORDS["scram_user"]
CROWD = 40
BRIDGED = ("scram-sha-256-plus", "cleartext", "y")
ASKED_AT_ONCE = ("scram-sha-256-plus", "cleartext", None)
PASSED_ON = ("scram-sha-256", "none", "n")
TLS_UPSTREAM = "SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def client_ca(proxy):
    """The CA of the certificate that the harness gives a proxy."""
    return next(proxy.directory.parent.parent.glob("pki/*Test-Front-CA.crt"))


def asked(raw, user="scram_user", **parameters):
    """A login with flag y, as far as the question for the password."""
    code, offer = raw.begin_login(user, **parameters)
    assert (code, mechanisms(offer)) == (SASL, [PLAIN])
    raw.send(messages.sasl_initial_response(PLAIN, ScramClient("", "y").first()))
    assert raw.authentication() == (CLEARTEXT, b"")
    return raw


@pytest.fixture
def start(start):
    """With the most talkative log: what Proxy.stop() looks for must not be in it."""
    return lambda hosts=None, **tables: start(hosts, **{"log": {"level": "trace"}, **tables})


# --- auto: clients that would bind the channel


@pytest.mark.parametrize("listen, how", [
    ("127.0.0.1:0", "sslrequest"), ("127.0.0.1:0", "direct"), ("127.0.0.1:0", "plain"), ("[::1]:0", "plain"), ("[::]:0", "plain"),
    ("unix:", "plain"),
])
def test_flag_y_is_answered_with_the_question_for_the_password(start, client, directory, listen, how):
    proxy = start(listener={"listen": [f"unix:{directory}/.s.PGSQL.6432" if listen == "unix:" else listen]})
    raw = client(("::1", proxy.port) if listen == "[::]:0" else proxy).negotiate(how)
    login = raw.login("scram_user", gs2="y")
    assert (login.mechanisms, login.asked) == ([PLAIN], [SASL, CLEARTEXT, OK])
    assert raw.query(TLS_UPSTREAM) == [[b"scram_user", b"t"]]
    assert authenticated(proxy.event("connected")) == BRIDGED


@pytest.mark.parametrize("sslmode", ["prefer", "require", "verify-full"])
def test_psql_with_its_defaults_logs_in_over_tls_with_one_connection(start, pg, pki, sslmode):
    """channel_binding=prefer. A refusal would make sslmode=prefer fall back to clear text without a word."""
    proxy = start()
    done = pg("psql", proxy, "-X", "-At", "-c", TLS_UPSTREAM, user="scram_user", sslmode=sslmode, host="localhost",
              sslrootcert=pki.front.cert)
    assert done.stdout == "scram_user|t\n"
    proxy.event("disconnected")
    event = proxy.event("connected")
    assert (event["ssl"], *authenticated(event)) == (True, *BRIDGED)
    assert {event["session"] for event in proxy.all_events()} == {None, event["session"]}
    assert event["session"].endswith("-1")


def test_flag_n_is_passed_through_and_recorded_so(start, client):
    proxy = start()
    assert client(proxy).negotiate("sslrequest").login("scram_user", gs2="n").asked == [SASL, SASL_CONTINUE, SASL_FINAL, OK]
    assert authenticated(proxy.event("connected")) == PASSED_ON


def test_flag_y_is_passed_through_where_the_server_offers_no_channel_binding(start, client, fake, server_tls):
    server, upstream = ScramServer(SECRET), []

    def script(peer):
        peer.open(server_tls)
        upstream.append(peer.scram(server, PLAIN))
        peer.ready()
        peer.serve()

    proxy = start([fake(script).host])
    assert client(proxy).negotiate("sslrequest").login("scram_user", gs2="y").asked == [SASL, SASL_CONTINUE, SASL_FINAL, OK]
    assert (upstream, server.flag, server.proved) == ([PLAIN], "y", True)
    assert authenticated(proxy.event("connected")) == ("scram-sha-256", "none", "y")


@pytest.mark.parametrize("flag, bridged", [("n", False), ("y", True)])
def test_a_client_may_wait_to_be_asked_for_its_first_message(start, client, flag, bridged):
    """SASLInitialResponse without data, as the protocol allows."""
    raw, scram = client(start()).negotiate("sslrequest"), ScramClient(SECRET, flag)
    raw.begin_login("scram_user")
    raw.send(messages.sasl_initial_response(PLAIN, None))
    assert raw.authentication() == (SASL_CONTINUE, b"")
    raw.send(messages.message(b"p", scram.first()))
    code, data = raw.authentication()
    assert code == (CLEARTEXT if bridged else SASL_CONTINUE)
    raw.send(messages.password(SECRET) if bridged else messages.message(b"p", scram.final(data)))
    assert bridged or raw.authentication()[0] == SASL_FINAL
    assert raw.finish_login("scram_user").asked == [OK]


def test_the_password_is_asked_for_at_once_where_the_server_offers_only_channel_binding(start, client, fake, server_tls, pki):
    server, upstream = ScramServer(SECRET), []

    def script(peer):
        peer.open(server_tls)
        upstream.append(peer.scram(server, PLUS))
        peer.ready()
        peer.serve()

    proxy = start([fake(script).host])
    assert client(proxy).negotiate("sslrequest").login("scram_user").asked == [CLEARTEXT, OK]
    assert (upstream, server.flag, server.proved, server.bound) == ([PLUS], "p", True, end_point(pki.server))
    assert authenticated(proxy.event("connected")) == ASKED_AT_ONCE


# --- passwords


def test_a_wrong_password_is_refused_by_the_server_once(start, client):
    proxy = start()
    raw = asked(client(proxy).negotiate("sslrequest"))
    raw.send(messages.password(WRONG_PASSWORD))
    error = raw.fatal()
    assert (error.sqlstate, error.message) == ("28P01", 'password authentication failed for user "scram_user"')
    event = proxy.event("auth_failed")
    assert (event["sqlstate"], *authenticated(event)) == ("28P01", *BRIDGED)


def test_libpq_is_told_of_a_wrong_password_as_always(start, connect):
    proxy = start()
    with pytest.raises(psycopg2.OperationalError, match='password authentication failed for user "scram_user"'):
        connect(proxy, "scram_user", password=WRONG_PASSWORD, sslmode="require")
    assert proxy.event("auth_failed")["session"].endswith("-1")


@pytest.mark.parametrize("answer, sqlstate, words", [
    (messages.password(""), "28P01", "empty password"),
    (messages.message(b"p", SECRET.encode()), "08P01", "password packet"),
    (messages.message(b"p", SECRET.encode() + b"\0more\0"), "08P01", "password packet"),
    (messages.message(b"p"), "08P01", "password packet"),
    (b"p\0\0\0\3", "08P01", "length"),
    (b"p\0\1\0\4", "08P01", "length"),
    (b"p\xff\xff\xff\xff", "08P01", "length"),
    (messages.query("SELECT 1"), "08P01", "unexpected message"),
    (messages.TERMINATE, "08P01", "unexpected message"),
], ids=["empty", "no NUL", "two NUL", "nothing", "short length", "over the limit", "huge", "Query", "Terminate"])
def test_what_is_no_password_is_refused_and_never_reaches_the_server(start, client, fake, server_tls, answer, sqlstate, words):
    server = fake(offering(server_tls))
    proxy = start([server.host])
    raw = asked(client(proxy).negotiate("sslrequest"))
    raw.send(answer)
    error = raw.fatal()
    assert error.sqlstate == sqlstate and words in error.message
    assert authenticated(proxy.event("auth_failed"))[1:] == ("cleartext", "y")
    until(lambda: server.peers[0].ended or server.peers[0].sock.fileno() < 0)
    assert b"p" not in messages_heard(server.peers[0])


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_client_that_leaves_instead_of_giving_its_password_is_recorded(start, client, end):
    proxy = start()
    getattr(asked(client(proxy).negotiate("sslrequest")), end)()
    event = proxy.event("auth_failed")
    assert (event["sqlstate"], event["message"]) == (None, "client closed the connection during login")
    until(lambda: proxy.sockets() == 0)


def test_a_password_of_60_kib_is_bridged(start, client, scram_role):
    password = "Secret-" + "long-0123456789-" * 3839
    user, proxy = scram_role(password), start()
    assert client(proxy).negotiate("sslrequest").login(user, password, gs2="y").asked == [SASL, CLEARTEXT, OK]
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).negotiate("sslrequest").login(user, password[:-1] + "!", gs2="y")
    assert refused.value.sqlstate == "28P01"


@pytest.mark.parametrize("character", ["\ufdfa", "\u0301\u0316"], ids=["expands to 18", "needs reordering"])
def test_the_costliest_passwords_are_only_wrong_ones(start, client, character):
    """SASLprep is computed on 64 KiB that anybody may send."""
    proxy = start()
    raw = asked(client(proxy).negotiate("sslrequest"))
    raw.send(messages.password("a" + character * (65_500 // len(character.encode()))))
    assert raw.fatal().sqlstate == "28P01"
    client(proxy).negotiate("sslrequest").login("scram_user", gs2="y")


# As set at the server, and as typed: the same for SASLprep (RFC 4013), or equal because it does not apply. PostgreSQL judges characters and
# directions before the normalisation, the RFC after it: the last three.
PREPARED = {
    "feminine ordinal is a": ("Secret-prep-\u00aa-1", "Secret-prep-a-1"),
    "soft hyphen is nothing": ("Secret-prep-\u00ad-2", "Secret-prep--2"),
    "no-break space is a space": ("Secret-prep-\u00a0-3", "Secret-prep- -3"),
    "roman nine is IX": ("Secret-prep-IX-4", "Secret-prep-\u2168-4"),
    "decomposed is composed": ("Secret-prep-e\u0301-5", "Secret-prep-\u00e9-5"),
    "fullwidth is plain": ("Secret-prep-\uff21\uff22-6", "Secret-prep-AB-6"),
    "right to left": ("\u0633\u0631-\u00ad\u0627\u0644\u0633\u0631", "\u0633\u0631-\u0627\u0644\u0633\u0631"),
    "mixed directions: as it is": ("Secret-prep-\u00aa-\u0627-7", "Secret-prep-\u00aa-\u0627-7"),
    "a control character: as it is": ("Secret-prep-\u00aa-\u0001-8", "Secret-prep-\u00aa-\u0001-8"),
    "not in Unicode 3.2: as it is": ("Secret-prep-\u00aa-\U0001f511-9", "Secret-prep-\u00aa-\U0001f511-9"),
    "nothing but soft hyphens: as it is": ("\u00ad" * 12, "\u00ad" * 12),
    "not in Unicode 3.2, but two other characters now: as it is": ("Secret-prep-\u32ff-10", "Secret-prep-\u32ff-10"),
    "a symbol that is a Hebrew letter, among Latin ones": ("Secret-prep-\u2135-11", "Secret-prep-\u2135-11"),
    "a Hebrew letter with its point at the end": ("\u05e9" * 11 + "\ufb2a", "\u05e9" * 11 + "\ufb2a"),
    "a prohibited character that is another one": ("Secret-prep-\u0340-12", "Secret-prep-\u0340-12"),
}


@pytest.mark.parametrize("stored, typed", PREPARED.values(), ids=PREPARED)
def test_passwords_are_prepared_as_postgresql_does(start, client, scram_role, stored, typed):
    client(start()).negotiate("sslrequest").login(scram_role(stored), typed, gs2="y")


@pytest.mark.parametrize("password", [b"Secret-latin1-caf\xe9", b"Secret-\xff\xfe\xc0\x80-nothing", b"Secret-surrogate-\xed\xa0\x80",
                                      b"Secret-cut-off-\xe2\x82"])
def test_passwords_that_are_not_utf_8_are_taken_as_they_are(start, client, scram_role, password):
    client(start()).negotiate("sslrequest").login(scram_role(secret(password)), password, gs2="y")


# --- where a password may be asked for


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_no_password_is_asked_for_on_a_clear_leg_that_is_not_local(start, client, fake, server_tls):
    with private_network() as address:
        server = ScramServer(SECRET)

        def script(peer):
            peer.open(server_tls)
            peer.scram(server, PLUS, PLAIN)
            peer.ready()
            peer.serve()

        upstream = fake(script)
        listeners = {"listen": [f"{address}:0", "127.0.0.1:0"], "allow": ["192.0.2.0/24", "127.0.0.1/32"]}
        proxy = start([upstream.host], listener=listeners, listeners=2)
        for gs2, way in (("n", "plain"), ("y", "sslrequest"), ("n", "sslrequest")):
            client(proxy).negotiate(way).login("scram_user", gs2=gs2)
        client(proxy.addresses[1]).login("scram_user", gs2="y")

        with pytest.raises(ErrorResponse) as refused:
            client(proxy).login("scram_user", gs2="y")
        error = refused.value
        assert (error.severity, error.sqlstate) == ("FATAL", "28000")
        assert "clear" in error.message and "sslmode=require" in error.hint
        event = proxy.event("auth_failed")
        assert (event["client_addr"], event["sqlstate"], *authenticated(event)) == (address, "28000", "scram-sha-256", "none", "y")

        # One that would be asked at once elsewhere is offered SCRAM here.
        raw = client(proxy)
        raw.begin_login("scram_user", application_name="old")
        raw.close()
        proxy.events("auth_failed", 2)
        code, _ = client(proxy).begin_login("scram_user", application_name="old")
        assert code == SASL


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_bridge_asks_for_no_password_on_such_a_leg_either(start, client, fake, server_tls):
    with private_network() as address:
        listener = {"listen": [f"{address}:0"], "allow": ["192.0.2.0/24"]}
        proxy = start([fake(offering(server_tls)).host], auth={"scram": "bridge"}, listener=listener)
        raw = client(proxy)
        raw.send(messages.startup("scram_user"))
        assert raw.fatal().sqlstate == "28000"
        assert client(proxy).negotiate("sslrequest").begin_login("scram_user") == (CLEARTEXT, b"")


# --- the binding


LEAVES = {
    "ECDSA with SHA-256": ("ec", "ec", (), "sha256"),
    "ECDSA with SHA-384": ("ec", "ec", ("-md", "sha384"), "sha384"),
    "RSA with SHA-512": ("rsa", "rsa", ("-md", "sha512"), "sha512"),
    "RSA-PSS with SHA-384": ("rsa", "rsa", ("-md", "sha384", "-sigopt", "rsa_padding_mode:pss"), "sha384"),
    "RSA signed by ECDSA": ("ec", "rsa", (), "sha256"),
}


@pytest.mark.parametrize("ca_key, key, signature, digest", LEAVES.values(), ids=LEAVES)
def test_the_login_is_bound_to_the_certificate_of_the_server(start, client, fake, pki, ca_key, key, signature, digest):
    authority = pki.authority("Test Upstream CA", key=ca_key)
    leaf = pki.leaf(authority, "server.bound", HERE, key=key, signature=signature)
    server, upstream = ScramServer(SECRET), []

    def script(peer):
        peer.open(server_context(leaf))
        upstream.append(peer.scram(server, PLUS, PLAIN))
        peer.ready()
        peer.serve()

    proxy = start([fake(script).host], upstream={"sslrootcert": [str(authority.cert)]})
    client(proxy).negotiate("sslrequest").login("scram_user", gs2="y")
    assert (upstream, server.flag, server.proved) == ([PLUS], "p", True)
    assert server.bound == end_point(leaf, digest)


def test_no_binding_is_tried_where_none_is_defined(start, client, fake, pki):
    """RFC 5929 derives the hash from the signature's, and Ed25519 has none."""
    authority = pki.authority("Test Edwards CA", key="ed25519")
    leaf, server, upstream = pki.leaf(authority, "server.edwards", HERE, key="ed25519"), ScramServer(SECRET), []

    def script(peer):
        peer.open(server_context(leaf))
        upstream.append(peer.scram(server, PLUS, PLAIN))
        peer.ready()
        peer.serve()

    proxy = start([fake(script).host], upstream={"sslrootcert": [str(authority.cert)]})
    client(proxy).negotiate("sslrequest").login("scram_user", gs2="y")
    assert (upstream, server.flag, server.proved) == ([PLAIN], "n", True)
    assert authenticated(proxy.event("connected")) == ("scram-sha-256", "cleartext", "y")


# --- what is written down


@pytest.mark.parametrize("flag", [b"\xff", b'"', b"\n", b"z"])
def test_a_flag_that_is_none_does_not_break_the_audit(start, client, flag):
    proxy = start()
    raw = client(proxy).negotiate("sslrequest")
    raw.begin_login("scram_user")
    raw.send(messages.sasl_initial_response(PLAIN, flag + b",,n=,r=abcdefghijkl"))
    raw.fatal()
    event = proxy.event("auth_failed")  # read as UTF-8
    assert (event["sqlstate"], event["gs2_flag"]) == ("08P01", None)


@pytest.mark.skipif(programs.sanitized(), reason="a sanitizer keeps memory that was freed")
@pytest.mark.parametrize("how", ["sslrequest", "plain"])
@pytest.mark.parametrize("mode", ["auto", "bridge"])
def test_a_bridged_password_does_not_stay_in_memory(start, client, scram_role, mode, how):
    password = "Secret-to-be-forgotten-31"
    user, proxy = scram_role(password), start(auth={"scram": mode})
    raw = client(proxy).negotiate(how)
    raw.login(user, password, gs2="y")
    assert raw.query("SELECT 1") == [[b"1"]]
    until(lambda: not in_memory(proxy, password.encode()))
    assert in_memory(proxy, user.encode())


def in_memory(proxy, text: bytes) -> bool:
    """Whether the process has it anywhere."""
    for line in Path(f"/proc/{proxy.process.pid}/maps").read_text().splitlines():
        (begin, end), kind = (int(part, 16) for part in line.split()[0].split("-")), line.split()[1]
        if "w" not in kind:
            continue
        with open(f"/proc/{proxy.process.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(begin)
            if text in memory.read(end - begin):
                return True
    return False


# --- servers that lie: (peer, server, client-first-message)


def challenge(peer, data: bytes) -> None:
    peer.send(messages.authentication(SASL_CONTINUE, data))


def asks_for_the_password(peer, *_):
    peer.send(messages.authentication(CLEARTEXT))


def asks_for_md5(peer, *_):
    peer.send(messages.authentication(MD5, b"salt"))


def asks_for_gss(peer, *_):
    peer.send(messages.authentication(messages.GSS))


def offers_again(peer, *_):
    peer.send(messages.sasl_offer(PLAIN))


def lets_in_at_once(peer, *_):
    peer.ready()


def is_ready_at_once(peer, *_):
    peer.send(messages.READY_FOR_QUERY)


def proves_before_the_challenge(peer, *_):
    peer.send(messages.authentication(SASL_FINAL, b"v=" + b"A" * 43 + b"="))


def asks_for_too_much_work(peer, server, first):
    challenge(peer, server.first(first, iterations=600_001))


def asks_for_endless_work(peer, server, first):
    challenge(peer, server.first(first, iterations=2**32 - 1))


def asks_for_more_than_fits(peer, server, first):
    challenge(peer, server.first(first, iterations=2**32 + 4096))


def asks_for_no_work(peer, server, first):
    challenge(peer, server.first(first, iterations=0))


def asks_for_negative_work(peer, server, first):
    challenge(peer, server.first(first, iterations=-1))


def does_not_extend_the_nonce(peer, server, first):
    server.first(first)
    challenge(peer, server.first(first, nonce=server.client_nonce))


def has_a_nonce_of_its_own(peer, server, first):
    challenge(peer, server.first(first, nonce="x" * 48))


def has_no_salt(peer, server, first):
    challenge(peer, server.first(first).split(b",s=")[0] + b",s=,i=4096")


def sends_a_huge_salt(peer, server, first):
    challenge(peer, server.first(first).split(b",s=")[0] + b",s=" + b"A" * 60_000 + b",i=4096")


def demands_an_extension(peer, server, first):
    challenge(peer, b"m=none," + server.first(first))


def challenges_with_nothing(peer, *_):
    challenge(peer, b"")


def challenges_with_garbage(peer, *_):
    challenge(peer, bytes(range(256)))


@pytest.mark.parametrize("lie, sqlstate, words", [
    (asks_for_the_password, "08P01", "unexpected message"), (asks_for_md5, "08P01", "unexpected message"),
    (asks_for_gss, "08P01", "unexpected message"), (offers_again, "08P01", "unexpected message"),
    (is_ready_at_once, "08P01", "unexpected message"),
    (lets_in_at_once, "08006", "did not prove"), (proves_before_the_challenge, "08006", "did not prove"),
    (asks_for_too_much_work, "08P01", "iterations"), (asks_for_endless_work, "08P01", "iterations"),
    (asks_for_more_than_fits, "08P01", "malformed"), (asks_for_no_work, "08P01", "malformed"),
    (asks_for_negative_work, "08P01", "malformed"),
    (does_not_extend_the_nonce, "08P01", "malformed"), (has_a_nonce_of_its_own, "08P01", "malformed"), (has_no_salt, "08P01", "malformed"),
    (sends_a_huge_salt, "08P01", "malformed"), (demands_an_extension, "08P01", "malformed"),
    (challenges_with_nothing, "08P01", "malformed"), (challenges_with_garbage, "08P01", "malformed"),
])
def test_a_server_that_lies_gets_neither_password_nor_proof(start, client, fake, server_tls, lie, sqlstate, words):
    server = fake(lying(server_tls, lie))
    proxy = start([server.host])
    raw = asked(client(proxy).negotiate("sslrequest"))
    raw.send(messages.password(SECRET))
    error = raw.fatal()
    assert error.sqlstate == sqlstate and words in error.message, error.fields
    event = proxy.event("auth_failed")
    assert (event["sqlstate"], *authenticated(event)) == (sqlstate, *BRIDGED)
    heard = everything_heard(server)
    assert b"tls-server-end-point" in heard
    assert SECRET.encode() not in heard and b",p=" not in heard


def lets_in_without_proof(peer, server, first):
    challenge(peer, server.first(first))
    peer.message()
    peer.ready()


def proves_another_password(peer, server, first):
    challenge(peer, server.first(first))
    peer.message()
    peer.send(messages.authentication(SASL_FINAL, b"v=" + b"A" * 43 + b"="))
    peer.ready()


def proves_with_too_little(peer, server, first):
    challenge(peer, server.first(first))
    peer.send(messages.authentication(SASL_FINAL, server.final(peer.message()[1])[:-4]))
    peer.ready()


def reports_a_scram_error(peer, server, first):
    challenge(peer, server.first(first))
    peer.message()
    peer.send(messages.authentication(SASL_FINAL, b"e=other-error"))
    peer.ready()


def asks_for_the_password_after_the_proof(peer, server, first):
    challenge(peer, server.first(first))
    peer.message()
    peer.send(messages.authentication(CLEARTEXT))


def challenges_twice(peer, server, first):
    challenge(peer, server.first(first))
    peer.message()
    challenge(peer, server.first(first))


def challenges_without_end(peer, server, first):
    while True:
        challenge(peer, server.first(first))


@pytest.mark.parametrize("lie, sqlstate, words", [
    (lets_in_without_proof, "08006", "did not prove"), (proves_another_password, "08006", "did not prove"),
    (proves_with_too_little, "08006", "did not prove"), (reports_a_scram_error, "08006", "did not prove"),
    (asks_for_the_password_after_the_proof, "08P01", "unexpected message"), (challenges_twice, "08P01", "malformed"),
    (challenges_without_end, "08P01", "malformed"),
])
def test_a_server_that_does_not_prove_itself_lets_nobody_in(start, client, fake, server_tls, lie, sqlstate, words):
    server = fake(lying(server_tls, lie))
    proxy = start([server.host])
    raw = asked(client(proxy).negotiate("sslrequest"))
    raw.send(messages.password(SECRET))
    error = raw.fatal()
    assert error.sqlstate == sqlstate and words in error.message, error.fields
    assert proxy.event("auth_failed")["sqlstate"] == sqlstate
    assert SECRET.encode() not in everything_heard(server)


def test_600000_iterations_are_computed(start, client, fake, server_tls):
    """The limit itself: what a careful operator may have set."""
    server = ScramServer(SECRET, iterations=600_000)

    def script(peer):
        peer.open(server_tls)
        peer.scram(server, PLUS, PLAIN)
        peer.ready()
        peer.serve()

    client(start([fake(script).host])).negotiate("sslrequest").login("scram_user", gs2="y")
    assert server.proved


def hangs(peer, *_):
    peer.until_closed()


def hangs_after_the_challenge(peer, server, first):
    challenge(peer, server.first(first))
    peer.until_closed()


@pytest.mark.parametrize("where", [hangs, hangs_after_the_challenge])
def test_a_server_that_hangs_within_scram_is_given_up(start, client, fake, server_tls, where):
    server = fake(lying(server_tls, where))
    proxy = start([server.host], runtime={"client_login_timeout": "3s"})
    raw = asked(client(proxy).negotiate("sslrequest"))
    raw.send(messages.password(SECRET))
    assert raw.fatal().sqlstate == "57014"
    assert proxy.event("rejected")["reason"] == "login_timeout"


def test_a_client_that_never_gives_its_password_is_given_up(start, client, fake, server_tls):
    proxy = start([fake(offering(server_tls)).host], runtime={"client_login_timeout": "3s"})
    assert asked(client(proxy).negotiate("sslrequest")).fatal().sqlstate == "57014"


@pytest.mark.skipif(programs.sanitized(), reason="a sanitizer makes logins too slow for the timeout that this is about")
def test_derivations_that_nobody_waits_for_any_more_are_left_out(start, client, fake, server_tls):
    """Much work for logins that were given up: the next one does not wait for it."""
    decent = ScramServer(SECRET)

    def script(peer):
        peer.open(server_tls)
        if server.peers.index(peer) < 100:
            _, first = peer.sasl(PLUS, PLAIN)
            hangs_after_the_challenge(peer, ScramServer(SECRET, iterations=600_000), first)
        else:
            peer.scram(decent, PLUS, PLAIN)
            peer.ready()
            peer.serve()

    server = fake(script)
    proxy = start([server.host], runtime={"client_login_timeout": "10s"})
    crowd = []
    for _ in range(100):
        crowd.append(asked(client(proxy)))
        crowd[-1].send(messages.password(SECRET))
    for raw in crowd:
        assert raw.fatal().sqlstate == "57014"
    client(proxy).login("scram_user", gs2="y")


# --- passthrough


@pytest.mark.parametrize("how", ["sslrequest", "direct", "plain"])
def test_passthrough_refuses_flag_y_and_says_what_to_do(start, client, how):
    proxy = start(auth={"scram": "passthrough"})
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).negotiate(how).login("scram_user", gs2="y")
    error = refused.value
    assert (error.severity, error.sqlstate, error.message) == ("FATAL", "28000", "SCRAM channel binding negotiation error")
    assert "channel binding" in error.detail
    assert "channel_binding=disable" in error.hint and 'scram = "auto"' in error.hint
    event = proxy.event("auth_failed")
    assert (event["sqlstate"], *authenticated(event)) == ("28000", "scram-sha-256", "none", "y")


@pytest.mark.parametrize("how", ["sslrequest", "plain"])
def test_passthrough_lets_flag_n_through(start, client, how):
    proxy = start(auth={"scram": "passthrough"})
    client(proxy).negotiate(how).login("scram_user", gs2="n")
    assert authenticated(proxy.event("connected")) == PASSED_ON


def test_passthrough_never_asks_an_old_driver_either(start, client):
    proxy = start(auth={"scram": "passthrough"})
    for count in (1, 2):
        raw = client(proxy).negotiate("sslrequest")
        assert raw.begin_login("scram_user")[0] == SASL
        raw.close()
        proxy.events("auth_failed", count)


def test_passthrough_has_nothing_to_offer_where_the_server_wants_channel_binding(start, client, fake, server_tls):
    proxy = start([fake(offering(server_tls, PLUS)).host], auth={"scram": "passthrough"})
    raw = client(proxy).negotiate("sslrequest")
    raw.send(messages.startup("scram_user"))
    assert raw.fatal().sqlstate == "0A000"


# --- bridge


@pytest.mark.parametrize("how", ["sslrequest", "plain"])
def test_bridge_lets_clients_in_that_know_nothing_of_scram(start, client, how):
    proxy = start(auth={"scram": "bridge"})
    raw = client(proxy).negotiate(how)
    assert raw.login("scram_user").asked == [CLEARTEXT, OK]
    assert raw.query(TLS_UPSTREAM) == [[b"scram_user", b"t"]]
    assert authenticated(proxy.event("connected")) == ASKED_AT_ONCE


def test_bridge_binds_nothing_where_the_server_leg_is_clear(start, client, clear_cluster):
    proxy = start([clear_cluster.host], auth={"scram": "bridge"}, upstream={"sslmode": "disable"})
    client(proxy).negotiate("sslrequest").login("scram_user")
    assert authenticated(proxy.event("connected")) == ("scram-sha-256", "cleartext", None)


@pytest.mark.parametrize("sslmode, flag", [("verify-full", "n"), ("require", "y")])
def test_a_server_that_offers_no_channel_binding(start, client, fake, server_tls, pki, sslmode, flag):
    """Where its certificate was verified nobody can have taken the offer away; otherwise it may notice (RFC 5802, section 6)."""
    server, upstream = ScramServer(SECRET), []

    def script(peer):
        peer.open(server_tls)
        upstream.append(peer.scram(server, PLAIN))
        peer.ready()
        peer.serve()

    client(start([fake(script).host], auth={"scram": "bridge"}, upstream={"sslmode": sslmode})).login("scram_user")
    assert (upstream, server.flag, server.proved) == ([PLAIN], flag, True)


def test_through_two_proxies(start, client):
    """The inner one hides channel binding from the outer one, which cannot be bridged: it has nobody to ask."""
    inner = start()
    for mode in ("auto", "bridge"):
        outer = start([f"127.0.0.1:{inner.port}"], auth={"scram": mode}, upstream={"sslrootcert": [str(client_ca(inner))]})
        client(outer).negotiate("sslrequest").login("scram_user", gs2="n" if mode == "auto" else "y")


@pytest.mark.parametrize("mode", ["auto", "passthrough", "bridge"])
@pytest.mark.parametrize("user, method", [("md5_user", "md5"), ("password_user", "password"), ("trust_user", "cert/trust")])
def test_other_methods_pass_through_in_every_mode(start, client, mode, user, method):
    proxy = start(auth={"scram": mode})
    client(proxy).negotiate("sslrequest").login(user)
    assert authenticated(proxy.event("connected")) == (method, "none", None)


# --- old drivers: who leaves at the offer is asked at once the next time


@pytest.fixture
def leave(client):
    """Goes to the first Authentication request and leaves; gives the request."""
    def go(proxy, *, end="close", count=1, **parameters) -> int:
        raw = client(proxy).negotiate("sslrequest")
        code, _ = raw.begin_login("scram_user", **parameters)
        if end == "Terminate":
            raw.send(messages.TERMINATE)
            end = "close"
        getattr(raw, end)()
        proxy.events("auth_failed", count)
        return code
    return go


@pytest.fixture
def first_request(client):
    def look(proxy, user="scram_user", **parameters) -> int:
        return client(proxy).negotiate("sslrequest").begin_login(user, **parameters)[0]
    return look


@pytest.mark.parametrize("end", ["close", "abort", "Terminate"])
def test_a_driver_that_leaves_at_the_offer_is_asked_for_its_password_from_then_on(start, client, leave, end):
    proxy = start()
    assert leave(proxy, end=end) == SASL
    for _ in range(2):
        raw = client(proxy).negotiate("sslrequest")
        assert raw.login("scram_user").asked == [CLEARTEXT, OK]
        assert raw.query("SELECT 1") == [[b"1"]]
    assert [authenticated(event) for event in proxy.events("connected", 2)] == [ASKED_AT_ONCE] * 2


def test_others_are_not_asked_because_of_it(start, leave, first_request, scram_role):
    proxy = start(listener={"listen": ["127.0.0.1:0", "[::1]:0"]}, listeners=2)
    user = scram_role("Secret-of-another-role")
    leave(proxy, application_name="old")
    assert first_request(proxy, application_name="old") == CLEARTEXT
    assert first_request(proxy, application_name="new") == SASL
    assert first_request(proxy) == SASL
    assert first_request(proxy, user, application_name="old") == SASL
    assert first_request(proxy, database="template1", application_name="old") == SASL
    assert first_request(proxy.addresses[1], application_name="old") == SASL


def test_other_methods_are_not_affected_by_it(start, fake, server_tls, leave, first_request):
    """The same user, for whom the server has come to want something else."""
    requests = [messages.sasl_offer(PLUS, PLAIN), messages.authentication(MD5, b"salt"), messages.authentication(messages.GSS)]

    def script(peer):
        peer.open(server_tls)
        peer.send(requests[server.peers.index(peer)])
        peer.until_closed()

    server = fake(script)
    proxy = start([server.host])
    assert leave(proxy) == SASL
    assert [first_request(proxy), first_request(proxy)] == [MD5, messages.GSS]


@pytest.mark.parametrize("flag", ["n", "y"])
def test_a_client_that_has_spoken_scram_is_not_asked_after_leaving_once(start, client, leave, first_request, flag):
    proxy = start()
    client(proxy).negotiate("sslrequest").login("scram_user", gs2=flag)
    leave(proxy)
    assert first_request(proxy) == SASL


def test_leaving_at_the_early_question_forgets(start, leave):
    """It was for want of a password, not of SCRAM, and SCRAM is offered for some seconds, whatever else leaves meanwhile."""
    proxy = start()
    assert [leave(proxy, count=count) for count in (1, 2, 3, 4)] == [SASL, CLEARTEXT, SASL, SASL]


@pytest.mark.parametrize("spoke_before", [False, True])
def test_a_client_that_cannot_change_to_the_password_is_asked_at_once_the_next_time(start, client, first_request, spoke_before):
    """Such as one that binds the channel only within TLS."""
    proxy = start()
    if spoke_before:
        client(proxy).login("scram_user", gs2="n")
    asked(client(proxy).negotiate("sslrequest")).close()
    proxy.event("auth_failed")
    assert first_request(proxy) == CLEARTEXT


# --- crowds, and the end


def test_bridged_logins_that_are_broken_off_leave_nothing_behind(start, client):
    proxy = start()
    for ending in ("close", "abort"):
        crowd = [asked(client(proxy).negotiate("sslrequest")) for _ in range(20)]
        for raw in crowd:
            raw.send(messages.password(SECRET))
            getattr(raw, ending)()
        until(lambda: proxy.sockets() == 0)
    client(proxy).negotiate("sslrequest").login("scram_user", gs2="y")


@pytest.mark.skipif(programs.sanitized(), reason="a sanitizer's speed says nothing")
def test_200_bridged_logins_do_not_hold_up_a_session(start, client, scram_role):
    """Five times PostgreSQL's iterations, so that the work takes seconds: on the threads of the sessions, nothing else would move."""
    password = "Secret-of-the-crowd-81"
    user, proxy = scram_role(secret(password, iterations=20_480)), start(log={"level": "info"})
    crowd = [asked(client(proxy), user) for _ in range(200)]
    working = client(proxy)
    working.login()
    for raw in crowd:
        raw.send(messages.password(password))
    answers, waiting = 0, crowd
    while waiting := [raw for raw in waiting if raw.is_silent(0)]:
        assert working.query("SELECT 1") == [[b"1"]]
        answers += 1
    assert answers > 10, "it waited for the crowd, or there was none"
    for raw in crowd:
        raw.finish_login(user)


@pytest.fixture
def crowd_in_derivations(start, client, fake, server_tls):
    """A proxy whose derivations each take a good part of a second, few at a time, and clients that wait for them."""
    def make(aborted=0, **runtime):
        server = fake(lying(server_tls, hangs_after_the_challenge, iterations=600_000))
        proxy = start([server.host], runtime=runtime)
        crowd = [asked(client(proxy).negotiate("sslrequest")) for _ in range(CROWD)]
        for raw in crowd:
            raw.send(messages.password(SECRET))
        for raw in crowd[:aborted]:
            raw.abort()
        until(lambda: any(b"r=" in peer.heard for peer in server.peers), what="a challenge")
        proxy.signal(signal.SIGTERM)
        proxy.wait_for_log("draining")
        return proxy, server
    return make


def test_the_end_does_not_wait_for_derivations(crowd_in_derivations):
    """However many threads there are: each has such sessions."""
    proxy, server = crowd_in_derivations(aborted=CROWD // 2, drain_timeout="100ms", threads=5)
    proxy.expect_exit(0)
    assert proofs(server) < CROWD // 2


def test_a_second_signal_in_the_middle_of_derivations_ends_the_program(crowd_in_derivations):
    proxy, server = crowd_in_derivations(aborted=CROWD // 2, drain_timeout="1h")
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    assert proofs(server) < CROWD // 2


def test_logins_that_the_end_broke_off_in_a_derivation_are_recorded(crowd_in_derivations):
    proxy, _ = crowd_in_derivations(drain_timeout="0s")
    proxy.expect_exit(0)
    assert len(proxy.events("rejected", 0, reason="shutting_down")) == CROWD


def proofs(server) -> int:
    """Derivations that came to their end: so many servers were sent a client-final-message."""
    return sum(b",p=" in peer.heard for peer in server.peers)


def test_a_login_that_the_end_broke_off_is_not_the_servers_fault(start, client, fake, server_tls):
    server = fake(lambda peer: (peer.open(server_tls), peer.until_closed()))
    proxy = start([server.host], runtime={"drain_timeout": "0s"})
    client(proxy).send(messages.startup("scram_user"))
    until(lambda: server.peers and server.peers[0].startup)
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    assert [event["event"] for event in proxy.all_events()][2:] == ["rejected"]
    assert "error" not in proxy.log()


# --- fake servers


def offering(server_tls, *offered):
    """Offers SCRAM and then listens."""
    def script(peer):
        peer.open(server_tls)
        peer.send(messages.sasl_offer(*(offered or (PLUS, PLAIN))))
        peer.until_closed()
    return script


def lying(server_tls, lie, **options):
    """SCRAM with channel binding, as far as the client-first-message."""
    def script(peer):
        peer.open(server_tls)
        _, first = peer.sasl(PLUS, PLAIN)
        lie(peer, ScramServer(SECRET, **options), first)
        peer.until_closed()
    return script


def everything_heard(server) -> bytes:
    """Once the proxy has closed."""
    server.close()
    return bytes(server.peers[0].heard)


def messages_heard(peer) -> bytes:
    """What came behind the StartupMessage."""
    return bytes(peer.heard).partition(b"scram_user")[2].partition(b"\0\0")[2]
