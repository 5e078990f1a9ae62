"""`lte-chains align editors` and `align instruct-edit`: train editors that learn beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lte_chains.cli.options import JsonOption, LimitOption, SeedOption
from lte_chains.cli.render import print_json, print_table

if TYPE_CHECKING:
    from lte_chains.training.editors.examples import EditExample

_ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="The model to be edited: lte-tiny-base, or a folder.")
]
_OutOption = Annotated[
    Path, typer.Option("--out", help="Folder for the trained editors.", file_okay=False)
]
_HeldOutOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A file to evaluate on: its subjects are left out; may be repeated.",
        exists=True,
        dir_okay=False,
    ),
]
_StepsOption = Annotated[int, typer.Option(min=1, help="Steps of a hypernetwork, of 8 edits each.")]


def editors(
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            help="KnowEdit-style rows to learn from; may be repeated.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: _OutOption,
    model: _ModelOption = "lte-tiny-base",
    held_out: _HeldOutOption = None,
    names: Annotated[
        str, typer.Option("--editors", help="Which, with a comma between.")
    ] = "mend,serac",
    steps: _StepsOption = 2000,
    serac_steps: Annotated[
        int, typer.Option(min=1, help="Steps of SERAC's counterfactual model.")
    ] = 600,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train MEND and SERAC for a model; what is there already is not trained again.

    Example: lte-chains align editors --data train.json --held-out zsre.json --out editors
    """
    from lte_chains.embeddings import default_embeddings
    from lte_chains.models import load_model
    from lte_chains.training.editors.examples import with_own_answers
    from lte_chains.training.editors.hypernetworks import HypernetworkTraining
    from lte_chains.training.editors.serac import SeracTraining
    from lte_chains.training.editors.train import EditorTraining, train_editors

    base = load_model(model, max_new_tokens=32, batch_size=32)
    examples = _examples(data, "factual", held_out, limit)
    done = train_editors(
        base,
        with_own_answers(examples, base),
        out,
        embeddings=default_embeddings(),
        config=EditorTraining(
            hypernetwork=HypernetworkTraining(steps=steps, seed=seed),
            serac=SeracTraining(steps=serac_steps, seed=seed),
        ),
        names=[name.strip() for name in names.split(",") if name.strip()],
    )
    if as_json:
        print_json({"folder": str(out), "rows": len(examples), "editors": done})
        return
    print_table(str(out), ("editor", "result"), done.items())


def instruct_edit(
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="TASK=FILE",
            help="Rows of a task (factual, recent or counterfactual); may be repeated.",
        ),
    ],
    out: _OutOption,
    model: _ModelOption = "lte-tiny-base",
    held_out: _HeldOutOption = None,
    unseen_task: Annotated[
        str, typer.Option(help="The task that is not trained on, but asked.")
    ] = "factual",
    topics: Annotated[
        int, typer.Option(min=0, help="Edits of opinions to make out of the rows' subjects.")
    ] = 500,
    steps: _StepsOption = 2000,
    train_rows: Annotated[int, typer.Option(min=1, help="Edits of each task to train on.")] = 1000,
    dev_rows: Annotated[int, typer.Option(min=1, help="Edits of each task to judge by.")] = 50,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train one editor for several kinds of edits under instructions; compare it with MEND.

    Example: lte-chains align instruct-edit --data recent=r.json --data factual=z.json --out editors
    """
    from lte_chains.models import load_model
    from lte_chains.training.editors.hypernetworks import HypernetworkTraining
    from lte_chains.training.editors.sentiment import sentiment_examples
    from lte_chains.training.editors.train import EditorTraining
    from lte_chains.training.instruct_edit import InstructEditConfig, train_instruct_edit

    config = InstructEditConfig(
        held_out=unseen_task,
        train_rows=train_rows,
        dev_rows=dev_rows,
        training=EditorTraining(hypernetwork=HypernetworkTraining(steps=steps, seed=seed)),
        seed=seed,
    )
    tasks: dict[str, list[EditExample]] = {}
    for given in data:
        task, found, path = given.partition("=")
        if not found or not Path(path).is_file():
            raise typer.BadParameter(f"{given!r} is no TASK=FILE, such as recent=rows.json")
        tasks.setdefault(task, []).extend(_examples([Path(path)], task, held_out, limit))
    if topics:
        subjects = [e.edit.subject for examples in tasks.values() for e in examples]
        named = list(dict.fromkeys(subject for subject in subjects if subject))
        tasks["sentiment"] = sentiment_examples(named[:topics], seed=seed)
    base = load_model(model, max_new_tokens=32, batch_size=32)
    report = train_instruct_edit(base, tasks, out, config)
    if as_json:
        print_json(report)
        return
    _show(report)


def _examples(
    paths: list[Path], task: str, held_out: list[Path] | None, limit: int | None
) -> list[EditExample]:
    from lte_chains.evaluation.editors.train_cases import train_cases
    from lte_chains.training.editors.examples import examples_of

    return examples_of(train_cases(paths, held_out=held_out or ())[:limit], task=task)


def _show(report: dict[str, Any]) -> None:
    editors = {
        "mend": "MEND",
        "instruct_edit": "InstructEdit",
        "instruct_edit_unseen": "InstructEdit, unseen instruction",
    }
    rows = []
    for task, figures in report["tasks"].items():
        name = f"{task} (not trained on)" if task == report["held_out"] else task
        rows += [
            (name, title, *(_cell(figures[editor][m]) for m in _MEASURES))
            for editor, title in editors.items()
        ]
    columns = ("task", "editor", "edit success", "rephrase", "locality")
    print_table(f"{report['model']}, {report['train_rows']} edits trained on", columns, rows)


_MEASURES = ("edit_success", "rephrase", "locality")


def _cell(found: dict[str, float] | None) -> str:
    if found is None:
        return "–"
    return f"{100 * found['mean']:.1f} [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"
