"""What is wrong before a login, and what PostgreSQL answers: byte by byte, from a live server, beside what we answer.

The live server is the installed one (15 to 18 are alike here, by their sources, but where a row says otherwise).
"""

import contextlib
import socket
import struct
from dataclasses import dataclass

import pytest

from harness import messages
from harness.messages import GSSENC_REQUEST, PROTOCOL_3_0, SSL_REQUEST, TERMINATE, cancel_request

SSL_CODE, GSSENC_CODE = 80877103, 80877104


def packet(code: int, body: bytes = b"") -> bytes:
    return struct.pack("!II", 8 + len(body), code) + body


@dataclass
class Row:
    """`ours`: only where we answer otherwise, with the reason."""

    sends: bytes
    postgres: bytes = b""  # an answer's first byte, and the SQLSTATE of an ErrorResponse
    ours: bytes | None = None
    because: str = ""
    tls: bool = True  # also within TLS
    stays: bool = False  # the client does not end its side: with us it would not be asked for
    reason: str | None = None  # in the audit


E08P01, E0A000, E28000 = b"E08P01", b"E0A000", b"E28000"
PROTOCOL_2 = b"EFATAL:  unsupported frontend protocol"

ROWS = {
    "nothing": Row(b""),
    "one byte": Row(b"\0"),
    "three bytes": Row(b"\0\0\0"),
    "a length alone": Row(struct.pack("!I", 8)),
    "length 0": Row(struct.pack("!I", 0), reason="startup_length"),
    "length 4": Row(struct.pack("!I", 4), reason="startup_length"),
    "length 7": Row(struct.pack("!I", 7), reason="startup_length"),
    "length 10,005": Row(struct.pack("!I", 10_005), reason="startup_length"),
    "length -1": Row(b"\xff" * 4, reason="startup_length"),
    "Terminate, then SSLRequest (node-postgres)": Row(TERMINATE + SSL_REQUEST, reason="startup_length"),
    "HTTP": Row(b"GET / HTTP/1.1\r\nHost: db\r\n\r\n", reason="startup_length"),
    "SSH": Row(b"SSH-2.0-OpenSSH_9.2\r\n", reason="startup_length"),
    "a StartupMessage that ends early": Row(messages.startup()[:-3]),
    "no parameters and no terminator": Row(packet(PROTOCOL_3_0), E08P01, reason="startup_layout"),
    "no terminator": Row(packet(PROTOCOL_3_0, b"user\0ada\0"), E08P01, reason="startup_layout"),
    "no end of a value": Row(packet(PROTOCOL_3_0, b"user\0ada"), E08P01, reason="startup_layout"),
    "no value": Row(packet(PROTOCOL_3_0, b"user\0"), E08P01, reason="startup_layout"),
    "bytes behind the terminator": Row(packet(PROTOCOL_3_0, b"user\0ada\0\0x"), E08P01, reason="startup_layout"),
    "no user": Row(packet(PROTOCOL_3_0, b"\0"), E28000, stays=True),
    "protocol 4": Row(packet(4 << 16, b"user\0ada\0\0"), E0A000, reason="unsupported_protocol"),
    "an unknown request": Row(packet((1234 << 16) + 5681), E0A000, reason="unsupported_protocol"),
    "protocol 2": Row(packet(2 << 16, b"\0" * 288), PROTOCOL_2, E0A000, reason="unsupported_protocol",
                      because="no client of protocol 2 is left; the sentence is the same"),
    "a CancelRequest without a key": Row(packet(messages.CANCEL_CODE, b"\0\0\0\7"), reason="cancel_length"),
    "a CancelRequest without pid and key": Row(packet(messages.CANCEL_CODE), reason="cancel_length"),
    "a CancelRequest with a short key": Row(cancel_request(7, b"abc"), reason="cancel_length"),
    "a CancelRequest with too long a key": Row(cancel_request(7, b"k" * 257), reason="cancel_length"),
    "a CancelRequest for nobody": Row(cancel_request(7, b"abcd")),
    "a CancelRequest of protocol 3.2 for nobody": Row(cancel_request(7, b"k" * 32)),  # since 18 a key like any other
    "SSLRequest with bytes inside": Row(packet(SSL_CODE, b"xxxx"), b"S", b"", tls=False, reason="startup_length",
                                        because="a packet that the manual does not have is no packet"),
    "GSSENCRequest": Row(GSSENC_REQUEST, b"G", b"N", tls=False, because="we have no GSSAPI encryption"),
    "GSSENCRequest with bytes inside": Row(packet(GSSENC_CODE, b"xxxx"), b"G", b"", tls=False, reason="startup_length",
                                           because="as above"),
    "bytes behind SSLRequest": Row(SSL_REQUEST + b"x", b"S", E08P01, tls=False, reason="unencrypted_after_request",
                                   because="PostgreSQL says so within TLS; we begin none with whoever they came from"),
    "bytes behind GSSENCRequest": Row(GSSENC_REQUEST + b"x", b"G", b"NE08P01", tls=False, reason="unencrypted_after_request",
                                      because="we have no GSSAPI encryption; a PostgreSQL without it answers as we do"),
}
WITHIN_TLS = {
    "SSLRequest": Row(SSL_REQUEST, E0A000, reason="unsupported_protocol"),
    "GSSENCRequest": Row(GSSENC_REQUEST, E0A000, reason="unsupported_protocol"),
}
WITHOUT_TLS = {
    "SSLRequest": Row(SSL_REQUEST, b"N"),
    "bytes behind SSLRequest": Row(SSL_REQUEST + b"x", b"NE08P01", reason="unencrypted_after_request"),
    "a ClientHello": Row(b"\x16\x03\x01\x02\x00\x01\x00", b"", b"\x15\x03\x01\x00\x02\x02\x28", reason="tls_not_offered",
                         because="an alert is what a TLS client can read"),
}


def short(answer: bytes) -> bytes:
    """An ErrorResponse as E and its SQLSTATE; whatever comes before it as it is."""
    at = answer.find(b"E\0")
    return answer if at < 0 else answer[:at] + b"E" + messages.ErrorResponse(answer[at + 5:]).sqlstate.encode()


def everything(raw) -> bytes:
    """What is answered up to the peer's orderly end: a reset would be an error to the client's library."""
    answer = b""
    while part := raw.sock.recv(1 << 16) if raw.tls is None else raw.receive_some():
        answer += part
    return answer


def answer_to(raw, row: Row) -> bytes:
    """Our end comes with the bytes, so that a peer that waits for more gives up."""
    raw.send(row.sends)
    if raw.tls and not row.stays:
        raw.close_notify()
    if not row.stays:
        # A peer that has ended already refuses our close_notify by a reset; what it answered is there to be read all the same.
        with contextlib.suppress(OSError):
            raw.sock.shutdown(socket.SHUT_WR)
    return short(everything(raw))


def compare(rows, how, server, proxy, client) -> None:
    wrong = []
    for name, row in rows.items():
        postgres = answer_to(client(server).negotiate(how), row)
        raw = client(proxy).negotiate(how)
        answers = {"PostgreSQL": (postgres, row.postgres), "pgairlock": (answer_to(raw, row), row.postgres if row.ours is None else row.ours)}
        wrong += [f"{name}: {who} answers {got}, not {expected}" for who, (got, expected) in answers.items()
                  if got != expected and not (got.startswith(PROTOCOL_2) and expected == PROTOCOL_2)]
        if row.reason and proxy.event("rejected", client_port=raw.port)["reason"] != row.reason:
            wrong.append(f"{name}: recorded as {proxy.event('rejected', client_port=raw.port)}")
        assert (row.ours is None) == (row.because == ""), name
    assert not wrong, "\n".join(wrong)


def test_faults_in_clear(start, cluster, client):
    compare(ROWS, "plain", cluster, start(), client)


def test_faults_within_tls(start, cluster, client):
    compare({name: row for name, row in ROWS.items() if row.tls} | WITHIN_TLS, "sslrequest", cluster, start(), client)


def test_faults_where_tls_is_not_offered(start, clear_cluster, client):
    proxy = start([clear_cluster.host], tls={"mode": "disable"}, upstream={"sslmode": "disable", "sslrootcert": None})
    compare(WITHOUT_TLS, "plain", clear_cluster, proxy, client)
    twice = Row(SSL_REQUEST, E0A000, reason="repeated_request")
    compare({"a second SSLRequest": twice}, "sslrequest-refused", clear_cluster, proxy, client)


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("length", [0, 4, 7, 10_005, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_impossible_length_is_refused_before_anything_else_comes(start, cluster, client, how, length):
    for server in (cluster, start()):
        raw = client(server).negotiate(how)
        raw.send(struct.pack("!I", length))
        assert everything(raw) == b""
