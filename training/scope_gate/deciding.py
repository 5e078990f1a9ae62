"""Make a trained network's scores probabilities, with and without the embedder's cosine.

They are fitted to near misses: held-out rows of the train files are separated
nearly perfectly, and would make the gate surer than it may be of relations it
has never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.embeddings import Embeddings

from lte_chains.memory import EditMemory
from lte_chains.scope.calibration import Calibration, fit
from lte_chains.scope.namesakes import lowered
from lte_chains.scope.network import PairNetwork
from lte_chains.scope.pairs import PairEncoder
from lte_chains.scope.similarity import best_cosines
from lte_chains.training.scope_gate.loop import scores_of
from lte_chains.training.scope_gate.pairs import Pair


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
        """Return the calibration that fits these pairs."""
        return fit(self.scores, self.labels, cosines=self.cosines if with_cosine else None)

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
    return Scored(pairs, lowered(scores_of(network, encoder, pairs), asked), cosines)
