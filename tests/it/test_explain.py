"""weir explain, without a server: what it prints, its exit codes, and that wrong usage is told."""
import json
import subprocess

import pytest

import harness

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")

CONFIG = """\
auth = { type = "trust"; };
databases = (
  { name = "shop"; default_shard = "s1";
    shards = (
      { name = "s1"; primary = "host=127.0.0.1 port=1 dbname=shop"; },
      { name = "s2"; primary = "host=127.0.0.1 port=1 dbname=shop"; } );
%s
  },
  { name = "plain"; shards = ( { name = "only"; primary = "host=127.0.0.1 port=1"; } ); } );
"""
SCHEMA = harness.SHOP_TABLES + """
CREATE VIEW rich AS SELECT id, name FROM customers WHERE credit > 1000;
CREATE FUNCTION touch(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT $1';
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    d = tmp_path_factory.mktemp("explain")
    (d / "weir.conf").write_text(CONFIG % harness.SHOP_MAP)
    (d / "schema.sql").write_text(SCHEMA)
    return d


@pytest.fixture
def explain(folder):
    def run(*args, database="shop", schema=True, code=0, stdin=None):
        command = [harness.WEIR_BIN, "explain", "-c", str(folder / "weir.conf"), "-d", database]
        command += ["--schema", str(folder / "schema.sql")] if schema else []
        r = subprocess.run(command + list(args), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=60)
        assert r.returncode == code, r.stdout + r.stderr
        return r.stdout if code != 2 else r.stderr
    return run


def one(explain, sql, *args, **kw):
    """The only statement of the JSON answer."""
    got = json.loads(explain("--json", *args, sql, **kw))
    assert len(got["statements"]) == 1
    return got["statements"][0]


def test_key(explain):
    assert one(explain, "SELECT * FROM customers WHERE id = 42")["shards"] == ["s2"]
    got = one(explain, "SELECT * FROM customers WHERE id = 46")
    assert got["shards"] == ["s1"] and got["plan"] == "one" and got["replica"] is True


def test_write_goes_to_the_primary(explain):
    got = one(explain, "UPDATE orders SET note = 'x' WHERE customer_id = 42")
    assert got["shards"] == ["s2"] and got["replica"] is False


def test_range_and_directory(explain):
    assert one(explain, "SELECT * FROM events WHERE happened_on = '2025-12-31'")["shards"] == ["s1"]
    assert one(explain, "SELECT * FROM events WHERE happened_on = '2026-01-01'")["shards"] == ["s2"]
    assert one(explain, "SELECT * FROM tenants WHERE name = 'acme'")["shards"] == ["s2"]
    assert one(explain, "SELECT * FROM tenants WHERE name = 'nobody'")["shards"] == ["s1"]


def test_reference_table_is_anywhere(explain):
    assert one(explain, "SELECT * FROM countries")["plan"] == "any"


def test_text(explain):
    out = explain("SELECT * FROM customers WHERE id = 42; SELECT * FROM customers WHERE id = 46")
    assert "runs on: shard s2" in out and "runs on: shard s1" in out
    assert out.count("statement: select") == 2
    assert "customers: id = 42" in out


def test_several_shards(explain):
    got = one(explain, "SELECT country, count(*) FROM customers GROUP BY country")
    assert got["plan"] == "several" and got["shards"] == ["s1", "s2"] and "from s1, s2" in got["text"]
    assert "pg_temp.weir_1" in explain("SELECT * FROM customers a JOIN orders b ON b.id = a.id")
    assert one(explain, "UPDATE customers SET credit = 0")["replica"] is False


def test_refused(explain):
    got = one(explain, "SELECT ctid FROM customers", code=1)
    assert got["refused"] is True and got["sqlstate"] == "0A000"
    out = explain("SELECT * FROM customers FOR UPDATE", code=1)
    assert "refused: 0A000: " in out and "hint: " in out


def test_one_refusal_does_not_hide_the_others(explain):
    got = json.loads(explain("--json", "SELECT ctid FROM customers; SELECT * FROM customers WHERE id = 42", code=1))
    assert [s["refused"] for s in got["statements"]] == [True, False]


def test_syntax_error_has_a_position(explain):
    got = one(explain, "SELECT FROM WHERE", code=1)
    assert got["sqlstate"] == "42601" and got["position"] == 13
    assert "position: 13" in explain("SELECT FROM WHERE", code=1)


def test_parameters(explain):
    sql = "SELECT * FROM customers WHERE id = $1"
    assert one(explain, sql, "--param", "42")["shards"] == ["s2"]
    assert one(explain, sql, "-p", "46")["shards"] == ["s1"]
    got = one(explain, sql)
    assert "--param" in got["note"]
    assert one(explain, "SELECT * FROM orders WHERE id = $1 AND customer_id = $2", "--null", "-p", "42")["shards"] == ["s2"]
    assert one(explain, sql, "-p", "forty", code=1)["sqlstate"] == "22P02"
    assert one(explain, "SELECT * FROM orders WHERE customer_id = $2", "-p", "1", code=1)["sqlstate"] == "08P01"


def test_search_path(explain):
    sql = "SELECT * FROM customers WHERE id = 42"
    assert one(explain, sql, "--search-path", "public")["shards"] == ["s2"]
    assert one(explain, "SELECT * FROM public.customers WHERE id = 42", "--search-path", "elsewhere")["shards"] == ["s2"]


def test_standard_input(explain):
    assert one(explain, "-", stdin="SELECT * FROM customers WHERE id = 42")["shards"] == ["s2"]


def test_empty_statement(explain):
    assert json.loads(explain("--json", ""))["statements"] == []


def test_unreachable_server_is_told(explain):
    got = json.loads(explain("--json", "SELECT * FROM customers WHERE id = 42", schema=False))
    assert got["schema_known"] is False and "--schema" in got["schema"]
    assert got["statements"][0]["shards"] == ["s2"]


def test_database_of_one_shard(explain):
    assert one(explain, "SELECT * FROM whatever JOIN anything USING (id)", database="plain")["shards"] == ["only"]


def test_unknown_database(explain):
    explain("SELECT 1", database="nowhere", code=1)


def test_bad_schema_file(folder, explain):
    (folder / "bad.sql").write_text("CREATE TABLE (;")
    explain("--schema", str(folder / "bad.sql"), "SELECT 1", schema=False, code=1)
    explain("--schema", str(folder / "absent.sql"), "SELECT 1", schema=False, code=1)


def test_wrong_usage(explain):
    assert "Usage: weir explain" in explain("SELECT 1", "SELECT 2", code=2)
    assert "Usage: weir explain" in explain("--unknown", "SELECT 1", code=2)
    assert "Usage: weir explain" in explain(code=2)


def test_help(explain):
    out = explain("--help")
    for option in ("--config", "--database", "--schema", "--param", "--null", "--user", "--search-path", "--json"):
        assert option in out


def test_live_schema(fleet, tmp_path):
    """Of the default shard of the running fleet: a view can only be known from there."""
    fleet.psql(fleet.d["shards"][0]["primary"], "SET ROLE app; CREATE OR REPLACE VIEW explained AS "
               "SELECT id, name FROM customers", "shop")
    try:
        conf = tmp_path / "weir.conf"
        databases = [harness.database_block(fleet, "shop", "shop", replicas=False, settings='user = "app"; password = "%s";'
                                            % harness.USERS["app"], map_text=harness.SHOP_MAP)]
        conf.write_text('auth = { type = "trust"; };\ndatabases = (\n%s\n);\n' % ",\n".join(databases))
        r = subprocess.run([harness.WEIR_BIN, "explain", "-c", str(conf), "-d", "shop", "--json",
                            "SELECT name FROM explained WHERE id = 42"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, timeout=60)
        got = json.loads(r.stdout)
        assert r.returncode == 0 and got["schema_known"] is True, r.stdout + r.stderr
        assert got["schema"] == "of shard s1" and got["statements"][0]["shards"] == ["s2"]
    finally:
        fleet.psql(fleet.d["shards"][0]["primary"], "DROP VIEW explained", "shop")
