#!/usr/bin/python3
"""Logs in with asyncpg. What a client program is: ../README.md."""

import asyncio
import ssl

import asyncpg

from logins import TIMEOUT, NotSupported, serve


def login(request: dict) -> str:
    return asyncio.run(attempt(request))


async def attempt(request: dict) -> str:
    if request.get("channel_binding") not in (None, "disable"):
        raise NotSupported("asyncpg knows no channel binding")
    direct = request.get("sslnegotiation") == "direct"
    connection = await asyncpg.connect(**{name: request[name] for name in ("host", "port", "user", "password")}, database=request["dbname"],
                                       ssl=tls(request, direct), direct_tls=direct, timeout=TIMEOUT)
    try:
        return await connection.fetchval("SELECT current_user || ':' || $1", "42")
    finally:
        await connection.close()


def tls(request: dict, direct: bool):
    """asyncpg's own sslmode where it can be given as a word."""
    if request["sslmode"] != "verify-full" and not direct and not request.get("sslcert"):
        return request["sslmode"]
    context = ssl.create_default_context(cafile=request["sslrootcert"])
    if request["sslmode"] == "require":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if direct:
        context.set_alpn_protocols(["postgresql"])  # asyncpg does not do that by itself
    if request.get("sslcert"):
        context.load_cert_chain(request["sslcert"], request["sslkey"])
    return context


serve("asyncpg", asyncpg.__version__, None, login, lambda error: getattr(error, "sqlstate", None))
