#!/usr/bin/python3
"""psycopg 3: server-side prepared statements from the first execution, binary parameters, pipeline mode, COPY."""
import asyncio
import datetime
import decimal

import psycopg
from psycopg import errors


def basics(c):
    c.execute("DROP TABLE IF EXISTS drv_psycopg3")
    c.execute("CREATE TABLE drv_psycopg3 (id int PRIMARY KEY, v text, d date, n numeric, b bytea, a int[], at timestamptz)")
    row = (1, "grüß € 🐘 '; --", datetime.date(2024, 2, 29), decimal.Decimal("12.50"), b"\x00\xff\\", [1, None],
           datetime.datetime(2024, 1, 2, 3, 4, 5, 6, datetime.timezone.utc))
    for binary in (False, True):
        c.execute("DELETE FROM drv_psycopg3")
        with c.cursor(binary=binary) as cur:
            cur.execute("INSERT INTO drv_psycopg3 VALUES (%s, %s, %s, %s, %b, %s, %s)", row, prepare=True)
            got = cur.execute("SELECT * FROM drv_psycopg3 WHERE id = %s", (1,), prepare=True).fetchone()
            assert got == row, got


def prepared(c):
    for i in range(30):     # prepared on the server, used again, and more of them than the client keeps
        assert c.execute("SELECT %s::int + 1", (i,), prepare=True).fetchone() == (i + 1,)
        assert c.execute("SELECT %%s::int + %d" % i, (1,), prepare=True).fetchone() == (i + 1,)
    with c.cursor() as cur:
        cur.executemany("INSERT INTO drv_psycopg3 (id, v) VALUES (%s, %s)", [(i, "m%d" % i) for i in range(10, 510)])
    assert c.execute("SELECT count(*) FROM drv_psycopg3").fetchone() == (501,)


def transactions(c):
    try:
        with c.transaction():
            c.execute("DELETE FROM drv_psycopg3")
            raise psycopg.Rollback
    except psycopg.Rollback:
        pass
    with c.transaction():
        try:
            with c.transaction():
                c.execute("INSERT INTO drv_psycopg3 (id) VALUES (%s)", (1,), prepare=True)
            raise AssertionError("no unique violation")
        except errors.UniqueViolation:
            pass
        assert c.execute("SELECT count(*) FROM drv_psycopg3", prepare=True).fetchone() == (501,)
    try:
        c.execute("SELECT %s / 0", (1,), prepare=True)
        raise AssertionError("no division by zero")
    except errors.DivisionByZero as e:
        assert e.sqlstate == "22012"


def pipeline(c):
    with c.pipeline() as p:
        cursors = [c.execute("SELECT %s::int * 2", (i,)) for i in range(200)]
        p.sync()
        assert [x.fetchone()[0] for x in cursors] == [2 * i for i in range(200)]
    try:
        with c.pipeline():
            c.execute("INSERT INTO drv_psycopg3 (id) VALUES (9000)")
            c.execute("SELECT 1/0")
            c.execute("INSERT INTO drv_psycopg3 (id) VALUES (9001)")
        raise AssertionError("no error from the pipeline")
    except errors.DivisionByZero:
        pass
    assert c.execute("SELECT count(*) FROM drv_psycopg3 WHERE id >= 9000").fetchone() == (0,)


def copy_and_cursor(c):
    with c.cursor() as cur:
        with cur.copy("COPY drv_psycopg3 (id, v) FROM STDIN") as cp:
            for i in range(2000, 3000):
                cp.write_row((i, "copied"))
        with cur.copy("COPY (SELECT id, v FROM drv_psycopg3 WHERE id >= 2000) TO STDOUT (FORMAT BINARY)") as cp:
            cp.set_types(["int4", "text"])
            assert sum(1 for _ in cp.rows()) == 1000
    with c.transaction(), c.cursor(name="server_side") as cur:
        cur.execute("SELECT id FROM drv_psycopg3 WHERE id >= 2000 ORDER BY id")
        assert cur.fetchmany(3) == [(2000,), (2001,), (2002,)]


async def concurrent(n):
    c = await psycopg.AsyncConnection.connect("", autocommit=True)
    c.prepare_threshold = 0     # names _pg3_0, _pg3_1 … are the same on every connection
    for i in range(60):
        cur = await c.execute("SELECT %%s::int + %d" % n, (i,))
        assert await cur.fetchone() == (i + n,)
        cur = await c.execute("SELECT %%s::text || '%d'" % n, (str(i),))
        assert await cur.fetchone() == ("%d%d" % (i, n),)
    await c.close()


async def all_concurrent():
    await asyncio.gather(*(concurrent(n) for n in range(8)))


c = psycopg.connect("", autocommit=True)
for step in (basics, prepared, transactions, pipeline, copy_and_cursor):
    step(c)
asyncio.run(all_concurrent())
c.execute("DROP TABLE drv_psycopg3")
c.close()
print("PASS")
