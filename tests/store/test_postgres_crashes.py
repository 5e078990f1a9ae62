"""A PostgreSQL server that is killed loses nothing that it acknowledged, and keeps no half batch."""

from __future__ import annotations

import pytest

from lte_chains.store.postgres import PostgresStore
from tests.postgres_server import start_or_skip
from tests.store.crash_campaign import FINGERPRINT, Outcome, batch, campaign, look


@pytest.mark.postgres
@pytest.mark.slow
def test_a_server_killed_under_four_writers_keeps_every_acknowledged_batch_and_no_half() -> None:
    server = start_or_skip(durable=True)
    try:
        outcome = campaign(server, kills=3, writers=4, seed=5)
    finally:
        server.stop()
    assert (outcome.kills, outcome.damage) == (3, 0), outcome
    assert outcome.acknowledged >= 3


@pytest.mark.postgres
def test_what_a_campaign_once_found_is_not_forgotten_when_it_looks_again(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    edits, vectors = batch(0, 0)
    store.add("room 0", edits[:5], vectors[:5], fingerprint=FINGERPRINT)
    outcome = Outcome()
    look(postgres_url, {0: [0]}, outcome)
    assert (outcome.lost, outcome.halves, outcome.unequal) == (1, 1, 0)
    store.purge("room 0", [str(edit.id) for edit in edits[:5]])
    store.add("room 0", edits, vectors, fingerprint=FINGERPRINT)
    look(postgres_url, {0: [0]}, outcome)
    assert (outcome.lost, outcome.halves) == (1, 1)
    assert outcome.unequal == 1, "a purge is no batch"
    look(postgres_url, {0: [0]}, outcome)
    assert (outcome.in_doubt, outcome.damage) == (0, 4)
    store.close()
