"""A PostgreSQL server that is killed loses nothing that it acknowledged, and keeps no half batch."""

from __future__ import annotations

import pytest

from tests.postgres_server import start_or_skip
from tests.store.crash_campaign import campaign


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
