"""What few use: statement mode, the ways to choose a replica, wildcard databases. On real servers, through every path."""
import threading

import pytest

import harness
import wire
from test_hostile import wait_until

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")


# ---- statement mode ----
@pytest.fixture
def statement(own_weir, fleet):
    """One connection for everybody: whoever kept it would stop the others."""
    return own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False,
                                                      'pool_mode = "statement"; pool_size = 1; query_wait_timeout = "5s";')])


def test_statement_mode_shares_one_connection(statement):
    with statement.connect("wire") as a, statement.connect("wire") as b:
        for i in range(5):
            assert a.simple("select %d" % i) == [(str(i),)]
            assert b.prepared("select $1::int", [str(i)]) == [(str(i),)]
            assert a.simple("select 1; select 2")[-1] == ("2",)
        a.simple("set work_mem = '3MB'")
        assert b.simple("show work_mem") != [("3MB",)]
        assert a.simple("show work_mem") == [("3MB",)]


def test_statement_mode_prepared_statements(statement):
    """Named ones, by protocol and by SQL, under the same name in two sessions; a pipeline of several."""
    with statement.connect("wire") as a, statement.connect("wire") as b:
        for name, w in (("a", a), ("b", b)):
            w.send(wire.parse("s", "select '%s' || $1" % name) + wire.SYNC)
            w.read_until("Z")
            w.simple("prepare p as select '%s'" % name)
        for i in range(3):
            for name, w in (("a", a), ("b", b)):
                w.send(b"".join(wire.bind("", "s", [str(k)]) + wire.execute() for k in range(3)) + wire.SYNC)
                assert w._rows(10) == [(name + str(k),) for k in range(3)]
                assert w.simple("execute p") == [(name,)]


def test_statement_mode_copy(statement):
    with statement.connect("wire") as a, statement.connect("wire") as b:
        a.simple("delete from kv where id between 88000 and 88999")
        a.send(wire.query("copy kv from stdin"))
        a.read_until("G")
        a.send(wire.copy_data(b"88001\tone\n88002\ttwo\n") + wire.COPY_DONE)
        a.read_until("Z")
        assert b.simple("select v from kv where id between 88000 and 88999 order by id") == [("one",), ("two",)]
        b.send(wire.query("copy (select v from kv where id between 88000 and 88999 order by id) to stdout"))
        data = b"".join(m[1] for m in b.read_until("Z") if m[0] == "d")
        assert data == b"one\ntwo\n"
        a.simple("delete from kv where id between 88000 and 88999")


def last_words(w, data):
    """The errors that come for it (severity, SQLSTATE, text), the last first, until the connection ends."""
    w.send(data)
    errors = []
    try:
        while True:
            kind, body = w.read(20)
            if kind == "E":
                f = wire.fields_of(body)
                errors.insert(0, (f["S"], f["C"], f["M"]))
    except wire.Closed:
        return errors


BEGINS = {
    "begin": wire.query("begin"),
    "start": wire.query("start transaction read only"),
    "extended": wire.parse("", "begin") + wire.bind("", "") + wire.execute() + wire.SYNC,
    "after_a_statement": wire.query("select 1; begin"),
    "chain": wire.query("begin; select 1; commit and chain"),
    "fails_before_its_commit": wire.query("begin; select 1/0; commit"),
}


@pytest.mark.parametrize("how", BEGINS)
def test_statement_mode_refuses_transactions(statement, how):
    """The client is told, and disconnected, as by PgBouncer; nothing of it stays on the connection."""
    with statement.connect("wire") as a, statement.connect("wire") as b:
        assert last_words(a, BEGINS[how])[0] == ("FATAL", "0A000", "transaction blocks not allowed in statement pooling mode")
        assert b.simple("select 'fine', now() = statement_timestamp()") == [("fine", "t")]


def test_statement_mode_and_a_query_that_is_a_transaction(statement):
    """A query string may be one of its own, as with PgBouncer; an error in one that has no BEGIN undoes it, and that is all."""
    with statement.connect("wire") as a:
        assert a.simple("begin; select 1; commit") == [("1",)]
        with pytest.raises(wire.ServerError) as e:
            a.simple("insert into kv values (88100, 'x'); select 1/0")
        assert e.value.sqlstate == "22012"
        assert a.simple("select count(*) from kv where id = 88100") == [("0",)]


def test_statement_mode_of_one_user_and_reload(own_weir, fleet):
    """A user's own mode counts for that user, and a reload changes it for clients that are there."""
    blocks = [harness.database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 2;")]
    w = own_weir(databases=blocks, extra='users = ( { name = "app2"; pool_mode = "statement"; } );')
    with w.connect("wire") as a:
        a.simple("begin")
        a.simple("commit")
        with w.connect("wire", "app2") as b:
            assert last_words(b, wire.query("begin"))
        with w.admin() as admin:
            assert [r for r in admin.simple("show users") if r[0] == "app2" and "statement" in r]
        w.databases = [harness.database_block(fleet, "wire", "wire", ["s1"], False, 'pool_size = 2; pool_mode = "statement";')]
        w.reload()
        assert a.simple("select 1") == [("1",)]
        with w.admin() as admin:
            assert [r for r in admin.simple("show databases") if r[0] == "wire" and "statement" in r]
        assert "statement pooling mode" in str(last_words(a, wire.query("begin")))


# ---- which replica ----
def replicas(fleet, weights, settings):
    """One shard with both shards' replicas, told apart by their ports. (They are of two primaries, whose systems differ: for reads of
    constants that does not matter.)"""
    shards = fleet.d["shards"]
    each = ", ".join('{ conninfo = "%s"; weight = %d; }' % (harness.conninfo(s["replicas"][0], "wire"), weight)
                     for s, weight in zip(shards, weights))
    return '  { name = "wire"; %s shards = ( { name = "s1"; primary = "%s"; replicas = ( %s ); } ); }' % (
        settings, harness.conninfo(shards[0]["primary"], "wire"), each)


WHERE = "select inet_server_port()"


def reads(w, fleet, n, extended):
    """How many of n reads each replica has taken; the primary takes none."""
    ports = [str(s["replicas"][0]["port"]) for s in fleet.d["shards"]]
    counts = dict.fromkeys(ports, 0)
    with w.connect("wire") as c:
        wait_until(lambda: c.simple(WHERE)[0][0] in counts)
        for i in range(n):
            sql = "copy (%s) to stdout" % WHERE if extended == "copy" else WHERE
            if extended == "copy":
                c.send(wire.query(sql))
                port = b"".join(m[1] for m in c.read_until("Z") if m[0] == "d").decode().strip()
            else:
                port = (c.prepared(sql) if extended else c.simple(sql))[0][0]
            counts[port] += 1
    return [counts[p] for p in ports]


def both_known(w):
    """Both replicas are probed before anything is counted."""
    with w.admin() as a:
        wait_until(lambda: len([r for r in a.simple("show replicas") if r[0] == "wire" and r[6] != "its role is not known"]) == 2, 20)


@pytest.mark.parametrize("path", [False, True, "copy"], ids=["simple", "extended", "copy"])
def test_round_robin(own_weir, fleet, path):
    w = own_weir(databases=[replicas(fleet, (1, 1), 'replica_policy = "round_robin";')], workers=1)
    both_known(w)
    assert reads(w, fleet, 40, path) == [20, 20]


@pytest.mark.parametrize("path", [False, True, "copy"], ids=["simple", "extended", "copy"])
def test_weighted(own_weir, fleet, path):
    """Four reads to one of 400, by chance: five standard deviations are allowed (8 each)."""
    w = own_weir(databases=[replicas(fleet, (4, 1), 'replica_policy = "weighted";')])
    both_known(w)
    first, second = reads(w, fleet, 400, path)
    assert first + second == 400 and 280 <= first <= 360


def test_weight_zero_and_reload(own_weir, fleet):
    """0 takes none; a reload moves the reads of sessions that are there; without replicas the primary takes them."""
    w = own_weir(databases=[replicas(fleet, (0, 3), 'replica_policy = "weighted";')])
    both_known(w)
    assert reads(w, fleet, 50, False) == [0, 50]
    w.databases = [replicas(fleet, (3, 0), 'replica_policy = "weighted";')]
    w.reload()
    wait_until(lambda: reads(w, fleet, 10, True) == [10, 0])
    w.databases = [replicas(fleet, (0, 0), 'replica_policy = "weighted";')]
    w.reload()
    with w.connect("wire") as c:
        wait_until(lambda: c.simple(WHERE) == [(str(fleet.d["shards"][0]["primary"]["port"]),)])


def test_random(own_weir, fleet):
    w = own_weir(databases=[replicas(fleet, (1, 1), 'replica_policy = "random";')])
    both_known(w)
    first, second = reads(w, fleet, 400, False)
    assert first + second == 400 and 150 <= first <= 250


def test_least_connections(own_weir, fleet):
    """While one replica is at work, the other takes the reads."""
    w = own_weir(databases=[replicas(fleet, (1, 1), 'replica_policy = "least_connections";')])
    both_known(w)
    with w.connect("wire") as busy, w.connect("wire") as c:
        busy.simple("begin read only")
        held = busy.simple(WHERE)
        for i in range(20):
            assert c.simple(WHERE) != held
        busy.simple("commit")


# ---- wildcard databases ----
@pytest.fixture
def wild(own_weir, fleet):
    server = fleet.d["shards"][0]["primary"]
    text = '  { name = "*"; pool_size = 2; primary = "host=127.0.0.1 port=%d"; }' % server["port"]
    return own_weir(databases=[text, harness.database_block(fleet, "named", "drivers", ["s1"], False)])


def test_wildcard_databases(wild):
    """The name that the client asks for is the server's database; an entry of its own goes before."""
    for name, there in (("wire", "wire"), ("shop", "shop"), ("named", "drivers")):
        with wild.connect(name) as c:
            assert c.simple("select current_database()") == [(there,)]
            assert c.prepared("select current_database()") == [(there,)]
            c.send(wire.query("copy (select current_database()) to stdout"))
            assert b"".join(m[1] for m in c.read_until("Z") if m[0] == "d") == there.encode() + b"\n"
            c.simple("begin")
            assert c.simple("select current_database()") == [(there,)]
            c.simple("rollback")


def test_wildcard_unknown_on_the_server(wild):
    """The server's own error reaches the client, and others go on."""
    for _ in range(2):
        with pytest.raises((wire.ServerError, wire.Closed)) as e:
            wild.connect("no_such_database")
        assert "no_such_database" in str(e.value) and "does not exist" in str(e.value)
    with wild.connect("wire") as c:
        assert c.simple("select 1") == [("1",)]


def test_wildcard_pools_are_apart(wild):
    """Each name has its pool, and its line in SHOW; PAUSE of one leaves the other alone."""
    with wild.connect("wire") as a, wild.connect("shop") as b, wild.admin() as admin:
        a.simple("select 1")
        b.simple("select 1")
        names = {r[0] for r in admin.simple("show databases")}
        assert {"wire", "shop", "named"} <= names
        assert {r[0] for r in admin.simple("show pools")} >= {"wire", "shop"}
        admin.simple("pause wire")
        a.send(wire.query("select 'a'"))
        assert b.simple("select 'b'") == [("b",)]
        admin.simple("resume wire")
        assert a._rows(10) == [("a",)]


def test_wildcard_and_reload(wild, fleet):
    """Sessions of a name that came by the wildcard go on after a reload, with its new settings; without the wildcard they end."""
    with wild.connect("wire") as c:
        before = c.simple("select pg_backend_pid()")
        wild.reload()
        assert c.simple("select pg_backend_pid()") == before
        wild.databases[0] = wild.databases[0].replace("pool_size = 2;", 'pool_size = 2; pool_mode = "statement";')
        wild.reload()
        assert c.simple("select 1") == [("1",)]
        assert last_words(c, wire.query("begin"))
    with wild.connect("wire") as c:
        c.simple("select 1")
        del wild.databases[0]
        wild.reload()
        assert last_words(c, wire.query("select 1"))[0][2] == "the database was removed from the configuration"


def test_wildcard_with_a_replica(own_weir, fleet):
    """The servers of a name are probed once somebody logged in to it, and PAUSE of it outlives a reload."""
    shard = fleet.d["shards"][0]
    text = '  { name = "*"; pool_size = 2; primary = "host=127.0.0.1 port=%d"; replicas = ( "host=127.0.0.1 port=%d" ); }' % (
        shard["primary"]["port"], shard["replicas"][0]["port"])
    w = own_weir(databases=[text], extra='primary_wait = "20s";')
    with w.connect("wire") as c, w.admin() as admin:
        c.simple("insert into kv values (88200, 'x') on conflict do nothing")
        c.simple("delete from kv where id = 88200")
        wait_until(lambda: c.simple("select pg_is_in_recovery()") == [("t",)])
        admin.simple("pause wire")
        w.reload()
        c.send(wire.query("select 'later'"))
        wait_until(lambda: "paused" in str(admin.simple("show clients")))
        admin.simple("resume wire")
        assert c._rows(10) == [("later",)]


def test_wildcard_at_once(wild):
    """Many clients that are the first of their names."""
    failures = []

    def one(name):
        try:
            with wild.connect(name) as c:
                assert c.simple("select current_database()") == [(name,)]
        except Exception as e:     # noqa: the test looks at it
            failures.append(repr(e))

    threads = [threading.Thread(target=one, args=(("wire", "shop", "drivers", "postgres")[i % 4],)) for i in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[:3]
