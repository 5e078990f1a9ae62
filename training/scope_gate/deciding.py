"""Make a trained network's scores probabilities, with and without the embedder's cosine.

The calibration is fitted to near misses: held-out rows of the train files are
separated nearly perfectly, and would make the gate surer than it may be of
relations it has never seen. The threshold is chosen on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from langchain_core.embeddings import Embeddings

from lte_chains.edit import Edit
from lte_chains.memory import EditMemory
from lte_chains.scope.calibration import Calibration, fit, least_cost
from lte_chains.scope.network import PairNetwork
from lte_chains.scope.pairs import PairEncoder
from lte_chains.scope.settings import Decision
from lte_chains.scope.similarity import best_cosines
from lte_chains.training.scope_gate.loop import scores_of
from lte_chains.training.scope_gate.pairs import Pair
from lte_chains.training.scope_gate.rows import Group


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


@dataclass(frozen=True)
class Asked:
    """Questions that were asked of a memory, and the candidates that it gave."""

    candidates: Scored
    places: Sequence[Sequence[int]]
    """For each question the places of its candidates: of one in scope only the right edit's,
    as others may be right too, and none if that was not found."""
    in_scope: Sequence[bool]


def scored(
    pairs: Sequence[Pair], network: PairNetwork, encoder: PairEncoder, embeddings: Embeddings
) -> Scored:
    """Ask the network and the embedder about pairs."""
    with EditMemory.open(":memory:", embeddings=embeddings) as memory:
        cosines = best_cosines(memory, [(pair.question, pair.edit) for pair in pairs])
    return Scored(pairs, scores_of(network, encoder, pairs), cosines)


def ask(
    groups: Sequence[Group],
    others: Sequence[Edit],
    network: PairNetwork,
    encoder: PairEncoder,
    embeddings: Embeddings,
) -> Asked:
    """Ask groups' questions of a memory of their edits among many others."""
    held = [group for group in groups if group.edit.statement is None]
    edits = [replace(group.edit, id=f"{place}") for place, group in enumerate(held)]
    asked = [
        (edit, kind, question, in_scope)
        for edit, group in zip(edits, held, strict=True)
        for in_scope, questions in ((True, group.inside), (False, group.outside))
        for kind, question in questions
    ]
    pairs: list[Pair] = []
    cosines: list[float] = []
    places: list[list[int]] = []
    with EditMemory.open(":memory:", embeddings=embeddings) as memory:
        memory.add_edits([*others, *edits])
        memory.embed_queries([question for _, _, question, _ in asked])
        retriever = memory.as_retriever(gate=None)
        for edit, kind, question, in_scope in asked:
            found = retriever.candidates(question)
            found = [m for m in found if m.edit.id == edit.id] if in_scope else found
            places.append(list(range(len(pairs), len(pairs) + len(found))))
            pairs += [Pair(question, match.edit, in_scope, kind) for match in found]
            cosines += [match.score for match in found]
    scores = scores_of(network, encoder, pairs)
    return Asked(Scored(pairs, scores, cosines), places, [label for *_, label in asked])


def decide(calibration: Calibration, asked: Asked, near: Scored, *, slack: float) -> Decision:
    """Choose the threshold of least cost for questions to a memory and for near misses.

    Args:
        calibration: Makes the scores probabilities.
        asked: Questions that are worded much like those of the training.
        near: Pairs of relations that were not trained on.
        slack: See `least_cost`.
    """
    chances = asked.candidates.chances(calibration)
    best = [max((chances[place] for place in own), default=0.0) for own in asked.places]
    best += near.chances(calibration)
    labels = [*asked.in_scope, *near.labels]
    right = [chance for chance, label in zip(best, labels, strict=True) if label]
    wrong = [chance for chance, label in zip(best, labels, strict=True) if not label]
    return Decision(least_cost(right, wrong, slack=slack), calibration)
