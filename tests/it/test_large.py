"""Large messages are streamed: through a database with one shard nothing of their size is ever held in memory."""
import re

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
