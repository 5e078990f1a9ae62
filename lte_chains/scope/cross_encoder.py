"""The trained gate: a small cross-encoder that reads a question and an edit together."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError, MissingExtraError
from lte_chains.scope.calibration import MISS_WEIGHT, Calibration, fit, least_cost
from lte_chains.scope.namesakes import lowered
from lte_chains.scope.plain_questions import raised
from lte_chains.scope.settings import Decision, GateSettings, embedder_name, read_json
from lte_chains.scope.similarity import best_cosines, with_edits
from lte_chains.shipped import ASSETS

if TYPE_CHECKING:
    from lte_chains.memory import EditMemory
    from lte_chains.scope.network import PairNetwork
    from lte_chains.scope.pairs import PairEncoder

_log = logging.getLogger(__name__)

SHIPPED = ASSETS / "scope-gate"
"""The gate that comes with the package; see the README.md there."""

CANDIDATES = 10
"""How many edits are judged for a question while a gate is calibrated."""

_NEEDED = ("torch", "tokenizers", "safetensors")
_PAIRS_PER_PASS = 256
_SETTINGS = "gate.json"
_WEIGHTS = "model.safetensors"
_VOCABULARY = "vocab.txt"


@dataclass(frozen=True)
class CrossEncoderGate:
    """Hold an edit in scope if a small model gives it at least the threshold's probability.

    Scores of matches become probabilities. Weights are read when the first
    question comes, and shared by all gates of one folder.

    Instantiate:
        `CrossEncoderGate()` for the gate that comes with the package (extra
        ``[offline]`` or ``[hf]``), `CrossEncoderGate.load(path)` for one that was
        calibrated and saved.

    Raises:
        ConfigError: The threshold is no probability, or the folder holds no gate.
        MissingExtraError: PyTorch is not installed.

    Example:
        >>> from lte_chains import Edit
        >>> ceo = Edit(prompt="The CEO of Acme is", target_new="Jane", subject="Acme")
        >>> seat = Edit(prompt="Acme is based in", target_new="Oslo", subject="Acme")
        >>> found = [EditMatch(ceo, 0.9), EditMatch(seat, 0.8)]
        >>> judged = CrossEncoderGate().judge("Who is the boss at Acme?", found)
        >>> [match.in_scope for match in judged]
        [True, False]
    """

    threshold: float | None = None
    """Least probability that is in scope; None for the one that comes with the weights."""
    calibration: Calibration | None = None
    """From the model's scores to probabilities; None for the one that comes with the weights."""
    path: Path = SHIPPED
    """Folder with the weights, their vocabulary and their settings."""
    embedder: str | None = None
    """Name of the embedder whose cosines the calibration counts; None if it counts none."""
    _settings: GateSettings = field(init=False, repr=False)
    _given: tuple[bool, bool] = field(init=False, repr=False)
    """Whether the threshold, and the calibration, are the caller's own."""

    def __post_init__(self) -> None:
        """Check the settings, and that everything is there."""
        value: object = self.threshold
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1
        ):
            raise ConfigError(f"threshold must be a probability in [0, 1], or None, not {value!r}")
        missing = [name for name in _NEEDED if find_spec(name) is None]
        if missing:
            raise MissingExtraError(missing[0], "offline")
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "_settings", _settings(self.path))
        object.__setattr__(self, "_given", (value is not None, self.calibration is not None))
        if self.threshold is None:
            object.__setattr__(self, "threshold", self._settings.plain.threshold)
        if self.calibration is None:
            object.__setattr__(self, "calibration", self._settings.plain.calibration)

    def __str__(self) -> str:
        """Say in a line what decides."""
        weights = "trained gate" if self.path == SHIPPED else f"trained gate of {self.path}"
        cosines = f", counting cosines of {self.embedder}" if self._calibration.similarity else ""
        return f"{weights}, probabilities from {self._threshold:g} on{cosines}"

    def for_embedder(self, fingerprint: str) -> CrossEncoderGate:
        """Return this gate as it counts an embedder's cosines, in what the caller left open.

        A gate whose settings come with no figures for that embedder stays as it is, and counts
        none. An `EditRetriever` calls this itself.

        Args:
            fingerprint: An embedder's name, or its fingerprint ``name:digest``,
                as in `EditMemory.fingerprint`.

        Raises:
            ConfigError: The gate was calibrated with another embedder.

        Example:
            >>> CrossEncoderGate().for_embedder("all-MiniLM-L6-v2").calibration.similarity > 0
            True
            >>> CrossEncoderGate().for_embedder("another").calibration.similarity
            0.0
        """
        return _for_embedder(self, embedder_name(fingerprint))

    def judge(self, query: str, matches: Sequence[EditMatch]) -> list[EditMatch]:
        """Return the matches with `in_scope` set, and as their scores the probabilities."""
        return self.judge_batch([query], [matches])[0]

    def judge_batch(
        self, queries: Sequence[str], matches: Sequence[Sequence[EditMatch]]
    ) -> list[list[EditMatch]]:
        """Judge the candidates of several queries in one forward pass.

        Args:
            queries: The questions.
            matches: The candidates of each.

        Raises:
            ConfigError: There are not as many lists as queries.
        """
        if len(queries) != len(matches):
            raise ConfigError(f"{len(queries)} queries have {len(matches)} lists of candidates")
        pairs = [
            (query, match.edit)
            for query, own in zip(queries, matches, strict=True)
            for match in own
        ]
        # What a hop found was near to something else than the question.
        cosines = [None if match.hop else match.score for own in matches for match in own]
        chances = iter(self.probabilities(pairs, cosines))
        least = self._threshold
        return [
            [replace(m, score=p, in_scope=p >= least) for m, p in zip(own, chances, strict=False)]
            for own in matches
        ]

    def probabilities(
        self,
        pairs: Sequence[tuple[str, Edit]],
        cosines: Sequence[float | None] | None = None,
    ) -> list[float]:
        """Return, for (question, edit) pairs, how likely the one depends on the other.

        Args:
            pairs: Questions and edits.
            cosines: Of each question and the best wording of its edit, where it is known: it
                counts if the gate is calibrated `for_embedder`.

        Example:
            >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane", subject="Acme")
            >>> CrossEncoderGate().probabilities([("Who wrote Hamlet?", edit)])
            [0.0...]
        """
        own = self._calibration
        plain = self._settings.plain.calibration if own.similarity else own
        known = [None] * len(pairs) if cosines is None else cosines
        return [
            plain.probability(score)
            if cosine is None or math.isnan(cosine)
            else own.probability(score, cosine)
            for score, cosine in zip(_Scorer.of(self.path).scores(pairs), known, strict=True)
        ]

    def calibrate(
        self,
        memory: EditMemory,
        in_scope: Sequence[tuple[str, str]],
        out_of_scope: Sequence[str],
        *,
        miss_weight: float = MISS_WEIGHT,
    ) -> CrossEncoderGate:
        """Return this gate with a calibration and a threshold fitted to questions of one's own.

        The threshold is the one of least cost: `miss_weight` for the right edit
        not passed, 1 for any edit passed where none is right. The weights stay.

        Args:
            memory: Holds the edits that the questions are about.
            in_scope: (question, id of the edit on which its answer depends).
            out_of_scope: Questions that depend on no edit of the memory.
            miss_weight: What a miss costs, against 1 for a false fire.

        Raises:
            ConfigError: One of the lists is empty.
            UnknownEditError: The memory has no such live edit.
        """
        name = embedder_name(memory.fingerprint)
        own = self._given[1]
        start = self.calibration if own else self._settings.for_embedder(name).calibration
        right = with_edits(memory, in_scope)
        wrong = [
            [(question, match.edit) for match in memory.search_edits(question, CANDIDATES)]
            for question in out_of_scope
        ]
        flat = [*right, *(pair for own in wrong for pair in own)]
        scores, cosines = _Scorer.of(self.path).scores(flat), best_cosines(memory, flat)
        labels = [place < len(right) for place in range(len(flat))]
        calibration = fit(scores, labels, cosines=cosines, start=start)
        chances = list(map(calibration.probability, scores, cosines))
        others = iter(chances[len(right) :])
        nearest = [
            max((p for _, p in zip(own, others, strict=False)), default=0.0) for own in wrong
        ]
        return replace(
            self,
            threshold=least_cost(chances[: len(right)], nearest, miss_weight=miss_weight),
            calibration=calibration,
            embedder=name,
        )

    def save(self, path: str | Path) -> None:
        """Write threshold and calibration, not the weights, as JSON; `load` reads them."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Return all that the gate decides by, as `save` writes it; weights by their digest."""
        return {
            **Decision(self._threshold, self._calibration).to_dict(),
            "embedder": self.embedder,
            "weights_sha256": _Scorer.of(self.path).sha256,
        }

    @classmethod
    def load(cls, path: str | Path, *, weights: str | Path = SHIPPED) -> CrossEncoderGate:
        """Read what `save` wrote.

        Args:
            path: The JSON file.
            weights: Folder of the weights that were calibrated.

        Raises:
            ConfigError: The file is none of ours, or was made for other weights.
        """
        own, settings = GateSettings.read(Path(path)).plain, read_json(Path(path))
        gate = cls(own.threshold, own.calibration, Path(weights), settings.get("embedder"))
        found = _Scorer.of(gate.path).sha256
        if settings.get("weights_sha256", found) != found:
            raise ConfigError(
                f"{path} was calibrated for other weights than those in {weights}: "
                "calibrate the gate again"
            )
        return gate

    @property
    def _threshold(self) -> float:
        return 0.5 if self.threshold is None else self.threshold

    @property
    def _calibration(self) -> Calibration:
        return self.calibration or Calibration()


@lru_cache(maxsize=64)  # asked for every query
def _for_embedder(gate: CrossEncoderGate, name: str) -> CrossEncoderGate:
    own_threshold, own_calibration = gate._given
    if own_calibration:
        if gate.embedder is not None and gate._calibration.similarity and gate.embedder != name:
            raise ConfigError(
                f"the gate was calibrated with the cosines of {gate.embedder}, and the memory's "
                f"embedder is {name}: calibrate the gate again"
            )
        return gate
    decision = gate._settings.for_embedder(name)
    return replace(
        gate,
        threshold=gate.threshold if own_threshold else decision.threshold,
        calibration=decision.calibration,
        embedder=name if decision.calibration.similarity else None,
    )


class _Scorer:
    """The weights and vocabulary of one folder; kept for the life of the process."""

    _all: dict[Path, _Scorer] = {}  # noqa: RUF012 - shared on purpose, and guarded by the lock
    _lock = Lock()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loading = Lock()

    @classmethod
    def of(cls, path: Path) -> _Scorer:
        """Return the scorer of a folder."""
        with cls._lock:
            return cls._all.setdefault(path.resolve(), cls(path))

    @cached_property
    def _loaded(self) -> tuple[PairNetwork, PairEncoder]:
        from lte_chains.scope.network import load
        from lte_chains.scope.pairs import PairEncoder

        _log.info("loading the scope gate from %s", self._path)
        return load(self._path / _WEIGHTS), PairEncoder(self._path / _VOCABULARY)

    @cached_property
    def sha256(self) -> str:
        """Identity of the weights."""
        with (self._path / _WEIGHTS).open("rb") as file:
            return file_digest(file, "sha256").hexdigest()

    def scores(self, pairs: Sequence[tuple[str, Edit]]) -> list[float]:
        """Return each pair's score, computed on pairs of like length together.

        See `lowered` and `raised` for what is made of the network's.
        """
        import torch

        from lte_chains.scope.network import tensors

        with self._loading:
            network, encoder = self._loaded
        encoded = [encoder.pair(question, edit) for question, edit in pairs]
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]))
        scores = [0.0] * len(encoded)
        with torch.inference_mode():
            for start in range(0, len(order), _PAIRS_PER_PASS):
                places = order[start : start + _PAIRS_PER_PASS]
                batch = encoder.batch([encoded[i] for i in places])
                found = network(*tensors(batch)).float().tolist()
                for place, score in zip(places, found, strict=True):
                    scores[place] = score
        return raised(lowered(scores, pairs), pairs)


def _settings(folder: Path) -> GateSettings:
    missing = [n for n in (_SETTINGS, _WEIGHTS, _VOCABULARY) if not (folder / n).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} holds no scope gate: {', '.join(missing)} missing. Train one with "
            "`python -m lte_chains.training.scope`"
        )
    return GateSettings.read(folder / _SETTINGS)
