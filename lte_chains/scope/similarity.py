"""The similarity gate: an edit is in scope if its cosine with the query reaches a threshold.

It needs no second model. What it can and cannot tell apart is in
``training/calibration/similarity.json``, measured on train rows: it separates
other subjects well and "same subject, other relation" poorly.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError
from lte_chains.scope.calibration import MISS_WEIGHT, least_cost
from lte_chains.scope.settings import embedder_name
from lte_chains.wordings import wordings

if TYPE_CHECKING:
    from lte_chains.memory import EditMemory

_log = logging.getLogger(__name__)

CALIBRATED_THRESHOLDS: Mapping[str, float] = MappingProxyType({"all-MiniLM-L6-v2": 0.69})
"""Cosine thresholds by embedder, as `training/calibrate_similarity.py` chose them.

Only measured figures stand here; see ``training/calibration/similarity.json``.
"""

UNCALIBRATED_THRESHOLD = 0.85
"""For an embedder that is not in the table: high, so that an edit is rather missed
than put before a question that it has nothing to do with."""


@dataclass(frozen=True)
class SimilarityGate:
    """Hold an edit in scope if its cosine with the query reaches the threshold.

    Raises:
        ConfigError: `threshold` is not a cosine.

    Example:
        >>> from lte_chains import Edit
        >>> found = [
        ...     EditMatch(edit=Edit(prompt="The CEO of Acme is", target_new="Jane"), score=0.9),
        ...     EditMatch(edit=Edit(prompt="2 + 2 is", target_new="5"), score=0.1),
        ... ]
        >>> [match.in_scope for match in SimilarityGate(0.7).judge("Who runs Acme?", found)]
        [True, False]
    """

    threshold: float | None = None
    """Least cosine that is in scope; None takes the calibrated one of the memory's embedder."""

    def __post_init__(self) -> None:
        """Check that the threshold is a cosine."""
        value: object = self.threshold
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 1:
            raise ConfigError(f"threshold must be a cosine in [-1, 1], or None, not {value!r}")

    def __str__(self) -> str:
        """Say in a line what decides."""
        least = "the embedder's threshold" if self.threshold is None else f"{self.threshold:g}"
        return f"similarity gate, cosines from {least} on"

    def for_embedder(self, fingerprint: str) -> SimilarityGate:
        """Return this gate with a threshold: its own, else that of the embedder.

        Args:
            fingerprint: An embedder's name, or its fingerprint ``name:digest``,
                as in `EditMemory.fingerprint`.

        Example:
            >>> SimilarityGate(0.5).for_embedder("all-MiniLM-L6-v2").threshold
            0.5
        """
        if self.threshold is not None:
            return self
        return replace(self, threshold=threshold_for(fingerprint))

    def judge(self, query: str, matches: Sequence[EditMatch]) -> list[EditMatch]:  # noqa: ARG002
        """Return the matches with `in_scope` set; their scores are cosines and stay.

        Raises:
            ConfigError: The gate has no threshold yet; see `for_embedder`.
        """
        if self.threshold is None:
            raise ConfigError(
                "this gate does not know its embedder: give it to an EditRetriever, "
                "call for_embedder(memory.fingerprint), or set threshold=…"
            )
        least = self.threshold
        return [
            replace(match, in_scope=not math.isnan(match.score) and match.score >= least)
            for match in matches
        ]

    def calibrate(
        self,
        memory: EditMemory,
        in_scope: Sequence[tuple[str, str]],
        out_of_scope: Sequence[str],
        *,
        miss_weight: float = MISS_WEIGHT,
    ) -> SimilarityGate:
        """Return this gate with the threshold of least cost for questions of one's own.

        It holds for the memory's embedder. See `CrossEncoderGate.calibrate`, which
        has the same arguments and raises the same errors.

        Example:
            >>> from lte_chains import Edit, EditMemory
            >>> memory = EditMemory.open(":memory:")
            >>> [ceo] = memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane")])
            >>> gate = SimilarityGate().calibrate(
            ...     memory, in_scope=[("Who runs Acme?", ceo)], out_of_scope=["Who runs Globex?"]
            ... )
            >>> 0 < gate.threshold < 1
            True
        """
        nearest = [memory.search_edits(question, 1) for question in out_of_scope]
        right = best_cosines(memory, with_edits(memory, in_scope))
        wrong = [max((match.score for match in found), default=0.0) for found in nearest]
        # Opposite texts have cosines below 0: as far from each other as strange ones.
        positive = [[max(cosine, 0.0) for cosine in own] for own in (right, wrong)]
        return replace(self, threshold=least_cost(*positive, miss_weight=miss_weight))


@cache
def threshold_for(fingerprint: str) -> float:
    """Return the calibrated threshold of an embedder, or the conservative default.

    Warns once per embedder in the log if there is no calibrated figure.

    Example:
        >>> threshold_for("sentence-transformers/all-MiniLM-L6-v2") == threshold_for(
        ...     "all-MiniLM-L6-v2:53aa5117"
        ... )
        True
    """
    known = CALIBRATED_THRESHOLDS.get(embedder_name(fingerprint))
    if known is not None:
        return known
    _log.warning(
        "no calibrated similarity threshold for the embedder %s: using %.2f, which may miss "
        "edits. Measure one with `python -m lte_chains.training.calibrate_similarity` and pass "
        "gate=SimilarityGate(threshold=…)",
        fingerprint,
        UNCALIBRATED_THRESHOLD,
    )
    return UNCALIBRATED_THRESHOLD


def with_edits(memory: EditMemory, in_scope: Sequence[tuple[str, str]]) -> list[tuple[str, Edit]]:
    """Return questions with their edits in the place of these edits' ids.

    Raises:
        UnknownEditError: The memory has no such live edit.
    """
    edits = memory.get_edits([id_ for _, id_ in in_scope])
    return [(question, edit) for (question, _), edit in zip(in_scope, edits, strict=True)]


def best_cosines(memory: EditMemory, pairs: Sequence[tuple[str, Edit]]) -> list[float]:
    """Return, for (question, edit) pairs, the cosine with the edit's best wording.

    It is the score that a search of the memory would give the edit, which need not be there.

    Args:
        memory: Its embedder is used.
        pairs: Questions and edits.
    """
    if not pairs:
        return []
    texts = [wordings(edit) for _, edit in pairs]
    distinct = {
        text: row for row, text in enumerate(dict.fromkeys(t for own in texts for t in own))
    }
    asked = {question: row for row, question in enumerate(dict.fromkeys(q for q, _ in pairs))}
    told = memory.embed_texts(list(distinct))
    questions = memory.embed_queries(list(asked))
    return [
        float(max(told[[distinct[text] for text in own]] @ questions[asked[question]]))
        for (question, _), own in zip(pairs, texts, strict=True)
    ]
