"""Bad conditions by fault points (base/fault.h): nothing is lost, nothing comes twice or in another order."""
import hashlib
import os
import socket
import threading

import pytest

import harness
import wire

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
CLIENTS, ROUNDS = 4, 4
LOOPS = ["epoll", "io_uring"]


@pytest.fixture
def start(own_weir, fleet, monkeypatch):
    def run(faults, event_loop="auto", extra="pool_size = 4;"):
        monkeypatch.setenv("WEIR_FAULTS", faults)
        try:
            w = own_weir(databases=[harness.database_block(fleet, "wire", "wire", ["s1"], False, extra)], event_loop=event_loop)
        except RuntimeError as e:
            if event_loop == "io_uring" and "io_uring" in str(e):
                pytest.skip("no io_uring here")
            raise
        return w
    fleet.psql(fleet.d["shards"][0]["primary"], "drop table if exists faulty; create table faulty (client int, n int, t text);"
               "grant all on faulty to public", "wire")
    yield run
    fleet.psql(fleet.d["shards"][0]["primary"], "drop table faulty", "wire")


def happened(w, *names):
    log = w.log_since(0)
    if "msg=fault" not in log and "WEIR_FAULTS" not in open(harness.WEIR_BIN, "rb").read().decode("latin-1"):
        pytest.skip("this build has no fault points")
    for name in names:
        assert "msg=fault name=" + name in log, name


def text(client, n, size):
    return hashlib.md5(b"%d/%d" % (client, n)).hexdigest() * (size // 32)


def big_result(c, client, n):
    size = [32, 3200, 64000, 512000][n % 4]
    rows = c.simple("select i, repeat(md5('%d/%d'), %d) from generate_series(1, 5) i" % (client, n, size // 32))
    assert rows == [(str(i), text(client, n, size)) for i in range(1, 6)]


def pipeline(c, client, n):
    """Twenty statements in one go, with a parameter of some size: as many answers, in order."""
    value = text(client, n, 3200)
    out = wire.parse("", "select $1::int, $2::text")
    for i in range(20):
        out += wire.bind("", "", [str(i), value]) + wire.execute()
    c.send(out + wire.SYNC)
    answer = c.read_until("Z")
    assert "".join(m[0] for m in answer if m[0] not in "SN") == "1" + "2DC" * 20 + "Z"
    assert [wire.row_of(m[1]) for m in answer if m[0] == "D"] == [[b"%d" % i, value.encode()] for i in range(20)]


def copy_there_and_back(c, client, n):
    lines = b"".join(b"%d\t%d\t%s\n" % (client, n * 1000 + i, text(client, i, 320).encode()) for i in range(300))
    c.send(wire.query("copy faulty from stdin"))
    c.read_until("G")
    for at in range(0, len(lines), 9000):
        c.send(wire.copy_data(lines[at:at + 9000]))
    c.send(wire.COPY_DONE)
    assert "E" not in [m[0] for m in c.read_until("Z")]
    c.send(wire.query("copy (select * from faulty where client = %d and n / 1000 = %d order by n) to stdout" % (client, n)))
    assert b"".join(m[1] for m in c.read_until("Z") if m[0] == "d") == lines


def connect(w, tls):
    c = wire.Wire("127.0.0.1", w.port, 60)
    if tls:
        c.upgrade(os.path.join(w.fleet.d["tls_dir"], "ca.crt"))
    return c.login("app", harness.USERS["app"], "wire")


def client(w, number, errors, tls):
    try:
        with connect(w, tls) as c:
            for n in range(ROUNDS):
                for work in (big_result, pipeline, copy_there_and_back):
                    work(c, number, n)
    except BaseException as e:  # noqa: B902: whatever it is, the test has failed
        errors.append(repr(e)[:300])


def everything(w, tls=False):
    errors = []
    threads = [threading.Thread(target=client, args=(w, i, errors, tls)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []


@pytest.mark.parametrize("event_loop", LOOPS)
@pytest.mark.parametrize("fault", ["send.short=2", "send.eintr=3", "send.short=3,send.eintr=2,wait.eintr=2", "wait.eintr=2"])
def test_output(start, event_loop, fault):
    w = start(fault, event_loop)
    everything(w)
    happened(w, *[f.split("=")[0] for f in fault.split(",")])


@pytest.mark.parametrize("event_loop,fault", [("epoll", "recv.eintr"), ("io_uring", "recv.enobufs")])
def test_input(start, event_loop, fault):
    w = start(fault + "=3", event_loop)
    everything(w)
    happened(w, fault)


def test_tls_writes_in_part(start):
    w = start("tls.write=2,send.short=3")
    everything(w, tls=True)
    happened(w, "tls.write", "send.short")


@pytest.mark.parametrize("fault", ["accept.emfile", "accept.enfile"])
def test_no_descriptors(start, fault):
    """Clients wait in the listen queue; it is said once; then they are all served."""
    w = start(fault + "=1*5")
    waiting = [socket.create_connection(("127.0.0.1", w.port)) for _ in range(20)]
    everything(w)
    for s in waiting:
        s.close()
    happened(w, fault)
    assert w.log_since(0).count("cannot accept connections, pausing") == 1


@pytest.mark.parametrize("fault", ["ring.setup", "ring.buffers"])
def test_no_ring(start, fault):
    """epoll instead, said once with the reason; where io_uring was asked for, Weir does not start."""
    w = start(fault + "=1")
    everything(w)
    happened(w, fault)
    line = [x for x in w.log_since(0).splitlines() if "workers made" in x]
    assert len(line) == 1 and "event_loop=epoll" in line[0] and "Cannot allocate memory" in line[0]
    with w.admin() as a:
        assert ("event_loop", "epoll") in [r[:2] for r in a.simple("SHOW STATE")]


def test_no_ring_for_one_worker(start):
    w = start("ring.buffers=2*1")
    happened(w, "ring.buffers")
    assert w.log_since(0).count("a worker has another event loop") == (1 if w.workers > 1 else 0)
    everything(w)


def test_connecting_fails(start):
    """A server that cannot be reached now and then: clients wait for the next attempt."""
    w = start("dial.connect=2")
    everything(w)
    happened(w, "dial.connect")


@pytest.mark.parametrize("event_loop", LOOPS)
def test_replies_are_lost(start, fleet, event_loop):
    """The server's answer never comes: its client hears of it, and what was acknowledged is there, once."""
    w = start("reply.lost=40", event_loop)
    done, lost, bad = [], [], []

    def work(number):
        try:
            c = w.connect("wire", timeout=30)
            for n in range(150):
                try:
                    sql = "insert into faulty values (%d, %d, 'x') returning n" % (number, n)
                    rows = c.simple(sql) if n % 2 else c.prepared(sql, name="s%d" % n)
                    assert rows == [(str(n),)], rows
                    done.append((number, n))
                except wire.ServerError as e:
                    assert e.fields["C"] in ("08006", "57P01"), e.fields
                    lost.append((number, n))
                    if n % 2 == 0:  # its name is free again
                        assert c.prepared("select 1", name="s%d" % n) == [("1",)]
        except wire.ServerError as e:
            assert e.fields["C"] in ("08006", "57P01"), e.fields
        except BaseException as e:  # noqa: B902
            bad.append(repr(e)[:300])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert bad == []
    happened(w, "reply.lost")
    rows = fleet.psql(fleet.d["shards"][0]["primary"], "select client || '/' || n from faulty", "wire").split()
    there = [tuple(int(x) for x in r.split("/")) for r in rows]
    assert len(there) == len(set(there)), "a row came twice"
    assert set(done) <= set(there) and set(there) - set(done) <= set(lost)
    assert lost
