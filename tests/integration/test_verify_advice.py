"""What is said of a server's certificate that is refused: a server for each kind of fault, the proxy's words, and libpq's beside them.

The proxy's REASON is OpenSSL's; cause and hint are the table of tls/verify_advice.cpp, which docs/troubleshooting.md shows.
"""

import dataclasses
import json
import os
import re
import ssl

import psycopg2
import pytest

from harness.config import configuration, to_toml
from harness.fake_upstream import accepting
from harness.pki import HERE
from harness.programs import pgairlock
from harness.waiting import until

CA = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\n"
LEAF = "basicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth\n"
NAMES = f"subjectAltName = {','.join(HERE)}\n"
KEY_ID = "authorityKeyIdentifier = keyid:always\n"
NO_KEY_ID = "authorityKeyIdentifier = none\n"
VERIFY_FAILED = "certificate verify failed"
CONNECTS = None


@dataclasses.dataclass
class Kind:
    """A server's fault: the certificate with the chain that is sent, and what is said of it."""

    certificate: object
    reason: str
    cause: str
    hint: str
    sent: tuple = ()
    libpq: str | None = VERIFY_FAILED
    host: str = "localhost"


def make_kinds(pki) -> dict[str, Kind]:
    root, other = pki.new, pki.authority("Test Unknown CA")
    intermediate = pki.authority("Test Intermediate", issuer=root)
    stale = pki.authority("Test Stale Intermediate", issuer=root, days=(-30, -2))
    dead = pki.dead_root
    constrained = pki.odd(root, "Test Constrained CA", CA + "nameConstraints = critical, permitted;DNS:internal.example\n")
    shallow = pki.odd(root, "Test Shallow CA", CA.replace("CA:TRUE", "CA:TRUE, pathlen:0"))
    below = pki.odd(shallow, "Test Deep CA", CA)
    client_ca = pki.odd(root, "Test Client CA", CA + "extendedKeyUsage = clientAuth\n")
    weak_ca = pki.odd(root, "Test Weak CA", CA, key="weak")
    no_ca = pki.leaf(root, "test.no.authority", HERE)
    namesake = pki.odd(None, root.name, CA)
    lone = pki.odd(None, "server.selfsigned", LEAF + NAMES)
    missing = 'unable to get local issuer certificate'
    return {
        "not yet valid": Kind(pki.leaf(root, "server.early", HERE, days=(5, 400)), "certificate is not yet valid",
                              r'"CN=server.early" is valid from 20\d\d-.*Z, and this host\'s clock says 20\d\d-', "Look at the clock"),
        "expired": Kind(pki.leaf(root, "server.late", HERE, days=(-20, -10)), "certificate has expired",
                        r"The server's certificate expired at 20\d\d-.*clock says", "Renew the server's certificate"),
        "intermediate expired": Kind(pki.leaf(stale, "server.x", HERE), "certificate has expired",
                                     '"CN=Test Stale Intermediate", which the server sent', "in place of the expired", sent=(stale,)),
        "anchor expired": Kind(pki.leaf(dead, "server.x", HERE), "certificate has expired",
                               r'"CN=Test Dead CA" of \S+ expired at .*own certificate is not what is wrong', "authority's present certificate"),
        "anchor expired, and sent": Kind(pki.leaf(dead, "server.x", HERE), "certificate has expired",
                                         r'"CN=Test Dead CA" of \S+ expired at', "authority's present certificate", sent=(dead,)),
        "unknown authority, or an intermediate that was not sent": Kind(
            pki.leaf(intermediate, "server.x", HERE), missing,
            'The server sent its certificate alone, and "CN=Test Intermediate"', "is a root, add .* is an intermediate, the server should send"),
        "an intermediate below is missing": Kind(
            pki.leaf(pki.authority("Test Lower", issuer=intermediate), "server.x", HERE), missing,
            'The server sent "CN=server.x", "CN=Test Constrained CA"; "CN=Test Lower", which issued "CN=server.x"',
            "another intermediate", sent=(constrained,)),
        "unknown root, which is sent": Kind(pki.leaf(other, "server.x", HERE), "self-signed certificate in certificate chain",
                                            'ends at the root "CN=Test Unknown CA"', "not from this connection", sent=(other,)),
        "self-signed": Kind(lone, "self-signed certificate", "issued by no authority but itself, and is not in", "compare SHA-256 [0-9a-f]{64} "),
        "same name, other key": Kind(pki.odd(namesake, "server.x", LEAF + NAMES + NO_KEY_ID), "certificate signature failure",
                                     f'"CN={root.name}" is in \\S+, but with another key', "made anew", libpq="EVP lib|signature failure"),
        "same name, other key, with key identifiers": Kind(pki.odd(namesake, "server.x", LEAF + NAMES + KEY_ID), missing,
                                                           f'"CN={root.name}" is in \\S+, but with another key', "made anew"),
        "same name, other key, sent": Kind(pki.odd(namesake, "server.x", LEAF + NAMES + KEY_ID), "self-signed certificate in certificate chain",
                                           f'"CN={root.name}" is in \\S+, but with another key', "made anew", sent=(namesake,)),
        "issuer is no authority": Kind(pki.leaf(no_ca, "server.x", HERE), "invalid CA certificate",
                                       '"CN=test.no.authority" has issued a certificate', "CA:TRUE", sent=(no_ca,)),
        "path length": Kind(pki.leaf(below, "server.x", HERE), "path length constraint exceeded",
                            '"CN=Test Shallow CA" does not permit', "pathlen", sent=(below, shallow)),
        "for clients": Kind(pki.odd(root, "server.x", LEAF.replace("serverAuth", "clientAuth") + NAMES), "unsuitable certificate purpose",
                            "is not for servers", "serverAuth"),
        "of an authority for clients": Kind(pki.leaf(client_ca, "server.x", HERE), "unsuitable certificate purpose",
                                            '"CN=Test Client CA" may not issue certificates for servers', "another authority", sent=(client_ca,)),
        "name constraint": Kind(pki.leaf(constrained, "server.x", HERE), "permitted subtree violation",
                                'not issue certificates for every name of "CN=server.x": DNS:localhost', "name constraints", sent=(constrained,)),
        "weak key": Kind(pki.leaf(root, "server.x", HERE, key="weak"), "EE certificate key too weak",
                         r"certificate \(RSA, 1024 bits\) is too weak for OpenSSL's security level 2", "SECLEVEL=1"),
        "weak key of the authority": Kind(pki.leaf(weak_ca, "server.x", HERE), "CA certificate key too weak",
                                          r'"CN=Test Weak CA" \(RSA, 1024 bits\) is too weak', "SECLEVEL=1", sent=(weak_ca,)),
        "weak signature": Kind(pki.leaf(root, "server.x", HERE, signature=("-md", "sha1")), "CA signature digest algorithm too weak",
                               '"CN=server.x" is signed with ecdsa-with-SHA1, which is too weak', "SHA-256"),
        "common name alone": Kind(pki.odd(root, "localhost", LEAF), "hostname mismatch",
                                  'common name "localhost" and no subjectAltName', 'subjectAltName "localhost"', libpq=CONNECTS),
        "another name": Kind(pki.leaf(root, "server.x", ("DNS:db.example.com",)), "hostname mismatch",
                             'not for "localhost", but for DNS:db.example.com', "set ssl_server_name", libpq="does not match host name"),
        "another address": Kind(pki.leaf(root, "server.x", ("DNS:db.example.com", "IP:10.0.0.1")), "IP address mismatch",
                                'not for the address "127.0.0.1", but for DNS:db.example.com, IP:10.0.0.1', "set ssl_server_name",
                                libpq="does not match host name", host="127.0.0.1"),
    }


NAMES_OF_KINDS = (
    "not yet valid", "expired", "intermediate expired", "anchor expired", "anchor expired, and sent",
    "unknown authority, or an intermediate that was not sent", "an intermediate below is missing", "unknown root, which is sent",
    "self-signed", "same name, other key", "same name, other key, with key identifiers", "same name, other key, sent",
    "issuer is no authority", "path length", "for clients", "of an authority for clients", "name constraint", "weak key",
    "weak key of the authority", "weak signature", "common name alone", "another name", "another address",
)


@pytest.fixture(scope="module")
def kinds(pki):
    pki.dead_root = pki.authority("Test Dead CA", days=(-900, -2))
    made = make_kinds(pki)
    assert tuple(made) == NAMES_OF_KINDS
    return made


@pytest.fixture(scope="module")
def anchors(pki, kinds):
    return pki.bundle("advice-anchors.crt", pki.new, pki.dead_root)


def weak_server(pki, certificate, *sent) -> ssl.SSLContext:
    """A server that has no opinion about what it shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    chain = pki.bundle(f"chain-{len(list(pki.directory.glob('chain-*')))}.crt", certificate, *sent)
    context.load_cert_chain(chain, certificate.key)
    return context


def refused(connect, proxy) -> str:
    with pytest.raises(psycopg2.OperationalError) as error:
        connect(proxy)
    return str(error.value)


@pytest.mark.parametrize("name", NAMES_OF_KINDS)
def test_each_kind_of_refused_certificate_has_its_own_cause_and_hint(start, fake, connect, pki, kinds, anchors, directory, name):
    kind = kinds[name]
    server = fake(accepting(weak_server(pki, kind.certificate, *kind.sent)))
    host = f"{kind.host}:{server.port}"
    proxy = start([host], upstream={"sslrootcert": [str(anchors)]})
    text = refused(connect, proxy)
    assert re.search(rf'was refused: {kind.reason}\nDETAIL:  .*{kind.cause}', text), text
    assert re.search(rf"\nHINT:  .*{kind.hint}", text), text
    assert "Sent: " + ", ".join(f'"CN={one.name}"' for one in (kind.certificate, *kind.sent)) + ". Verified against: " in text
    assert proxy.event("upstream_failed")["verify_error"] == kind.reason
    # The log says the same.
    until(lambda: re.search(rf"{kind.cause}.* Hint: .*{kind.hint}", proxy.log()), what="the log's line")
    # So does check, in text and as JSON.
    file = directory / "check.toml"
    file.write_text(to_toml(configuration(pki, [host], upstream={"sslrootcert": [str(anchors)]})))
    done = pgairlock("check", "--config", file)
    assert done.returncode == 1
    assert re.search(rf"cause: .*{kind.cause}", done.stdout) and re.search(rf"hint: .*{kind.hint}", done.stdout), done.stdout
    verdict = json.loads(pgairlock("check", "--json", "--config", file).stdout)["upstreams"][-1]["ca_files"][0]
    assert re.search(kind.cause, verdict["cause"]) and re.search(kind.hint, verdict["hint"])


@pytest.mark.parametrize("name", NAMES_OF_KINDS)
def test_libpq_refuses_the_same_certificates(fake, connect, pki, kinds, anchors, name):
    """All but one: it looks at the common name where there is no subjectAltName."""
    kind = kinds[name]
    server = fake(accepting(weak_server(pki, kind.certificate, *kind.sent)))
    options = {"sslmode": "verify-full", "sslrootcert": str(anchors), "host": kind.host, "hostaddr": "127.0.0.1"}
    if kind.libpq is CONNECTS:
        connect(("127.0.0.1", server.port), **options)
    else:
        with pytest.raises(psycopg2.OperationalError, match=kind.libpq):
            connect(("127.0.0.1", server.port), **options)


@pytest.mark.parametrize("name", ["weak key", "weak key of the authority"])
def test_what_the_hint_for_weak_keys_says_works(start, fake, connect, pki, kinds, anchors, name):
    kind = kinds[name]
    server = fake(accepting(weak_server(pki, kind.certificate, *kind.sent)))
    connect(start([f"localhost:{server.port}"], upstream={"sslrootcert": [str(anchors)], "ssl_ciphers": "DEFAULT:@SECLEVEL=1"}))


def test_a_good_certificate_with_its_intermediate_is_taken(start, fake, connect, pki, anchors):
    intermediate = pki.authority("Test Good Intermediate", issuer=pki.new)
    server = fake(accepting(weak_server(pki, pki.leaf(intermediate, "server.good", HERE), intermediate)))
    connect(start([f"localhost:{server.port}"], upstream={"sslrootcert": [str(anchors)]}))


def test_an_intermediate_alone_in_sslrootcert_is_told_apart_from_an_unknown_one(start, fake, connect, pki):
    intermediate = pki.authority("Test Lonely Intermediate", issuer=pki.new)
    server = fake(accepting(weak_server(pki, pki.leaf(intermediate, "server.x", HERE))))
    proxy = start([f"localhost:{server.port}"], upstream={"sslrootcert": [str(intermediate.cert)]})
    text = refused(connect, proxy)
    assert re.search(r'"CN=Test Lonely Intermediate" of \S+ is an intermediate, and "CN=Test New CA", which issued it, is missing', text), text


def test_a_self_signed_certificate_that_was_made_anew_is_told_apart_from_a_strange_one(start, fake, connect, pki):
    before, now = (pki.odd(None, "server.snakeoil", LEAF + NAMES) for _ in range(2))
    proxy = start([f"localhost:{fake(accepting(weak_server(pki, now))).port}"], upstream={"sslrootcert": [str(before.cert)]})
    assert "with another key: the server's was made anew" in refused(connect, proxy)


def test_a_revoked_certificate_names_who_revoked_it(start, fake, connect, pki, directory):
    leaf = pki.leaf(pki.new, "server.taken.back", HERE)
    crl = directory / "new.crl"
    os.rename(pki.revocations(pki.new, leaf), crl)
    server = fake(accepting(weak_server(pki, leaf)))
    text = refused(connect, start([f"localhost:{server.port}"], upstream={"sslcrl": str(crl)}))
    assert '"CN=Test New CA" has revoked "CN=server.taken.back"' in text
    assert "HINT:  Its authority has taken the certificate back" in text


def refusing_unknown_names(context):
    """As PostgreSQL 19 with pg_hosts.conf."""
    def script(peer):
        assert peer.packet() == "SSLRequest"
        peer.send(b"S")
        context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context.wrap_socket(peer.sock, server_side=True)
    return script


@pytest.mark.parametrize("host, cause, hint", [
    ("localhost", 'The server has no certificate for the name "localhost" that it was sent (SNI).', "HINT:  Send a name that the server knows"),
    ("127.0.0.1", "The server wants a name (SNI), and none was sent.", "HINT:  Connect by a name that the server knows"),
])
def test_a_name_that_the_server_refuses_by_alert_has_its_own_sentence(start, fake, connect, pki, directory, host, cause, hint):
    server = fake(refusing_unknown_names(weak_server(pki, pki.server)))
    proxy = start([f"{host}:{server.port}"])
    text = refused(connect, proxy)
    assert "alert unrecognized_name (112)" in text and cause in text and hint in text
    until(lambda: cause in proxy.log(), what="the log's line")
    file = directory / "check.toml"
    file.write_text(to_toml(configuration(pki, [f"{host}:{server.port}"])))
    assert cause in pgairlock("check", "--config", file).stdout
