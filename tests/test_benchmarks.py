"""The benchmark of the store runs, at a small size, and writes its table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

STORE = Path(__file__).parent.parent / "benchmarks" / "store.py"


@pytest.mark.slow
def test_a_small_run_writes_table_and_figures(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.md").write_text(
        "before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n", encoding="utf-8"
    )
    command = [sys.executable, str(STORE), "--sizes", "300", "--vectors", "random", "--texts", "0"]
    subprocess.run([*command, "--peers-up-to", "0", "--out", str(tmp_path)], check=True)
    report = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    names = {result["name"] for result in report["results"]}
    assert {"bulk add, vectors given", "one durable add", "search, one namespace"} <= names
    [missed] = [r for r in report["results"] if r["name"] == "missed of the best 3"]
    assert missed["ours"] == 0
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "| one durable add | 300 |" in page
    assert "old" not in page.partition("<!-- figures -->")[2].split("\n")
