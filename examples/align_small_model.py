"""Align a small instruct model with LoRA, and see what it got better at.

    python examples/align_small_model.py --rows train.json --judge zsre_dev.json

`--rows` is any file of editing rows that `lte-chains align data` reads, `--judge` a
KnowEdit file that nothing is trained on. The model is fetched from the hub; `--model`
takes another id or a folder. Half a billion parameters need a GPU of 8 GB and about
an hour for 60,000 rows. Run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lte_chains import load_model
from lte_chains.evaluation.alignment import evaluate_alignment
from lte_chains.training.align import align
from lte_chains.training.alignment.recipe import change_recipe, read_recipe
from lte_chains.training.parallel import build_parallel_data, read_source, subjects_of, write_data


def make_rows(rows: list[Path], judge: Path, out: Path, *, limit: int | None) -> Path:
    """Make parallel data, without anything about the subjects that are judged by."""
    if not (out / "train.jsonl").is_file():
        cases = [case for path in rows for case in read_source(path, limit=limit)]
        held_out = subjects_of(read_source(judge), name=judge.name)
        write_data(build_parallel_data(cases, held_out=held_out), out)
    return out


def main() -> None:
    """Make rows, align, and compare before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, nargs="+", required=True)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--recipe", default="qwen2.5-0.5b-lora")
    parser.add_argument("--model", help="another model than the recipe's")
    parser.add_argument("--out", type=Path, default=Path("runs/small"))
    parser.add_argument("--limit", type=int, help="use the first cases of every file only")
    parser.add_argument("--max-steps", type=int, help="end the training after so many updates")
    given = parser.parse_args()

    recipe = read_recipe(given.recipe)
    recipe = change_recipe(recipe, model=given.model or recipe.model, max_steps=given.max_steps)
    rows = make_rows(given.rows, given.judge, given.out / "rows", limit=given.limit)
    align(recipe, rows, given.out, show_progress=True)

    base = load_model(recipe.model, max_new_tokens=64)
    aligned = load_model(recipe.model, adapter=given.out / "model", max_new_tokens=64)
    report = evaluate_alignment(given.judge, base, aligned, limit=given.limit)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
