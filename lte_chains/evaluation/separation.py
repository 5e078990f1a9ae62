"""How well a gate's scores keep questions apart, and how far they can be believed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import DataError, InvalidEditError
from lte_chains.interchange import edit_from_dict
from lte_chains.memory import EditMemory
from lte_chains.retriever import EditRetriever
from lte_chains.scope import CrossEncoderGate, ScopeGate, SimilarityGate
from lte_chains.scope.calibration import area_under_curve, calibration_error, reliability
from lte_chains.scope.similarity import best_cosines

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Thresholds for which passing and false firing are reported together."""


def separation(
    in_scope: Mapping[str, Sequence[tuple[str | None, str]]],
    out_of_scope: Sequence[str],
    retriever: EditRetriever,
) -> dict[str, Any]:
    """Compare the scores of right edits with those of edits that no question asked for.

    - ``auc``: per kind of question, the chance that its right edit has a
      higher score than the best candidate of an out-of-scope question.
    - ``trade_off``: per threshold, the share of right edits that reach it (by
      kind) and the share of out-of-scope questions with any edit that does.
    - ``ece`` and ``reliability``: what the gate says of these edits against
      what is true; only a calibrated gate's scores are probabilities.

    Args:
        in_scope: By kind, (id of the right edit, question).
        out_of_scope: Questions that depend on no edit.
        retriever: Searches and gates the candidates.
    """
    right = {
        kind: [_score_of(id_, retriever.candidates(question)) for id_, question in probes]
        for kind, probes in in_scope.items()
    }
    wrong = [
        max((m.score for m in retriever.candidates(question)), default=0.0)
        for question in out_of_scope
    ]
    flat = [score for scores in right.values() for score in scores]
    chances = [min(max(score, 0.0), 1.0) for score in (*flat, *wrong)]
    labels = [True] * len(flat) + [False] * len(wrong)
    return {
        "auc": {kind: _rounded(area_under_curve(own, wrong)) for kind, own in right.items()},
        "trade_off": [_point(threshold, right, wrong) for threshold in THRESHOLDS],
        "ece": calibration_error(chances, labels),
        "reliability": reliability(chances, labels),
    }


@dataclass(frozen=True)
class LabelledPair:
    """A question, an edit, and whether the one depends on the other."""

    question: str
    edit: Edit
    in_scope: bool
    kind: str


def read_pairs(path: str | Path) -> list[LabelledPair]:
    """Read labelled pairs: a JSON list of ``{"question", "edit", "in_scope", "kind"}``.

    Raises:
        DataError: The file cannot be read, or a row is none; the message names the row.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON in UTF-8: {error}") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path} must hold a JSON list of pairs")
    pairs = []
    for number, row in enumerate(rows, 1):
        try:
            edit = edit_from_dict(row["edit"])
            pairs.append(LabelledPair(row["question"], edit, bool(row["in_scope"]), row["kind"]))
        except (KeyError, TypeError, InvalidEditError, DataError) as error:
            raise DataError(f"{path}, row {number}: {error}") from error
    return pairs


def judge_pairs(
    pairs: Sequence[LabelledPair], gate: ScopeGate, memory: EditMemory
) -> dict[str, Any]:
    """Return how well a gate tells pairs in scope from each kind that is not.

    Args:
        pairs: They need not be edits of the memory.
        gate: The scope gate.
        memory: Its embedder says how near each question is to its edit.

    Returns:
        ``pairs``, their number; ``auc`` by kind out of scope; ``ece`` and ``reliability``.
    """
    if isinstance(gate, SimilarityGate | CrossEncoderGate):
        gate = gate.for_embedder(memory.fingerprint)
    cosines = best_cosines(memory, [(pair.question, pair.edit) for pair in pairs])
    scores = [
        gate.judge(pair.question, [EditMatch(edit=pair.edit, score=cosine)])[0].score
        for pair, cosine in zip(pairs, cosines, strict=True)
    ]
    labels = [pair.in_scope for pair in pairs]
    right = [score for score, label in zip(scores, labels, strict=True) if label]
    wrong: defaultdict[str, list[float]] = defaultdict(list)
    for pair, score in zip(pairs, scores, strict=True):
        if not pair.in_scope:
            wrong[pair.kind].append(score)
    return {
        "pairs": len(pairs),
        "auc": {kind: _rounded(area_under_curve(right, own)) for kind, own in wrong.items()},
        "ece": calibration_error(scores, labels),
        "reliability": reliability(scores, labels),
    }


def _score_of(id_: str | None, judged: Sequence[EditMatch]) -> float:
    return next((match.score for match in judged if match.edit.id == id_), 0.0)


def _point(
    threshold: float, right: Mapping[str, Sequence[float]], wrong: Sequence[float]
) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "passed": {kind: _share(own, threshold) for kind, own in right.items()},
        "false_fire": _share(wrong, threshold),
    }


def _share(scores: Sequence[float], threshold: float) -> float | None:
    return round(sum(s >= threshold for s in scores) / len(scores), 4) if scores else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
