"""The SQLite store, the PostgreSQL store and a plain model side by side: what one does, all do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lte_chains.edit import Edit
from lte_chains.errors import LteError
from lte_chains.store import open_store
from lte_chains.store.base import HistoryEntry, Vectors
from lte_chains.wordings import wordings
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.postgres_server import Server
from tests.store.plain_store import PlainStore

pytestmark = pytest.mark.postgres

ROOMS = ("default", "tenant-b")
YEARS = st.none() | st.integers(2020, 2024).map(lambda year: datetime(year, 1, 1, tzinfo=UTC))
IDS = st.sampled_from([f"e{n}" for n in range(8)])
IDS_LISTS = st.lists(IDS, min_size=1, max_size=3)
IF_REVISION = st.sampled_from(["none", "none", "none", "latest", "older"])


@st.composite
def an_edit(draw: st.DrawFn) -> Edit:
    """Few subjects, relations and targets: edits meet."""
    start, until = draw(YEARS), draw(YEARS)
    if start and until and start >= until:
        start = until = None
    common: dict[str, Any] = {"id": draw(IDS), "valid_from": start, "valid_until": until}
    kind = draw(st.sampled_from(["slot", "slot", "slot", "prompt", "text", "text about"]))
    target = draw(st.sampled_from(["Jo", "Jane", "Ann"]))
    if kind == "text":
        slot = draw(st.sampled_from([None, None, "who runs acme", "acme\x1fceo"]))
        return Edit.from_statement(f"{target} moved.", matched_slot=slot, **common)
    subject, relation = (
        draw(st.sampled_from(["Acme", "Zeta"])),
        draw(st.sampled_from(["CEO", "child"])),
    )
    if kind == "prompt":
        return Edit(prompt=f"Who runs {subject}?", target_new=target, **common)
    common |= {"subject": subject, "relation": relation}
    common["aliases"] = draw(st.sampled_from([(), (), ("Zeta",), ("Ace", "Umbra")]))
    common["many_valued"] = draw(st.sampled_from([None, None, True, False]))
    if kind == "text about":
        return Edit.from_statement(f"{target} it is.", **common)
    return Edit(prompt=f"The {relation} of {subject} is", target_new=target, **common)


class Embedder:
    """Unit vectors of an edit's wordings, in a space of its own."""

    def __init__(self, dimension: int) -> None:
        self.fingerprint = f"words:{dimension}"
        self._words = BagOfWordsEmbeddings(dim=dimension)

    def query(self, text: str) -> Vectors:
        vector = np.float32(self._words.embed_query(text))
        return vector / np.linalg.norm(vector)

    def __call__(self, edits: Sequence[Edit]) -> list[Vectors]:
        return [np.stack([self.query(text) for text in wordings(edit)]) for edit in edits]


class Stores(RuleBasedStateMachine):
    """Calls every store alike, and compares answers, errors and what is stored."""

    server: ClassVar[Server]
    steps: ClassVar[int] = 0

    @initialize()
    def open(self) -> None:
        self.url = self.server.new_url()
        self.embed = Embedder(12)
        self.plain = PlainStore()
        self.real = [open_store(":memory:"), open_store(self.url)]

    @rule(
        room=st.sampled_from(ROOMS),
        edits=st.lists(an_edit(), min_size=1, max_size=4),
        taking=st.booleans(),
        if_revision=IF_REVISION,
    )
    def add(self, room: str, edits: list[Edit], taking: bool, if_revision: str) -> None:
        takes: list[Edit | None] = [None] * len(edits)
        live = self.plain.edits(room)
        if taking and live:
            takes[0] = live[len(live) // 2]
        self._all("add", room, edits, self.embed(edits), if_revision, takes=takes)

    @rule(room=st.sampled_from(ROOMS), edits=st.lists(an_edit(), min_size=1, max_size=2))
    def propose(self, room: str, edits: list[Edit]) -> None:
        self._all("propose", room, edits, self.embed(edits), "none")

    @rule(
        room=st.sampled_from(ROOMS),
        call=st.sampled_from(["retract", "retract", "approve", "approve", "reject", "purge"]),
        ids=IDS_LISTS,
        apt=st.booleans(),
        if_revision=IF_REVISION,
    )
    def settle(self, room: str, call: str, ids: list[str], apt: bool, if_revision: str) -> None:
        if apt:  # ids for which the call does something
            waiting = call in ("approve", "reject")
            found = self.plain.pending(room) if waiting else self.plain.edits(room)
            ids = [str(edit.id) for edit in found][: len(ids)]
        self._all(call, room, ids, None, if_revision)

    @rule(room=st.sampled_from(ROOMS), ids=IDS_LISTS)
    def delete(self, room: str, ids: list[str]) -> None:
        self._all("retract", room, ids, None, "none", missing_ok=True)

    @rule(room=st.sampled_from(ROOMS), back=st.integers(-1, 6), if_revision=IF_REVISION)
    def rollback(self, room: str, back: int, if_revision: str) -> None:
        self._all("rollback", room, self.plain.revision(room) - back, None, if_revision)

    @precondition(lambda self: self.plain.revision(ROOMS[0]) % 5 == 4)
    @rule(dimension=st.sampled_from([12, 20]))
    def reembed(self, dimension: int) -> None:
        self.embed = Embedder(dimension)
        for store in (self.plain, *self.real):
            store.reembed(self.embed, fingerprint=self.embed.fingerprint)

    @rule(
        room=st.sampled_from(ROOMS),
        query=st.sampled_from(["CEO Acme", "Jo moved"]),
        k=st.integers(1, 9),
    )
    def search(self, room: str, query: str, k: int) -> None:
        def found(store: Any) -> list[tuple[Edit, float]]:
            vector, mark = self.embed.query(query), self.embed.fingerprint
            return store.nearest(room, vector, k, fingerprint=mark)

        expected = found(self.plain)
        for store in self.real:
            assert found(store) == expected

    @rule(room=st.sampled_from(ROOMS), back=st.integers(0, 8))
    def look_back(self, room: str, back: int) -> None:
        revision = max(0, self.plain.revision(room) - back)
        expected = self.plain.edits(room, as_of=revision)
        for store in self.real:
            assert store.edits(room, as_of=revision) == expected
            since = [e for e in store.history(room) if e.revision > revision]
            assert store.history(room, since=revision) == since

    @invariant()
    def all_hold_the_same(self) -> None:
        type(self).steps += 1
        for room in ROOMS:
            expected = self._held(self.plain, room)
            for store in self.real:
                assert self._held(store, room) == expected

    def teardown(self) -> None:
        for store in getattr(self, "real", ()):
            store.close()
        if hasattr(self, "url"):
            self.server.drop(self.url)

    def _all(
        self, call: str, room: str, first: Any, vectors: Any, if_revision: str, **options: Any
    ) -> None:
        latest = self.plain.revision(room)
        options["if_revision"] = {"none": None, "latest": latest, "older": latest - 1}[if_revision]
        arguments = [room, first]
        if vectors is not None:
            arguments.append(vectors)
            options["fingerprint"] = self.embed.fingerprint

        def outcome(store: Any) -> Any:
            try:
                return getattr(store, call)(*arguments, **options)
            except LteError as error:
                return type(error)

        expected = outcome(self.plain)
        for store in self.real:
            assert outcome(store) == expected

    @staticmethod
    def _held(store: Any, room: str) -> tuple[Any, ...]:
        return (
            store.revision(room),
            store.edits(room),
            store.pending(room),
            _ordered(store.history(room)),
        )


def _ordered(history: Sequence[HistoryEntry | tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return entries as tuples; those of one rollback in any fixed order, as they have none."""
    entries = [entry if isinstance(entry, tuple) else _entry_tuple(entry) for entry in history]
    return sorted(entries, key=lambda e: (e[0], (e[2], e[3]) if e[1] == "rollback" else ()))


def _entry_tuple(entry: HistoryEntry) -> tuple[Any, ...]:
    what = (entry.revision, entry.operation, entry.action, entry.id, entry.version)
    return (*what, entry.edit, entry.superseded_by)


def run(server: Server, *, examples: int, steps: int) -> int:
    """Run the machine and return how many steps it took."""
    Stores.server, Stores.steps = server, 0
    run_state_machine_as_test(
        Stores,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Stores.steps


def test_every_store_does_what_the_plain_model_does(postgres_server: Server) -> None:
    assert run(postgres_server, examples=6, steps=25) >= 6


@pytest.mark.bench
def test_every_store_does_so_for_ten_thousand_steps(
    postgres_server: Server, tmp_path: Path
) -> None:
    taken = 0
    while taken < 10_000:
        taken += run(postgres_server, examples=50, steps=100)
