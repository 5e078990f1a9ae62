"""`EditRetriever.explain`: what was found, and why it is used or not."""

from __future__ import annotations

import json

import pytest

from lte_chains.edit import Edit, EditMatch
from lte_chains.memory import EditMemory
from lte_chains.retrieval.hop_rules import HopRules
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings

TWO = "What is the capital of the country that Ann is a citizen of?"
EDITS = [
    Edit(prompt="Ann is a citizen of", target_new="Norway", subject="Ann", id="citizen"),
    Edit(prompt="The capital of Norway is", target_new="Bergen", subject="Norway", id="capital"),
    Edit(prompt="The anthem of Norway is", target_new="a song", subject="Norway", id="anthem"),
    Edit(prompt="Zebras eat", target_new="grass", id="zebra"),
]


@pytest.fixture
def retriever():
    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=1024)) as memory:
        memory.add_edits(EDITS)
        rules = HopRules(asked=0.6, perhaps=0.5)
        yield memory.as_retriever(k=3, gate=SimilarityGate(0.62), hop_rules=rules)


def test_used_edits_are_exactly_those_that_are_retrieved_in_their_order(retriever):
    for query in (TWO, "Zebras eat", "nothing of the kind", ""):
        explained = [j.edit.id for j in retriever.explain(query).judgements if j.used]
        assert explained == [match.edit.id for match in retriever.retrieve(query)]


def test_a_hop_says_what_asks_for_it_and_what_led_to_it(retriever):
    by_id = {j.edit.id: j for j in retriever.explain(TWO).judgements}
    capital = by_id["capital"]
    assert (capital.place, capital.hop, capital.via) == (2, 1, "citizen")
    assert "capital of" in capital.asked
    assert capital.reason.startswith("the question asks for it")
    assert by_id["anthem"].used is False
    assert by_id["zebra"].reason == "out of scope"


def test_an_edit_for_which_no_room_is_left_is_told_so(retriever):
    judgements = retriever.explain(TWO, k=1).judgements
    assert [j.edit.id for j in judgements if j.used] == ["citizen"]
    assert "no room" in next(j.reason for j in judgements if j.edit.id == "capital")


def test_a_gates_probability_stands_beside_the_cosine(retriever):
    class Half:
        def judge(self, query, matches):
            return [EditMatch(edit=m.edit, score=0.5, in_scope=True) for m in matches]

    [judgement, *_] = retriever.model_copy(update={"gate": Half()}).explain("Zebras eat").judgements
    assert judgement.gate == 0.5
    assert judgement.similarity == pytest.approx(1.0)


def test_it_is_json_and_a_table(retriever):
    explanation = retriever.explain(TWO)
    told = explanation.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert {c["id"] for c in told["candidates"]} == {"citizen", "capital", "anthem", "zebra"}
    lines = str(explanation).splitlines()
    assert lines[1].split()[:2] == ["used", "hop"]
    assert lines[2].startswith("1")
    assert len(list(explanation.rows())) == len(explanation.judgements)


def test_an_ungated_retriever_has_no_gate_score(retriever):
    judgements = retriever.model_copy(update={"gate": None}).explain("Zebras eat").judgements
    assert {j.gate for j in judgements} == {None}
