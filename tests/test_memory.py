"""What EditMemory promises about edits, slots, revisions, time and namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from lte_chains.edit import Edit
from lte_chains.errors import (
    ConfigError,
    ConflictError,
    EmbeddingError,
    InvalidEditError,
    LteError,
    StoreError,
    UnknownEditError,
)
from lte_chains.memory import EditMemory
from tests.fakes_embeddings import BagOfWordsEmbeddings


@pytest.fixture
def memory(anywhere: str) -> Iterator[EditMemory]:
    with EditMemory.open(anywhere, embeddings=BagOfWordsEmbeddings()) as opened:
        yield opened


def ceo(target: str, **fields: object) -> Edit:
    return Edit(
        prompt="The CEO of Acme is", target_new=target, subject="Acme", relation="CEO", **fields
    )


def targets(memory: EditMemory, **when: object) -> list[str]:
    return [edit.target_new for edit in memory.edits(**when)]


def test_an_edit_comes_back_whole_with_its_place_in_the_ledger(memory: EditMemory) -> None:
    edit = ceo(
        "Jane Doe",
        source="https://example.org",
        metadata={"ticket": [1, 2]},
        valid_from=date(2026, 1, 1),
        valid_until=datetime(2027, 1, 1, 12, 30, 15, 250, tzinfo=UTC),
    )
    [id_] = memory.add_edits([edit])
    [stored] = memory.get_edits([id_])
    expected = ceo(
        "Jane Doe",
        source="https://example.org",
        metadata={"ticket": [1, 2]},
        valid_from=date(2026, 1, 1),
        valid_until=datetime(2027, 1, 1, 12, 30, 15, 250, tzinfo=UTC),
        id=id_,
        namespace="default",
        version=1,
        revision=1,
    )
    assert stored == expected
    assert memory.edits() == [expected]


def test_a_later_edit_of_a_slot_supersedes_the_earlier_which_stays_in_history(
    memory: EditMemory,
) -> None:
    [old] = memory.add_edits([ceo("Jane Doe")])
    [new] = memory.add_edits([ceo("John Roe")])
    assert targets(memory) == ["John Roe"]
    assert [(e.action, e.id, e.superseded_by) for e in memory.history()] == [
        ("add", old, None),
        ("supersede", old, new),
        ("add", new, None),
    ]
    assert [entry.edit.target_new for entry in memory.history(old)] == ["Jane Doe", "Jane Doe"]


def test_a_slot_is_the_prompt_where_subject_or_relation_are_missing(memory: EditMemory) -> None:
    memory.add_edits([Edit(prompt="Who runs Acme?", target_new="Jane Doe")])
    memory.add_edits([Edit(prompt="who  runs ACME", target_new="John Roe", subject="Acme")])
    memory.add_edits([Edit.from_statement("Jane Doe left.")])
    memory.add_edits([Edit.from_statement("Jane Doe came back.")])
    assert [edit.descriptor for edit in memory.edits()] == [
        "who  runs ACME John Roe",
        "Jane Doe left.",
        "Jane Doe came back.",
    ]


def test_prompts_of_mere_punctuation_share_no_slot(memory: EditMemory) -> None:
    memory.add_edits([Edit(prompt="?", target_new="a"), Edit(prompt="...", target_new="b")])
    assert targets(memory) == ["a", "b"]


def test_in_one_batch_the_later_edit_wins_and_the_earlier_is_history(memory: EditMemory) -> None:
    ids = memory.add_edits([ceo("A"), ceo("B"), ceo("A")])
    assert targets(memory) == ["A"]
    assert len(set(ids)) == 3
    assert memory.revision == 1
    assert [entry.action for entry in memory.history()] == [
        "add",
        "supersede",
        "add",
        "supersede",
        "add",
    ]


def test_a_to_b_to_a_ends_at_a(memory: EditMemory) -> None:
    for target in "ABA":
        memory.add_edits([ceo(target)])
    assert targets(memory) == ["A"]
    assert memory.revision == 3


def test_adding_again_what_is_live_changes_nothing(memory: EditMemory) -> None:
    batch = [ceo("Jane"), Edit.from_statement("Acme moved."), Edit(prompt="2+2 is", target_new="5")]
    ids = memory.add_edits(batch)
    assert memory.add_edits(batch) == ids
    assert memory.add_edits(memory.edits()) == ids
    assert memory.add_edits([]) == []
    assert memory.revision == 1
    assert len(memory.history()) == 3


def test_a_known_id_is_overwritten_and_its_versions_are_kept(memory: EditMemory) -> None:
    memory.add_edits([ceo("Jane", id="x")])
    memory.add_edits([Edit.from_statement("Acme is gone.", id="x")])
    [edit] = memory.edits()
    assert (edit.descriptor, edit.version, edit.revision) == ("Acme is gone.", 2, 2)
    assert [(e.version, e.edit.descriptor) for e in memory.history("x")] == [
        (1, "The CEO of Acme is Jane"),
        (2, "Acme is gone."),
    ]
    memory.add_edits([ceo("John")])
    assert len(memory.edits()) == 2, "the slot that x held before is free"


def test_the_revision_grows_by_one_with_every_change_and_only_then(memory: EditMemory) -> None:
    seen = [memory.revision]
    ids = memory.add_edits([ceo(str(n)) for n in range(5)])
    seen.append(memory.revision)
    memory.add_edits([ceo("4")])
    seen.append(memory.revision)
    seen.append(memory.retract(ids))
    seen.append(memory.retract(ids))
    seen.append(memory.rollback(1))
    seen.append(memory.rollback(1))
    seen.append(memory.purge(ids[:1]))
    seen.append(memory.purge(ids[:1]))
    assert seen == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert memory.revision == 4


def test_a_retracted_slot_is_empty_until_a_rollback(memory: EditMemory) -> None:
    memory.add_edits([ceo("Jane")])
    [new] = memory.add_edits([ceo("John")])
    memory.retract([new])
    assert memory.edits() == []
    assert memory.search_edits("CEO of Acme") == []
    memory.rollback(1)
    assert targets(memory) == ["Jane"]
    assert memory.search_edits("CEO of Acme")[0].edit.target_new == "Jane"


def test_rollback_restores_exactly_and_can_be_rolled_back(memory: EditMemory) -> None:
    memory.add_edits([ceo("Jane", id="a"), Edit.from_statement("Kept.", id="b")])
    then = memory.edits()
    memory.add_edits([ceo("John"), Edit.from_statement("Changed.", id="b")])
    memory.retract(["b"])
    before = memory.edits()
    assert memory.rollback(1) == 4
    assert memory.edits() == then
    assert {entry.operation for entry in memory.history() if entry.revision == 4} == {"rollback"}
    assert memory.rollback(3) == 5
    assert memory.edits() == before
    memory.rollback(0)
    assert memory.edits() == []


@pytest.mark.parametrize("revision", [-1, 2, 10**30])
def test_rollback_to_a_revision_that_never_was_is_refused(
    memory: EditMemory, revision: int
) -> None:
    memory.add_edits([ceo("Jane")])
    with pytest.raises(UnknownEditError, match="0 to 1"):
        memory.rollback(revision)
    with pytest.raises(UnknownEditError, match="0 to 1"):
        memory.edits(as_of=revision)
    assert memory.revision == 1


def test_as_of_shows_the_ledger_at_a_revision_and_at_a_moment(memory: EditMemory) -> None:
    before = datetime.now(UTC)
    memory.add_edits([ceo("Jane")])
    between = memory.history()[-1].at
    memory.add_edits([ceo("John")])
    assert targets(memory, as_of=0) == []
    assert targets(memory, as_of=1) == ["Jane"]
    assert targets(memory, as_of=2) == ["John"]
    assert targets(memory, as_of=before - timedelta(days=1)) == []
    assert targets(memory, as_of=between) == ["Jane"]
    assert targets(memory, as_of=datetime.now(UTC)) == ["John"]
    for bad in (datetime(2026, 1, 1), True, "1"):
        with pytest.raises(ConfigError, match="as_of"):
            memory.edits(as_of=bad)  # type: ignore[arg-type]


def utc(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def test_edits_of_one_slot_live_side_by_side_where_their_validity_does_not_overlap(
    memory: EditMemory,
) -> None:
    memory.add_edits([ceo("Jane", valid_until=date(2020, 1, 1))])
    memory.add_edits([ceo("John", valid_from=date(2020, 1, 1), valid_until=date(2024, 1, 1))])
    memory.add_edits([ceo("Ann", valid_from=date(2024, 1, 1))])
    assert targets(memory) == ["Jane", "John", "Ann"]
    assert targets(memory, at=date(2019, 12, 31)) == ["Jane"]
    assert targets(memory, at=date(2020, 1, 1)) == ["John"]
    assert targets(memory, as_of=2, at=datetime(2030, 1, 1, tzinfo=UTC)) == []
    found = memory.search_edits("CEO of Acme", at=datetime(2021, 6, 1, tzinfo=UTC))
    assert [match.edit.target_new for match in found] == ["John"]
    assert [m.edit.target_new for m in memory.search_edits("CEO of Acme")] == ["Ann"]
    memory.add_edits([ceo("Eve", valid_from=date(2019, 1, 1), valid_until=date(2021, 1, 1))])
    assert {e.target_new: (e.valid_from, e.valid_until) for e in memory.edits()} == {
        "Ann": (utc(2024), None),
        "Jane": (None, utc(2019)),
        "John": (utc(2021), utc(2024)),
        "Eve": (utc(2019), utc(2021)),
    }


def test_an_edit_that_holds_from_tomorrow_leaves_todays_in_force(memory: EditMemory) -> None:
    [jane] = memory.add_edits([ceo("Jane")])
    memory.add_edits([ceo("John", valid_from=date(2999, 1, 1))])
    [found] = memory.search_edits("CEO of Acme")
    assert (found.edit.target_new, found.edit.id, found.edit.version) == ("Jane", jane, 2)
    later = memory.search_edits("CEO of Acme", at=utc(2999))
    assert [match.edit.target_new for match in later] == ["John"]
    assert memory.revision == 2
    assert [(entry.action, entry.id) for entry in memory.history(jane)] == [
        ("add", jane),
        ("supersede", jane),
        ("add", jane),
    ]
    memory.rollback(1)
    assert [(e.target_new, e.valid_until) for e in memory.edits()] == [("Jane", None)]


def test_an_edit_inside_anothers_time_ends_it_and_it_does_not_come_back(memory: EditMemory) -> None:
    memory.add_edits([ceo("Jane")])
    memory.add_edits([ceo("John", valid_from=date(2020, 1, 1), valid_until=date(2021, 1, 1))])
    assert [targets(memory, at=utc(year)) for year in (2019, 2020, 2021)] == [
        ["Jane"],
        ["John"],
        [],
    ]


def test_purging_an_edit_whose_time_was_cut_leaves_nothing_of_it(memory: EditMemory) -> None:
    [jane] = memory.add_edits([ceo("Jane")])
    memory.add_edits([ceo("John", valid_from=date(2020, 1, 1))])
    memory.purge([jane])
    assert targets(memory) == ["John"]
    assert all(entry.edit is None for entry in memory.history(jane))


def test_purged_text_and_vectors_are_in_no_file_and_the_trail_stays(tmp_path: Path) -> None:
    path = tmp_path / "edits.db"
    embeddings = BagOfWordsEmbeddings(dim=1024)  # no two prompts share a vector
    with EditMemory.open(path, embeddings=embeddings) as memory:
        secrets = [f"zanzibar{n}quartz" for n in range(40)]
        ids = memory.add_edits(
            [
                Edit(
                    prompt=f"The password of {secret} is",
                    target_new=secret * (n * 20 + 1),
                    subject=secret,
                    relation="password",
                    source=secret,
                    metadata={"who": secret},
                )
                for n, secret in enumerate(secrets)
            ]
        )
        memory.add_edits([Edit.from_statement(f"replaced {secrets[0]}", id=ids[0])])
        memory.retract(ids[1:2])
        doomed, kept = ids[::2], ids[1::2]
        memory.search_edits("password")
        memory.purge(doomed)
        found = {match.edit.id for match in memory.search_edits("password", k=100)}
        assert found == set(kept) - {ids[1]}
        vector = memory._shared.embedder.query(f"The password of {secrets[2]} is").tobytes()
        files = [p for p in tmp_path.iterdir() if p.is_file()]
        content = b"".join(p.read_bytes() for p in files)
        assert not [s for s in secrets[::2] if s.encode() in content]
        assert all(s.encode() in content for s in secrets[1::2])
        assert vector not in content
        index = memory._shared.store._searcher.index("default")
        assert vector not in index.view.growing.vectors.tobytes()
        assert [e.action for e in memory.history(ids[0])] == ["add", "add", "purge"]
        assert {e.edit for e in memory.history(ids[0])} == {None}
        memory.rollback(1)
        assert {edit.id for edit in memory.edits()} == set(kept)
        assert {edit.id for edit in memory.edits(as_of=1)} == set(kept)
        memory.add_edits([Edit.from_statement("A new life.", id=ids[0])])
        assert memory.get_edits([ids[0]])[0].version == 3


@pytest.mark.parametrize("call", ["retract", "purge", "get_edits"])
def test_unknown_ids_are_an_error_and_change_nothing(memory: EditMemory, call: str) -> None:
    memory.add_edits([ceo("Jane", id="known")])
    memory.in_namespace("other").add_edits([ceo("John", id="foreign")])
    for unknown in ("nobody", "foreign", "", "lone \ud800"):
        with pytest.raises(UnknownEditError, match="no "):
            getattr(memory, call)(["known", unknown])
    with pytest.raises(ConfigError, match="list of ids"):
        getattr(memory, call)("known")
    assert (memory.revision, targets(memory)) == (1, ["Jane"])
    with pytest.raises(UnknownEditError):
        memory.history("foreign")


def test_getting_an_edit_that_is_no_longer_live_points_to_its_history(memory: EditMemory) -> None:
    [id_] = memory.add_edits([ceo("Jane")])
    memory.retract([id_])
    with pytest.raises(UnknownEditError, match="history"):
        memory.get_edits([id_])


def test_namespaces_share_nothing(memory: EditMemory) -> None:
    other = memory.in_namespace("tenant-b")
    memory.add_edits([ceo("Jane", id="same")])
    other.add_edits([ceo("John", id="same"), Edit.from_statement("A secret.", id="s")])
    assert (memory.revision, other.revision) == (1, 1)
    assert targets(memory) == ["Jane"]
    assert [m.edit.target_new for m in memory.search_edits("CEO of Acme", k=9)] == ["Jane"]
    assert {m.edit.id for m in other.search_edits("CEO of Acme", k=9)} == {"same", "s"}
    assert memory.get_by_ids(["s"]) == []
    memory.delete(["s"])
    memory.retract(["same"])
    memory.rollback(0)
    assert len(other.edits()) == 2
    assert {entry.id for entry in memory.history()} == {"same"}
    memory.purge(["same"])
    assert other.get_edits(["same"])[0].target_new == "John"
    assert other.edits()[0].namespace == "tenant-b"
    assert memory.in_namespace("empty").search_edits("CEO") == []


@pytest.mark.parametrize("name", ["", "  ", "a\x00b", "a\nb", "x" * 257, 3, None, "\ud800"])
def test_bad_namespaces_are_refused(memory: EditMemory, name: object) -> None:
    with pytest.raises(ConfigError, match="namespace"):
        memory.in_namespace(name)  # type: ignore[arg-type]


def test_closing_a_namespace_leaves_the_store_open(memory: EditMemory) -> None:
    with memory.in_namespace("b") as other:
        other.add_edits([ceo("Jane")])
    assert memory.edits() == []
    memory.close()
    with pytest.raises(StoreError, match="closed"):
        memory.edits()


@pytest.mark.parametrize("k", [0, -1, True, 1.5, "3", None])
def test_a_k_that_is_no_positive_number_is_refused(memory: EditMemory, k: object) -> None:
    for call in (memory.search_edits, memory.similarity_search):
        with pytest.raises(ConfigError, match="k must be"):
            call("query", k=k)  # type: ignore[operator]


@pytest.mark.parametrize("query", [None, 3, b"text", "lone \ud800"])
def test_what_is_no_text_is_no_query(memory: EditMemory, query: object) -> None:
    with pytest.raises(ConfigError, match="query"):
        memory.search_edits(query)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "edits",
    [ceo("Jane"), None, ["text"], [ceo("Jane"), None], [ceo("J", metadata={"a": {1, 2}})]],
)
def test_what_is_no_list_of_edits_is_refused(memory: EditMemory, edits: object) -> None:
    with pytest.raises(InvalidEditError):
        memory.add_edits(edits)  # type: ignore[arg-type]
    assert memory.revision == 0


def test_equal_scores_come_oldest_first(memory: EditMemory) -> None:
    ids = memory.add_edits(
        [Edit.from_statement("same words", metadata={"n": n}) for n in range(30)]
    )
    for k in (1, 5, 29, 30):
        assert [m.edit.id for m in memory.search_edits("same words", k=k)] == ids[:k]


async def test_async_twins_agree_with_the_sync_calls(memory: EditMemory) -> None:
    [id_] = await memory.aadd_edits([ceo("Jane")])
    assert await memory.asearch_edits("CEO of Acme", 3) == memory.search_edits("CEO of Acme", 3)
    assert (await memory.asimilarity_search("CEO"))[0].id == id_


def test_another_embedder_is_refused_until_the_memory_is_reembedded(place: str) -> None:
    path = place
    small, large = BagOfWordsEmbeddings(dim=16), BagOfWordsEmbeddings(dim=32)
    with EditMemory.open(path, embeddings=small) as memory:
        memory.add_edits([ceo("Jane", id="a")])
        memory.add_edits([ceo("John", id="b")])
        memory.in_namespace("other").add_edits([Edit.from_statement("Acme moved.")])
    with pytest.raises(EmbeddingError, match="reembed"):
        EditMemory.open(path, embeddings=large)
    with pytest.raises(EmbeddingError, match="reembed"):
        EditMemory.open(path)
    with EditMemory.open(path, embeddings=large, reembed=True) as memory:
        assert memory.search_edits("the ceo of acme is")[0].score == pytest.approx(1.0)
        memory.rollback(1)
        assert memory.search_edits("the ceo of acme is")[0].edit.id == "a"
        assert len(memory.in_namespace("other").search_edits("Acme")) == 1
        assert memory.history()[-3].action == "reembed"
    with EditMemory.open(path, embeddings=large, reembed=True) as memory:
        assert memory.revision == 4, "nothing to re-embed the second time"
    with pytest.raises(EmbeddingError):
        EditMemory.open(path, embeddings=small)


def test_reembedding_an_open_memory_stops_those_with_the_old_embedder(place: str) -> None:
    path = place
    small, large = BagOfWordsEmbeddings(dim=16), BagOfWordsEmbeddings(dim=32)
    with (
        EditMemory.open(path, embeddings=small) as memory,
        EditMemory.open(path, embeddings=small) as stale,
    ):
        memory.add_edits([ceo("Jane")])
        room = memory.in_namespace("room")
        assert len(stale.search_edits("Acme")) == 1
        memory.reembed(large)
        assert len(memory.search_edits("Acme")) == 1
        room.add_edits([ceo("John")])
        for call in (lambda: stale.search_edits("Acme"), lambda: stale.add_edits([ceo("Eve")])):
            with pytest.raises(EmbeddingError, match="reembed"):
                call()


class _Broken(BagOfWordsEmbeddings):
    fingerprint = "broken:1"
    answer: object = None

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.answer or super().embed_documents(texts)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "answer",
    [
        [[1.0] * 63] * 2,
        [[float("nan")] * 64] * 2,
        [[1.0] * 64] * 3,
        [["a"] * 64] * 2,
        [[]],
        [1.0],
        [[1.0, 2.0], [1.0]],
    ],
)
def test_vectors_that_do_not_fit_are_refused_and_nothing_is_added(
    answer: list, anywhere: str
) -> None:
    embeddings = _Broken()
    with EditMemory.open(anywhere, embeddings=embeddings) as memory:
        memory.add_edits([ceo("Jane")])
        embeddings.answer = answer
        with pytest.raises(EmbeddingError):
            memory.add_edits([ceo("John")])
        assert (memory.revision, targets(memory)) == (1, ["Jane"])
        with pytest.raises(EmbeddingError, match="dimension"):
            memory.similarity_search_by_vector([1.0, 2.0])


def test_an_embedder_that_fails_leaves_the_memory_as_it_was() -> None:
    class Failing(BagOfWordsEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            raise ConnectionError("no route")

    with EditMemory.open(":memory:", embeddings=Failing()) as memory:
        with pytest.raises(ConnectionError):
            memory.add_edits([ceo("Jane")])
        assert memory.revision == 0


def test_export_and_import_carry_the_live_edits(memory: EditMemory, tmp_path: Path) -> None:
    path = tmp_path / "edits.jsonl"
    since = date(2026, 1, 1)
    memory.add_edits(
        [ceo("Old", valid_from=since), ceo("Jane", valid_from=since, metadata={"n": 1})]
    )
    memory.add_edits([Edit.from_statement("Two\nlines \u2028 é {x}", id="é")])
    assert memory.export_jsonl(path) == 3 - 1
    copy = memory.in_namespace("copy")
    assert copy.import_jsonl(path) == [edit.id for edit in memory.edits()]
    assert copy.revision == 1
    assert [e.descriptor for e in copy.edits()] == [e.descriptor for e in memory.edits()]
    assert copy.edits()[0].metadata == {"n": 1}
    copy.import_jsonl(path)
    assert copy.revision == 1


def test_values_beside_what_is_left_of_an_only_one_come_through_a_file(
    memory: EditMemory, tmp_path: Path
) -> None:
    sells = Edit(prompt="Acme sells", target_new="anvils")
    rockets = replace(sells, target_new="rockets", valid_from=date(2023, 1, 1), many_valued=True)
    nails = replace(sells, target_new="nails", valid_until=date(2021, 1, 1))
    for edit in (sells, rockets, nails):
        memory.add_edits([edit])
    copy = memory.in_namespace("copy")
    memory.export_jsonl(tmp_path / "edits.jsonl")
    copy.import_jsonl(tmp_path / "edits.jsonl")
    assert {edit.dated for edit in copy.edits()} == {edit.dated for edit in memory.edits()}
    assert len(copy.edits()) == 3


def test_nothing_is_added_only_to_the_revision_that_was_seen(memory: EditMemory) -> None:
    memory.add_edits([ceo("Jane")])
    assert memory.add_edits([], if_revision=1) == []
    with pytest.raises(ConflictError):
        memory.add_edits([], if_revision=2)
    with pytest.raises(ConfigError, match="number of a revision"):
        memory.retract([], if_revision="1")  # type: ignore[arg-type]


def test_long_adds_show_a_bar_only_when_asked_or_on_a_terminal(
    memory: EditMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    edits = [Edit(prompt=f"Fact {n} is", target_new="x") for n in range(40)]
    memory.add_edits(edits[:20], batch_size=5)
    assert capsys.readouterr() == ("", "")
    memory.add_edits(edits[20:], batch_size=5, show_progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Embedding" in err
    with pytest.raises(ConfigError, match="batch_size"):
        memory.add_edits(edits, batch_size=0)


def test_the_memory_gives_a_retriever(memory: EditMemory) -> None:
    memory.add_edits([ceo("Jane")])
    retriever = memory.as_retriever(k=1)
    assert (retriever.k, retriever.memory) == (1, memory)


def test_every_refusal_is_of_the_one_family() -> None:
    with pytest.raises(LteError, match="mysql"):
        EditMemory.open("mysql://user:secret@host/db")
