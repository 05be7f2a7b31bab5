"""The admin console: PgBouncer's columns in its order, ours after them, and the control commands do what they say."""
import re
import threading
import time
import urllib.error
import urllib.request

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


def test_bad_reload_and_bad_set_are_plain_errors(own):
    """The console's session goes on."""
    with open(own.conf) as f:
        good = f.read()
    with own.admin() as w:
        try:
            with open(own.conf, "w") as f:
                f.write("bogus = 1;\n" + good)
            with pytest.raises(wire.ServerError) as e:
                w.simple("RELOAD")
            assert e.value.fields["S"] == "ERROR" and ":1: \"bogus\"" in str(e.value)
            with pytest.raises(wire.ServerError) as e:
                w.simple("SET query_wait_timeout = 'soon'")
            assert e.value.fields["S"] == "ERROR"
        finally:
            with open(own.conf, "w") as f:
                f.write(good)
        w.simple("RELOAD")


def test_shutdown(own):
    own.expect_death = True
    with own.admin() as w:
        try:
            w.simple("SHUTDOWN")
        except (wire.Closed, wire.ServerError):
            pass
    assert own.process.wait(10) == 0


# ---- more of each ----
def test_drivers_habits(weir):
    """What drivers and pools of drivers send by themselves is taken, and does nothing."""
    with weir.admin() as w:
        assert w.simple("SELECT 1") == [("1",)]
        for sql in ("SET client_encoding = 'UTF8'", "set application_name to 'x'", "SET extra_float_digits = 3",
                    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "DISCARD ALL", "RESET ALL", "DEALLOCATE ALL"):
            w.simple(sql)
            w.prepared(sql)
        w.send(wire.query(";"))
        assert [k for k, _ in w.read_until("Z")] == ["I", "Z"]


def test_errors_say_what_to_do(weir):
    with weir.admin() as w:
        for sql, state, word in (("FROBNICATE", "42601", "SHOW HELP"), ("SHOW FDS", "0A000", "SHOW FDS"),
                                 ("PAUSE no_such_database", "3D000", "no_such_database"), ("DISABLE", "42601", "DISABLE db"),
                                 ("KILL_CLIENT 1000000007", "42704", "1000000007"), ("SET nonsense = 1", "42704", "nonsense"),
                                 ("SET pool_size = many", "22023", "number"), ("SHOW POOLS; SHOW POOLS", "42601", "SHOW HELP"),
                                 ("SET listen.port = 1", "55P02", "listen.port")):
            for send in (w.simple, w.prepared):
                with pytest.raises(wire.ServerError) as e:
                    send(sql)
                assert e.value.sqlstate == state and word in e.value.fields["M"], (sql, str(e.value))


def test_what_a_client_waits_for(own):
    own_clients = [own.connect("wire") for _ in range(4)]
    with own.connect("wire", options=[("application_name", "last in the queue")]) as c, own.admin() as w:
        for busy in own_clients:
            busy.simple("begin")
            busy.simple("select 1")
        c.send(wire.query("select 'at last'"))
        end = time.time() + 5
        while True:
            mine = [r for r in table(w, "SHOW CLIENTS")[1] if r["application_name"] == "last in the queue"][0]
            if mine["state"] == "waiting" and "pool_size" in (mine["waits_for"] or ""):
                break
            assert time.time() < end, mine
            time.sleep(0.02)
        pool = [r for r in table(w, "SHOW POOLS")[1] if r["database"] == "wire"][0]
        assert (pool["cl_active"], pool["cl_waiting"], pool["sv_active"]) == ("4", "1", "4")
        shard = [r for r in table(w, "SHOW SHARDS")[1] if r["database"] == "wire"][0]
        assert (shard["active"], shard["waiting"], shard["pool_size"], shard["state"]) == ("4", "1", "4", "up")
        database = [r for r in table(w, "SHOW DATABASES")[1] if r["name"] == "wire"][0]
        assert (database["current_connections"], database["current_client_connections"]) == ("4", "5")
        user = [r for r in table(w, "SHOW USERS")[1] if r["name"] == "app"][0]
        assert (user["current_connections"], user["current_client_connections"]) == ("4", "5")
        own_clients[0].simple("rollback")
        assert c._rows(5) == [("at last",)]
    for c in own_clients:
        c.close()


def test_stats(own_weir, fleet):
    weir = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False)], extra='stats_period = 1;')
    with weir.connect("wire") as c, weir.admin() as w:
        end = time.time() + 8
        seen = False
        while not seen and time.time() < end:
            for _ in range(10):
                c.simple("select 1")
            time.sleep(0.01)
            row = [r for r in table(w, "SHOW STATS_AVERAGES")[1] if r["database"] == "wire"][0]
            seen = int(row["query_count"]) > 0 and int(row["query_time"]) > 0 and int(row["bytes_sent"]) > 0
        assert seen
        row = [r for r in table(w, "SHOW STATS")[1] if r["database"] == "wire"][0]
        totals = [r for r in table(w, "SHOW STATS_TOTALS")[1] if r["database"] == "wire"][0]
        assert int(row["total_query_count"]) >= 10 and row["total_query_count"] == totals["query_count"]
        assert int(row["total_xact_count"]) >= 10 and int(row["query_p99"]) >= int(row["query_p50"]) > 0
        both = {r["name"]: r["value"] for r in table(w, "SHOW TOTALS")[1]}
        assert int(both["total_query_count"]) >= int(row["total_query_count"])
        while "msg=stats" not in weir.log_since(0):
            assert time.time() < end
            time.sleep(0.05)


def test_plans_hide_constants(weir):
    with weir.connect("wire") as c, weir.admin() as w:
        for i in range(3):
            c.simple("select 'a secret of %d' as plans_hide_constants" % i)
        rows = [r for r in table(w, "SHOW PLANS")[1] if "plans_hide_constants" in r["sample"]]
        assert rows and rows[0]["sample"] == "select ? as plans_hide_constants"
        assert "a secret of" not in repr(table(w, "SHOW PLANS"))


def test_map_and_tables(weir):
    with weir.admin() as w:
        pieces = {(r["distribution"], r["keys"]): r["shard"] for r in table(w, "SHOW MAP shop")[1]}
        assert pieces[("customer", "0-511")] == "s1" and pieces[("customer", "512-1023")] == "s2"
        assert pieces[("tenant", "acme")] == "s2"
        tables = {r["name"]: r for r in table(w, "SHOW TABLES shop")[1]}
        assert tables["orders"]["key"] == "customer_id" and tables["countries"]["kind"] == "reference"
        assert table(w, "SHOW TABLES wire")[1] == []


def test_pause_closes_server_connections(own, fleet):
    with own.connect("wire") as c, own.admin() as w:
        c.simple("select 1")
        assert table(w, "SHOW SERVERS")[1]
        w.prepared("PAUSE")
        assert table(w, "SHOW SERVERS")[1] == []
        state = {r["key"]: r["value"] for r in table(w, "SHOW STATE")[1]}
        assert (state["active"], state["paused"], state["suspended"]) == ("no", "yes", "no")
        w.prepared("RESUME")
        assert c.simple("select 1") == [("1",)]
        state = {r["key"]: r["value"] for r in table(w, "SHOW STATE")[1]}
        assert (state["active"], state["paused"]) == ("yes", "no")


def test_resume_ends_a_pause_that_waits(own):
    errors = []

    def pause(w):
        try:
            w.simple("PAUSE wire", timeout=20)
        except wire.ServerError as e:
            errors.append(e.sqlstate)

    with own.connect("wire") as c, own.admin() as w, own.admin() as other:
        c.simple("begin")
        c.simple("select 1")
        t = threading.Thread(target=pause, args=(w,))
        t.start()
        time.sleep(0.3)
        other.simple("RESUME wire")
        t.join(5)
        assert errors == ["55000"]
        assert w.simple("SHOW VERSION")
        c.simple("commit")


def test_console_goes_away_in_a_pause(own):
    with own.connect("wire") as c, own.admin() as other:
        c.simple("begin")
        c.simple("select 1")
        w = own.admin()
        w.send(wire.query("PAUSE wire"))
        time.sleep(0.2)
        w.close()
        time.sleep(0.2)
        c.simple("commit")
        other.simple("RESUME wire")
        assert c.simple("select 5") == [("5",)]


def test_suspend_gives_up_waiting(own_weir, fleet):
    weir = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False)],
                    extra='suspend_timeout = "300ms";')
    with weir.connect("wire") as c, weir.connect("wire") as quiet, weir.admin() as w:
        quiet.simple("select 1")
        c.simple("begin")
        c.simple("select 1")
        w.simple("SUSPEND", timeout=10)
        with pytest.raises((wire.Closed, wire.ServerError)):
            c.simple("select 2")
        assert {r["key"]: r["value"] for r in table(w, "SHOW STATE")[1]}["suspended"] == "yes"
        w.simple("RESUME")
        assert quiet.simple("select 3") == [("3",)]


def test_reconnect_and_wait_close(own):
    with own.connect("wire") as c, own.admin() as w:
        c.simple("begin")
        before = c.simple("select pg_backend_pid()")
        w.simple("RECONNECT")
        marked = [r for r in table(w, "SHOW SERVERS")[1] if r["close_needed"] == "1"]
        assert [(r["remote_pid"],) for r in marked] == before
        done = threading.Thread(target=lambda: w.simple("WAIT_CLOSE", timeout=20))
        done.start()
        time.sleep(0.2)
        assert done.is_alive()
        c.simple("commit")
        done.join(5)
        assert not done.is_alive()
        assert c.simple("select pg_backend_pid()") != before


def test_kill_client_oneself(own):
    w = own.admin()
    mine = [r["id"] for r in table(w, "SHOW CLIENTS")[1] if r["database"] == "weir"][0]
    with pytest.raises((wire.Closed, wire.ServerError)):
        w.simple("KILL_CLIENT " + mine)
    with own.admin() as again:
        assert again.simple("SHOW VERSION")


def test_many_consoles_at_once(own):
    """Rounds of several consoles, and of consoles that leave without waiting, while clients come and go."""
    stop = time.time() + 4
    broken = []

    def ask(leave):
        try:
            while time.time() < stop:
                w = own.admin()
                for what in ("CLIENTS", "SERVERS", "POOLS", "PLANS", "MEM", "STATS"):
                    if leave:
                        w.send(wire.query("SHOW " + what))
                    else:
                        w.simple("SHOW " + what)
                w.close()
        except Exception as e:  # told below
            broken.append(e)

    def work():
        try:
            while time.time() < stop:
                with own.connect("wire") as c:
                    for _ in range(5):
                        c.simple("select 1")
        except Exception as e:
            broken.append(e)

    threads = [threading.Thread(target=ask, args=(leave,)) for leave in (False, True, True)]
    threads += [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not broken, broken


# ---- the metrics endpoint ----
def get(weir, path, method="GET", data=None):
    r = urllib.request.Request("http://127.0.0.1:%d%s" % (weir.metrics_port, path), method=method, data=data)
    with urllib.request.urlopen(r, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


SAMPLE = re.compile(r'(weir_[a-z0-9_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[0-9.e+]+|\+Inf|NaN)$')


def test_metrics(weir):
    with weir.connect() as c:
        c.simple("select 1")
        kind, text = get(weir, "/metrics")
    assert kind.startswith("text/plain; version=0.0.4")
    types, values, current, closed = {}, {}, None, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, t = line.split(" ")
            assert name not in types and t in ("counter", "gauge", "histogram")
            types[name], current = t, name
            continue
        if line.startswith("# HELP "):
            closed.add(current)
            continue
        m = SAMPLE.match(line)
        assert m, line
        base = re.sub("_(bucket|sum|count)$", "", m[1]) if types.get(m[1]) is None else m[1]
        assert base == current and base not in closed, line
        assert (m[1], m[2]) not in values, "twice: " + line
        values[(m[1], m[2])] = float(m[3])
        if types[base] == "counter":
            assert base.endswith("_total") and float(m[3]) >= 0
    assert values[("weir_queries_total", 'database="shop"')] >= 1
    assert values[("weir_workers_unresponsive", None)] == 0
    buckets = [v for (n, labels), v in values.items() if n == "weir_query_duration_seconds_bucket" and 'database="shop"' in labels]
    assert buckets == sorted(buckets) and buckets[-1] == values[("weir_query_duration_seconds_count", 'database="shop"')]
    up = [labels for (n, labels) in values if n == "weir_server_up" and 'database="shop"' in labels]
    assert len(up) == harness.SHARDS * (1 + harness.REPLICAS)


def test_latency_by_server_and_kind(own_weir, fleet):
    """Each query is counted once, at the server it ran on and for the kind of its plan."""
    w = own_weir(databases=[harness.database_block(fleet, "shop", "shop", replicas=False, map_text=harness.SHOP_MAP)])
    with w.connect() as c:
        for i in range(7):
            c.simple("select name from customers where id = 42")
        for i in range(4):
            c.prepared("select count(*) from countries")
        c.simple("set weir.shard = 's2'")
        for i in range(3):
            c.simple("select 1")
        text = get(w, "/metrics")[1]
    counts, sums = {}, {}
    for labels, value in re.findall(r"^weir_server_query_duration_seconds_count\{(.*)\} (\d+)$", text, re.M):
        of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert set(of) == {"database", "shard", "server", "role", "kind"}
        counts[of["kind"]] = counts.get(of["kind"], 0) + int(value)
        sums[of["shard"]] = sums.get(of["shard"], 0) + int(value)
    total = int(re.search(r'^weir_query_duration_seconds_count\{database="shop"\} (\d+)$', text, re.M).group(1))
    assert sum(counts.values()) == sum(sums.values()) == total == 14
    assert counts == {"one": 10, "any": 4} and sums["s2"] >= 3
    for bucket in re.findall(r'^weir_server_query_duration_seconds_bucket\{(.*),le="\+Inf"\} (\d+)$', text, re.M):
        assert "weir_server_query_duration_seconds_count{%s} %s\n" % bucket in text


def test_statements_over_shards_are_counted(own_weir, fleet):
    w = own_weir(databases=[harness.database_block(fleet, "shop", "shop", replicas=False, map_text=harness.SHOP_MAP)])
    with w.connect() as c:
        for _ in range(3):
            c.simple("select count(*) from customers")
            c.prepared("select a.id from customers a join orders b on a.id = b.id", [])
    text = get(w, "/metrics")[1]
    assert 'weir_plans_total{database="shop",kind="several"} 6\n' in text
    counts = re.findall(r'^weir_server_query_duration_seconds_count\{.*shard="(\w+)".*kind="several"\} (\d+)$', text, re.M)
    assert [sum(int(n) for s, n in counts if s == shard) for shard in ("s1", "s2")] == [6, 6]


def test_health_and_the_rest(weir):
    assert get(weir, "/health")[1] == "ok\n"
    for path, method, data, code in (("/nothing", "GET", None, 404), ("/metrics", "POST", b"x" * 100000, 405),
                                     ("/health", "DELETE", None, 405)):
        with pytest.raises(urllib.error.HTTPError) as e:
            get(weir, path, method, data)
        assert e.value.code == code


def test_metrics_from_many(weir):
    broken = []

    def scrape():
        try:
            for _ in range(10):
                assert get(weir, "/metrics")[1].endswith("\n")
        except Exception as e:
            broken.append(e)

    threads = [threading.Thread(target=scrape) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not broken, broken
