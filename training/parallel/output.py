"""Write parallel data: conversations for a trainer, statistics, and a data card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lte_chains.errors import ConfigError, DataError
from lte_chains.interchange import replace_text
from lte_chains.training.parallel.build import ParallelData, ParallelRow
from lte_chains.training.parallel.card import render_card
from lte_chains.training.parallel.statistics import describe


@dataclass(frozen=True)
class SourceFile:
    """A file that rows were made of, or that was held out."""

    name: str
    sha256: str
    cases: int

    @classmethod
    def of(cls, path: Path, cases: int) -> SourceFile:
        """Describe a file that was read."""
        return cls(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), cases)


def write_data(
    data: ParallelData,
    folder: str | Path,
    *,
    layout: str = "messages",
    sources: Sequence[SourceFile] = (),
    held_out: Sequence[SourceFile] = (),
) -> dict[str, Any]:
    """Write train and dev rows, ``statistics.json`` and the data card ``README.md``.

    Args:
        data: What `build_parallel_data` returned.
        folder: Where to; files of the same names are replaced.
        layout: "messages" or "prompt_completion" (JSON lines, as TRL takes
            them), or "lte" (the JSON list that LTE's own trainer takes).
        sources: The files the data were made of, for the card.
        held_out: The files whose subjects were held out, for the card.

    Returns:
        The statistics, with the `files` that were written.

    Raises:
        ConfigError: The layout is unknown.
        DataError: The folder cannot be written.
    """
    if layout not in _LAYOUTS:
        raise ConfigError(f"unknown layout {layout!r}: use one of {sorted(_LAYOUTS)}")
    suffix, render = _LAYOUTS[layout]
    target = Path(folder)
    splits = {"train": data.train, "dev": data.dev}
    texts = {f"{name}{suffix}": render(rows) for name, rows in splits.items() if rows}
    statistics = {**describe(data), "layout": layout, "files": [*texts]}
    texts["statistics.json"] = json.dumps(statistics, indent=1, ensure_ascii=False) + "\n"
    texts["README.md"] = render_card(statistics, sources=_table(sources), held_out=_table(held_out))
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            replace_text(target / name, text)
    except OSError as error:
        raise DataError(f"cannot write training rows to {target}: {error}") from error
    return statistics


def _table(files: Sequence[SourceFile]) -> list[tuple[str, int, str]]:
    return [(file.name, file.cases, file.sha256) for file in files]


def _lines(to_json: Callable[[ParallelRow], Mapping[str, Any]]) -> Callable[..., str]:
    def render(rows: Iterable[ParallelRow]) -> str:
        return "".join(f"{json.dumps(to_json(row), ensure_ascii=False)}\n" for row in rows)

    return render


def _messages(row: ParallelRow) -> dict[str, Any]:
    """Return a row in TRL's conversational format; the last columns are for whoever selects."""
    return {"messages": [_turn("user", row.prompt), _turn("assistant", row.answer)], **_about(row)}


def _prompt_completion(row: ParallelRow) -> dict[str, Any]:
    """Return a row in TRL's conversational prompt and completion format."""
    return {
        "prompt": [_turn("user", row.prompt)],
        "completion": [_turn("assistant", row.answer)],
        **_about(row),
    }


def _turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def _about(row: ParallelRow) -> dict[str, str]:
    return {"source": row.source, "kind": row.kind, "scope": row.scope, "variant": row.variant}


def _lte(rows: Iterable[ParallelRow]) -> str:
    conversations = [
        {
            "id": f"identity_{number}_{row.source}",
            "conversations": [
                {"from": "human", "value": row.prompt},
                {"from": "gpt", "value": row.answer},
            ],
        }
        for number, row in enumerate(rows)
    ]
    return json.dumps(conversations, indent=1, ensure_ascii=False) + "\n"


_LAYOUTS: dict[str, tuple[str, Callable[..., str]]] = {
    "messages": (".jsonl", _lines(_messages)),
    "prompt_completion": (".jsonl", _lines(_prompt_completion)),
    "lte": (".json", _lte),
}
LAYOUTS = tuple(_LAYOUTS)
"""Names of the layouts that `write_data` knows."""
