"""What trained editors learn from: an edit, other questions for it, and questions apart from it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lte_chains.cases import Case
from lte_chains.edit import Edit, normalise
from lte_chains.errors import DataError
from lte_chains.evaluation.comparison import Unedited
from lte_chains.evaluation.editors.asking import answer
from lte_chains.models import LocalChatModel

Outside = tuple[str, str]
"""A question that an edit must not change, and the original model's own answer to it."""


@dataclass(frozen=True, kw_only=True)
class EditExample:
    """One edit to learn from.

    Example:
        >>> EditExample(edit=Edit(prompt="2 + 2 is", target_new="5")).questions
        ('2 + 2 is',)
    """

    edit: Edit
    """The edit; its metadata name the task."""
    rephrased: tuple[str, ...] = ()
    """Other questions with the same answer."""
    outside: tuple[Outside, ...] = ()
    """What must not change."""
    aliases: tuple[str, ...] = ()
    """Other names of the target, which are right answers too."""

    @property
    def about(self) -> str:
        """Whom or what the edit is about: no such name is both trained on and judged."""
        return normalise(self.edit.subject or self.edit.prompt)

    @property
    def questions(self) -> tuple[str, ...]:
        """All questions that the edit answers."""
        return (self.edit.prompt, *self.rephrased)


def examples_of(cases: Iterable[Case], *, task: str) -> list[EditExample]:
    """Make examples of rows; those without a question apart get another row's prompt.

    The answers outside are empty until `with_own_answers` fills them in.

    Args:
        cases: Rows with prompt and target.
        task: Which kind of edits they are.

    Raises:
        DataError: There are fewer than two rows.
    """
    rows = [case for case in cases if case.edit.statement is None]
    if len(rows) < 2:
        raise DataError(f"{len(rows)} rows of the task {task!r} are too few to learn from")
    made = []
    for place, case in enumerate(rows):
        kept = [probe.prompt for probe in case.locality if not probe.mislabelled]
        same = [p.prompt for p in case.portability if set(p.answers) & set(case.answers)]
        outside = [*kept, rows[(place + 1) % len(rows)].edit.prompt]
        made.append(
            EditExample(
                edit=with_task(case.edit, task),
                rephrased=tuple(dict.fromkeys([*(p.prompt for p in case.rephrase), *same])),
                outside=tuple((question, "") for question in dict.fromkeys(outside)),
                aliases=case.answers[1:],
            )
        )
    return made


def with_task(edit: Edit, task: str) -> Edit:
    """Return an edit that names its task."""
    return replace(edit, metadata={**edit.metadata, "task": task})


def with_own_answers(
    examples: Sequence[EditExample], model: LocalChatModel, *, most: int = 2
) -> list[EditExample]:
    """Fill in what the model says to the questions outside; at most so many of each example."""
    chosen = [replace(example, outside=example.outside[:most]) for example in examples]
    questions = [question for example in chosen for question, _ in example.outside]
    said = answer(Unedited(model), questions)
    return [
        replace(example, outside=tuple((q, said[q]) for q, _ in example.outside if said[q]))
        for example in chosen
    ]


def split_examples(
    examples: Sequence[EditExample], *, dev: int, seed: int
) -> tuple[list[EditExample], list[EditExample]]:
    """Divide examples into train and dev, so that no subject is in both.

    Args:
        examples: What to divide.
        dev: About how many for dev.
        seed: Seed of the choice.
    """
    by_subject: dict[str, list[EditExample]] = {}
    for example in examples:
        by_subject.setdefault(example.about, []).append(example)
    names = sorted(by_subject)
    random.Random(seed).shuffle(names)
    held: list[EditExample] = []
    while names and len(held) < dev:
        held += by_subject[names.pop()]
    return [example for name in names for example in by_subject[name]], held


def digest_of(examples: Iterable[EditExample]) -> str:
    """Return a fingerprint of examples: what an editor was trained on."""
    texts = [[e.edit.descriptor, dict(e.edit.metadata), e.rephrased, e.outside] for e in examples]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
