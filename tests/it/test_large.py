"""Large messages are streamed: through a database with one shard nothing of their size is ever held in memory."""
import re
import socket
import threading
import time

import pytest

import harness
import wire

SIZE = 150 * 1000 * 1000


def resident_kb(weir):
    with open("/proc/%d/status" % weir.process.pid) as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))


@pytest.fixture
def place(request, target):
    """A connection; afterwards Weir's peak of memory must not have grown by anything like SIZE."""
    weir = None if harness.DIRECT else request.getfixturevalue("weir")
    before = resident_kb(weir) if weir else 0
    with target("wire").connect(timeout=60.0) as w:
        yield w
    if weir:
        assert resident_kb(weir) - before < 60000


def test_large_query(place):
    place.send(wire.query("select length('" + "x" * SIZE + "')"))
    assert place._rows(60) == [(str(SIZE),)]


def test_large_parameter(place):
    place.send(wire.parse("", "select length($1)", [25]) + wire.bind("", "", ["y" * SIZE]) + wire.execute() + wire.SYNC)
    assert place._rows(60) == [(str(SIZE),)]


def test_large_row(place):
    place.send(wire.query("select repeat('z', %d)" % SIZE))
    kinds = [(k, len(b)) for k, b in place.read_until("Z", 60)]
    assert kinds[1] == ("D", SIZE + 6)


def test_large_copy_data(place):
    place.simple("create temp table big (v text)")
    place.send(wire.query("copy big from stdin"))
    place.read_until("G")
    place.send(wire.copy_data(b"c" * SIZE + b"\n"))
    place.send(wire.COPY_DONE)
    assert [k for k, _ in place.read_until("Z", 60)] == ["C", "Z"]
    assert place.simple("select length(v) from big; drop table big") == [(str(SIZE),)]


# ---- what may happen to a message that passes in pieces ----
@pytest.fixture
def small(own_weir, fleet):
    return own_weir(databases=[harness.database_block(
        fleet, "wire", "wire", ["s1"], False, 'pool_size = 1; max_message_buffer = "64kB"; query_wait_timeout = "300ms";')])


LONG = wire.query("select length('" + "x" * 900000 + "')")


def errors_until_ready(w):
    return [wire.fields_of(b)["C"] for k, b in w.read_until("Z", 20) if k == "E"]


class Cable:
    """Stands between Weir and a server, and can be cut."""

    def __init__(self, port):
        self.port, self.ends = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                a = self.listener.accept()[0]
            except OSError:
                return
            b = socket.create_connection(("127.0.0.1", self.port))
            self.ends += [a, b]
            for pair in ((a, b), (b, a)):
                threading.Thread(target=self.carry, args=pair, daemon=True).start()

    @staticmethod
    def carry(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass

    def cut(self):
        for s in self.ends:
            s.shutdown(socket.SHUT_RDWR)
        self.ends = []


@pytest.fixture
def cable(own_weir, fleet):
    """A Weir whose server can be cut off, and the cable."""
    c = Cable(fleet.d["shards"][0]["primary"]["port"])
    block = harness.database_block(fleet, "wire", "wire", ["s1"], False, 'pool_size = 1; max_message_buffer = "64kB";')
    yield own_weir(databases=[block.replace("port=%d" % c.port, "port=%d" % c.listener.getsockname()[1])]), c
    c.listener.close()


def test_server_lost_amid_a_large_query(cable):
    weir, line = cable
    with weir.connect("wire") as w:
        w.simple("select 1")
        w.send(LONG[:400000])
        time.sleep(0.3)
        line.cut()
        time.sleep(0.3)
        w.send(LONG[400000:])
        assert errors_until_ready(w) == ["08006"]
        assert w.simple("select 2") == [("2",)]


def test_server_lost_amid_a_large_bind(cable):
    weir, line = cable
    bind = wire.bind("", "x", ["y" * 900000])
    with weir.connect("wire") as w:
        assert w.prepared("select length($1)", ["abc"], name="x") == [("3",)]
        w.send(bind[:400000])
        time.sleep(0.3)
        line.cut()
        time.sleep(0.3)
        w.send(bind[400000:] + wire.execute() + wire.SYNC)
        assert errors_until_ready(w) == ["08006"]
        w.send(bind + wire.execute() + wire.SYNC)
        assert w._rows(20) == [("900000",)]


@pytest.mark.parametrize("message", [LONG, wire.bind("", "x", ["y" * 900000]) + wire.SYNC], ids=["query", "bind"])
def test_no_server_for_a_large_message(small, message):
    with small.connect("wire") as holder, small.connect("wire") as w:
        w.send(wire.parse("x", "select length($1)") + wire.SYNC)
        w.read_until("Z")
        holder.simple("begin; select 1")
        w.send(message[:400000])
        time.sleep(0.8)
        w.send(message[400000:])
        assert len(errors_until_ready(w)) == 1
        holder.simple("rollback")
        assert w.simple("select 2") == [("2",)]


def test_large_query_behind_extended_messages(small):
    with small.connect("wire") as w:
        w.send(wire.parse("", "select 1") + wire.bind("", "") + wire.execute() + LONG)
        assert [k for k, _ in w.read_until("Z", 20)] == ["1", "2", "D", "C", "T", "D", "C", "Z"]
        assert w.simple("select 2") == [("2",)]
        w.send(wire.parse("", "select 1") + LONG)
        assert [k for k, _ in w.read_until("Z", 20)] == ["1", "T", "D", "C", "Z"]
        assert w.simple("select 2") == [("2",)]


def test_large_query_amid_copy(small):
    with small.connect("wire") as w:
        w.simple("create temp table t (v text)")
        w.send(wire.query("copy t from stdin"))
        w.read_until("G")
        w.send(LONG)
        with pytest.raises((wire.ServerError, wire.Closed)):
            w._rows(10)
    with small.connect("wire") as w:
        assert w.simple("select 2") == [("2",)]


def test_many_parameters(target):
    """Types, formats and parameters are counted by 16 bits without a sign."""
    n = 40000
    with target("wire").connect(timeout=60.0) as w:
        w.send(wire.parse("", "select $%d" % n, [23] * n) + wire.bind("", "", ["7"] * n, [0] * n, [0]) +
               wire.execute() + wire.SYNC)
        assert w._rows(60) == [("7",)]
