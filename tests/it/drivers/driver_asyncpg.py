#!/usr/bin/python3
"""asyncpg: binary protocol, its statement cache (named statements), portals with row limits, COPY, a pool."""
import asyncio
import datetime
import decimal

import asyncpg


async def basics(c):
    await c.execute("DROP TABLE IF EXISTS drv_asyncpg; CREATE TABLE drv_asyncpg (id int PRIMARY KEY, v text, d date, "
                    "n numeric, b bytea, a text[])")
    row = (1, "grüß € 🐘", datetime.date(2024, 2, 29), decimal.Decimal("12.50"), b"\x00\xff", ["x", None])
    await c.execute("INSERT INTO drv_asyncpg VALUES ($1, $2, $3, $4, $5, $6)", *row)
    assert tuple(await c.fetchrow("SELECT * FROM drv_asyncpg WHERE id = $1", 1)) == row
    await c.executemany("INSERT INTO drv_asyncpg (id, v) VALUES ($1, $2)", [(i, "m") for i in range(10, 510)])
    assert await c.fetchval("SELECT count(*) FROM drv_asyncpg") == 501
    st = await c.prepare("SELECT $1::int + $2::int")
    assert [await st.fetchval(i, 1) for i in range(20)] == list(range(1, 21))


async def transactions(c):
    tr = c.transaction()
    await tr.start()
    await c.execute("DELETE FROM drv_asyncpg")
    await tr.rollback()
    async with c.transaction(isolation="repeatable_read"):
        try:
            async with c.transaction():
                await c.execute("INSERT INTO drv_asyncpg (id) VALUES ($1)", 1)
            raise AssertionError("no unique violation")
        except asyncpg.UniqueViolationError as e:
            assert e.sqlstate == "23505"
        assert await c.fetchval("SELECT count(*) FROM drv_asyncpg") == 501
        seen = [r["id"] async for r in c.cursor("SELECT id FROM drv_asyncpg WHERE id >= 10 ORDER BY id", prefetch=50)]
        assert seen == list(range(10, 510))
    try:
        await c.fetchval("SELECT 1 / $1::int", 0)
        raise AssertionError("no division by zero")
    except asyncpg.DivisionByZeroError:
        pass
    assert await c.fetchval("SELECT 7") == 7


async def copy(c):
    n = await c.copy_records_to_table("drv_asyncpg", records=[(i, "c") for i in range(2000, 3000)], columns=["id", "v"])
    assert n == "COPY 1000", n
    chunks = []

    async def take(data):
        chunks.append(data)

    await c.copy_from_query("SELECT id FROM drv_asyncpg WHERE id >= $1", 2000, output=take)
    assert len(b"".join(chunks).splitlines()) == 1000


async def concurrent(pool, n):
    for i in range(60):
        async with pool.acquire() as c:
            assert await c.fetchval("SELECT $1::int + %d" % n, i) == i + n
            async with c.transaction():
                assert await c.fetchval("SELECT $1::text || '%d'" % n, str(i)) == "%d%d" % (i, n)


async def timeout(c):
    try:
        await c.fetchval("SELECT pg_sleep(30)", timeout=0.3)    # sends a cancel request
        raise AssertionError("no timeout")
    except asyncio.TimeoutError:
        pass
    assert await c.fetchval("SELECT 8") == 8


async def main():
    c = await asyncpg.connect()
    for step in (basics, transactions, copy, timeout):
        await step(c)
    async with asyncpg.create_pool(min_size=8, max_size=8) as pool:
        await asyncio.gather(*(concurrent(pool, n) for n in range(16)))
    await c.execute("DROP TABLE drv_asyncpg")
    await c.close()
    print("PASS")


asyncio.run(main())
