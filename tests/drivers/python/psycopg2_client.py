#!/usr/bin/python3
"""Logs in with psycopg2. What a client program is: ../README.md."""

import psycopg2

from libpq import conninfo, version_text
from logins import TIMEOUT, serve

LIBPQ = psycopg2.extensions.libpq_version()


def login(request: dict) -> str:
    connection = psycopg2.connect(**conninfo(request, LIBPQ), connect_timeout=TIMEOUT)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user || ':' || %s", ("42",))
            return cursor.fetchone()[0]
    finally:
        connection.close()


serve("psycopg2", psycopg2.__version__.split()[0], f"libpq {version_text(LIBPQ)}", login, lambda error: getattr(error, "pgcode", None))
