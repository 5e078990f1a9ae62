"""What becomes of edits when more are made: scores over the number of edits, and the first ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lte_chains.cases import Case
from lte_chains.errors import ConfigError
from lte_chains.evaluation.ability import Fact, known_facts, perplexity, recall
from lte_chains.evaluation.case_files import read_case_files
from lte_chains.evaluation.comparison import (
    ComparisonConfig,
    Unedited,
    ask,
    judged_rows,
    progress_bars,
    require_one_tokenizer,
)
from lte_chains.evaluation.decay_plan import Filling, Plan, plan_of, spread
from lte_chains.evaluation.editors import METHODS, Resources, check_methods, make_editor
from lte_chains.evaluation.editors.base import Editor
from lte_chains.evaluation.environment import environment
from lte_chains.evaluation.identity import digest_of_files, identity_of
from lte_chains.evaluation.judging import Said
from lte_chains.evaluation.regimes import Regime, superseded
from lte_chains.evaluation.results_log import ResultsLog, Row
from lte_chains.evaluation.seen import told_notes_on_seen
from lte_chains.evaluation.summary import summarise

_MEASURES = ("edit_success", "rephrase", "portability", "locality", "harmonic_mean")
_MOST_FACTS = 200
"""Known facts that are asked for at each checkpoint."""


@dataclass(frozen=True, kw_only=True)
class DecayConfig:
    """How many edits are made, and when is asked.

    Raises:
        ConfigError: The checkpoints do not grow, or a number is out of range.

    Example:
        >>> DecayConfig(checkpoints=(1, 10)).watched
        50
    """

    checkpoints: tuple[int, ...] = (1, 10, 100, 1000)
    """How many edits are in the model when it is asked."""
    sequential: bool = True
    """Whether a checkpoint's edits come one by one, each on top of those before; else at once."""
    watched: int = 50
    """How many of a checkpoint's first edits are asked about when they are made, and again in
    the end: retention, which only edits have that come one by one."""
    asked: int = 100
    """How many rows are asked about, the same ones at every checkpoint."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        ordered = sorted(set(self.checkpoints))
        if not ordered or ordered[0] < 1 or list(self.checkpoints) != ordered:
            raise ConfigError(f"checkpoints={self.checkpoints}: use growing numbers from 1")
        if self.watched < 1 or self.asked < 1:
            raise ConfigError(f"watched={self.watched}, asked={self.asked}: use 1 or more")

    def watched_of(self, filling: Filling) -> tuple[int, ...]:
        """Return the first rows of a filling, if retention is measured of them."""
        enough = self.sequential and len(filling.rows) >= self.watched
        return filling.rows[: self.watched] if enough else ()


def measure_decay(
    editor: Editor,
    cases: Sequence[Case],
    original: Said,
    *,
    config: DecayConfig | None = None,
    comparison: ComparisonConfig | None = None,
    at_checkpoint: Callable[[], dict[str, Any]] = dict,
) -> list[dict[str, Any]]:
    """Ask one method about the same rows after more and more edits.

    Each checkpoint begins with a model without edits. One of fewer edits than rows are
    asked about is repeated, with others of these rows, until all have been asked about.
    The last checkpoint is cut to the number of rows.

    Args:
        editor: The method, prepared.
        cases: The rows.
        original: What the model says before any edit.
        config: How many, and when is asked.
        comparison: Batch size and seed.
        at_checkpoint: Measures something more of the edited model, such as what else it can
            do; once a checkpoint.

    Returns:
        The curve: see `curve_of`.
    """
    settings = comparison or ComparisonConfig(fluency_rows=0)
    run = _Run(editor, cases, original, config or DecayConfig(), settings, at_checkpoint)
    plan = plan_of(len(cases), run.config.checkpoints, run.config.asked)
    return curve_of([run.measure(*checkpoint) for checkpoint in plan.items()], settings.seed)


def compare_decay(
    data: str | Path | Sequence[str | Path],
    resources: Resources,
    *,
    methods: Sequence[str] = ("all",),
    config: DecayConfig | None = None,
    texts: Sequence[str] = (),
    limit: int | None = None,
    results: Path | None = None,
) -> dict[str, Any]:
    """Let methods make more and more edits of the same rows, and measure what becomes of them.

    Beside the edits, every checkpoint has ``recall``, of up to 200 facts of the rows'
    locality probes that the original model knows, and ``perplexity`` on held-out
    text, if there is any and the method edits weights.

    Args:
        data: Rows in a layout of `read_case_file`; of several files one after the other.
        resources: The models, and what methods need besides.
        methods: Names of methods; "all" stands for every one.
        config: How many edits, and when is asked.
        texts: Held-out text.
        limit: Use only so many rows, from the front.
        results: A folder for what is measured; checkpoints that it has are not run again.

    Returns:
        The report; ``cut`` names the checkpoints that there are not rows enough for.

    Raises:
        DataError: A file cannot be read.
        ConfigError: A method lacks what it needs, or `results` holds another run.
        UneditableModelError: A method cannot edit the model.
    """
    config = config or DecayConfig()
    files = [data] if isinstance(data, str | Path) else list(data)
    most = config.checkpoints[-1]
    cases = read_case_files(files, limit=min(limit or most, most))
    names = check_methods(list(methods))
    require_one_tokenizer(resources)
    settings = _settings(files, resources, config, rows=len(cases), texts=texts)
    log = ResultsLog(None if results is None else results / "decay.jsonl", settings)
    notes = told_notes_on_seen(cases, resources, names)
    before = _measure_all(names, cases, resources, config, texts=texts, log=log)
    return {
        **settings,
        "asked": len(spread(len(cases), config.asked)),
        "cut": [checkpoint for checkpoint in config.checkpoints if checkpoint > len(cases)],
        "superseded": superseded([case.edit for case in cases]),
        "notes": notes,
        "original": before,
        "methods": {
            name: {"title": METHODS[name].title, "curve": curve_of(log.of(name))} for name in names
        },
        **environment(),
    }


def _measure_all(
    names: Sequence[str],
    cases: Sequence[Case],
    resources: Resources,
    config: DecayConfig,
    *,
    texts: Sequence[str],
    log: ResultsLog,
) -> dict[str, Any]:
    """Put what the log has not yet into it; returns what the original model can do."""
    plan = plan_of(len(cases), config.checkpoints, config.asked)
    base, judged = Unedited(resources.base), ComparisonConfig(fluency_rows=0)
    facts = known_facts(base, _facts(cases))
    facts = [facts[place] for place in spread(len(facts), _MOST_FACTS)]
    questioned = [cases[row] for row in _questioned(plan, config)]
    original = ask(base, questioned, batch_size=judged.batch_size)
    _measure_missing(
        {name: {n: plan[n] for n in plan if n not in log.done(name)} for name in names},
        resources,
        partial(_Run, cases=cases, original=original, config=config, comparison=judged),
        partial(_ability, resources, facts, texts),
        log,
    )
    return {"facts": len(facts), **_ability(resources, [], texts, base, "weights")}


def curve_of(points: Sequence[Row], seed: int = 0) -> list[dict[str, Any]]:
    """Sum up what a method's rows scored at each checkpoint, from the first to the last.

    Args:
        points: The checkpoints, with each row's results.
        seed: Seed of the resampling.

    Returns:
        For each checkpoint ``edits``, ``all`` (scores of the asked rows, and their
        ``difference`` to the first checkpoint row by row, with intervals) and ``first``
        (retention: scores of the first edits in the end, ``when_made``, and the
        ``difference``), which is None if fewer edits are made than are watched, or all
        come at once. What else was measured stands beside them.
    """
    curve = []
    for number, point in enumerate(points):
        begun = points[0]["asked"] if number else []
        rest = {key: point[key] for key in point.keys() - {"asked", "first", "method", "row"}}
        scores = {"all": _scores(point["asked"], begun, seed), "first": None}
        if point["first"]:
            made, end = point["first"]["when_made"], point["first"]["in_the_end"]
            scores["first"] = {
                **_scores(end, made, seed),
                "when_made": _scores(made, [], seed),
            }
        curve.append({**scores, **dict(sorted(rest.items()))})
    return curve


@dataclass(frozen=True)
class _Run:
    """One method and its rows."""

    editor: Editor
    cases: Sequence[Case]
    original: Said
    config: DecayConfig
    comparison: ComparisonConfig
    at_checkpoint: Callable[[], dict[str, Any]] = dict
    advance: Callable[[int], None] = lambda _: None

    def measure(self, edits: int, fillings: Sequence[Filling]) -> Row:
        """Make a checkpoint's edits, and return what is answered row by row."""
        asked: list[Row] = []
        left_out: set[int] = set()
        more: dict[str, Any] = {}
        for number, filling in enumerate(fillings):
            try:
                rows, first, too_long = self._fill(filling)
                asked += rows
                left_out |= too_long
                if number == 0:
                    more = {"first": first, **self.at_checkpoint()}
            finally:
                self.editor.undo()
        return {"edits": edits, "asked": asked, "too_long": len(left_out), **more}

    def _fill(self, filling: Filling) -> tuple[list[Row], Row | None, set[int]]:
        """Make a filling's edits, and ask; of the first ones also before the others come.

        Returns:
            What became of the asked rows, what of the first ones, and whose edits are too long.
        """
        watched = self.config.watched_of(filling)
        left_out = self._insert(watched)
        when_made = self._judged(watched, left_out)
        left_out |= self._insert(filling.rows[len(watched) :])
        first = {"when_made": when_made, "in_the_end": self._judged(watched, left_out)}
        return self._judged(filling.asked, left_out), first if watched else None, left_out

    def _insert(self, rows: Sequence[int]) -> set[int]:
        """Make rows' edits; returns the rows whose edits are too long."""
        if not rows:
            return set()
        regime = Regime("sequential" if self.config.sequential else "batch", len(rows))
        edits = [self.cases[row].edit for row in rows]
        return {rows[i] for i in regime.insert(self.editor, edits, advance=self.advance)}

    def _judged(self, rows: Sequence[int], left_out: Collection[int]) -> list[Row]:
        if not rows:
            return []
        numbered = [(row, self.cases[row]) for row in rows]
        return judged_rows(
            self.editor, numbered, self.original, config=self.comparison, left_out=left_out
        )


def _measure_missing(
    plans: Mapping[str, Plan],
    resources: Resources,
    start: Callable[..., _Run],
    ability: Callable[..., dict[str, Any]],
    log: ResultsLog,
) -> None:
    """Measure methods' checkpoints, and put them into the log.

    Args:
        plans: What each method still has to do.
        resources: What the methods need.
        start: Makes a method's run.
        ability: Measures what else the model can do.
        log: Gets each checkpoint as soon as it is done.
    """
    # What can be wrong with a method is found before hours are spent on others.
    editors = {name: make_editor(name, resources) for name, plan in plans.items() if plan}
    with progress_bars() as progress:
        bars = {
            name: progress.add_task(METHODS[name].title, total=_edits_of(plans[name]))
            for name in editors
        }
        for name, editor in editors.items():
            editor.prepare()
            run = start(
                editor,
                at_checkpoint=partial(ability, editor, METHODS[name].changes),
                advance=partial(progress.advance, bars[name]),
            )
            for edits, fillings in plans[name].items():
                shown = f"{METHODS[name].title}, {edits:,} edits"
                progress.update(bars[name], description=shown)
                log.add([{"method": name, "row": edits, **run.measure(edits, fillings)}])


def _edits_of(plan: Plan) -> int:
    return sum(len(filling.rows) for fillings in plan.values() for filling in fillings)


def _settings(
    files: Sequence[str | Path],
    resources: Resources,
    config: DecayConfig,
    *,
    rows: int,
    texts: Sequence[str],
) -> dict[str, Any]:
    """Return what the results depend on; the methods may grow from run to run."""
    return {
        "data": [str(file) for file in files],
        "content": digest_of_files(files),
        "rows": rows,
        **identity_of(resources),
        "decay": asdict(config),
        "texts": hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16] if texts else None,
        "seed": ComparisonConfig().seed,
    }


def _questioned(plan: Plan, config: DecayConfig) -> list[int]:
    """Return the rows that are asked about at some checkpoint."""
    fillings = [filling for checkpoint in plan.values() for filling in checkpoint]
    asked = {row for filling in fillings for row in filling.asked}
    return sorted(asked | {row for filling in fillings for row in config.watched_of(filling)})


def _facts(cases: Sequence[Case]) -> list[Fact]:
    """Return the rows' questions that no edit concerns, with their answers."""
    probes = [p for case in cases for p in case.locality if p.answers and not p.mislabelled]
    return list(dict.fromkeys(Fact(probe.prompt, probe.answers) for probe in probes))


def _ability(
    resources: Resources, facts: Sequence[Fact], texts: Sequence[str], editor: Editor, changes: str
) -> dict[str, Any]:
    """Measure what the model can do beside its edits; text is written by the weights alone."""
    found: dict[str, Any] = {"recall": recall(editor, facts)}
    if texts and changes == "weights":
        found["perplexity"] = round(perplexity(resources.base, texts), 3)
    return found


def _scores(rows: Sequence[Row], reference: Sequence[Row], seed: int) -> dict[str, Any]:
    figures = summarise([{**row, "seconds": 0.0} for row in rows], reference, seed)
    return {
        "rows": len(rows),
        **{name: figures[name] for name in _MEASURES},
        "intervals": figures["intervals"],
        "difference": figures["difference"],
    }
