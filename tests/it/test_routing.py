"""The shop over two shards: each kind of key finds its shard, reads go to replicas, writes to primaries."""
import time

import pytest

import harness
import wire

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
PORT = "current_setting('port')"


@pytest.fixture(scope="module")
def shop(fleet):
    """Which port is which, and PostgreSQL's own word on where a key belongs."""
    s1, s2 = fleet.d["shards"]
    return {"primary": {"s1": str(s1["primary"]["port"]), "s2": str(s2["primary"]["port"])},
            "replica": {"s1": str(s1["replicas"][0]["port"]), "s2": str(s2["replicas"][0]["port"])}}


@pytest.fixture
def empty(fleet):
    """Empty tables on every shard."""
    for shard in fleet.d["shards"]:
        fleet.psql(shard["primary"], "TRUNCATE customers, orders, events, tenants, notes, countries", "shop")


def on_shard(fleet, name, sql):
    return fleet.psql(fleet.shard(name)["primary"], sql, "shop").split()


def shard_of(fleet, key):
    bucket = int(on_shard(fleet, "s1", "select hashint8extended(%d, 0) & 1023" % key)[0])
    return "s1" if bucket < 512 else "s2"


def both_ways(w, sql, params):
    """By a simple query with constants, by parameters in text, and by a binary int8 where there is one integer."""
    text = sql
    for i, p in enumerate(params, 1):
        text = text.replace("$%d" % i, "'%s'" % p if isinstance(p, str) else str(p))
    return [w.simple(text), w.prepared(sql, params)]


def test_hash(weir, fleet, shop, empty):
    with weir.connect() as w:
        for i in list(range(1, 60)) + [-1, 0, 2**31, 2**63 - 1, -2**63]:
            both = both_ways(w, "select %s from customers where id = $1" % PORT, [i])
            assert both == [[], []]
            w.prepared("insert into customers (id, name) values ($1, $2)", [i, "n%d" % i])
            where = shard_of(fleet, i)
            assert on_shard(fleet, where, "select count(*) from customers where id = %d" % i) == ["1"]
            for rows in both_ways(w, "update customers set credit = 1 where id = $1 returning %s" % PORT, [i]):
                assert rows == [(shop["primary"][where],)]
    counts = [int(on_shard(fleet, s, "select count(*) from customers")[0]) for s in ("s1", "s2")]
    assert sum(counts) == 64 and min(counts) > 15


def test_hash_binary_parameter(weir, fleet, shop, empty):
    with weir.connect() as w:
        for i in range(1, 30):
            for size, oid in ((8, 20), (4, 23), (2, 21)):
                w.send(wire.parse("", "delete from customers where id = $1", [oid])
                       + wire.bind("", "", [i.to_bytes(size, "big")], [1]) + wire.execute() + wire.SYNC)
                assert [m for m in w.read_until("Z") if m[0] == "E"] == []
            where = shard_of(fleet, i)
            w.send(wire.parse("", "insert into customers (id, name) values ($1, 'b')", [20])
                   + wire.bind("", "", [i.to_bytes(8, "big")], [1]) + wire.execute() + wire.SYNC)
            w.read_until("Z")
            assert on_shard(fleet, where, "select count(*) from customers where id = %d" % i) == ["1"]


@pytest.mark.parametrize("day,where", [("2025-12-31", "s1"), ("2026-01-01", "s2"), ("1999-05-05", "s1"),
                                       ("2030-06-06", "s2"), ("infinity", "s2"), ("-infinity", "s1")])
def test_range(weir, fleet, shop, empty, day, where):
    with weir.connect() as w:
        w.prepared("insert into events values ($1, 1, 'x')", [day])
        w.simple("insert into events values ('%s', 2, 'y')" % day)
        assert on_shard(fleet, where, "select count(*) from events") == ["2"]
        for rows in both_ways(w, "update events set kind = 'z' where happened_on = $1 and id = 1 returning %s" % PORT, [day]):
            assert rows == [(shop["primary"][where],)]


@pytest.mark.parametrize("name,where", [("acme", "s2"), ("globex", "s1"), ("somebody else", "s1"), ("it's", "s1"), ("grüß", "s1")])
def test_directory(weir, fleet, shop, empty, name, where):
    with weir.connect() as w:
        w.prepared("insert into tenants values ($1, 'gold')", [name])
        assert on_shard(fleet, where, "select count(*) from tenants") == ["1"]
        assert w.prepared("update tenants set plan = 'x' where name = $1 returning " + PORT, [name]) == [(shop["primary"][where],)]
        assert w.simple("select plan from tenants where name = '%s'" % name.replace("'", "''")) == [("x",)]


def test_co_located_join(weir, fleet, shop, empty):
    with weir.connect() as w:
        for i in range(1, 20):
            w.prepared("insert into customers (id, name) values ($1, 'c')", [i])
            w.prepared("insert into orders (customer_id, id, amount) values ($1, 1, 5)", [i])
        for i in range(1, 20):
            rows = w.prepared("select o.amount from customers c join orders o on o.customer_id = c.id where c.id = $1", [i])
            assert rows == [("5.00",)], i


def test_reads_go_to_replicas(weir, fleet, shop, empty):
    with weir.connect() as w:
        w.simple("insert into customers (id, name) values (42, 'Ada')")
    fleet.wait_streaming()
    where = shard_of(fleet, 42)
    with weir.connect() as w:
        sql = "select name, %s, pg_is_in_recovery() from customers where id = 42" % PORT
        assert w.simple(sql) == [("Ada", shop["replica"][where], "t")]
        assert w.prepared(sql) == [("Ada", shop["replica"][where], "t")]
        # in a transaction that may write, and with locks, the primary
        w.simple("begin")
        assert w.simple(sql) == [("Ada", shop["primary"][where], "f")]
        w.simple("commit")
        assert w.simple(sql + " for update")[0][1] == shop["primary"][where]
        w.simple("set weir.target = 'primary'")
        assert w.simple(sql) == [("Ada", shop["primary"][where], "f")]


def test_read_only_transactions_go_to_replicas(weir, fleet, shop, empty):
    where = shard_of(fleet, 42)
    fleet.wait_streaming()
    with weir.connect() as w:
        for begin in ("begin read only", "start transaction isolation level repeatable read read only"):
            w.simple(begin)
            assert w.simple("select count(*), %s from customers where id = 42" % PORT) == [("0", shop["replica"][where])]
            w.simple("commit")


def test_read_your_writes(weir, fleet, shop, empty):
    with weir.connect() as w:
        for i in range(1, 100):
            w.simple("insert into customers (id, name, credit) values (%d, 'x', 1)" % i)
            assert w.simple("select credit from customers where id = %d" % i) == [("1.00",)]


def test_transaction_on_one_shard(weir, fleet, empty):
    a = [i for i in range(1, 200) if shard_of(fleet, i) == "s1"][:2]
    with weir.connect() as w:
        w.simple("begin")
        for i in a:
            w.simple("insert into customers (id, name) values (%d, 't')" % i)
        w.simple("rollback")
        assert w.simple("select 1 from customers where id = %d" % a[0]) == []


def test_named_shard(weir, fleet, shop, empty):
    with weir.connect() as w:
        for name in ("s1", "s2"):
            w.simple("set weir.shard = '%s'" % name)
            assert w.simple("show weir.shard") == [(name,)]
            w.send(wire.query("copy countries from stdin"))
            w.read_until("G")
            w.send(wire.copy_data(b"SE\tSweden\nNO\tNorway\n") + wire.COPY_DONE)
            assert [m[0] for m in w.read_until("Z")] == ["C", "Z"]
        w.simple("reset weir.shard")
        assert w.simple("select name from countries where code = 'SE'") == [("Sweden",)]
    for name in ("s1", "s2"):
        assert on_shard(fleet, name, "select count(*) from countries") == ["2"]


def test_unknown_shard_is_an_error(weir):
    with weir.connect() as w:
        with pytest.raises(wire.ServerError) as e:
            w.simple("set weir.shard = 'nowhere'")
        assert e.value.sqlstate == "22023"
        assert w.simple("select 1") == [("1",)]


def test_null_key_is_refused(weir, empty):
    with weir.connect() as w:
        with pytest.raises(wire.ServerError):
            w.prepared("insert into customers (id, name) values ($1, 'x')", [None])
        assert w.prepared("select 1 from customers where id = $1", [None]) == []


def test_tables_that_are_not_in_the_map(weir, fleet, shop):
    with weir.connect() as w:
        w.simple("drop table if exists plain_here")
        w.simple("create table plain_here (a int)")
        assert w.simple("insert into plain_here values (1) returning " + PORT) == [(shop["primary"]["s1"],)]
        w.simple("drop table plain_here")


def test_ddl_goes_to_all_shards(weir, fleet, shop):
    """CREATE and DROP on both; where one shard's statement is killed, it is an error that says where it is done."""
    def columns(shard):
        return on_shard(fleet, shard, "select count(*) from pg_attribute where attrelid = 'customers'::regclass and attname = 'extra'")[0]

    with weir.connect() as w:
        w.simple("alter table customers add column extra int")
        assert [columns("s1"), columns("s2")] == ["1", "1"]
        w.simple("alter table customers drop column extra")
        p = fleet.shard("s1")["primary"]
        with fleet_lock(p) as lock:
            lock.simple("begin")
            lock.simple("lock table customers in access share mode")
            w.send(wire.query("alter table customers add column extra int"))
            kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'alter table customers%' and state = 'active'"
            for _ in range(100):
                if fleet.psql(p, kill, "shop").strip() == "1":
                    break
            with pytest.raises((wire.ServerError, wire.Closed)) as e:
                w._rows(10)
            assert "shard s1" in str(e.value), e.value
            lock.simple("rollback")
        assert [columns("s1"), columns("s2")] == ["0", "0"]


def fleet_lock(p):
    return wire.connect("127.0.0.1", p["port"], "app", harness.USERS["app"], "shop")


# ---- a directory in a table ----
@pytest.fixture
def looked_up(own_weir, fleet):
    """Tenants are looked up in a table of the default shard; the user of look-ups and of auth_query is the same."""
    for shard in fleet.d["shards"]:
        fleet.psql(shard["primary"], "drop table if exists places, things; create table things (tenant text, body text);"
                   "create table places (tenant text primary key, shard text); grant all on things, places to public;"
                   "insert into places values ('a', 's1'), ('b', 's2')", "shop")
    fleet.psql(fleet.shard("s1")["primary"], "drop role if exists looked_up; "
               "create role looked_up login password 'looked-up-secret'", "shop")
    yield own_weir(databases=[harness.database_block(fleet, "shop", "shop", None, False, "pool_size = 4;", """
distributions = ( { name = "tenant"; kind = "directory"; type = "text"; default = "s1";
  lookup = "select shard from places where tenant = $1"; lookup_cache_size = 1; } );
tables = ( { name = "things"; distribution = "tenant"; key = "tenant"; } );""")],
                   auth='auth_user = "postgres";', edit=lambda text: text.replace('service_user = "weir"', 'service_user = "postgres"'))
    for shard in fleet.d["shards"]:
        fleet.psql(shard["primary"], "drop table places, things", "shop")


def test_directory_in_a_table(looked_up, fleet):
    with looked_up.connect("shop") as w:
        for i in range(4):
            # each takes the connection that the other has left
            wire.connect("127.0.0.1", looked_up.port, "looked_up", "looked-up-secret", "shop").close()
            for tenant in "ab":
                w.simple("insert into things values ('%s', '%d')" % (tenant, i))
    assert on_shard(fleet, "s1", "select count(*) from things") == ["4"]
    assert on_shard(fleet, "s2", "select count(*) from things") == ["4"]


def test_errors_while_a_look_up_is_under_way(looked_up):
    """The Bind that waits for it is skipped when a message before it fails, and what it was to run is gone."""
    with looked_up.connect("shop") as w:
        for i in range(20):
            w.send(wire.parse("zero", "select 1/$1::int") + wire.SYNC)
            w.read_until("Z")
            w.send(wire.bind("", "zero", ["0"]) + wire.execute() + wire.FLUSH +
                   wire.parse("x%d" % i, "insert into things values ($1, 'x')") + wire.bind("", "x%d" % i, ["new%d" % i]) +
                   wire.execute() + wire.SYNC)
            with pytest.raises(wire.ServerError) as e:
                w._rows(5)
            assert e.value.sqlstate == "22012"
            w.send(wire.close("S", "zero") + wire.SYNC)
            w.read_until("Z")
        assert w.simple("select count(*) from things where tenant = 'new3'") == [("0",)]


def test_cancel_of_a_look_up(looked_up, fleet):
    """Weir keeps the client waiting, so it answers the cancel request itself."""
    fleet.psql(fleet.shard("s1")["primary"], "alter table places rename to slow; create view places as "
               "select slow.* from slow, pg_sleep(20)", "shop")
    fleet.psql(fleet.shard("s1")["primary"], "grant all on places to public", "shop")
    try:
        with looked_up.connect("shop") as w:
            w.send(wire.query("insert into things values ('a', 'slow')"))
            time.sleep(0.5)
            w.cancel()
            with pytest.raises(wire.ServerError) as e:
                w._rows(5)
            assert e.value.sqlstate == "57014"
            assert w.simple("select 1") == [("1",)]
    finally:
        fleet.psql(fleet.shard("s1")["primary"], "select pg_terminate_backend(pid) from pg_stat_activity where query like "
                   "'select shard from places%'; drop view places", "shop")
        fleet.psql(fleet.shard("s1")["primary"], "alter table slow rename to places", "shop")
