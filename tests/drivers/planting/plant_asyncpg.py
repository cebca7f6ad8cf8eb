#!/usr/bin/python3
"""asyncpg: everything is binary, and every query with parameters is prepared."""

import asyncio
import os

import asyncpg

WORD = {name[6:].lower(): value for name, value in os.environ.items() if name.startswith("PLANT_")}
half = len(WORD["row"]) // 2


async def plant():
    connection = await asyncpg.connect(ssl="require")
    await connection.execute(f"SELECT length('{WORD['literal']}')")
    assert tuple(await connection.fetchrow("SELECT $1::text || '', $2::bigint + 0", WORD["bind"], int(WORD["number"]))) == \
        (WORD["bind"], int(WORD["number"]))
    assert await connection.fetchval(f"SELECT concat('{WORD['row'][:half]}', '{WORD['row'][half:]}')") == WORD["row"]
    await connection.execute("CREATE TEMP TABLE planted (word text)")
    await connection.executemany("INSERT INTO planted VALUES ($1)", [(WORD["bind"],), (WORD["row"],)])
    await connection.copy_records_to_table("planted", records=[(WORD["copy"],)])
    async with connection.transaction():
        assert len([row async for row in connection.cursor("SELECT word FROM planted", prefetch=1)]) == 3
    try:
        await connection.execute(f"ALTER ROLE nobody_at_all PASSWORD '{WORD['role']}'")
        raise SystemExit("the role exists")
    except asyncpg.UndefinedObjectError:
        pass
    await connection.close()


asyncio.run(plant())
