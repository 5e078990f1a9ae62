"""Settings that hold for every test: offline, deterministic, few threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

# Before any test imports torch or a Hugging Face library: the suite never asks
# a hub, and tokenizers must not warn about forks of the durability tests.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("LANGSMITH_TRACING", "false")


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
