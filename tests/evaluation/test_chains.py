"""`evaluate_chains` on invented triples, with an embedder that counts shared words."""

from __future__ import annotations

import json
import random

import pytest

from lte_chains.errors import ConfigError, DataError
from lte_chains.evaluation.chain_building import ChainBuilder
from lte_chains.evaluation.chains import evaluate_chains
from lte_chains.evaluation.relation_wordings import COMMON, Wording, wording_of
from lte_chains.evaluation.triples import Triple, read_triples
from lte_chains.retrieval.hop_rules import HopRules
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings

LANDS = [f"Land{number}" for number in range(12)]
TOWNS = [f"Town{number}" for number in range(12)]
TRIPLES = [
    *(Triple(f"Person{n}", "P27", LANDS[n % 12]) for n in range(60)),
    *(Triple(f"Person{n}", "P106", f"job{n % 5}") for n in range(60)),
    *(Triple(land, "P36", town) for land, town in zip(LANDS, TOWNS, strict=True)),
    *(Triple(land, "P37", f"tongue{n % 4}") for n, land in enumerate(LANDS)),
    *(Triple(town, "head of government", f"Mayor{n}") for n, town in enumerate(TOWNS)),
]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "facts.tsv"
    lines = [
        "relation\tsubject\tobject",
        *(f"{t.relation}\t{t.subject}\t{t.object}" for t in TRIPLES),
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def measure(path, **settings):
    return evaluate_chains(
        path,
        chains=5,
        lengths=(2, 3),
        distractors=20,
        embeddings=BagOfWordsEmbeddings(dim=4096),
        gate=SimilarityGate(0.6),
        hop_rules=HopRules(asked=0.6, perhaps=0.5),
        **settings,
    )


def test_the_report_tells_hops_from_no_hops(table):
    report = measure(table)
    assert set(report["chains"]) == {"2", "3"}
    two = report["chains"]["2"]
    assert two["questions"] == 5
    assert two["complete"] > two["complete_without_hops"]
    assert report["single"]["questions"] == 10
    assert json.loads(json.dumps(report)) == report


def test_the_same_seed_gives_the_same_report(table):
    assert measure(table, seed=3) == measure(table, seed=3)


def test_chains_fit_together_and_no_slot_is_set_twice():
    world = ChainBuilder(TRIPLES, random.Random(0)).build([2, 3], count=8, distractors=10)
    for chain in world.chains:
        for edit, later in zip(chain.edits, chain.edits[1:], strict=False):
            assert edit.target_new == later.subject
            assert later.subject not in chain.question
        assert chain.edits[0].subject in chain.question
    slots = [edit.slot for edit in world.edits]
    assert len(set(slots)) == len(slots)
    assert {edit for chain in world.chains for edit in chain.edits} <= set(world.edits)


def test_entities_of_a_chain_get_edits_that_are_not_asked_for():
    world = ChainBuilder(TRIPLES, random.Random(0)).build([2], count=3, distractors=0)
    for chain in world.chains:
        asked = {edit.relation for edit in chain.edits}
        beside = [edit for edit in world.edits if edit.subject == chain.edits[0].subject]
        assert any(edit.relation not in asked for edit in beside)


def test_triples_are_read_from_json_at_any_depth(tmp_path):
    row = {
        "triples": [
            {
                "subject": {"label": "Ann"},
                "relation": {"id": "P26", "label": "spouse"},
                "object": {"label": "Bo"},
            }
        ]
    }
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row, row]), encoding="utf-8")
    assert read_triples(path) == [Triple("Ann", "P26", "Bo", "spouse")]


def test_a_file_with_commas_is_read_too(tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text('subject,relation,object\n"Doe, Ann",P27,Norway\n', encoding="utf-8")
    assert read_triples(path) == [Triple("Doe, Ann", "P27", "Norway")]


@pytest.mark.parametrize("text", ["", "a\tb\n1\t2\n"])
def test_a_file_without_triples_is_refused(tmp_path, text):
    path = tmp_path / "facts.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="holds no triples"):
        read_triples(path)


@pytest.mark.parametrize("name", ["missing.tsv", "missing.json"])
def test_a_missing_file_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="cannot read"):
        read_triples(tmp_path / name)


def test_too_few_triples_are_told_so(table):
    with pytest.raises(DataError, match="distractors"):
        evaluate_chains(table, chains=2, lengths=(2,), distractors=10_000)


@pytest.mark.parametrize("wrong", [{"lengths": (1,)}, {"chains": 0}, {"k": 0}])
def test_numbers_that_make_no_chains_are_refused(table, wrong):
    with pytest.raises(ConfigError, match="chains need"):
        evaluate_chains(table, **wrong)


def test_every_wording_has_a_place_for_its_subject():
    assert all(wording.phrases for wording in COMMON.values())
    with pytest.raises(ConfigError, match="one place"):
        Wording("capital", "The capital is", ("the capital of {}",))
    assert wording_of("odd {relation}").phrases == ("the odd (relation) of {}",)
