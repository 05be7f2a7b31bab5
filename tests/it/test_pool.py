"""Pooling: the budget holds, waiters are served in order, and nothing of one client reaches another under saturation."""
import threading
import time

import pytest

import harness
import wire
from test_hostile import wait_until

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")


def backends(fleet):
    sql = "select count(*) from pg_stat_activity where datname = 'postgres' and usename in ('app', 'app2')"
    return int(fleet.psql(fleet.d["shards"][0]["primary"], sql, "postgres"))


def run_threads(n, work):
    failures = []

    def guarded(i):
        try:
            work(i)
        except Exception as e:     # noqa: the test looks at it
            failures.append("%d: %r" % (i, e))

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[:5]


@pytest.fixture
def small(own_weir, fleet):
    """A pool of three connections on two workers, to a database that no other test uses."""
    return own_weir(databases=[harness.database_block(fleet, "wire", "postgres", ["s1"], False, "pool_size = 3;")])


def test_prepared_statements_do_not_cross(small):
    """Forty clients on three connections, each with the same statement names for different texts."""
    def work(n):
        with small.connect("wire") as w:
            w.send(b"".join(wire.parse("s%d" % k, "select %d, %d, $1::int" % (n, k)) for k in range(5)) + wire.SYNC)
            w.read_until("Z")
            for i in range(60):
                k = (i * 7 + n) % 5
                w.send(wire.bind("", "s%d" % k, [str(i)]) + wire.describe("P", "") + wire.execute() + wire.SYNC)
                assert w._rows(30) == [(str(n), str(k), str(i))]

    run_threads(40, work)


def test_settings_do_not_cross(small):
    def work(n):
        with small.connect("wire", options=[("application_name", "client %d" % n)]) as w:
            w.simple("set work_mem = '%dkB'" % (2000 + n))
            for i in range(40):
                if i % 10 == 3:
                    w.simple("begin; set local statement_timeout = '%dms'; commit" % (5000 + n))
                got = w.simple("select current_setting('application_name'), current_setting('work_mem'), "
                               "current_setting('statement_timeout')")
                assert got == [("client %d" % n, "%dkB" % (2000 + n), "0")], got

    run_threads(30, work)


def test_budget_is_never_exceeded(small, fleet):
    stop, most = threading.Event(), [0]

    def watch():
        while not stop.is_set():
            most[0] = max(most[0], backends(fleet))

    watcher = threading.Thread(target=watch)
    watcher.start()

    def work(n):
        with small.connect("wire", "app" if n % 2 else "app2") as w:
            for _ in range(30):
                w.simple("begin")
                w.simple("select 1")
                w.simple("commit")

    try:
        run_threads(24, work)
    finally:
        stop.set()
        watcher.join()
    assert 1 <= most[0] <= 3, most[0]


def test_waiters_are_served_and_time_out(own_weir, fleet):
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False,
                                                   'pool_size = 1; query_wait_timeout = "1s";')])
    with w.connect("wire") as holder, w.connect("wire") as waiter:
        holder.simple("begin; select 1")
        start = time.time()
        with pytest.raises(wire.ServerError) as e:
            waiter.simple("select 1", timeout=10)
        assert e.value.sqlstate == "53300" and 0.5 < time.time() - start < 5
    with w.connect("wire") as holder, w.connect("wire") as waiter:
        holder.simple("begin; select 1")
        waiter.send(wire.query("select 2"))
        time.sleep(0.2)
        holder.simple("commit")
        assert waiter._rows(5) == [("2",)]


def test_login_while_the_pool_is_busy(own_weir, fleet):
    """A client like those before it gets in at once; only its first statement has to wait."""
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False,
                                                   'pool_size = 1; query_wait_timeout = "3s";')])
    with w.connect("wire") as holder:
        holder.simple("begin; select 1")
        with w.connect("wire") as late:
            late.send(wire.query("select 'served'"))
            holder.simple("commit")
            assert late._rows(5) == [("served",)]


def test_release_only_at_the_end_of_the_transaction(small):
    with small.connect("wire") as a, small.connect("wire") as b:
        a.simple("begin")
        pid = a.simple("select pg_backend_pid()")
        for _ in range(5):
            assert b.simple("select pg_backend_pid()") != pid
            assert a.simple("select pg_backend_pid()") == pid
        a.simple("rollback")


def test_pipelines_under_saturation(small):
    def work(n):
        with small.connect("wire") as w:
            for r in range(10):
                w.send(b"".join(wire.parse("", "select %d, %d" % (n, i)) + wire.bind("", "") + wire.execute() + wire.SYNC
                                for i in range(20)))
                for i in range(20):
                    assert w._rows(30) == [(str(n), str(i))]

    run_threads(20, work)


def test_cancel_of_a_waiting_client(own_weir, fleet):
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 1;")])
    with w.connect("wire") as holder, w.connect("wire") as waiter:
        holder.simple("begin; select 1")
        holder.simple("select 1")
        waiter.send(wire.query("select 1"))
        time.sleep(0.3)
        waiter.cancel()
        with pytest.raises(wire.ServerError) as e:
            waiter._rows(5)
        assert e.value.sqlstate == "57014"
        assert holder.simple("select 'not cancelled'") == [("not cancelled",)]
        holder.simple("commit")
        assert waiter.simple("select 2") == [("2",)]


def test_cancel_never_hits_the_next_client(small):
    """Cancel requests that race with the end of their statement, on connections that are lent on at once."""
    stop = threading.Event()

    def bystander(w):
        n = 0
        while not stop.is_set():
            assert w.simple("select %d" % n, timeout=20) == [(str(n),)]
            n += 1

    others = [small.connect("wire") for _ in range(4)]
    failures = []

    def guarded(w):
        try:
            bystander(w)
        except Exception as e:     # noqa: the test looks at it
            failures.append(repr(e))

    threads = [threading.Thread(target=guarded, args=(w,)) for w in others]
    for t in threads:
        t.start()
    with small.connect("wire") as w:
        for i in range(60):
            w.send(wire.query("select pg_sleep(0.0%d)" % (i % 4)))
            w.cancel()
            try:
                w._rows(20)
            except wire.ServerError as e:
                assert e.sqlstate == "57014"
    stop.set()
    for t in threads:
        t.join()
    assert not failures, failures


def test_keys_of_protocol_3_2(weir):
    """A longer cancel key, different for each client, and it works."""
    keys = set()
    for _ in range(5):
        with weir.connect("wire", version=wire.PROTOCOL_3_2) as w:
            keys.add(w.key)
            assert 4 < len(w.key) <= 256
            w.send(wire.query("select pg_sleep(20)"))
            time.sleep(0.2)
            w.cancel()
            with pytest.raises(wire.ServerError) as e:
                w._rows(5)
            assert e.value.sqlstate == "57014"
    assert len(keys) == 5


def test_currval_needs_its_transaction(weir):
    """The connection that called nextval has been given back: an error and a hint, never another client's value."""
    with weir.connect("wire") as w:
        w.simple("drop sequence if exists cv; create sequence cv")
        w.simple("begin")
        assert w.simple("select nextval('cv')") == w.simple("select currval('cv')") == [("1",)]
        w.simple("commit")
        with pytest.raises(wire.ServerError) as e:
            w.simple("select currval('cv')")
        assert e.value.sqlstate == "55000" and e.value.fields.get("H")
        w.simple("drop sequence cv")


def test_cancel_reaches_the_peer_that_has_the_session(fleet):
    """Behind a load balancer the cancel request may come to another process; it is passed on by the key's peer_id."""
    if harness.DIRECT:
        pytest.skip("WEIR_DIRECT: without Weir")
    db = [harness.database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 2;")]
    both = [harness.Weir(fleet, "peer-%d" % i, db) for i in (1, 2)]
    peers = ", ".join('{ id = %d; host = "127.0.0.1"; port = %d; }' % (i, w.port) for i, w in enumerate(both, 1))
    try:
        for i, w in enumerate(both, 1):
            w.extra = "peer_id = %d; peers = ( %s );" % (i, peers)
            w.start()
        for version in (wire.PROTOCOL_3_0, wire.PROTOCOL_3_2):
            with both[0].connect("wire", version=version) as c:
                c.send(wire.query("select pg_sleep(20)"))
                time.sleep(0.5)
                wrong = bytes([c.key[0] ^ 1]) + c.key[1:]
                for key in (wrong, c.key):
                    with wire.Wire("127.0.0.1", both[1].port) as other:
                        other.send(wire.cancel_request(c.pid, key))
                        other.at_eof()
                    if key == wrong:
                        with pytest.raises(wire.TimedOut):
                            c.read(0.5)
                with pytest.raises(wire.ServerError) as e:
                    c._rows(5)
                assert e.value.sqlstate == "57014"
        # the peer's number is in the process id: all 32 bits of the short key are secret
        clients = [both[1].connect("wire") for _ in range(4)]
        assert {c.pid >> 17 for c in clients} == {2} and len({c.key[:2] for c in clients}) > 1
        for c in clients:
            c.close()
    finally:
        for w in both:
            code = w.stop()
            assert code == 0 and not w.sanitizer_reports(), w.log_tail()


def test_clients_of_one_user_are_counted(own_weir, fleet):
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False, "application_name_add_host = true;")],
                 extra='users = ( { name = "app"; max_user_client_connections = 2; } );')
    with w.connect("wire", options=[("application_name", "me")]) as a, w.connect("wire"):
        assert a.simple("show application_name")[0][0].startswith("me - 127.0.0.1:")
        with pytest.raises((wire.ServerError, wire.Closed)) as e:
            w.connect("wire")
        assert "max_user_client_connections" in str(e.value)
        with w.connect("wire", "app2"):
            pass
    time.sleep(0.2)
    with w.connect("wire") as again:
        assert again.simple("select 1") == [("1",)]


def test_unnamed_statement_after_the_pools_own_query(own_weir, fleet):
    """A connection that was tried by the pool has lost its unnamed statement, as after any simple query."""
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False,
                                                   "pool_size = 1; server_check_delay = 0;")])
    with w.connect("wire") as c:
        for _ in range(3):
            assert c.prepared("select 1 + 1") == [("2",)]


def test_few_statements_and_pipelines(own_weir, fleet):
    """Each statement drives another off the connection; errors skip some of those closings, and PREPARE brings its own."""
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False,
                                                   "pool_size = 1; max_prepared_statements = 1;")])

    def run(name):
        return wire.bind("", name) + wire.execute()

    with w.connect("wire") as c, w.connect("wire") as other:
        for name in "abc":
            c.send(wire.parse(name, "select '%s'" % name) + wire.SYNC)
            c.read_until("Z")
        c.simple("prepare p as select 'p'")
        other.simple("prepare p as select 'p of another'")
        for _ in range(3):
            c.send(run("a") + run("b") + run("c") + run("a") + wire.SYNC)
            assert c._rows(5) == [("a",), ("b",), ("c",), ("a",)]
            # what is skipped behind an error has closed nothing and made nothing
            c.send(wire.parse("bad", "select nosuch") + run("b") + run("c") + wire.SYNC)
            with pytest.raises(wire.ServerError) as e:
                c._rows(5)
            assert e.value.sqlstate == "42703"
            assert c.simple("execute p") == [("p",)]
            assert other.simple("execute p") == [("p of another",)]
            c.send(run("a") + wire.parse("", "execute p") + run("") + wire.parse("", "execute c") + run("") +
                   run("b") + wire.SYNC)
            assert c._rows(5) == [("a",), ("p",), ("c",), ("b",)]
            c.send(wire.parse("bad", "select nosuch") + wire.parse("", "execute p") + run("") + wire.SYNC)
            with pytest.raises(wire.ServerError):
                c._rows(5)
            c.send(wire.parse("e", "execute p") + run("e") + run("b") + run("e") + wire.close("S", "e") + wire.SYNC)
            assert c._rows(5) == [("p",), ("b",), ("p",)]


HIDDEN = "do $$ begin perform set_config('%s', '%s', false); end $$"


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_reported_parameters_are_tracked(own_weir, fleet, extended):
    """What a DO has set and the server reports belongs to the session: restored on other connections, not seen by others.
    What is not tracked stays on its connection, as it always did."""
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 1;")])

    def run(c, sql):
        return c.prepared(sql) if extended else c.simple(sql)

    with w.connect("wire") as a, w.connect("wire") as b:
        run(a, HIDDEN % ("IntervalStyle", "iso_8601"))
        run(a, HIDDEN % ("TimeZone", "Asia/Tokyo"))
        assert a.params["IntervalStyle"] == "iso_8601" and a.params["TimeZone"] == "Asia/Tokyo"
        for _ in range(2):
            assert run(b, "select interval '1 day', current_setting('TimeZone') <> 'Asia/Tokyo'") == [("1 day", "t")]
            assert run(a, "select interval '1 day', current_setting('TimeZone')") == [("P1D", "Asia/Tokyo")]
        # a rollback undoes it, SET LOCAL ends with its transaction
        a.simple("begin")
        run(a, HIDDEN % ("IntervalStyle", "sql_standard"))
        a.simple("rollback")
        a.simple("begin")
        a.simple("set local intervalstyle = 'postgres_verbose'")
        a.simple("commit")
        assert run(b, "select interval '1 day'") == [("1 day",)]
        assert run(a, "select interval '1 day'") == [("P1D",)]
        # what a statement says goes before; RESET goes back to the default
        a.simple("set intervalstyle = 'sql_standard'")
        assert run(b, "select interval '1 day'") == [("1 day",)]
        assert run(a, "select interval '1 day'") == [("1 0:00:00",)]
        run(a, HIDDEN % ("IntervalStyle", "iso_8601"))
        a.simple("reset intervalstyle")
        assert run(b, "select interval '1 day'") == run(a, "select interval '1 day'") == [("1 day",)]
        run(a, HIDDEN % ("IntervalStyle", "iso_8601"))
        a.simple("discard all")
        assert run(b, "select interval '1 day'") == run(a, "select interval '1 day'") == [("1 day",)]


def test_track_extra_parameters(own_weir, fleet):
    """Of the parameters that servers report only those listed are tracked; what cannot be restored is refused."""
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 1;")],
                 extra='track_extra_parameters = ( "default_transaction_read_only" );')
    with w.connect("wire") as a, w.connect("wire") as b:
        a.simple(HIDDEN % ("default_transaction_read_only", "on"))
        assert b.simple("show default_transaction_read_only") == [("off",)]
        assert a.simple("show default_transaction_read_only") == [("on",)]
        a.simple("reset default_transaction_read_only")
        a.simple(HIDDEN % ("IntervalStyle", "iso_8601"))
        assert b.simple("select interval '1 day'") == [("P1D",)]
        a.simple("set intervalstyle = 'postgres'")
    w.extra = 'track_extra_parameters = ( "is_superuser" );'
    size = w.log_size()
    w.reload()
    wait_until(lambda: "is_superuser" in w.log_since(size))
