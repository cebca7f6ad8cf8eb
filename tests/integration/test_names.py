"""One spelling of a server's name: case, the root's dot, zones of addresses; and the name that is sent (SNI) beside the one that is verified."""

import socket

import psycopg2
import pytest

from harness.config import configuration, to_toml
from harness.fake_upstream import accepting, server_context
from harness.pki import HERE
from harness.programs import pgairlock


def serving(fake, pki, *sans):
    return fake(accepting(server_context(pki.leaf(pki.new, "server.named", sans) if sans else pki.server)))


@pytest.mark.parametrize("san", ["db.internal", "db.internal.", "DB.Internal"])
@pytest.mark.parametrize("asked", ["db.internal", "db.internal.", "DB.Internal."])
def test_a_name_is_the_same_with_and_without_the_root_dot_and_in_any_case(start, fake, connect, pki, san, asked):
    server = serving(fake, pki, f"DNS:{san}")
    connect(start([server.host], upstream={"ssl_server_name": asked}))
    assert server.peers[0].sni == "db.internal"


def test_a_dot_at_the_end_opens_no_other_name(start, fake, connect, pki):
    for san in ("DNS:db.internal.example", "DNS:internal.", "DNS:other.internal."):
        proxy = start([serving(fake, pki, san).host], upstream={"ssl_server_name": "db.internal."})
        with pytest.raises(psycopg2.OperationalError, match="was refused: hostname mismatch"):
            connect(proxy)


def resolves(name):
    try:
        return bool(socket.getaddrinfo(name, 5432))
    except socket.gaierror:
        return False


@pytest.mark.skipif(not resolves("localhost."), reason="nobody translates localhost. here, which is in no file")
def test_a_host_with_the_root_dot_is_resolved_and_verified(start, fake, connect, pki):
    server = serving(fake, pki)
    connect(start([f"localhost.:{server.port}"]))
    assert server.peers[0].sni == "localhost"


@pytest.mark.parametrize("asked", ["127.0.0.1", "::1", "0:0:0:0:0:0:0:1", "::1%lo"])
def test_an_address_is_verified_without_its_zone_and_never_sent(start, fake, connect, pki, asked):
    server = serving(fake, pki)
    connect(start([server.host], upstream={"ssl_server_name": asked}))
    assert server.peers[0].sni is None


def test_an_address_with_a_zone_is_no_other_address(start, fake, connect, pki):
    proxy = start([serving(fake, pki).host], upstream={"ssl_server_name": "fe80::1%lo"})
    with pytest.raises(psycopg2.OperationalError, match="was refused: IP address mismatch"):
        connect(proxy)


@pytest.mark.parametrize("ssl_sni, sent", [("", "localhost"), ("off", None), ("tenant-7.pool.internal", "tenant-7.pool.internal"),
                                           ("Tenant-7.Pool.Internal.", "tenant-7.pool.internal")])
def test_ssl_sni_is_sent_and_the_name_verified_stays(start, fake, connect, pki, ssl_sni, sent):
    server = serving(fake, pki)
    connect(start([f"localhost:{server.port}"], upstream={"ssl_sni": ssl_sni}))
    assert server.peers[0].sni == sent
    other = serving(fake, pki, "DNS:tenant-7.pool.internal")
    with pytest.raises(psycopg2.OperationalError, match="was refused: hostname mismatch"):
        connect(start([f"localhost:{other.port}"], upstream={"ssl_sni": ssl_sni}))


def test_ssl_sni_is_sent_to_an_address_too(start, fake, connect, pki):
    server = serving(fake, pki)
    connect(start([server.host], upstream={"ssl_sni": "db.internal"}))
    assert server.peers[0].sni == "db.internal"


@pytest.mark.parametrize("asked", ["orders.example.com", "orders.example.com.", "ORDERS.Example.Com"])
@pytest.mark.parametrize("configured", ["orders.example.com", "Orders.example.com.", "*.example.com."])
def test_a_client_is_shown_the_certificate_of_its_name_however_it_spells_it(start, client, pki, configured, asked):
    shown = pki.leaf(pki.front, "orders.shown", ("DNS:orders.example.com",))
    certificate = {"cert_file": str(shown.cert), "key_file": str(shown.key), "server_names": [configured]}
    proxy = start(tls={"certificate": [certificate]})
    raw = client(proxy)
    assert raw.request_tls() == b"S"
    raw.start_tls(name=asked)
    raw.login()
    assert proxy.event("connected")["certificate_shown"] == str(shown.cert)


@pytest.mark.parametrize("upstream, key", [({}, "hosts"), ({"ssl_server_name": "bücher.example"}, "ssl_server_name"),
                                           ({"ssl_sni": "Bücher.example"}, "ssl_sni")])
def test_a_name_in_other_letters_is_refused_with_the_name_to_write(directory, pki, upstream, key):
    hosts = ["localhost:1"] if upstream else ["bücher.example:5432"]
    file = directory / "pgairlock.toml"
    file.write_text(to_toml(configuration(pki, hosts, upstream=upstream)))
    done = pgairlock("check", "--offline", "--config", file)
    assert done.returncode == 2
    assert f"upstream.orders.{key}: " in done.stderr and '; write "xn--bcher-kva.example"' in done.stderr
