"""A long common beginning is read once, and nothing that is said changes by it."""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage

from lte_chains.evaluation import teacher_forcing
from lte_chains.evaluation.teacher_forcing import force_targets
from lte_chains.local import decoding
from lte_chains.local.shared_prefix import SHORTEST, shared_length
from lte_chains.models import load_model
from tests.tiny_models import save_llama

BEGINNING = "The CEO of Acme is Jane Doe. " * 30
QUESTIONS = ["Who runs Acme?", "Where?", "What is the capital of France, if not Paris?"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = save_llama(tmp_path_factory.mktemp("llama"), context=512)
    return load_model(folder, max_new_tokens=8, batch_size=4)


@pytest.fixture
def reads(monkeypatch):
    """Count how many tokens were read once for how many rows."""
    seen = []
    original = decoding.read_once

    def counting(module, prefix, copies, **options):
        seen.append((len(prefix), copies))
        return original(module, prefix, copies, **options)

    monkeypatch.setattr(decoding, "read_once", counting)
    monkeypatch.setattr(teacher_forcing, "read_once", counting)
    return seen


def _asked(question):
    return [HumanMessage(f"{BEGINNING}{question}")]


def _text(result):
    return [generations[0].text for generations in result.generations]


def test_answers_are_those_of_each_prompt_alone(model, reads):
    together = _text(model.generate([_asked(question) for question in QUESTIONS]))
    [(length, copies)] = reads
    assert (length >= SHORTEST, copies) == (True, 3)
    assert together == [model.invoke(_asked(question)).text for question in QUESTIONS]
    assert len(reads) == 1  # a prompt alone shares nothing


def test_forced_targets_are_those_of_each_prompt_alone(model, reads):
    pairs = [
        (_asked(q), target) for q, target in zip(QUESTIONS, ("x", "Jane Doe", "東京"), strict=True)
    ]
    together = force_targets(model, pairs)
    assert len(reads) == 1
    assert together == [force_targets(model, [pair])[0] for pair in pairs]


def test_short_beginnings_are_read_with_each_prompt(model, reads):
    model.generate([[HumanMessage(question)] for question in QUESTIONS])
    assert reads == []


def test_cache_that_cannot_be_copied_is_not_used(model, monkeypatch):
    alone = [model.invoke(_asked(question)).text for question in QUESTIONS]
    monkeypatch.setattr(decoding, "read_once", lambda *_, **__: None)
    assert _text(model.generate([_asked(question) for question in QUESTIONS])) == alone


def test_every_prompt_keeps_a_token_of_its_own():
    same = list(range(300))
    assert shared_length([same, same]) == 299
    assert shared_length([same, same[:200]]) == 199
    assert shared_length([same]) == 0
