"""Importing one integration imports no other, and none imports what it does not need."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import lte_chains.integrations

FRAMEWORKS = {
    "chromadb",
    "fastmcp",
    "langchain",
    "langchain_chroma",
    "langchain_community",
    "llama_index",
    "qdrant_client",
    "torch",
    "transformers",
}
NEEDS = {
    "langchain_agents": {"langchain"},
    "llama_index": {"llama_index"},
    "mcp": {"fastmcp"},
    "vector_stores": set(),
}


def test_every_integration_is_named_here():
    found = pkgutil.iter_modules(lte_chains.integrations.__path__)
    assert {module.name for module in found} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_importing_one_integration_imports_no_other(name):
    code = f"import sys, lte_chains.integrations.{name}\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded & FRAMEWORKS == NEEDS[name]
    others = {f"lte_chains.integrations.{other}" for other in NEEDS if other != name}
    assert not loaded & others
