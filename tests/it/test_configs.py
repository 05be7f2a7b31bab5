"""The commented examples in configs/ are right, by `weir check`."""
import glob
import os
import subprocess

import pytest

import harness

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
EXAMPLES = sorted(glob.glob(os.path.join(harness.TOP, "configs", "*.conf")))


@pytest.mark.parametrize("path", EXAMPLES, ids=os.path.basename)
def test_example(path):
    r = subprocess.run([harness.WEIR_BIN, "check", "--offline", "-c", path], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=30)
    assert r.returncode == 0, r.stdout


def test_there_are_examples():
    assert len(EXAMPLES) >= 3
