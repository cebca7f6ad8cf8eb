"""Key exchange groups: what is offered, what a server's choice costs, and that it is remembered."""

import pytest

from harness.config import configuration, to_toml
from harness.fake_upstream import accepting, server_context
from harness.programs import pgairlock


def listening(fake, pki, curve=None):
    """A server that speaks one curve alone, and the sizes of the ClientHellos that it has read."""
    hellos = []
    context = server_context(pki.server)
    context._msg_callback = lambda _conn, direction, _version, _content, kind, data: (
        hellos.append(len(data)) if direction == "read" and getattr(kind, "name", "") == "CLIENT_HELLO" else None)
    if curve:
        context.set_ecdh_curve(curve)
    return fake(accepting(context)), hellos


@pytest.mark.parametrize("curve, name, hellos_of_three", [
    ("prime256v1", "P-256", 3),  # its share is in every first ClientHello
    ("secp384r1", "P-384", 4),   # one HelloRetryRequest, and then it is known
    ("secp521r1", "P-521", 4),
])
def test_a_server_is_asked_twice_for_its_group_only_once(start, fake, connect, pki, curve, name, hellos_of_three):
    server, hellos = listening(fake, pki, curve)
    proxy = start([server.host], runtime={"threads": 2})
    for _ in range(3):
        connect(proxy)
    assert len(hellos) == hellos_of_three
    assert [event["upstream_group"] for event in proxy.events("connected", 3)] == [name] * 3


def test_a_server_that_changes_its_mind_is_followed(start, fake, connect, pki):
    hellos = []
    contexts = {}
    for curve in ("secp384r1", "prime256v1"):
        contexts[curve] = server_context(pki.server)
        contexts[curve].set_ecdh_curve(curve)
    current = ["secp384r1"]

    def script(peer):
        hellos.append(current[0])
        accepting(contexts[current[0]])(peer)

    server = fake(script)
    proxy = start([server.host])
    for curve in ("secp384r1", "secp384r1", "prime256v1", "prime256v1", "secp384r1"):
        current[0] = curve
        connect(proxy)
    assert [event["upstream_group"] for event in proxy.events("connected", 5)] == ["P-384", "P-384", "P-256", "P-256", "P-384"]


@pytest.mark.parametrize("groups, count", [("?no-such-group:P-256", 1), ("X25519:*P-256", 1), ("X25519:P-256", 2)])
def test_question_mark_and_star_work_with_this_openssl(start, fake, connect, pki, groups, count):
    server, hellos = listening(fake, pki, "prime256v1")
    connect(start([server.host], upstream={"ssl_groups": groups}))
    assert len(hellos) == count


@pytest.mark.parametrize("table", ["tls", "upstream"])
def test_a_group_that_openssl_does_not_have_is_an_error_that_says_how_to_make_it_optional(directory, pki, table):
    file = directory / "pgairlock.toml"
    file.write_text(to_toml(configuration(pki, ["localhost:1"], **{table: {"ssl_groups": "P-256:no-such-group"}})))
    done = pgairlock("check", "--offline", "--config", file)
    assert done.returncode == 2
    assert '"no-such-group" is no group of this OpenSSL; "?no-such-group" is left out where it is none' in done.stderr


def test_the_audit_has_the_group_of_both_legs(start, client, fake, pki):
    server, _ = listening(fake, pki, "prime256v1")
    proxy = start([server.host], tls={"ssl_groups": "P-384"})
    client(proxy).negotiate("sslrequest").login()
    client(proxy).login()
    events = proxy.events("connected", 2)
    assert [event["group"] for event in events] == ["P-384", None]
    assert [event["upstream_group"] for event in events] == ["P-256", "P-256"]
