#!/usr/bin/python3
"""Logs in with the program psql, one process for each login: psql_client.py /path/to/psql. What a client program is: ../README.md."""

import os
import re
import subprocess
import sys

from libpq import conninfo
from logins import TIMEOUT, serve

PSQL = sys.argv[1]
VERSION = re.search(r"\d+\.\d+", subprocess.run([PSQL, "--version"], check=True, capture_output=True, text=True).stdout).group()
VARIABLES = {"user": "PGUSER", "dbname": "PGDATABASE", "channel_binding": "PGCHANNELBINDING"}


def login(request: dict) -> str:
    parameters = conninfo(request, int(VERSION.split(".")[0]) * 10000)
    settings = {VARIABLES.get(name, f"PG{name.upper()}"): str(value) for name, value in parameters.items()}
    try:
        # Variables stand for parameters: \bind came with psql 16.
        done = subprocess.run([PSQL, "-X", "-A", "-t", "-q", "-w", "-v", "value=42"], input="SELECT current_user || ':' || :'value'",
                              env={**os.environ, **settings}, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise TimeoutError("timeout") from None
    if done.returncode:
        raise ConnectionError(done.stderr)
    return done.stdout.strip()


serve("psql", VERSION, f"libpq {VERSION}", login)
