"""A batch gives what its edits give one after the other."""

from __future__ import annotations

import random
from datetime import date

import numpy as np
import pytest

from lte_chains.edit import Edit
from lte_chains.store import SQLiteStore, bulk
from lte_chains.store.ids import new_ids

VECTOR = np.float32([[1, 0]])


def some_edit(rng: random.Random) -> Edit:
    subject = rng.choice(["Ann", "Anna", "Bob", "Bo", "Cy"])
    relation = rng.choice(["child", "employer", None])
    fields: dict = {"id": rng.choice([None] * 6 + ["a", "b", "c"])}
    if rng.random() < 0.15:
        return Edit.from_statement(f"{subject} is {rng.randrange(4)}.", **fields)
    if rng.random() < 0.15:
        fields["aliases"] = rng.sample(["Ann", "Anna", "Bo", "Robert"], 2)
    if rng.random() < 0.2:
        start, until = sorted(rng.sample(range(1, 28), 2))
        fields["valid_from"] = rng.choice([None, date(2026, 1, start)])
        fields["valid_until"] = rng.choice([None, date(2026, 1, until)])
    if rng.random() < 0.2:
        fields["many_valued"] = rng.choice([True, False])
    number = rng.randrange(6)
    prompt = f"{subject} {relation or 'thing'} {number}"
    return Edit(
        prompt=prompt, target_new=rng.choice("xyz"), subject=subject, relation=relation, **fields
    )


def state(store: SQLiteStore) -> tuple:
    """What a store holds, with the ids it gave named by their order."""
    names: dict[str | None, str] = {None: "-"}
    entries = store.history("default")
    for entry in entries:
        names.setdefault(entry.id, entry.id if len(entry.id or "") < 9 else f"#{len(names)}")

    def plain(edit: Edit | None) -> tuple:
        if edit is None:
            return ()
        content = (edit.dated, edit.subject, edit.relation, edit.aliases, edit.many_valued)
        return (names[edit.id], edit.version, edit.revision, *content)

    history = [
        (e.revision, e.operation, e.action, names[e.id], e.version, names.get(e.superseded_by))
        for e in entries
    ]
    return history, [plain(edit) for edit in store.edits("default")]


@pytest.mark.parametrize("seed", range(40))
def test_a_batch_is_like_single_puts(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    batches = [[some_edit(rng) for _ in range(rng.randrange(1, 30))] for _ in range(5)]
    results = []
    for few in (2, 10**9):
        monkeypatch.setattr(bulk, "_FEW", few)
        store = SQLiteStore(":memory:")
        returned = []
        for batch in batches:
            ids = store.add("default", batch, [VECTOR] * len(batch), fingerprint="x")
            returned.append([ids.index(id_) for id_ in ids])
        store.retract("default", ["a"], missing_ok=True)
        store.add("default", batches[0], [VECTOR] * len(batches[0]), fingerprint="x")
        results.append((state(store), returned))
        store.close()
    assert results[0] == results[1]


def test_most_of_a_large_batch_is_not_put_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from lte_chains.store.ledger import Transaction

    single = []
    put = Transaction.put
    monkeypatch.setattr(
        Transaction, "put", lambda self, *a, **k: single.append(1) or put(self, *a, **k)
    )
    store = SQLiteStore(":memory:")
    edits = [Edit(prompt=f"Fact {n} is", target_new="x") for n in range(200)]
    for part in (edits[:110], edits[100:]):
        store.add("default", part, [VECTOR] * len(part), fingerprint="x")
    assert len(store.edits("default")) == 200
    assert len(single) == 10
    store.close()


def test_ids_are_unique_and_ascend_with_time() -> None:
    ids = new_ids(1000)
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
    assert {len(id_) for id_ in ids} == {32}
    assert {id_[12] for id_ in ids} == {"7"}
    assert {id_[16] for id_ in ids} <= set("89ab")
