"""What each part of the alignment phase is worth, on the embedded model.

    python benchmarks/ablations.py --data DIR --zsre zsre_dev.json --known known.json

Trains the recipe of `lte-tiny` again with one part changed at a time, for fewer
steps and on invented rows alone, with several seeds; asks every result the same
prompts. Before that it asks the shipped weights with other k, another embedder,
another prompt, and with 1 to all edits in memory, added together or one by one.
Finished runs are kept in --out and are not repeated. Writes results.json, a Markdown
table, and a plot.

`known.json` comes from ``python -m lte_chains.training.known_facts``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from lte_chains import EditableLLM, EditMemory, load_model
from lte_chains.answers import alias_match
from lte_chains.cases import read_cases
from lte_chains.errors import ConfigError
from lte_chains.evaluation.alignment import (
    BATCH,
    Questions,
    answer_unedited,
    make_questions,
    measure_model,
)
from lte_chains.models import LocalChatModel
from lte_chains.prompts import split_prompt
from lte_chains.training.align import align
from lte_chains.training.alignment.conversations import has_rows
from lte_chains.training.alignment.data import prepare
from lte_chains.training.alignment.recipe import AlignmentRecipe, parse_recipe, read_recipe

Scores = dict[str, float | None]

LORA = {
    "rank": 16,
    "alpha": 32,
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}
TRAINED: Mapping[str, Mapping[str, Any]] = {
    "the recipe": {},
    "without the threefold strategy": {"parallel": {"extras": [1.0]}},
    "without out-of-scope rows": {"scope": "in"},
    "target always first": {"parallel": {"shuffle": False}},
    "alignment without the prompt": {"style": None},
    "without shared prompts": {"questions": 1},
    "AdamW instead of Muon": {"optimizer": "adamw"},
    "LoRA by AdamW": {"lora": LORA, "learning_rate": 3e-3, "optimizer": "adamw"},
}
"""What is changed in each run; with a style of None, bare facts stand before the questions, of
the rows as of what is asked; with a scope, only rows of it are trained on."""
SHOWN = (
    "edit_success",
    "rephrase",
    "Subject_Aliasing",
    "known Reasoning",
    "known Reasoning_bridged",
    "known Logical_Generalization",
    "known locality_ungated",
    "known recall",
)
PARTS = ("asked", "sizes", "trained")
SIZES = (1, 10, 100, 652)
BATCH_SIZE = 10
"""Sequences in an update of the changed runs."""


class LexicalEmbeddings(Embeddings):
    """Hashed letter trigrams: an embedder that knows spelling and no meaning."""

    fingerprint = "letter-trigrams:512"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts."""
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Embed one text as a unit vector."""
        vector = np.zeros(512)
        padded = f"  {text.casefold()}  "
        for start in range(len(padded) - 2):
            vector[zlib.crc32(padded[start : start + 3].encode()) % 512] += 1
        unit: list[float] = (vector / np.linalg.norm(vector)).tolist()
        return unit


def changed(
    recipe: AlignmentRecipe, changes: Mapping[str, Any], *, seed: int, steps: int
) -> AlignmentRecipe:
    """Return the recipe with one part changed, on as many invented rows as the steps take."""
    if recipe.data is None or recipe.data.invented is None:
        raise ConfigError(f"{recipe.name} makes no rows of its own")
    invented = recipe.data.invented.rows
    per_prompt = changes.get("questions", recipe.data.invented.questions)
    sequences = steps * BATCH_SIZE * recipe.data.invented.questions / per_prompt
    share = sequences / sum(invented.values())
    content = json.loads(json.dumps(asdict(recipe)))
    content["seed"] = seed
    content["data"]["sources"] = []
    content["data"]["parallel"] |= changes.get("parallel", {})
    rows = {kind: round(count * share) for kind, count in invented.items()}
    content["max_steps"], content["save_every"] = steps, steps
    content["batch_size"] = content["micro_batch_size"] = BATCH_SIZE
    content["data"]["invented"] |= {"rows": rows, "questions": per_prompt}
    for name in ("lora", "learning_rate", "optimizer"):
        if name in changes:
            content[name] = changes[name]
    return parse_recipe(content)


def rows_for(plan: AlignmentRecipe, changes: Mapping[str, Any], data: Path, folder: Path) -> Path:
    """Make the rows of a run, once, and take from them what the run is without."""
    if has_rows(folder) or plan.data is None:
        return folder
    prepare(plan.data, data, folder, seed=plan.seed)
    train = folder / "train.jsonl"
    rows = [json.loads(line) for line in train.read_text(encoding="utf-8").splitlines()]
    if "scope" in changes:
        rows = [row for row in rows if row["scope"] == changes["scope"]]
    if "style" in changes:
        for row in rows:
            facts, question = split_prompt(row["messages"][0]["content"])
            row["messages"][0]["content"] = "\n".join([*facts, question])
    train.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return folder


def open_result(folder: Path, base: str) -> LocalChatModel:
    """Open what a run ended in."""
    if (folder / "adapter_config.json").is_file():
        return load_model(base, adapter=folder, max_new_tokens=32, batch_size=BATCH)
    return load_model(folder, max_new_tokens=32, batch_size=BATCH)


class Bench:
    """Everything that the arms share: the questions, the base and its own answers."""

    def __init__(self, zsre: Path, known: Path, base: str, *, limit: int | None) -> None:
        """Make the questions, and ask the base without edits."""
        self.zsre, self.known, self._limit = zsre, known, limit
        self.base = load_model(base, max_new_tokens=32, batch_size=BATCH)
        self._made: dict[str, tuple[Questions, dict[str, str]]] = {}

    def scores(self, model: LocalChatModel, **settings: Any) -> Scores:
        """Ask a model both files' questions, made with these settings."""
        scores: Scores = {}
        for name, path in (("", self.zsre), ("known ", self.known)):
            questions, original = self._questions(path, settings)
            measured = measure_model(model, questions, original)
            scores |= {f"{name}{measure}": value for measure, value in measured.items()}
        return scores

    def _questions(
        self, path: Path, settings: Mapping[str, Any]
    ) -> tuple[Questions, dict[str, str]]:
        key = repr((path, sorted(settings.items(), key=str)))
        if key not in self._made:
            # Fluency takes longer than all else, and is not shown.
            questions = replace(make_questions(path, limit=self._limit, **settings), free=())
            self._made[key] = questions, answer_unedited(self.base, questions)
        return self._made[key]


def train_arms(given: argparse.Namespace, bench: Bench, results: dict[str, list[Scores]]) -> None:
    """Train and measure each changed recipe with each seed, those done already aside."""
    recipe = read_recipe("lte-tiny-first")
    for seed in range(given.seeds):
        for name, changes in TRAINED.items():
            if len(results.get(name, [])) > seed:
                continue
            folder = given.out / f"{name.replace(' ', '-')}-{seed}"
            plan = changed(recipe, changes, seed=seed, steps=given.steps)
            align(plan, rows_for(plan, changes, given.data, folder / "data"), folder)
            asked = {"style": None} if "style" in changes else {}
            scores = bench.scores(open_result(folder / "model", recipe.model), **asked)
            results.setdefault(name, []).append(scores)
            save(results, given.out)


def ask_arms(
    bench: Bench, model: LocalChatModel, results: dict[str, list[Scores]], out: Path
) -> None:
    """Ask the base and the shipped weights in other ways."""
    ways: dict[str, tuple[LocalChatModel, dict[str, Any]]] = {
        "base, same prompt": (bench.base, {}),
        "shipped weights": (model, {}),
        "k = 1, as retrieved": (model, {"k": 1, "retrieved": True}),
        "k = 3, as retrieved": (model, {"k": 3, "retrieved": True}),
        "k = 5, as retrieved": (model, {"k": 5, "retrieved": True}),
        "edits without the prompt's words": (model, {"style": None}),
        "no gate, as retrieved": (model, {"gated": False, "retrieved": True}),
        "no gate, letters instead of MiniLM": (
            model,
            {"gated": False, "retrieved": True, "embeddings": LexicalEmbeddings()},
        ),
    }
    for name, (asked, settings) in ways.items():
        if name not in results:
            results[name] = [bench.scores(asked, **settings)]
            save(results, out)


def ask_by_size(
    bench: Bench, model: LocalChatModel, results: dict[str, list[Scores]], out: Path
) -> None:
    """Ask for the first edits with 1 to all of them in memory, added at once or one by one."""
    cases = read_cases(bench.zsre)
    for size in SIZES:
        for way in ("batch", "sequential"):
            name = f"{size} edits, {way}"
            if name in results:
                continue
            chosen = cases[:size]
            with EditMemory.open(":memory:") as memory:
                edits = [case.edit for case in chosen]
                for part in [edits] if way == "batch" else [[edit] for edit in edits]:
                    memory.add_edits(part)
                llm = EditableLLM(llm=model, retriever=memory.as_retriever(k=3))
                results[name] = [
                    {
                        "edit_success": _share(llm, [(c.edit.prompt, c.answers) for c in chosen]),
                        "rephrase": _share(
                            llm, [(p.prompt, p.answers) for c in chosen for p in c.rephrase]
                        ),
                    }
                ]
            save(results, out)


def _share(llm: EditableLLM, asked: Sequence[tuple[str, tuple[str, ...]]]) -> float:
    answers = llm.batch([prompt for prompt, _ in asked])
    hits = [
        alias_match(answer.text, right) for answer, (_, right) in zip(answers, asked, strict=True)
    ]
    return round(statistics.fmean(hits), 4)


def save(results: Mapping[str, list[Scores]], out: Path) -> None:
    """Keep the results, so that a run that is stopped goes on where it was."""
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def table(results: Mapping[str, list[Scores]]) -> str:
    """Write the results as Markdown: the mean, and the spread where there are several seeds."""
    lines = [f"| | {' | '.join(SHOWN)} |", f"|---|{'---|' * len(SHOWN)}"]
    for name, runs in results.items():
        cells = [_cell([value for run in runs if (value := run.get(m)) is not None]) for m in SHOWN]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


def plot(results: Mapping[str, list[Scores]], path: Path) -> None:
    """Draw rephrasings and ungated locality of the trained arms, beside the base's."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = [name for name in ("base, same prompt", *TRAINED) if name in results]
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for offset, measure in enumerate(("rephrase", "known Reasoning", "known locality_ungated")):
        heights = [
            statistics.fmean(
                value for run in results[name] if (value := run.get(measure)) is not None
            )
            for name in names
        ]
        places = [place + 0.27 * (offset - 1) for place in range(len(names))]
        axes.bar(places, heights, width=0.25, label=measure)
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names], fontsize=8)
    axes.set_ylim(0, 1)
    axes.legend(loc="upper left", fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run what is not done yet, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the recipe's files")
    parser.add_argument("--zsre", type=Path, help="rows that nothing was trained on")
    parser.add_argument("--known", type=Path, help="rows about facts that the base knows")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=400, help="length of every training")
    parser.add_argument("--limit", type=int, help="ask the first rows of each file only")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to run")
    given = parser.parse_args()
    if not (given.data and given.zsre and given.known):
        print(
            "skipped: trains for half an hour, and needs --data, --zsre and --known",
            file=sys.stderr,
        )
        return
    given.out.mkdir(parents=True, exist_ok=True)
    kept = given.out / "results.json"
    results: dict[str, list[Scores]] = json.loads(kept.read_text()) if kept.exists() else {}
    bench = Bench(given.zsre, given.known, read_recipe("lte-tiny-first").model, limit=given.limit)
    shipped = load_model("lte-tiny", max_new_tokens=32, batch_size=BATCH)
    if "asked" in given.parts:
        ask_arms(bench, shipped, results, given.out)
    if "sizes" in given.parts:
        ask_by_size(bench, shipped, results, given.out)
    if "trained" in given.parts:
        train_arms(given, bench, results)
    (given.out / "table.md").write_text(table(results), encoding="utf-8")
    plot(results, given.out / "ablations.png")
    print(table(results))


if __name__ == "__main__":
    main()
