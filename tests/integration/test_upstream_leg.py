"""The upstream leg's verification: six sslmodes with libpq's meaning, and what the client is told when the server's certificate fails."""

import re
import ssl

import pytest

from harness import programs
from harness.fake_upstream import accepting, server_context
from harness.messages import ErrorResponse
from harness.pki import HERE
from harness.waiting import until


def refusal(client, proxy, user="trust_user", how="plain") -> ErrorResponse:
    raw = client(proxy).negotiate(how)
    with pytest.raises(ErrorResponse) as refused:
        raw.login(user)
    raw.expect_closed()
    assert refused.value.severity == "FATAL"
    return refused.value


def ssl_in_use(raw) -> bool:
    return raw.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [[b"t"]]


# --- the six levels before a real server


@pytest.mark.parametrize("sslmode, user, encrypted", [
    ("disable", "clear_user", False),
    ("allow", "clear_user", False),
    ("allow", "tls_user", True),
    ("prefer", "tls_user", True),
    ("prefer", "clear_user", False),
    ("require", "tls_user", True),
    ("verify-ca", "tls_user", True),
    ("verify-full", "tls_user", True),
])
@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_each_sslmode_encrypts_as_libpq_does(start, client, sslmode, user, encrypted, how):
    rootcert = {} if sslmode.startswith("verify") else {"sslrootcert": None}
    proxy = start(upstream={"sslmode": sslmode, **rootcert})
    raw = client(proxy).negotiate(how)
    raw.login(user)
    assert ssl_in_use(raw) == encrypted
    event = proxy.event("connected")
    assert (event["upstream_ssl"], event["upstream_sslmode"]) == (encrypted, sslmode)


@pytest.mark.parametrize("sslmode, user", [("disable", "tls_user"), ("require", "clear_user"), ("verify-ca", "clear_user"),
                                           ("verify-full", "clear_user")])
def test_no_sslmode_does_what_it_must_not(start, client, sslmode, user):
    error = refusal(client, start(upstream={"sslmode": sslmode}), user)
    assert error.sqlstate == "28000"
    assert "no pg_hba.conf entry" in error.message


@pytest.mark.parametrize("sslmode, works", [("disable", True), ("allow", True), ("prefer", True), ("require", False), ("verify-ca", False),
                                            ("verify-full", False)])
def test_a_server_without_tls_is_used_only_where_the_sslmode_allows(start, client, clear_cluster, sslmode, works):
    proxy = start([clear_cluster.host], upstream={"sslmode": sslmode})
    if works:
        client(proxy).login()
        assert proxy.event("connected")["upstream_ssl"] is False
    else:
        assert refusal(client, proxy).sqlstate == "57P03"
        assert proxy.event("upstream_failed")


@pytest.mark.parametrize("sslmode, opening", [
    ("disable", ["StartupMessage"]),
    ("allow", ["StartupMessage"]),
    ("prefer", ["SSLRequest", "tls", "StartupMessage"]),
    ("require", ["SSLRequest", "tls", "StartupMessage"]),
    ("verify-ca", ["SSLRequest", "tls", "StartupMessage"]),
    ("verify-full", ["SSLRequest", "tls", "StartupMessage"]),
])
def test_each_sslmode_opens_as_libpq_does(start, client, fake, pki, sslmode, opening):
    server = fake(accepting(server_context(pki.server)))
    client(start([server.host], upstream={"sslmode": sslmode})).login()
    assert [peer.opening for peer in server.peers] == [opening]


# --- what each level makes of a certificate


@pytest.fixture(scope="module")
def leaves(pki):
    return {
        "good": pki.server,
        "wrong name": pki.leaf(pki.new, "server.elsewhere", ("DNS:elsewhere.test", "IP:192.0.2.1")),
        "no name": pki.leaf(pki.new, "server.nameless"),
        "unknown CA": pki.leaf(pki.old, "server.old", HERE),
        "expired": pki.leaf(pki.new, "server.expired", HERE, days=(-20, -10)),
        "not yet valid": pki.leaf(pki.new, "server.future", HERE, days=(10, 20)),
    }


REFUSED_BY = {
    "good": (),
    "wrong name": ("verify-full",),
    "no name": ("verify-full",),
    "unknown CA": ("verify-ca", "verify-full"),
    "expired": ("verify-ca", "verify-full"),
    "not yet valid": ("verify-ca", "verify-full"),
}


@pytest.mark.parametrize("leaf", REFUSED_BY)
@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_each_sslmode_verifies_as_libpq_does(start, client, fake, pki, leaves, sslmode, leaf):
    server = fake(accepting(server_context(leaves[leaf])))
    rootcert = None if sslmode == "require" else [str(pki.new.cert)]
    proxy = start([server.host], upstream={"sslmode": sslmode, "sslrootcert": rootcert})
    if sslmode in REFUSED_BY[leaf]:
        assert refusal(client, proxy).sqlstate == "57P03"
        assert not server.peers[0].startup, "the StartupMessage went to an unverified server"
    else:
        client(proxy).login()


def test_require_with_a_root_certificate_verifies_the_chain_as_libpq_does(start, client, fake, leaves):
    """libpq: "if a root CA file exists, the behavior of sslmode=require will be the same as that of verify-ca"."""
    server = fake(accepting(server_context(leaves["unknown CA"])))
    assert refusal(client, start([server.host], upstream={"sslmode": "require"})).sqlstate == "57P03"
    server = fake(accepting(server_context(leaves["wrong name"])))
    client(start([server.host], upstream={"sslmode": "require"})).login()


@pytest.mark.parametrize("leaf, check", [
    ("wrong name", r"name|host"),
    ("no name", r"name|host"),
    ("unknown CA", r"issuer|self-signed|trust|chain"),
    ("expired", r"expired"),
    ("not yet valid", r"not yet valid"),
])
@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_a_refused_certificate_is_explained_to_the_client(start, client, fake, pki, leaves, leaf, check, how):
    shown = leaves[leaf]
    server = fake(accepting(server_context(shown)))
    proxy = start([server.host])
    error = refusal(client, proxy, how=how)
    assert error.sqlstate == "57P03"
    text = f"{error.message}\n{error.detail}"
    assert re.search(check, text, re.IGNORECASE), text
    for fact in (str(pki.new.cert), shown.name, shown.issuer, f"{shown.not_after:%Y-%m-%d}"):
        assert fact in error.detail, f"{fact} is missing: {error.detail}"
    event = proxy.event("upstream_failed")
    assert (event["sqlstate"], event["upstream_addr"]) == ("57P03", server.host)
    assert event["verify_error"]


@pytest.mark.parametrize("names, asked, matches", [
    (("DNS:*.test.internal",), "db.test.internal", True),
    (("DNS:*.test.internal",), "DB.Test.INTERNAL", True),
    (("DNS:*.test.internal",), "a.b.test.internal", False),
    (("DNS:*.test.internal",), "test.internal", False),
    (("DNS:one.test", "DNS:two.test"), "two.test", True),
    (("DNS:db.test.internal",), "db.test.internal.evil.test", False),
])
def test_names_match_as_in_rfc_6125(start, client, fake, pki, names, asked, matches):
    server = fake(accepting(server_context(pki.leaf(pki.new, "server.named", names))))
    proxy = start([server.host], upstream={"ssl_server_name": asked})
    if matches:
        client(proxy).login()
        assert server.peers[0].sni.lower() == asked.lower()
    else:
        assert refusal(client, proxy).sqlstate == "57P03"


def test_ssl_server_name_is_verified_instead_of_the_host(start, client, fake, pki):
    """The leaf is good for localhost, which is what we connect to, and not for the name that was asked for."""
    server = fake(accepting(server_context(pki.server)))
    assert refusal(client, start([server.host], upstream={"ssl_server_name": "db.test.internal"})).sqlstate == "57P03"


def test_sni_is_the_host_name_and_never_an_address(start, client, fake, pki):
    server = fake(accepting(server_context(pki.server)))
    client(start([f"localhost:{server.port}"])).login()
    client(start([f"127.0.0.1:{server.port}"])).login()
    assert [peer.sni for peer in server.peers] == ["localhost", None]


def test_an_ip_address_in_a_dns_san_does_not_verify(start, client, fake, pki):
    server = fake(accepting(server_context(pki.leaf(pki.new, "server.ip-as-dns", ("DNS:127.0.0.1",)))))
    assert refusal(client, start([server.host])).sqlstate == "57P03"


# --- trust anchors


def test_verify_full_without_a_root_certificate_means_the_system_store(start, client):
    assert refusal(client, start(upstream={"sslrootcert": None})).sqlstate == "57P03"


def test_several_root_files_are_a_union(start, client, fake, pki, leaves):
    for leaf in ("good", "unknown CA"):
        server = fake(accepting(server_context(leaves[leaf])))
        client(start([server.host], upstream={"sslrootcert": [str(pki.old.cert), str(pki.new.cert)]})).login()


def test_an_expired_root_in_a_bundle_is_only_a_warning(start, client, pki):
    expired = pki.authority("Test Expired CA", days=(-100, -10))
    proxy = start(upstream={"sslrootcert": [str(pki.bundle("with-expired.pem", expired, pki.new))]})
    client(proxy).login()
    proxy.wait_for_log("expired")


def test_the_bundle_of_rds_can_stand_beside_ours(start, client, pki):
    bundle = programs.REPOSITORY.parent / "shared/data/rds-global-bundle.pem"
    if not bundle.exists():
        pytest.skip(f"no {bundle}")
    client(start(upstream={"sslrootcert": [str(bundle), str(pki.new.cert)]})).login()


def test_a_chain_through_an_intermediate_verifies(start, client, fake, pki):
    middle = pki.authority("Test Upstream Middle CA", issuer=pki.new)
    leaf = pki.leaf(middle, "server.chain", HERE)
    chained = type(leaf)(leaf.name, pki.bundle("upstream-chain.crt", leaf, middle), leaf.key, leaf.issuer, leaf.not_after)
    proxy = start([fake(accepting(server_context(chained))).host])
    client(proxy).login()
    event = proxy.event("connected")
    assert "Test Upstream Middle CA" in event["upstream_issuer"]
    assert "Test New CA" in event["upstream_anchor"]


def test_a_leaf_cannot_issue_certificates(start, client, fake, pki):
    leaf = pki.leaf(pki.server, "server.by-leaf", HERE)
    chained = type(leaf)(leaf.name, pki.bundle("by-leaf.crt", leaf, pki.server), leaf.key, leaf.issuer, leaf.not_after)
    assert refusal(client, start([fake(accepting(server_context(chained))).host])).sqlstate == "57P03"


# --- our certificate


def test_the_client_certificate_is_shown_to_the_server(start, client, pki):
    person = pki.leaf(pki.people, "cert_user")
    proxy = start(upstream={"sslcert": str(person.cert), "sslkey": str(person.key)})
    raw = client(proxy)
    raw.login("cert_user")
    assert raw.query("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [[b"/CN=cert_user"]]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("flaw, alert, hint", [("strange", r"unknown_ca \(48\)", "an authority that the server trusts"),
                                               ("expired", r"certificate_expired \(45\)", "Renew the client certificate")])
def test_a_server_that_refuses_our_certificate_is_told_of_with_its_file(start, client, fake, pki, version, flaw, alert, hint):
    """With TLS 1.3 after our handshake."""
    person = pki.leaf(pki.old, "cert_user") if flaw == "strange" else pki.leaf(pki.people, "cert_user", days=(-20, -10))
    server = fake(accepting(server_context(pki.server, client_ca=pki.people.cert, maximum=version)))
    proxy = start([server.host], upstream={"sslcert": str(person.cert), "sslkey": str(person.key)})
    error = refusal(client, proxy)
    assert re.search(alert, error.message), error.message
    assert f"The server refuses the client certificate {person.cert} (sslcert)." in error.detail and hint in error.hint
    until(lambda: f"{person.cert} (sslcert)" in proxy.log() and hint in proxy.log(), what="the log's line")
    assert (f"certificate {person.cert} has expired" in proxy.log()) is (flaw == "expired")


def test_a_server_that_wants_a_certificate_where_none_is_set(start, client, fake, pki):
    proxy = start([fake(accepting(server_context(pki.server, client_ca=pki.people.cert))).host])
    error = refusal(client, proxy)
    assert "certificate_required (116)" in error.message and error.hint == "Set sslcert and sslkey."


def test_without_it_the_servers_refusal_reaches_the_client(start, client):
    assert refusal(client, start(), "cert_user").sqlstate == "28000"


# --- direct TLS towards the server


def test_direct_negotiation_skips_sslrequest_and_offers_alpn(start, client, fake, pki):
    context = server_context(pki.server, alpn=["postgresql"])

    def script(peer):
        peer.start_tls(context)
        assert peer.sock.selected_alpn_protocol() == "postgresql"
        peer.packet()
        peer.ready()
        peer.serve()

    server = fake(script)
    client(start([server.host], upstream={"sslnegotiation": "direct"})).login()
    assert server.peers[0].opening == ["tls", "StartupMessage"]


def test_direct_negotiation_insists_on_the_servers_alpn(start, client, fake, pki):
    """ALPACA: a TLS server of another protocol must not be taken for PostgreSQL."""
    context = server_context(pki.server)

    def script(peer):
        peer.start_tls(context)
        peer.packet()
        peer.ready()
        peer.serve()

    assert refusal(client, start([fake(script).host], upstream={"sslnegotiation": "direct"})).sqlstate == "57P03"


@pytest.mark.skipif(programs.postgres_version() < 17, reason="direct TLS came with PostgreSQL 17")
def test_direct_negotiation_with_postgresql(start, client):
    client(start(upstream={"sslnegotiation": "direct"})).login("tls_user")


# --- versions


def test_the_versions_towards_the_server_can_be_bounded(start, client):
    for key, value, version in (("ssl_max_protocol_version", "TLSv1.2", "TLSv1.2"), ("ssl_min_protocol_version", "TLSv1.3", "TLSv1.3")):
        proxy = start(upstream={key: value})
        client(proxy).login()
        assert proxy.event("connected")["upstream_version"] == version


def test_old_versions_are_refused_towards_the_server(start, client, fake, pki):
    context = server_context(pki.server)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    assert refusal(client, start([fake(accepting(context)).host])).sqlstate == "57P03"


@pytest.mark.parametrize("groups, count", [(None, 1), ("X25519:P-256", 2)])
def test_p_256_is_offered_first(start, client, fake, pki, groups, count):
    """PostgreSQL's own curve: any other first key share costs a HelloRetryRequest, which is a second ClientHello."""
    hellos = []
    context = server_context(pki.server)
    context._msg_callback = lambda _conn, direction, _version, content, kind, _data: (
        hellos.append(1) if direction == "read" and getattr(kind, "name", "") == "CLIENT_HELLO" else None)
    context.set_ecdh_curve("prime256v1")
    client(start([fake(accepting(context)).host], upstream={"ssl_groups": groups})).login()
    assert len(hellos) == count
