"""The SQLite store, the PostgreSQL store and a plain model side by side: what one does, all do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
from lte_chains.index import vector_index
from lte_chains.store import EditStore, open_store, saved_indexes
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
IDS_OR_NONE = st.sampled_from([*(f"e{n}" for n in range(8)), None, None, None, None])
IF_REVISION = st.sampled_from(["none", "none", "none", "latest", "older"])


@st.composite
def an_edit(draw: st.DrawFn) -> Edit:
    """Few subjects, relations and targets: edits meet."""
    start, until = draw(YEARS), draw(YEARS)
    if start and until and start >= until:
        start = until = None
    common: dict[str, Any] = {"id": draw(IDS_OR_NONE), "valid_from": start, "valid_until": until}
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


@dataclass
class Named:
    """A store, with the plain model's names for the ids that it has made."""

    place: str
    store: EditStore
    made: dict[str, str] = field(default_factory=dict)
    """Its own id for each of the model's."""

    def learn(self, expected: Sequence[str], ids: Sequence[str]) -> None:
        """Take the ids of one call for the model's."""
        for name, own in zip(expected, ids, strict=True):
            assert self.made.setdefault(name, own if name.startswith("made ") else name) == own
        assert len(set(self.made.values())) == len(self.made)

    def own(self, value: Any) -> Any:
        """Return ids and edits as the store knows them."""
        return _renamed(value, self.made)

    def common(self, value: Any) -> Any:
        """Return ids and edits as the model knows them."""
        return _renamed(value, {own: name for name, own in self.made.items()})


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, Edit):
        return replace(value, id=_renamed(value.id, names))
    if isinstance(value, HistoryEntry):
        by = _renamed(value.superseded_by, names)
        id_, edit = _renamed(value.id, names), _renamed(value.edit, names)
        return replace(value, id=id_, edit=edit, superseded_by=by)
    if isinstance(value, list | tuple):
        return type(value)(_renamed(each, names) for each in value)
    return value


class Stores(RuleBasedStateMachine):
    """Calls every store alike, and compares answers, errors and what is stored."""

    server: ClassVar[Server]
    folder: ClassVar[Path]
    steps: ClassVar[int] = 0
    opened: ClassVar[int] = 0

    @initialize()
    def open(self) -> None:
        type(self).opened += 1
        self.url = self.server.new_url()
        self.embed = Embedder(12)
        self.plain = PlainStore()
        places = (":memory:", str(self.folder / f"{self.opened}.db"), self.url)
        self.real = [Named(place, open_store(place)) for place in places]

    @rule()
    def open_anew(self) -> None:
        for real in self.real:
            if real.place != ":memory:":
                real.store.close()
                real.store = open_store(real.place)

    @rule(
        room=st.sampled_from(ROOMS),
        edits=st.lists(an_edit(), min_size=1, max_size=3)
        | st.lists(an_edit(), min_size=8, max_size=12),  # enough to be stored as a large batch
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
        for store in (self.plain, *(real.store for real in self.real)):
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
        for real in self.real:
            assert real.common(found(real.store)) == expected

    @rule(room=st.sampled_from(ROOMS), back=st.integers(0, 8))
    def look_back(self, room: str, back: int) -> None:
        revision = max(0, self.plain.revision(room) - back)
        expected = self.plain.edits(room, as_of=revision)
        for real in self.real:
            assert real.common(real.store.edits(room, as_of=revision)) == expected
            since = [e for e in real.store.history(room) if e.revision > revision]
            assert real.store.history(room, since=revision) == since

    @invariant()
    def all_hold_the_same(self) -> None:
        type(self).steps += 1
        for room in ROOMS:
            expected = self._held(self.plain, room, self.plain.history(room))
            for real in self.real:
                history = [_entry_tuple(entry) for entry in real.common(real.store.history(room))]
                assert real.common(self._held(real.store, room, history)) == expected

    def teardown(self) -> None:
        for real in getattr(self, "real", ()):
            real.store.close()
        if hasattr(self, "url"):
            self.server.drop(self.url)

    def _all(
        self, call: str, room: str, first: Any, vectors: Any, if_revision: str, **options: Any
    ) -> None:
        latest = self.plain.revision(room)
        options["if_revision"] = {"none": None, "latest": latest, "older": latest - 1}[if_revision]
        if vectors is not None:
            options["fingerprint"] = self.embed.fingerprint

        def outcome(store: Any, own: Callable[[Any], Any]) -> Any:
            arguments = [room, own(first), *([] if vectors is None else [vectors])]
            try:
                return getattr(store, call)(
                    *arguments, **{name: own(value) for name, value in options.items()}
                )
            except LteError as error:
                return type(error)

        expected = outcome(self.plain, lambda value: value)
        for real in self.real:
            got = outcome(real.store, real.own)
            if isinstance(expected, list) and isinstance(got, list):
                real.learn(expected, got)
            else:
                assert got == expected

    @staticmethod
    def _held(store: Any, room: str, history: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        return (store.revision(room), store.edits(room), store.pending(room), _ordered(history))


def _ordered(history: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return entries with those of one rollback in any fixed order, as they have none."""
    return sorted(history, key=lambda e: (e[0], (e[2], e[3]) if e[1] == "rollback" else ()))


def _entry_tuple(entry: HistoryEntry) -> tuple[Any, ...]:
    what = (entry.revision, entry.operation, entry.action, entry.id, entry.version)
    return (*what, entry.edit, entry.superseded_by)


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small memories seal rows, and save their indexes beside the file."""
    monkeypatch.setattr(saved_indexes, "_WORTH", 8)
    monkeypatch.setattr(vector_index, "GROWING_ROWS", 6)
    monkeypatch.setattr(vector_index, "KEPT_ROWS", 12)


def run(server: Server, folder: Path, *, examples: int, steps: int) -> int:
    """Run the machine and return how many steps it took."""
    Stores.server, Stores.folder, Stores.steps = server, folder, 0
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


def test_every_store_does_what_the_plain_model_does(
    postgres_server: Server, tmp_path: Path
) -> None:
    assert run(postgres_server, tmp_path, examples=6, steps=25) >= 6


@pytest.mark.bench
def test_every_store_does_so_for_ten_thousand_steps(
    postgres_server: Server, tmp_path: Path
) -> None:
    taken = 0
    while taken < 10_000:
        taken += run(postgres_server, tmp_path, examples=50, steps=100)
