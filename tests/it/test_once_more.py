"""Cycles that Weir runs once more without a word to the client: a replica's conflict with recovery goes to the primary, a statement whose result
type changed is prepared anew. Only where nothing of the answer has reached the client."""
import threading
import time

import pytest

import harness
import wire

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
SLOW = "select count(*), pg_is_in_recovery() from crowd x, crowd y, crowd z where x.a + y.a + z.a < 0"
FIRST_ROWS = "select repeat('x', 1000) from crowd x, crowd y, crowd z where x.a + y.a > 0"


@pytest.fixture
def crowd(fleet):
    """A table that a replica counts for long and its primary, once truncated, at once; the replica gives way soon."""
    primary, replica = fleet.d["shards"][0]["primary"], fleet.d["shards"][0]["replicas"][0]
    fleet.psql(primary, "drop table if exists crowd; create table crowd (a int); grant all on crowd to public;"
               "insert into crowd select generate_series(1, 3000)", "wire")
    fleet.psql(replica, "alter system set max_standby_streaming_delay = '100ms'")
    fleet.psql(replica, "select pg_reload_conf()")
    fleet.wait_streaming()
    yield lambda: conflict(fleet, primary, replica)
    fleet.psql(replica, "alter system reset max_standby_streaming_delay")
    fleet.psql(replica, "select pg_reload_conf()")
    fleet.psql(primary, "drop table crowd", "wire")


def conflict(fleet, primary, replica):
    """Truncates the table once the statement runs on the replica."""
    end = time.time() + 20
    busy = "select count(*) from pg_stat_activity where state = 'active' and query ~ 'crowd [x]'"
    while fleet.psql(replica, busy, "wire").strip() == "0":
        assert time.time() < end, "the statement does not run on the replica"
    fleet.psql(primary, "truncate crowd", "wire")


@pytest.fixture
def w(own_weir, fleet):
    return own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], True, "pool_size = 4;")])


def answer(c, crowd, messages, until="Z"):
    """What comes for these messages while the conflict happens."""
    c.send(messages)
    t = threading.Thread(target=crowd)
    t.start()
    out = c.read_until(until, 40)
    t.join()
    return out


def kinds(answer):
    return "".join(m[0] for m in answer if m[0] != "S")


def sqlstate(answer):
    return [wire.fields_of(m[1])["C"] for m in answer if m[0] == "E"]


def test_conflict_simple(w, crowd):
    with w.connect("wire") as c:
        got = answer(c, crowd, wire.query(SLOW))
        assert kinds(got) == "TDCZ" and wire.row_of(got[1][1]) == [b"0", b"f"]
        assert c.simple("select 1") == [("1",)]


def test_conflict_simple_after_the_first_rows(w, crowd):
    """Rows that have left cannot be taken back: the error is passed on, and no row comes twice."""
    with w.connect("wire") as c:
        got = answer(c, crowd, wire.query(FIRST_ROWS))
        assert sqlstate(got) == ["40001"] and kinds(got).endswith("DEZ")
        assert c.simple("select 1") == [("1",)]


@pytest.mark.parametrize("name", ["", "named"])
@pytest.mark.parametrize("size", [0, 5000, 9000])
def test_conflict_extended(w, crowd, name, size):
    """The cycle lies in one buffer, or in several that are kept."""
    sql = SLOW + " /* " + "x" * size + " */"
    with w.connect("wire") as c:
        got = answer(c, crowd, wire.parse(name, sql) + wire.bind("", name) + wire.describe("P", "") + wire.execute() + wire.SYNC)
        assert [wire.fields_of(m[1]) for m in got if m[0] == "E"] == []
        assert kinds(got) == "12TDCZ" and wire.row_of(got[3][1]) == [b"0", b"f"]
        c.send(wire.bind("", name) + wire.execute() + wire.SYNC)
        assert kinds(c.read_until("Z")) == "2DCZ"


def test_conflict_extended_on_the_server_already(w, crowd):
    """ParseComplete is Weir's own here, and must not come twice."""
    with w.connect("wire") as c:
        for name in ("a", "b"):
            c.send(wire.parse(name, SLOW) + wire.describe("S", name) + wire.SYNC)
            c.read_until("Z")
        got = answer(c, crowd, wire.parse("", SLOW) + wire.parse("c", SLOW) + wire.bind("", "c") + wire.execute() + wire.SYNC)
        assert kinds(got) == "112DCZ"


def test_conflict_extended_described_before(w, crowd):
    """Bind and Execute alone; Parse was told in a cycle of its own."""
    with w.connect("wire") as c:
        c.send(wire.parse("s", SLOW) + wire.describe("S", "s") + wire.SYNC)
        c.read_until("Z")
        got = answer(c, crowd, wire.bind("", "s") + wire.execute() + wire.SYNC)
        assert kinds(got) == "2DCZ" and wire.row_of(got[1][1]) == [b"0", b"f"]


def test_conflict_in_a_read_only_transaction_is_an_error(w, crowd):
    with w.connect("wire") as c:
        c.simple("begin read only")
        got = answer(c, crowd, wire.parse("", SLOW) + wire.bind("", "") + wire.execute() + wire.SYNC, "E")
        assert sqlstate(got) == ["40001"]  # PostgreSQL may end the connection, too


def test_conflict_undoes_names_once(w, crowd):
    """Names that the cycle makes and removes are as after one run of it."""
    with w.connect("wire") as c:
        c.send(wire.parse("old", "select 1") + wire.SYNC)
        c.read_until("Z")
        got = answer(c, crowd, wire.close("S", "old") + wire.parse("old", SLOW) + wire.bind("", "old") + wire.execute() + wire.SYNC)
        assert kinds(got) == "312DCZ"
        c.send(wire.bind("", "old") + wire.describe("P", "") + wire.execute() + wire.SYNC)
        assert kinds(c.read_until("Z")) == "2TDCZ"


# ---- a result type that changed, by DDL straight on the server ----

@pytest.fixture
def shape(own_weir, fleet):
    """One connection, so that what is prepared is met again; changed() alters the table behind Weir's back."""
    server = fleet.d["shards"][0]["primary"]
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 1;")])
    fleet.psql(server, "drop table if exists shape; create table shape (a int); grant all on shape to public;"
               "insert into shape values (1)", "wire")
    w.changed = lambda: fleet.psql(server, "alter table shape add column b text default 'new'", "wire")
    yield w
    fleet.psql(server, "drop table shape", "wire")


def run(c, messages):
    c.send(messages + wire.SYNC)
    return c.read_until("Z")


def rows(answer):
    return [wire.row_of(m[1]) for m in answer if m[0] == "D"]


BIND, BLIND = wire.bind("", "s") + wire.describe("P", "") + wire.execute(), wire.bind("", "s") + wire.execute()


def test_changed_and_described_anew(shape):
    with shape.connect("wire") as c:
        run(c, wire.parse("s", "select * from shape") + wire.describe("S", "s"))
        assert rows(run(c, BIND)) == [[b"1"]]
        shape.changed()
        got = run(c, BIND)
        assert kinds(got) == "2TDCZ" and rows(got) == [[b"1", b"new"]]
        assert wire.columns_of(got[1][1])[1][0] == "b"
        assert rows(run(c, BLIND)) == [[b"1", b"new"]]  # it was told


def test_changed_and_prepared_anew(shape):
    with shape.connect("wire") as c, shape.connect("wire") as other:
        assert rows(run(c, wire.parse("s", "select * from shape") + BLIND)) == [[b"1"]]
        shape.changed()
        got = run(other, wire.parse("s", "select * from shape") + BLIND)
        assert kinds(got) == "12DCZ" and rows(got) == [[b"1", b"new"]]
        got = run(c, wire.parse("", "select * from shape") + wire.bind("", "") + wire.execute())
        assert rows(got) == [[b"1", b"new"]]


def test_changed_and_asked_for(shape):
    """Describe alone: its answer is what the client goes by."""
    with shape.connect("wire") as c:
        run(c, wire.parse("s", "select * from shape") + wire.describe("S", "s"))
        shape.changed()
        got = run(c, wire.describe("S", "s"))
        assert kinds(got) == "tTZ" and len(wire.columns_of(got[1][1])) == 2
        assert rows(run(c, BLIND)) == [[b"1", b"new"]]


def test_changed_unknown_to_the_client(shape):
    """A client that goes by the old description gets PostgreSQL's error, and may prepare anew under the same name."""
    with shape.connect("wire") as c:
        run(c, wire.parse("s", "select * from shape") + wire.describe("S", "s"))
        assert rows(run(c, BLIND)) == [[b"1"]]
        shape.changed()
        assert sqlstate(run(c, BLIND)) == ["0A000"]
        assert sqlstate(run(c, BLIND)) == ["0A000"]
        got = run(c, wire.close("S", "s") + wire.parse("s", "select * from shape") + wire.describe("S", "s"))
        assert kinds(got) == "31tTZ"
        assert rows(run(c, BLIND)) == [[b"1", b"new"]]


def test_changed_in_a_transaction(shape):
    with shape.connect("wire") as c:
        run(c, wire.parse("s", "select * from shape") + wire.describe("S", "s"))
        shape.changed()
        c.simple("begin")
        assert sqlstate(run(c, BIND)) == ["0A000"]
        c.simple("rollback")
        c.simple("begin")
        assert rows(run(c, wire.parse("t", "select * from shape") + wire.bind("", "t") + wire.execute())) == [[b"1", b"new"]]
        c.simple("commit")


def test_changed_behind_rows(shape):
    """What has been answered is not run again."""
    with shape.connect("wire") as c:
        c.simple("create temp table log (a int)")
        run(c, wire.parse("s", "select * from shape") + wire.describe("S", "s"))
        shape.changed()
        got = run(c, wire.parse("", "insert into log values (1) returning a") + wire.bind("", "") + wire.execute() + BIND)
        assert sqlstate(got) == ["0A000"] and kinds(got) == "12DCEZ"
        assert c.simple("select count(*) from log") == [("0",)]


def test_changed_execute(shape):
    with shape.connect("wire") as c:
        c.simple("prepare s as select * from shape")
        assert c.simple("execute s") == [("1",)]
        shape.changed()
        assert c.simple("execute s") == [("1", "new")]
        assert c.simple("execute s") == [("1", "new")]
