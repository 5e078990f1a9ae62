"""From a model's scores to probabilities, and from probabilities to a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any

from lte_chains.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MISS_WEIGHT = 2.0
"""What a missed edit costs, against 1 for an edit that is shown to a question which does not
depend on it. A missed one leaves the old answer standing; an aligned model is trained to ignore
one too many."""

_BINS = 10
_PRIOR = 1.0
_COSINE_PRIOR = 0.02
"""Less, as cosines of candidates lie close together and so get a large weight."""
_STEPS = 50
_SHARES = tuple(0.5**halved for halved in range(12))


@dataclass(frozen=True)
class Calibration:
    """Platt's map from a score to a probability, with a second score beside the model's.

    The probability is sigmoid(slope * score + similarity * cosine + intercept).

    Raises:
        ConfigError: The slope is not positive, the similarity's weight is negative, or a
            number is not finite.

    Example:
        >>> Calibration().probability(0.0)
        0.5
        >>> Calibration(1.0, -4.0, 5.0).probability(0.0, 0.8)
        0.5
    """

    slope: float = 1.0
    intercept: float = 0.0
    similarity: float = 0.0
    """Weight of the embedder's cosine; it holds for that embedder only."""

    def __post_init__(self) -> None:
        """Check that a higher score stays a higher probability."""
        finite = all(map(math.isfinite, (self.slope, self.intercept, self.similarity)))
        if not (finite and self.slope > 0 and self.similarity >= 0):
            raise ConfigError(
                "a calibration needs a positive slope, a similarity of at least 0 and finite "
                f"numbers, not {asdict(self)}"
            )

    def probability(self, score: float, cosine: float = 0.0) -> float:
        """Return the probability that a score stands for, beside an embedder's cosine."""
        return _sigmoid(self.slope * score + self.similarity * cosine + self.intercept)


def fit(
    scores: Sequence[float],
    labels: Sequence[bool],
    *,
    cosines: Sequence[float] | None = None,
    start: Calibration | None = None,
) -> Calibration:
    """Fit a calibration to labelled scores by Newton's method.

    A weak pull towards `start` keeps few rows, and rows that are perfectly
    separated, from making the gate surer than they warrant.

    Args:
        scores: What the model gave.
        labels: Whether each was in scope.
        cosines: What the embedder gave; without them the cosine gets no weight.
        start: The calibration to begin with and to lean on; none at all if None.

    Raises:
        ConfigError: There are not as many scores and cosines as labels, or none.
    """
    import numpy as np

    columns = [scores] if cosines is None else [scores, cosines]
    if any(len(column) != len(labels) for column in columns) or not len(labels):
        given = " and ".join(str(len(column)) for column in columns)
        raise ConfigError(
            f"calibration needs one label for each score, not {len(labels)} for {given}"
        )
    prior = start or Calibration()
    # Slope, intercept, weight of the cosine: the order of a calibration's fields.
    x = np.array([scores, [1.0] * len(labels), *columns[1:]], dtype=np.float64).T
    centre = np.array(astuple(prior))[: x.shape[1]]
    return Calibration(*_newton(x, np.asarray(labels, dtype=np.float64), centre))


def _newton(x: Floats, y: Floats, centre: Floats) -> list[float]:
    """Fit a logistic regression of x, shape (rows, 2 or 3), to y, leaning on `centre`."""
    import numpy as np

    pull = np.array([_PRIOR, _PRIOR, _COSINE_PRIOR])[: len(centre)]
    least = np.array([1e-3, -np.inf, 0.0])[: len(centre)]

    def loss(weights: Floats) -> float:
        logits = x @ weights
        missed = np.logaddexp(0, logits) - y * logits
        return float(missed.sum() + 0.5 * (pull * (weights - centre) ** 2).sum())

    weights, reached = centre, loss(centre)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -40, 40)))
        gradient = x.T @ (p - y) + pull * (weights - centre)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + np.diag(pull)
        step = np.linalg.solve(curvature, gradient)
        # A whole step may go too far, where many probabilities are near 0 or 1.
        for share in _SHARES:
            tried = np.maximum(weights - share * step, least)
            if loss(tried) < reached:
                break
        else:
            break
        weights, reached = tried, loss(tried)
    found: list[float] = weights.tolist()
    return found


def least_cost(
    in_scope: Sequence[float],
    out_of_scope: Sequence[float],
    *,
    miss_weight: float = MISS_WEIGHT,
    slack: float = 0.0,
) -> float:
    """Return the threshold of least cost: `miss_weight` * miss rate + false-fire rate.

    Every midpoint between neighbouring probabilities is tried; of equally cheap
    ones the middle of the widest gap is taken, which is furthest from mistakes.
    With `slack`, the lowest of those that cost at most so much more.

    Args:
        in_scope: Probabilities of the right edits of questions.
        out_of_scope: The highest probability of any edit, for questions that none concerns.
        miss_weight: What a miss costs, against 1 for a false fire.
        slack: What passing more may cost. Questions that are worded less like the edits than
            those given here are missed sooner than others fire.

    Raises:
        ConfigError: One of the two is empty, or the weight is not positive.

    Example:
        >>> least_cost([0.9, 0.8], [0.2, 0.1])
        0.5
        >>> least_cost([0.9, 0.8], [0.2, 0.1], slack=0.5)
        0.15
    """
    import numpy as np

    if not len(in_scope) or not len(out_of_scope):
        raise ConfigError(
            "a threshold needs questions that are in scope and questions that are not: "
            f"got {len(in_scope)} and {len(out_of_scope)}"
        )
    if not miss_weight > 0:
        raise ConfigError(f"miss_weight must be positive, not {miss_weight!r}")
    right, wrong = np.sort(in_scope), np.sort(out_of_scope)
    edges = np.unique(np.concatenate([right, wrong, [0.0, 1.0]]))
    middles = (edges[:-1] + edges[1:]) / 2
    missed = np.searchsorted(right, middles, side="left") / len(right)
    fired = 1 - np.searchsorted(wrong, middles, side="left") / len(wrong)
    cost = miss_weight * missed + fired
    cheapest = np.flatnonzero(cost <= cost.min() + slack + 1e-12)
    if slack:
        return float(np.round(middles[cheapest[0]], 4))
    widest = cheapest[np.argmax((edges[1:] - edges[:-1])[cheapest])]
    return float(np.round(middles[widest], 4))


def area_under_curve(in_scope: Sequence[float], out_of_scope: Sequence[float]) -> float | None:
    """Return the chance that a score in scope is above one out of scope; None without either.

    Example:
        >>> area_under_curve([0.9, 0.4], [0.5, 0.1])
        0.75
    """
    import numpy as np

    if not len(in_scope) or not len(out_of_scope):
        return None
    wrong = np.sort(out_of_scope)
    below = np.searchsorted(wrong, in_scope, side="left")
    at_most = np.searchsorted(wrong, in_scope, side="right")
    return float((below + at_most).mean() / (2 * len(wrong)))


def reliability(probabilities: Sequence[float], labels: Sequence[bool]) -> list[dict[str, Any]]:
    """Return, for each tenth of the scale that has pairs, what was said and what came true.

    Example:
        >>> reliability([0.95, 0.97, 0.02], [True, True, False])
        [{'from': 0.0, 'pairs': 1, 'said': 0.02, 'true': 0.0}, {'from': 0.9, 'pairs': 2, ...}]
    """
    bins: dict[int, list[tuple[float, bool]]] = {}
    for probability, label in zip(probabilities, labels, strict=True):
        bins.setdefault(min(int(probability * _BINS), _BINS - 1), []).append((probability, label))
    return [
        {
            "from": place / _BINS,
            "pairs": len(pairs),
            "said": round(sum(p for p, _ in pairs) / len(pairs), 4),
            "true": round(sum(label for _, label in pairs) / len(pairs), 4),
        }
        for place, pairs in sorted(bins.items())
    ]


def calibration_error(probabilities: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Return the expected calibration error over ten bins; None without pairs.

    Example:
        >>> calibration_error([0.9, 0.9], [True, False])
        0.4
    """
    table = reliability(probabilities, labels)
    total = sum(row["pairs"] for row in table)
    if not total:
        return None
    error: float = sum(row["pairs"] * abs(row["said"] - row["true"]) for row in table) / total
    return round(error, 4)


def _sigmoid(value: float) -> float:
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    grown = math.exp(value)
    return grown / (1 + grown)
