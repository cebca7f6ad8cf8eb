"""The client's side of SCRAM-SHA-256 (RFC 5802, 7677), with a gs2 flag of the test's choice: drivers differ only there."""

import base64
import hashlib
import hmac
import os


class ScramClient:
    def __init__(self, password: str, flag: str):
        """`flag`: "n", or "y": would bind the channel, but thinks that the server cannot."""
        self._password = password.encode()
        self._gs2 = f"{flag},,"
        self._bare = "n=,r=" + base64.b64encode(os.urandom(18)).decode()

    def first(self) -> bytes:
        return (self._gs2 + self._bare).encode()

    def final(self, server_first: bytes) -> bytes:
        fields = dict(part.split("=", 1) for part in server_first.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = _hmac(salted, b"Client Key")
        without_proof = f"c={base64.b64encode(self._gs2.encode()).decode()},r={fields['r']}"
        signed = ",".join((self._bare, server_first.decode(), without_proof)).encode()
        signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final: bytes) -> None:
        assert server_final == b"v=" + base64.b64encode(self._server_signature), "the server did not prove that it knows the password"


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()
