"""Certificates that were revoked: upstream.sslcrl and listener.tls.ssl_crl_file."""

import os
import ssl

import psycopg2
import pytest

from harness.config import configuration, to_toml
from harness.fake_upstream import accepting, server_context
from harness.pki import HERE
from harness.programs import pgairlock
from harness.wire import tls_context


@pytest.fixture
def crl(pki, directory):
    """Writes the CRL of an authority as an operator's tools do: beside, then renamed. Gives its path."""
    def write(issuer, *revoked) -> str:
        os.rename(pki.revocations(issuer, *revoked), directory / f"{issuer.name.replace(' ', '-')}.crl")
        return str(directory / f"{issuer.name.replace(' ', '-')}.crl")
    return write


def test_a_revoked_server_certificate_is_refused_until_the_crl_says_otherwise(start, fake, connect, pki, crl):
    leaf = pki.leaf(pki.new, "server.revoked", HERE)
    server = fake(accepting(server_context(leaf)))
    path = crl(pki.new, leaf)
    proxy = start([server.host], upstream={"sslcrl": path})
    with pytest.raises(psycopg2.OperationalError, match="was refused: certificate revoked") as refused:
        connect(proxy)
    assert f"CRLs: {path}" in str(refused.value)
    assert proxy.event("upstream_failed")["verify_error"] == "certificate revoked"
    crl(pki.new)
    proxy.event("reloaded")
    connect(proxy)


def test_an_authority_without_a_crl_is_refused(start, fake, connect, pki, crl):
    server = fake(accepting(server_context(pki.server)))
    proxy = start([server.host], upstream={"sslcrl": crl(pki.old)})
    with pytest.raises(psycopg2.OperationalError, match="unable to get certificate CRL(?s:.*)every certificate authority of the chain needs"):
        connect(proxy)


def test_the_rehearsal_of_a_rotation_wants_a_crl_of_the_candidate(start, fake, connect, pki, crl):
    """As the rotation itself would: of the old chain there is one, of the new one there is none."""
    both = pki.bundle("old-and-new.crt", pki.old, pki.new)
    for issuer in (pki.old, pki.new):
        server = fake(accepting(server_context(pki.leaf(issuer, "server.rehearsed", HERE))))
        proxy = start([server.host], upstream={"sslrootcert": [str(issuer.cert)], "sslrootcert_candidate": [str(both)],
                                               "sslcrl": crl(issuer)})
        connect(proxy)
        assert proxy.event("connected")["candidate_ok"] is True


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_revoked_client_certificate_is_refused_until_the_crl_says_otherwise(start, client, pki, crl, maximum):
    alice, bob = pki.leaf(pki.people, "alice.person"), pki.leaf(pki.people, "bob.person")
    tls = {"client_cert": "require", "ca_file": str(pki.people.cert), "ssl_crl_file": crl(pki.people, alice)}
    proxy = start(tls=tls)
    client(proxy).negotiate("sslrequest", tls_context(certificate=bob, maximum=maximum)).login()
    raw = client(proxy)
    with pytest.raises((ssl.SSLError, EOFError)):
        raw.negotiate("sslrequest", tls_context(certificate=alice, maximum=maximum))
        raw.login()
    assert "revoked" in proxy.event("tls_failed", client_port=raw.port)["error"]
    crl(pki.people)
    proxy.event("reloaded")
    client(proxy).negotiate("sslrequest", tls_context(certificate=alice, maximum=maximum)).login()


@pytest.mark.parametrize("content, said", [
    (b"", 'CRL file "{path}" holds no CRL in PEM format'), (None, 'cannot read "{path}"'),
    (b"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n", 'CRL file "{path}" line 1: CRL 1 of the file is broken')])
def test_a_file_without_a_crl_is_a_configuration_error(pki, directory, content, said):
    path = directory / "some.crl"
    if content is not None:
        path.write_bytes(content)
    file = directory / "pgairlock.toml"
    file.write_text(to_toml(configuration(pki, ["localhost:1"], upstream={"sslcrl": str(path)})))
    done = pgairlock("check", "--offline", "--config", file)
    assert done.returncode == 2 and said.format(path=path) in done.stderr
