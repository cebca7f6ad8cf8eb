#!/usr/bin/python3
"""psycopg 3: plain and binary parameters and rows, prepared statements, a pipeline, COPY."""

import os

import psycopg

WORD = {name[6:].lower(): value for name, value in os.environ.items() if name.startswith("PLANT_")}
half = len(WORD["row"]) // 2

with psycopg.connect(sslmode="require", autocommit=True) as connection:
    connection.execute(f"SELECT length('{WORD['literal']}')")
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        for prepare in (False, True):
            cursor.execute("SELECT %b::text || '', %b::bigint + 0" if binary else "SELECT %t::text || '', %t::bigint + 0",
                           (WORD["bind"], int(WORD["number"])), prepare=prepare)
            assert cursor.fetchone() == (WORD["bind"], int(WORD["number"]))
        cursor.execute(f"SELECT concat('{WORD['row'][:half]}', '{WORD['row'][half:]}')")
        assert cursor.fetchone() == (WORD["row"],)
    connection.execute("CREATE TEMP TABLE planted (word text)")
    with connection.pipeline(), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO planted VALUES (%s)", [(WORD["bind"],), (WORD["row"],)])
        rows = connection.execute("SELECT word FROM planted", binary=True)
        assert len(rows.fetchall()) == 2
    with connection.cursor().copy("COPY planted FROM STDIN") as copy:
        copy.write_row([WORD["copy"]])
    with connection.cursor().copy("COPY planted TO STDOUT (FORMAT binary)") as copy:
        assert WORD["copy"].encode() in b"".join(bytes(part) for part in copy)
    try:
        connection.execute(f"ALTER ROLE nobody_at_all PASSWORD '{WORD['role']}'")
        raise SystemExit("the role exists")
    except psycopg.errors.UndefinedObject:
        pass
