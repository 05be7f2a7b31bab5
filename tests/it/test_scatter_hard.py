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


def test_unnamed_statement_after_commit(weir, rows, keys, catalog):
    a, b = (ROW % keys[s][0] for s in ("s1", "s2"))
    with weir.connect() as w:
        w.simple("set weir.target = 'primary'")
        for end in ("commit", "rollback"):
            for sql in (a, b):
                w.simple("begin")
                for k in (a, b, sql):
                    w.prepared(k)
                w.simple(end)
                w.prepared(sql)


@BOTH
def test_chain_keeps_what_set_transaction_said(weir, rows, keys, run):
    level = "select current_setting('transaction_isolation') from (select count(*) from customers where id = %d) c"
    with weir.connect() as w:
        run(w, "begin")
        run(w, "set transaction isolation level serializable")
        assert [run(w, level % keys[s][0]) for s in ("s1", "s2")] == [[("serializable",)]] * 2
        run(w, "rollback and chain")
        assert [run(w, level % keys[s][0]) for s in ("s1", "s2")] == [[("serializable",)]] * 2
        run(w, "rollback")
        run(w, "begin")
        run(w, "set transaction isolation level serializable")
        assert run(w, level % keys["s1"][0]) == [("serializable",)]
        run(w, "rollback and chain")
        assert [run(w, level % keys[s][0]) for s in ("s1", "s2")] == [[("serializable",)]] * 2
        run(w, "rollback")


def test_described_writes(weir, rows, catalog):
    with weir.connect() as w:
        sql = "update customers set name = name"
        assert kinds(w, wire.parse("", sql) + wire.bind("", "") + wire.describe("P", "") + wire.execute()) == ["1", "2", "n", "C", "Z"]
        sql += " returning id"
        got = kinds(w, wire.parse("", sql) + wire.bind("", "") + wire.describe("P", "") + wire.execute())
        assert got == ["1", "2", "T"] + ["D"] * N + ["C", "Z"]


@pytest.mark.parametrize("sql", ["select id from customers", "select id from customers order by id", "select country, count(*) from customers group by 1",
                                 "select a.id from customers a join customers b on a.id = b.id + 1"])
def test_row_limit_of_execute(weir, rows, sql):
    with weir.connect() as w:
        n = len(w.simple(sql))
        w.simple("begin")
        got = kinds(w, wire.parse("", sql) + wire.bind("p", "") + wire.execute("p", 1))
        assert got == ["1", "2", "D", "s", "Z"]
        got = kinds(w, wire.parse("", sql) + wire.bind("q", "") + wire.execute("q", n + 1))
        assert got == ["1", "2"] + ["D"] * n + ["C", "Z"]
        w.send(wire.execute("p", 1) + wire.SYNC)
        error = wire.fields_of(w.read_until("Z")[0][1])
        assert error["C"] == "0A000" and "H" in error
        w.simple("rollback")


def test_portals_have_their_server(weir, rows, keys):
    with weir.connect() as w:
        w.simple("begin")
        for s in ("s1", "s2"):
            assert kinds(w, wire.parse("", "select g from generate_series(1, 5) g, customers where id = %d" % keys[s][0]) +
                         wire.bind("on_" + s, "") + wire.execute("on_" + s, 2)) == ["1", "2", "D", "D", "s", "Z"]
        for s in ("s1", "s2", "s1"):
            assert kinds(w, wire.describe("P", "on_" + s) + wire.execute("on_" + s, 1)) == ["T", "D", "s", "Z"]
        assert kinds(w, wire.execute("on_s1") + wire.execute("on_s2")) == ["D", "C", "D", "D", "C", "Z"]
        assert kinds(w, wire.close("P", "on_s1") + wire.close("P", "on_s2")) == ["3", "3", "Z"]
        for s in ("s1", "s2"):
            assert kinds(w, wire.parse("", ROW % keys[s][0]) + wire.bind("on_" + s, "") + wire.execute("on_" + s)) == ["1", "2", "D", "C", "Z"]
        w.simple("rollback")


@BOTH
def test_sql_cursors_have_their_server(weir, rows, keys, run):
    with weir.connect() as w:
        run(w, "begin")
        run(w, "declare a cursor for select g from generate_series(1, 5) g, customers where id = %d" % keys["s1"][0])
        run(w, "declare b cursor for select g + 10 from generate_series(1, 5) g, customers where id = %d" % keys["s2"][0])
        assert run(w, "fetch 1 from a") == [("1",)]
        assert run(w, "fetch 2 from b") == [("11",), ("12",)]
        assert run(w, "fetch 1 from a") == [("2",)]
        run(w, "close a")
        assert run(w, "fetch 1 from b") == [("13",)]
        run(w, "select id from customers")
        assert run(w, "fetch 1 from b") == [("14",)]
        fails("34000", run, w, "fetch 1 from a")
        run(w, "rollback")


@BOTH
def test_local_settings_beside(weir, rows, run):
    """What SET LOCAL says holds for every statement, or it is refused."""
    sql = "select distinct current_setting('work_mem') from customers a join customers b on a.id = b.id + 1"
    with weir.connect() as w:
        run(w, "begin")
        run(w, "set local work_mem = '9MB'")
        try:
            assert run(w, sql) == [("9MB",)]
        except wire.ServerError as e:
            assert e.sqlstate == "0A000", e
        run(w, "rollback")
        for level in ("set transaction_isolation = 'repeatable read'", "set local transaction_isolation = 'serializable'"):
            run(w, "begin")
            run(w, level)
            fails("0A000", run, w, JOIN)
            run(w, "rollback")


def test_session_mode_keeps_its_server(own_weir, fleet, rows, keys):
    weir = own_weir(databases=[harness.database_block(fleet, "shop", "shop", settings='pool_size = 4; pool_mode = "session";',
                                                      map_text=harness.SHOP_MAP)])
    for s in ("s1", "s2"):
        with weir.connect() as w:
            w.simple("set weir.target = 'primary'")
            pid = "select pg_backend_pid() from customers where id = %d" % keys[s][0]
            mine = w.simple(pid)
            for sql in ("select id from customers", JOIN):
                for run in (simple, extended):
                    run(w, sql)
                    assert w.simple(pid) == mine
            w.simple("begin")
            w.simple(JOIN)
            w.simple(ROW % keys["s1"][0])
            w.simple(ROW % keys["s2"][0])
            w.simple(JOIN)
            w.simple("rollback")
            assert w.simple(pid) == mine


@BOTH
def test_temporary_tables_and_all_shards(weir, fleet, rows, keys, catalog, run):
    for s in ("s1", "s2"):
        with weir.connect() as w:
            run(w, "set weir.shard = '%s'" % s)
            run(w, "create temp table mine as select 7 as x")
            run(w, "set weir.shard = ''")
            for sql in ("select id from customers", JOIN):
                run(w, sql)
                assert run(w, "select x from mine") == [("7",)]
            run(w, "begin")
            run(w, "insert into mine values (8)")
            run(w, "select id from customers")
            assert run(w, "select count(*) from mine") == [("2",)]
            run(w, "rollback")
            assert run(w, "select count(*) from mine") == [("1",)]
            run(w, "begin")
            run(w, JOIN)
            run(w, "select id from customers")
            run(w, "insert into mine values (9)")
            fails("0A000", run, w, JOIN)
            run(w, "rollback")
            run(w, "begin")
            run(w, "insert into mine values (10)")
            run(w, "update customers set name = name where id = %d" % keys["s1"][0])
            run(w, "commit")
            assert run(w, "select count(*) from mine") == [("2",)]
    clean(fleet)
