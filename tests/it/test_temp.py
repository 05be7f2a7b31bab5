"""Temporary tables, over two shards: a name that a session's own table has is that table, whatever the map says of it."""
import pytest

import harness
import wire

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
COLUMNS = "(customer_id bigint, id bigint, amount numeric)"
MAKES = {"create": "create temp table orders " + COLUMNS,
         "temporary": "create temporary table if not exists orders " + COLUMNS,
         "pg_temp": "create table pg_temp.orders " + COLUMNS,
         "as": "create temp table orders as select 0::bigint customer_id, 0::bigint id, 0::numeric amount limit 0",
         "explain": "explain (analyze) create temp table orders as select 0::bigint customer_id, 0::bigint id, 0::numeric amount limit 0",
         "into": "select 0::bigint customer_id, 0::bigint id, 0::numeric amount into temp orders limit 0",
         "preserve": "create temp table orders " + COLUMNS + " on commit preserve rows",
         "unlogged name": "create local temporary table \"orders\" " + COLUMNS,
         "renamed": "create temp table other " + COLUMNS + "; alter table other rename to orders"}
FILL = "insert into orders (customer_id, id, amount) values (%d, 1, 5)"


@pytest.fixture
def real(fleet):
    """One row of the map's table on each shard, which no statement on the temporary one may meet."""
    for shard in fleet.d["shards"]:
        fleet.psql(shard["primary"], "TRUNCATE customers, orders; INSERT INTO orders VALUES (%d, 1, 99, 'real')" % (
            key_on(fleet, shard["name"])), "shop")


def key_on(fleet, name):
    s1 = fleet.d["shards"][0]["primary"]
    return int(fleet.psql(s1, "select min(i) from generate_series(1, 100) i where ((hashint8extended(i, 0) & 1023) < 512) = %s"
                          % ("true" if name == "s1" else "false"), "shop"))


def states(w):
    with w.admin() as a:
        a.send(wire.query("SHOW CLIENTS"))
        answer = a.read_until("Z")
        names = [c[0] for c in wire.columns_of(answer[0][1])]
        return [dict(zip(names, wire.row_of(m[1]))) for m in answer if m[0] == "D"]


def amounts(c, key):
    return c.simple("select amount from orders where customer_id = %d" % key) + c.prepared(
        "select amount from orders where customer_id = $1", [key])


def real_again(c, fleet):
    for name in ("s1", "s2"):
        assert amounts(c, key_on(fleet, name)) == [("99.00",), ("99.00",)], name


@pytest.mark.parametrize("form", sorted(MAKES))
def test_shadows_the_map(weir, fleet, real, form):
    with weir.connect() as c:
        for sql in MAKES[form].split("; "):
            c.simple(sql)
        for name in ("s1", "s2"):
            c.simple(FILL % key_on(fleet, name))
            assert amounts(c, key_on(fleet, name)) == [("5",), ("5",)]
        c.prepared("update orders set amount = $1", [6])
        assert c.simple("select count(*), min(amount) from orders") == [("2", "6")]
        assert c.simple("select amount from public.orders where customer_id = %d" % key_on(fleet, "s1")) == [("99.00",)]
        c.simple("drop table orders")
        c.simple("discard temp")
        real_again(c, fleet)


def test_view_and_sequence(weir, fleet, real):
    with weir.connect() as c:
        c.simple("create temp view orders as select 7::bigint customer_id, 8 amount")
        assert c.simple("select amount from orders where customer_id = 7") == [("8",)]
        c.simple("alter view orders rename to other")
        assert c.simple("select amount from other") == [("8",)]
        c.simple("drop view other")
        c.simple("create temp sequence orders")
        assert c.simple("select last_value from orders") == [("1",)]
        c.simple("discard all")
        real_again(c, fleet)


@pytest.mark.parametrize("end", ["rollback", "rollback to a", "commit", "discard temp", "drop table orders", "drop table if exists pg_temp.orders cascade"])
def test_forgotten(weir, fleet, real, end):
    with weir.connect() as c:
        c.simple("begin")
        c.simple("savepoint a")
        c.simple("create temp table orders " + COLUMNS + (" on commit drop" if end == "commit" else ""))
        for name in ("s1", "s2"):
            c.simple(FILL % key_on(fleet, name))
        assert c.simple("select count(*) from orders") == [("2",)]
        c.simple(end)
        if end not in ("rollback", "commit"):
            c.simple("commit")
        if end.startswith(("drop", "commit", "rollback to")):
            c.simple("discard all")
        real_again(c, fleet)


def test_drop_that_is_rolled_back(weir, fleet, real):
    with weir.connect() as c:
        c.simple("create temp table orders " + COLUMNS)
        c.simple(FILL % key_on(fleet, "s2"))
        c.simple("begin")
        c.simple("drop table orders")
        c.simple("rollback")
        assert amounts(c, key_on(fleet, "s2")) == [("5",), ("5",)]


def test_rolled_back_is_no_pin(weir, fleet, real):
    with weir.connect() as c:
        for sql in ("create temp table orders (a int)", "listen something", "declare c cursor with hold for select 1"):
            c.simple("begin")
            c.simple(sql)
            c.simple("rollback")
            real_again(c, fleet)
        with pytest.raises(wire.ServerError):
            c.simple("create temp table orders (a int); select 1/0")
        real_again(c, fleet)


def test_in_a_transaction_over_shards(weir, fleet, real):
    """The temporary table stays where it was made, and what is asked of it goes there from the other shard."""
    with weir.connect() as c:
        c.simple("create temp table orders " + COLUMNS)
        c.simple("begin")
        c.simple("insert into customers (id, name) values (%d, 'there')" % key_on(fleet, "s2"))
        c.simple(FILL % key_on(fleet, "s2"))
        assert amounts(c, key_on(fleet, "s2")) == [("5",), ("5",)]
        assert c.simple("select name from customers where id = %d" % key_on(fleet, "s2")) == [("there",)]
        with pytest.raises(wire.ServerError) as e:
            c.simple("select * from customers join orders on orders.customer_id = customers.id where customers.id = %d" % key_on(fleet, "s2"))
        assert e.value.fields["C"] == "0A000" and "temporary" in e.value.fields["M"]
        c.simple("rollback")


def test_pipeline(weir, fleet, real):
    """What comes behind the CREATE in one pipeline is planned when it is there."""
    def run(sql):
        return wire.parse("", sql) + wire.bind("", "") + wire.execute()

    key = key_on(fleet, "s2")
    with weir.connect() as c:
        c.send(run("create temp table orders " + COLUMNS) + run(FILL % key) + run("select amount from orders where customer_id = %d" % key) + wire.SYNC)
        answer = c.read_until("Z")
        assert [wire.row_of(m[1]) for m in answer if m[0] == "D"] == [[b"5"]]
        c.send(run("drop table orders") + wire.SYNC + run("discard all") + wire.SYNC
               + run("select amount from orders where customer_id = %d" % key) + wire.SYNC)
        answer = c.read_until("Z") + c.read_until("Z") + c.read_until("Z")
        assert [wire.row_of(m[1]) for m in answer if m[0] == "D"] == [[b"99.00"]]


def test_search_path(weir, fleet, real):
    key = key_on(fleet, "s2")
    with weir.connect() as c:
        c.simple("set search_path = pg_temp, public")
        c.simple("create table orders " + COLUMNS)
        c.simple(FILL % key)
        assert amounts(c, key) == [("5",), ("5",)]
        c.simple("set search_path = public, pg_temp")  # then the real one comes first
        with pytest.raises(wire.ServerError) as e:
            c.simple("select amount from orders where customer_id = %d" % key)
        assert e.value.fields["C"] == "0A000"
        assert c.simple("select amount from orders where customer_id = %d" % key_on(fleet, "s1")) == [("99.00",)]


def test_cascade_with_views(weir, fleet, real):
    with weir.connect() as c:
        c.simple("create temp table t (a int)")
        c.simple("create temp view orders as select * from t")
        with pytest.raises(wire.ServerError) as e:
            c.simple("drop table t cascade")
        assert e.value.fields["C"] == "0A000"
        c.simple("drop view orders")
        c.simple("drop table t cascade")


def test_same_name_other_columns(weir, fleet):
    """A statement on a temporary table that was made anew, in a transaction too."""
    with weir.connect() as c:
        for n in range(1, 4):
            c.simple("begin")
            c.simple("create temp table scratch (%s) on commit drop" % ", ".join("c%d int default %d" % (i, i) for i in range(n)))
            c.simple("insert into scratch default values")
            assert c.prepared("select * from scratch") == [tuple(str(i) for i in range(n))]
            c.simple("commit")


def schemas(fleet, name):
    return [fleet.psql(shard["primary"], "select count(*) from pg_namespace where nspname = '%s'" % name, "shop").strip()
            for shard in fleet.d["shards"]]


@pytest.mark.parametrize("pin", ["create temp table orders (a int)", "listen something",
                                 "set weir.shard = 's2'; create temp table orders (a int); reset weir.shard"])
def test_ddl_over_shards_from_a_pinned_session(weir, fleet, pin):
    """The other shards' part runs on other connections; the session keeps what it is pinned for."""
    name = "pinned_ddl"
    for shard in fleet.d["shards"]:
        fleet.psql(shard["primary"], "drop schema if exists pinned_ddl", "shop")
        fleet.psql(shard["primary"], "grant create on database shop to app", "shop")
    with weir.connect() as c:
        for sql in pin.split("; "):
            c.simple(sql)
        pid = c.simple("select pg_backend_pid()")
        c.simple("create schema " + name)
        assert schemas(fleet, name) == ["1", "1"]
        assert c.simple("select pg_backend_pid()") == pid
        for shard in fleet.d["shards"]:
            other = "s2" if shard["name"] == "s1" else "s1"
            fleet.psql(shard["primary"], "drop schema " + name, "shop")
            with pytest.raises(wire.ServerError) as e:
                c.simple("create schema " + name)
            assert e.value.fields["C"] == "42P06" and "shard " + other in e.value.fields["M"]
            assert c.simple("select pg_backend_pid()") == pid
            fleet.psql(shard["primary"], "create schema if not exists %s" % name, "shop")
        if "orders" in pin:
            c.simple("insert into orders values (1)")
            assert c.simple("select a from orders") == [("1",)]
        c.simple("begin")
        with pytest.raises(wire.ServerError) as e:
            c.simple("drop schema " + name)
        assert e.value.fields["C"] == "0A000" and "outside a transaction" in e.value.fields["H"]
        c.simple("rollback")
        fleet.psql(fleet.shard("s1")["primary"], "alter schema %s owner to app" % name, "shop")
        fleet.psql(fleet.shard("s2")["primary"], "alter schema %s owner to app" % name, "shop")
        c.simple("drop schema " + name)
        assert schemas(fleet, name) == ["0", "0"]
        c.simple("discard all")
        c.simple("create schema " + name)
        c.simple("drop schema " + name)
        assert schemas(fleet, name) == ["0", "0"]
