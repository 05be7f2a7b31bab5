"""Hostile clients and hostile servers: each attack ends in an error for whoever made it, and in nothing for anybody else."""
import re
import socket
import struct
import time

import pytest

import harness
import hostile_client as hc
import hostile_server as hs
import wire

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
LIMITS = """
server_connect_timeout = "3s";
query_wait_timeout = "4s";
query_timeout = "3s";
client_login_timeout = "4s";
breaker_failures = 1000;

"""


@pytest.fixture(scope="module")
def servers():
    made = {name: hs.HostileServer(run) for name, run in hs.BEHAVIOURS.items()}
    made["well"] = hs.HostileServer(hs.well_behaved)
    yield made
    for s in made.values():
        s.stop()


@pytest.fixture(scope="module")
def hostile_weir(fleet, servers):
    """A Weir with a database for each hostile server, and `wire` on a good one."""
    databases = [harness.database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 4; query_timeout = 0;")]
    for name, s in servers.items():
        databases.append('  { name = "%s"; pool_size = 2; shards = ( { name = "s1"; '
                         'primary = "host=127.0.0.1 port=%d dbname=x"; } ); }' % (name, s.port))
    w = harness.Weir(fleet, "hostile", databases, LIMITS)
    w.start()
    yield w
    alive = w.alive()
    w.stop()
    assert not w.sanitizer_reports(), w.sanitizer_reports()
    assert alive, "weir died:\n" + w.log_tail()


@pytest.fixture
def hostile(hostile_weir):
    """The Weir under attack; afterwards it lives and serves others, with no line forged into its log."""
    before = hostile_weir.log_size()
    yield hostile_weir
    assert hostile_weir.alive(), "weir died in this test:\n" + hostile_weir.log_tail()
    with hostile_weir.connect("wire") as w:
        assert w.simple("select 'fine'") == [("fine",)]
    assert not re.search(r"^level=error forged", hostile_weir.log_since(before), re.M)


def outcome(w, database, sql="select 'attack'"):
    """What a client sees of a database: its rows, or the SQLSTATE it got, or None when the connection ended with no word."""
    try:
        with w.connect(database, timeout=12.0) as c:
            try:
                return c.simple(sql)
            except wire.ServerError as e:
                return check_error(e)
            except wire.Closed:
                return None
    except wire.ServerError as e:
        return check_error(e)
    except wire.Closed:
        return None


def check_error(e):
    assert re.fullmatch("[0-9A-Z]{5}", e.sqlstate or ""), "an error without a proper SQLSTATE: %r" % e.fields
    assert e.fields.get("M"), e.fields
    return e.sqlstate


# ---- servers ----
def test_fake_server_that_behaves(hostile):
    assert outcome(hostile, "well") == [("1",)]


@pytest.mark.parametrize("name", hs.LOGIN)
def test_server_wrong_at_login(hostile, servers, name):
    got = outcome(hostile, name)
    assert not isinstance(got, list), "logged in to an impostor: %r" % got
    assert got is not None, "the client was told nothing"
    assert servers[name].connections > 0


# What the client sees is passed on as it came: these are wrong only where the client can tell.
PASSED_ON = {"query_ready_twice": [("1",)], "query_row_after_ready": [("1",)]}


@pytest.mark.parametrize("name", hs.QUERY)
def test_server_wrong_on_query(hostile, name):
    try:
        got = outcome(hostile, name)
    except (wire.WireError, struct.error) as e:
        assert not isinstance(e, wire.TimedOut), "the client hangs: %s" % e
        got = "malformed"
    if name in PASSED_ON:
        assert got == PASSED_ON[name]
    again = None
    try:
        again = outcome(hostile, name, "select 1")
    except wire.WireError as e:
        assert not isinstance(e, wire.TimedOut), "the next client hangs: %s" % e
    assert again != [("stray",)]


@pytest.mark.parametrize("name", hs.IDLE)
def test_server_wrong_while_idle(hostile, name):
    for _ in range(3):
        got = outcome(hostile, name, "select 1")
        assert got != [("nobody asked",)], "stray bytes became an answer"
        time.sleep(0.2)


# ---- clients before login ----
def gone_or_refused(w, limit=6.0):
    """Reads what the attacker gets until the connection ends; it must never be let in."""
    end = time.time() + limit
    while time.time() < end:
        try:
            kind, body = w.read(max(0.1, end - time.time()))
        except wire.Closed:
            return
        except wire.TimedOut:
            pytest.fail("the connection stays open")
        except wire.WireError:
            return
        assert kind != "Z", "logged in"
        assert not (kind == "R" and body == b"\0\0\0\0"), "authenticated"
    pytest.fail("the connection stays open")


@pytest.mark.parametrize("state", hc.STATES, ids=lambda f: f.__name__)
def test_every_message_type_before_login(hostile, state):
    for kind in hc.ALL_TYPES:
        for body in (b"", b"select 1\0", b"\0" * 40):
            with wire.Wire("127.0.0.1", hostile.port, 5.0) as w:
                try:
                    state(w)
                    w.send(hc.typed(kind, body))
                    # half of a valid start-up length may have been sent: nothing more comes
                    w.sock.shutdown(1)
                except (wire.Closed, OSError):
                    continue
                gone_or_refused(w)


@pytest.mark.parametrize("name,packet", hc.sized_startups(), ids=lambda x: x if isinstance(x, str) else "")
def test_startup_packets(hostile, name, packet):
    with wire.Wire("127.0.0.1", hostile.port, 5.0) as w:
        w.send(packet)
        try:
            w.sock.shutdown(1)
        except OSError:
            pass
        gone_or_refused(w)


@pytest.mark.parametrize("length", hc.bad_lengths())
def test_startup_lengths(hostile, length):
    for rest in (b"", struct.pack("!I", wire.PROTOCOL_3_0), struct.pack("!I", wire.CANCEL_CODE) + b"\0" * 40):
        with wire.Wire("127.0.0.1", hostile.port, 5.0) as w:
            w.send(struct.pack("!I", length) + rest)
            gone_or_refused(w, 6.0)


@pytest.mark.parametrize("name,packet", hc.sasl_firsts(), ids=lambda x: x if isinstance(x, str) else "")
def test_sasl_first(hostile, name, packet):
    with wire.Wire("127.0.0.1", hostile.port, 5.0) as w:
        hc.auth_asked(w)
        w.send(packet)
        # some are well-formed: the exchange goes on, and ends with a message that proves nothing
        w.send(wire.msg("p", b"c=biws,r=x,p=" + b"A" * 44))
        gone_or_refused(w)


@pytest.mark.parametrize("name,packet", hc.sasl_finals(), ids=lambda x: x if isinstance(x, str) else "")
def test_sasl_final(hostile, name, packet):
    with wire.Wire("127.0.0.1", hostile.port, 5.0) as w:
        hc.sasl_begun(w)
        w.send(packet)
        gone_or_refused(w)


@pytest.mark.parametrize("length", hc.bad_lengths())
def test_lengths_before_and_after_login(hostile, length):
    with wire.Wire("127.0.0.1", hostile.port, 5.0) as w:
        hc.auth_asked(w)
        w.send(hc.raw("p", length, b"SCRAM-SHA-256\0"))
        gone_or_refused(w)
    for kind in "QPBDECSHdcfFpX":
        with hostile.connect("wire", timeout=5.0) as w:
            w.send(hc.raw(kind, length, b"\0" * 8))
            w.sock.shutdown(1)
            try:
                while True:
                    w.read()
            except wire.TimedOut:
                pytest.fail("the connection stays open after %r with length %d" % (kind, length))
            except wire.WireError:
                pass


def test_plaintext_behind_ssl_request(hostile):
    """A man in the middle puts a start-up packet behind the SSLRequest: it must not count once TLS is there."""
    with wire.Wire("127.0.0.1", hostile.port, 5.0) as w:
        w.send(wire.request(wire.SSL_CODE) + wire.startup([("user", "trust_user"), ("database", "wire")]))
        try:
            assert w.take(1) in b"SN"
            w.upgrade()
        except (wire.WireError, OSError):
            return
        w.send(b"")
        try:
            w.read(2.0)
            pytest.fail("the injected start-up packet was answered")
        except wire.WireError:
            pass


def test_unknown_user(hostile):
    """No different from a wrong password, and never let in as somebody else."""
    seen = []
    for user, password in (("nobody_at_all", "x"), ("app", "wrong")):
        with wire.Wire("127.0.0.1", hostile.port, 5.0) as w:
            w.send(wire.startup([("user", user), ("database", "wire")]))
            kinds = []
            with pytest.raises(wire.ServerError) as e:
                w.authenticate(user, password, on_message=lambda k, b: kinds.append((k, b[:4] if k == "R" else b"")))
            assert e.value.sqlstate == "28P01"
            seen.append(kinds)
    assert seen[0] == seen[1], "an attacker can tell which users exist"


def test_slow_login_is_ended(hostile):
    """Connections that say nothing, or one byte at a time, end at client_login_timeout."""
    conns = [wire.Wire("127.0.0.1", hostile.port, 10.0) for _ in range(30)]
    packet = wire.startup([("user", "app"), ("database", "wire"), ("application_name", "s" * 200)])
    end = time.time() + 6
    i = 0
    while time.time() < end and i < len(packet):
        for w in conns[:10]:
            w.send(packet[i:i + 1])
        i += 1
        time.sleep(0.2)
    for w in conns:
        gone_or_refused(w, 5.0)
        w.close()


def test_many_connections_that_leave(hostile):
    for _ in range(300):
        s = socket.create_connection(("127.0.0.1", hostile.port), 5)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))    # a reset, not a FIN
        s.send(b"\0\0\0")
        s.close()


# ---- clients after login ----
@pytest.mark.parametrize("seed", range(8))
def test_mutated_messages(hostile, seed):
    """Right message sequences made wrong at random; nothing of it may reach another client."""
    for n in range(40):
        with hostile.connect("wire", timeout=5.0) as w:
            w.send(hc.random_stream(seed * 1000 + n))
            try:
                w.sock.shutdown(1)
                while True:
                    w.read()
            except wire.TimedOut:
                pytest.fail("hangs on stream %d" % (seed * 1000 + n))
            except (wire.WireError, OSError):
                pass
    with hostile.connect("wire") as w:
        for i in range(8):
            assert w.simple("select %d, current_setting('application_name')" % i) == [(str(i), "")]


def wait_until(what, limit=8.0):
    end = time.time() + limit
    while True:
        if what():
            return
        assert time.time() < end, "it does not come true: %s" % what
        time.sleep(0.05)


LEAVING = {
    "in_transaction": lambda w: w.simple("begin; insert into kv values (7001, 'left')"),
    "in_failed_transaction": lambda w: w.send(wire.query("begin; insert into kv values (7001, 'x'); select 1/0")),
    # a FIN may be half a close, so what runs may come to its end; a reset is not
    "in_short_query": lambda w: w.send(wire.query("begin; insert into kv values (7001, 'x'); select pg_sleep(2)")),
    "in_query": lambda w: w.send(wire.query("begin; insert into kv values (7001, 'x'); select pg_sleep(30)")),
    "in_result": lambda w: w.send(wire.query("select repeat('x', 100000) from generate_series(1, 2000)")),
    "in_copy_in": lambda w: (w.send(wire.query("copy kv from stdin")), w.read_until("G"),
                             w.send(wire.copy_data(b"7001\tx\n"))),
    "in_half_a_message": lambda w: w.send(wire.query("begin; insert into kv values (7001, 'x')")
                                          + wire.query("select 'x'")[:8]),
    "in_pipeline": lambda w: w.send(wire.parse("", "insert into kv values (7001, 'x')") + wire.bind("", "")
                                    + wire.execute() + wire.FLUSH),
    "with_portal": lambda w: w.send(wire.query("begin") + wire.parse("", "select * from nums") + wire.bind("", "")
                                    + wire.execute("", 5) + wire.SYNC),
    "listening": lambda w: w.simple("listen left_behind"),
    "with_temp_table": lambda w: w.simple("create temp table left_behind (a int)"),
    "with_advisory_lock": lambda w: w.simple("select pg_advisory_lock(70071)"),
    "with_role": lambda w: w.simple("set role app2"),
}


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("what", LEAVING)
def test_client_disappears(hostile, fleet, what, how):
    """What it left unfinished is undone, what it left on a session is gone, and its server serves the next one clean."""
    w = hostile.connect("wire")
    LEAVING[what](w)
    time.sleep(0.15)
    if how == "reset":
        w.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    w.close()
    p = fleet.d["shards"][0]["primary"]
    busy = "select count(*) from pg_stat_activity where datname = 'wire' and state <> 'idle' and pid <> pg_backend_pid()"
    wait_until(lambda: fleet.psql(p, busy, "wire").strip() == "0")
    assert fleet.psql(p, "select count(*) from kv where id = 7001", "wire").strip() == "0"
    wait_until(lambda: fleet.psql(p, "select count(*) from pg_locks where locktype = 'advisory'", "wire").strip() == "0")
    conns = [hostile.connect("wire") for _ in range(4)]
    for c in conns:
        c.send(wire.query("begin"))
    for c in conns:
        c.read_until("Z")
        assert c.simple("select current_user, to_regclass('pg_temp.left_behind')") == [("app", None)]
        assert c.simple("select count(*) from pg_listening_channels()") == [("0",)]
        c.simple("rollback")
        c.close()


def test_reader_that_stops(hostile):
    """A client that does not read its result stops its server; Weir's memory does not grow, others go on."""
    def resident_kb():
        with open("/proc/%d/status" % hostile.process.pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    before = resident_kb()
    with hostile.connect("wire") as slow:
        slow.send(wire.query("select repeat('x', 100000) from generate_series(1, 3000)"))    # 300 MB
        for _ in range(10):
            time.sleep(0.1)
            with hostile.connect("wire") as other:
                assert other.simple("select 1") == [("1",)]
        assert resident_kb() - before < 60000
        assert slow.read()[0] == "T"


# ---- the admin console ----
CONTROL = ["PAUSE", "PAUSE wire", "RESUME", "DISABLE wire", "ENABLE wire", "KILL wire", "RECONNECT", "RELOAD", "SUSPEND",
           "SHUTDOWN", "SHUTDOWN WAIT_FOR_CLIENTS", "SET log.level = 'debug'", "SHOW FDS",
           "SUSPEND", "KILL", "KILL_CLIENT 1", "WAIT_CLOSE", "SHUTDOWN WAIT_FOR_SERVERS"]
SHOWS = ["POOLS", "STATS", "STATS_TOTALS", "STATS_AVERAGES", "TOTALS", "CLIENTS", "SERVERS", "SOCKETS", "DATABASES", "USERS",
         "LISTS", "CONFIG", "MEM", "STATE", "VERSION", "HELP", "SHARDS", "REPLICAS", "MAP", "TABLES", "PLANS"]


def test_console_is_for_admins(hostile):
    for user in ("app", "app2", "trust_user"):
        with pytest.raises(wire.ServerError):
            hostile.connect("weir", user)
        with pytest.raises(wire.ServerError):
            hostile.connect("pgbouncer", user)


@pytest.mark.parametrize("command", CONTROL)
def test_stats_users_control_nothing(hostile, command):
    with hostile.connect("weir", "weir") as w:
        for send in (w.simple, w.prepared):
            with pytest.raises(wire.ServerError) as e:
                send(command)
            assert e.value.sqlstate == "42501", str(e.value)
        assert w.simple("SHOW VERSION")


def test_secrets_are_never_shown(hostile):
    secrets = [p for p in harness.USERS.values() if p]
    with hostile.connect("weir", "postgres") as w:
        text = ""
        for what in SHOWS:
            try:
                text += repr(w.simple("SHOW " + what))
            except wire.ServerError as e:
                assert e.sqlstate in ("42601", "0A000"), "SHOW %s: %s" % (what, e)
                text += repr(e.fields)
    text += hostile.log_since(0)
    for s in secrets:
        assert s not in text
    assert not re.search(r"SCRAM-SHA-256\$\d", text)


# ---- auth_query ----
def test_auth_query(own_weir, fleet):
    """Users who are not in the file: VALID UNTIL counts, and the client's search_path does not reach the query."""
    p = fleet.d["shards"][0]["primary"]
    fleet.psql(p, "drop role if exists looked_up; drop role if exists expired;"
               "create role looked_up login password 'looked-up-secret';"
               "create role expired login password 'expired-secret' valid until '2020-01-01';"
               "create schema if not exists evil; grant usage on schema evil to public;"
               "create or replace view evil.pg_authid as select 'nobody'::name as rolname, true as rolcanlogin, "
               "null::timestamptz as rolvaliduntil, 'md5x'::text as rolpassword", "wire")
    w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False)],
                 extra="", auth='auth_user = "postgres";')
    for user, password, right in (("looked_up", "looked-up-secret", True), ("looked_up", "wrong", False),
                                  ("expired", "expired-secret", False), ("no_such_role", "x", False)):
        for options in ((), (("options", "-c search_path=evil,public"),)):
            try:
                c = wire.connect("127.0.0.1", w.port, user, password, "wire", options=options)
                assert right, "%s was let in" % user
                assert c.simple("select current_user") == [(user,)]
                c.close()
            except wire.ServerError as e:
                assert not right, str(e)
                assert e.sqlstate == "28P01"
