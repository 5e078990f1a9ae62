from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import lte_chains.integrations
assert "llama_index" not in sys.modules
sys.modules["llama_index"] = None
import lte_chains.integrations.llama_index
"""


def test_missing_extra_is_named_by_the_one_package_that_needs_it():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("lte_chains.errors.MissingExtraError: llama-index-core is not installed")
    assert "lte-chains[llama-index]" in last
