"""The admin console: PgBouncer's columns in its order, ours after them, and the control commands do what they say."""
import threading
import time

import pytest

import harness
import wire

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
TOTALS = ("server_assignment_count xact_count query_count received sent xact_time query_time wait_time "
          "client_parse_count server_parse_count bind_count").split()
AVERAGES = ("server_assignment_count xact_count query_count recv sent xact_time query_time wait_time "
            "client_parse_count server_parse_count bind_count").split()
PEERS = ("type user database replication state addr port local_addr local_port connect_time request_time wait wait_us "
         "close_needed ptr link remote_pid tls application_name prepared_statements id").split()
COLUMNS = {
    "POOLS": ("database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel "
              "sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts").split(),
    "STATS": ["database"] + ["total_" + c for c in TOTALS] + ["avg_" + c for c in AVERAGES],
    "STATS_TOTALS": ("database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time "
                     "query_time wait_time client_parse_count server_parse_count bind_count").split(),
    "STATS_AVERAGES": ("database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time "
                       "query_time wait_time client_parse_count server_parse_count bind_count").split(),
    "CLIENTS": PEERS,
    "SERVERS": PEERS,
    "SOCKETS": PEERS[:5],
    "DATABASES": ("name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode "
                  "load_balance_hosts max_connections current_connections max_client_connections "
                  "current_client_connections paused disabled").split(),
    "LISTS": ["list", "items"],
    "USERS": ("name pool_size reserve_pool_size pool_mode max_user_connections current_connections "
              "max_user_client_connections current_client_connections").split(),
    "CONFIG": ["key", "value", "default", "changeable"],
    "VERSION": ["version"],
    "STATE": ["key", "value"],
    "MEM": ["name", "size", "used", "free", "memtotal"], "TOTALS": ["name", "value"], "PLANS": [], "HELP": None, "SHARDS": [], "REPLICAS": [], "MAP": [], "TABLES": [],
}
LISTS = ("databases users peers pools peer_pools free_clients used_clients login_clients free_servers used_servers "
         "dns_names dns_zones dns_queries dns_pending").split()


def table(w, sql):
    """The column names and the rows, each a dict."""
    w.send(wire.query(sql))
    names, rows = [], []
    for kind, body in w.read_until("Z"):
        if kind == "T":
            names = [c[0] for c in wire.columns_of(body)]
        elif kind == "D":
            rows.append(dict(zip(names, [None if v is None else v.decode() for v in wire.row_of(body)])))
        elif kind == "E":
            raise wire.ServerError(wire.fields_of(body))
    return names, rows


@pytest.mark.parametrize("what", COLUMNS)
def test_columns(weir, what):
    with weir.connect() as c, weir.admin() as w:
        c.simple("select 1")
        names, rows = table(w, "SHOW " + what)
        if COLUMNS[what] is not None:
            assert names[:len(COLUMNS[what])] == COLUMNS[what]
        if what not in ("HELP", "MAP", "TABLES"):
            assert rows


def test_lists(weir):
    with weir.admin() as w:
        assert [r["list"] for r in table(w, "SHOW LISTS")[1]][:len(LISTS)] == LISTS


def test_extended_protocol(weir):
    with weir.admin() as w:
        assert w.prepared("SHOW VERSION") == w.simple("SHOW VERSION")
        w.send(wire.parse("v", "SHOW POOLS") + wire.describe("S", "v") + wire.bind("", "v") + wire.execute() + wire.SYNC)
        kinds = [k for k, _ in w.read_until("Z")]
        assert "E" not in kinds and "T" in kinds and kinds[-2:] == ["C", "Z"]


def test_alias(weir):
    with weir.connect("pgbouncer", "postgres") as w:
        assert w.simple("show version")


def test_unknown_command_is_an_error(weir):
    with weir.admin() as w:
        for sql in ("SHOW NONSENSE", "FROBNICATE", "select 1 from pg_class", "PAUSE no_such_database", "SET nonsense = 1"):
            with pytest.raises(wire.ServerError):
                w.simple(sql)
        assert w.simple("SHOW VERSION")


def test_clients_and_servers(weir, fleet):
    with weir.connect("wire", options=[("application_name", "shown here")]) as c, weir.admin() as w:
        c.simple("begin")
        pid = c.simple("select pg_backend_pid()")[0][0]
        mine = [r for r in table(w, "SHOW CLIENTS")[1] if r["application_name"] == "shown here"]
        assert len(mine) == 1 and (mine[0]["user"], mine[0]["database"]) == ("app", "wire")
        servers = [r for r in table(w, "SHOW SERVERS")[1] if r["remote_pid"] == pid]
        assert len(servers) == 1 and servers[0]["state"] == "active" and mine[0]["link"] == servers[0]["ptr"]
        pool = [r for r in table(w, "SHOW POOLS")[1] if (r["database"], r["user"]) == ("wire", "app")]
        assert len(pool) == 1 and int(pool[0]["cl_active"]) >= 1 and int(pool[0]["sv_active"]) >= 1
        c.simple("rollback")


def test_why_a_client_is_pinned(weir):
    with weir.connect("wire", options=[("application_name", "pinned here")]) as c, weir.admin() as w:
        c.simple("listen something")
        mine = [r for r in table(w, "SHOW CLIENTS")[1] if r["application_name"] == "pinned here"]
        assert "listen" in repr(mine[0]).lower()


@pytest.fixture
def own(own_weir, fleet):
    return own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 4;"),
                               harness.database_block(fleet, "other", "wire", ["s1"], False, "pool_size = 4;")])


def test_pause_and_resume(own):
    with own.connect("wire") as c, own.connect("other") as other, own.admin() as w:
        c.simple("select 1")
        w.simple("PAUSE wire")
        row = [r for r in table(w, "SHOW DATABASES")[1] if r["name"] == "wire"][0]
        assert row["paused"] == "1"
        c.send(wire.query("select 2"))
        time.sleep(0.3)
        assert other.simple("select 3") == [("3",)]
        with pytest.raises(wire.TimedOut):
            c.read(0.1)
        w.simple("RESUME wire")
        assert c._rows(5) == [("2",)]


def test_pause_waits_for_transactions(own):
    with own.connect("wire") as c, own.admin() as w:
        c.simple("begin")
        c.simple("select 1")
        done = threading.Thread(target=lambda: w.simple("PAUSE wire", timeout=20))
        done.start()
        time.sleep(0.3)
        assert done.is_alive()
        c.simple("commit")
        done.join(5)
        assert not done.is_alive()
        w.simple("RESUME wire")


def test_disable_and_enable(own):
    with own.admin() as w:
        w.simple("DISABLE wire")
        with pytest.raises(wire.ServerError):
            own.connect("wire")
        w.simple("ENABLE wire")
        own.connect("wire").close()


def test_kill_and_resume(own):
    with own.admin() as w:
        c = own.connect("wire")
        c.simple("select 1")
        w.simple("KILL wire")
        with pytest.raises((wire.Closed, wire.ServerError)):
            c.simple("select 2")
        w.simple("RESUME wire")
        with own.connect("wire") as again:
            assert again.simple("select 3") == [("3",)]


def test_kill_client(own):
    c = own.connect("wire", options=[("application_name", "victim")])
    with own.admin() as w:
        ptr = [r["ptr"] for r in table(w, "SHOW CLIENTS")[1] if r["application_name"] == "victim"][0]
        w.simple("KILL_CLIENT " + ptr)
        with pytest.raises((wire.Closed, wire.ServerError)):
            c.simple("select 1")


def test_reconnect(own):
    with own.connect("wire") as c, own.admin() as w:
        before = c.simple("select pg_backend_pid()")
        w.simple("RECONNECT wire")
        end = time.time() + 5
        while c.simple("select pg_backend_pid()") == before:
            assert time.time() < end
            time.sleep(0.05)


def test_set_and_show_config(own):
    with own.admin() as w:
        w.simple("SET query_wait_timeout = '7s'")
        value = [r["value"] for r in table(w, "SHOW CONFIG")[1] if r["key"] == "query_wait_timeout"]
        assert value and value[0].startswith("7")
        w.simple("RELOAD")


def test_shutdown(own):
    own.expect_death = True
    with own.admin() as w:
        try:
            w.simple("SHUTDOWN")
        except (wire.Closed, wire.ServerError):
            pass
    assert own.process.wait(10) == 0
