"""The trained gate: a small cross-encoder that reads a question and an edit together."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError, MissingExtraError
from lte_chains.scope.calibration import MISS_WEIGHT, Calibration, fit, least_cost

if TYPE_CHECKING:
    from lte_chains.memory import EditMemory
    from lte_chains.scope.network import PairNetwork
    from lte_chains.scope.pairs import PairEncoder

_log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent.parent / "assets" / "scope-gate"
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
        settings = _settings(self.path)
        if self.threshold is None:
            object.__setattr__(self, "threshold", settings["threshold"])
        if self.calibration is None:
            object.__setattr__(self, "calibration", Calibration(**settings["calibration"]))

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
        chances = iter(self.probabilities(pairs))
        least = self._threshold
        return [
            [replace(m, score=p, in_scope=p >= least) for m, p in zip(own, chances, strict=False)]
            for own in matches
        ]

    def probabilities(self, pairs: Sequence[tuple[str, Edit]]) -> list[float]:
        """Return, for (question, edit) pairs, how likely the one depends on the other.

        Example:
            >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane", subject="Acme")
            >>> CrossEncoderGate().probabilities([("Who wrote Hamlet?", edit)])
            [0.0...]
        """
        calibration = self.calibration or Calibration()
        return [calibration.probability(score) for score in _Scorer.of(self.path).scores(pairs)]

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
        edits = memory.get_edits([id_ for _, id_ in in_scope])
        right = [(question, edit) for (question, _), edit in zip(in_scope, edits, strict=True)]
        wrong = [
            [(question, match.edit) for match in memory.search_edits(question, CANDIDATES)]
            for question in out_of_scope
        ]
        flat = [pair for own in wrong for pair in own]
        scores = _Scorer.of(self.path).scores([*right, *flat])
        labels = [True] * len(right) + [False] * len(flat)
        calibration = fit(scores, labels, start=self.calibration)
        chances = [calibration.probability(score) for score in scores]
        others = iter(chances[len(right) :])
        nearest = [
            max((p for _, p in zip(own, others, strict=False)), default=0.0) for own in wrong
        ]
        threshold = least_cost(chances[: len(right)], nearest, miss_weight=miss_weight)
        return replace(self, threshold=threshold, calibration=calibration)

    def save(self, path: str | Path) -> None:
        """Write threshold and calibration, not the weights, as JSON; `load` reads them."""
        calibration = self.calibration or Calibration()
        settings = {
            "threshold": self._threshold,
            "calibration": asdict(calibration),
            "weights_sha256": _Scorer.of(self.path).sha256,
        }
        Path(path).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path, *, weights: str | Path = SHIPPED) -> CrossEncoderGate:
        """Read what `save` wrote.

        Args:
            path: The JSON file.
            weights: Folder of the weights that were calibrated.

        Raises:
            ConfigError: The file is none of ours, or was made for other weights.
        """
        settings = _read_settings(Path(path))
        gate = cls(settings["threshold"], Calibration(**settings["calibration"]), Path(weights))
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
        """Return the network's score of each pair, computed on pairs of like length together."""
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
        return scores


def _settings(folder: Path) -> dict[str, Any]:
    missing = [n for n in (_SETTINGS, _WEIGHTS, _VOCABULARY) if not (folder / n).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} holds no scope gate: {', '.join(missing)} missing. Train one with "
            "`python -m lte_chains.training.scope`"
        )
    return _read_settings(folder / _SETTINGS)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(settings, dict) or not {"threshold", "calibration"} <= settings.keys():
        raise ConfigError(f"{path} holds no threshold and calibration of a scope gate")
    return settings
