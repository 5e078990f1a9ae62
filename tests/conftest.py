"""Settings that hold for every test: offline, deterministic, few threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.postgres_server import Server

# Before any test imports torch or a Hugging Face library: the suite never asks
# a hub, and tokenizers must not warn about forks of the durability tests.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("LANGSMITH_TRACING", "false")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One PostgreSQL server for the whole run; tests that need it are skipped where none starts."""
    from tests.postgres_server import start_or_skip

    server = start_or_skip()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """The URL of a new, empty PostgreSQL schema."""
    url = postgres_server.new_url()
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def anywhere(request: pytest.FixtureRequest) -> str:
    """Where a new memory can be opened once: SQLite without a file, then PostgreSQL."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return ":memory:"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new memory can be opened, again and again: a SQLite file, then PostgreSQL."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "edits.db")


@pytest.fixture
def knowedit_rows() -> list[dict[str, Any]]:
    """Two invented rows in the layout of KnowEdit's ZsRE."""
    return [
        {
            "subject": subject,
            "prompt": f"In which city does {subject} have its seat?",
            "target_new": new,
            "ground_truth": [old],
            "rephrase_prompt": f"What city is {subject} based in?",
            "locality": {
                "Relation_Specificity": [
                    {"prompt": f"{subject} was founded by", "ground_truth": [founder]}
                ]
            },
            "portability": {
                "Reasoning": [
                    {
                        "prompt": f"In which country does {subject} have its seat?",
                        "ground_truth": [country],
                    }
                ]
            },
        }
        for subject, new, old, founder, country in (
            ("Harrow & Finch", "Porto", "Leeds", "Ada Finch", "Portugal"),
            ("the Tessel Institute", "Kyoto", "Graz", "Emil Tessel", "Japan"),
        )
    ]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what the command line, run inside a test, sets for the whole process."""
    logger = logging.getLogger("lte_chains")
    level, handlers = logger.level, logger.handlers[:]
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers
