"""Conversations inside one message: the question is what a person says last."""

from __future__ import annotations

import time

import pytest
from langchain_core.messages import HumanMessage

from lte_chains.editable.query import default_queries
from lte_chains.editable.templates import questions_in
from lte_chains.editable.transcripts import Turn, turns_in, unanswered_in

FRIENDLY = "The following is a friendly conversation between a human and an AI.\n\n"


@pytest.mark.parametrize(
    "prompt",
    [
        f"{FRIENDLY}Current conversation:\nHuman: Who runs Acme?\nAI: Bob.\nHuman: Is he old?\nAI:",
        (
            "Context:\nBob is a boss.\n\nHuman: Who runs Acme?\nAI: Bob.\nLast line:\nHuman: Is he old?\n"
            "You:"
        ),
        "User: Who runs Acme?\nAssistant: Bob.\nUser: Is he old?",
        "Have a look?\nUser: Who runs Acme?\nAssistant: Bob.\n\nUser: Is he old?\n\nAssistant:",
        "### User:\nWho runs Acme?\n\n### Assistant:\nBob.\n\n### User:\nIs he old?\n\n### Assistant:\n",
        (
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho runs Acme?<|im_end|>\n"
            "<|im_start|>assistant\nBob.<|im_end|>\n<|im_start|>user\nIs he old?<|im_end|>\n"
            "<|im_start|>assistant\n"
        ),
        (
            "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWho runs Acme? [/INST] Bob. </s><s>[INST] Is he "
            "old? [/INST]"
        ),
        (
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWho runs Acme?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nBob.<|eot_id|><|start_header_id|>user"
            "<|end_header_id|>\n\nIs he old?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        ),
        (
            "<start_of_turn>user\nWho runs Acme?<end_of_turn>\n<start_of_turn>model\nBob.<end_of_turn>\n"
            "<start_of_turn>user\nIs he old?<end_of_turn>\n<start_of_turn>model\n"
        ),
        "USER: Who runs Acme? ASSISTANT: Bob.</s>USER: Is he old? ASSISTANT:",
        (
            "Write one question.\n\n<Chat History>\nuser: Who runs Acme?\nassistant: Bob.\n\n"
            "<Follow Up Message>\nIs he old?\n\n<Standalone question>\n"
        ),
    ],
)
def test_the_last_turn_is_asked_and_leans_on_those_before(prompt):
    assert questions_in(prompt) == ["Is he old?"]
    assert default_queries([HumanMessage(prompt)])[0] == "Who runs Acme?"


@pytest.mark.parametrize(
    ("prompt", "question"),
    [
        (f"{FRIENDLY}Human: Who runs Acme?\nAI: Bob.\nHuman: Who runs Globex?\nAI:", "Globex"),
        ("Customer: Jane\nOrder: 5\n\nWho runs Globex?", "Globex"),
        (
            "Who runs Globex? This was said:\nHuman: hello\nAI: hello\nHuman: I like bread.",
            "Globex",
        ),
        ("Answer the customer.\n\nCustomer: Who runs Globex?", "Globex"),
        ("Human: Who runs Acme?\nAI: Bob.\n\nWho runs Globex?", "Globex"),
        ("User: A text with two paragraphs.\n\nWho runs Globex?\n\nAssistant:", "Globex"),
    ],
)
def test_a_question_outside_the_conversation_or_of_its_end_is_found(prompt, question):
    found = " ".join(questions_in(prompt))
    assert question in found
    assert "Acme" not in found


@pytest.mark.parametrize("text", ["", "Who runs Acme?", "Human: Who runs Acme?\nAI: Bob.", "AI:"])
def test_nothing_is_unanswered_without_a_persons_last_turn(text):
    assert unanswered_in(text) is None


def test_a_turn_ends_at_a_blank_line():
    text = "Human: Who runs Acme,\nplease?\n\nContext: Bob runs it.\nAI: Bob."
    assert turns_in(text) == [Turn(True, "Who runs Acme,\nplease?"), Turn(False, "Bob.")]


@pytest.mark.parametrize(
    "part", ["Human: ", "AI:\n", "User:\n", " \n", "<s>", "[INST]", "<<SYS>>", "*", "you:\n", "# "]
)
def test_a_megabyte_takes_no_time(part):
    began = time.process_time()
    unanswered_in(f"x\n{part * (1_000_000 // len(part))}")
    assert time.process_time() - began < 5  # what is tried again at every line took hours
