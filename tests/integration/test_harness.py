"""The tests' own tools against PostgreSQL itself: a failure here is no failure of the proxy."""

import pytest

from harness import programs, secrets
from harness.cluster import PASSWORDS
from harness.fake_upstream import accepting, server_context
from harness.messages import ErrorResponse
from harness.scram import PLAIN, PLUS, ScramServer, end_point
from harness.wire import tls_context


@pytest.mark.parametrize("chunk", [None, 1])
@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("user", ["trust_user", "md5_user", "password_user", "scram_user"])
def test_the_raw_client_logs_in_to_postgresql(cluster, client, user, how, chunk):
    raw = client(cluster, chunk=chunk).negotiate(how)
    login = raw.login(user)
    assert raw.query("SELECT pg_backend_pid()") == [[str(login.backend_pid).encode()]]


@pytest.mark.skipif(programs.postgres_version() < 17, reason="direct TLS came with PostgreSQL 17")
def test_the_raw_client_speaks_direct_tls_to_postgresql(cluster, client):
    client(cluster).negotiate("direct").login()


def test_postgresql_refuses_flag_y_when_it_offers_channel_binding(cluster, client):
    """The reason for taking SCRAM-SHA-256-PLUS off the list: the server takes flag y for a downgrade attack."""
    with pytest.raises(ErrorResponse) as refused:
        client(cluster).negotiate("sslrequest").login("scram_user", gs2="y")
    assert refused.value.sqlstate == "28000"


def test_the_raw_client_binds_the_channel_to_postgresql(cluster, client):
    assert client(cluster).negotiate("sslrequest").login("scram_user", gs2="p").mechanisms == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
    wrong = client(cluster).negotiate("sslrequest")
    wrong.binding = b"x" * 32
    with pytest.raises(ErrorResponse, match="SCRAM channel binding check failed"):
        wrong.login("scram_user", gs2="p")


def test_the_fake_server_speaks_scram_with_libpq(fake, connect, pki):
    server, context = ScramServer(PASSWORDS["scram_user"]), server_context(pki.server)

    def script(peer):
        peer.open(context)
        assert peer.scram(server, PLUS, PLAIN) == PLUS
        peer.ready()
        peer.serve()

    connect(("127.0.0.1", fake(script).port), "scram_user", sslmode="require")
    assert (server.flag, server.proved, server.bound) == ("p", True, end_point(pki.server))


def test_what_was_said_is_looked_for_in_logs(cluster, client):
    secrets.forget()
    raw = client(cluster).negotiate("sslrequest")
    spied, send = [], raw.send
    raw.send = lambda data: (spied.append(data), send(data))[1]
    raw.login("scram_user", gs2="p")
    assert len(secrets.found_in(spied[-1].decode(errors="replace"))) == 4  # binding, nonce, the client's part of it, proof
    assert secrets.found_in(f"the password is {PASSWORDS['scram_user']}")
    assert not secrets.found_in("nothing of that kind")


def test_the_certificates_verify(cluster, client, pki):
    raw = client(cluster)
    raw.negotiate("sslrequest", tls_context(ca=pki.new.cert))
    assert raw.tls.getpeercert()["subject"] == ((("commonName", "server.new"),),)


def test_the_fake_server_lets_psycopg2_in(fake, connect, pki):
    server = fake(accepting(server_context(pki.server)))
    connection = connect(("127.0.0.1", server.port), sslmode="verify-full", sslrootcert=str(pki.new.cert), host="localhost")
    connection.cursor().execute("SELECT 1")
    assert server.peers[0].opening == ["SSLRequest", "tls", "StartupMessage"]


def test_users_are_let_in_only_as_their_names_say(cluster, connect):
    assert connect(cluster, "clear_user", sslmode="disable")
    assert connect(cluster, "tls_user", sslmode="require")
    with pytest.raises(Exception, match="no pg_hba.conf entry"):
        connect(cluster, "tls_user", sslmode="disable")
