"""Limits over the whole process: of a database, of a user, of a user's own waiting; and cancel requests that take too long."""
import re
import time

import pytest

import harness
import wire
from relay import Relay

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
