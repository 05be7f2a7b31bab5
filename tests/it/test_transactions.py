"""Transactions that have several shards: each statement finds its server, settings and savepoints follow, an end is one everywhere."""
import concurrent.futures
import time

import pytest

import harness
import wire
from test_routing import empty, on_shard, shard_of  # noqa: F401
from test_txn_recovery import until

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")


@pytest.fixture(scope="module")
def keys(fleet):
    """Ten customers of each shard."""
    found = {"s1": [], "s2": []}
    for i in range(1, 200):
        found[shard_of(fleet, i)].append(i)
    return {name: some[:10] for name, some in found.items()}


def insert(key, protocol="simple"):
    return "insert into customers (id, name) values (%d, 't')" % key


def simple(w, sql):
    return w.simple(sql)


def extended(w, sql):
    return w.prepared(sql, [])


BOTH = pytest.mark.parametrize("run", [simple, extended], ids=["simple", "extended"])


def counts(fleet):
    return [on_shard(fleet, s, "select count(*) from customers")[0] for s in ("s1", "s2")]


def fails(sqlstate, run, w, sql):
    with pytest.raises(wire.ServerError) as e:
        run(w, sql)
    assert e.value.sqlstate == sqlstate, e.value
    return e.value


def status(w):
    """I, T or E, as the client was last told."""
    w.send(wire.SYNC)
    return w.read_until("Z")[-1][1].decode()


@BOTH
def test_rollback(weir, fleet, empty, keys, run):
    with weir.connect() as w:
        run(w, "begin")
        for i in range(4):
            run(w, insert(keys["s1"][i]))
            run(w, insert(keys["s2"][i]))
        for i in range(4):
            assert run(w, "select id from customers where id = %d" % keys["s1"][i]) == [(str(keys["s1"][i]),)]
            assert run(w, "select id from customers where id = %d" % keys["s2"][i]) == [(str(keys["s2"][i]),)]
        assert status(w) == "T"
        run(w, "rollback")
        assert status(w) == "I"
        assert counts(fleet) == ["0", "0"]
        run(w, insert(keys["s1"][0]))
    assert counts(fleet) == ["1", "0"]


@BOTH
def test_reads_and_one_writer_commit(weir, fleet, empty, keys, run):
    with weir.connect() as w:
        run(w, "begin")
        run(w, insert(keys["s1"][0]))
        assert run(w, "select id from customers where id = %d" % keys["s2"][0]) == []
        run(w, insert(keys["s1"][1]))
        run(w, "commit")
        assert status(w) == "I"
    assert counts(fleet) == ["2", "0"]


@BOTH
def test_error_aborts_everywhere(weir, fleet, empty, keys, run):
    with weir.connect() as w:
        run(w, "begin")
        run(w, insert(keys["s1"][0]))
        run(w, insert(keys["s2"][0]))
        fails("23505", run, w, insert(keys["s2"][0]))
        assert status(w) == "E"
        fails("25P02", run, w, "select id from customers where id = %d" % keys["s1"][0])
        run(w, "commit")  # is a rollback
        assert status(w) == "I"
    assert counts(fleet) == ["0", "0"]


@BOTH
def test_savepoints(weir, fleet, empty, keys, run):
    a, b = keys["s1"], keys["s2"]
    with weir.connect() as w:
        run(w, "begin")
        run(w, insert(a[0]))
        run(w, "savepoint one")
        run(w, insert(b[0]))  # joins within the savepoint
        run(w, insert(a[1]))
        run(w, "savepoint two")
        run(w, insert(a[2]))
        fails("23505", run, w, insert(a[2]))
        run(w, "rollback to two")
        assert status(w) == "T"
        assert run(w, "select count(*) from customers where id = %d" % a[2]) == [("0",)]
        run(w, insert(b[1]))
        run(w, "release two")
        run(w, "rollback to savepoint one")  # the other shard hears of it when it is next used
        assert run(w, "select count(*) from customers where id = %d" % b[0]) == [("0",)]
        assert run(w, "select count(*) from customers where id = %d" % a[1]) == [("0",)]
        assert run(w, "select count(*) from customers where id = %d" % a[0]) == [("1",)]
        fails("3B001", run, w, "rollback to two")
        run(w, "rollback")
    assert counts(fleet) == ["0", "0"]


@BOTH
def test_settings_follow(weir, empty, keys, run):
    with weir.connect() as w:
        name = "current_setting('application_name')"
        both = ["select %s from (select count(*) from customers where id = %d) c" % (name, keys[s][0]) for s in ("s1", "s2")]
        run(w, "set application_name = 'before'")
        run(w, "begin")
        assert [run(w, sql) for sql in both] == [[("before",)]] * 2
        run(w, "set application_name = 'inside'")
        assert [run(w, sql) for sql in both] == [[("inside",)]] * 2
        run(w, "savepoint s")
        run(w, "set local application_name = 'local'")
        assert [run(w, sql) for sql in both] == [[("local",)]] * 2
        run(w, "rollback to s")
        assert [run(w, sql) for sql in both] == [[("inside",)]] * 2
        run(w, "rollback")
        for _ in range(4):
            assert [run(w, sql) for sql in both] == [[("before",)]] * 2


@BOTH
def test_settings_after_a_rollback_of_a_moved_transaction(weir, empty, keys, run):
    """A SET goes to some server first, the next statement to another: the rollback undoes it there too."""
    with weir.connect() as w:
        sql = "select current_setting('work_mem') from (select count(*) from customers where id = %d) c"
        for s in ("s1", "s2"):
            run(w, "begin")
            run(w, "set work_mem = '7MB'")
            assert run(w, sql % keys[s][0]) == [("7MB",)]
            run(w, "rollback")
            assert run(w, sql % keys[s][0]) == [("4MB",)]


@BOTH
def test_isolation_goes_along(weir, empty, keys, run):
    level = "select current_setting('transaction_isolation') from (select count(*) from customers where id = %d) c"
    with weir.connect() as w:
        for begin in ("begin isolation level repeatable read", "start transaction isolation level repeatable read"):
            run(w, begin)
            assert [run(w, level % keys[s][0]) for s in ("s1", "s2")] == [[("repeatable read",)]] * 2
            run(w, "commit and chain")
            assert status(w) == "T"
            assert [run(w, level % keys[s][0]) for s in ("s2", "s1")] == [[("repeatable read",)]] * 2
            run(w, "rollback")
        run(w, "begin")
        run(w, "set transaction isolation level serializable")
        assert [run(w, level % keys[s][0]) for s in ("s1", "s2")] == [[("serializable",)]] * 2
        run(w, "rollback")


def test_pipeline_inside_a_block(weir, fleet, empty, keys):
    """Statements of two shards before one Sync."""
    a, b = keys["s1"], keys["s2"]

    def one(sql):
        return wire.parse("", sql) + wire.bind("", "") + wire.execute()

    with weir.connect() as w:
        w.simple("begin")
        w.send(b"".join(one(insert(k)) for k in (a[0], b[0], a[1], b[1])) + wire.SYNC)
        answers = w.read_until("Z")
        assert [m[0] for m in answers] == ["1", "2", "C"] * 4 + ["Z"]
        assert answers[-1][1] == b"T"
        w.send(b"".join(one(insert(k)) for k in (a[2], b[0], a[3], b[3])) + wire.SYNC)
        answers = w.read_until("Z")
        assert [m[0] for m in answers] == ["1", "2", "C", "1", "2", "E", "Z"]
        assert answers[-1][1] == b"E"
        w.send(b"".join(one(sql) for sql in ("rollback", "begin", insert(a[4]), insert(b[4]), "rollback")) + wire.SYNC)
        answers = w.read_until("Z")
        assert [m[0] for m in answers] == ["1", "2", "C"] * 5 + ["Z"]
        assert answers[-1][1] == b"I"
    assert counts(fleet) == ["0", "0"]


@BOTH
def test_lost_server_dooms_the_transaction(weir, fleet, empty, keys, run):
    """No savepoint brings back what was done on a server that is gone."""
    for lost in ("s1", "s2"):
        with weir.connect() as w:
            run(w, "begin")
            run(w, insert(keys["s1"][0]))
            run(w, insert(keys["s2"][0]))
            run(w, "savepoint a")
            run(w, insert(keys["s2"][1]))
            pid = on_shard(fleet, lost, "select pid from pg_stat_activity where state like 'idle in%' and datname = 'shop'")[0]
            on_shard(fleet, lost, "select pg_terminate_backend(%s)" % pid)
            time.sleep(0.2)
            with pytest.raises(wire.ServerError):
                run(w, "select count(*) from customers where id = %d" % keys["s1"][0])
            assert status(w) == "E"
            fails("25P02", run, w, "rollback to a")
            fails("25P02", run, w, insert(keys["s1"][3]))
            run(w, "commit")
            assert status(w) == "I"
            run(w, "select 1")
        assert counts(fleet) == ["0", "0"]


@BOTH
def test_lost_server_is_told_at_commit(weir, fleet, empty, keys, run):
    """COMMIT is the next that the client says, and nothing is committed where a server is left; also the second time in a session."""
    def lose(shard):
        run(w, "begin")
        run(w, insert(keys["s1"][0]))
        run(w, insert(keys["s2"][0]))
        pid = on_shard(fleet, shard, "select pid from pg_stat_activity where state like 'idle in%' and datname = 'shop'")[0]
        on_shard(fleet, shard, "select pg_terminate_backend(%s)" % pid)
        time.sleep(0.2)

    for lost in ("s1", "s2"):
        with weir.connect() as w:
            lose(lost)
            run(w, "rollback")  # nobody was told
            assert status(w) == "I"
            for _ in range(2):
                lose(lost)
                with pytest.raises(wire.ServerError) as e:
                    run(w, "commit")
                assert e.value.sqlstate in ("57P01", "08006")
                assert status(w) == "I"
                assert counts(fleet) == ["0", "0"]
            run(w, insert(keys["s1"][0]))
            run(w, "delete from customers where id = %d" % keys["s1"][0])


def test_lost_server_of_one_shard_dooms_too(weir, fleet, empty, keys):
    with weir.connect() as w:
        w.simple("begin")
        w.simple(insert(keys["s1"][0]))
        w.simple("savepoint a")
        pid = on_shard(fleet, "s1", "select pid from pg_stat_activity where state like 'idle in%' and datname = 'shop'")[0]
        on_shard(fleet, "s1", "select pg_terminate_backend(%s)" % pid)
        time.sleep(0.2)
        with pytest.raises(wire.ServerError):
            w.simple("select 1")
        fails("25P02", simple, w, "rollback to a")
        w.simple("prepare transaction 'x'")  # as in any failed transaction
        assert status(w) == "I"
    assert counts(fleet) == ["0", "0"]
    assert on_shard(fleet, "s1", "select count(*) from pg_prepared_xacts") == ["0"]


def test_client_leaves(weir, fleet, empty, keys):
    for _ in range(5):
        w = weir.connect()
        w.simple("begin")
        w.simple(insert(keys["s1"][0]))
        w.simple(insert(keys["s2"][0]))
        w.close()
    with weir.connect() as w:  # no lock is left
        w.simple("set statement_timeout = '5s'")
        w.simple(insert(keys["s1"][0]))
        w.simple(insert(keys["s2"][0]))
    assert counts(fleet) == ["1", "1"]


def commits(w, keys):
    """Does Weir know of the catalogs by now?"""
    w.simple("begin")
    for s in ("s1", "s2"):
        w.simple("update customers set name = name where id = %d" % keys[s][0])
    try:
        w.simple("commit")
    except wire.ServerError as e:
        assert e.sqlstate == "55000", e
        return False
    return True


@pytest.fixture(scope="module")
def catalog(fleet, keys, _shared_weir):
    """A Weir that knows of the catalogs on the shop's shards."""
    with _shared_weir.connect() as w:
        until(lambda: commits(w, keys))


@BOTH
def test_commit_on_two_shards(weir, fleet, empty, keys, catalog, run):
    with weir.connect() as w:
        for _ in range(3):
            run(w, "begin")
            for i in range(3):
                run(w, insert(keys["s1"][i]))
                run(w, insert(keys["s2"][i]))
            run(w, "commit")
            assert status(w) == "I"
            assert counts(fleet) == ["3", "3"]
            assert run(w, "select count(*) from customers where id = %d" % keys["s1"][1]) == [("1",)]
            run(w, "begin")
            for i in range(3):
                run(w, "delete from customers where id = %d" % keys["s2"][i])
                run(w, "delete from customers where id = %d" % keys["s1"][i])
            run(w, "commit and chain")
            assert status(w) == "T"
            run(w, "rollback")
            assert counts(fleet) == ["0", "0"]
    for s in ("s1", "s2"):
        assert on_shard(fleet, s, "select count(*) from pg_prepared_xacts where database = 'shop'") == ["0"]


@BOTH
def test_deferred_constraint_fails_everywhere(weir, fleet, empty, keys, catalog, run):
    for s in ("s1", "s2"):
        fleet.psql(fleet.shard(s)["primary"], """create or replace function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'refused' using errcode = 'P0007'; end $$;
            drop trigger if exists later on customers;
            create constraint trigger later after insert on customers deferrable initially deferred
            for each row when (new.name = 'bad') execute function refuse()""", "shop")
    try:
        with weir.connect() as w:
            for bad in ("s1", "s2"):
                run(w, "begin")
                run(w, insert(keys["s1"][0]))
                run(w, insert(keys["s2"][0]))
                run(w, "insert into customers (id, name) values (%d, 'bad')" % keys[bad][1])
                fails("P0007", run, w, "commit")
                assert status(w) == "I"
                assert counts(fleet) == ["0", "0"]
    finally:
        for s in ("s1", "s2"):
            fleet.psql(fleet.shard(s)["primary"], "drop trigger later on customers; drop function refuse()", "shop")


def test_many_commits_at_once(weir, fleet, empty, keys, catalog):
    """Transfers between two shards by several clients: the sum stays."""
    a, b = keys["s1"][0], keys["s2"][0]
    with weir.connect() as w:
        for k in (a, b):
            w.simple("insert into customers (id, name, credit) values (%d, 'x', 1000)" % k)

    def work(seed):
        with weir.connect() as w:
            for i in range(15):
                x, y = (a, b) if (seed + i) % 2 else (b, a)
                try:
                    w.simple("begin")
                    for k, sign in sorted(((x, -1), (y, 1))):
                        w.simple("update customers set credit = credit + %d where id = %d" % (sign * (1 + i % 3), k))
                    w.simple("commit")
                except wire.ServerError as e:
                    assert e.sqlstate in ("40001", "40P01"), e
                    w.simple("rollback")

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    total = sum(float(on_shard(fleet, s, "select sum(credit) from customers")[0]) for s in ("s1", "s2"))
    assert total == 2000


@BOTH
def test_savepoints_commit(weir, fleet, empty, keys, catalog, run):
    """What a savepoint took back on one shard is not committed on another that heard of it late."""
    a, b = keys["s1"], keys["s2"]
    with weir.connect() as w:
        run(w, "begin")
        run(w, insert(a[0]))
        run(w, "savepoint one")
        run(w, insert(b[0]))
        run(w, insert(a[1]))
        run(w, "rollback to one")
        run(w, insert(a[2]))
        run(w, "commit")
    assert counts(fleet) == ["2", "0"]
