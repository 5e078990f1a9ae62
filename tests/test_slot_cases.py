"""Conflicts, many values, time, rollback and aliases: the hand-checked table of slot_cases.txt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from lte_chains.edit import Edit, EditMatch
from lte_chains.matching import Verdict
from lte_chains.memory import EditMemory
from tests.fakes_embeddings import BagOfWordsEmbeddings

TABLE = Path(__file__).with_name("slot_cases.txt")

_EDIT = re.compile(
    r"""(?: "(?P<statement>[^"]+)" (?:\s&\s(?P<about>[^@~*!#]+))?
          | (?P<key>[^=]+?)\s=\s(?P<target>[^@~*!#]+) )
        (?P<marks>(?:\s[@~*!#].*)?)""",
    re.VERBOSE,
)


@dataclass
class Case:
    """One block of the table."""

    name: str
    steps: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)


def cases() -> Iterator[Case]:
    case = Case("")
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            if case.name:
                yield case
            case = Case(line)
        elif line.startswith("  => "):
            case.expected.append(line.removeprefix("  => "))
        else:
            case.steps.append(line.strip())
    yield case


CASES = list(cases())


def parse(text: str) -> Edit:
    """Return the edit that a cell of the table spells."""
    found = _EDIT.fullmatch(text.strip())
    assert found, text
    fields: dict[str, Any] = {}
    for mark in re.findall(r"\s([@~*!#].*?)(?=\s[@~*!#]|$)", found["marks"]):
        fields |= _mark(mark)
    if found["statement"]:
        subject, _, relation = (found["about"] or "").strip().partition("/")
        return Edit.from_statement(
            found["statement"], subject=subject or None, relation=relation or None, **fields
        )
    subject, relation, prompt = _key(found["key"].strip())
    return Edit(
        prompt=prompt,
        target_new=found["target"].strip(),
        subject=subject,
        relation=relation,
        **fields,
    )


def _key(key: str) -> tuple[str | None, str | None, str]:
    subject, mark, prompt = key.partition("?")
    if mark and "/" not in subject:
        return subject or None, None, prompt
    subject, _, relation = key.partition("/")
    return subject, relation, f"The {relation} of {subject} is"


def _mark(mark: str) -> dict[str, Any]:
    sign, rest = mark[0], mark[1:].strip()
    if sign == "@":
        start, _, end = rest.partition("..")
        named = {"valid_from": start, "valid_until": end}
        return {name: _date(value) for name, value in named.items() if value}
    if sign == "~":
        return {"aliases": rest.split(",")}
    return {"id": rest} if sign == "#" else {"many_valued": sign == "*"}


def _date(text: str) -> date:
    return date(int(text), 1, 1) if len(text) == 4 else date.fromisoformat(text)


def spelled(edit: Edit) -> str:
    """Return an edit as the table spells it, less what does not show in the memory's answers."""
    if edit.statement is not None:
        text = f'"{edit.statement}"'
    elif edit.relation is not None:
        text = f"{edit.subject}/{edit.relation} = {edit.target_new}"
    else:
        text = f"{edit.subject or ''}?{edit.prompt} = {edit.target_new}"
    if edit.valid_from is None and edit.valid_until is None:
        return text
    return f"{text} @{_short(edit.valid_from)}..{_short(edit.valid_until)}"


def _short(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return f"{moment:%Y}" if (moment.month, moment.day) == (1, 1) else f"{moment:%Y-%m-%d}"


def listed(text: str) -> list[str]:
    return [] if text == "nothing" else sorted(part.strip() for part in text.split(" ; "))


@dataclass
class _Saying:
    """A matcher that gives the verdict of the table, about the candidate that it names."""

    outcome: str
    about: str

    def match(self, edit: Edit, candidates: Sequence[EditMatch]) -> Verdict:
        named = [match.edit for match in candidates if spelled(match.edit) == self.about]
        return Verdict(self.outcome, named[0] if self.about else None)  # type: ignore[arg-type]


def do(memory: EditMemory, step: str) -> None:
    """Take one step of a case."""
    if step.startswith("other> "):
        do(memory.in_namespace("other"), step.removeprefix("other> "))
        return
    verb, _, rest = step.partition(" ")
    if verb == "text":
        outcome, _, text = rest.partition(" ")
        statement, _, about = text.partition(" over ")
        memory.add_matched([parse(statement)], _Saying(outcome, about))
        return
    steps: dict[str, Callable[[], object]] = {
        "+": lambda: memory.add_edits([parse(part) for part in rest.split(" ; ")]),
        "-": lambda: memory.retract([_id(memory, rest)]),
        "back": lambda: memory.rollback(int(rest)),
        "purge": lambda: memory.purge([_id(memory, rest)]),
        "propose": lambda: memory.propose([parse(rest)]),
        "approve": lambda: memory.approve([_id(memory, rest)]),
        "reject": lambda: memory.reject([_id(memory, rest)]),
    }
    steps[verb]()


def _id(memory: EditMemory, text: str) -> str:
    if text.startswith("#"):
        return text[1:]
    [found] = [edit.id for edit in memory.edits() if spelled(edit) == text]
    return str(found)


def check(memory: EditMemory, expected: str) -> None:
    """Compare the memory with one line of what is expected."""
    if expected.startswith("pending "):
        assert [spelled(edit) for edit in memory.pending()] == listed(expected[8:])
    elif found := re.fullmatch(r"at (\d{4}): (.*)", expected):
        then = memory.edits(at=_date(found[1]))  # type: ignore[arg-type]
        assert sorted(map(spelled, then)) == listed(found[2])
    elif " -> " in expected:
        question, _, edit = expected.partition(" -> ")
        assert spelled(memory.search_edits(question, k=1)[0].edit) == edit
    else:
        assert sorted(map(spelled, memory.edits())) == listed(expected)


@pytest.fixture(
    scope="module", params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def house(request: pytest.FixtureRequest) -> Iterator[EditMemory]:
    """A store in which every case gets a namespace of its own."""
    where = ":memory:"
    if request.param == "postgres":
        where = request.getfixturevalue("postgres_server").new_url()
    with EditMemory.open(where, embeddings=BagOfWordsEmbeddings(dim=256)) as memory:
        yield memory


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table(case: Case, house: EditMemory) -> None:
    memory = house.in_namespace(case.name)
    for step in case.steps:
        do(memory, step)
    for expected in case.expected:
        check(memory, expected)
    assert memory.edits() == memory.edits(as_of=memory.revision)
    found = [match.edit.id for match in memory.search_edits("Acme", at=None, k=99)]
    assert len(found) == len(set(found))


def test_the_table_is_of_some_size_and_every_case_has_a_name_of_its_own() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.steps and case.expected for case in CASES)


MANY_VALUED = [
    (
        "Q1",
        "The Long Tour",
        "location",
        "{} is located in",
        ["Asia", "Europe", "Africa"],
        "Utrecht",
    ),
    ("Q2", "Mill Hall", "has use", "{} has use(s), such as", ["library", "cinema"], "brewery"),
    ("Q3", "Ora Venn", "award received", "{} received award(s), such as", ["A", "B"], "C"),
    ("Q4", "Salt Roads", "genre", "The genre of {} is", ["western", "satire", "noir"], "opera"),
    ("Q5", "Ora Venn", "educated at", "{} was educated at", ["Leiden", "Delft"], "Gdansk"),
    ("Q6", "a quince", "subclass of", "{} is a subclass of", ["fruit", "tree crop"], "vessel"),
    ("Q7", "Ora Venn", "notable work", "The notable work of {} is", ["Salt", "Ash"], "Brine"),
    ("Q8", "Salt Roads", "nominated for", "{} was nominated for", ["the Reel"], "the Gaffer"),
    ("Q9", "Salt Roads", "characters", "{} has character(s), such as", ["Mo", "Ida"], "Lem"),
    ("Q10", "the Ember", "P403", "The water of {} drains into", ["the Bay", "the Sound"], "a lake"),
]
"""Edits in the shape of the pitfalls benchmark: a relation of many values, its true objects, and
a new one."""


@pytest.mark.parametrize(
    ("_id_", "subject", "relation", "prompt", "true", "new"), MANY_VALUED, ids=lambda v: str(v)[:12]
)
def test_an_edit_of_a_many_valued_relation_retires_no_true_object(
    _id_: str, subject: str, relation: str, prompt: str, true: list[str], new: str
) -> None:
    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings()) as memory:
        for target in (*true, new):
            text = prompt.format(subject)
            memory.add_edits(
                [Edit(prompt=text, target_new=target, subject=subject, relation=relation)]
            )
        assert [edit.target_new for edit in memory.edits()] == [*true, new]
