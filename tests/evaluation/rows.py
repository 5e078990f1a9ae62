"""A small evaluation set whose figures can be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def _row(subject: str, target: str, **fields: Any) -> dict[str, Any]:
    return {
        "subject": subject,
        "prompt": f"The CEO of {subject} is",
        "target_new": target,
        "ground_truth": ["Old Boss"],
        **fields,
    }


ROWS = [
    _row(
        "Acme",
        "Jane Doe",
        rephrase_prompt="The CEO of Acme",
        locality={
            "Relation_Specificity": [
                {"prompt": "Zebras and Acme", "ground_truth": ["stripes"]},
                {"prompt": "The CEO at Acme is", "ground_truth": ["Old Boss"]},
            ]
        },
        portability={
            "Subject_Aliasing": [{"prompt": "The CEO of Acme Inc is", "ground_truth": "Jane Doe"}],
            "Reasoning": [{"prompt": "Boss home town", "ground_truth": "Rome"}],
        },
    ),
    _row(
        "Globex",
        "Hank",
        rephrase_prompt="Globex CEO is the",
        locality={"Relation_Specificity": [{"prompt": "Lions", "ground_truth": ["manes"]}]},
        portability={},
    ),
    _row("Initech", "Bill", rephrase_prompt="Something else altogether", locality={}),
]


def write_rows(folder: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    """Write rows as a KnowEdit-style file and return its path."""
    path = folder / "rows.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path
