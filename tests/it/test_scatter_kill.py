"""Clients and servers that go at any moment, under transactions and statements over shards: nothing is left behind, sums stay."""
import random
import threading
import time

import pytest

import harness
import wire
from test_routing import empty, on_shard, shard_of  # noqa: F401
from test_scatter import rows  # noqa: F401
from test_transactions import catalog, keys  # noqa: F401
from test_txn_recovery import until

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
SECONDS = 8
JOIN = "select count(*) from customers a join orders b on a.id = b.id - 1000"


def transfer(w, a, b):
    w.simple("begin")
    for k, sign in sorted(((a, -1), (b, 1))):
        w.simple("update customers set credit = credit + %d where id = %d" % (sign, k))
    if random.random() < 0.3:
        w.simple("select id from customers")
    w.simple("commit")


def everywhere(w, *_):
    w.simple("update customers set credit = credit + 1 - 1")


def intermediate(w, *_):
    w.prepared(JOIN)


def all_rows(w, *_):
    w.prepared("select * from customers order by id")


def leave(w):
    try:
        w.sock.shutdown(2)
    except OSError:  # it has left already
        pass


def once(weir, keys, what):
    """One client, which may leave in the middle of what it does. True: it went on to the end."""
    w = weir.connect()
    w.simple("set lock_timeout = '1s'")  # PostgreSQL does not see deadlocks over several servers
    try:
        if random.random() < 0.3:
            threading.Timer(random.random() * 0.05, leave, (w,)).start()
        for _ in range(5):
            what(w, random.choice(keys["s1"]), random.choice(keys["s2"]))
        return True
    except (wire.WireError, OSError) as e:
        assert not isinstance(e, wire.TimedOut), "a client waits for ever in " + what.__name__
        assert getattr(e, "sqlstate", "08000")[:2] in ("08", "57", "40", "25", "55", "XX"), e
        return False
    finally:
        w.close()


def killer(fleet, stop):
    while not stop.wait(0.2):
        on_shard(fleet, random.choice(("s1", "s2")), """select pg_terminate_backend(pid) from (select pid from pg_stat_activity
            where datname = 'shop' and usename = 'app' order by random() limit 1) k""")


@pytest.mark.parametrize("servers_too", [False, True], ids=["clients", "servers"])
def test_kills(own_weir, fleet, rows, keys, catalog, servers_too):
    weir = own_weir(databases=[harness.database_block(fleet, "shop", "shop", settings="pool_size = 6; primary_wait = \"5s\";", map_text=harness.SHOP_MAP)],
                    extra='recovery_grace = "2s"; recovery_period = "1s"; commit_timeout = "5s";')
    time.sleep(2)
    stop, done, wrong = threading.Event(), [], []

    def work(what):
        while not stop.is_set() and not wrong:
            try:
                done.append(once(weir, keys, what))
            except AssertionError as e:
                wrong.append(e)

    threads = [threading.Thread(target=work, args=(f,)) for f in (transfer, transfer, transfer, everywhere, intermediate, all_rows)]
    if servers_too:
        threads.append(threading.Thread(target=killer, args=(fleet, stop)))
    for t in threads:
        t.start()
    time.sleep(SECONDS)
    stop.set()
    for t in threads:
        t.join(60)
    assert not wrong, wrong[0]
    assert done.count(True) > 3
    for s in ("s1", "s2"):
        until(lambda: on_shard(fleet, s, "select count(*) from pg_prepared_xacts where database = 'shop'") == ["0"])
        until(lambda: on_shard(fleet, s, "select count(*) from pg_stat_activity where state like 'idle in%' and datname = 'shop' and usename = 'app'") == ["0"])
    assert sum(float(on_shard(fleet, s, "select sum(credit) from customers")[0]) for s in ("s1", "s2")) == 0
    with weir.admin() as a:
        until(lambda: not [r for r in a.simple("show clients") if "shop" in r])
        for r in a.simple("show servers"):
            assert "active" not in r or "shop" not in r, r
    with weir.connect() as w:
        assert w.simple("select count(*) from customers") == [("60",)]
