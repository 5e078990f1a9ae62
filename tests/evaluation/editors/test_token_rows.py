"""Where in an encoded prompt a subject has been read."""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage

from lte_chains.edit import Edit
from lte_chains.evaluation.editors.keys import locate
from lte_chains.evaluation.editors.token_rows import last_place_of
from lte_chains.models import load_model
from tests.tiny_models import save_llama

_WRITES_A_LOT = (
    "{% for m in messages %}<|system|>You are Alibaba, made in the US.<|end|>"
    "<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>{% endfor %}<|assistant|>Ali says: "
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    model = load_model(save_llama(tmp_path_factory.mktemp("llama")), max_new_tokens=8)
    model.weights.decoder.tokenizer.chat_template = _WRITES_A_LOT
    return model


def _read(model, prompt, subject, **more):
    """Return what has been read of the prompt with the subject's last token."""
    decoder = model.weights.decoder
    ids = decoder.encode([HumanMessage(prompt)])
    place = last_place_of(model, prompt, subject, **more)
    return decoder.tokenizer.decode(ids[: place + 1]).rpartition("<|user|>")[2]


@pytest.mark.parametrize(
    ("prompt", "subject", "read"),
    [
        ("The CEO of Acme is", "Acme", "The CEO of Acme"),
        ("The CEO of ACME is", "acme", "The CEO of ACME"),
        ("The capital of the US is", "US", "The capital of the US"),
        ("The nationality of Ali is", "Ali", "The nationality of Ali"),
        ("The nationality of Ali's boss", "Ali", "The nationality of Ali"),
        ("Who founded Alibaba Cloud?", "Alibaba Cloud", "Who founded Alibaba Cloud"),
        ("  Who runs Acme?", "Acme", "Who runs Acme"),
        ("Which town is Deutschlands capital?", "Deutschland", "Which town is Deutschland"),
        ("東京 is in é", "é", "東京 is in é"),
        ("日本の首都は", "日本", "日本"),
        ("Say <|user|> and Acme now", "Acme", "Acme"),
    ],
)
def test_the_subject_is_found_in_the_prompt_alone_and_as_a_whole(model, prompt, subject, read):
    assert _read(model, prompt, subject).endswith(read)


@pytest.mark.parametrize("subject", [None, "", " ", "Globex", "US", "Ali"])
def test_without_its_subject_the_end_of_the_question_is_the_place(model, subject):
    assert _read(model, "The nationality of the CEO: ", subject) == "The nationality of the CEO:"


def test_a_beginning_that_holds_the_subject_by_chance_is_passed_over(model):
    [located] = locate(model, Edit(prompt="Is Q a letter?", target_new="yes", subject="Q"), ["Q: "])
    text = model.weights.decoder.tokenizer.decode(located.row.ids[: located.place + 1])
    assert text.endswith("Q: Is Q")


def test_a_tokenizer_that_tells_no_places_is_asked_how_much_is_read(model, monkeypatch):
    fast = [_read(model, "The CEO of Acme is", name) for name in ("Acme", None)]
    monkeypatch.setattr(type(model.weights.decoder.tokenizer), "is_fast", False)
    assert [_read(model, "The CEO of Acme is", name) for name in ("Acme", None)] == fast
