"""InstructEdit (arXiv 2402.16123): one hypernetwork for several kinds of edits, told which.

It is trained over several tasks, each edit's prompt behind one of nine
descriptions of its task, and compared with MEND, which is trained on the same
edits without any. Both are then asked about edits of subjects that neither has
seen: of the tasks they were trained on, and of one that they were not;
InstructEdit also with the tenth description, which it has not seen either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lte_chains.answers import alias_match, same_answer
from lte_chains.errors import ConfigError
from lte_chains.evaluation.bootstrap import interval, paired_difference
from lte_chains.evaluation.editors.asking import answer
from lte_chains.evaluation.editors.instruct_edit import InstructEdit
from lte_chains.evaluation.editors.instructions import TASKS, UNSEEN
from lte_chains.evaluation.editors.mend import Mend
from lte_chains.models import LocalChatModel
from lte_chains.progress import in_batches
from lte_chains.training.editors.examples import (
    EditExample,
    split_examples,
    with_own_answers,
)
from lte_chains.training.editors.train import EditorTraining, train_mend

MEND_FOLDER = "multi-task"
"""Where the MEND that InstructEdit is compared with is kept, inside the output folder."""
MEASURES = ("edit_success", "rephrase", "locality")
"""What single edits are judged by."""


@dataclass(frozen=True, kw_only=True)
class InstructEditConfig:
    """What InstructEdit is trained on, and what it is asked.

    Raises:
        ConfigError: The held-out task is none, or a number is out of range.

    Example:
        >>> InstructEditConfig(held_out="recent").held_out
        'recent'
    """

    held_out: str = "factual"
    """The task that is not trained on."""
    train_rows: int = 1000
    """Edits of each task to train on, at most."""
    dev_rows: int = 50
    """Edits of each task to be judged by, about."""
    training: EditorTraining = field(default_factory=EditorTraining)
    """How both networks are trained."""
    seed: int = 0
    """Seed of the split."""

    def __post_init__(self) -> None:
        """Check the task and the numbers."""
        if self.held_out not in TASKS:
            raise ConfigError(f"held_out={self.held_out!r}: use one of {list(TASKS)}")
        if self.train_rows < 1 or self.dev_rows < 1:
            raise ConfigError(
                f"train_rows={self.train_rows}, dev_rows={self.dev_rows}: use 1 or more"
            )


def train_instruct_edit(
    model: LocalChatModel,
    tasks: Mapping[str, Sequence[EditExample]],
    out: str | Path,
    config: InstructEditConfig | None = None,
) -> dict[str, Any]:
    """Train InstructEdit and a multi-task MEND, and compare them on edits of new subjects.

    The folder then holds ``instruct-edit/``, for `Resources.trained`,
    ``multi-task/mend/`` and ``instruct-edit.json``, the report. What is there
    already is not trained again.

    Args:
        model: The model to be edited; it is left as it is.
        tasks: Examples by task, without their answers outside.
        out: The folder.
        config: What is trained and asked.

    Returns:
        By task and editor ("mend", "instruct_edit", "instruct_edit_unseen"), each
        measure's mean with its interval, and the differences of the latter two to
        "mend", paired by edit.

    Raises:
        ConfigError: There is no example of the held-out task, or none of another.
        UneditableModelError: The model cannot be edited.
    """
    config, out = config or InstructEditConfig(), Path(out)
    _check_tasks(tasks, config)
    learnt, judged = split_tasks(tasks, config)
    train = with_own_answers([e for examples in learnt.values() for e in examples], model)
    dev = {task: with_own_answers(examples, model) for task, examples in judged.items()}
    made = {
        "instruct_edit": train_mend(InstructEdit, model, train, out, config.training),
        "mend": train_mend(Mend, model, train, out / MEND_FOLDER, config.training),
    }
    report = {
        "model": model.model_name,
        "held_out": config.held_out,
        "train_rows": len(train),
        "seed": config.seed,
        "training": asdict(config.training),
        "editors": made,
        "tasks": {
            task: _compare(model, examples, out, config.seed) for task, examples in dev.items()
        },
    }
    text = json.dumps(report, indent=2) + "\n"
    (out / "instruct-edit.json").write_text(text, encoding="utf-8")
    return report


def split_tasks(
    tasks: Mapping[str, Sequence[EditExample]], config: InstructEditConfig
) -> tuple[dict[str, list[EditExample]], dict[str, list[EditExample]]]:
    """Divide each task's examples into those to train on and those to judge by.

    No subject that is judged, of whatever task, is trained on: opinions are about the
    subjects of facts.

    Args:
        tasks: Examples by task.
        config: How many, the seed, and the task that is not trained on.
    """
    parts = {
        task: split_examples(tasks[task], dev=config.dev_rows, seed=config.seed)
        for task in sorted(tasks)
    }
    judged = {task: dev for task, (_, dev) in parts.items()}
    taken = {example.about for dev in judged.values() for example in dev}
    learnt = {
        task: [example for example in rest if example.about not in taken][: config.train_rows]
        for task, (rest, _) in parts.items()
        if task != config.held_out
    }
    return learnt, judged


def judge_edits(editor: Mend, examples: Sequence[EditExample]) -> list[dict[str, float | None]]:
    """Make each edit alone, ask, and take it back; returns each edit's measures.

    ``edit_success`` and ``rephrase`` are shares of right answers, ``locality`` the
    share of answers outside that are still the original model's.
    """
    judged: list[dict[str, float | None]] = []
    for [example] in in_batches(examples, 1, label=editor.folder_name):
        editor.edit([example.edit])
        outside = [question for question, _ in example.outside]
        said = answer(editor, [*example.questions, *outside])
        editor.undo()
        target = (example.edit.target_new, *example.aliases)
        judged.append(
            {
                "edit_success": float(alias_match(said[example.edit.prompt], target)),
                "rephrase": _share([alias_match(said[q], target) for q in example.rephrased]),
                "locality": _share([same_answer(said[q], own) for q, own in example.outside]),
            }
        )
    return judged


def _compare(
    model: LocalChatModel, examples: Sequence[EditExample], out: Path, seed: int
) -> dict[str, Any]:
    """Judge both editors on one task's edits."""
    instructed = InstructEdit.load(model, out)
    judged = {"mend": judge_edits(Mend.load(model, out / MEND_FOLDER), examples)}
    judged["instruct_edit"] = judge_edits(instructed, examples)
    instructed.description = UNSEEN
    judged["instruct_edit_unseen"] = judge_edits(instructed, examples)
    figures: dict[str, Any] = {"rows": len(examples)}
    for name, rows in judged.items():
        figures[name] = {m: _interval([row[m] for row in rows], seed) for m in MEASURES}
    figures["difference"] = {
        name: {m: _difference(judged[name], judged["mend"], m, seed) for m in MEASURES}
        for name in ("instruct_edit", "instruct_edit_unseen")
    }
    return figures


def _check_tasks(tasks: Mapping[str, Sequence[EditExample]], config: InstructEditConfig) -> None:
    unknown = sorted(set(tasks) - set(TASKS))
    if unknown:
        raise ConfigError(f"unknown tasks {unknown}: use some of {list(TASKS)}")
    if config.held_out not in tasks or len(tasks) < 2:
        raise ConfigError(
            f"the task {config.held_out!r} is to be held out, and there are {sorted(tasks)}: "
            "give rows of it and of at least one other"
        )


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _interval(values: Sequence[float | None], seed: int) -> dict[str, Any] | None:
    found = interval([value for value in values if value is not None], seed=seed)
    return None if found is None else asdict(found)


def _difference(
    rows: Sequence[Mapping[str, float | None]],
    reference: Sequence[Mapping[str, float | None]],
    measure: str,
    seed: int,
) -> dict[str, Any] | None:
    found = paired_difference(
        [row[measure] for row in rows], [row[measure] for row in reference], seed=seed
    )
    return None if found is None else asdict(found)
