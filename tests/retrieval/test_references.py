"""What leans on an earlier turn: remarks on the answer, and questions that name nothing."""

from __future__ import annotations

import pytest

from lte_chains.retrieval.references import is_remark, leaves_open, refers_back


@pytest.mark.parametrize(
    "turn",
    [
        *("Are you sure?", "Really?", "Can you double check?", "Please repeat that."),
        *("What was your answer again?", "In one word please.", "Why do you think so?"),
        *("Translate your answer to German.", "Is that still up to date?", "Source?"),
        *("I don't believe you.", "No, that's wrong.", "Come again?", "How do you know that?"),
        *("Shorter please", "You said Jane?", "Write it in capital letters.", "Please be brief."),
        "Explain your previous answer in more detail.",
    ],
)
def test_a_remark_on_the_answer_refers_back(turn: str) -> None:
    assert is_remark(turn)
    assert refers_back(turn)


@pytest.mark.parametrize(
    "turn",
    [
        *("What is your name?", "Who are you?", "How old are you?", "What is the current date?"),
        *("Are you sure that Lyon is the capital of France?", "Write a poem about spring."),
        *("Can you double check who runs Globex?", "Translate 'good morning' to German."),
        *("Can you write Python?", "Is 7 a prime number?", "acme ceo", "Thanks, Acme"),
    ],
)
def test_what_has_a_topic_of_its_own_is_no_remark(turn: str) -> None:
    assert not is_remark(turn)
    assert not refers_back(turn)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who is the CEO?", True),
        ("who is the chief executive officer?", True),
        ("Who is the CEO of Acme?", False),
        ("who is the ceo of acme?", False),
        ("Who is the person that runs it?", False),
        ("Who runs Acme?", False),
    ],
)
def test_a_question_without_a_subject_is_noticed(question: str, expected: bool) -> None:
    assert leaves_open(question) is expected
