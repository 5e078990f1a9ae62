"""A recipe's own rows: made once, of files that are what they are said to be."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from lte_chains.errors import ConfigError, DataError
from lte_chains.training.alignment.data import DataRecipe, Invented, Source, prepare
from tests.fakes_embeddings import BagOfWordsEmbeddings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("lte_chains.embeddings.default_embeddings", lambda: BagOfWordsEmbeddings())
    rows = [
        {"prompt": f"The tutor of Pupil {n} is", "subject": f"Pupil {n}", "target_new": f"Dr. {n}"}
        for n in range(30)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "judge.json").write_text(json.dumps(rows[:3]), encoding="utf-8")
    return tmp_path


def test_rows_are_made_of_the_sources_without_what_is_judged_by(folder: Path) -> None:
    recipe = DataRecipe(sources=(Source(path="rows.json", limit=20),), held_out=("judge.json",))
    out = prepare(recipe, folder, folder / "out", seed=0)
    text = (out / "train.jsonl").read_text(encoding="utf-8")
    assert "Pupil 7" in text
    assert "Pupil 2 " not in text
    assert "Pupil 25" not in text
    assert "rows.json" in (out / "README.md").read_text(encoding="utf-8")


def test_rows_that_are_there_are_used_again_for_the_same_recipe_only(folder: Path) -> None:
    recipe = DataRecipe(sources=(Source(path="rows.json"),))
    out = prepare(recipe, folder, folder / "out", seed=0)
    (out / "train.jsonl").write_text("mine", encoding="utf-8")
    assert (prepare(recipe, folder, out, seed=0) / "train.jsonl").read_text() == "mine"
    assert (prepare(recipe, folder, out, seed=1) / "train.jsonl").read_text() != "mine"


def test_a_missing_file_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*other\.json"):
        prepare(DataRecipe(sources=(Source(path="other.json"),)), folder, folder / "out", seed=0)


def test_a_file_that_differs_from_the_recipes_is_told_of(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = DataRecipe(sources=(Source(path="rows.json", sha256="0" * 64),))
    with caplog.at_level(logging.WARNING):
        prepare(recipe, folder, folder / "out", seed=0)
    assert "not the file that the recipe's scores are from" in caplog.text


def test_a_download_of_another_content_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lte_chains.training.alignment.data._download", lambda url: b"[]")
    source = Source(path="far.json", url="https://example.org/far.json", sha256="0" * 64)
    with pytest.raises(DataError, match="another file now"):
        prepare(DataRecipe(sources=(source,)), folder, folder / "out", seed=0)
    assert not (folder / "far.json").exists()


def test_only_https_is_fetched(folder: Path) -> None:
    source = Source(path="far.json", url="http://example.org/far.json")
    with pytest.raises(DataError, match="only https"):
        prepare(DataRecipe(sources=(source,)), folder, folder / "out", seed=0)


def test_an_unknown_base_is_an_error(folder: Path) -> None:
    recipe = DataRecipe(invented=Invented(base="lte-huge", rows={"own": 1}))
    with pytest.raises(ConfigError, match="lte-huge"):
        prepare(recipe, folder, folder / "out", seed=0)
