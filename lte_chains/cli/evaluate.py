"""`lte-chains evaluate`: how well edits are found, and how well they are applied."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lte_chains.cli.evaluate_methods import (
    BaseOption,
    EditorsOption,
    JobsOption,
    LteGateOption,
    MethodsOption,
    RegimeOption,
    ResultsOption,
    SettingsOption,
    TrainDataOption,
    compare,
    decay,
)
from lte_chains.cli.options import JsonOption, LimitOption, ModelOption, SeedOption, TopKOption
from lte_chains.cli.render import print_json, print_table

group = typer.Typer(no_args_is_help=True, help="Measure retrieval, or whole answers.")
group.command("decay")(decay)

DataOption = Annotated[
    Path,
    typer.Option(
        "--data", help="A KnowEdit file, such as ZsRE's test rows.", exists=True, dir_okay=False
    ),
]


GateOption = Annotated[
    Literal["default", "trained", "similarity"], typer.Option(help="Which scope gate to use.")
]
PairsOption = Annotated[
    Path | None,
    typer.Option(help="Labelled pairs for the gate to judge too.", exists=True, dir_okay=False),
]
UnrelatedOption = Annotated[
    Path | None,
    typer.Option(
        help="Rows whose prompts no edit should answer: those of other subjects are asked.",
        exists=True,
        dir_okay=False,
    ),
]


@group.command("retrieval")
def retrieval(
    data: DataOption,
    k: TopKOption = 3,
    limit: LimitOption = None,
    gate: GateOption = "default",
    pairs: PairsOption = None,
    unrelated: UnrelatedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put every row's edit into one memory, then look for them by their probes.

    Example: lte-chains evaluate retrieval --data zsre.json --json
    """
    from lte_chains.evaluation import evaluate_retrieval
    from lte_chains.scope.default import named_gate

    report = evaluate_retrieval(
        data, k=k, limit=limit, gate=named_gate(gate), pairs=pairs, unrelated=unrelated
    )
    _report(report, as_json=as_json)


@group.command("knowedit")
def knowedit(
    data: DataOption,
    model: ModelOption = "lte-tiny",
    k: TopKOption = 3,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts in one forward pass.")] = 32,
    methods: MethodsOption = None,
    regime: RegimeOption = "single",
    base: BaseOption = None,
    editors: EditorsOption = None,
    train_data: TrainDataOption = None,
    settings: SettingsOption = None,
    results: ResultsOption = None,
    gate: LteGateOption = "default",
    jobs: JobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Insert every row's edit, then judge what the model generates for its probes.

    Examples: lte-chains evaluate knowedit --data zsre.json --model lte-tiny --limit 50

    lte-chains evaluate knowedit --data zsre.json --methods lte,ft-m,rome --regime batch:10
    """
    from lte_chains.evaluation import evaluate_knowedit

    if methods is not None:
        compare(
            data,
            model,
            methods=methods,
            regime=regime,
            base=base,
            editors=editors,
            train_data=train_data or (),
            settings=settings,
            results=results,
            gate=gate,
            k=k,
            jobs=jobs,
            limit=limit,
            seed=seed,
            batch_size=batch_size,
            as_json=as_json,
        )
        return
    if gate != "default":
        raise typer.BadParameter("--gate is for comparisons: name methods with --methods")
    report = evaluate_knowedit(data, model, k=k, limit=limit, seed=seed, batch_size=batch_size)
    _report(report, as_json=as_json)


@group.command("alignment")
def alignment(
    data: DataOption,
    aligned: Annotated[
        str, typer.Option(help="The model after alignment, or its adapter.")
    ] = "lte-tiny",
    base: Annotated[str, typer.Option(help="The model before.")] = "lte-tiny-base",
    k: TopKOption = 3,
    limit: LimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model the same prompts before and after alignment.

    Example: lte-chains evaluate alignment --data zsre.json --aligned runs/lte-tiny/model
    """
    from lte_chains.evaluation.alignment import BATCH, evaluate_alignment
    from lte_chains.evaluation.runner import ANSWER_TOKENS
    from lte_chains.models import load_model

    def load(name: str, **more: Any) -> Any:
        return load_model(name, max_new_tokens=ANSWER_TOKENS, batch_size=BATCH, **more)

    before = load(base)
    is_adapter = (Path(aligned) / "adapter_config.json").is_file()
    after = load(base, adapter=aligned) if is_adapter else load(aligned)
    _report(evaluate_alignment(data, before, after, k=k, limit=limit), as_json=as_json)


def _report(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        print_table("evaluation", ("measure", "value"), _flatten(report))


def _flatten(report: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """List a nested report's leaves as (dotted name, value).

    Example:
        >>> _flatten({"rows": 2, "recall": {"rephrase": {"1": 0.5}}})
        [('rows', '2'), ('recall.rephrase.1', '0.5000')]
    """
    leaves: list[tuple[str, str]] = []
    for name, value in report.items():
        if isinstance(value, dict):
            leaves += _flatten(value, f"{prefix}{name}.")
        else:
            shown = f"{value:.4f}" if isinstance(value, float) else str(value)
            leaves.append((f"{prefix}{name}", shown))
    return leaves
