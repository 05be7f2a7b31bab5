"""`make demo`: it comes up by itself, what it tells people to try works and shows what it says, and it goes away whole."""
import json
import os
import re
import subprocess

import pytest

import harness

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
DIR = os.path.join(harness.WORK, "demo")
DEMO = os.path.join(harness.TOP, "tools", "demo")


def run(*args, **kw):
    env = {**os.environ, "DEMO_DIR": DIR, "WEIR_BIN": harness.WEIR_BIN, "DEMO_PORT": str(harness.free_port()),
           "ASAN_OPTIONS": "log_path=" + DIR + "/sanitizer"}
    return subprocess.run([DEMO, *args], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, **kw)


@pytest.fixture(scope="module")
def demo():
    r = run("start")
    try:
        assert r.returncode == 0, r.stdout
        with open(os.path.join(DIR, "fleet", "fleet.json")) as f:
            shards = json.load(f)["shards"]
        yield r.stdout, {s["name"]: (str(s["primary"]["port"]), str(s["replicas"][0]["port"])) for s in shards}
    finally:
        stopped = run("stop")
    assert stopped.returncode == 0, stopped.stdout
    assert not os.path.exists(DIR), os.listdir(DIR)


def psql(text, *sql):
    """Runs statements as the demo's text says, in one session; unaligned rows."""
    port = re.search(r"psql -h 127.0.0.1 -p (\d+)", text).group(1)
    env = {**os.environ, "PGPASSWORD": "app-secret"}
    command = ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", port, "-U", "app", "shop"]
    for s in sql:
        command += ["-c", s]
    r = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    return [line.split("|") for line in r.stdout.splitlines()]


def statements(text):
    return [" ".join(s.split()) for s in re.findall(r"^   (?:SELECT|UPDATE|BEGIN|COMMIT)[^;]*;", text, re.M)]


def test_five_statements(demo):
    text, ports = demo
    by_hash, by_range, by_directory, reference, write = statements(text)[:5]
    name, port, replica = psql(text, by_hash)[0]
    assert (port, replica) == (ports["s2"][1], "t")
    assert psql(text, by_hash.replace("42", "46"))[0][1] in ports["s1"]
    count, port = psql(text, by_range)[0]
    assert int(count) > 200 and port in ports["s1"]
    count, port = psql(text, by_range.replace("2025-12-01", "2026-03-01"))[0]
    assert int(count) > 200 and port in ports["s2"]
    assert psql(text, by_directory)[0][0] == "gold" and psql(text, by_directory)[0][2] in ports["s2"]
    for tenant in ("globex", "hooli"):
        assert psql(text, by_directory.replace("acme", tenant))[0][2] in ports["s1"]
    assert psql(text, reference)[0][0] == name and psql(text, reference)[0][2] in ports["s2"]
    rows = psql(text, write, "SELECT credit FROM customers WHERE id = 42")
    written = [r for r in rows if len(r) == 3][0]
    assert written[1:] == [ports["s2"][0], "f"]
    assert rows[-1] == [written[0]]


def test_statements_over_both_shards(demo):
    text, ports = demo
    over_both, *transaction = statements(text)[5:]
    got = psql(text, over_both)
    assert len(got) == 3 and [float(r[2]) for r in got] == sorted((float(r[2]) for r in got), reverse=True)
    each = {}
    for shard in ("s1", "s2"):
        for country, orders, amount in psql(text, "SET weir.shard = '%s'" % shard, over_both.replace("LIMIT 3", ""))[1:]:
            n, sum_ = each.get(country, (0, 0))
            each[country] = (n + int(orders), round(sum_ + float(amount), 2))
    assert {c: (int(n), float(a)) for c, n, a in got}.items() <= each.items()
    assert transaction[0] == "BEGIN;" and transaction[-1] == "COMMIT;"
    written = [r for r in psql(text, *transaction) if len(r) == 2]
    assert [r[1] for r in written] == [ports["s2"][0], ports["s1"][0]]
    for (credit, _), key in zip(written, (42, 46)):
        assert psql(text, "SET weir.target = 'primary'", "SELECT credit FROM customers WHERE id = %d" % key)[-1] == [credit]


def test_rows_are_all_there(demo):
    text, _ = demo
    assert psql(text, "SELECT count(*) FROM orders") == [["200000"]]
    total = {}
    for shard in ("s1", "s2"):
        for table in ("customers", "orders", "events", "tenants", "notes", "countries"):
            rows = psql(text, "SET weir.shard = '%s'" % shard, "SELECT count(*) FROM " + table)
            total[table] = total.get(table, 0) + int(rows[-1][0])
    assert total == {"customers": 50000, "orders": 200000, "events": 100000, "tenants": 6, "notes": 3000, "countries": 34}


def test_starting_again_changes_nothing(demo):
    text, _ = demo
    again = run("start")
    assert again.returncode == 0 and "running already" in again.stdout, again.stdout
    assert statements(again.stdout) == statements(text)
