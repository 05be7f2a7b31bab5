"""Replication connections go one to one: pg_recvlogical and pg_receivewal work through Weir as they do without."""
import os
import subprocess

import pytest

import harness

BIN = harness.fleet_tool.BIN


@pytest.fixture
def place(target):
    return target("wire")


def tool(place, name, *args, ok=True):
    env = {**os.environ, **place.environment("weir")}
    r = subprocess.run([os.path.join(BIN, name), *args], env=env, cwd=harness.WORK, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert r.returncode == 0 or not ok, r.stderr
    return r.stdout


def test_logical(place, fleet):
    p = fleet.d["shards"][0]["primary"]
    tool(place, "pg_recvlogical", "-d", "wire", "--slot=through", "--drop-slot", ok=False)
    tool(place, "pg_recvlogical", "-d", "wire", "--slot=through", "--create-slot", "-P", "test_decoding")
    try:
        fleet.psql(p, "insert into kv select i, 'streamed' from generate_series(6001, 6200) i", "wire")
        fleet.psql(p, "delete from kv where id > 6000", "wire")
        end = fleet.psql(p, "select pg_current_wal_insert_lsn()", "wire").strip()
        out = tool(place, "pg_recvlogical", "-d", "wire", "--slot=through", "--start", "-f", "-", "--endpos=" + end)
        assert out.count("INSERT: id[integer]") == 200 and out.count("DELETE: id[integer]") == 200
    finally:
        tool(place, "pg_recvlogical", "-d", "wire", "--slot=through", "--drop-slot")


def test_physical(place, fleet, tmp_path):
    """These tools name the database `replication`, which Weir's configuration must have to know the server."""
    p = fleet.d["shards"][0]["primary"]
    end = fleet.psql(p, "select pg_switch_wal(); select pg_current_wal_lsn()", "wire").strip().splitlines()[-1]
    tool(place, "pg_receivewal", "-D", str(tmp_path), "--endpos=" + end, "--no-loop", "--no-sync", "--status-interval=1")
    assert os.listdir(tmp_path)
