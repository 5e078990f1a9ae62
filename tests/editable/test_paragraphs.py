"""Which part of a message is searched: paragraphs, instruction prompts, agents' transcripts."""

from __future__ import annotations

import pytest

from lte_chains.editable.templates import questions_in

ASKED = "Who is the CEO of Acme?"
DOCUMENT = "Acme makes anvils. Its CEO is Bob Smith. Is he old? He is 63."
ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately "
    "completes the request.\n\n"
)
STORY = "I am writing about anvils, and my boss wants it to be complete before he leaves. " * 5


@pytest.mark.parametrize(
    "message",
    [
        f"Hi, can you help me?\n\n{ASKED}\n\nThanks!",
        f"Hi!\n\n{ASKED}\n\nIs that clear?",
        f"Hello, how are you?\n\n{ASKED}\n\nBest regards,\nBob",
        f"Dear team,\n\n{ASKED}\n\nPlease answer in one word.",
        f"Hi,\n\n{STORY}\n\n{ASKED}\n\nThe report is due tomorrow at noon, so I am in a hurry.",
        f"{ALPACA}### Instruction:\n{ASKED}\n\n### Response:\n",
        f"### Instruction:\n{ASKED}\n### Response:",
        f"Instruction: {ASKED}\n\nOutput:",
        f"# Instruction\n{ASKED}\n\n# Response\n",
        f"{ALPACA}### Instruction:\n{ASKED}\n\n### Input:\n{DOCUMENT}\n\n### Response:\n",
        f"### Instruction:\n{ASKED}\n\n### Input:\n{DOCUMENT}\n\n{DOCUMENT}\n\n### Response:",
        f"### Instruction:\nAnswer the question.\n\n### Input:\n{ASKED}\n\n### Response:\n",
        f"Instruction: Who founded Globex?\nOutput: Scorpio.\n\nInstruction: {ASKED}\nOutput:",
        f"Instructions: Be brief.\n\n{ASKED}",
        f"Who founded Globex?\nA. Ann\nB. Bob\nAnswer: B\n\n{ASKED}",
        f"Question: {ASKED}\nThought: I look.\nAction: find\nObservation: Question: what else?",
        f"Question: {ASKED}\nAction: find\nObservation: a.\nQuestion: old?\n\nQ: b?\nThought:",
        f"Observation: the FAQ says. Question: what else?\n\n{ASKED}",
    ],
)
def test_the_question_is_found_wherever_it_stands(message: str) -> None:
    assert questions_in(message) == [ASKED]


@pytest.mark.parametrize(
    ("message", "questions"),
    [
        (
            "Hello, how are you?\n\nI need to know who runs Acme.\n\nThanks, Bob",
            ["I need to know who runs Acme."],
        ),
        (
            "Hi,\n\nCan I get it by Monday, Bob?\n\nI need to know who runs Acme.",
            ["Can I get it by Monday, Bob?", "I need to know who runs Acme."],
        ),
        ("### Instruction:\nName Acme's CEO.\n\n### Response:\n", ["Name Acme's CEO."]),
        (
            f"### Instruction:\nName Acme's CEO.\n\n### Input:\n{DOCUMENT}\n\n### Response:",
            ["Name Acme's CEO."],
        ),
        (f"Instruction: Sum this up.\nInput: {DOCUMENT}\nOutput:", ["Sum this up."]),
        (f"Question: {ASKED}\nQuestion: How old is Ann?", [ASKED, "How old is Ann?"]),
        (
            f"Question 1: {ASKED}\nAnswer 1:\nQuestion 2: How old is Ann?\nAnswer 2:",
            [ASKED, "How old is Ann?"],
        ),
        (
            f"Answer both:\n\n1) {ASKED}\n\n2) How old is Ann?",
            [f"1) {ASKED}", "2) How old is Ann?"],
        ),
        (
            "Acme's CEO is Bob Smith.\n\nIs he old?",
            ["Is he old?", "Acme's CEO is Bob Smith.\n\nIs he old?"],
        ),
    ],
)
def test_all_that_asks_is_found(message: str, questions: list[str]) -> None:
    assert questions_in(message) == questions


@pytest.mark.parametrize(
    "message",
    [
        f"### Instruction:\nWho founded Rome?\n\n### Input:\n{DOCUMENT}\n\n### Response:\n",
        f"Question: Who founded Rome?\nAction: find\nObservation: {DOCUMENT}\nQ: {ASKED}\nThought:",
        f"Who founded Rome?\n\nContext: {DOCUMENT}",
        f"Dear all,\n\n{DOCUMENT}\n\nWho founded Rome?\n\nThanks!",
    ],
)
def test_documents_are_not_searched_by(message: str) -> None:
    assert questions_in(message) == ["Who founded Rome?"]


def test_a_message_that_is_only_small_talk_is_searched_as_it_stands() -> None:
    assert questions_in("Hi, can you help me?") == ["Hi, can you help me?"]
