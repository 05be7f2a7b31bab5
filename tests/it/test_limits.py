"""Limits over the whole process: of a database, of a user, of a user's own waiting; and cancel requests that take too long."""
import re
import threading
import time

import pytest

import harness
import wire
from relay import Relay
from test_hostile import wait_until
from test_pool import run_threads

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")


def block(fleet, settings, name="wire", shards=("s1",), replicas=False):
    return harness.database_block(fleet, name, "wire", list(shards), replicas, settings)


def sleep_error(w, sql="select 1", timeout=20):
    with pytest.raises(wire.ServerError) as e:
        w.simple(sql, timeout=timeout)
    return e.value


# ---- a user's own ----
def test_own_query_wait_timeout(own_weir, fleet):
    """The user's time counts for that user, and nobody else's; 0 is without end."""
    w = own_weir(databases=[block(fleet, 'pool_size = 1; query_wait_timeout = "400ms";')],
                 extra='users = ( { name = "app"; query_wait_timeout = "30s"; }, { name = "app2"; query_wait_timeout = 0; } );')
    with w.connect("wire") as holder, w.connect("wire", "trust_user") as short, w.connect("wire") as own, \
            w.connect("wire", "app2") as endless:
        holder.simple("begin")
        holder.simple("select 1")
        own.send(wire.query("select 'own'"))
        endless.send(wire.query("select 'endless'"))
        e = sleep_error(short)
        assert e.sqlstate == "53300" and "query_wait_timeout" in str(e)
        holder.simple("commit")
        assert own._rows(20) == [("own",)]
        assert endless._rows(20) == [("endless",)]
    w.extra = 'users = ( { name = "app"; query_wait_timeout = "300ms"; } );'
    w.databases = [block(fleet, "pool_size = 1;")]
    w.reload()
    with w.connect("wire", "app2") as holder, w.connect("wire") as own:
        holder.simple("begin")
        holder.simple("select 1")
        assert sleep_error(own).sqlstate == "53300"
        holder.simple("commit")


def test_own_pool_size(own_weir, fleet):
    """At most so many connections of a server are that user's; a reload changes it for clients that are there."""
    w = own_weir(databases=[block(fleet, 'pool_size = 4; query_wait_timeout = "500ms";')],
                 extra='users = ( { name = "app"; pool_size = 1; } );')
    with w.connect("wire") as a, w.connect("wire") as b, w.connect("wire", "app2") as c, w.connect("wire", "app2") as d:
        for x in (a, c, d):
            x.simple("begin")
            x.simple("select 1")
        e = sleep_error(b)
        assert e.sqlstate == "53300" and "user app has all of its 1 connections" in e.fields["H"]
        b.send(wire.query("select 'b'"))
        time.sleep(0.1)
        a.simple("commit")
        assert b._rows(20) == [("b",)]
        a.simple("begin")
        a.simple("select 1")
        w.extra = 'users = ( { name = "app"; pool_size = 2; } );'
        w.reload()
        b.simple("begin")
        assert b.simple("select 'two'") == [("two",)]


# ---- a database's, and a user's over all databases ----
@pytest.fixture
def two_shards(fleet):
    """Two databases of one server as the shards of one, so that one look at pg_stat_activity counts them all."""
    server = fleet.d["shards"][0]["primary"]
    for name in ("limits_a", "limits_b"):
        fleet.psql(server, "DROP DATABASE IF EXISTS %s WITH (FORCE)" % name, "postgres")
        fleet.psql(server, "CREATE DATABASE %s" % name, "postgres")

    def make(name, settings):
        return '  { name = "%s"; %s default_shard = "a"; shards = ( { name = "a"; primary = "%s"; }, { name = "b"; primary = "%s"; } ); }' % (
            name, settings, harness.conninfo(server, "limits_a"), harness.conninfo(server, "limits_b"))

    return make


COUNT = ("select count(*) from pg_stat_activity where datname in ('limits_a', 'limits_b') and "
         "usename in ('app', 'app2', 'trust_user')")


def watched(fleet, work, count=COUNT):
    """Runs work() and returns the largest number of connections seen meanwhile."""
    server, most, stop = fleet.d["shards"][0]["primary"], [0], threading.Event()

    def watch():
        with wire.connect("127.0.0.1", server["port"], "postgres", harness.USERS["postgres"] or "", "postgres") as w:
            while not stop.is_set():
                most[0] = max(most[0], int(w.simple(count)[0][0]))

    t = threading.Thread(target=watch)
    t.start()
    try:
        work()
    finally:
        stop.set()
        t.join()
    return most[0]


def crowd(w, databases, users, n=18, rounds=15):
    def one(i):
        with w.connect(databases[i % len(databases)], users[i % len(users)]) as c:
            for k in range(rounds):
                c.simple("set weir.shard = '%s'" % "ab"[(i + k) % 2])
                c.simple("begin")
                assert c.simple("select current_database(), %d" % i, timeout=30) == [("limits_" + "ab"[(i + k) % 2], str(i))]
                c.simple("commit")

    run_threads(n, one)


def test_max_db_connections(own_weir, fleet, two_shards):
    """Over shards, users and workers together there are never more, and everybody is served."""
    w = own_weir(databases=[two_shards("limits", "pool_size = 3; max_db_connections = 4;")])
    most = watched(fleet, lambda: crowd(w, ["limits"], ["app", "app2", "trust_user"]))
    assert 2 <= most <= 4
    with w.admin() as a:
        row = [r for r in a.simple("show databases") if r[0] == "limits"][0]
        assert "4" in row


def test_max_db_connections_of_two_databases_are_apart(own_weir, fleet, two_shards):
    w = own_weir(databases=[two_shards("limits", "pool_size = 3; max_db_connections = 1;"), two_shards("limits2", "pool_size = 3;")])
    with w.connect("limits") as a, w.connect("limits", "app2") as b, w.connect("limits2") as c:
        a.simple("begin")
        a.simple("select 1")
        b.send(wire.query("select 'b'"))
        assert c.simple("select 'c'") == [("c",)]
        a.simple("commit")
        assert b._rows(20) == [("b",)]


def test_max_db_connections_evicts(own_weir, fleet, two_shards):
    """At the limit another shard's or user's idle connection is closed; when all work, the hint says what is full."""
    w = own_weir(databases=[two_shards("limits", 'pool_size = 3; max_db_connections = 2; query_wait_timeout = "1s";')])
    with w.connect("limits") as a, w.connect("limits", "app2") as b, w.connect("limits", "trust_user") as c:
        for shard in "abab":
            for x in (a, b, c):
                x.simple("set weir.shard = '%s'" % shard)
                assert x.simple("select current_database()", timeout=10) == [("limits_" + shard,)]
        for x in (a, b):
            x.simple("begin")
            x.simple("select 1")
        e = sleep_error(c)
        assert e.sqlstate == "53300" and "max_db_connections of limits (2) reached" in e.fields["H"]
        a.simple("commit")
        assert c.simple("select 'c'", timeout=10) == [("c",)]
        b.simple("commit")
        w.databases = [two_shards("limits", "pool_size = 3; max_db_connections = 1;")]
        w.reload()
        server = fleet.d["shards"][0]["primary"]
        wait_until(lambda: fleet.psql(server, COUNT, "postgres").strip() == "1")


def test_max_user_connections(own_weir, fleet, two_shards):
    """One user's, over all databases and shards; the global one for those without their own."""
    w = own_weir(databases=[two_shards("limits", "pool_size = 4;"), two_shards("limits2", "pool_size = 4;")],
                 extra='max_user_connections = 3; users = ( { name = "app"; max_user_connections = 2; } );')
    for user, limit in (("app", 2), ("app2", 3)):
        count = COUNT.replace("'app', 'app2', 'trust_user'", "'%s'" % user)
        most = watched(fleet, lambda user=user: crowd(w, ["limits", "limits2"], [user]), count)
        assert 1 <= most <= limit, user
    with w.connect("limits") as a, w.connect("limits2") as b, w.connect("limits2") as c, w.connect("limits2", "app2") as d:
        for x in (a, b):
            x.simple("begin")
            x.simple("select 1")
        c.send(wire.query("select 'c'"))
        assert d.simple("select 'd'") == [("d",)]
        with w.admin() as admin:
            wait_until(lambda: "max_user_connections of app (2) reached" in str(admin.simple("show clients")))
        a.simple("commit")
        assert c._rows(20) == [("c",)]
        b.simple("commit")


# ---- cancel requests ----
def test_cancel_that_waits_too_long_is_given_up(own_weir, fleet):
    """A request that hangs on its way holds the connection for cancel_wait_timeout, no longer; then that is closed, since it may
    still arrive."""
    relay = Relay(fleet.d["shards"][0]["primary"]["port"])
    db = ('  { name = "wire"; pool_size = 1; shards = ( { name = "s1"; primary = "host=127.0.0.1 port=%d dbname=wire '
          'sslmode=disable"; } ); }' % relay.port)
    w = own_weir(databases=[db], extra='cancel_wait_timeout = "700ms";')
    with w.connect("wire") as a, w.connect("wire") as b:
        first = a.simple("select pg_backend_pid()")
        relay.swallow_cancels = True
        a.send(wire.query("select pg_sleep(0.3)"))
        time.sleep(0.1)
        a.cancel()
        a._rows(20)
        assert b.simple("select pg_backend_pid()", timeout=30) != first
        assert relay.swallowed == 1
        assert re.search(r"cancel request failed", w.log_since(0))
        relay.swallow_cancels = False
        a.send(wire.query("select pg_sleep(20)"))
        time.sleep(0.2)
        a.cancel()
        with pytest.raises(wire.ServerError) as e:
            a._rows(20)
        assert e.value.sqlstate == "57014"
    relay.stop()


def test_own_read_your_writes_wait(own_weir, fleet):
    """One user's read waits for the replica, another's goes to the primary at once."""
    replica = fleet.d["shards"][0]["replicas"][0]
    w = own_weir(databases=[block(fleet, "pool_size = 4;", replicas=True)],
                 extra='users = ( { name = "app"; read_your_writes_wait = "30s"; } );')
    where = "select pg_is_in_recovery()"
    with w.connect("wire") as patient, w.connect("wire", "app2") as other:
        for x in (patient, other):
            wait_until(lambda x=x: x.simple(where) == [("t",)])
        fleet.psql(replica, "select pg_wal_replay_pause()", "postgres")
        try:
            for x in (patient, other):
                x.simple("insert into kv values (77001, 'x') on conflict (id) do update set v = kv.v || 'x'")
            assert other.simple(where) == [("f",)]
            patient.send(wire.query(where))
            time.sleep(0.5)
        finally:
            fleet.psql(replica, "select pg_wal_replay_resume()", "postgres")
        assert patient._rows(20) == [("t",)]
        patient.simple("delete from kv where id = 77001")
