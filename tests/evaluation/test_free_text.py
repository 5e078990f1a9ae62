"""Fluency: exactly 100 tokens of text, whatever the model would rather write."""

from __future__ import annotations

import pytest
from langchain_core.language_models import ParrotFakeChatModel
from langchain_core.messages import HumanMessage

from lte_chains.evaluation.comparison import Unedited
from lte_chains.evaluation.free_text import FREE_TOKENS, fluency, forced_text
from lte_chains.evaluation.metrics import ngram_entropy
from lte_chains.models import PromptTooLongError, load_model
from tests.tiny_models import save_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = save_llama(tmp_path_factory.mktemp("llama"), context=256)
    return load_model(folder, max_new_tokens=4)


def test_special_tokens_are_no_text(model):
    decoder = model.weights.decoder
    special = [*decoder.end_tokens, *decoder.tokenizer.all_special_ids]

    def prefer_them(_module, _inputs, logits):
        logits[..., special] += 1e4
        return logits

    with model.borrowed_module() as module:
        handle = module.get_output_embeddings().register_forward_hook(prefer_them)
    try:
        text = forced_text(model, [HumanMessage("Who runs Acme?")])
    finally:
        handle.remove()
    assert len(decoder.tokenizer(text, add_special_tokens=False).input_ids) > FREE_TOKENS / 4
    assert not any(token in text for token in decoder.tokenizer.all_special_tokens)


def test_one_syllable_over_and_over_is_a_single_word_and_scores_nothing():
    assert ngram_entropy("Frenche" + "es" * 99) == 0.0
    assert ngram_entropy("the end " * 33) < ngram_entropy("one two three four five six")


def test_there_is_no_figure_where_there_is_no_room_or_no_logits(model):
    with pytest.raises(PromptTooLongError):
        forced_text(model, [HumanMessage("Acme " * 240)])
    assert fluency(Unedited(model), ["Acme " * 240]) == [None]
    assert fluency(Unedited(ParrotFakeChatModel()), ["Acme"]) == [None]
