"""Questions that ask for an edit in its own words are in scope, whatever a network makes of them."""

from __future__ import annotations

import pytest

from lte_chains.edit import Edit
from lte_chains.scope.plain_questions import SURE, asks_plainly, raised


def _edit(prompt: str, subject: str | None = None, **fields: object) -> Edit:
    return Edit(prompt=prompt, target_new="Bergen", subject=subject, **fields)  # type: ignore[arg-type]


CAPITAL = _edit("The capital of Norway is", "Norway", aliases=("Norge",))


@pytest.mark.parametrize(
    ("edit", "question"),
    [
        (CAPITAL, "What is the capital of Norway?"),
        (CAPITAL, "what's the capital of norway"),
        (CAPITAL, "What is Norway's capital?"),
        (CAPITAL, "Norway’s capital?"),
        (CAPITAL, "What is the capital of Norge?"),
        (CAPITAL, "Name the capital of Norway."),
        (CAPITAL, "2) What is the capital of Norway?"),
        (_edit("Acme's CEO is"), "Who is the current CEO of Acme?"),
        (_edit("Who is the CEO of Acme?"), "The CEO of Acme is"),
        (_edit("The date of birth of Ann is"), "What is the date of birth of Ann?"),
    ],
)
def test_what_asks_plainly(edit: Edit, question: str) -> None:
    assert asks_plainly(question, edit)
    assert raised([-9.0], [(question, edit)]) == [SURE]


@pytest.mark.parametrize(
    ("edit", "question"),
    [
        (CAPITAL, "What is the capital of Sweden?"),
        (CAPITAL, "What is the anthem of Norway?"),
        (CAPITAL, "What was the first capital of Norway?"),
        (CAPITAL, "What is the capital of Norway made of?"),
        (CAPITAL, "Who is the mayor of the capital of Norway?"),
        (CAPITAL, "Is Oslo the capital of Norway?"),
        (_edit("Ann is the mother of", "Ann"), "Who is the mother of Ann?"),
        (_edit("Oslo is the capital of", "Oslo"), "What is the capital of Oslo?"),
        (_edit("The former capital of Norway is", "Norway"), "What is the capital of Norway?"),
        (Edit.from_statement("The capital of Norway is Bergen."), "What is the capital of Norway?"),
    ],
)
def test_what_does_not(edit: Edit, question: str) -> None:
    assert not asks_plainly(question, edit)
    assert raised([-9.0], [(question, edit)]) == [-9.0]
