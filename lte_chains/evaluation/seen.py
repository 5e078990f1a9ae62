"""Which rows are about subjects that something was trained on: their figures say less.

Who was trained on is listed beside what was trained, as short digests of names: enough
to tell that rows overlap, and no data set.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from lte_chains.cases import Case
from lte_chains.edit import normalise
from lte_chains.evaluation.editors import METHODS, Resources
from lte_chains.models import LocalChatModel

_log = logging.getLogger(__name__)
SUBJECTS = "subjects.txt"
"""What the list is called, in a folder of trained editors or of an aligned model."""
TRAINED = ("mend", "serac", "instruct-edit")
"""Methods that are trained on edits beforehand."""
_DIGITS = 8


def digest_of_subject(name: str) -> str:
    """Return what stands for a name in a list.

    Example:
        >>> digest_of_subject("Acme ") == digest_of_subject("ACME")
        True
    """
    return hashlib.sha256(normalise(name).encode()).hexdigest()[:_DIGITS]


def add_subjects(folder: Path, names: Iterable[str]) -> None:
    """Add names to a folder's list of those that something in it was trained on."""
    found = seen_in(folder) | {digest_of_subject(name) for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUBJECTS).write_text("".join(f"{one}\n" for one in sorted(found)), encoding="ascii")


def seen_in(folder: Path) -> set[str]:
    """Return the digests of a folder's list; none if it has no list."""
    path = folder / SUBJECTS
    return set(path.read_text(encoding="ascii").split()) if path.is_file() else set()


def notes_on_seen(cases: Sequence[Case], resources: Resources, methods: Sequence[str]) -> list[str]:
    """Say how many rows are about subjects that what is compared was trained on, where known.

    Args:
        cases: The rows.
        resources: Have the folder of trained editors, and the aligned model.
        methods: Which methods are compared.
    """
    told = [METHODS[name].title for name in methods if name in TRAINED]
    notes = []
    if told and resources.trained is not None:
        notes += _note(cases, seen_in(resources.trained), f"the trained {', '.join(told)}")
    if "lte" in methods and isinstance(resources.model, LocalChatModel):
        folder = _folder_of(resources.model)
        notes += _note(cases, seen_in(folder), f"{resources.model.model_name}, which LTE asks,")
    return notes


def told_notes_on_seen(
    cases: Sequence[Case], resources: Resources, methods: Sequence[str]
) -> list[str]:
    """Return the same notes, and warn of each before hours are spent."""
    notes = notes_on_seen(cases, resources, methods)
    for note in notes:
        _log.warning(note)
    return notes


def _note(cases: Sequence[Case], seen: set[str], who: str) -> list[str]:
    count = sum(digest_of_subject(case.edit.subject or case.edit.prompt) in seen for case in cases)
    if not count:
        return []
    told = (
        f"{count:,} of {len(cases):,} rows are about subjects that {who} may have been trained on"
    )
    return [f"{told}: such figures are too good. Use rows about others"]


def _folder_of(model: LocalChatModel) -> Path:
    from lte_chains.local.loading import locate

    return Path(locate(model.model_name))
