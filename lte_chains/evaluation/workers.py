"""Edit and ask, group of rows by group of rows: in this process, or in several side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeAlias

from lte_chains.cases import Case
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors import Editor, Resources, make_editor
from lte_chains.evaluation.resources import metered
from lte_chains.evaluation.results_log import Row

Numbered: TypeAlias = tuple[int, Case]
"""A row with its place in the file."""
Task: TypeAlias = tuple[str, Sequence[Numbered]]
"""A method, and rows whose edits are in the model together."""
EditAndAsk: TypeAlias = Callable[[Editor, Sequence[Numbered]], list[Row]]
"""Makes the edits of some rows, and asks."""


@dataclass(frozen=True)
class Done:
    """What came of a task."""

    method: str
    """The method."""
    rows: list[Row]
    """Its rows' results."""
    prepare_seconds: float
    """How long the method took to prepare; 0 if that was done for a task before."""


class Worker:
    """One process's models and editors, each of which is made and prepared once."""

    def __init__(
        self,
        resources: Resources,
        prepare: Callable[[Resources], EditAndAsk],
        editors: Mapping[str, Editor] | None = None,
    ) -> None:
        """Take the models.

        Args:
            resources: The models, and what methods need besides.
            prepare: Returns what is done with each group of rows.
            editors: Editors that are made already, by method.
        """
        self._resources = resources
        self._edit_and_ask = prepare(resources)
        self._editors = dict(editors or {})
        self._prepared: set[str] = set()

    def run(self, task: Task) -> Done:
        """Make the edits of one task, ask, and take them back."""
        method, group = task
        if method not in self._editors:
            self._editors[method] = make_editor(method, self._resources)
        editor, seconds = self._editors[method], 0.0
        if method not in self._prepared:
            with metered() as cost:
                editor.prepare()
            self._prepared.add(method)
            seconds = cost.seconds
        try:
            rows = self._edit_and_ask(editor, group)
        finally:
            editor.undo()
        return Done(method, [{"method": method, **row} for row in rows], seconds)


def run_tasks(
    tasks: Sequence[Task],
    resources: Resources,
    prepare: Callable[[Resources], EditAndAsk],
    *,
    editors: Mapping[str, Editor] | None = None,
    jobs: int = 1,
) -> Iterator[Done]:
    """Run tasks, and yield what came of each as soon as it is done.

    Args:
        tasks: What is to be done.
        resources: The models; with several processes each opens them again.
        prepare: Returns what is done with each group of rows; called once in each
            process, so with several it must be possible to pickle it.
        editors: Editors that are made already, by method; other processes make their
            own.
        jobs: How many processes; 1 is this one.

    Raises:
        ConfigError: Several processes, and the resources do not say how they are
            opened again.
    """
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        yield from map(Worker(resources, prepare, editors).run, tasks)
        return
    if resources.reopen is None:
        raise ConfigError(
            f"jobs={jobs} needs resources that other processes can open again: use "
            "open_resources, or jobs=1"
        )
    # Forked, a process would inherit locks of torch's threads that nobody opens again.
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=get_context("spawn"),
        initializer=_start,
        initargs=(resources.reopen, prepare, jobs),
    )
    try:
        for future in as_completed([pool.submit(_run, task) for task in tasks]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_worker: Worker | None = None
"""This process's worker, if it is one of several."""


def _start(
    reopen: Callable[[], Resources], prepare: Callable[[Resources], EditAndAsk], jobs: int
) -> None:
    """Open the models in a new process, and share the cores with the others."""
    global _worker
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    _worker = Worker(reopen(), prepare)


def _run(task: Task) -> Done:
    assert _worker is not None
    return _worker.run(task)
