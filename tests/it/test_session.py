"""Sessions in trouble: what is left behind on servers, what is lost with them, and what a client is told."""
import signal
import time

import pytest

import harness
import wire

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")

KILL_OTHERS = ("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '%s' and pid <> pg_backend_pid() "
               "and backend_type = 'client backend' and usename <> 'weir'")


def shop(fleet, settings="", replicas=False):
    return [harness.database_block(fleet, "shop", "shop", None, replicas, settings, harness.SHOP_MAP)]


def wire_only(fleet, settings="", replicas=False):
    return [harness.database_block(fleet, "wire", "wire", ["s1"], replicas, settings)]


def on_shard(fleet, name, sql, database="shop"):
    return fleet.psql(fleet.shard(name)["primary"], sql, database).split()


def key_on(fleet, w, shard):
    """A customer's key that belongs to a shard."""
    for i in range(9000, 9100):
        w.simple("insert into customers (id, name) values (%d, 'where')" % i)
        here = on_shard(fleet, shard, "select count(*) from customers where id = %d" % i)
        w.simple("begin; delete from customers where id = %d; commit" % i)
        if here == ["1"]:
            return i
    raise AssertionError("no key on " + shard)


def test_settings_of_a_transaction_that_moved(own_weir, fleet):
    """SET before the shard is known: it counts there, and nowhere once it is rolled back."""
    w = own_weir(databases=shop(fleet, "pool_size = 1;"), workers=1)
    with w.connect("shop") as c:
        sql = "select count(*), current_setting('work_mem') from customers where id = %d" % key_on(fleet, c, "s2")
        c.simple("begin")
        c.simple("set work_mem = '7MB'")
        c.simple("savepoint a")
        c.simple("set work_mem = '8MB'")
        c.simple("rollback to a")
        assert c.simple(sql) == [("0", "7MB")]
        c.simple("rollback")
        with w.connect("shop") as d:
            assert d.simple(sql) == [("0", "4MB")]
            d.simple("set work_mem = '7MB'")
            for shard in ("s1", "s2"):
                d.simple("set weir.shard = '%s'" % shard)
                assert d.simple("show work_mem") == [("7MB",)]
        assert c.simple(sql) == [("0", "4MB")]
        assert c.simple("show work_mem") == [("4MB",)]


def test_savepoints_go_with_their_server(own_weir, fleet):
    """A transaction whose server is gone cannot be taken up again at a savepoint."""
    w = own_weir(databases=wire_only(fleet))
    for idle in (True, False):
        with w.connect("wire") as c:
            c.simple("begin; insert into kv values (8101, 'lost')")
            c.simple("savepoint a")
            if idle:
                fleet.psql(fleet.d["shards"][0]["primary"], KILL_OTHERS % "wire", "wire")
                time.sleep(0.3)
            else:
                c.send(wire.query("select pg_terminate_backend(pg_backend_pid())"))
                if "E" in [m[0] for m in c.read_until("ZE")]:
                    continue    # the server's own FATAL ends the session
            with pytest.raises(wire.ServerError):
                c.simple("rollback to a")
            with pytest.raises(wire.ServerError):
                c.simple("insert into kv values (8102, 'stray')")
            c.simple("commit")
            assert c.simple("select count(*) from kv where id in (8101, 8102)") == [("0",)]


def test_reads_see_what_ran_on_all_shards(own_weir, fleet):
    w = own_weir(databases=shop(fleet, replicas=True))
    with w.connect("shop") as c:
        a = {name: key_on(fleet, c, name) for name in ("s1", "s2")}
        for i in a.values():
            c.simple("insert into customers (id, name) values (%d, 'x')" % i)
        fleet.wait_streaming()
        time.sleep(1.5)
        replicas = [r for s in fleet.d["shards"] for r in s["replicas"]]
        for r in replicas:
            fleet.psql(r, "select pg_wal_replay_pause()", "postgres")
        try:
            c.simple("alter table customers add column fresh int default 7")
            for i in a.values():
                assert c.simple("select fresh from customers where id = %d" % i) == [("7",)]
        finally:
            for r in replicas:
                fleet.psql(r, "select pg_wal_replay_resume()", "postgres")
            c.simple("alter table customers drop column fresh")
            for i in a.values():
                c.simple("delete from customers where id = %d" % i)
    fleet.wait_streaming()


@pytest.mark.parametrize("settings", ["split_reads = false;", 'pool_mode = "session";'])
def test_replicas_are_left_alone(own_weir, fleet, settings):
    w = own_weir(databases=wire_only(fleet, settings, replicas=True))
    with w.connect("wire") as c:
        for begin in (None, "begin read only"):
            if begin:
                c.simple(begin)
            assert c.simple("select pg_is_in_recovery() from kv limit 0; select pg_is_in_recovery()") == [("f",)]
            assert c.simple("select pg_is_in_recovery()") == [("f",)]
            if begin:
                c.simple("commit")
        c.simple("insert into kv values (8104, 'x')")
        c.simple("delete from kv where id = 8104")


def test_target_primary_holds_in_read_only_transactions(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet, replicas=True))
    with w.connect("wire") as c:
        c.simple("set weir.target = 'primary'")
        c.simple("begin read only")
        c.simple("set local work_mem = '5MB'")
        assert c.simple("select pg_is_in_recovery()") == [("f",)]
        c.simple("commit")


def test_no_second_answer_after_a_conflict_with_recovery(own_weir, fleet):
    """Rows that the client has are not sent again: it gets the error."""
    w = own_weir(databases=wire_only(fleet, replicas=True))
    shard = fleet.d["shards"][0]
    p, r = shard["primary"], shard["replicas"][0]
    fleet.psql(p, "create table if not exists slow (i int); truncate slow; insert into slow select generate_series(1, 3); "
               "grant all on slow to public", "wire")
    fleet.wait_streaming()
    fleet.psql(r, "alter system set max_standby_streaming_delay = '50ms'", "postgres")
    fleet.psql(r, "select pg_reload_conf()", "postgres")
    try:
        with w.connect("wire") as c:
            c.simple("set weir.target = 'replica'")
            c.send(wire.query("select repeat('x', 30000), i, pg_sleep(case when i = 3 then 3 else 0 end) from slow"))
            seen = [c.read()[0], c.read()[0]]
            assert seen == ["T", "D"], seen
            fleet.psql(p, "truncate slow", "wire")
            kinds = [m[0] for m in c.read_until("Z", 15)]
            assert kinds.count("T") == 0 and "E" in kinds, kinds
            c.send(wire.query("select 1 from slow; select i, pg_sleep(0.1) from slow"))
            c.read_until("Z", 15)
    finally:
        fleet.psql(r, "alter system reset max_standby_streaming_delay", "postgres")
        fleet.psql(r, "select pg_reload_conf()", "postgres")
        fleet.psql(p, "drop table slow", "wire")
        fleet.wait_streaming()


def test_a_shard_without_primary_is_an_error_in_time(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet, 'primary_wait = "2s"; replica_probe_interval = "200ms";', replicas=True))
    p = fleet.d["shards"][0]["primary"]
    with w.connect("wire") as c:
        c.simple("create temp table t (i int); discard temp")
        fleet.down(p, signal.SIGQUIT)
        try:
            with pytest.raises(wire.ServerError) as e:
                c.simple("delete from kv where id = 8105", timeout=25)
            assert e.value.sqlstate[:2] in ("08", "57"), str(e.value)
            with pytest.raises(wire.ServerError) as e:
                c.simple("delete from kv where id = 8105", timeout=25)
            assert e.value.sqlstate[:2] in ("08", "57"), str(e.value)
        finally:
            fleet.up(p)
        assert c.simple("select 'back'", timeout=20) == [("back",)]
    fleet.wait_streaming()


def test_show_lsn_by_extended_messages(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet, replicas=True))
    with w.connect("wire") as c:
        for _ in range(3):
            c.simple("insert into kv values (8106, 'x') on conflict do nothing")
            c.simple("delete from kv where id = 8106")
            (text,), = c.prepared("show weir.lsn")
            assert text.startswith("s1:") and not text.startswith("s1:0/0@"), text
            (text,), = c.simple("show weir.lsn")
            assert text.startswith("s1:") and not text.startswith("s1:0/0@"), text


def test_half_closed_and_slow(own_weir, fleet):
    """A client that sends no more and reads slowly gets every byte as it was sent."""
    w = own_weir(databases=wire_only(fleet))
    with w.connect("wire") as c:
        c.send(wire.query("select repeat(chr(97 + i % 26), 1500000) from generate_series(1, 30) i"))
        c.sock.shutdown(1)
        kinds = []
        for i in range(31):
            kind, body = c.read()
            while kind == "S":
                kind, body = c.read()
            kinds.append(kind)
            if kind == "D":
                value, = wire.row_of(body)
                assert len(value) == 1500000 and set(value) == {97 + i % 26}, i
            time.sleep(0.05)
        assert kinds == ["T"] + ["D"] * 30


def test_copy_that_fails_amid_a_long_message(own_weir, fleet):
    """The rest of the message still belongs to the server that has its beginning."""
    w = own_weir(databases=wire_only(fleet, "pool_size = 1;"), extra='max_message_buffer = "64kB";')
    for begin in (False, True):
        with w.connect("wire") as c:
            if begin:
                c.simple("begin")
            c.send(wire.query("copy kv from stdin"))
            c.read_until("G")
            data = wire.copy_data(b"x" * 400000)
            c.send(wire.copy_data(b"oops\tx\n") + data[:200000])
            kinds = [m[0] for m in c.read_until("Z")]
            assert kinds == ["E", "Z"]
            if not begin:
                with w.connect("wire") as d:
                    d.send(wire.query("select 'mine'"))
                    time.sleep(0.3)
                    c.send(data[200000:] + wire.COPY_DONE)
                    assert d._rows(10) == [("mine",)]
            else:
                c.send(data[200000:] + wire.COPY_DONE)
                c.simple("rollback")
            assert c.simple("select 'after'") == [("after",)]


def test_long_query_whose_server_is_lost(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet, 'primary_wait = "0";'), extra='max_message_buffer = "64kB";')
    p = fleet.d["shards"][0]["primary"]
    long = wire.query("select length('" + "x" * 3000000 + "')")
    with w.connect("wire") as c:
        c.send(long[:1000000])
        time.sleep(0.3)
        fleet.psql(p, KILL_OTHERS % "wire", "wire")
        time.sleep(0.3)
        c.send(long[1000000:])
        try:
            kinds = [m[0] for m in c.read_until("Z")]
            assert kinds.count("E") == 1, kinds
            assert c.simple("select 'on'") == [("on",)]
        except wire.Closed:
            pass
    fleet.down(p, signal.SIGQUIT)
    try:
        with w.connect("wire") as c:
            c.send(long)
            assert [m[0] for m in c.read_until("Z", 20)] == ["E", "Z"]
            c.send(wire.query("select 'on'"))
            assert [m[0] for m in c.read_until("Z", 20)] == ["E", "Z"]
    finally:
        fleet.up(p)
    fleet.wait_streaming()


def test_copy_that_failed_is_no_running_query(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet, 'query_timeout = "1s";'))
    with w.connect("wire") as c:
        c.send(wire.query("copy kv from stdin"))
        c.read_until("G")
        c.send(wire.copy_data(b"oops\tx\n"))
        assert [m[0] for m in c.read_until("Z")] == ["E", "Z"]
        time.sleep(2)
        assert c.simple("select 1") == [("1",)]


@pytest.fixture
def two_schemas(own_weir, fleet):
    """Schema `other` has a table of the same name as one of the map; its rows stand on the default shard."""
    w = own_weir(databases=shop(fleet))
    with w.connect("shop") as c:
        w.key = key_on(fleet, c, "s2")
    for name in ("s1", "s2"):
        on_shard(fleet, name, "drop schema if exists other cascade; create schema other; grant all on schema other to public;"
                 "create table other.customers (id bigint, name text); grant all on other.customers to public")
    on_shard(fleet, "s1", "insert into other.customers values (%d, 'of other')" % w.key)
    w.reload()
    with w.connect("shop") as c:
        c.simple("comment on table customers is null")    # the schema is read before the next statement
    yield w
    for name in ("s1", "s2"):
        on_shard(fleet, name, "drop schema other cascade")


OTHER = [("of other",)]


@pytest.mark.parametrize("path", [
    "set search_path\nto other", "set search_path = 'other'", "SET SESSION search_path = Other -- = public", "set schema 'other'",
    "select set_config('search_path', 'other', false)", "select set_config('search_path', ' \"other\" , no-such', false)"])
def test_search_path(two_schemas, path):
    """Names mean for Weir what they mean for the server."""
    sql = "select name from customers where id = %d" % two_schemas.key
    with two_schemas.connect("shop") as c:
        assert c.simple(sql) == []
        c.simple(path)
        assert c.simple(sql) == OTHER and c.prepared(sql) == OTHER
        c.simple("set search_path to public -- other")
        assert c.simple(sql) == []
        c.send(wire.parse("", path) + wire.bind("", "") + wire.execute() + wire.parse("", sql) + wire.bind("", "") + wire.execute() + wire.SYNC)
        assert c._rows(10)[-1:] == OTHER
        c.simple("reset search_path")
        assert c.simple(sql) == []
    with two_schemas.connect("shop", options=[("options", "-c search_path=no-such,other")]) as c:
        assert c.simple(sql) == OTHER


@pytest.mark.parametrize("path", ["set local search_path = other", "select set_config('search_path', 'other', true)"])
def test_search_path_of_a_transaction(two_schemas, path):
    sql = "select name from customers where id = %d" % two_schemas.key
    with two_schemas.connect("shop") as c:
        c.simple("begin")
        c.simple("savepoint a")
        c.simple(path)
        assert c.simple(sql) == OTHER
        c.simple("rollback to a")
        assert c.simple(sql) == []
        c.simple(path)
        c.simple("set search_path to public")
        assert c.simple(sql) == []
        c.simple("rollback")
        for end in ("commit", "rollback"):
            c.simple("begin")
            c.simple(path)
            assert c.simple(sql) == OTHER
            c.simple(end)
            assert c.simple(sql) == []
        with pytest.raises(wire.ServerError) as e:
            c.simple("%s; %s" % (path, sql))
        assert e.value.sqlstate == "0A000"


def test_empty_search_path(two_schemas):
    with two_schemas.connect("shop") as c:
        for path in ("select set_config('search_path', '', false)", "set search_path = ''"):
            c.simple(path)
            for sql in ("create table nowhere (i int)", "select 1 from customers where id = 1"):
                with pytest.raises(wire.ServerError) as e:
                    c.simple(sql)
                assert e.value.sqlstate in ("3F000", "42P01"), e.value
            c.simple("reset search_path")


def test_set_config_of_a_transaction_on_all_its_shards(own_weir, fleet):
    """What a transaction sets for itself holds on every server of it; what cannot be known keeps it on one."""
    w = own_weir(databases=shop(fleet))
    with w.connect("shop") as c:
        a, b = key_on(fleet, c, "s1"), key_on(fleet, c, "s2")
        sql = "select count(*), current_setting('app.who', true) from customers where id = %d"
        c.simple("begin")
        c.simple("select set_config('app.who', 'me', true)")
        assert [c.simple(sql % k) for k in (a, b)] == [[("0", "me")]] * 2
        c.simple("rollback")
        assert [c.simple(sql % k)[0][1] in (None, "") for k in (a, b)] == [True, True]
        c.simple("begin")
        c.prepared("select set_config('app.who', $1, true)", ["me"])
        seen = []
        try:
            for k in (a, b):
                seen.append(c.simple(sql % k)[0][1])
        except wire.ServerError as e:
            assert e.sqlstate == "0A000", e
        assert set(seen) <= {"me"}
        c.simple("rollback")


def test_what_pins_is_on_the_primary(own_weir, fleet):
    """A session stays on the server that has its cursor: it must be one that it can write on."""
    w = own_weir(databases=wire_only(fleet, replicas=True))
    with w.connect("wire") as c:
        c.simple("declare c cursor with hold for select id from kv")
        c.simple("insert into kv values (8107, 'x')")
        c.simple("delete from kv where id = 8107")
