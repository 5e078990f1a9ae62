"""Choose the similarity gate's threshold for an embedder, on train rows only.

Every source is a memory of its own: all its edits are indexed as `EditMemory`
indexes them, then its in-scope wordings and its out-of-scope questions are
asked. A wording passes if its own edit is among the three nearest and reaches
the threshold; a question fires falsely if any edit reaches it.

    python -m lte_chains.training.calibrate_similarity --data DATA --out similarity.json

DATA holds knowedit/wiki_counterfact_train_cf.json, counterfact/counterfact_train.json,
pokemqa/edit_questions.json and hallueditbench/*.csv. `calibrate` does the same
for sources and an embedder of your own.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from lte_chains.edit import Edit
from lte_chains.embeddings import default_embeddings, fingerprint
from lte_chains.wordings import wordings

_log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

K = 3
"""Places that the retriever has by default."""
MISS_WEIGHT = 2.0
"""What a missed wording costs, against 1 for a false fire. A missed one leaves the old answer
standing; a false fire puts a fact before a question to which it does not matter, and the model
is aligned to ignore it there."""
GRID = np.round(np.arange(0.30, 0.96, 0.01), 2)
"""Thresholds that are tried."""


@dataclass(frozen=True)
class Source:
    """Edits, wordings that each must answer to, and questions that none may answer to."""

    name: str
    edits: Sequence[Edit]
    in_scope_kind: str
    in_scope: Sequence[tuple[int, str]]
    """(index of the right edit, wording)."""
    out_of_scope_kind: str = ""
    out_of_scope: Sequence[str] = ()


@dataclass(frozen=True)
class Scores:
    """Cosines of one source."""

    source: Source
    right: Floats
    """Of each wording with its own edit; -1 where that is not among the k nearest."""
    nearest: Floats
    """Of each out-of-scope question with the nearest edit."""

    def passed(self, threshold: float) -> float:
        """Return the share of in-scope wordings that get their edit."""
        return float((self.right >= threshold).mean())

    def fired(self, threshold: float) -> float:
        """Return the share of out-of-scope questions that get any edit."""
        return float((self.nearest >= threshold).mean())


def calibrate(sources: Sequence[Source], embeddings: Embeddings) -> dict[str, Any]:
    """Return the threshold of least cost, with counts and rates per kind and the whole curve.

    The cost is `MISS_WEIGHT` times the mean miss rate over the in-scope kinds,
    plus the mean false-fire rate over the out-of-scope kinds: each kind counts
    the same, however many rows it has. The lowest of equal thresholds wins.
    """
    scores = []
    for source in sources:
        _log.info("scoring %s: %d edits", source.name, len(source.edits))
        scores.append(score(source, embeddings))
    curve = [_point(scores, float(threshold)) for threshold in GRID]
    best = min(curve, key=lambda point: point["cost"])
    return {
        "embedder": fingerprint(embeddings),
        "threshold": best["threshold"],
        "cost": f"{MISS_WEIGHT:g} * mean miss rate + mean false-fire rate",
        "k": K,
        "counts": {
            source.name: {
                "edits": len(source.edits),
                source.in_scope_kind: len(source.in_scope),
                **(
                    {source.out_of_scope_kind: len(source.out_of_scope)}
                    if source.out_of_scope
                    else {}
                ),
            }
            for source in sources
        },
        "at_threshold": best,
        "curve": curve,
    }


def score(source: Source, embeddings: Embeddings) -> Scores:
    """Embed a source and compare its questions with its edits."""
    texts = [wordings(edit) for edit in source.edits]
    starts = np.cumsum([0, *(len(own) for own in texts[:-1])])
    edits = _embed(embeddings, [text for own in texts for text in own])
    owners = np.array([owner for owner, _ in source.in_scope])
    asked = _embed(embeddings, [wording for _, wording in source.in_scope])
    right = []
    for start in range(0, len(asked), 512):
        # An edit's cosine is that of its best wording, as in a search.
        cosines = np.maximum.reduceat(asked[start : start + 512] @ edits.T, starts, axis=1)
        own = cosines[np.arange(len(cosines)), owners[start : start + 512]]
        nearer = (cosines > own[:, None] + 1e-6).sum(axis=1)
        right.append(np.where(nearer < K, own, -1.0))
    questions = _embed(embeddings, source.out_of_scope)
    nearest = [
        (questions[start : start + 512] @ edits.T).max(axis=1)
        for start in range(0, len(questions), 512)
    ]
    return Scores(source, np.concatenate(right), np.concatenate([*nearest, np.empty(0)]))


def read_sources(data: Path) -> list[Source]:
    """Read the four train sources; no row of an evaluation file is among them."""
    return [
        _wiki_counterfact(data / "knowedit" / "wiki_counterfact_train_cf.json"),
        _counterfact(data / "counterfact" / "counterfact_train.json"),
        _pokemqa(data / "pokemqa" / "edit_questions.json"),
        _hallueditbench(data / "hallueditbench"),
    ]


def _wiki_counterfact(path: Path) -> Source:
    rows = _json(path)
    return Source(
        "wiki_counterfact",
        [_edit(row) for row in rows],
        "subject_alias",
        [
            (i, probe["prompt"])
            for i, row in enumerate(rows)
            for probe in row["portability"].get("Subject_Aliasing", ())
        ],
        "same_subject_other_relation",
        [
            probe["prompt"]
            for row in rows
            for probe in row["locality"].get("Relation_Specificity", ())
        ],
    )


def _counterfact(path: Path) -> Source:
    rows = _json(path)
    return Source(
        "counterfact",
        [_edit(row) for row in rows],
        "rephrasing_with_noise",
        [(i, row["rephrase_prompt"]) for i, row in enumerate(rows)],
        "same_relation_other_subject",
        [row["locality_prompt"] for row in rows],
    )


def _pokemqa(path: Path) -> Source:
    rows = _json(path)
    return Source(
        "pokemqa",
        [Edit.from_statement(row["edit"]) for row in rows],
        "question_about_a_statement",
        [(i, question) for i, row in enumerate(rows) for question in row["questions"]],
    )


def _hallueditbench(folder: Path) -> Source:
    rows: list[dict[str, str]] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            rows.extend(row for row in csv.DictReader(lines) if row["question"] and row["object"])
    return Source(
        "hallueditbench",
        [Edit(prompt=row["question"], target_new=row["object"]) for row in rows],
        "paraphrase",
        [(i, text) for i, row in enumerate(rows) if (text := row["paraphrased_question"])],
        "same_subject_other_question",
        [text for row in rows if (text := row["locality_question"])],
    )


def _edit(row: dict[str, Any]) -> Edit:
    return Edit(prompt=row["prompt"], target_new=row["target_new"], subject=row["subject"])


def _json(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def _embed(embeddings: Embeddings, texts: Sequence[str]) -> Floats:
    if not texts:
        return np.empty((0, 1), dtype=np.float32)
    # Short texts beside short ones: far less padding, the same vectors.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.array(embeddings.embed_documents([texts[i] for i in order]), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    restored = np.empty_like(vectors)
    restored[order] = vectors
    return restored


def _counts(source: Source) -> dict[str, int]:
    counts = {"edits": len(source.edits), source.in_scope_kind: len(source.in_scope)}
    if source.out_of_scope:
        counts[source.out_of_scope_kind] = len(source.out_of_scope)
    return counts


def _point(scores: Sequence[Scores], threshold: float) -> dict[str, Any]:
    passed = {s.source.in_scope_kind: s.passed(threshold) for s in scores}
    fired = {s.source.out_of_scope_kind: s.fired(threshold) for s in scores if s.nearest.size}
    cost = MISS_WEIGHT * (1 - np.mean(list(passed.values()))) + np.mean(list(fired.values()))
    return {
        "threshold": threshold,
        "cost": round(float(cost), 4),
        "pass": {kind: round(rate, 4) for kind, rate in passed.items()},
        "false_fire": {kind: round(rate, 4) for kind, rate in fired.items()},
    }


def main() -> None:
    """Run the calibration of the default embedder and write its result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the train files")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    result = calibrate(read_sources(arguments.data), default_embeddings())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["at_threshold"], indent=1))


if __name__ == "__main__":
    main()
