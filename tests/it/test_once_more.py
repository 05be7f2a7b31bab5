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
