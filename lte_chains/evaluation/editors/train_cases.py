"""Rows that methods may learn from: none about a subject that is evaluated on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from lte_chains.cases import Case
from lte_chains.edit import normalise
from lte_chains.evaluation.case_files import read_case_file

_log = logging.getLogger(__name__)


def train_cases(paths: Sequence[Path], *, held_out: Sequence[Path] = ()) -> list[Case]:
    """Read train rows, without those about subjects of the rows that are evaluated on.

    A row whose prompt is evaluated on goes too, also where it names no subject.

    Args:
        paths: Rows in layouts of `read_case_file`.
        held_out: The files that are evaluated on.

    Raises:
        DataError: A file cannot be read.
    """
    kept = [case for path in paths for case in read_case_file(path)]
    judged = [case for path in held_out for case in read_case_file(path)] if kept else []
    allowed = apart_from(kept, judged)
    if len(allowed) < len(kept):
        _log.info("left out %d train rows that are evaluated on", len(kept) - len(allowed))
    return allowed


def apart_from(cases: Iterable[Case], judged: Iterable[Case]) -> list[Case]:
    """Return the cases that share neither subject nor prompt with those that are judged.

    Example:
        >>> from lte_chains.cases import parse_case
        >>> one = parse_case({"prompt": "A is", "target_new": "x", "subject": "A"})
        >>> two = parse_case({"prompt": "Is a?", "target_new": "y", "subject": "a"})
        >>> apart_from([one], [two])
        []
    """
    taken: set[str] = set()
    for case in judged:
        taken |= _names(case)
    return [case for case in cases if not taken & _names(case)]


def _names(case: Case) -> set[str]:
    named = {normalise(case.edit.prompt)}
    return named | ({normalise(case.edit.subject)} if case.edit.subject else set())
