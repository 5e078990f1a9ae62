"""Pending edits: kept and audited, but used by nothing before somebody approves them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from datetime import date
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from lte_chains.edit import Edit
from lte_chains.errors import InvalidEditError, LteError, UnknownEditError
from lte_chains.memory import EditMemory
from tests.fakes_embeddings import BagOfWordsEmbeddings

EMBEDDINGS = BagOfWordsEmbeddings(dim=32)


@pytest.fixture
def memory(anywhere: str) -> Iterator[EditMemory]:
    with EditMemory.open(anywhere, embeddings=EMBEDDINGS) as opened:
        yield opened


def ceo(target: str, **fields: object) -> Edit:
    return Edit(
        prompt="The CEO of Acme is", target_new=target, subject="Acme", relation="CEO", **fields
    )


def targets(edits: list[Edit]) -> list[str]:
    return [edit.target_new for edit in edits]


def trail(memory: EditMemory, id_: str | None = None) -> list[tuple[int, str, str, int | None]]:
    return [(e.revision, e.operation, e.action, e.version) for e in memory.history(id_)]


def test_a_pending_edit_is_kept_but_nothing_sees_it(memory: EditMemory) -> None:
    [live] = memory.add_edits([ceo("Jane Doe")])
    [id_] = memory.propose([ceo("John Roe", source="agent 7", metadata={"turn": 3})])
    assert targets(memory.edits()) == ["Jane Doe"]
    assert targets(memory.edits(as_of=memory.revision)) == ["Jane Doe"]
    assert [match.edit.id for match in memory.search_edits("The CEO of Acme is", k=9)] == [live]
    assert memory.get_by_ids([id_]) == []
    with pytest.raises(UnknownEditError):
        memory.get_edits([id_])
    [pending] = memory.pending()
    assert pending == ceo(
        "John Roe",
        source="agent 7",
        metadata={"turn": 3},
        id=id_,
        namespace="default",
        version=1,
        revision=2,
    )
    assert trail(memory, id_) == [(2, "propose", "propose", 1)]
    assert memory.history(id_)[0].edit == pending


def test_an_approved_edit_settles_its_conflicts_then(memory: EditMemory) -> None:
    [pending] = memory.propose([ceo("John Roe")])
    [later] = memory.add_edits([ceo("Jane Doe")])
    assert memory.approve([pending]) == memory.revision == 3
    assert targets(memory.edits()) == ["John Roe"]
    assert memory.pending() == []
    [match] = memory.search_edits("The CEO of Acme is")
    assert (match.edit.id, match.edit.revision) == (pending, 3)
    assert trail(memory)[2:] == [
        (3, "approve", "approve", 1),
        (3, "approve", "supersede", 1),
        (3, "approve", "add", 2),
    ]
    assert memory.history(later)[-1].superseded_by == pending


def test_a_rejected_edit_is_gone_but_for_its_history(memory: EditMemory) -> None:
    [id_] = memory.propose([ceo("John Roe")])
    assert memory.reject([id_]) == 2
    assert memory.pending() == memory.edits() == []
    assert [(entry.action, entry.edit.target_new) for entry in memory.history(id_)] == [
        ("propose", "John Roe"),
        ("reject", "John Roe"),
    ]
    with pytest.raises(UnknownEditError, match="no pending edit"):
        memory.approve([id_])


def test_approval_goes_in_the_order_of_the_ids(memory: EditMemory) -> None:
    first, second = memory.propose([ceo("Jane Doe"), ceo("John Roe")])
    memory.approve([second, first])
    assert targets(memory.edits()) == ["Jane Doe"]
    assert memory.revision == 2


def test_a_proposed_time_is_settled_as_an_added_one_is(memory: EditMemory) -> None:
    memory.add_edits([ceo("Jane Doe")])
    memory.approve(memory.propose([ceo("John Roe", valid_from=date(2027, 1, 1))]))
    assert targets(memory.edits(at=date(2026, 6, 1))) == ["Jane Doe"]
    assert targets(memory.edits(at=date(2027, 6, 1))) == ["John Roe"]


@pytest.mark.parametrize("call", ["approve", "reject"])
@pytest.mark.parametrize("bad", ["nobody", "live", "elsewhere", "decided"])
def test_what_is_not_pending_here_is_an_error_and_changes_nothing(
    memory: EditMemory, call: str, bad: str
) -> None:
    [pending] = memory.propose([ceo("Jane Doe")])
    memory.add_edits([Edit(prompt="2 + 2 is", target_new="5", id="live")])
    memory.reject(memory.propose([ceo("Nobody", id="decided")]))
    other = memory.in_namespace("other")
    other.propose([ceo("John Roe", id="elsewhere")])
    before = memory.history()
    with pytest.raises(UnknownEditError, match=f"'{bad}' in namespace 'default'") as caught:
        getattr(memory, call)([pending, bad])
    assert isinstance(caught.value, LteError)
    assert memory.history() == before
    assert targets(memory.pending()) == ["Jane Doe"]
    assert targets(other.pending()) == ["John Roe"]


def test_namespaces_keep_their_proposals_apart(memory: EditMemory) -> None:
    other = memory.in_namespace("other")
    memory.propose([ceo("Jane Doe", id="same")])
    other.propose([ceo("John Roe", id="same")])
    other.approve(["same"])
    assert targets(memory.pending()) == ["Jane Doe"]
    assert memory.edits() == []
    assert targets(other.edits()) == ["John Roe"]


def test_proposing_again_what_waits_changes_nothing(memory: EditMemory) -> None:
    [id_] = memory.propose([ceo("Jane Doe")])
    assert memory.propose([ceo("Jane Doe")] * 2) == [id_, id_]
    assert memory.propose([ceo("Jane Doe", id=id_)]) == [id_]
    assert memory.revision == len(memory.pending()) == 1
    assert memory.propose([]) == []
    assert memory.approve([]) == memory.reject([]) == 1


def test_what_waits_for_approval_cannot_be_exchanged(memory: EditMemory) -> None:
    memory.propose([ceo("Jane Doe", id="ceo")])
    with pytest.raises(InvalidEditError, match="approve or reject it before"):
        memory.propose([Edit(prompt="2 + 2 is", target_new="5"), ceo("Mallory", id="ceo")])
    assert targets(memory.pending()) == ["Jane Doe"]
    memory.reject(["ceo"])
    memory.propose([ceo("Mallory", id="ceo")])
    assert targets(memory.pending()) == ["Mallory"]


def test_a_proposal_may_replace_a_live_edit_of_its_id(memory: EditMemory) -> None:
    memory.add_edits([ceo("Jane Doe", id="ceo")])
    memory.propose([ceo("John Roe", id="ceo")])
    assert targets(memory.get_edits(["ceo"])) == ["Jane Doe"]
    assert targets(memory.edits(as_of=2)) == ["Jane Doe"]
    memory.approve(["ceo"])
    assert targets(memory.edits()) == ["John Roe"]
    assert [entry.action for entry in memory.history("ceo")] == ["add", "propose", "approve", "add"]


def test_approving_what_is_live_already_only_notes_it(memory: EditMemory) -> None:
    memory.propose([ceo("Jane Doe", id="ceo")])
    memory.add_edits([ceo("Jane Doe", id="ceo")])
    memory.approve(["ceo"])
    assert targets(memory.edits()) == ["Jane Doe"]
    assert [entry.action for entry in memory.history()] == ["propose", "add", "approve"]


def test_a_rollback_leaves_what_waits_and_withdraws_what_was_approved(memory: EditMemory) -> None:
    memory.add_edits([ceo("Jane Doe")])
    approved, waiting = memory.propose([ceo("John Roe"), Edit(prompt="2 + 2 is", target_new="5")])
    memory.approve([approved])
    memory.rollback(2)
    assert targets(memory.edits()) == ["Jane Doe"]
    assert [edit.id for edit in memory.pending()] == [waiting]
    memory.rollback(3)
    assert targets(memory.edits()) == ["John Roe"]
    memory.rollback(0)
    assert memory.edits() == []
    assert [edit.id for edit in memory.pending()] == [waiting]


def test_retracting_and_deleting_leave_what_waits(memory: EditMemory) -> None:
    [id_] = memory.propose([ceo("Jane Doe")])
    memory.retract([id_])
    memory.delete([id_])
    memory.delete()
    assert [edit.id for edit in memory.pending()] == [id_]
    assert memory.revision == 1


def test_a_purged_proposal_leaves_no_text(tmp_path: Path) -> None:
    path = tmp_path / "edits.db"
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        memory.propose([ceo("Xylophonist", id="wait"), ceo("Yodeller", id="rejected")])
        memory.reject(["rejected"])
        memory.purge(["wait", "rejected"])
        assert memory.pending() == []
        assert all(entry.edit is None for entry in memory.history())
        assert [e.action for e in memory.history("wait")] == ["propose", "purge"]
        with pytest.raises(UnknownEditError):
            memory.approve(["wait"])
        memory.propose([ceo("Jane Doe", id="wait")])
        assert memory.pending()[0].version == 2
    for file in tmp_path.iterdir():
        assert b"Xylophonist" not in file.read_bytes()
        assert b"Yodeller" not in file.read_bytes()


def test_export_leaves_out_what_waits_and_import_adds_live_edits(
    memory: EditMemory, tmp_path: Path
) -> None:
    memory.add_edits([ceo("Jane Doe", id="a")])
    memory.propose([ceo("John Roe", id="b")])
    assert memory.export_jsonl(tmp_path / "edits.jsonl") == 1
    other = memory.in_namespace("other")
    assert other.import_jsonl(tmp_path / "edits.jsonl") == ["a"]
    assert other.pending() == []


def test_reembedding_reaches_what_waits(memory: EditMemory) -> None:
    [id_] = memory.propose([ceo("Jane Doe")])
    memory.reembed(BagOfWordsEmbeddings(dim=48))
    memory.approve([id_])
    [match] = memory.search_edits("The CEO of Acme is")
    assert match.score == pytest.approx(1.0)


def test_a_second_memory_on_the_file_sees_proposals_and_decisions(tmp_path: Path) -> None:
    path = tmp_path / "edits.db"
    with (
        EditMemory.open(path, embeddings=EMBEDDINGS) as agent,
        EditMemory.open(path, embeddings=EMBEDDINGS) as person,
    ):
        [id_] = agent.propose([ceo("Jane Doe")])
        assert person.search_edits("The CEO of Acme is") == []
        assert [edit.id for edit in person.pending()] == [id_]
        person.approve([id_])
        assert [match.edit.id for match in agent.search_edits("The CEO of Acme is")] == [id_]


@pytest.mark.parametrize("call", ["propose", "approve", "reject"])
def test_bad_arguments_are_refused(memory: EditMemory, call: str) -> None:
    for value in ("x", None, [7]):
        with pytest.raises(LteError):
            getattr(memory, call)(value)
    assert memory.revision == 0


async def test_the_async_twins_do_the_same(memory: EditMemory) -> None:
    first, second = await memory.apropose([ceo("Jane Doe"), ceo("John Roe")])
    assert await memory.aapprove([first]) == 2
    assert await memory.areject([second]) == 3
    assert targets(memory.edits()) == ["Jane Doe"]


def decide_without_end(path: Path, report: Connection) -> None:
    """Propose pairs, approve one and reject the other, reporting each step that is done."""
    memory = EditMemory.open(path, embeddings=EMBEDDINGS)
    for number in count():
        names = [f"{number}-yes", f"{number}-no", f"{number}-wait"]
        memory.propose([Edit(prompt=f"Fact {n} is", target_new="x", id=n) for n in names])
        report.send(("proposed", number))
        memory.approve(names[:1])
        report.send(("approved", number))
        memory.reject(names[1:2])
        report.send(("rejected", number))


def test_killed_at_any_moment_no_decision_is_half_done(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lte_chains.memory"])
    for run in range(6):
        path = tmp_path / f"{run}.db"
        reports, report = context.Pipe(duplex=False)
        writer = context.Process(target=decide_without_end, args=(path, report))
        writer.start()
        report.close()
        told: set[tuple[str, int]] = set()
        with reports:
            while len(told) < 5 + run:
                told.add(reports.recv())
            writer.kill()
            writer.join()
        _assert_decided(path, told)


def _assert_decided(path: Path, told: set[tuple[str, int]]) -> None:
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        live = {edit.id for edit in memory.edits()}
        waiting = {edit.id for edit in memory.pending()}
        history = {entry.id for entry in memory.history()}
        found = {match.edit.id for match in memory.search_edits("Fact", k=10_000)}
    assert found == live
    assert not live & waiting
    for step, number in told:
        yes, no, wait = f"{number}-yes", f"{number}-no", f"{number}-wait"
        assert {yes, no, wait} <= history
        assert wait in waiting
        if step == "approved":
            assert yes in live
            assert yes not in waiting
        if step == "rejected":
            assert no not in live | waiting


def test_a_call_that_fails_in_the_middle_leaves_everything_as_it_was(
    memory: EditMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lte_chains.store import ledger
    from lte_chains.store.postgres import ledger as postgres_ledger

    ids = memory.propose([ceo("Jane Doe"), Edit(prompt="2 + 2 is", target_new="5")])

    def failing(put: Callable[..., str]) -> Callable[..., str]:
        def instead(self: object, edit: Edit, *rest: object, **options: object) -> str:
            if edit.target_new == "5":
                raise MemoryError
            return put(self, edit, *rest, **options)

        return instead

    monkeypatch.setattr(ledger.Transaction, "put", failing(ledger.Transaction.put))
    patched = postgres_ledger.Transaction
    monkeypatch.setattr(patched, "_put", failing(patched._put))
    with pytest.raises(MemoryError):
        memory.approve(ids)
    assert [edit.id for edit in memory.pending()] == ids
    assert memory.edits() == []
    assert memory.revision == 1
