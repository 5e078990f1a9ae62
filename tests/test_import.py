"""Importing the package costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "datasets",
    "faiss",
    "llama_index",
    "numpy",
    "peft",
    "sentence_transformers",
    "sqlalchemy",
    "torch",
    "transformers",
)


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_no_heavy_library() -> None:
    assert not modules_after("import lte_chains").intersection(HEAVY)


def test_naming_every_public_thing_imports_no_heavy_library() -> None:
    assert not modules_after("from lte_chains import *").intersection(HEAVY)


def test_the_command_line_starts_without_heavy_libraries() -> None:
    loaded = modules_after("import lte_chains.cli")
    assert not loaded.intersection(HEAVY)


def test_importing_the_package_sets_up_no_logging() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import lte_chains, logging; print(logging.getLogger().handlers)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
