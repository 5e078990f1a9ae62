"""Free text that a matcher brings to its slot: what is done, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError, DataError, InvalidEditError
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


def test_a_value_beside_others_ends_none_of_them(memory: EditMemory) -> None:
    spoken = Edit(prompt="Rui speaks", target_new="German", subject="Rui", relation="languages")
    memory.add_edits([spoken])
    [placed] = memory.add_matched(
        [Edit.from_statement("Rui speaks Latin.")], GateMatcher(SimilarityGate(0.1))
    )
    assert placed.outcome == "coexist"
    assert len(memory.edits()) == 2


def test_a_gate_matcher_without_a_gate_is_refused() -> None:
    with pytest.raises(ConfigError, match="scope gate"):
        GateMatcher(None)  # type: ignore[arg-type]


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


PROMPTED = Edit(prompt="The CEO of Acme is", target_new="Jane")
MAX = Edit(prompt="The CEO of Acme is", target_new="Max")


def texts(memory: EditMemory) -> list[str]:
    return [edit.descriptor for edit in memory.edits()]


def copied(memory: EditMemory, folder: Path, name: str) -> EditMemory:
    """Return a namespace into which the memory's export was imported."""
    memory.export_jsonl(folder / "edits.jsonl")
    copy = memory.in_namespace(name)
    copy.import_jsonl(folder / "edits.jsonl")
    return copy


def test_a_copy_keeps_the_slot_that_a_matcher_found(memory: EditMemory, tmp_path: Path) -> None:
    memory.add_edits([PROMPTED])
    memory.add_matched([Edit.from_statement("John runs Acme.")], Saying("supersede"))
    [edit] = memory.edits()
    assert edit.slot == edit.matched_slot == PROMPTED.slot
    copy = copied(memory, tmp_path, "copy")
    again = copied(copy, tmp_path, "again")
    for each in (memory, copy, again):
        assert texts(each) == ["John runs Acme."]
        each.add_edits([MAX])
        assert texts(each) == ["The CEO of Acme is Max"]


def test_statement_in_a_slot_is_exported_and_imported_as_it_is(
    memory: EditMemory, tmp_path: Path
) -> None:
    memory.add_edits([PROMPTED])
    memory.add_matched([Edit.from_statement("John runs Acme.", id="j")], Saying("supersede"))
    memory.export_jsonl(tmp_path / "edits.jsonl")
    assert (tmp_path / "edits.jsonl").read_text() == (
        '{"statement": "John runs Acme.", "id": "j", "slot": "the ceo of acme is"}\n'
    )
    before = memory.revision
    memory.import_jsonl(tmp_path / "edits.jsonl")
    assert (memory.revision, texts(memory)) == (before, ["John runs Acme."])


def test_slot_that_was_found_is_kept_through_time_and_rollback(memory: EditMemory) -> None:
    memory.add_edits([PROMPTED])
    memory.add_matched([Edit.from_statement("John runs Acme.")], Saying("supersede"))
    memory.add_edits([Edit(prompt=MAX.prompt, target_new="Max", valid_from=date(2990, 1, 1))])
    assert [edit.slot for edit in memory.edits()] == [PROMPTED.slot] * 2
    memory.rollback(2)
    memory.add_edits([MAX])
    assert texts(memory) == ["The CEO of Acme is Max"]


@pytest.mark.parametrize(
    ("slot", "kept"),
    [
        ('"The CEO of  ACME is:"', []),
        ('"the ceo of acme is"', []),
        ('"the ceo of rome is"', ["The CEO of Acme is Jane"]),
        ('"\\u001dacme"', ["The CEO of Acme is Jane"]),
        ("null", ["The CEO of Acme is Jane"]),
    ],
)
def test_a_file_takes_slots_of_facts_in_the_namespace_it_is_read_into(
    memory: EditMemory, tmp_path: Path, slot: str, kept: list[str]
) -> None:
    praise = Edit(subject="Acme", instruction="Speak well of it.")
    other = memory.in_namespace("other")
    for each in (memory, other):
        each.add_edits([PROMPTED, praise])
    path = tmp_path / "hostile.jsonl"
    path.write_text(f'{{"statement": "Eve runs Acme.", "slot": {slot}, "namespace": "other"}}')
    memory.import_jsonl(path)
    assert texts(memory) == [*kept, praise.descriptor, "Eve runs Acme."]
    assert texts(other) == [PROMPTED.descriptor, praise.descriptor]


@pytest.mark.parametrize("slot", ["7", '["a"]', '"a\\u0000"', '"\\ud800"', '"a\\u001fb\\u001fc"'])
def test_a_file_with_what_is_no_slot_is_refused(
    memory: EditMemory, tmp_path: Path, slot: str
) -> None:
    path = tmp_path / "hostile.jsonl"
    path.write_text(f'{{"statement": "Eve runs Acme.", "slot": {slot}}}')
    with pytest.raises((DataError, InvalidEditError)):
        memory.import_jsonl(path)
    assert texts(memory) == []


def test_rows_of_facts_with_a_field_called_slot_keep_their_own(
    memory: EditMemory, tmp_path: Path
) -> None:
    path = tmp_path / "edits.jsonl"
    path.write_text('{"prompt": "The CEO of Rome is", "target_new": "Jo", "slot": 7}')
    memory.import_jsonl(path)
    assert memory.edits()[0].slot == "the ceo of rome is"
