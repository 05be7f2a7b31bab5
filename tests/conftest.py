"""Fixtures of all integration tests: one fleet and one Weir for the whole run. See harness.py for the environment."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402


@pytest.fixture(scope="session")
def fleet():
    f = harness.make_fleet()
    yield f
    if not os.environ.get("WEIR_KEEP_FLEET"):
        f.stop()


@pytest.fixture(scope="session")
def _shared_weir(fleet):
    """The Weir that most tests share. At the end it must stop by itself, without a sanitizer's report."""
    if harness.DIRECT:
        yield None
        return
    w = harness.Weir(fleet).start()
    yield w
    crashed = not w.alive()
    code = w.stop()
    reports = w.sanitizer_reports()
    assert not reports, reports
    assert not crashed, "weir had ended on its own (%s):\n%s" % (code, w.log_tail())
    assert code == 0, "weir ended with %s on SIGTERM:\n%s" % (code, w.log_tail())


@pytest.fixture
def weir(_shared_weir):
    """The shared Weir, running: a test that made it crash has failed, and the next one starts from a fresh one."""
    if _shared_weir is None:
        pytest.skip("WEIR_DIRECT: without Weir")
    if not _shared_weir.alive():
        _shared_weir.start()
    yield _shared_weir
    assert _shared_weir.alive(), "weir died in this test:\n" + _shared_weir.log_tail()


@pytest.fixture
def own_weir(fleet, request):
    """Makes Weir processes of a test's own: own_weir(extra="…", databases=[…])."""
    made = []

    def make(**kw):
        if harness.DIRECT:
            pytest.skip("WEIR_DIRECT: without Weir")
        name = "own-%s-%d" % ("".join(c if c.isalnum() else "_" for c in request.node.name)[:60], len(made))
        w = harness.Weir(fleet, name, **kw)
        made.append(w)
        return w.start()

    yield make
    for w in made:
        expected = getattr(w, "expect_death", False)
        died = not w.alive() and not expected
        w.stop()
        reports = w.sanitizer_reports()
        assert not reports or expected, reports
        assert not died, "weir died in this test:\n" + w.log_tail()


@pytest.fixture(scope="session")
def direct(fleet):
    """Makes a target that is the first shard's primary itself."""
    return lambda database: harness.Target(fleet, fleet.d["shards"][0]["primary"]["port"], database, "direct")


@pytest.fixture
def target(request, fleet, direct):
    """Makes a target that is Weir, or the server itself under WEIR_DIRECT."""
    if harness.DIRECT:
        return lambda database: direct(database.split("_")[0])
    w = request.getfixturevalue("weir")
    return lambda database: harness.Target(fleet, w.port, database, "weir")
