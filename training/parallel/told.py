"""An edit as a prompt states it, and the ways to ask about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lte_chains.training.parallel.build import ParallelRow, Variant
from lte_chains.training.parallel.case import Scope

_SOURCE = "invented"


class Asked(NamedTuple):
    """A question and its only right answer."""

    kind: str
    question: str
    answer: str


@dataclass(frozen=True)
class Told:
    """One edit among those of a prompt."""

    text: str
    """Its descriptor."""
    ask: Callable[[], Asked] | None = None
    """Draws a question that it answers, where one can be made."""

    def asked(self) -> Asked:
        """Draw a question that it answers."""
        if self.ask is None:
            raise TypeError(f"nothing can be asked of {self.text!r}")
        return self.ask()


@dataclass(frozen=True)
class Prompt:
    """Edits in the order in which they are read, and whose they are."""

    told: tuple[Told, ...]
    own: frozenset[int] = frozenset()
    """Places of the edits that the first question is about."""

    @property
    def facts(self) -> tuple[str, ...]:
        """The edits' descriptors."""
        return tuple(edit.text for edit in self.told)

    def row(self, asked: Asked, places: Sequence[int], variant: Variant) -> ParallelRow:
        """Put a question after the edits.

        Args:
            asked: The question and its answer.
            places: Where the edits stand that it is about.
            variant: What the edits are to the question.
        """
        scope: Scope = "in" if places else "out"
        return ParallelRow(
            source=_SOURCE,
            kind=asked.kind,
            scope=scope,
            variant=variant,
            question=asked.question,
            facts=self.facts,
            answer=asked.answer,
            own_places=tuple(places),
        )
