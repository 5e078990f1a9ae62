"""Teacher forcing against a plain, one-at-a-time computation on a real small model."""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage

from lte_chains.evaluation.teacher_forcing import Forced, force_targets
from lte_chains.models import load_model
from tests.tiny_models import save_adapter, save_llama

REQUESTS = [
    ([HumanMessage("Who runs Acme?")], "Jane Doe"),
    ([HumanMessage("What is the capital of France, and what else do you know?")], "Paris"),
    ([HumanMessage("The CEO of Acme is")], "Jane Doe, of course, and nobody else"),
    ([HumanMessage("Paris is")], "0"),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = save_llama(tmp_path_factory.mktemp("llama"))
    return folder, save_adapter(folder, tmp_path_factory.mktemp("adapter"))


def _one_by_one(model):
    import torch

    results = []
    for messages, target in REQUESTS:
        prompt = model.weights.decoder.encode(messages)
        wanted = model.get_token_ids(target)
        with model.borrowed_module() as module:
            logits = module(torch.tensor([[*prompt, *wanted]])).logits[0]
        predicted = logits[len(prompt) - 1 : -1].argmax(dim=-1).tolist()
        results.append(Forced(tuple(wanted), tuple(predicted)))
    return results


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_batches_predict_what_single_rows_predict(folders, batch_size):
    model = load_model(folders[0])
    assert force_targets(model, REQUESTS, batch_size=batch_size) == _one_by_one(model)


def test_each_view_of_an_adapted_model_is_judged_as_itself(folders):
    adapted, bare = load_model(folders[0], adapter=folders[1]), load_model(folders[0])
    edited = force_targets(adapted, REQUESTS)
    assert edited == _one_by_one(adapted)
    assert force_targets(adapted.unedited, REQUESTS) == _one_by_one(bare)
    assert edited != _one_by_one(bare)


def test_a_prompt_beyond_the_context_is_wrong_in_every_token(folders):
    model = load_model(folders[0])
    long = [HumanMessage("Acme " * 500)]
    forced = force_targets(model, [(long, "Jane"), REQUESTS[0]])
    assert forced[0].accuracy == 0
    assert forced[1] == _one_by_one(model)[0]


def test_progress_covers_every_request(folders):
    done = []
    force_targets(load_model(folders[0]), REQUESTS, batch_size=3, advance=done.append)
    assert sum(done) == len(REQUESTS)


def test_an_empty_target_scores_nothing():
    assert Forced((), ()).accuracy == 0
