"""TLS on the client leg: which certificate is shown, which versions are spoken, which client certificates are asked for."""

import ssl
import time

import pytest

from harness import messages
from harness.config import configuration
from harness.programs import run
from harness.wire import tls_context

TLS13 = ssl.TLSVersion.TLSv1_3
TLS12 = ssl.TLSVersion.TLSv1_2


def shown(raw) -> str:
    """The common name of the certificate that the proxy showed."""
    pem = ssl.DER_cert_to_PEM_cert(raw.tls.getpeercert(binary_form=True))
    return run(["openssl", "x509", "-noout", "-subject"], input=pem).stdout.rpartition("=")[2].strip()


def test_a_verifying_client_accepts_the_certificate(start, client, pki):
    client(start()).negotiate("sslrequest", tls_context(ca=pki.front.cert)).login()


@pytest.mark.parametrize("version, name", [(TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")])
def test_both_current_versions_are_spoken(start, client, version, name):
    raw = client(start()).negotiate("sslrequest", tls_context(minimum=version, maximum=version))
    assert raw.tls.version() == name
    raw.login()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_versions_before_1_2_are_refused_by_default(start, client, version):
    proxy = start()
    raw = client(proxy)
    with pytest.raises((ssl.SSLError, EOFError)):
        raw.negotiate("sslrequest", tls_context(minimum=version, maximum=version, ciphers="ALL:@SECLEVEL=0"))
    assert proxy.event("tls_failed", client_port=raw.port)


@pytest.mark.parametrize("version, name", [(ssl.TLSVersion.TLSv1, "TLSv1"), (ssl.TLSVersion.TLSv1_1, "TLSv1.1")])
def test_legacy_lets_very_old_clients_in_and_the_audit_calls_them_weak(start, client, version, name):
    proxy = start(tls={"legacy": True, "ssl_min_protocol_version": "TLSv1"})
    raw = client(proxy).negotiate("sslrequest", tls_context(minimum=version, maximum=version, ciphers="ALL:@SECLEVEL=0"))
    raw.login()
    event = proxy.event("connected")
    assert (event["version"], event["weak"]) == (name, True)


def test_the_minimum_version_can_be_raised(start, client):
    proxy = start(tls={"ssl_min_protocol_version": "TLSv1.3"})
    with pytest.raises((ssl.SSLError, EOFError)):
        client(proxy).negotiate("sslrequest", tls_context(maximum=TLS12))
    client(proxy).negotiate("sslrequest").login()


def test_the_maximum_version_can_be_lowered(start, client):
    raw = client(start(tls={"ssl_max_protocol_version": "TLSv1.2"})).negotiate("sslrequest")
    assert raw.tls.version() == "TLSv1.2"


def test_configured_ciphers_are_the_ones_used(start, client):
    proxy = start(tls={"ssl_ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305", "ssl_tls13_ciphers": "TLS_CHACHA20_POLY1305_SHA256"})
    for maximum, cipher in ((TLS12, "ECDHE-ECDSA-CHACHA20-POLY1305"), (TLS13, "TLS_CHACHA20_POLY1305_SHA256")):
        raw = client(proxy).negotiate("sslrequest", tls_context(maximum=maximum))
        assert raw.tls.cipher()[0] == cipher


def test_rsa_and_ecdsa_certificates_stand_side_by_side(start, client, pki):
    rsa = pki.leaf(pki.front, "proxy.rsa", ("DNS:localhost",), key="rsa")
    proxy = start(tls={"certificate": [{"cert_file": str(rsa.cert), "key_file": str(rsa.key)}]})
    for ciphers, name in (("ECDHE+aRSA", "proxy.rsa"), ("ECDHE+aECDSA", "proxy.front")):
        raw = client(proxy).negotiate("sslrequest", tls_context(ca=pki.front.cert, maximum=TLS12, ciphers=ciphers))
        assert shown(raw) == name
        raw.login()


def test_the_certificate_is_chosen_by_server_name(start, client, pki):
    tables = []
    for name in ("alpha.test", "beta.test"):
        leaf = pki.leaf(pki.front, name, (f"DNS:{name}",))
        tables.append({"cert_file": str(leaf.cert), "key_file": str(leaf.key), "server_names": [name]})
    proxy = start(tls={"certificate": tables})
    for asked, name in (("alpha.test", "alpha.test"), ("beta.test", "beta.test"), ("BETA.test", "beta.test"),
                        ("gamma.test", "proxy.front"), (None, "proxy.front")):
        raw = client(proxy)
        assert raw.request_tls() == b"S"
        raw.start_tls(name=asked)
        assert shown(raw) == name, asked
        raw.login()
    assert [event["sni"] for event in proxy.events("connected", 5)][:2] == ["alpha.test", "beta.test"]


def test_the_whole_chain_is_sent(start, client, pki):
    """A client that has only the root needs the intermediate from us."""
    middle = pki.authority("Test Middle CA", issuer=pki.front)
    leaf = pki.leaf(middle, "proxy.chain", ("DNS:localhost",))
    proxy = start(tls={"cert_file": str(pki.bundle("chain.crt", leaf, middle)), "key_file": str(leaf.key)})
    client(proxy).negotiate("sslrequest", tls_context(ca=pki.front.cert)).login()


# --- client certificates


@pytest.fixture
def person(pki):
    return pki.leaf(pki.people, "alice.person")


@pytest.fixture
def stranger(pki):
    return pki.leaf(pki.old, "mallory.person")


@pytest.mark.parametrize("maximum", [TLS12, TLS13])
@pytest.mark.parametrize("mode", ["request", "require"])
def test_a_good_client_certificate_is_taken_and_audited(start, client, pki, person, mode, maximum):
    proxy = start(tls={"client_cert": mode, "ca_file": str(pki.people.cert)})
    client(proxy).negotiate("sslrequest", tls_context(certificate=person, maximum=maximum)).login()
    assert "CN=alice.person" in proxy.event("connected")["client_dn"]


def test_request_takes_clients_without_a_certificate(start, client, pki):
    proxy = start(tls={"client_cert": "request", "ca_file": str(pki.people.cert)})
    client(proxy).negotiate("sslrequest").login()
    assert not proxy.event("connected")["client_dn"]


@pytest.mark.parametrize("maximum", [TLS12, TLS13])
@pytest.mark.parametrize("mode, who", [("request", "stranger"), ("require", "stranger"), ("require", None)])
def test_a_client_certificate_that_does_not_verify_is_refused(start, client, pki, stranger, mode, who, maximum):
    proxy = start(tls={"client_cert": mode, "ca_file": str(pki.people.cert)})
    raw = client(proxy)
    with pytest.raises((ssl.SSLError, EOFError)):
        raw.negotiate("sslrequest", tls_context(certificate=stranger if who else None, maximum=maximum))
        raw.login()
    assert proxy.event("tls_failed", client_port=raw.port)
    assert not [event for event in proxy.all_events() if event["event"] == "connected"]


@pytest.mark.parametrize("who, alert", [("stranger", "UNKNOWN_CA"), (None, "CERTIFICATE_REQUIRED")])
def test_a_client_that_speaks_on_is_told_by_an_alert_and_not_by_a_reset(start, client, pki, stranger, who, alert):
    """With TLS 1.3 its part of the handshake is over when the proxy finds fault with it, so more of it may be on the way."""
    proxy = start(tls={"client_cert": "require", "ca_file": str(pki.people.cert)})
    raw = client(proxy).negotiate("sslrequest", tls_context(certificate=stranger if who else None, maximum=TLS13))
    assert proxy.event("tls_failed", client_port=raw.port)
    for _ in range(2):
        time.sleep(0.2)
        raw.send(messages.startup("trust_user"))
    with pytest.raises(ssl.SSLError, match=alert):
        raw.receive(1)


def test_client_certificates_without_a_ca_file_are_a_configuration_error(run_proxy, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host], tls={"client_cert": "require"}), wait=False)
    proxy.expect_exit(2)
    assert "client_cert" in proxy.log()
