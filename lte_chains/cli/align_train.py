"""`lte-chains align train`: fine-tune a model on training rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lte_chains.cli.options import JsonOption
from lte_chains.cli.render import print_json, print_table


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe in YAML, or the name of one that ships with lte-chains.")
    ],
    data: Annotated[
        Path,
        typer.Option("--data", help="Rows (.jsonl), or a folder with train.jsonl and dev.jsonl."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results; runs/NAME if not given."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Begin with this model instead of the recipe's."),
    ] = None,
    evaluate: Annotated[
        Path | None,
        typer.Option(
            "--evaluate",
            help="A KnowEdit file: its scores go into the model card.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Teach a model to apply edits; the same command takes up an unfinished run.

    Example: lte-chains align train lte-tiny --data DIR --out runs/tiny
    """
    from lte_chains.training.align import align
    from lte_chains.training.alignment.recipe import change_recipe, read_recipe

    plan = read_recipe(recipe)
    if model is not None:
        plan = change_recipe(plan, model=model)
    folder = out or Path("runs") / plan.name
    record = align(plan, data, folder, evaluate_on=evaluate, show_progress=sys.stderr.isatty())
    if record is None:  # another process of the same run reports
        return
    result = {"folder": str(folder / "model"), **record.to_json()}
    if as_json:
        print_json(result)
        return
    shown = ("folder", "kind", "base_model", "steps", "train_loss", "dev_loss")
    print_table(plan.name, ("result", "value"), [(name, result[name]) for name in shown])
