"""Statements over several shards: rows are those of all shards, by both protocols, in and outside transactions; errors leave nothing behind."""
import pytest

import harness
import wire
from test_routing import empty, on_shard, shard_of  # noqa: F401
from test_transactions import BOTH, catalog, fails, keys, status  # noqa: F401

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
N = 60


@pytest.fixture
def rows(weir, fleet, empty):
    with weir.connect() as w:
        for i in range(1, N + 1):
            w.simple("insert into customers (id, name, country) values (%d, 'c%d', '%s')" % (i, i, "SE" if i % 3 else "NO"))
            w.simple("insert into orders (customer_id, id, amount) values (%d, %d, %d)" % (i, 1000 + i, i))
    fleet.wait_streaming()


@BOTH
def test_all_rows(weir, rows, run):
    with weir.connect() as w:
        for _ in range(3):
            got = run(w, "select id from customers")
            assert sorted(int(r[0]) for r in got) == list(range(1, N + 1))
        assert len(run(w, "select * from customers where country = 'NO'")) == N // 3
        assert len(run(w, "select * from customers where id in (1, 2, 3, 4, 5)")) == 5
        assert len(run(w, "select id from customers limit 7")) == 7
        assert len(run(w, "select id from customers limit 7 offset 55")) == 5
        assert status(w) == "I"


@BOTH
def test_intermediate_results(weir, rows, run):
    with weir.connect() as w:
        assert run(w, "select a.id, b.id from customers a join orders b on b.id = a.id + 1000 where a.id = b.customer_id order by 1 limit 2") == [("1", "1001"), ("2", "1002")]
        assert run(w, "select count(*), sum(a.id) from customers a join customers b on a.id = b.id + 1") == [(str(N - 1), str(sum(range(2, N + 1))))]
        assert run(w, "select id, row_number() over (order by id desc) from customers order by id limit 1") == [("1", str(N))]
        assert run(w, "select 1 / (id - 5) from customers where name = 'nobody' union select 7") == [("7",)]
        fails("22012", run, w, "select 1 / (a.id - 5) from customers a join customers b on a.id = b.id + 1")
        assert status(w) == "I"
        assert len(run(w, "select id from customers")) == N


def test_parameters(weir, rows):
    with weir.connect() as w:
        assert len(w.prepared("select id from customers where country = $1", ["NO"])) == N // 3
        sql = "select a.id from customers a join orders b on b.id = a.id + $1 where a.id > $2 and b.amount < $3 order by 1"
        assert w.prepared(sql, [1000, 10, 15]) == [(str(i),) for i in range(11, 15)]


@BOTH
def test_in_a_transaction(weir, fleet, rows, run):
    with weir.connect() as w:
        run(w, "begin")
        run(w, "update customers set name = 'changed' where id = 1")
        assert ("changed",) in run(w, "select name from customers")
        assert status(w) == "T"
        run(w, "savepoint a")
        fails("22012", run, w, "select 1 / (id - 5) from customers")
        assert status(w) == "E"
        run(w, "rollback to a")
        assert len(run(w, "select name from customers")) == N
        run(w, "rollback")
        run(w, "begin")
        assert run(w, "select count(*) from customers a join customers b on a.id = b.id + 1") == [(str(N - 1),)]
        run(w, "update customers set name = 'kept' where id = 2")
        run(w, "commit")
        assert run(w, "select name from customers where id = 2") == [("kept",)]


def test_describe_of_a_portal(weir, rows):
    with weir.connect() as w:
        for sql, n in (("select id, name from customers", N),
                       ("select a.id, b.name from customers a join customers b on a.id = b.id + 1", N - 1)):
            w.send(wire.parse("", sql) + wire.bind("", "", result_formats=(1, 0)) + wire.describe("P", "") + wire.execute() + wire.SYNC)
            answers = w.read_until("Z")
            kinds = [m[0] for m in answers]
            assert kinds[:3] == ["1", "2", "T"] and kinds[-2:] == ["C", "Z"] and kinds.count("D") == n
            assert [c["format"] if isinstance(c, dict) else c[-1] for c in wire.columns_of(answers[2][1])] == [1, 0]


def test_pipeline(weir, rows):
    def one(sql):
        return wire.parse("", sql) + wire.bind("", "") + wire.execute()

    with weir.connect() as w:
        w.send((one("select id from customers") + one("select id from customers where id = 3") + one("select id from customers limit 2")) + wire.SYNC)
        kinds = [m[0] for m in w.read_until("Z")]
        assert kinds == ["1", "2"] + ["D"] * N + ["C", "1", "2", "D", "C"] + ["1", "2", "D", "D", "C", "Z"] or kinds.count("E") == 1


def test_servers_go_back(weir, fleet, rows):
    with weir.connect() as a, weir.connect() as b:
        for _ in range(30):
            a.simple("select id from customers")
            b.simple("select count(*) from customers a join customers b on a.id = b.id + 1")
    for s in ("s1", "s2"):
        assert on_shard(fleet, s, "select count(*) from pg_stat_activity where state like 'idle in%' and datname = 'shop'") == ["0"]


def all_of(fleet, sql):
    return sorted(sum((on_shard(fleet, s, sql) for s in ("s1", "s2")), []))


@BOTH
def test_writes(weir, fleet, rows, catalog, run):
    with weir.connect() as w:
        values = ", ".join("(%d, 'new')" % i for i in range(101, 121))
        run(w, "insert into customers (id, name) values " + values)
        assert len(all_of(fleet, "select id from customers where name = 'new'")) == 20
        for i in (101, 107, 115):
            assert on_shard(fleet, shard_of(fleet, i), "select id from customers where id = %d" % i) == [str(i)]
        got = run(w, "update customers set credit = 7 where name = 'new' returning id")
        assert sorted(int(r[0]) for r in got) == list(range(101, 121))
        assert all_of(fleet, "select credit from customers where name = 'new'") == ["7.00"] * 20
        run(w, "delete from customers where name = 'new'")
        assert all_of(fleet, "select id from customers where name = 'new'") == []
        run(w, "insert into countries values ('DK', 'Denmark'), ('FI', 'Finland')")
        assert all_of(fleet, "select code from countries") == ["DK", "DK", "FI", "FI"]
        assert status(w) == "I"


@BOTH
def test_a_write_that_fails_changes_nothing(weir, fleet, rows, catalog, run):
    with weir.connect() as w:
        before = all_of(fleet, "select name from customers")
        fails("22012", run, w, "update customers set name = (1 / (id - 5))::text")
        fails("23505", run, w, "insert into customers (id, name) values (201, 'a'), (202, 'b'), (203, 'c'), (1, 'd'), (204, 'e')")
        assert all_of(fleet, "select name from customers") == before
        assert status(w) == "I"
        run(w, "begin")
        run(w, "update customers set name = 'x'")
        assert set(run(w, "select name from customers")) == {("x",)}
        run(w, "savepoint a")
        fails("22012", run, w, "update customers set name = (1 / (id - 5))::text")
        run(w, "rollback to a")
        run(w, "rollback")
        assert all_of(fleet, "select name from customers") == before
        run(w, "begin")
        run(w, "update customers set name = 'y'")
        run(w, "commit")
        assert set(all_of(fleet, "select name from customers")) == {"y"}
    for s in ("s1", "s2"):
        assert on_shard(fleet, s, "select count(*) from pg_prepared_xacts where database = 'shop'") == ["0"]


def test_command_tags(weir, rows, catalog):
    with weir.connect() as w:
        for sql, tag in (("update customers set name = name", b"UPDATE %d" % N), ("delete from orders where amount > 50", b"DELETE 10"),
                         ("insert into customers (id, name) values (301, 'a'), (302, 'b'), (303, 'c')", b"INSERT 0 3"),
                         ("insert into countries values ('IS', 'Iceland')", b"INSERT 0 1")):
            w.send(wire.query(sql))
            answers = w.read_until("Z")
            assert [m[0] for m in answers] == ["C", "Z"], answers
            assert answers[0][1].rstrip(b"\0") == tag
