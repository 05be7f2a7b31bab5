"""Every message script must read the same through Weir as straight from PostgreSQL, in each pool mode."""
import difflib
import glob
import os

import pytest

import harness
import script

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = sorted(glob.glob(os.path.join(HERE, "scripts", "*.txt")))
DATABASES = ["wire", "wire_session", "wire_sharded"]


def name_of(path):
    return os.path.basename(path)[:-4]


@pytest.fixture(scope="module")
def server(fleet):
    """The first shard's primary."""
    return fleet.d["shards"][0]["primary"]


@pytest.fixture(scope="module")
def expected(fleet, server, direct):
    """Transcripts straight from PostgreSQL, each made once."""
    seen = {}

    def transcript(path):
        if path not in seen:
            seen[path] = run(fleet, server, path, direct("wire"))
        return seen[path]

    return transcript


def run(fleet, server, path, target):
    harness.psql_file(fleet, server, "wire", os.path.join(HERE, "reset.sql"))
    return script.run_script(path, target.as_script_target())


def read_expected(path):
    with open(os.path.join(HERE, "expect", name_of(path))) as f:
        return f.read().splitlines()


@pytest.mark.parametrize("database", DATABASES[:1] if harness.DIRECT else DATABASES)
@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_script(path, database, fleet, server, expected, target):
    directives = script.directives_of(path)
    if "expect" in directives:
        if harness.DIRECT:
            pytest.skip("PostgreSQL does otherwise here")
        want = read_expected(path)
    else:
        want = expected(path)
    assert not any(" at line " in line or line.endswith(" at login") for line in want), "\n".join(want)
    got = run(fleet, server, path, target(database))
    diff = "\n".join(difflib.unified_diff(want, got, "PostgreSQL", database, lineterm="", n=2))
    assert not diff, "\n" + diff


def test_every_expectation_has_its_script():
    names = {name_of(p) for p in SCRIPTS if "expect" in script.directives_of(p)}
    assert names == set(os.listdir(os.path.join(HERE, "expect")))
