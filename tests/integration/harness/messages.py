"""PostgreSQL's messages as bytes (protocol chapter of the manual). Pure: no sockets."""

import struct

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSSENC_REQUEST = struct.pack("!II", 8, 80877104)
CANCEL_CODE = 80877102
PROTOCOL_3_0 = 3 << 16


def startup(user="trust_user", database="postgres", version=PROTOCOL_3_0, **parameters) -> bytes:
    pairs = {"user": user, "database": database, **parameters}
    body = b"".join(_cstring(text) for pair in pairs.items() for text in pair) + b"\0"
    return struct.pack("!II", len(body) + 8, version) + body


def parse_startup(body: bytes) -> dict[str, str]:
    """The parameters behind length and version."""
    words = body.rstrip(b"\0").decode(errors="surrogateescape").split("\0")
    return dict(zip(words[::2], words[1::2]))


def cancel_request(pid: int, key: bytes) -> bytes:
    return struct.pack("!III", 12 + len(key), CANCEL_CODE, pid) + key


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def query(sql: str) -> bytes:
    return message(b"Q", _cstring(sql))


def password(text: str | bytes) -> bytes:
    return message(b"p", _cstring(text))


# Authentication requests
OK, CLEARTEXT, MD5, GSS, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 7, 10, 11, 12


def authentication(code: int, data: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!I", code) + data)


def sasl_offer(*mechanisms: str) -> bytes:
    return authentication(SASL, b"".join(map(_cstring, mechanisms)) + b"\0")


def sasl_initial_response(mechanism: str, data: bytes | None) -> bytes:
    """`data` None: the client waits to be asked for it."""
    return message(b"p", _cstring(mechanism) + (struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data))


def parse_sasl_initial_response(body: bytes) -> tuple[str, bytes]:
    mechanism, _, rest = body.partition(b"\0")
    return mechanism.decode(), rest[4:]


TERMINATE = message(b"X")
AUTHENTICATION_OK = authentication(OK)
READY_FOR_QUERY = message(b"Z", b"I")


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", _cstring(name) + _cstring(value))


def backend_key_data(pid: int, key: bytes) -> bytes:
    return message(b"K", struct.pack("!I", pid) + key)


def error_response(sqlstate: str, text: str, severity="FATAL") -> bytes:
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": text}
    return message(b"E", b"".join(key.encode() + _cstring(value) for key, value in fields.items()) + b"\0")


class ErrorResponse(Exception):
    """Raised where a test expects something else; returned where it expects an error."""

    def __init__(self, body: bytes):
        self.fields = {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}
        super().__init__(str(self.fields))

    severity = property(lambda self: self.fields.get("V", self.fields.get("S")))
    sqlstate = property(lambda self: self.fields.get("C"))
    message = property(lambda self: self.fields.get("M", ""))
    detail = property(lambda self: self.fields.get("D", ""))
    hint = property(lambda self: self.fields.get("H", ""))


def parse_row(body: bytes) -> list:
    (count,), position, row = struct.unpack_from("!H", body), 2, []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        row.append(None if length < 0 else body[position:position + length])
        position += max(length, 0)
    return row


def _cstring(text: str | bytes) -> bytes:
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"
