#!/usr/bin/python3
"""Logs in with asyncpg. What a client program is: ../README.md."""

import asyncio
import ssl
from urllib.parse import urlencode

import asyncpg

from logins import TIMEOUT, NotSupported, serve


def login(request: dict) -> str:
    return asyncio.run(attempt(request))


async def attempt(request: dict) -> str:
    if request.get("channel_binding") not in (None, "disable"):
        raise NotSupported("asyncpg knows no channel binding")
    direct = request.get("sslnegotiation") == "direct"
    own = not direct and not request.get("sslcert")
    connection = await asyncpg.connect(url(request) if own else None, **{name: request[name] for name in ("host", "port", "user", "password")},
                                       database=request["dbname"], ssl=None if own else context(request, direct), direct_tls=direct,
                                       timeout=TIMEOUT)
    try:
        return await connection.fetchval("SELECT current_user || ':' || $1", "42")
    finally:
        await connection.close()


def url(request: dict) -> str:
    """asyncpg's own sslmode and sslrootcert."""
    settings = {name: request[name] for name in ("sslmode", "sslrootcert") if request.get(name)}
    return f"postgresql:///?{urlencode(settings)}"


def context(request: dict, direct: bool) -> ssl.SSLContext:
    if request["sslmode"] not in ("require", "verify-full"):
        raise NotSupported("with an SSLContext, asyncpg has no modes")
    context = ssl.create_default_context(cafile=request.get("sslrootcert"))
    if request["sslmode"] == "require":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if direct:
        context.set_alpn_protocols(["postgresql"])  # asyncpg does not do that by itself
    if request.get("sslcert"):
        context.load_cert_chain(request["sslcert"], request["sslkey"])
    return context


serve("asyncpg", asyncpg.__version__, None, login, lambda error: getattr(error, "sqlstate", None))
