"""SCRAM-SHA-256 and -PLUS (RFC 5802, 7677), both sides, with a gs2 flag and lies of the test's choice: drivers differ only there."""

import base64
import hashlib
import hmac
import os
import ssl

from . import secrets

PLAIN, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
END_POINT = "p=tls-server-end-point"


class ScramClient:
    def __init__(self, password: str | bytes, flag: str, end_point: bytes = b""):
        """`flag`: "n", "y": would bind the channel, but thinks that the server cannot; "p": binds it to `end_point`.

        The password is used as it is, without SASLprep.
        """
        self.mechanism = PLUS if flag == "p" else PLAIN
        self._password = as_bytes(password)
        self._gs2 = f"{END_POINT if flag == 'p' else flag},,"
        self._end_point = end_point
        self._bare = "n=,r=" + secrets.tell(_random())

    def first(self) -> bytes:
        return (self._gs2 + self._bare).encode()

    def final(self, server_first: bytes) -> bytes:
        fields = attributes(server_first)
        keys = Keys(self._password, base64.b64decode(fields["s"]), int(fields["i"]))
        binding = _base64(self._gs2.encode() + self._end_point)
        without_proof = f"c={secrets.tell(binding) if self._end_point else binding},r={secrets.tell(fields['r'])}"
        signed = ",".join((self._bare, server_first.decode(), without_proof)).encode()
        proof = _xor(keys.client, _hmac(keys.stored, signed))
        self._server_signature = _hmac(keys.server, signed)
        return f"{without_proof},p={secrets.tell(_base64(proof))}".encode()

    def check(self, server_final: bytes) -> None:
        expected = b"v=" + secrets.tell(_base64(self._server_signature)).encode()
        assert server_final == expected, "the server did not prove that it knows the password"


class ScramServer:
    """A server that knows the password. It refuses nothing, but keeps what it was told for the test to judge."""

    def __init__(self, password: str | bytes, *, iterations=4096):
        self.iterations = iterations
        self._password = as_bytes(password)
        self.flag = ""      # the client's: n, y, p
        self.bound = b""    # what the client bound itself to, behind the gs2 header
        self.proved = None  # whether the client knew the password

    def first(self, client_first: bytes, *, salt=None, nonce=None, iterations=None) -> bytes:
        """`nonce`, `iterations`: other ones than a decent server's."""
        self.flag = client_first.decode()[:1]
        self._gs2, self._bare = _split_first(client_first.decode())
        self.client_nonce = attributes(self._bare.encode())["r"]
        self._salt = salt or os.urandom(16)
        nonce = nonce if nonce is not None else self.client_nonce + _random()
        self._first = f"r={secrets.tell(nonce)},s={_base64(self._salt)},i={self.iterations if iterations is None else iterations}"
        return self._first.encode()

    def final(self, client_final: bytes) -> bytes:
        without_proof, _, proof = client_final.decode().rpartition(",p=")
        binding = base64.b64decode(attributes(client_final)["c"])
        assert binding.startswith(self._gs2.encode()), binding
        self.bound = binding[len(self._gs2):]
        keys = Keys(self._password, self._salt, self.iterations)
        signed = ",".join((self._bare, self._first, without_proof)).encode()
        self.proved = _xor(keys.client, _hmac(keys.stored, signed)) == base64.b64decode(secrets.tell(proof))
        return b"v=" + secrets.tell(_base64(_hmac(keys.server, signed))).encode()


class Keys:
    """What both sides derive from a password (RFC 5802, section 3)."""

    def __init__(self, password: bytes, salt: bytes, iterations: int):
        salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
        self.client = _hmac(salted, b"Client Key")
        self.stored = hashlib.sha256(self.client).digest()
        self.server = _hmac(salted, b"Server Key")


def secret(password: str | bytes, *, salt: bytes | None = None, iterations=4096) -> str:
    """As in pg_authid.rolpassword. The password is used as it is, without SASLprep."""
    salt = salt or os.urandom(16)
    keys = Keys(as_bytes(password), salt, iterations)
    return secrets.tell(f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(keys.stored)}:{_base64(keys.server)}")


def end_point(certificate, digest="sha256") -> bytes:
    """tls-server-end-point (RFC 5929, section 4) of a harness.pki.Certificate, or of the DER that a TLS client has seen."""
    der = certificate if isinstance(certificate, bytes) else ssl.PEM_cert_to_DER_cert(certificate.cert.read_text())
    return hashlib.new(digest, der).digest()


def attributes(message: bytes) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.decode().split(",") if "=" in part)


def as_bytes(password: str | bytes) -> bytes:
    return password.encode() if isinstance(password, str) else password


def _split_first(message: str) -> tuple[str, str]:
    flag, authorization, bare = message.split(",", 2)
    return f"{flag},{authorization},", bare


def _random() -> str:
    return _base64(os.urandom(18))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b))


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()
