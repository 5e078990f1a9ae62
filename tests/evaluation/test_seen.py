"""Rows about subjects that something was trained on are told, in the report and as a warning."""

from __future__ import annotations

import pytest

from lte_chains.cases import parse_case
from lte_chains.evaluation.editors import Resources
from lte_chains.evaluation.editors.opening import SHIPPED
from lte_chains.evaluation.seen import SUBJECTS, add_subjects, notes_on_seen, seen_in
from lte_chains.models import load_model
from tests.evaluation.rows import ROWS
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.tiny_models import save_llama

CASES = [parse_case(row) for row in ROWS]


def _resources(model, **more):
    return Resources(model=model, base=model, embeddings=BagOfWordsEmbeddings(dim=8), **more)


@pytest.fixture
def model(tmp_path):
    return load_model(save_llama(tmp_path / "model"))


def test_a_folders_list_grows_and_holds_no_names(tmp_path):
    add_subjects(tmp_path, ["Acme", "acme "])
    add_subjects(tmp_path, ["Globex"])
    assert len(seen_in(tmp_path)) == 2
    assert "acme" not in (tmp_path / SUBJECTS).read_text().casefold()
    assert seen_in(tmp_path / "nowhere") == set()


def test_rows_that_trained_editors_have_seen_are_counted(tmp_path, model):
    add_subjects(tmp_path, ["ACME", "Hooli"])
    given = _resources(model, trained=tmp_path)
    [note] = notes_on_seen(CASES, given, ["lte", "ft-m", "mend", "serac"])
    assert note.startswith("1 of 3 rows are about subjects that the trained MEND, SERAC may")
    assert notes_on_seen(CASES, given, ["lte", "ft-m"]) == []
    assert notes_on_seen(CASES[1:], given, ["mend"]) == []


def test_rows_that_the_aligned_model_has_seen_are_counted(tmp_path, model):
    add_subjects(tmp_path / "model", ["Acme", "Globex"])
    [note] = notes_on_seen(CASES, _resources(model), ["lte", "ft-m"])
    assert note.startswith(f"2 of 3 rows are about subjects that {model.model_name}, which LTE")
    assert notes_on_seen(CASES, _resources(model), ["ft-m"]) == []


@pytest.mark.parametrize("folder", [SHIPPED, SHIPPED.parent / "lte-tiny"])
def test_what_ships_tells_whom_it_was_trained_on(folder):
    assert len(seen_in(folder)) > 1000
    assert (folder / SUBJECTS).stat().st_size < 120_000
