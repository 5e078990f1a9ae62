"""Make a recipe's own training rows from raw files: what `align data` does by hand."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import urllib.request
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from pydantic import ConfigDict, Field, StringConstraints
from pydantic.dataclasses import dataclass

from lte_chains.errors import ConfigError, DataError
from lte_chains.training.parallel import (
    ParallelConfig,
    ParallelData,
    ParallelRow,
    SourceFile,
    build_parallel_data,
    keep_own_answers,
    own_answers,
    read_source,
    subjects_of,
    write_data,
)

logger = logging.getLogger(__name__)

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_CONFIG = ConfigDict(extra="forbid")
_LONGEST_OWN_ANSWER = 32


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Source:
    """A file of editing rows."""

    path: _Text
    """Where it lies under the folder of the data."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """At most that many cases, from the front."""
    url: _Text | None = None
    """Where to fetch it from if it is not there."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What a fetched file must hash to; a file of one's own that differs is told of."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Invented:
    """Rows about invented names and the facts that a base of our own making knows."""

    base: _Text
    """The recipe of the base: the rows use its names, wordings and facts."""
    rows: dict[str, Annotated[int, Field(ge=0)]]
    """How many prompts' first questions are of each kind; see `InventedRows`."""
    questions: Annotated[int, Field(ge=1)] = 1
    """Most questions that are asked after the same edits."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class DataRecipe:
    """What the training rows are made of.

    Example:
        >>> DataRecipe(sources=(Source(path="train.json"),)).held_out
        ()
    """

    sources: tuple[Source, ...] = ()
    """Files of editing rows, in any format that `align data` reads."""
    held_out: tuple[_Text, ...] = ()
    """Files to be evaluated on: their subjects are left out."""
    original: _Text | None = None
    """A model whose own answers stand for the unedited ones, as `load_model` takes it."""
    parallel: ParallelConfig = ParallelConfig()
    """How rows are made of the sources, and how many edits stand in an invented row."""
    invented: Invented | None = None
    """Rows that no file has."""


def prepare(data: DataRecipe, folder: str | Path, out: Path, *, seed: int) -> Path:
    """Make the training rows of a recipe, once: rows that are there already are kept.

    Args:
        data: What to make them of.
        folder: The folder that its paths are relative to.
        out: Where ``train.jsonl``, ``dev.jsonl`` and the data card go.
        seed: Seed of invented rows.

    Returns:
        `out`.

    Raises:
        DataError: A file is missing, or cannot be read.
    """
    made_of = {"recipe": json.loads(json.dumps(asdict(data))), "seed": seed}
    marker = out / "made_of.json"
    if marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) == made_of:
        logger.info("rows in %s are used again", out)
        return out
    root = Path(folder)
    files = [(_fetch(source, root), source.limit) for source in data.sources]
    held_out = [_fetch(Source(path=path), root) for path in data.held_out]
    rows, sources, withheld = _parallel_rows(data, files, held_out)
    if data.invented:
        train = [*rows.train, *_invented_rows(data, root, seed)]
        random.Random(seed).shuffle(train)
        rows = ParallelData(
            train=tuple(train), dev=rows.dev, config=rows.config, dropped=rows.dropped
        )
    write_data(rows, out, sources=sources, held_out=withheld)
    marker.write_text(json.dumps(made_of, indent=1) + "\n", encoding="utf-8")
    return out


def _parallel_rows(
    data: DataRecipe, files: list[tuple[Path, int | None]], held_out: list[Path]
) -> tuple[ParallelData, list[SourceFile], list[SourceFile]]:
    if not files:
        return ParallelData(train=(), dev=(), config=data.parallel), [], []
    read = [(path, read_source(path, limit=limit)) for path, limit in files]
    withheld = [(path, read_source(path)) for path in held_out]
    all_cases = [case for _, cases in read for case in cases]
    if data.original:
        all_cases = keep_own_answers(all_cases, _original(data.original))
    rows = build_parallel_data(
        all_cases,
        held_out=[s for path, cases in withheld for s in subjects_of(cases, name=path.name)],
        config=data.parallel,
    )
    sources = [SourceFile.of(path, len(cases)) for path, cases in read]
    return rows, sources, [SourceFile.of(path, len(cases)) for path, cases in withheld]


def _invented_rows(data: DataRecipe, root: Path, seed: int) -> list[ParallelRow]:
    """Make rows with the names, wordings and facts of the base's own recipe."""
    from lte_chains.training.parallel.invented import InventedRows
    from lte_chains.training.pretraining.material import read_material, shipped_base_recipe
    from lte_chains.training.pretraining.names import Names
    from lte_chains.training.pretraining.phrasing import Phrasing

    if data.invented is None:
        return []
    material = read_material(shipped_base_recipe(data.invented.base), root)
    rng = random.Random(seed)
    phrasing = Phrasing(Names(material.corpus, rng), material.train, rng)
    maker = InventedRows(
        phrasing,
        material.facts,
        material.fact_forms,
        rng,
        extras=data.parallel.extras,
        shuffle=data.parallel.shuffle,
        questions=data.invented.questions,
    )
    return _answered(maker.rows(data.invented.rows), data.original)


def _answered(rows: list[ParallelRow], original: str | None) -> list[ParallelRow]:
    """Fill in what the original model answers; rows to which it has no answer are left out."""
    asked = [row.question for row in rows if not row.answer]
    if not asked:
        return rows
    if original is None:
        raise ConfigError(
            "data.invented.rows needs data.original: whose own answers are to be kept"
        )
    own = own_answers(asked, _original(original))
    return [
        replace(row, answer=row.answer or own[row.question])
        for row in rows
        if row.answer or row.question in own
    ]


def _original(name: str) -> BaseChatModel:
    from lte_chains.models import load_model

    return load_model(name, max_new_tokens=_LONGEST_OWN_ANSWER, batch_size=64)


def _fetch(source: Source, root: Path) -> Path:
    """Return a source's file; one that is missing is downloaded if it has a URL."""
    path = root / source.path
    if path.is_file():
        if source.sha256 and _sha256(path.read_bytes()) != source.sha256:
            logger.warning("%s is not the file that the recipe's scores are from", path)
        return path
    if source.url is None:
        raise DataError(f"there is no file {path}: --data must be the folder that holds it")
    content = _download(source.url)
    if source.sha256 and _sha256(content) != source.sha256:
        raise DataError(f"{source.url} does not hash to {source.sha256}: it is another file now")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _download(url: str) -> bytes:
    if not url.startswith("https://"):
        raise DataError(f"{url} is not fetched: only https addresses are")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - https alone
            content: Any = answer.read()
    except OSError as error:
        raise DataError(f"{url} cannot be fetched: {error}") from error
    return bytes(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
