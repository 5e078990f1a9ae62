"""Make a trained network's scores probabilities, with and without the embedder's cosine.

They are fitted to near misses: held-out rows of the train files are separated
nearly perfectly, and would make the gate surer than it may be of relations it
has never seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from langchain_core.embeddings import Embeddings

from lte_chains.memory import EditMemory
from lte_chains.scope.calibration import Calibration, area_under_curve, fit
from lte_chains.scope.namesakes import lowered
from lte_chains.scope.network import PairNetwork
from lte_chains.scope.pairs import PairEncoder
from lte_chains.scope.plain_questions import raised
from lte_chains.scope.similarity import best_cosines
from lte_chains.training.scope_gate.loop import scores_of
from lte_chains.training.scope_gate.pairs import Pair

_WEIGHTS = range(21)
"""Weights of the cosine that are tried, in the network's scores."""
_AS_WELL = 0.0005
"""A difference of areas under the curve that is none."""


@dataclass(frozen=True)
class Scored:
    """Pairs with what the network and the embedder say of them."""

    pairs: Sequence[Pair]
    scores: Sequence[float]
    cosines: Sequence[float]

    @property
    def labels(self) -> list[bool]:
        """Whether each pair is in scope."""
        return [pair.in_scope for pair in self.pairs]

    def some(self, places: Sequence[int]) -> Scored:
        """Return the pairs at some places."""
        return Scored(
            [self.pairs[place] for place in places],
            [self.scores[place] for place in places],
            [self.cosines[place] for place in places],
        )

    def calibration(self, *, with_cosine: bool) -> Calibration:
        """Return the calibration that fits these pairs.

        The cosine's weight is the least that keeps pairs in scope and each kind out of
        scope as well apart as any: the likeliest one leaves more of another subject above.
        """
        reached = {weight: self._separation(weight) for weight in _WEIGHTS if with_cosine}
        enough = max(reached.values(), default=0.0) - _AS_WELL
        weight = next((weight for weight, area in reached.items() if area >= enough), 0)
        fitted = fit(self._weighed(weight), self.labels)
        return replace(fitted, similarity=fitted.slope * weight)

    def _weighed(self, weight: float) -> list[float]:
        return [s + weight * c for s, c in zip(self.scores, self.cosines, strict=True)]

    def _separation(self, weight: float) -> float:
        """Return the mean, over the kinds out of scope, of the area under the curve."""
        scores: defaultdict[str | None, list[float]] = defaultdict(list)
        for pair, score in zip(self.pairs, self._weighed(weight), strict=True):
            scores[None if pair.in_scope else pair.kind].append(score)
        right = scores.pop(None, [])
        areas = [area_under_curve(right, wrong) or 0.0 for wrong in scores.values()]
        return sum(areas) / max(1, len(areas))

    def chances(self, calibration: Calibration) -> list[float]:
        """Return the probabilities that a calibration gives."""
        return list(map(calibration.probability, self.scores, self.cosines))


def scored(
    pairs: Sequence[Pair], network: PairNetwork, encoder: PairEncoder, embeddings: Embeddings
) -> Scored:
    """Ask the network and the embedder about pairs."""
    asked = [(pair.question, pair.edit) for pair in pairs]
    with EditMemory.open(":memory:", embeddings=embeddings) as memory:
        cosines = best_cosines(memory, asked)
    scores = raised(lowered(scores_of(network, encoder, pairs), asked), asked)
    return Scored(pairs, scores, cosines)
