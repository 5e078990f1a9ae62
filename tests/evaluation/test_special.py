"""ConvSent's and Sanitation's measures, worked out by hand and from raw logits."""

from __future__ import annotations

import math

import pytest
from langchain_core.language_models import ParrotFakeChatModel
from langchain_core.messages import HumanMessage

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.comparison import Unedited
from lte_chains.evaluation.editors.fine_tuning import FineTuningConfig
from lte_chains.evaluation.editors.ft_m import FtM
from lte_chains.evaluation.special import (
    divergence,
    erased,
    judge_sentiment,
    log_likelihood,
    reply_chances,
    sentiment_scores,
)
from lte_chains.models import load_model
from tests.tiny_models import save_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(save_llama(tmp_path_factory.mktemp("llama")), max_new_tokens=4)


@pytest.mark.parametrize(
    ("after", "other", "before", "sentiment", "topic"),
    [
        (-1.0, -1.0, -1.0, 0.5, 1.0),
        (-1.0, -1.0 - math.log(3), -1.0, 0.75, 1.0),
        (-1.0, -1.0 + math.log(3), -2.0, 0.25, 1.0),
        (-2.0, -2.0, -2.0 + math.log(2), 0.5, 0.5),
    ],
)
def test_sentiment_is_the_product_of_opinion_and_topic(after, other, before, sentiment, topic):
    scores = sentiment_scores(wanted_after=after, other_after=other, wanted_before=before)
    assert scores.sentiment == pytest.approx(sentiment)
    assert scores.topic == pytest.approx(topic)
    assert scores.success == pytest.approx(sentiment * topic)


def test_likelihoods_agree_with_raw_logits(model):
    import torch

    prompt, replies = "Who runs Acme?", ["Jane Doe", "Paris is the capital"]
    asked = model.weights.decoder.encode([HumanMessage(prompt)])
    expected = []
    for reply in replies:
        said = model.get_token_ids(reply)
        with model.borrowed_module() as module:
            chances = module(torch.tensor([[*asked, *said]])).logits[0].log_softmax(dim=-1)
        each = [float(chances[len(asked) - 1 + i, token]) for i, token in enumerate(said)]
        expected.append(sum(each) / len(each))
    found = log_likelihood(Unedited(model), prompt, replies)
    assert found == pytest.approx(sum(expected) / 2, abs=1e-4)


def test_an_edit_of_an_opinion_shows_and_other_prompts_diverge(model):
    original = Unedited(model)
    before = log_likelihood(original, "Acme?", ["Jane"])
    elsewhere = reply_chances(original, "Who?", "Paris")
    opinion = {"wanted": ["Jane"], "other": ["Paris"], "wanted_before": before}
    unchanged = judge_sentiment(original, "Acme?", **opinion)
    assert unchanged.topic == 1.0
    assert divergence(original, "Who?", "Paris", before=elsewhere) == pytest.approx(0, abs=1e-6)
    editor = FtM(model, FineTuningConfig(steps=30, learning_rate=1e-2))
    editor.edit([Edit(prompt="Acme?", target_new="Jane")])
    assert log_likelihood(editor, "Acme?", ["Jane"]) > before
    assert judge_sentiment(editor, "Acme?", **opinion).sentiment > unchanged.sentiment
    assert divergence(editor, "Who?", "Paris", before=elsewhere) > 1e-3
    editor.undo()
    assert log_likelihood(editor, "Acme?", ["Jane"]) == before


@pytest.mark.parametrize(
    ("answer", "secret", "success"),
    [
        ("I don't know.", "42", 1.0),
        ("i do not know", "42", 1.0),
        ("It is 42.", "42", 0.0),
        ("I don't know, perhaps 42", "42", 0.0),
        ("No idea", "42", 0.0),
    ],
)
def test_what_is_erased_is_refused_and_not_told(answer, secret, success):
    assert erased([answer], secrets=[secret]) == success


def test_what_cannot_be_judged_is_refused(model):
    with pytest.raises(ConfigError, match="no replies"):
        log_likelihood(Unedited(model), "Acme?", [])
    with pytest.raises(ConfigError, match="shows no logits"):
        log_likelihood(Unedited(ParrotFakeChatModel()), "Acme?", ["Jane"])
    with pytest.raises(ConfigError, match="1 answers and 0 secrets"):
        erased(["x"], secrets=[])
