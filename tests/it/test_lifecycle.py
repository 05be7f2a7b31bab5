"""Start, reload, shutdown, and servers that go and come back."""
import os
import signal
import subprocess
import threading
import time

import pytest

import harness
import wire

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")


def wire_only(fleet, settings=""):
    return [harness.database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 4; " + settings)]


def test_shutdown_waits_for_transactions(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet))
    busy, idle = w.connect("wire"), w.connect("wire")
    busy.simple("begin")
    w.expect_death = True
    w.signal(signal.SIGTERM)
    with pytest.raises(wire.ServerError) as e:
        kind, body = idle.read(5)
        assert kind == "E"
        raise wire.ServerError(wire.fields_of(body))
    assert e.value.sqlstate == "57P01"
    assert busy.simple("select 1") == [("1",)]
    assert w.alive()
    with pytest.raises((OSError, wire.WireError)):
        w.connect("wire", timeout=3.0)
    busy.send(wire.query("commit"))
    assert "C" in [m[0] for m in busy.read_until("CE")]
    assert w.process.wait(10) == 0


def test_shutdown_deadline(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet), extra='shutdown_timeout = "1s";')
    busy = w.connect("wire")
    busy.simple("begin; insert into kv values (8001, 'never')")
    w.expect_death = True
    start = time.time()
    w.signal(signal.SIGTERM)
    assert w.process.wait(10) == 0
    assert 0.5 < time.time() - start < 6
    time.sleep(0.3)
    assert fleet.psql(fleet.d["shards"][0]["primary"], "select count(*) from kv where id = 8001", "wire").strip() == "0"


def test_reload_keeps_clients_and_takes_new_settings(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet))
    with w.connect("wire") as c:
        c.simple("begin")
        w.databases = wire_only(fleet) + [harness.database_block(fleet, "added", "wire", ["s1"], False)]
        w.reload()
        assert c.simple("select 1") == [("1",)]
        c.simple("commit")
        with w.connect("added") as d:
            assert d.simple("select 2") == [("2",)]


def test_bad_reload_changes_nothing(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet))
    good = w.databases
    for bad in (["this is not libconfig"], ['  { name = "wire"; no_such_setting = 1; shards = ( ); }'], good + good):
        w.databases = bad
        w.reload()
        with w.connect("wire") as c:
            assert c.simple("select 1") == [("1",)]


def test_bad_configuration_at_start(fleet):
    w = harness.Weir(fleet, "bad-config", ["nonsense"])
    w.write()
    r = subprocess.run([harness.WEIR_BIN, "serve", "-c", w.conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=20, env=w.environment())
    assert r.returncode not in (0, 99) and r.returncode > 0 and os.path.basename(w.conf) in r.stdout, r.stdout


def test_port_is_taken(own_weir, fleet):
    first = own_weir(databases=wire_only(fleet))
    second = harness.Weir(fleet, "second", wire_only(fleet))
    second.port = first.port
    second.write()
    r = subprocess.run([harness.WEIR_BIN, "serve", "-c", second.conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=20, env=second.environment())
    assert r.returncode > 0 and r.returncode != 99, r.stdout
    with first.connect("wire") as c:
        assert c.simple("select 1") == [("1",)]


def test_server_goes_and_comes_back(own_weir, fleet):
    """A killed primary: an error with the right SQLSTATE for who was at work, no retry inside a transaction; then as before."""
    w = own_weir(databases=wire_only(fleet, 'server_login_retry = "100ms"; primary_wait = "15s";'))
    p = fleet.d["shards"][0]["primary"]
    in_txn, at_work, idle = w.connect("wire"), w.connect("wire"), w.connect("wire")
    in_txn.simple("begin; insert into kv values (8002, 'gone')")
    at_work.send(wire.query("select pg_sleep(20)"))
    time.sleep(0.2)
    fleet.down(p, signal.SIGQUIT)
    try:
        with pytest.raises((wire.ServerError, wire.Closed)) as e:
            at_work._rows(10)
        if isinstance(e.value, wire.ServerError):
            assert e.value.sqlstate in ("57P01", "57P02", "08006"), str(e.value)
        with pytest.raises((wire.ServerError, wire.Closed)) as e:
            in_txn.simple("select 1", timeout=10)
        if isinstance(e.value, wire.ServerError):
            assert e.value.sqlstate in ("57P01", "57P02", "08006", "25P02"), str(e.value)
    finally:
        starter = threading.Timer(0.5, lambda: fleet.up(p))
        starter.start()
    assert idle.simple("select 'back'", timeout=20) == [("back",)]
    starter.join()
    assert idle.simple("select count(*) from kv where id = 8002") == [("0",)]
    fleet.wait_streaming()


def test_terminated_backend(own_weir, fleet):
    w = own_weir(databases=wire_only(fleet))
    p = fleet.d["shards"][0]["primary"]
    kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = 'wire' and pid <> pg_backend_pid()"
    with w.connect("wire") as c:
        c.simple("select 1")
        fleet.psql(p, kill, "wire")
        time.sleep(0.2)
        assert c.simple("select 2") == [("2",)]    # an idle connection's end concerns no client
        c.simple("begin")
        c.simple("select 1")
        fleet.psql(p, kill, "wire")
        with pytest.raises((wire.ServerError, wire.Closed)) as e:
            c.simple("select 3")
        if isinstance(e.value, wire.ServerError):
            assert e.value.sqlstate == "57P01"
    with w.connect("wire") as c:
        assert c.simple("select 4") == [("4",)]


def test_replica_goes_and_comes_back(own_weir, fleet):
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], True, 'replica_probe_interval = "200ms";')])
    r = fleet.d["shards"][0]["replicas"][0]
    with w.connect("wire") as c:
        c.simple("select 1")
        fleet.down(r, signal.SIGQUIT)
        try:
            for i in range(20):    # reads go on, on the primary; one that was under way may fail once
                assert c.simple("select %d" % i, timeout=10) == [(str(i),)]
        finally:
            fleet.up(r)
    fleet.wait_streaming()
