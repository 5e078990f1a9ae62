"""Free text that a matcher brings to its slot: what is done, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import pytest

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError, InvalidEditError
from lte_chains.matching import GateMatcher, Placement, Verdict
from lte_chains.memory import EditMemory
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings

CEO = Edit(prompt="The CEO of Acme is", target_new="Jane", subject="Acme", relation="CEO")
TEXT = Edit.from_statement("The CEO of Acme is John.")


@pytest.fixture
def memory(anywhere: str) -> Iterator[EditMemory]:
    with EditMemory.open(anywhere, embeddings=BagOfWordsEmbeddings()) as opened:
        yield opened


@dataclass
class Saying:
    """A matcher that gives one outcome, about the nearest candidate, and notes what it saw."""

    outcome: str
    seen: list[list[str]] = field(default_factory=list)

    def match(self, edit: Edit, candidates: Sequence[EditMatch]) -> Verdict:
        self.seen.append([match.edit.descriptor for match in candidates])
        about = None if self.outcome == "coexist" else candidates[0].edit
        return Verdict(self.outcome, about)  # type: ignore[arg-type]


def test_a_statement_that_supersedes_takes_subject_and_relation_and_says_so(
    memory: EditMemory,
) -> None:
    [old] = memory.add_edits([CEO])
    before = memory.get_edits([old])[0]
    [placed] = memory.add_matched([TEXT], Saying("supersede"))
    [edit] = memory.edits()
    assert placed == Placement(str(edit.id), "supersede", before)
    assert (edit.descriptor, edit.slot) == ("The CEO of Acme is John.", CEO.slot)
    assert memory.history(old)[-1].superseded_by == edit.id
    assert memory.revision == 2


def test_what_is_ambiguous_is_kept_in_the_slot_and_reported(memory: EditMemory) -> None:
    memory.add_edits([CEO])
    [placed] = memory.add_matched([TEXT], Saying("ambiguous"))
    assert placed.outcome == "ambiguous"
    assert placed.about is not None
    assert placed.about.target_new == "Jane"
    old, new = memory.edits()
    assert old.slot == new.slot
    assert (new.id, new.many_valued) == (placed.id, True)


def test_a_statement_that_coexists_stays_without_a_slot(memory: EditMemory) -> None:
    memory.add_edits([CEO])
    [placed] = memory.add_matched([TEXT], Saying("coexist"))
    assert (placed.outcome, placed.about) == ("coexist", None)
    assert memory.edits()[1].slot is None


def test_statements_of_one_call_are_one_revision_and_not_matched_with_each_other(
    memory: EditMemory,
) -> None:
    memory.add_edits([CEO])
    matcher = Saying("coexist")
    memory.add_matched([TEXT, Edit.from_statement("Acme moved."), CEO], matcher)
    assert matcher.seen == [["The CEO of Acme is Jane"]] * 2
    assert memory.revision == 2


def test_edits_with_a_slot_go_by_rule(memory: EditMemory) -> None:
    memory.add_edits([CEO])
    matcher = Saying("coexist")
    other = Edit(prompt="The CEO of Acme is", target_new="Kim", subject="Acme", relation="CEO")
    [placed] = memory.add_matched([other], matcher)
    assert (placed.outcome, matcher.seen) == ("rule", [])
    assert [edit.target_new for edit in memory.edits()] == ["Kim"]


def test_only_edits_that_hold_at_the_same_time_are_candidates(memory: EditMemory) -> None:
    memory.add_edits(
        [Edit(prompt="The CEO of Acme is", target_new="Jane", valid_until=date(2020, 1, 1))]
    )
    matcher = Saying("coexist")
    memory.add_matched(
        [Edit.from_statement("The CEO of Acme is John.", valid_from=date(2020, 1, 1))], matcher
    )
    assert matcher.seen == [[]]


def test_a_scope_gate_can_be_the_matcher(memory: EditMemory) -> None:
    memory.add_edits([CEO, Edit(prompt="The seat of Acme is", target_new="Porto")])
    strict = memory.add_matched([TEXT], GateMatcher(SimilarityGate(0.999)))
    assert strict[0].outcome == "coexist"
    memory.retract([strict[0].id])
    lax = memory.add_matched([TEXT], GateMatcher(SimilarityGate(0.0)))
    assert lax[0].outcome == "ambiguous"
    memory.retract([lax[0].id])
    fitting = memory.add_matched([TEXT], GateMatcher(SimilarityGate(0.85)))
    assert fitting[0].outcome == "supersede"
    assert [e.descriptor for e in memory.edits()] == [
        "The seat of Acme is Porto",
        "The CEO of Acme is John.",
    ]


class _Wrong:
    def __init__(self, verdict: object) -> None:
        self.verdict = verdict

    def match(self, edit: Edit, candidates: Sequence[EditMatch]) -> object:
        return self.verdict


@pytest.mark.parametrize(
    "matcher", [None, "x", object(), _Wrong(None), _Wrong(Verdict("supersede", CEO))]
)
def test_what_is_no_matcher_or_no_verdict_is_refused_and_nothing_is_added(
    memory: EditMemory, matcher: object
) -> None:
    memory.add_edits([CEO])
    with pytest.raises(ConfigError):
        memory.add_matched([TEXT], matcher)  # type: ignore[arg-type]
    assert memory.revision == 1


def test_a_verdict_is_checked_when_it_is_made() -> None:
    for outcome, about in (("replace", CEO), ("supersede", None), ("coexist", CEO)):
        with pytest.raises(ConfigError):
            Verdict(outcome, about)  # type: ignore[arg-type]


def test_other_arguments_are_checked_as_for_adding(memory: EditMemory) -> None:
    assert memory.add_matched([], Saying("coexist")) == []
    with pytest.raises(InvalidEditError):
        memory.add_matched(["x"], Saying("coexist"))  # type: ignore[list-item]
    with pytest.raises(ConfigError):
        memory.add_matched([TEXT], Saying("coexist"), candidates=0)


def test_instructions_are_neither_matched_nor_candidates(memory: EditMemory) -> None:
    rule = Edit(prompt="Who is the CEO of Acme?", instruction="Say that you may not tell.")
    memory.add_edits([rule, Edit(prompt="Acme makes", target_new="anvils")])
    matcher = Saying("coexist")
    placed = memory.add_matched([TEXT, Edit(subject="Acme", instruction="Praise it.")], matcher)
    assert matcher.seen == [["Acme makes anvils"]]
    assert [placement.outcome for placement in placed] == ["coexist", "rule"]
