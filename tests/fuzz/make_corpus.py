#!/usr/bin/python3
"""Writes the seeds of the fuzz targets: small files made of real messages. Run again when a message is added."""

import ssl
import struct
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def opening(code: int, body: bytes = b"") -> bytes:
    return struct.pack("!II", 8 + len(body), code) + body


def startup(version: int = 0x30000, **parameters: str) -> bytes:
    return opening(version, b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items()) + b"\0")


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack("!I", 4 + len(body)) + body


def authentication(code: int, rest: bytes = b"") -> bytes:
    return message("R", struct.pack("!I", code) + rest)


def sasl_choice(mechanism: bytes, response: bytes | None) -> bytes:
    length = struct.pack("!i", -1 if response is None else len(response))
    return message("p", mechanism + b"\0" + length + (response or b""))


def error(sqlstate: str, text: str = "no") -> bytes:
    return message("E", f"SFATAL\0VFATAL\0C{sqlstate}\0M{text}\0Fauth.c\0L1\0Rauth_failed\0\0".encode())


def client_hello(newest: ssl.TLSVersion, name: str | None, alpn: list[str]) -> bytes:
    """The handshake message, without the record header."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    if alpn:
        context.set_alpn_protocols(alpn)
    sent = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return sent.read()[5:]


SSL_REQUEST, GSSENC_REQUEST = opening(80877103), opening(80877104)
CANCEL = opening(80877102, struct.pack("!I", 12345) + b"\xca\xfe\xba\xbe")
CANCEL_LONG = opening(80877102, struct.pack("!I", 12345) + bytes(range(256)))
PLAIN = startup(user="ada", database="shop", application_name="psql", client_encoding="UTF8")
NO_TLS, REQUIRED = b"\x01", b"\x04"  # policies: the first byte of the input

OK, READY = authentication(0), message("Z", b"I")
KEY = message("K", struct.pack("!I", 42) + b"KEY!")
PARAMETER = message("S", b"server_version\x0017.2\0")
OFFER = authentication(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
AFTER_OK = OK + PARAMETER + KEY + READY


def tls_record(kind: int, body: bytes) -> bytes:
    return struct.pack("!BHH", kind, 0x0303, len(body)) + body


def scram(flag: bytes) -> bytes:
    return (
        OFFER
        + sasl_choice(b"SCRAM-SHA-256", flag + b",,n=,r=rOprNGfwEbeRWgbNEkqO")
        + authentication(11, b"r=rOprNGfwEbeRWgbNEkqO%hvY,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
        + message("p", b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvY,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
        + authentication(12, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        + AFTER_OK
    )


LOGINS = {
    "trust": AFTER_OK,
    "password": authentication(3) + message("p", b"secret\0") + AFTER_OK,
    "md5": authentication(5, b"salt") + message("p", b"md5" + b"0" * 32 + b"\0") + AFTER_OK,
    "scram-n": scram(b"n"),
    "scram-y": scram(b"y"),
    "scram-plus": OFFER + sasl_choice(b"SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc"),
    "scram-later": OFFER + sasl_choice(b"SCRAM-SHA-256", None) + message("p", b"n,,n=,r=abc") + authentication(11),
    "bridged": OFFER + sasl_choice(b"SCRAM-SHA-256", b"y,,n=,r=abc") + message("p", b"a long password\0")
    + authentication(11, b"r=AAAAAAAAAAAAAAAAAAAAAAAAabc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    + authentication(12, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") + AFTER_OK,
    "asked": OFFER + message("p", b"a long password\0") + authentication(3),
    "terminated": OFFER + sasl_choice(b"SCRAM-SHA-256", b"n,,n=,r=abc")
    + message("p", b"c=biws,r=abcAAAAAAAAAAAAAAAAAAAAAAAA,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
    "honest": OFFER + message("p", b"!") * 2 + message("R", b"!") * 3 + PARAMETER + KEY + READY,
    "honest-asked": OFFER + message("p", b"!") + message("R", b"!") * 3 + PARAMETER + KEY + READY,
    "honest-client": OFFER + message("p", b"!") * 2 + authentication(12) + AFTER_OK,
    "honest-y": OFFER + sasl_choice(b"SCRAM-SHA-256", b"y,,n=,r=abc") + message("p", b"!") + message("R", b"!") * 3 + READY,
    "gss": authentication(7) + message("p", b"token") + authentication(8, b"more") + message("p", b"token") + AFTER_OK,
    "refused": error("28000", "no pg_hba.conf entry"),
    "refused-later": authentication(3) + message("p", b"x\0") + error("28P01"),
    "version": message("v", struct.pack("!II", 0x30000, 0)) + message("N", b"SNOTICE\0\0") + AFTER_OK,
}

# The first byte of fuzz_login's input: mode, and what there is (fuzz_login.cpp).
POLICIES = {"auto": b"\x18", "asked": b"\x1c", "exposed": b"\x10", "passthrough": b"\x11", "bridge": b"\x1a", "terminate": b"\x7b", "secret": b"\xbb",
            "unknown": b"\x3b", "verified": b"\xda"}

CONFIGS = {
    "small": """\
[[listener]]
name = "main"
listen = ["127.0.0.1:6432", "[::1]:6432", "unix:/run/pgairlock/.s.PGSQL.6432"]
upstream = "db"

[[upstream]]
name = "db"
hosts = ["db.example.com:5432"]
""",
    "large": """\
[log]
level = "debug"
format = "json"

[runtime]
threads = 2
max_connections = 500
client_login_timeout = "30s"
drain_timeout = "2m"
state_dir = "/var/lib/pgairlock"

[[listener]]
name = "main"
listen = ["0.0.0.0:6432"]
upstream = "db"
allow = ["10.0.0.0/8", "::1/128"]
idle_timeout = "1h"
tls = { mode = "require", direct = true, trust = "undistributed", client_cert = "request", ca_file = "ca.pem" }

[[listener.tls.certificate]]
cert_file = "a.crt"
key_file = "a.key"
server_names = ["*.example.com"]

[[upstream]]
name = "db"
hosts = ["db:5432"]
sslmode = "verify-full"
sslrootcert = ["new.pem", "system"]
sslnegotiation = "direct"
ssl_min_protocol_version = "TLSv1.2"
connect_timeout = "500ms"

[audit]
file = "-"
""",
    "wrong": '[[listener]]\nname = 7\nlisten = "nowhere"\nunknown = [1, 2.5, 1979-05-27T07:32:00Z, {a = "b"}]\n[runtime]\nthreads = -1\n',
    "broken": '[listener\nname = "x',
    "duration": "250ms",
    "cidr": "2001:db8::/32",
}

FRAMES = {
    "query": message("Q", b"select 1\0") + message("X"),
    "answer": message("T", b"\0\1?column?\0" + struct.pack("!IHIhih", 0, 0, 23, 4, -1, 0)) + message("D", b"\0\1\0\0\0\0011")
              + message("C", b"SELECT 1\0") + READY,
    "copy": message("d", b"line\n" * 20) * 2 + message("c") + message("C", b"COPY 2\0") + READY,
    "too-long": b"Q\x7f\xff\xff\xff" + b"select",
}


# The first byte of fuzz_login_role's input: what is asked for, how SCRAM is crossed, how many servers are not wanted (fuzz_login_role.cpp).
ROLE_CHOICES = {"wanted": 0, "read-only": 1, "second": 0x09, "third-bridged": 0x15, "second-terminated": 0x0f}
_OK = authentication(0)
_READY = message("Z", b"I")
_STANDBY = message("S", b"in_hot_standby\0on\0")
_PRIMARY = message("S", b"in_hot_standby\0off\0")
_WRITABLE = message("S", b"default_transaction_read_only\0off\0")
_ROW = message("T", b"\0\0") + message("D", b"\0\1\0\0\0\3off") + message("C", b"SHOW\0") + _READY
ROLE_LOGINS = {
    "trust": (_OK + _STANDBY + _WRITABLE + _READY) * 2 + (_OK + _PRIMARY + _WRITABLE + _READY) * 2,
    "asked": (_OK + _READY + _ROW) * 3,
    "password": authentication(3) + message("p", b"known password\0") + _OK + _STANDBY + _READY + _ROW
                + (authentication(3) + _OK + _PRIMARY + _WRITABLE + _READY) * 2,
    "password-scram": authentication(3) + message("p", b"known password\0") + _OK + _STANDBY + _WRITABLE + _READY
                      + authentication(10, b"SCRAM-SHA-256\0\0") + authentication(11, b"r=abc,s=QQ==,i=4096"),
    "scram": authentication(10, b"SCRAM-SHA-256\0\0") + message("p", b"known password\0") + authentication(11, b"r=abc,s=QQ==,i=4096"),
    "version": message("v", b"\0\3\0\0\0\0\0\0") + _OK + _STANDBY + _WRITABLE + _READY + message("v", b"\0\3\0\0\0\0\0\0") + _OK + _READY,
    "error": _OK + _STANDBY + error("3D000"),
}


def block(order: str, kind: int, *body: bytes) -> bytes:
    inside = b"".join(body)
    length = struct.pack(order + "I", 12 + len(inside))
    return struct.pack(order + "I", kind) + length + inside + length


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + padded(value)


def ip_packet(payload: bytes, v6: bool = False) -> bytes:
    segment = struct.pack("!HHIIBBHHH", 4711, 5432, 1, 1, 5 << 4, 0x18, 65535, 0, 0) + payload
    if v6:
        return struct.pack("!IHBB", 6 << 28, len(segment), 6, 64) + bytes(15) + b"\1" + bytes(15) + b"\2" + segment
    return struct.pack("!BBHIBBHII", 0x45, 0, 20 + len(segment), 0x4000, 64, 6, 0, 0x7F000001, 0x7F000002) + segment


def capture(order: str, v6: bool) -> bytes:
    """One block of every kind; `order`: of its bytes, as in struct."""
    packet = ip_packet(message("Q", b"select 1\0"), v6)
    number = lambda size, value: struct.pack(order + {2: "H", 4: "I", 8: "Q"}[size], value)
    end = number(4, 0)
    return b"".join([
        block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), option(order, 4, b"pgairlock"), option(order, 3, b"Linux"), end),
        block(order, 1, struct.pack(order + "HHI", 101, 0, 0), option(order, 2, b"client leg"), option(order, 9, b"\x09"), end),
        block(order, 4, number(2, 1), number(2, 6), padded(b"\x7f\0\0\1a\0"), end),
        block(order, 10, number(4, 0x544C534B), number(4, 6), padded(b"A 1 2\n")),
        block(order, 6, struct.pack(order + "IIIII", 0, 0x18EB, 99, len(packet), len(packet)), padded(packet), option(order, 2, number(4, 1)),
              option(order, 4, number(8, 3)), option(order, 5, number(8, 7)), option(order, 8, number(4, 42) * 2), option(order, 1, b"session=1"), end),
        block(order, 9, padded(b"__REALTIME_TIMESTAMP=1\nMESSAGE\n\3\0\0\0\0\0\0\0a\nb\n")),
        block(order, 3, number(4, 1), b"\xff\0\0\0"),
        block(order, 5, struct.pack(order + "III", 0, 0, 9), option(order, 4, number(8, 1)), option(order, 5, number(8, 2)), end),
    ])


EFFECTS = {
    "read": "SELECT count(*) FILTER (WHERE a), 'x'::varchar(3) FROM t LEFT JOIN (u) USING (b) GROUP BY CUBE (c); SHOW all",
    "quotes": "select E'a\\'' , $q$;delete$q$, \"a\"\"b\", U&'\\0041' /* /* ; */ */ -- ;\n, 1.5e-3, b'01'",
    "with": "WITH a AS (DELETE FROM t RETURNING 1) SELECT 1 FROM a",
    "copy": "COPY (SELECT x.to stdout FROM (SELECT 1 AS \"to\") x) TO PROGRAM 'true'",
    "set": "SET LOCAL search_path = \"pg_catalog \", a, pg_catalog; SELECT set_config('role', 'a', true)",
    "reset": "BEGIN; RESET transaction_read_only",
    "prepared": "PREPARE p (int) AS SELECT $1; EXPLAIN ANALYZE EXECUTE p(1); DEALLOCATE p",
    "cursor": "DECLARE c CURSOR WITH HOLD FOR SELECT pg_catalog.lower('A'); FETCH 10 FROM c; CLOSE c",
    "lock": "LOCK TABLE ONLY t IN ACCESS SHARE MODE; SELECT 1 FOR NO KEY UPDATE",
    "encoding": "SET NAMES 'SJIS'; SELECT '\u8868', \u8868(1) OPERATOR(pg_catalog.+) by(1)",
}

CAPTURES = {
    "little": capture("<", v6=False),
    "big": capture(">", v6=True),
    "both": capture("<", v6=True) + capture(">", v6=False),
    "cut": capture("<", v6=False)[:-7],
    "packet": ip_packet(b"hello"),
    "packet-v6": ip_packet(b"hello", v6=True),
    "address": b"2001:db8::192.0.2.33",
}


def said(sender: int, talk: bytes) -> bytes:
    """As fuzz_redactor takes it: 0 the client, 1 the server."""
    return b"".join(bytes([sender, len(talk[at : at + 100])]) + talk[at : at + 100] for at in range(0, len(talk), 100))


REDACTED = {
    "simple": said(0, PLAIN) + said(1, AFTER_OK) + said(0, FRAMES["query"]) + said(1, FRAMES["answer"]),
    "scram": said(0, PLAIN) + said(1, OFFER) + said(0, sasl_choice(b"SCRAM-SHA-256", b"n,,n=,r=abc")) + said(1, AFTER_OK),
    "copy": said(1, message("H", b"\0\0\1\0\0") + FRAMES["copy"] + error("22P02", 'invalid input: "x"')),
    "extended": said(0, message("P", b"s\0select $1, 'x'\0\0\0") + message("B", b"\0s\0\0\0\0\1\0\0\0\1x\0\0") + message("S")),
    "encrypted": said(0, SSL_REQUEST) + said(1, b"N") + said(0, GSSENC_REQUEST) + said(1, b"G"),
}
SQL = {
    "literals": rb"""SELECT 'it''s', E'it\'s' 'a\', U&'d\0061' UESCAPE '!', B'01', $t$ $ $t $t$, $$ $$, "a""b", 1.5e-3, 0x1F, $1 """,
    "comments": b"/* a /* b */ c */ SELECT 1 -- x\n, 'a'\n'b'",
    "secrets": b"ALTER ROLE a PASSWORD 'x' VALID UNTIL 'y'; SELECT dblink('postgresql://a:b@c/'); SET client_encoding = 'SJIS'",
}


def steps(*talk: tuple[str, bytes | int]) -> bytes:
    """Who says what, in pieces that fuzz_transcript takes; a number: so many bytes are missing."""
    out = b""
    for side, what in talk:
        head = 1 if side == "server" else 0
        if isinstance(what, int):
            out += bytes([head | 0x70, what])
            continue
        for at in range(0, len(what), 255):
            out += bytes([head, len(what[at:at + 255])]) + what[at:at + 255]
    return out


READY = message("Z", b"I")
ROW = lambda *values: message("D", len(values).to_bytes(2, "big") + b"".join(
    b"\xff" * 4 if value is None else len(value).to_bytes(4, "big") + value for value in values))
HOST_STATE = message("T", bytes(2)) + ROW(b"f", b"off", b"default", b"t") + message("C", b"SELECT 1\0") + READY
TOPOLOGY = (ROW(b"t", b"i-1", b"MASTER_SESSION_ID", None, b"0.5") + ROW(b"f", b"i-2", b"5c1f", b"17.5", b"301") + message("C", b"SELECT 2\0") + READY)
PIPELINE = (message("P", b"s\0select $1\0\0\0") + message("B", b"p\0s\0" + bytes(6)) + message("D", b"Pp\0") +
            message("E", b"p\0" + bytes(4)) + message("S"))
ANSWERS = message("1") + message("2") + message("n") + message("D", bytes(2)) + message("C", b"SELECT 1\0") + READY
COPIES = [("client", message("Q", b"copy t from stdin\0")), ("server", message("G", bytes(3))),
          ("client", message("d", b"1\n") + message("c")), ("server", message("C", b"COPY 1\0") + READY)]
LOGGED_IN = [("client", PLAIN), ("server", authentication(0) + READY)]
TALKS = {
    "pipeline": [*LOGGED_IN, ("client", PIPELINE), ("server", ANSWERS), ("client", message("X"))],
    "error": [*LOGGED_IN, ("client", PIPELINE * 2), ("server", message("1") + error("22012") + READY + ANSWERS)],
    "copy": [*LOGGED_IN, *COPIES],
    "ssl": [("client", SSL_REQUEST), ("server", b"S"), *LOGGED_IN, ("client", message("Q", b"select 1\0"))],
    "refused": [("client", PLAIN), ("server", error("28000"))],
    "cancel": [("client", CANCEL)],
    "server-lost": [*LOGGED_IN, ("client", PIPELINE), ("server", 50), ("server", b"rest" + READY), ("client", PIPELINE), ("server", ANSWERS)],
    "client-lost": [*LOGGED_IN, ("client", 50), ("server", ANSWERS), ("client", PIPELINE), ("server", ANSWERS)],
}

# Of an authority "a" that exists nowhere else.
CERTIFICATE, TRUSTED, CRL, PKCS7, KEY = (text.encode() for text in (
    """-----BEGIN CERTIFICATE-----
MIIBbjCCARWgAwIBAgIUJ44D/3Tlcyysg9iV0j67oxuOQZAwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMzAwMzQyNDVaGA8yMTI2MTEwNjAzNDI0NVow
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJqYv3Mvuyy4
UaRQEcRn5iyWxioKq3o/z45cTS+PGTJvjDMCk4OwkDAMYa+NEMJ/3dlDCqDwzn+w
dC6MN0aMabqjUzBRMB0GA1UdDgQWBBS6fDY9Wp4nnk0XMczWZSGAp57ryjAfBgNV
HSMEGDAWgBS6fDY9Wp4nnk0XMczWZSGAp57ryjAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0cAMEQCIC90aHNRVYbuxnUmY2KnbrP+jQaVZNGTweJsy/VeEpn/
AiAXA8xY8xRGLbM02aA1GvPrB++hBx4YBligUbmiYnidew==
-----END CERTIFICATE-----
""",
    """-----BEGIN TRUSTED CERTIFICATE-----
MIIBbjCCARWgAwIBAgIUJ44D/3Tlcyysg9iV0j67oxuOQZAwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMzAwMzQyNDVaGA8yMTI2MTEwNjAzNDI0NVow
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJqYv3Mvuyy4
UaRQEcRn5iyWxioKq3o/z45cTS+PGTJvjDMCk4OwkDAMYa+NEMJ/3dlDCqDwzn+w
dC6MN0aMabqjUzBRMB0GA1UdDgQWBBS6fDY9Wp4nnk0XMczWZSGAp57ryjAfBgNV
HSMEGDAWgBS6fDY9Wp4nnk0XMczWZSGAp57ryjAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0cAMEQCIC90aHNRVYbuxnUmY2KnbrP+jQaVZNGTweJsy/VeEpn/
AiAXA8xY8xRGLbM02aA1GvPrB++hBx4YBligUbmiYnidezAMoAoGCCsGAQUFBwMB
-----END TRUSTED CERTIFICATE-----
""",
    """-----BEGIN X509 CRL-----
MIGRMDowCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBYRcNMjYxMTMwMDM0MjQ1WhgP
MjEyNjExMDYwMzQyNDVaMAoGCCqGSM49BAMCA0cAMEQCIE9FiO3w90QDwhluHlir
4B/YjvgXbVnWnbwxg0Acyi4wAiBloGRlKHP/0w1q7LFRImPk6WTioYz9+k75xale
qviusQ==
-----END X509 CRL-----
""",
    """-----BEGIN PKCS7-----
MIIBnQYJKoZIhvcNAQcCoIIBjjCCAYoCAQExADALBgkqhkiG9w0BBwGgggFyMIIB
bjCCARWgAwIBAgIUJ44D/3Tlcyysg9iV0j67oxuOQZAwCgYIKoZIzj0EAwIwDDEK
MAgGA1UEAwwBYTAgFw0yNjExMzAwMzQyNDVaGA8yMTI2MTEwNjAzNDI0NVowDDEK
MAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJqYv3Mvuyy4UaRQ
EcRn5iyWxioKq3o/z45cTS+PGTJvjDMCk4OwkDAMYa+NEMJ/3dlDCqDwzn+wdC6M
N0aMabqjUzBRMB0GA1UdDgQWBBS6fDY9Wp4nnk0XMczWZSGAp57ryjAfBgNVHSME
GDAWgBS6fDY9Wp4nnk0XMczWZSGAp57ryjAPBgNVHRMBAf8EBTADAQH/MAoGCCqG
SM49BAMCA0cAMEQCIC90aHNRVYbuxnUmY2KnbrP+jQaVZNGTweJsy/VeEpn/AiAX
A8xY8xRGLbM02aA1GvPrB++hBx4YBligUbmiYnidezEA
-----END PKCS7-----
""",
    """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIKs3zvVyL4kENgLECGhK6Yn/XQZ1dsMsXmtUNyG4zzjOoAoGCCqGSM49
AwEHoUQDQgAEmpi/cy+7LLhRpFARxGfmLJbGKgqrej/PjlxNL48ZMm+MMwKTg7CQ
MAxhr40Qwn/d2UMKoPDOf7B0Low3Roxpug==
-----END EC PRIVATE KEY-----
""",
))
PEM_FILES = {
    "certificates": b"\xef\xbb\xbf# one\r\n" + CERTIFICATE.replace(b"\n", b"\r\n") + TRUSTED,
    "all": CERTIFICATE + KEY + CRL + PKCS7,
    "passed-over": CERTIFICATE + b"  " + CERTIFICATE.replace(b"\n", b"\n  ") + b'"' + CRL + CERTIFICATE[1:] + KEY[40:],
    "broken": CERTIFICATE + CRL.rstrip() + CERTIFICATE,
    "cut": CERTIFICATE + CERTIFICATE[:200],
    "without-end": CERTIFICATE.replace(b"-----END CERTIFICATE-----\n", b"") + CRL + CERTIFICATE,
    "utf16": CERTIFICATE.decode().encode("utf-16"),
    "der": ssl.PEM_cert_to_DER_cert(CERTIFICATE.decode()),
}



def proxy_header(command: int, family: int, rest: bytes) -> bytes:
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, family, len(rest)) + rest


def proxy_tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


TCP4 = b"\xc0\0\2\7\x0a\0\0\5\xc8\xf2\x15\x38"
TLS_AT_FRONT = proxy_tlv(0x20, b"\3\0\0\0\0" + proxy_tlv(0x21, b"TLSv1.3") + proxy_tlv(0x22, b"billing") + proxy_tlv(0x23, b"TLS_AES_256_GCM_SHA384"))
VPCE = proxy_tlv(0xea, b"\1vpce-08d2bf15fac5001c9")
ADDRESS = b"00000000000000000000ffff7f000001"  # as limits count it, in hex
PROXY_HEADERS = {
    "v1-tcp4": b"PROXY TCP4 192.0.2.7 10.0.0.5 51442 5432\r\n" + SSL_REQUEST,
    "v1-tcp6": b"PROXY TCP6 2001:db8::1 ::1 51442 5432\r\n" + PLAIN,
    "v1-unknown": b"PROXY UNKNOWN whatever\r\n" + PLAIN,
    "v2-tcp4": proxy_header(0x21, 0x11, TCP4) + SSL_REQUEST,
    "v2-tcp6": proxy_header(0x21, 0x21, bytes(36)) + PLAIN,
    "v2-unix": proxy_header(0x21, 0x31, bytes(216)) + PLAIN,
    "v2-local": proxy_header(0x20, 0x11, TCP4) + PLAIN,
    "v2-unspec": proxy_header(0x21, 0, proxy_tlv(2, b"db.example")) + PLAIN,
    "v2-tls": proxy_header(0x21, 0x11, TCP4 + proxy_tlv(1, b"postgresql") + TLS_AT_FRONT + proxy_tlv(0x30, b"blue")) + PLAIN,
    "v2-clouds": proxy_header(0x21, 0x11, TCP4 + VPCE + proxy_tlv(0xee, b"\1\2\3\4\5") + proxy_tlv(5, b"id") + proxy_tlv(4, bytes(5))),
    # The checksum is right: of what AWS documents that a network load balancer sends.
    "v2-aws": proxy_header(0x21, 0x11, bytes.fromhex("ac1f0771ac1f0a1fc8f20050") + proxy_tlv(3, bytes.fromhex("e8d6892d")) + VPCE + proxy_tlv(4, bytes(36))),
    "twice": proxy_header(0x21, 0x11, TCP4) * 2,
}

SEEDS = {
    "fuzz_redactor": {f"{name}-{payload}": bytes([first, 6]) + talk for name, talk in REDACTED.items()
                      for payload, first in {"headers": 0, "redacted": 1, "full": 2, "later": 0x85}.items()},
    "fuzz_sql": {f"{name}-{content}": bytes([first, 6]) + sql for name, sql in SQL.items()
                 for content, first in {"literals": 2, "secrets": 3, "unsafe": 0}.items()},
    "fuzz_transcript": {name + end: first + steps(*talk) for name, talk in TALKS.items() for end, first in (("", b"\1\4"), ("-middle", b"\0\4"))},
    "fuzz_replay": {name: b"\6\4" + steps(*talk) for name, talk in TALKS.items()} | {
        "hello": b"\0\4" + SSL_REQUEST + tls_record(22, client_hello(ssl.TLSVersion.TLSv1_3, None, [])) +
                 tls_record(21, b"\2\x30")},
    "fuzz_effect": {name: sql.encode() for name, sql in EFFECTS.items()},
    "fuzz_opening": {
        "plain": b"\0" + PLAIN,
        "minor": b"\0" + startup(0x30002, user="ada"),
        "ssl": b"\0" + SSL_REQUEST + b"\x16" + PLAIN,
        "ssl-refused": NO_TLS + SSL_REQUEST + PLAIN,
        "ssl-twice": NO_TLS + SSL_REQUEST + SSL_REQUEST,
        "ssl-surplus": b"\0" + SSL_REQUEST + b"\xff",
        "direct": b"\0\x16" + PLAIN,
        "gssenc-ssl": b"\0" + GSSENC_REQUEST + SSL_REQUEST + b"\x16" + PLAIN,
        "gssenc-direct": b"\0" + GSSENC_REQUEST + b"\x16" + PLAIN,
        "ssl-in-tls": b"\0" + SSL_REQUEST + b"\x16" + SSL_REQUEST,
        "required": REQUIRED + PLAIN,
        "cancel": REQUIRED + CANCEL,
        "cancel-long": b"\0" + CANCEL_LONG,
        "old": b"\0" + startup(0x20000, user="ada"),
    },
    "fuzz_login": {f"{mode}-{name}": policy + talk for mode, policy in POLICIES.items() for name, talk in LOGINS.items()},
    "fuzz_monitor": {
        "trust": b"\0" + authentication(0) + message("S", b"in_hot_standby\0on\0") + READY + HOST_STATE + TOPOLOGY,
        "password": b"\x09" + authentication(3) + authentication(0) + READY + HOST_STATE,
        "scram": b"\1" + authentication(10, b"SCRAM-SHA-256\0\0") + message("R", b"!") * 2 + authentication(0) + READY + HOST_STATE,
        "scram-plus": b"\7" + authentication(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0") + message("R", b"!") * 2 + authentication(0) + READY,
        "md5": b"\x0f" + authentication(5, b"salt"),
        "refused": b"\1" + error("28P01"),
        "error": b"\0" + authentication(0) + READY + error("42501") + READY,
    },
    "fuzz_login_role": {f"{kind}-{name}": bytes([choice]) + talk for kind, choice in ROLE_CHOICES.items() for name, talk in ROLE_LOGINS.items()},
    "fuzz_scram": {
        "client": b"\0r=\1abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096\nv=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        "client-plus": b"\4r=\1abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1\nv=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        "server": b"\1n,,n=,r=abc\nc=biws,r=abc\1,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "server-y": b"\1y,,n=,r=abc\nc=eSws,r=abc\1,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "server-plus": b"\5p=tls-server-end-point,,n=,r=abc\nc=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M="
                       b",r=abc\1,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=\nP",
        "client-proved": b"\0r=\1abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,x=1\nv=\2",
        "client-plus-proved": b"\4r=\1abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1\nv=\2",
        "server-proved": b"\1n,,n=,r=abc,x=1\nc=biws,r=abc\1,x=1,p=\2",
        "server-plus-proved": b"\5p=tls-server-end-point,,n=,r=abc\nc=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M="
                              b",r=abc\1,p=\2\nP",
        "secret": b"\2SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
                  b":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "base64": b"\3W22ZaJ0SNY7soEsUEjb6gQ==",
    },
    "fuzz_users": {
        "some": b'; comment\n"ada" "secret" ignored\n"b""ob" "with ""quotes"""\n\n"md5" "md5' + b"0" * 32 + b'"\n"none" ""\r\n'
                b'"scram" "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY='
                b':wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="\n',
        "broken": b'"ada\n"ada" secret\nada secret\n"" "x"\n"x" "SCRAM-SHA-256$x"',
    },
    "fuzz_console": {
        "start": b"CAPTURE START (FOR '30m', payload redacted, TRIGGER failures, USER 'O''Brien', KEYLOG) TO STDOUT; CAPTURE START TO 'x'",
        "stop": b"capture stop 7; CAPTURE STOP;CAPTURE STATUS",
        "drivers": b"SET a TO ';'; SELECT 1; BEGIN; SHOW \"TimeZone\"; START TRANSACTION; SELECT; ROLLBACK -- so",
        "broken": b"/* /* */ CAPTURE START (USER '\xc3\xbc",
    },
    "fuzz_sql_rewrite": {
        "aws": b"select datname, usename, ssl from pg_stat_ssl inner join pg_stat_activity on pg_stat_ssl.pid = pg_stat_activity.pid where ssl is true",
        "casts": b"SELECT pid::text, '2026-11-01'::timestamptz, interval '5 minutes', float8 'NaN', $1::int4 FROM sessions WHERE backend_start > '2026-11-01'",
        "psql": b"SELECT c.relname, E'a\\n' FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(a.*)$' COLLATE pg_catalog.default",
        "arrays": b"SELECT ARRAY(SELECT usename FROM sessions) FROM pg_catalog.unnest(a) x",
        "gdesc": b"SELECT name, tp FROM (VALUES ('n', '19'::oid), ('o', 5)) s(name, tp)",
        "with": b"WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x LIMIT 9) SELECT count(*), max(pid) FROM x JOIN sessions ON n = pid",
        "writes": b"WITH x AS (SELECT 1) DELETE FROM sessions", "attach": b"ATTACH 'x' AS y", "pragma": b"PRAGMA user_version = 1",
        "functions": b"SELECT load_extension('x'), readfile('y'), current_user, quote_ident(usename), age(backend_start) FROM sessions",
    },
    "fuzz_console_portals": {
        name: b"".join(kind + struct.pack(">H", len(body)) + body for kind, body in talk)
        for name, talk in {
            "text": [(b"P", b"s\0SELECT a\0\0\0"), (b"B", b"p\0s\0\0\0\0\0\0\0"), (b"E", b"p\0\2"), (b"E", b"p\0\7"), (b"C", b"Pp\0"), (b"C", b"Ss\0")],
            "binary": [(b"P", b"\0SELECT $1\0\0\1\0\0\0\x17"), (b"B", b"\0\0\0\1\0\1\0\1\0\0\0\4\0\0\0\7\0\1\0\1"), (b"E", b"\0\7")],
            "broken": [(b"P", b"\0SELECT"), (b"B", b"\0s\0\0\0\x7f\xff\0\0"), (b"X", b"")],
        }.items()
    },
    "fuzz_http": {
        "name": b"\0PROXY.example.com.:6433\0\0text/plain;q=0.5, application/openmetrics-text; version=1.0.0",
        "token": b"\3[::1]:80\0bEaReR 0123456789abcdef\0*/*",
        "wrong": b"\1proxy.example.com.evil.test\0Basic 0123456789abcdef\0application/openmetrics-text;q=2",
        "zone": b"\x03[::%lo]:80\0\0",
        "two-hosts": b"\x0c127.0.0.1\0\0",
    },
    "fuzz_messages": {name: b"\x07" + talk for name, talk in LOGINS.items()},
    "fuzz_framer": {name: b"\x07" + talk for name, talk in FRAMES.items()},
    "fuzz_records": {
        "handshake": b"\0" + tls_record(22, client_hello(ssl.TLSVersion.TLSv1_3, None, [])) + tls_record(20, b"\1") + tls_record(21, b"\2\x30"),
        "then-in-clear": b"\3" + tls_record(22, b"hello") + message("p", b"secret\0"),
        "cut": b"\1" + tls_record(23, b"data")[:-2],
    },
    "fuzz_client_hello": {
        "tls13": client_hello(ssl.TLSVersion.TLSv1_3, "db.example.com", ["postgresql"]),
        "tls13-plain": client_hello(ssl.TLSVersion.TLSv1_3, None, []),
        "tls12": client_hello(ssl.TLSVersion.TLSv1_2, "db.example.com", ["h2", "http/1.1"]),
    },
    "fuzz_capture": {name: b"\x07" + file for name, file in CAPTURES.items()},
    "fuzz_config": {name: text.encode() for name, text in CONFIGS.items()},
    "fuzz_pem": PEM_FILES,
    "fuzz_proxy_header": PROXY_HEADERS,
    "fuzz_overlap": {
        "cancel": b"\0cancel 4711 0123456789abcdef " + ADDRESS + b" limited",
        "cancel-later": b"\0cancel 1 00 " + ADDRESS + b" free and more",
        "outcome": b"\1matched 127.0.0.1:5432 no answer",
        "outcome-delivered": b"\1matched [::1]:5432 ",
        "outcome-unknown": b"\1unknown",
        "counts": b"\2served 12\naddress " + ADDRESS + b" 3\nlogins 6100620063 2\nlater 1\n",
        "roles": b"\xfdprimary\torders\tdb-1:5432\t10.0.0.1:5432\nstandby\torders\tdb-2:5432\t10.0.0.2:5432\nwitness\ta\tb\tc\n",
        "roles-short": b"\x0dprimary\torders\tdb-1:5432\t10.0.0.1:5432\nstandby\ta\tb\tc\n",
        "frame": b"\4counts 5\nabcde",
        "frame-of-a-run": b"\4metrics 3 0123-4567\nabc",
    },
}

for target, seeds in SEEDS.items():
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (folder / name).write_bytes(data)
    print(f"{target}: {len(seeds)} seeds")
