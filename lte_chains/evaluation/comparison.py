"""Compare methods of editing: the same rows, the same questions, the same judge."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lte_chains.cases import Case
from lte_chains.errors import ConfigError
from lte_chains.evaluation.case_files import read_case_file
from lte_chains.evaluation.editors import METHODS, Editor, Resources, check_methods, make_editor
from lte_chains.evaluation.editors.asking import answer, force
from lte_chains.evaluation.editors.base import Route
from lte_chains.evaluation.environment import environment
from lte_chains.evaluation.free_text import fluency
from lte_chains.evaluation.identity import digest_of_files, identity_of
from lte_chains.evaluation.judging import (
    Said,
    failed,
    judge_forced,
    judge_generated,
    questions_of,
    targets_of,
)
from lte_chains.evaluation.metrics import mean
from lte_chains.evaluation.own_measures import OwnMeasures
from lte_chains.evaluation.regimes import Regime, superseded
from lte_chains.evaluation.resources import metered
from lte_chains.evaluation.results_log import ResultsLog, Row
from lte_chains.evaluation.seen import told_notes_on_seen
from lte_chains.evaluation.summary import summarise
from lte_chains.evaluation.workers import Numbered, Task, run_tasks

REFERENCE = "lte"
"""The method that the others are compared with."""


@dataclass(frozen=True, kw_only=True)
class ComparisonConfig:
    """What is compared, and how.

    Example:
        >>> str(ComparisonConfig(methods=("lte", "ft-m")).regime)
        'single'
    """

    methods: Sequence[str] = ("all",)
    """Names of methods; "all" stands for every one."""
    regime: Regime = field(default_factory=lambda: Regime("single"))
    """How many edits are in the model at once."""
    limit: int | None = None
    """Use only so many rows, from the front."""
    seed: int = 0
    """Seed of the resampling; all decoding is greedy."""
    batch_size: int = 32
    """Questions in one forward pass."""
    fluency_rows: int = 50
    """Rows of which free text is judged: 100 tokens take long."""
    jobs: int = 1
    """Processes that edit and ask side by side, each with the models in its memory."""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_methods(list(self.methods))
        if self.batch_size < 1 or self.fluency_rows < 0 or self.jobs < 1:
            raise ConfigError(
                f"batch_size={self.batch_size}, fluency_rows={self.fluency_rows}, "
                f"jobs={self.jobs}: use at least 1, 0 and 1"
            )


def compare_methods(
    data: str | Path,
    resources: Resources,
    config: ComparisonConfig | None = None,
    *,
    results: Path | None = None,
) -> dict[str, Any]:
    """Let every method edit the same rows, and judge what each edited model says.

    Every method is compared with the same original: the model before alignment,
    whose answers to all questions are taken once, before any edit.

    Args:
        data: Rows in a layout of `read_case_file`.
        resources: The models, and what methods need besides.
        config: What is compared; every method on single edits if None.
        results: A folder for the rows' results: a run that was interrupted goes on
            from them, and so does one of more methods or, where edits stand alone and are
            no opinions, of more rows. Without one they are kept in memory.

    Returns:
        The report: see `summarise` for the figures of each method.

    Raises:
        DataError: The file cannot be read.
        ConfigError: A method lacks what it needs, the models' tokenizers differ,
            `results` holds another run, or there are several jobs and `resources`
            is not from `open_resources`.
        UneditableModelError: A method cannot edit the model.
    """
    config = config or ComparisonConfig()
    cases = read_case_file(data, limit=config.limit)
    methods = check_methods(list(config.methods))
    require_one_tokenizer(resources)
    settings = _settings(data, resources, config, cases)
    log = ResultsLog(None if results is None else results / "rows.jsonl", settings)
    notes = told_notes_on_seen(cases, resources, methods)
    base = Unedited(resources.base)
    with progress_bars() as progress:
        original = _original(cases, resources, config, progress)
        # Everything that can be wrong with a method is found before hours are spent on others.
        editors = {name: make_editor(name, resources) for name in methods}
        prepared = _edit_and_ask_all(cases, resources, original, config, editors, log, progress)
    figures = {
        name: {
            **summarise(
                log.of(name, first=len(cases)),
                log.of(REFERENCE, first=len(cases)) if name != REFERENCE else [],
                config.seed,
            ),
            "title": METHODS[name].title,
            "parameters_touched": editors[name].parameters_touched,
            "prepare_seconds": round(prepared[name], 3),
        }
        for name in methods
    }
    before = {"fluency": mean(_fluency(base, cases[: config.fluency_rows]))}
    return {
        **settings,
        "rows": len(cases),
        "superseded": sum(
            superseded([case.edit for case in group]) for group in config.regime.groups(cases)
        ),
        "notes": notes,
        "original": before,
        "methods": _with_time_ratios(figures),
        **environment(),
    }


def require_one_tokenizer(resources: Resources) -> None:
    """Check that both models cut text alike: otherwise forced targets cannot be compared.

    Raises:
        ConfigError: They do not.
    """
    sample = "Who runs Acme? Jane Doe, since 2026."
    aligned, base = resources.model, resources.base
    if hasattr(aligned, "borrowed_module") and aligned.get_token_ids(sample) != base.get_token_ids(
        sample
    ):
        raise ConfigError(
            f"the aligned model and {base.model_name} have different tokenizers: the base must be "
            "the model that was aligned"
        )


def judged_rows(
    editor: Editor,
    numbered: Sequence[Numbered],
    original: Said,
    *,
    config: ComparisonConfig,
    own: OwnMeasures | None = None,
    left_out: Collection[int] = (),
) -> list[Row]:
    """Ask an edited model everything about some rows, and return each row's scores.

    Args:
        editor: The method, with its edits applied.
        numbered: The rows with their places in the file.
        original: What the model said before any edit.
        config: Batch size, and of how many rows free text is judged.
        own: Judges what is not about facts; nobody does if None.
        left_out: Rows whose edits were too long to be made: they have failed.
    """
    cases = [case for _, case in numbered]
    said = ask(editor, cases, batch_size=config.batch_size)
    told = [case.edit.prompt for row, case in numbered if row < config.fluency_rows]
    fluent = iter(fluency(editor, told))
    rows: list[Row] = []
    for row, case in numbered:
        generated = judge_generated(case, said, original)
        if own is not None:
            generated |= own.of(editor, row, case, answer=said.answers[case.edit.prompt])
        free = next(fluent) if row < config.fluency_rows else None
        if free is not None:
            generated["fluency"] = round(free, 2)
        forced = judge_forced(case, said, original)
        if row in left_out:
            generated, forced = failed(generated), failed(forced)
        rows.append({"row": row, "generated": generated, "forced": forced})
        if row in left_out:
            rows[-1]["too_long"] = True
    return rows


def ask(editor: Editor, cases: Sequence[Case], *, batch_size: int) -> Said:
    """Ask a model in its present state all questions of some rows."""
    questions = [question for case in cases for question in questions_of(case)]
    pairs = [pair for case in cases for pair in targets_of(case)]
    return Said(
        answers=answer(editor, questions, batch_size=batch_size),
        forced=force(editor, pairs, batch_size=batch_size),
    )


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Show bars with the time left, on stderr."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        yield progress


class Unedited:
    """A model without any edits, asked as the methods are."""

    parameters_touched = 0

    def __init__(self, model: Any) -> None:
        """Take a chat model."""
        self.model = model

    def prepare(self) -> None:
        """Do nothing."""

    def edit(self, edits: Sequence[Any]) -> None:
        """Take no edits.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"the original model takes no edits, and was given {len(edits)}")

    def routes(self, questions: Sequence[str]) -> list[Route]:
        """Ask the model the bare questions."""
        return [Route.plain(self.model, question) for question in questions]

    def undo(self) -> None:
        """Do nothing."""


def _edit_and_ask_all(
    cases: Sequence[Case],
    resources: Resources,
    original: Said,
    config: ComparisonConfig,
    editors: Mapping[str, Editor],
    log: ResultsLog,
    progress: Progress,
) -> dict[str, float]:
    """Run all methods, group by group; groups that the log has are passed over.

    Returns:
        How long each method took to prepare: 0 if nothing was left for it to do.
    """
    bars = {}
    tasks: list[Task] = []
    for name in editors:
        there = log.done(name, first=len(cases))
        title = METHODS[name].title
        bars[name] = progress.add_task(title, total=len(cases), completed=len(there))
        groups = config.regime.groups(list(enumerate(cases)))
        tasks += [(name, group) for group in groups if not {row for row, _ in group} <= there]
    prepared = dict.fromkeys(editors, 0.0)
    prepare = partial(_EditAndAsk.of, cases, original, config)
    for done in run_tasks(tasks, resources, prepare, editors=editors, jobs=config.jobs):
        log.add(done.rows)
        progress.advance(bars[done.method], len(done.rows))
        prepared[done.method] = max(prepared[done.method], done.prepare_seconds)
    return prepared


@dataclass(frozen=True)
class _EditAndAsk:
    """Makes the edits of some rows as the regime says, and judges what is answered."""

    original: Said
    own: OwnMeasures
    config: ComparisonConfig

    @classmethod
    def of(
        cls, cases: Sequence[Case], original: Said, config: ComparisonConfig, resources: Resources
    ) -> _EditAndAsk:
        """Prepare to judge, with the models of this process."""
        return cls(original, OwnMeasures(Unedited(resources.base), cases), config)

    def __call__(self, editor: Editor, group: Sequence[Numbered]) -> list[Row]:
        self.own.take_before(row for row, _ in group)
        with metered() as cost:
            places = self.config.regime.insert(editor, [case.edit for _, case in group])
        rows = judged_rows(
            editor,
            group,
            self.original,
            config=self.config,
            own=self.own,
            left_out={group[place][0] for place in places},
        )
        share = {"seconds": cost.seconds / len(group), "peak_mb": cost.peak_mb}
        return [{**row, **share} for row in rows]


def _original(
    cases: Sequence[Case], resources: Resources, config: ComparisonConfig, progress: Progress
) -> Said:
    task = progress.add_task("original", total=len(cases))
    said = ask(Unedited(resources.base), cases, batch_size=config.batch_size)
    progress.advance(task, len(cases))
    return said


def _fluency(base: Editor, cases: Sequence[Case]) -> list[float]:
    found = fluency(base, [case.edit.prompt for case in cases])
    return [score for score in found if score is not None]


def _settings(
    data: str | Path, resources: Resources, config: ComparisonConfig, cases: Sequence[Case]
) -> dict[str, Any]:
    """Return what the rows' results depend on; methods may grow from run to run.

    So may the rows, where what one scores does not depend on the others.
    """
    alone = config.regime.alone and all(case.task != "opinion" for case in cases)
    return {
        "data": str(data),
        "content": digest_of_files([data]),
        **identity_of(resources),
        "regime": str(config.regime),
        "seed": config.seed,
        "fluency_rows": config.fluency_rows,
        **({} if alone else {"rows": len(cases)}),
    }


def _with_time_ratios(figures: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add how many times LTE's time an edit takes."""
    reference = figures.get(REFERENCE, {}).get("seconds_per_edit")
    for scores in figures.values():
        seconds = scores["seconds_per_edit"]
        scores["time_ratio"] = round(seconds / reference, 2) if reference else None
    return figures
