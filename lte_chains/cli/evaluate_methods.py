"""`lte-chains evaluate knowedit --methods …`: methods of editing side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lte_chains.cli.options import JsonOption, LimitOption, ModelOption, TopKOption
from lte_chains.cli.render import print_json, print_table

MethodsOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES|all",
        help="Compare methods of editing, with commas between: lte, ice, ike, ft-l, ft-m, lora, "
        "rome, memit, mend, serac, instruct-edit, or all. Without it LTE alone is measured.",
    ),
]
RegimeOption = Annotated[
    str,
    typer.Option(help="How many edits are in the model at once: single, batch:N or sequential:N."),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        help="The model before alignment, which the other methods edit; by default the model's "
        "own unedited view."
    ),
]
EditorsOption = Annotated[
    Path | None,
    typer.Option(help="A folder of trained editors, from `align editors`.", file_okay=False),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        help="Methods' settings in YAML, such as 'ft-m: {steps: 40}'; tune_editors.py writes one.",
        exists=True,
        dir_okay=False,
    ),
]
LteGateOption = Annotated[
    Literal["default", "trained", "similarity", "none"],
    typer.Option(
        help="LTE's scope gate; none puts the nearest edits before every question.",
    ),
]
TrainDataOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Rows not evaluated on, for IKE's demonstrations and ROME's and MEMIT's statistics; "
        "may be repeated.",
        exists=True,
        dir_okay=False,
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes side by side, each with the models in its memory; by default one per core "
        "for an embedded model, else one.",
    ),
]
ResultsOption = Annotated[
    Path | None,
    typer.Option(
        help="A folder for the results of each row and the report; an interrupted run goes on "
        "from it, with more methods or, of single edits, more rows.",
        file_okay=False,
    ),
]


def compare(
    data: Path,
    model: str,
    *,
    methods: str,
    regime: str,
    base: str | None,
    editors: Path | None,
    train_data: Sequence[Path],
    settings: Path | None,
    results: Path | None,
    gate: str,
    k: int,
    jobs: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a comparison and print one report; `options` go to `ComparisonConfig`."""
    from lte_chains.evaluation.comparison import ComparisonConfig, compare_methods
    from lte_chains.evaluation.editors.opening import open_resources
    from lte_chains.evaluation.regimes import Regime
    from lte_chains.evaluation.report import comparison_tables, write_report

    names = [name.strip() for name in methods.split(",") if name.strip()]
    config = ComparisonConfig(
        methods=names,
        regime=Regime.parse(regime),
        jobs=jobs or _jobs(model, base),
        **options,
    )
    resources = open_resources(
        model,
        base=base,
        editors=editors,
        train_data=train_data,
        held_out=data,
        settings=settings,
        gate=gate,
        k=k,
    )
    report = compare_methods(data, resources, config, results=results)
    if results is not None:
        for path in write_report(report, results):
            typer.echo(f"wrote {path}", err=True)
    if as_json:
        print_json(report)
        return
    for title, columns, rows in comparison_tables(report):
        print_table(title, columns, rows)


def _jobs(*models: str | None) -> int:
    """Return how many processes do not overfill a machine: one, if a model may be large."""
    from lte_chains.evaluation.environment import cores
    from lte_chains.local.loading import EMBEDDED

    small = all(name is None or name in EMBEDDED for name in models)
    return cores() if small else 1


def decay(
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            help="A KnowEdit file; may be repeated, until there are rows enough for the last "
            "checkpoint.",
            exists=True,
            dir_okay=False,
        ),
    ],
    model: ModelOption = "lte-tiny",
    methods: Annotated[
        str, typer.Option(metavar="NAMES|all", help="Methods, with commas between.")
    ] = "lte",
    checkpoints: Annotated[
        str, typer.Option(help="After how many edits is asked, with commas between.")
    ] = "1,10,100,1000",
    batch: Annotated[
        bool, typer.Option("--batch", help="Make each checkpoint's edits at once.")
    ] = False,
    base: BaseOption = None,
    editors: EditorsOption = None,
    train_data: TrainDataOption = None,
    settings: SettingsOption = None,
    text: Annotated[
        Path | None,
        typer.Option(
            help="Held-out text for perplexity: its first 200 paragraphs are read.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    results: ResultsOption = None,
    k: TopKOption = 3,
    limit: LimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make more and more edits: do they hold, do the first ones, and what is lost beside them?

    Example: lte-chains evaluate decay --data zsre.json --methods lte,ft-m,memit
    """
    from lte_chains.evaluation.decay import DecayConfig, compare_decay
    from lte_chains.evaluation.decay_report import decay_tables, write_decay
    from lte_chains.evaluation.editors.opening import open_resources

    try:
        numbers = tuple(int(part) for part in checkpoints.split(","))
    except ValueError:
        raise typer.BadParameter(f"{checkpoints!r} is no list of whole numbers") from None
    report = compare_decay(
        data,
        open_resources(
            model,
            base=base,
            editors=editors,
            train_data=train_data or (),
            held_out=data,
            settings=settings,
            k=k,
        ),
        methods=[name.strip() for name in methods.split(",") if name.strip()],
        config=DecayConfig(checkpoints=numbers, sequential=not batch),
        texts=_paragraphs(text),
        limit=limit,
        results=results,
    )
    if results is not None:
        for path in write_decay(report, results):
            typer.echo(f"wrote {path}", err=True)
    if as_json:
        print_json(report)
        return
    for title, columns, rows in decay_tables(report):
        print_table(title, columns, rows)


def _paragraphs(path: Path | None, most: int = 200) -> list[str]:
    if path is None:
        return []
    parts = path.read_text(encoding="utf-8").split("\n\n")
    return [part.strip() for part in parts if part.strip()][:most]
