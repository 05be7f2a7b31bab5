"""Sessions with several servers when things go wrong, and what must follow a session from shard to shard."""
import time

import pytest

import harness
import wire
from test_routing import empty, on_shard, shard_of  # noqa: F401
from test_scatter import N, all_of, rows  # noqa: F401
from test_transactions import BOTH, catalog, counts, extended, fails, insert, keys, simple, status  # noqa: F401

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
JOIN = "select count(*) from customers a join customers b on a.id = b.id + 1"
ROW = "select name from customers where id = %d"


def one(sql):
    return wire.parse("", sql) + wire.bind("", "") + wire.execute()


def kinds(w, data):
    w.send(data + wire.SYNC)
    return [m[0] for m in w.read_until("Z")]


def kill_idle(fleet, shard):
    """Ends the servers of idle transactions on this shard."""
    on_shard(fleet, shard, "select pg_terminate_backend(pid) from pg_stat_activity where state like 'idle in%' and datname = 'shop'")
    time.sleep(0.3)


def clean(fleet):
    for s in ("s1", "s2"):
        assert on_shard(fleet, s, "select count(*) from pg_stat_activity where state like 'idle in%' and datname = 'shop'") == ["0"]
        assert on_shard(fleet, s, "select count(*) from pg_prepared_xacts where database = 'shop'") == ["0"]


def work_mem(w, key, run):
    return run(w, "select current_setting('work_mem') from (select count(*) from customers where id = %d) c" % key)


@BOTH
def test_settings_of_a_commit_that_fails(own_weir, fleet, empty, keys, catalog, run):
    weir = own_weir(databases=[harness.database_block(fleet, "shop", "shop", settings="pool_size = 1;", map_text=harness.SHOP_MAP)])
    for s in ("s1", "s2"):
        fleet.psql(fleet.shard(s)["primary"], """create or replace function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'refused' using errcode = 'P0007'; end $$;
            drop trigger if exists later on customers;
            create constraint trigger later after insert on customers deferrable initially deferred
            for each row when (new.name = 'bad') execute function refuse()""", "shop")
    try:
        for bad in ("s1", "s2"):
            with weir.connect() as w, weir.connect() as v:
                run(w, "begin")
                run(w, "set work_mem = '7MB'")
                run(w, insert(keys["s1"][0]))
                run(w, insert(keys["s2"][0]))
                run(w, "insert into customers (id, name) values (%d, 'bad')" % keys[bad][1])
                with pytest.raises(wire.ServerError):
                    run(w, "commit")
                assert status(w) == "I"
                run(v, "set work_mem = '7MB'")
                for s in ("s1", "s2"):
                    assert work_mem(v, keys[s][0], run) == [("7MB",)]
                    assert work_mem(w, keys[s][0], run) == [("4MB",)]
    finally:
        for s in ("s1", "s2"):
            fleet.psql(fleet.shard(s)["primary"], "drop trigger later on customers; drop function refuse()", "shop")


@BOTH
def test_settings_taken_back_late(own_weir, fleet, empty, keys, catalog, run):
    weir = own_weir(databases=[harness.database_block(fleet, "shop", "shop", settings="pool_size = 1;", map_text=harness.SHOP_MAP)])
    with weir.connect() as w, weir.connect() as v:
        run(w, "begin")
        run(w, insert(keys["s1"][0]))
        run(w, "savepoint a")
        run(w, "set work_mem = '7MB'")
        run(w, insert(keys["s1"][1]))
        run(w, insert(keys["s2"][0]))
        run(w, "rollback to a")
        run(w, "commit")
        run(v, "set work_mem = '7MB'")
        for s in ("s1", "s2"):
            assert work_mem(v, keys[s][0], run) == [("7MB",)]
            assert work_mem(w, keys[s][0], run) == [("4MB",)]


# ---- servers that are not there ----
def down(fleet, settings=""):
    text = harness.database_block(fleet, "shop", "shop", replicas=False, settings=settings, map_text=harness.SHOP_MAP)
    return text.replace("port=%d " % fleet.shard("s2")["primary"]["port"], "port=%d " % harness.free_port())


@BOTH
def test_a_shard_is_down(own_weir, fleet, rows, keys, run):
    weir = own_weir(databases=[down(fleet, 'primary_wait = "1s";')])
    with weir.connect() as w:
        for _ in range(2):
            for sql in ("select id from customers", JOIN, "update customers set name = name"):
                with pytest.raises(wire.ServerError) as e:
                    run(w, sql)
                assert e.value.sqlstate[:2] in ("08", "57"), e.value
                assert status(w) == "I"
            run(w, "begin")
            run(w, ROW % keys["s1"][0])
            with pytest.raises(wire.ServerError):
                run(w, "select id from customers")
            assert status(w) == "E"
            run(w, "rollback")
            assert run(w, ROW % keys["s1"][0]) == [("c%d" % keys["s1"][0],)]
    clean(fleet)


@pytest.mark.parametrize("how", ["query_timeout", "cancel"])
@BOTH
def test_given_up_while_it_waits_for_a_server(own_weir, fleet, rows, keys, catalog, run, how):
    limit = 'query_timeout = "1s";' if how == "query_timeout" else ""
    weir = own_weir(databases=[harness.database_block(fleet, "shop", "shop", replicas=False, settings="pool_size = 1;" + limit,
                                                      map_text=harness.SHOP_MAP)])
    with weir.connect() as holder, weir.connect() as w:
        holder.simple("begin")
        holder.simple("update customers set name = 'held' where id = %d" % keys["s2"][0])
        for sql in ("select id from customers", JOIN, "update customers set name = 'x'"):
            if how == "cancel":
                w.send(wire.query(sql) if run is simple else one(sql) + wire.SYNC)
                time.sleep(0.5)
                with wire.Wire("127.0.0.1", weir.port) as c:
                    c.send(wire.cancel_request(w.pid, w.key))
                with pytest.raises(wire.ServerError) as e:
                    w._rows(10)
            else:
                with pytest.raises(wire.ServerError) as e:
                    run(w, sql)
            assert e.value.sqlstate == "57014", e.value
            assert status(w) == "I"
            assert run(w, ROW % keys["s1"][0]) == [("c%d" % keys["s1"][0],)]
        holder.simple("rollback")
        assert len(run(w, "select id from customers")) == N
        assert holder.simple(ROW % keys["s2"][0]) == [("c%d" % keys["s2"][0],)]
        assert len(run(holder, "select id from customers")) == N
    clean(fleet)


@BOTH
def test_given_up_inside_a_transaction(own_weir, fleet, rows, keys, run):
    weir = own_weir(databases=[harness.database_block(fleet, "shop", "shop", replicas=False, settings='pool_size = 1; query_timeout = "1s";',
                                                      map_text=harness.SHOP_MAP)])
    with weir.connect() as holder, weir.connect() as w:
        holder.simple("begin")
        holder.simple(ROW % keys["s2"][0])
        run(w, "begin")
        run(w, "savepoint a")
        fails("57014", run, w, "select id from customers")
        run(w, "rollback to a")
        holder.simple("rollback")
        run(w, ROW % keys["s1"][0])
        time.sleep(0.3)
        assert len(run(w, "select id from customers")) == N
        run(w, ROW % keys["s2"][0])
        run(w, "rollback")
        assert len(run(holder, "select id from customers")) == N
    clean(fleet)


@BOTH
def test_server_of_a_waiting_transaction_is_lost(weir, fleet, rows, keys, run):
    """A statement runs beside the transaction; what that has lost meanwhile no savepoint brings back."""
    sql = "select count(*) from customers a join orders b on a.id = b.id - 999"
    with weir.connect() as w, wire.connect("127.0.0.1", fleet.shard("s1")["primary"]["port"], "app", harness.USERS["app"], "shop") as blocker:
        run(w, "begin")
        run(w, (ROW + " for update") % keys["s2"][0])
        run(w, "savepoint a")
        pid = on_shard(fleet, "s2", "select pid from pg_stat_activity where state = 'idle in transaction' and datname = 'shop'")
        blocker.simple("begin")
        blocker.simple("lock table orders in access exclusive mode")
        w.send(wire.query(sql) if run is simple else one(sql) + wire.SYNC)
        time.sleep(0.5)
        on_shard(fleet, "s2", "select pg_terminate_backend(%s)" % pid[0])
        time.sleep(0.3)
        blocker.simple("rollback")
        with pytest.raises(wire.ServerError):
            w._rows(20)
        fails("25P02", run, w, "rollback to a")
        run(w, "rollback")
        assert status(w) == "I"
    clean(fleet)


def test_two_transactions_lose_their_servers(weir, fleet, empty, keys):
    """The second loss counts as the first did, though nobody asked about that."""
    with weir.connect() as w:
        for k in range(2):
            w.send(wire.query("begin") if k == 0 else wire.query("rollback") + wire.query("begin"))
            w.read_until("Z")
            if k:
                w.read_until("Z")
            w.simple(insert(keys["s1"][0]))
            w.simple(insert(keys["s2"][0]))
            kill_idle(fleet, "s1")
        with pytest.raises(wire.ServerError):
            w.simple(insert(keys["s2"][2]))
        fails("25P02", simple, w, insert(keys["s1"][1]))
        w.simple("commit")
    assert counts(fleet) == ["0", "0"]
    clean(fleet)


# ---- pipelines ----
def test_pipeline_that_fails_before_it(weir, rows, keys):
    with weir.connect() as w:
        for scattered in ("select id from customers", JOIN, "update customers set name = 'z'"):
            w.simple("begin")
            assert kinds(w, one("select 1 / (id - %d) from customers where id = %d" % (keys["s1"][0], keys["s1"][0])) + one(scattered)) == ["1", "2", "E", "Z"]
            assert w.status == "E"
            w.simple("rollback")
            assert len(w.simple("select id from customers")) == N
            assert len(w.prepared("select id from customers")) == N
            assert w.status == "I"


def test_query_strings_of_several_statements(weir, rows, keys):
    with weir.connect() as w:
        w.simple("begin")
        w.simple("select id, 'this is the text of some other statement, a long one' from customers")
        fails("0A000", simple, w, "select id from customers; select 2")
        w.simple("rollback")
