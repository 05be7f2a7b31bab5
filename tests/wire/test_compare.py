"""Every message script must read the same through Weir as straight from PostgreSQL, in each pool mode."""
import difflib
import glob
import os

import pytest

import harness
import script
import wire

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = sorted(glob.glob(os.path.join(HERE, "scripts", "*.txt")))
DATABASES = ["wire", "wire_session", "wire_sharded"]


def name_of(path):
    return os.path.basename(path)[:-4]


@pytest.fixture(scope="module")
def reset(fleet):
    """Puts the scripts' database on the first shard back as it was."""
    with open(os.path.join(HERE, "reset.sql")) as f:
        sql = f.read()
    with wire.connect(fleet.d["socket_dir"], fleet.d["shards"][0]["primary"]["port"], "postgres", "", "wire") as w:
        yield lambda: w.simple(sql)


@pytest.fixture(scope="module")
def expected(reset, direct):
    """Transcripts straight from PostgreSQL, each made once."""
    seen = {}

    def transcript(path):
        if path not in seen:
            seen[path] = run(reset, path, direct("wire"))
        return seen[path]

    return transcript


def run(reset, path, target):
    reset()
    return script.run_script(path, target.as_script_target())


def read_expected(path):
    with open(os.path.join(HERE, "expect", name_of(path))) as f:
        return f.read().splitlines()


@pytest.mark.parametrize("database", DATABASES[:1] if harness.DIRECT else DATABASES)
@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_script(path, database, reset, expected, target):
    directives = script.directives_of(path)
    if "oneshard" in directives and database == "wire_sharded":
        pytest.skip("refused by design on several shards")
    if "expect" in directives:
        if harness.DIRECT:
            pytest.skip("PostgreSQL does otherwise here")
        want = read_expected(path)
    else:
        want = expected(path)
    assert not any(" at line " in line or line.endswith(" at login") for line in want), "\n".join(want)
    got = run(reset, path, target(database))
    diff = "\n".join(difflib.unified_diff(want, got, "PostgreSQL", database, lineterm="", n=2))
    assert not diff, "\n" + diff


def test_every_expectation_has_its_script():
    names = {name_of(p) for p in SCRIPTS if "expect" in script.directives_of(p)}
    assert names == set(os.listdir(os.path.join(HERE, "expect")))
