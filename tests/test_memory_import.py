"""Importing the memory stays cheap: what is heavy is imported where it is used."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_memory_loads_nothing_heavy() -> None:
    code = (
        "import lte_chains.memory, sys; heavy = {'torch', 'transformers', 'faiss', 'sqlalchemy', "
        "'sentence_transformers', 'rich', 'langchain_huggingface'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
