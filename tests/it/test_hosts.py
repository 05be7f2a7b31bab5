"""Several hosts in one conninfo, on servers of this file's own that are stopped and promoted; names that move."""
import os
import socket
import subprocess
import time

import pytest

import harness
import wire
from relay import Relay
from test_hostile import wait_until

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")


@pytest.fixture(scope="module")
def own():
    """One primary and two replicas."""
    f = harness.fleet_tool.Fleet(os.path.join(harness.WORK, "hosts-fleet"))
    f.start(1, 2, "hosts", "off", {}, True)
    f.psql(f.server("s1p"), "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one');"
           "GRANT ALL ON t TO PUBLIC", "hosts")
    f.wait_streaming()
    yield f
    f.stop(delete=True)


@pytest.fixture
def relays(own):
    """Ways to s1p, s1r1, s1r2 that can be cut."""
    made = [Relay(own.server(n)["port"]) for n in ("s1p", "s1r1", "s1r2")]
    yield made
    for r in made:
        r.stop()


def conninfo(ports):
    return "host=%s port=%s dbname=hosts sslmode=disable" % (",".join("127.0.0.1" for _ in ports), ",".join(map(str, ports)))


def database(primary, replicas=(), settings=""):
    return '  { name = "hosts"; %s shards = ( { name = "s1"; primary = "%s"; replicas = ( %s ); } ); }' % (
        settings, conninfo(primary), ", ".join('"%s"' % conninfo(r) for r in replicas))


FAST = 'replica_probe_interval = "100ms"; probe_timeout = "500ms"; breaker_failures = 1; breaker_open_time = "300ms";'
WHERE = "select inet_server_port(), id from t where id = 1"


def place(own, name):
    return [(str(own.server(name)["port"]), "1")]


def answers(c, want):
    """Has the client's read come from there? Errors while a server is gone are as with PostgreSQL."""
    try:
        return c.simple(WHERE, timeout=20) == want
    except wire.ServerError:
        return False


def dead_port():
    return harness.free_port()


def test_first_host_down(own, own_weir):
    """The first host never answers: the second one, which is the primary, is taken for all."""
    w = own_weir(databases=[database([dead_port(), own.server("s1p")["port"]], settings=FAST)])
    with w.connect("hosts") as c:
        assert c.simple("insert into t values (10, 'x') returning v") == [("x",)]
        assert c.simple(WHERE) == place(own, "s1p")
        c.simple("delete from t where id = 10")


def test_the_primary_of_several_hosts(own, own_weir):
    """A standby that stands first is not the primary and takes no reads: it was not named as a replica."""
    ports = [own.server(n)["port"] for n in ("s1r1", "s1p", "s1r2")]
    w = own_weir(databases=[database(ports, settings=FAST)])
    with w.connect("hosts") as c:
        for _ in range(10):
            assert c.simple(WHERE) == place(own, "s1p")
            assert c.prepared(WHERE) == place(own, "s1p")
        c.simple("update t set v = 'uno' where id = 1")
        with w.admin() as a:
            rows = [r for r in a.simple("show shards") if r[0] == "hosts"]
            assert len(rows) == 3


def test_two_ways_to_one_primary(own, own_weir, relays):
    """Both hosts are the primary (two addresses of one server): the first, while it answers, else the second."""
    way, primary = relays[0], own.server("s1p")["port"]
    w = own_weir(databases=[database([way.port, primary], settings=FAST)])
    with w.connect("hosts") as c:
        assert c.simple(WHERE) == place(own, "s1p")
        assert way.accepted > 0
        way.stop()
        wait_until(lambda: answers(c, place(own, "s1p")), 30)


def test_several_hosts_of_a_replica(own, own_weir, relays):
    """The first that fits takes the reads; when it is gone, the next; when it is back, the first again."""
    _, r1, r2 = relays
    w = own_weir(databases=[database([own.server("s1p")["port"]], [[r1.port, r2.port]], FAST)])
    with w.connect("hosts") as c:
        wait_until(lambda: answers(c, place(own, "s1r1")), 30)
        for _ in range(20):
            assert c.simple(WHERE) == place(own, "s1r1")
        r1.stop()
        wait_until(lambda: answers(c, place(own, "s1r2")), 30)
        for _ in range(20):
            assert c.simple(WHERE) == place(own, "s1r2")
        again = Relay(r1.to, port=r1.port)
        try:
            wait_until(lambda: answers(c, place(own, "s1r1")), 30)
        finally:
            again.stop()
        c.simple("update t set v = 'one' where id = 1")


def test_reload_of_hosts(own, own_weir):
    """A host more, a host less: sessions go on."""
    p, r = own.server("s1p")["port"], own.server("s1r1")["port"]
    w = own_weir(databases=[database([p], settings=FAST)])
    with w.connect("hosts") as c:
        for ports in ([r, p], [p, r], [p], [r, p]):
            w.databases = [database(ports, settings=FAST)]
            w.reload()
            assert c.simple(WHERE, timeout=30) == place(own, "s1p")
            assert c.simple("update t set v = 'one' where id = 1 returning id") == [("1",)]


@pytest.mark.parametrize("attrs, role, good", [
    ("primary", "primary", True), ("read-write", "primary", True), ("any", "primary", True), ("standby", "primary", False),
    ("any", "replica", True), ("standby", "replica", True), ("prefer-standby", "replica", True), ("read-write", "replica", False)])
def test_target_session_attrs(own, own_weir, attrs, role, good):
    w = own_weir(databases=[database([own.server("s1p")["port"]], [[own.server("s1r1")["port"]]])])
    text = conninfo([own.server("s1p" if role == "primary" else "s1r1")["port"]])
    w.databases = [w.databases[0].replace(text, text + " target_session_attrs=" + attrs)]
    size = w.log_size()
    w.reload()
    wait_until(lambda: ("configuration reloaded" if good else "target_session_attrs=%s cannot be meant" % attrs)
               in w.log_since(size))


def test_several_hosts_need_probes(own, own_weir):
    w = own_weir(databases=[database([own.server("s1p")["port"]])])
    w.databases = [database([dead_port(), own.server("s1p")["port"]], settings='service_user = "";')]
    size = w.log_size()
    w.reload()
    wait_until(lambda: "a login for probes is needed" in w.log_since(size))


# ---- names ----
RESOLVER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The system's, but for one name: its addresses stand in a file. */
int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo **end = out;
	char line[100];
	FILE *f;

	if (real == NULL)
		real = (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
	if (name == NULL || strcmp(name, "db.weir.test") != 0)
		return real(name, service, hints, out);
	*out = NULL;
	f = fopen(getenv("TEST_ADDRESSES"), "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = 0;
		if (real(line, service, hints, end) == 0)
			end = &(*end)->ai_next;
	}
	if (f != NULL)
		fclose(f);
	return *out == NULL ? EAI_NONAME : 0;
}
"""


@pytest.fixture
def names(tmp_path):
    """A resolver whose answer for db.weir.test a test changes."""
    source, library, addresses = tmp_path / "resolver.c", tmp_path / "resolver.so", tmp_path / "addresses"
    source.write_text(RESOLVER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)

    class Names:
        environment = {"LD_PRELOAD": str(library), "TEST_ADDRESSES": str(addresses)}

        def set(self, *texts):
            new = tmp_path / "addresses.new"
            new.write_text("".join(t + "\n" for t in texts))
            os.replace(new, addresses)

    return Names()


def test_a_name_that_moves(own, names):
    """Connections follow the name: at rest soon, at work when they come free, the probe too; the others stay."""
    one = Relay(own.server("s1p")["port"], "127.0.0.1")
    other = Relay(own.server("s1p")["port"], "127.0.0.2", one.port)
    db = ('  { name = "hosts"; %s shards = ( { name = "s1"; primary = "host=db.weir.test port=%d dbname=hosts sslmode=disable"; } ); }'
          % (FAST, one.port))
    w = harness.Weir(own, "names", [db], 'dns_max_ttl = "300ms";')
    env = dict(names.environment)
    env["ASAN_OPTIONS"] = w.environment()["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
    names.set("127.0.0.1")
    try:
        w.start(faults=env)
        with w.connect("hosts") as a, w.connect("hosts") as b:
            for x in (a, b):
                x.simple("begin")
                x.simple("select 1")
            before = b.simple("select pg_backend_pid()")
            a.simple("commit")
            assert one.open and not other.open
            names.set("127.0.0.2", "127.0.0.1")
            time.sleep(1)
            assert b.simple("select pg_backend_pid()") == before
            names.set("127.0.0.2")
            wait_until(lambda: other.accepted > 0 and len(one.open) <= 2, 30)
            assert b.simple("select pg_backend_pid()") == before
            assert a.simple(WHERE) == place(own, "s1p")
            b.simple("commit")
            wait_until(lambda: not one.open, 30)
            assert b.simple("select pg_backend_pid()") != before
            assert "stands for other addresses" in w.log_since(0)
            # nothing is known for a while: nothing changes
            names.set()
            wait_until(lambda: "cannot look up a server's name" in w.log_since(0), 30)
            assert other.open and a.simple(WHERE) == b.simple(WHERE) == place(own, "s1p")
    finally:
        code = w.stop()
        one.stop()
        other.stop()
    assert code == 0 and not w.sanitizer_reports(), w.log_tail()


def test_application_name_and_connect_timeout(own, own_weir):
    """Those of the conninfo: the name counts where the client has none, the time for a server that never answers."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(8)
    port = own.server("s1p")["port"]
    text = conninfo([port])
    w = own_weir(databases=[database([port]).replace(text, text + " application_name=of_the_server"),
                            database([port]).replace('"hosts"', '"silent"', 1).replace(
                                "port=%d" % port, "port=%d connect_timeout=1" % silent.getsockname()[1]) ],
                 extra='primary_wait = 0; server_connect_timeout = "60s";')
    with w.connect("hosts") as c, w.connect("hosts", options=[("application_name", "mine")]) as d:
        for _ in range(2):
            assert c.simple("show application_name") == [("of_the_server",)]
            assert d.simple("show application_name") == [("mine",)]
    began = time.time()
    with pytest.raises((wire.ServerError, wire.Closed)):
        w.connect("silent", timeout=50)
    assert time.time() - began < 40
    silent.close()


def test_host_that_becomes_a_standby(own, own_weir):
    """The first host is stopped, the second promoted: it is the primary. The first comes back as a standby: nothing goes there."""
    p, r = own.server("s1p"), own.server("s1r1")
    w = own_weir(databases=[database([p["port"], r["port"]], settings=FAST + ' primary_wait = "60s";')])
    with w.connect("hosts") as c:
        c.simple("update t set v = 'before' where id = 1")
        own.wait_streaming()
        own.down(p)
        own.promote(r)
        wait_until(lambda: answers(c, place(own, "s1r1")), 60)
        assert c.simple("update t set v = 'after' where id = 1 returning v", timeout=30) == [("after",)]
        with open(os.path.join(p["data"], "standby.signal"), "w"):
            pass
        harness.fleet_tool.give_to_server(os.path.join(p["data"], "standby.signal"))
        with open(os.path.join(p["data"], "postgresql.conf"), "a") as f:
            f.write("primary_conninfo = 'host=%s port=%d user=postgres'\n" % (own.d["socket_dir"], r["port"]))
        own.up(p)
        with w.admin() as a:
            wait_until(lambda: [row for row in a.simple("show replicas") if row[0] == "hosts" and str(p["port"]) in row], 30)
        time.sleep(0.5)
        for _ in range(20):
            assert c.simple(WHERE) == place(own, "s1r1")
        assert c.simple("select v from t where id = 1") == [("after",)]
