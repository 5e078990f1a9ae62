from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import lte_chains.integrations
assert not {"langchain", "langgraph", "llama_index", "fastmcp"} & set(sys.modules)
sys.modules["langchain"] = None
import lte_chains.integrations.langchain_agents
"""


def test_missing_extra_is_named_by_the_one_package_that_needs_it():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("lte_chains.errors.MissingExtraError: langchain is not installed")
    assert "lte-chains[agents]" in last
