#!/usr/bin/python3
"""psycopg2: the simple protocol with client-side parameters, COPY, named cursors, savepoints."""
import datetime
import decimal
import io
import threading

import psycopg2
import psycopg2.errors
import psycopg2.extras


def basics(c):
    cur = c.cursor()
    cur.execute("DROP TABLE IF EXISTS drv_psycopg2")
    cur.execute("CREATE TABLE drv_psycopg2 (id int PRIMARY KEY, v text, d date, n numeric, b bytea, j jsonb, a int[])")
    c.commit()
    row = (1, "grüß € 🐘 '; --", datetime.date(2024, 2, 29), decimal.Decimal("12.50"), b"\x00\xff\\", {"k": [1]}, [1, 2])
    cur.execute("INSERT INTO drv_psycopg2 VALUES (%s, %s, %s, %s, %s, %s, %s)",
                row[:5] + (psycopg2.extras.Json(row[5]), row[6]))
    cur.execute("INSERT INTO drv_psycopg2 (id) VALUES (2)")
    c.commit()
    cur.execute("SELECT * FROM drv_psycopg2 ORDER BY id")
    got = cur.fetchall()
    assert got[0][:4] == row[:4] and bytes(got[0][4]) == row[4] and got[0][5:] == row[5:], got
    assert got[1] == (2, None, None, None, None, None, None)


def transactions(c):
    cur = c.cursor()
    cur.execute("DELETE FROM drv_psycopg2")
    c.rollback()
    cur.execute("SAVEPOINT a")
    try:
        cur.execute("INSERT INTO drv_psycopg2 (id) VALUES (1)")
        raise AssertionError("no unique violation")
    except psycopg2.errors.UniqueViolation as e:
        assert e.pgcode == "23505" and e.diag.constraint_name == "drv_psycopg2_pkey"
    cur.execute("ROLLBACK TO a")
    cur.execute("SELECT count(*) FROM drv_psycopg2")
    assert cur.fetchone() == (2,)
    c.commit()
    with c, c.cursor() as inner:
        psycopg2.extras.execute_values(inner, "INSERT INTO drv_psycopg2 (id, v) VALUES %s",
                                       [(i, "v%d" % i) for i in range(10, 1010)])
    cur.execute("SELECT count(*) FROM drv_psycopg2 WHERE id >= 10")
    assert cur.fetchone() == (1000,)
    c.commit()


def copy_and_cursor(c):
    cur = c.cursor()
    cur.copy_expert("COPY drv_psycopg2 (id, v) FROM STDIN", io.StringIO("".join("%d\tc\n" % i for i in range(2000, 3000))))
    out = io.StringIO()
    cur.copy_expert("COPY (SELECT id FROM drv_psycopg2 WHERE id >= 2000) TO STDOUT", out)
    assert len(out.getvalue().splitlines()) == 1000
    named = c.cursor(name="server_side")
    named.itersize = 100
    named.execute("SELECT id FROM drv_psycopg2 WHERE id >= 2000 ORDER BY id")
    assert [r[0] for r in named] == list(range(2000, 3000))
    named.close()
    c.commit()


def concurrent(n, failures):
    try:
        c = psycopg2.connect("")
        c.autocommit = True
        cur = c.cursor()
        for i in range(50):
            cur.execute("SELECT %s::int + %s", (i, n))
            assert cur.fetchone() == (i + n,)
        c.close()
    except Exception as e:
        failures.append(e)


c = psycopg2.connect("")
basics(c)
transactions(c)
copy_and_cursor(c)
failures = []
threads = [threading.Thread(target=concurrent, args=(n, failures)) for n in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not failures, failures
cur = c.cursor()
cur.execute("DROP TABLE drv_psycopg2")
c.commit()
c.close()
print("PASS")
