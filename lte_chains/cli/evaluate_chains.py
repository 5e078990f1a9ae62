"""`lte-chains evaluate chains`: are all edits of a composed question found?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lte_chains.cli.options import JsonOption, LimitOption, SeedOption, TopKOption
from lte_chains.cli.render import print_json, print_table

_MEASURES = (
    ("complete", "complete"),
    ("complete without hops", "complete_without_hops"),
    ("complete, k nearest", "complete_ungated"),
    ("recall", "recall"),
    ("in order", "in_order"),
    ("precision", "precision"),
    ("precision of hops", "hop_precision"),
    ("distracted", "distracted"),
)


def chains(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="Triples: a table with relation, subject and object, or JSON.",
            exists=True,
            dir_okay=False,
        ),
    ],
    k: TopKOption = 6,
    lengths: Annotated[
        str, typer.Option(help="Numbers of edits in a chain, with commas between.")
    ] = "2,3,4",
    count: Annotated[int, typer.Option("--chains", min=1, help="Chains of each length.")] = 100,
    distractors: Annotated[int, typer.Option(min=0, help="Edits of other subjects.")] = 1000,
    hops: Annotated[int, typer.Option(min=0, help="Steps that the retriever follows.")] = 3,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Build chains of edits out of triples, and look for them by composed questions.

    Example: lte-chains evaluate chains --data facts.tsv --chains 20 --json
    """
    from lte_chains.evaluation.chains import evaluate_chains

    report = evaluate_chains(
        data,
        k=k,
        lengths=_numbers(lengths),
        chains=count,
        distractors=distractors,
        limit=limit,
        seed=seed,
        hops=hops,
    )
    if as_json:
        print_json(report)
        return
    by_length = report["chains"]
    print_table(
        f"{report['edits']} edits, k={k}, seed {seed}, {report['gate']}",
        ("chains", *(f"{length} edits" for length in by_length)),
        [
            (label, *(_shown(measures[key]) for measures in by_length.values()))
            for label, key in _MEASURES
        ],
    )
    single = report["single"]
    typer.echo(
        f"first facts asked alone: {_shown(single['found'])} found, "
        f"{_shown(single['led_on'])} led on by a hop"
    )


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of whole numbers, such as 2,3,4") from None


def _shown(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"
