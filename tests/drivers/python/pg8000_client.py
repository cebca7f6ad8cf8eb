#!/usr/bin/python3
"""Logs in with pg8000: Debian 12's 1.10, which knows neither SCRAM nor TLS that verifies, or a later one. What a client program is:
../README.md."""

import inspect
import re
import ssl
import warnings
from importlib.metadata import version

import pg8000

from logins import TIMEOUT, NotSupported, serve

VERIFIES = "ssl_context" in inspect.signature(pg8000.connect).parameters
warnings.simplefilter("ignore", DeprecationWarning)  # 1.10 calls ssl.wrap_socket


def login(request: dict) -> str:
    if request.get("channel_binding") is not None:
        raise NotSupported("pg8000 has no such setting")
    if request.get("sslnegotiation") == "direct":
        raise NotSupported("pg8000 knows no direct TLS")
    connection = pg8000.connect(**{name: request[name] for name in ("host", "port", "user", "password")}, database=request["dbname"],
                                **tls(request), timeout=TIMEOUT)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT current_user || ':' || %s", ("42",))
        return cursor.fetchone()[0]
    finally:
        connection.close()


def tls(request: dict) -> dict:
    if request["sslmode"] == "disable":
        return {"ssl_context": False} if VERIFIES else {}  # the later one tries TLS unless forbidden
    if request["sslmode"] in ("allow", "prefer", "require") and request.get("sslrootcert"):
        raise NotSupported("the SSLContext alone says what is verified")
    if not VERIFIES:
        if request["sslmode"] != "require":
            raise NotSupported("this pg8000 has TLS or not, and never verifies")
        return {"ssl": True}
    if request["sslmode"] == "allow":
        raise NotSupported("pg8000 tries TLS first or not at all")
    if request["sslmode"] == "prefer":
        return {"ssl_context": None}
    context = ssl.create_default_context(cafile=request.get("sslrootcert"))
    context.check_hostname = request["sslmode"] == "verify-full"
    if request["sslmode"] == "require":
        context.verify_mode = ssl.CERT_NONE
    if request.get("sslcert"):
        context.load_cert_chain(request["sslcert"], request["sslkey"])
    return {"ssl_context": context}


def sqlstate(error: Exception) -> str | None:
    """The later one gives the fields of a server's error by their letters, the old one in order."""
    if error.args and isinstance(error.args[0], dict):
        return error.args[0].get("C")
    return next((text for text in error.args if isinstance(text, str) and re.fullmatch("(?=.*[0-9])[0-9A-Z]{5}", text)), None)


serve("pg8000", version("pg8000"), None, login, sqlstate)
