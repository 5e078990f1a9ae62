"""`lte-chains search --explain` and `lte-chains evaluate chains`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lte_chains.cli import app

FACTS = [("Ann", "P27", "Norway"), ("Bo", "P27", "Chile"), ("Cy", "P27", "Chile")] + [
    (land, "P36", town) for land, town in (("Norway", "Oslo"), ("Chile", "Arica"))
]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LTE_STORE", "LTE_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result


def test_explain_shows_the_chain_and_what_was_left_out() -> None:
    for prompt, target, subject in (
        ("Ann is a citizen of", "Norway", "Ann"),
        ("The capital of Norway is", "Bergen", "Norway"),
        ("The anthem of Norway is", "a song", "Norway"),
    ):
        run("add", prompt, target, "--subject", subject)
    asked = ["search", "What is the capital of the country that Ann is a citizen of?", "--explain"]
    told = json.loads(run(*asked, "--json").stdout)
    used = [row["edit"] for row in told["candidates"] if row["used"]]
    assert used[:2] == ["Ann is a citizen of Norway", "The capital of Norway is Bergen"]
    hop = next(row for row in told["candidates"] if row["hop"] == 1)
    assert hop["via"] == told["candidates"][0]["id"]
    assert "capital" in run(*asked).stdout


def test_search_takes_a_moment() -> None:
    run("add", "The CEO of Acme is", "Jane Doe", "--valid-from", "2027-01-01")
    before = json.loads(run("search", "The CEO of Acme", "--at", "2026-12-31", "--json").stdout)
    after = json.loads(run("search", "The CEO of Acme", "--at", "2027-01-01", "--json").stdout)
    assert (before["matches"], len(after["matches"])) == ([], 1)


def test_evaluate_chains_prints_json_and_a_table(tmp_path: Path) -> None:
    rows = ["relation\tsubject\tobject", *("\t".join((r, s, o)) for s, r, o in FACTS)]
    Path("facts.tsv").write_text("\n".join(rows), encoding="utf-8")
    command = ["evaluate", "chains", "--data", "facts.tsv", "--lengths", "2", "--chains", "2"]
    command += ["--distractors", "0"]
    report = json.loads(run(*command, "--json").stdout)
    assert report["chains"]["2"]["questions"] == 2
    assert "complete" in run(*command).stdout
