#!/usr/bin/python3
"""Logs in with psqlODBC, through unixODBC and pyodbc. What a client program is: ../README.md.

The driver is on libpq. It has words of its own for some parameters, and hands on what `pqopt` has. A failed connection has ODBC's state
08001, whatever the server said: so there is no SQLSTATE to report.
"""

import ctypes
import subprocess

import pyodbc

from libpq import conninfo, version_text
from logins import TIMEOUT, serve

LIBPQ = ctypes.CDLL("libpq.so.5").PQlibVersion()
OWN_NAMES = {"host": "Servername", "port": "Port", "user": "Username", "password": "Password", "dbname": "Database", "sslmode": "SSLmode"}


def login(request: dict) -> str:
    parameters = conninfo(request, LIBPQ)
    own = {OWN_NAMES[name]: parameters.pop(name) for name in OWN_NAMES if name in parameters}
    own["pqopt"] = "{" + " ".join(f"{name}={value}" for name, value in parameters.items()) + "}"
    attributes = ";".join(f"{name}={value}" for name, value in own.items())
    connection = connect(f"Driver={{PostgreSQL Unicode}};{attributes}")
    try:
        return connection.execute("SELECT current_user || ':' || ?", "42").fetchone()[0]
    finally:
        connection.close()


def connect(attributes: str) -> pyodbc.Connection:
    try:
        # `ansi`: otherwise pyodbc connects once more, by ODBC's other function, when the first has failed.
        return pyodbc.connect(attributes, timeout=TIMEOUT, ansi=True)
    except pyodbc.Error as error:
        raise ConnectionError(error.args[-1].removeprefix("[08001] ").removesuffix(" (101) (SQLDriverConnect)")) from None


def version() -> str:
    """The driver tells its own only on a connection."""
    query = ["dpkg-query", "-W", "-f=${source:Upstream-Version}", "odbc-postgresql"]
    return subprocess.run(query, stdout=subprocess.PIPE, text=True, check=True).stdout


pyodbc.pooling = False  # it would keep connections that are closed
serve("psqlODBC", version(), f"libpq {version_text(LIBPQ)}, unixODBC", login)
