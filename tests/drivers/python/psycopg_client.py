#!/usr/bin/python3
"""Logs in with psycopg 3. What a client program is: ../README.md."""

import psycopg

from libpq import conninfo, version_text
from logins import TIMEOUT, serve

LIBPQ = psycopg.pq.version()


def login(request: dict) -> str:
    with psycopg.connect(**conninfo(request, LIBPQ), connect_timeout=TIMEOUT) as connection:
        return connection.execute("SELECT current_user || ':' || %s", ("42",)).fetchone()[0]


serve("psycopg", psycopg.__version__, f"libpq {version_text(LIBPQ)}", login, lambda error: getattr(error, "sqlstate", None))
