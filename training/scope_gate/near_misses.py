"""Pairs of relations and subjects that were not trained on, to measure a gate by."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lte_chains.edit import Edit
from lte_chains.scope.calibration import area_under_curve, calibration_error, reliability
from lte_chains.training.pretraining.names import Names
from lte_chains.training.scope_gate.pairs import Fact, Pair, share_of
from lte_chains.training.scope_gate.relations import Relation, ask, others


def near_misses(
    facts: Sequence[Fact], known: Mapping[str, Relation], names: Names, rng: random.Random
) -> list[Pair]:
    """Make three pairs of each fact: in scope, about another subject, about another relation.

    Args:
        facts: Facts of relations that were held out.
        known: All relations, the others' questions being near misses.
        names: Where namesakes come from.
        rng: Every draw advances it.
    """
    subjects: defaultdict[str, list[str]] = defaultdict(list)
    for fact in facts:
        subjects[fact.relation].append(fact.subject)
    pairs = []
    for fact in facts:
        relation = known[fact.relation]
        form = rng.choice(relation.forms)
        edit = Edit(
            prompt=form.replace("{s}", fact.subject),
            target_new=rng.choice(facts).target,
            subject=fact.subject if rng.random() < 0.5 else None,
        )
        same = rng.choice([other for other in relation.forms if other != form])
        someone = rng.choice(subjects[fact.relation])
        if someone == fact.subject or rng.random() < 0.3:
            someone = names.near(fact.subject)
        asked = ask(rng.choice(others(relation, known.values())), rng)
        pairs += [
            Pair(same.replace("{s}", fact.subject), edit, True, "paraphrase"),
            Pair(same.replace("{s}", someone), edit, False, "other_subject"),
            Pair(asked.replace("{s}", fact.subject), edit, False, "other_relation"),
        ]
    return pairs


def halves(facts: Sequence[Fact], pairs: Sequence[Pair]) -> tuple[list[int], list[int]]:
    """Split the near misses of facts by subject: places of those to fit to, and to measure on.

    Args:
        facts: What the pairs were made of.
        pairs: As many of each fact, in the same order.
    """
    each = len(pairs) // max(1, len(facts))
    first = [share_of(facts[place // each].subject) < 0.5 for place in range(len(pairs))]
    return (
        [place for place, own in enumerate(first) if own],
        [place for place, own in enumerate(first) if not own],
    )


def measure(pairs: Sequence[Pair], chances: Sequence[float]) -> dict[str, Any]:
    """Return how well probabilities separate the pairs, and how well they hold.

    Returns:
        ``auc`` by kind out of scope, against all pairs in scope; ``ece`` and
        ``reliability`` of all pairs; ``pairs``, their number.
    """
    labels = [pair.in_scope for pair in pairs]
    right = [chance for chance, label in zip(chances, labels, strict=True) if label]
    kinds: defaultdict[str, list[float]] = defaultdict(list)
    for pair, chance in zip(pairs, chances, strict=True):
        if not pair.in_scope:
            kinds[pair.kind].append(chance)
    return {
        "pairs": len(pairs),
        "auc": {kind: _rounded(area_under_curve(right, own)) for kind, own in kinds.items()},
        "ece": calibration_error(chances, labels),
        "reliability": reliability(chances, labels),
    }


def passed(pairs: Sequence[Pair], chances: Sequence[float], threshold: float) -> dict[str, float]:
    """Return, by kind, the share of pairs that a threshold lets pass."""
    kinds: defaultdict[str, list[bool]] = defaultdict(list)
    for pair, chance in zip(pairs, chances, strict=True):
        kinds[pair.kind].append(chance >= threshold)
    return {kind: round(sum(own) / len(own), 4) for kind, own in sorted(kinds.items())}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
