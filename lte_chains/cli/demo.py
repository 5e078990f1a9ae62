"""`lte-chains demo`: one edit's life, with every answer generated on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lte_chains.cli.options import JsonOption
from lte_chains.cli.render import print_json
from lte_chains.edit import Edit

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from lte_chains.memory import EditMemory

EXIT_WRONG_ANSWER = 3
"""At least one of the five answers was not the expected one."""


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One row of the demo: change the memory, ask, compare."""

    kind: str
    change: Edit | Literal["retract"] | None
    """What happens to the memory before the question is asked again."""
    question: str
    expected: str
    """What the answer has to contain after the change."""
    uses: Edit | None
    """The edit that has to be used for it; None for the model's own answer."""


_FIRST = Edit(
    prompt="The capital of France is", target_new="Lyon", subject="France", relation="capital"
)
_SECOND = replace(_FIRST, target_new="Marseille")
_STEPS = (
    _Step(
        kind="asked directly",
        change=_FIRST,
        question="What is the capital of France?",
        expected="Lyon",
        uses=_FIRST,
    ),
    _Step(
        kind="in other words",
        change=None,
        question="Which city is the capital of France?",
        expected="Lyon",
        uses=_FIRST,
    ),
    _Step(
        kind="unrelated",
        change=None,
        question="What is the capital of Japan?",
        expected="Tokyo",
        uses=None,
    ),
    _Step(
        kind="after a second edit",
        change=_SECOND,
        question="What is the capital of France?",
        expected="Marseille",
        uses=_SECOND,
    ),
    _Step(
        kind="after retracting it",
        change="retract",
        question="What is the capital of France?",
        expected="Paris",
        uses=None,
    ),
)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """What happened at one step."""

    kind: str
    question: str
    before: str
    after: str
    edit: str | None
    score: float | None
    right: bool


def demo(as_json: JsonOption = False) -> None:
    """Watch an edit change an answer, offline, with the embedded model.

    A fresh memory is opened and thrown away. Each question is asked before
    any edit and again after one: directly, in other words, about something
    unrelated, after a second edit of the same slot, after retracting it.

    Example: lte-chains demo
    """
    from lte_chains.models import load_model

    start = perf_counter()
    model = load_model("lte-tiny")
    console = Console(quiet=as_json)
    console.print("Opening a fresh edit memory; every answer below is generated as you watch.")
    rows: list[_Row] = []
    table = _table()
    with Live(table, console=console, auto_refresh=False) as live:
        for row in _play(model):
            rows.append(row)
            _show(row, table)
            live.refresh()
    right = sum(row.right for row in rows)
    if as_json:
        print_json({"rows": [asdict(row) for row in rows], "right": right == len(rows)})
    console.print(f"{right} of {len(rows)} as expected, in {perf_counter() - start:.1f} s.")
    if right < len(rows):
        raise typer.Exit(EXIT_WRONG_ANSWER)


def _play(model: BaseChatModel) -> Iterator[_Row]:
    """Ask every question before any edit, then go through the steps."""
    from lte_chains.editable_llm import EditableLLM
    from lte_chains.memory import EditMemory

    with TemporaryDirectory() as folder, EditMemory.open(Path(folder) / "edits.db") as memory:
        llm = EditableLLM(llm=model, retriever=memory.as_retriever(k=3))
        before = {step.question: llm.invoke(step.question).text for step in _STEPS}
        for step in _STEPS:
            _change(memory, step.change)
            yield _ask(llm, memory, step, before[step.question])


def _change(memory: EditMemory, change: Edit | Literal["retract"] | None) -> None:
    if isinstance(change, Edit):
        memory.add_edits([change])
    elif change == "retract":
        memory.retract([edit.id for edit in memory.edits() if edit.id is not None])


def _ask(llm: BaseChatModel, memory: EditMemory, step: _Step, before: str) -> _Row:
    answer = llm.invoke(step.question)
    used = answer.response_metadata["lte"]["edits"]
    edits = [edit.descriptor for edit in memory.get_edits([entry["id"] for entry in used])]
    right = step.expected.casefold() in answer.text.casefold()
    if step.uses is None:
        right = right and not edits and answer.text == before
    else:
        right = right and step.uses.descriptor in edits and answer.text != before
    return _Row(
        kind=step.kind,
        question=step.question,
        before=before,
        after=answer.text,
        edit="; ".join(edits) or None,
        score=used[0]["score"] if used else None,
        right=right,
    )


def _table() -> Table:
    table = Table(title="One edit's life", title_justify="left", show_lines=True)
    for column in ("", "question", "before", "after", "edit used", "score", "right"):
        table.add_column(column, overflow="fold")
    return table


def _show(row: _Row, table: Table) -> None:
    table.add_row(
        Text(row.kind, style="bold"),
        Text(row.question),
        Text(row.before),
        Text(row.after, style="green" if row.right else "red"),
        Text(row.edit or "none"),
        Text("" if row.score is None else f"{row.score:.3f}"),
        Text("yes" if row.right else "NO", style="green" if row.right else "red"),
    )
