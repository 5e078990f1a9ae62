"""Keep subjects apart: what is evaluated on must not have been trained on."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lte_chains.errors import DataError
from lte_chains.training.parallel.case import ParallelCase
from lte_chains.training.parallel.mentions import SubjectIndex

_log = logging.getLogger(__name__)


def subjects_of(cases: Iterable[ParallelCase], *, name: str) -> list[str]:
    """Return the edited subjects of cases that must not be trained on.

    Args:
        cases: The cases of an evaluation file.
        name: What to call the file in messages.

    Raises:
        DataError: The file names no subjects at all, so that nothing can be held out.
    """
    listed = list(cases)
    subjects = list(dict.fromkeys(s for case in listed for s in case.subjects))
    if not subjects:
        raise DataError(f"{name} names no subjects: they cannot be kept out of the training rows")
    unnamed = sum(not case.subjects for case in listed)
    if unnamed:
        _log.warning("%s: %d cases without a subject cannot be held out", name, unnamed)
    return subjects


def hold_out(
    cases: Iterable[ParallelCase], subjects: Sequence[str], dropped: Counter[str]
) -> list[ParallelCase]:
    """Return the cases without anything that mentions one of the subjects.

    A case whose edits are about one of them, or mention one, goes as a whole;
    of the others go the questions that mention one in text or answer.
    What goes is counted in `dropped`.
    """
    index = SubjectIndex(subjects)
    kept = []
    for case in cases:
        if any(index.holds(s) for s in case.subjects) or any(
            index.found_in(edit.descriptor) for edit in case.edits
        ):
            dropped["held out: cases"] += 1
            continue
        queries = tuple(
            query
            for query in case.queries
            if not index.found_in(f"{query.prompt} {query.answer} {query.unedited or ''}")
        )
        dropped["held out: questions"] += len(case.queries) - len(queries)
        kept.append(replace(case, queries=queries))
    return kept


def split_by_subject(
    cases: Sequence[ParallelCase], share: float, rng: random.Random, dropped: Counter[str]
) -> tuple[list[ParallelCase], list[ParallelCase]]:
    """Return train and dev cases that have no edited subject in common.

    Args:
        cases: All of them, in an order that does not depend on chance.
        share: Of the subjects, how many are for dev.
        rng: Chooses them.
        dropped: Counts train questions that mention a dev subject.
    """
    subjects = sorted({subject for case in cases for subject in case.subjects})
    chosen = SubjectIndex(rng.sample(subjects, int(len(subjects) * share)))
    dev = [case for case in cases if any(chosen.holds(s) for s in case.subjects)]
    rest = [case for case in cases if not any(chosen.holds(s) for s in case.subjects)]
    # Of a case of several edits all subjects are for dev now, the chosen and the others.
    return hold_out(rest, [s for case in dev for s in case.subjects], dropped), dev
