"""A memory moves between stores with all that ever happened to it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from lte_chains.cli import app
from lte_chains.edit import Edit
from lte_chains.errors import EmbeddingError, StoreError
from lte_chains.memory import EditMemory
from lte_chains.store import migration
from lte_chains.store.migration import migrate
from lte_chains.store.postgres.replica import PostgresReplica
from lte_chains.store.sqlite_replica import SQLiteReplica
from tests.fakes_embeddings import BagOfWordsEmbeddings

pytestmark = pytest.mark.postgres
EMBEDDINGS = BagOfWordsEmbeddings(dim=16)


def fact(n: int, target: str = "x", **fields: Any) -> Edit:
    return Edit(prompt=f"Fact {n} is", target_new=target, **fields)


def live_a_little(place: str) -> None:
    """Leave a history with everything that can happen."""
    with EditMemory.open(place, embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(n, id=f"e{n}") for n in range(6)])
        memory.add_edits([fact(1, "y", valid_from=date(2026, 1, 1)), fact(2, "z")])
        memory.add_edits(
            [
                Edit(
                    prompt="p",
                    target_new="q",
                    subject="Ann",
                    relation="child",
                    aliases=("Anna",),
                    id="ann",
                    source="s",
                    metadata={"k": ["é"]},
                    many_valued=True,
                )
            ]
        )
        memory.propose([fact(40, id="wait"), fact(41, id="in"), fact(42, id="out")])
        memory.approve(["in"])
        memory.reject(["out"])
        memory.retract(["e3"])
        memory.purge(["e4"])
        memory.add_edits([fact(4, "again", id="e4")])
        memory.reembed(EMBEDDINGS)
        memory.rollback(3)
        memory.in_namespace("other").add_edits([fact(1, id="e1")])


def everything(place: str) -> list[Any]:
    with EditMemory.open(place, embeddings=EMBEDDINGS) as memory:
        return [
            (
                room.revision,
                room.edits(),
                room.pending(),
                room.history(),
                [room.edits(as_of=revision) for revision in range(room.revision + 1)],
                room.search_edits("Fact 1 Ann", k=50),
                {
                    id_: vectors.tolist()
                    for id_, vectors in room._shared.store.wordings(
                        room.namespace, [edit.id for edit in room.edits()]
                    ).items()
                },
            )
            for room in (memory, memory.in_namespace("other"))
        ]


def replica(place: str) -> Any:
    return PostgresReplica(place) if "://" in place else SQLiteReplica(place)


def move(source: str, target: str, **options: Any) -> dict[str, migration.Count]:
    first, second = replica(source), replica(target)
    try:
        return migrate(first, second, **options)
    finally:
        first.close()
        second.close()


@pytest.fixture
def places(postgres_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "sqlite": str(tmp_path / "edits.db"),
        "postgres": postgres_url,
        "sqlite again": str(tmp_path / "again.db"),
    }


def test_a_memory_goes_there_and_back_and_is_the_same(places: dict[str, str]) -> None:
    live_a_little(places["sqlite"])
    before = everything(places["sqlite"])
    there = move(places["sqlite"], places["postgres"])
    assert everything(places["postgres"]) == before
    assert there["default"].revisions == before[0][0]
    back = move(places["postgres"], places["sqlite again"])
    assert back == there
    assert everything(places["sqlite again"]) == before


def go_on(place: str) -> None:
    """Do what undoes, replaces and erases earlier things."""
    with EditMemory.open(place, embeddings=EMBEDDINGS) as memory:
        memory.approve(["wait"])
        memory.retract(["e0"])
        memory.purge(["e1", "e4"])
        memory.add_edits([fact(5, "new", id="e5"), fact(4, "third", id="e4")])
        memory.rollback(2)
        memory.in_namespace("third").propose([fact(7, id="p")])


@pytest.mark.parametrize("direction", [("sqlite", "postgres"), ("postgres", "sqlite")])
def test_what_has_been_added_since_is_brought_too(
    places: dict[str, str], direction: tuple[str, str]
) -> None:
    source, target = (places[name] for name in direction)
    live_a_little(source)
    move(source, target)
    go_on(source)
    move(source, target)
    assert everything(target) == everything(source)
    with EditMemory.open(target, embeddings=EMBEDDINGS) as moved:
        assert [edit.id for edit in moved.in_namespace("third").pending()] == ["p"]
        moved.add_edits([fact(60)])
        assert moved.search_edits("Fact 60 is", k=1)[0].edit.prompt == "Fact 60 is"
    with pytest.raises(StoreError, match="another history, or a longer one"):
        move(source, target)


@pytest.mark.parametrize("direction", [("sqlite", "postgres"), ("postgres", "sqlite")])
def test_a_migration_that_breaks_off_anywhere_is_taken_up_again(
    places: dict[str, str], direction: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = (places[name] for name in direction)
    live_a_little(source)
    go_on(source)
    monkeypatch.setattr(migration, "PORTION", 3)  # so that the first revision is a large one
    written: list[int] = []

    def breaking(what: str, done: int, total: int) -> None:
        written.append(done)
        raise KeyboardInterrupt

    for _ in range(100):
        try:
            move(source, target, progress=breaking)
        except KeyboardInterrupt:
            continue
    move(source, target)
    assert everything(target) == everything(source)
    assert len(set(written)) > 5, "it went on, and did not begin again"


def test_progress_ends_at_all(places: dict[str, str]) -> None:
    live_a_little(places["sqlite"])
    told: list[tuple[str, int, int]] = []
    move(places["sqlite"], places["postgres"], progress=lambda *now: told.append(now))
    revisions = everything(places["sqlite"])[0][0] + 1
    assert [t for t in told if t[0] == "copy"][-1] == ("copy", revisions, revisions)
    assert told[-1] == ("check", 2 * revisions, 2 * revisions)


def test_a_target_that_differs_in_one_number_is_found(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    live_a_little(places["sqlite"])

    def spoil(self: PostgresReplica) -> None:
        from sqlalchemy import text

        with self._database.writing() as connection:
            connection.execute(
                text("UPDATE lte_vectors SET vector = vector + vector WHERE key = 2 AND room = 1")
            )

    monkeypatch.setattr(PostgresReplica, "finish", spoil)
    with pytest.raises(StoreError, match="differs after the migration"):
        move(places["sqlite"], places["postgres"])


def test_another_memory_in_the_target_is_left_alone(places: dict[str, str]) -> None:
    live_a_little(places["sqlite"])
    with EditMemory.open(places["postgres"], embeddings=EMBEDDINGS) as memory:
        memory.in_namespace("theirs").add_edits([fact(1)])
        move(places["sqlite"], places["postgres"])
        assert len(memory.in_namespace("theirs").edits()) == 1
    other = places["sqlite again"]
    with EditMemory.open(other, embeddings=EMBEDDINGS) as memory:
        memory.in_namespace("theirs").add_edits([fact(2)])
    with pytest.raises(StoreError, match="another history"):
        move(other, places["postgres"])


def test_stores_of_different_embedders_do_not_mix(places: dict[str, str]) -> None:
    for name, dim in (("sqlite", 16), ("postgres", 8)):
        with EditMemory.open(places[name], embeddings=BagOfWordsEmbeddings(dim=dim)) as memory:
            memory.in_namespace(name).add_edits([fact(1)])
    with pytest.raises(EmbeddingError, match="reembed"):
        move(places["sqlite"], places["postgres"])


def test_a_large_namespace_is_indexed_when_it_arrives(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lte_chains.store.postgres.replica.APPROXIMATE_FROM", 5)
    live_a_little(places["sqlite"])
    before = everything(places["sqlite"])
    move(places["sqlite"], places["postgres"])
    assert everything(places["postgres"]) == before


@pytest.fixture
def command(places: dict[str, str]) -> Callable[..., Any]:
    live_a_little(places["sqlite"])

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["migrate", *arguments])

    return run


def test_the_command_moves_a_memory_and_tells_what_it_compared(
    places: dict[str, str], command: Callable[..., Any]
) -> None:
    done = command(f"sqlite:{places['sqlite']}", places["postgres"], "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["namespaces"]
    assert set(told) == {"default", "other"}
    assert set(told["default"]) == {"revisions", "events", "versions", "checksum"}
    assert "Comparing revisions" in done.stderr
    done = command(places["postgres"], f"sqlite:///{places['sqlite again']}")
    assert done.exit_code == 0, done.output
    assert told["default"]["checksum"][:12] in done.stdout
    assert everything(places["sqlite again"]) == everything(places["sqlite"])


def test_the_command_says_what_is_wrong(
    places: dict[str, str], command: Callable[..., Any], tmp_path: Path
) -> None:
    for arguments, message in (
        ((f"sqlite:{tmp_path}/missing.db", places["postgres"]), "there is no edit memory"),
        ((places["sqlite"], f"sqlite:{places['sqlite']}"), "same memory"),
        ((places["sqlite"], "mysql://me:secret@h/db"), "sqlite:PATH"),
        (("sqlite:", places["postgres"]), "sqlite:PATH"),
    ):
        done = command(*arguments)
        assert done.exit_code == 1, done.output
        assert message in done.stderr
        assert "secret" not in done.stderr


def test_a_revision_of_many_versions_passes_in_pieces(places: dict[str, str]) -> None:
    count = migration.PORTION + 700
    with EditMemory.open(places["sqlite"], embeddings=EMBEDDINGS) as memory:
        memory.add_edits([fact(n) for n in range(count)])
        expected = memory.edits()
    sizes: list[int] = []
    first, second = replica(places["sqlite"]), replica(places["postgres"])
    with first.view() as view:
        [revision] = view.revisions("default")
        watched = ([sizes.append(len(part)), part][1] for part in revision.versions)
        second.write("default", [dataclasses.replace(revision, versions=watched)], view.space())
    first.close()
    second.close()
    assert sum(sizes) == count
    assert max(sizes) <= 500
    with EditMemory.open(places["postgres"], embeddings=EMBEDDINGS) as moved:
        assert moved.edits() == expected
        vectors = moved._shared.store.vectors("default", [expected[7].id])
        assert np.allclose(np.linalg.norm(vectors[expected[7].id]), 1.0)
