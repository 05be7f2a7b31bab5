"""PostgreSQL's own programs through Weir: psql's backslash commands, pg_dump, pgbench."""
import os
import subprocess

import pytest

BIN = os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin")


def run(weir, program, *args, database="drivers", text=None):
    env = dict(os.environ, PGPASSWORD="app-secret", PGHOST="127.0.0.1", PGPORT=str(weir.port), PGUSER="app", PGDATABASE=database,
               PGSSLMODE="prefer")
    r = subprocess.run([os.path.join(BIN, program), *args], env=env, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=120)
    assert r.returncode == 0, r.stdout
    return r.stdout


@pytest.mark.parametrize("database", ["drivers", "shop"])
@pytest.mark.parametrize("command", ["\\d", "\\d+", "\\dt", "\\di", "\\dv", "\\df", "\\dn", "\\du", "\\l", "\\dp", "\\dx", "\\dT",
                                     "\\ds", "\\dconfig work_mem", "\\conninfo", "\\encoding"])
def test_psql_backslash(weir, database, command):
    out = run(weir, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", command, database=database)
    assert "ERROR" not in out, out


@pytest.mark.parametrize("table", ["customers", "countries"])
def test_psql_describes_a_table(weir, table):
    out = run(weir, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", "\\d " + table, database="shop")
    assert "PRIMARY KEY" in out, out


def test_pg_dump(weir):
    run(weir, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-c",
        "create table if not exists dumped (id int primary key, t text); "
        "insert into dumped select i, 'row ' || i from generate_series(1, 1000) i on conflict do nothing")
    out = run(weir, "pg_dump")
    assert "CREATE TABLE public.dumped" in out and "1000\trow 1000" in out
    run(weir, "psql", "-X", "-c", "drop table dumped")


def test_pgbench(weir):
    run(weir, "pgbench", "-i", "-s", "1", "-q")
    for mode in ("simple", "extended", "prepared"):
        # no more clients than servers: pgbench prepares by calls that block all its clients
        out = run(weir, "pgbench", "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "40")
        assert "number of transactions actually processed: 160/160" in out, out
        out = run(weir, "pgbench", "-n", "-S", "-M", mode, "-c", "8", "-j", "2", "-t", "50")
        assert "number of failed transactions: 0" in out, out
    script = "\\startpipeline\nselect 1;\nselect 2;\n\\endpipeline\n"
    path = "/tmp/weir-pipeline-%d.sql" % os.getpid()
    with open(path, "w") as f:
        f.write(script)
    try:
        run(weir, "pgbench", "-n", "-M", "extended", "-f", path, "-c", "4", "-t", "20")
    finally:
        os.unlink(path)
    run(weir, "psql", "-X", "-c", "drop table pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers")
