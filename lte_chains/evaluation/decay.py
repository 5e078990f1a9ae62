"""What becomes of edits when more are made: scores over the number of edits, and the first ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lte_chains.cases import Case
from lte_chains.errors import ConfigError
from lte_chains.evaluation.ability import Fact, known_facts, perplexity, recall
from lte_chains.evaluation.case_files import read_case_file
from lte_chains.evaluation.comparison import (
    ComparisonConfig,
    Unedited,
    ask,
    judged_rows,
    progress_bars,
    require_one_tokenizer,
)
from lte_chains.evaluation.editors import METHODS, Resources, check_methods, make_editor
from lte_chains.evaluation.editors.base import Editor
from lte_chains.evaluation.environment import environment
from lte_chains.evaluation.judging import Said
from lte_chains.evaluation.regimes import Regime
from lte_chains.evaluation.results_log import ResultsLog
from lte_chains.evaluation.summary import summarise

_MEASURES = ("edit_success", "rephrase", "portability", "locality", "harmonic_mean")


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
    """After how many edits is asked."""
    sequential: bool = True
    """Whether edits come one by one, each on top of those before; else all of a checkpoint come
    at once, to a model without any."""
    watched: int = 50
    """How many of the first edits are asked again at each checkpoint."""
    asked: int = 100
    """How many of all edits are asked, evenly spread; the same questions would take ever longer."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        ordered = sorted(set(self.checkpoints))
        if not ordered or ordered[0] < 1 or list(self.checkpoints) != ordered:
            raise ConfigError(f"checkpoints={self.checkpoints}: use growing numbers from 1")
        if self.watched < 1 or self.asked < 1:
            raise ConfigError(f"watched={self.watched}, asked={self.asked}: use 1 or more")


def measure_decay(
    editor: Editor,
    cases: Sequence[Case],
    original: Said,
    *,
    config: DecayConfig | None = None,
    comparison: ComparisonConfig | None = None,
    at_checkpoint: Callable[[], dict[str, Any]] = dict,
) -> list[dict[str, Any]]:
    """Make more and more edits, and ask at each checkpoint about all and about the first.

    The last checkpoint is cut to the number of rows. All edits are taken back in
    the end.

    Args:
        editor: The method, prepared.
        cases: The rows, in the order in which they are made.
        original: What the model says before any edit.
        config: How many, and when is asked.
        comparison: Batch size and seed.
        at_checkpoint: Measures something more of the edited model, such as what else it can do.

    Returns:
        For each checkpoint ``edits``, ``all`` (scores of rows from the whole range) and
        ``first`` (retention: scores of the first ones).
    """
    config = config or DecayConfig()
    settings = comparison or ComparisonConfig(fluency_rows=0)
    curve: list[dict[str, Any]] = []
    made = 0
    try:
        for checkpoint in _reached(config.checkpoints, len(cases)):
            if not config.sequential:
                editor.undo()
                made = 0
            fresh = [case.edit for case in cases[made:checkpoint]]
            regime = Regime("sequential" if config.sequential else "batch", len(fresh))
            regime.insert(editor, fresh)
            made = checkpoint
            numbered = list(enumerate(cases[:made]))
            spread = _spread(numbered, config.asked)
            first = numbered[: config.watched]
            curve.append(
                {
                    "edits": made,
                    "all": _scores(editor, spread, original, settings),
                    "first": _scores(editor, first, original, settings),
                    **at_checkpoint(),
                }
            )
    finally:
        editor.undo()
    return curve


def compare_decay(
    data: str | Path,
    resources: Resources,
    *,
    methods: Sequence[str] = ("all",),
    config: DecayConfig | None = None,
    texts: Sequence[str] = (),
    limit: int | None = None,
    results: Path | None = None,
) -> dict[str, Any]:
    """Let methods make more and more edits of the same rows, and measure what becomes of them.

    Beside the edits, every checkpoint has ``recall``, of facts of the rows'
    locality probes that the original model knows, and ``perplexity`` on held-out
    text, if there is any and the method edits weights.

    Args:
        data: Rows in a layout of `read_case_file`.
        resources: The models, and what methods need besides.
        methods: Names of methods; "all" stands for every one.
        config: How many edits, and when is asked.
        texts: Held-out text.
        limit: Use only so many rows, from the front.
        results: A folder for the curves; methods that it has are not run again.

    Raises:
        DataError: The file cannot be read.
        ConfigError: A method lacks what it needs, or `results` holds another run.
        UneditableModelError: A method cannot edit the model.
    """
    config = config or DecayConfig()
    cases = read_case_file(data, limit=min(limit or config.checkpoints[-1], config.checkpoints[-1]))
    names = check_methods(list(methods))
    require_one_tokenizer(resources)
    settings = {
        "data": str(data),
        "rows": len(cases),
        "base": resources.base.model_name,
        "decay": asdict(config),
        "k": resources.k,
        "texts": len(texts),
        "settings": resources.settings,
    }
    log = ResultsLog(None if results is None else results / "decay.jsonl", settings)
    base = Unedited(resources.base)
    original = ask(base, cases, batch_size=ComparisonConfig().batch_size)
    facts = known_facts(base, _facts(cases))
    before = {"facts": len(facts), **_ability(base, "weights", resources, [], texts)}
    with progress_bars() as progress:
        task = progress.add_task("methods", total=len(names))
        for name in names:
            if not log.of(name):
                editor = make_editor(name, resources)
                editor.prepare()
                ability = partial(_ability, editor, METHODS[name].changes, resources, facts, texts)
                curve = measure_decay(editor, cases, original, config=config, at_checkpoint=ability)
                log.add([{"method": name, "row": point["edits"], **point} for point in curve])
            progress.advance(task)
    curves = {name: {"title": METHODS[name].title, "curve": log.of(name)} for name in names}
    return {**settings, "original": before, "methods": curves, **environment()}


def _facts(cases: Sequence[Case]) -> list[Fact]:
    """Return the rows' questions that no edit concerns, with their answers."""
    probes = [p for case in cases for p in case.locality if p.answers and not p.mislabelled]
    return list(dict.fromkeys(Fact(probe.prompt, probe.answers) for probe in probes))


def _ability(
    editor: Editor,
    changes: str,
    resources: Resources,
    facts: Sequence[Fact],
    texts: Sequence[str],
) -> dict[str, Any]:
    """Measure what the model can do beside its edits; text is written by the weights alone."""
    found: dict[str, Any] = {"recall": recall(editor, facts)}
    if texts and changes == "weights":
        found["perplexity"] = round(perplexity(resources.base, texts), 3)
    return found


def _reached(checkpoints: Sequence[int], rows: int) -> list[int]:
    """Return the checkpoints that there are rows for; the last may be cut.

    Example:
        >>> _reached((1, 10, 100), 30)
        [1, 10, 30]
    """
    return sorted({min(checkpoint, rows) for checkpoint in checkpoints})


def _spread(items: Sequence[tuple[int, Case]], most: int) -> list[tuple[int, Case]]:
    """Return at most so many items, evenly spread from the first to the last."""
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[0]]
    places = [round(i * (len(items) - 1) / (most - 1)) for i in range(most)]
    return [items[place] for place in places]


def _scores(
    editor: Editor, numbered: Sequence[tuple[int, Case]], original: Said, config: ComparisonConfig
) -> dict[str, Any]:
    rows = judged_rows(editor, numbered, original, config=config)
    figures = summarise([{**row, "seconds": 0.0} for row in rows], [], config.seed)
    return {
        "rows": len(rows),
        **{name: figures[name] for name in _MEASURES},
        "intervals": figures["intervals"],
    }
