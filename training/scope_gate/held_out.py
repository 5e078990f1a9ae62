"""What is kept out of training, so that there is something to measure on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lte_chains.training.parallel.mentions import SubjectIndex
from lte_chains.training.scope_gate.pairs import Pair, share_of
from lte_chains.training.scope_gate.relations import Relation


@dataclass(frozen=True)
class HeldOut:
    """Relations, subjects, and a share of all other subjects.

    Example:
        >>> held_out = HeldOut(relations=("religion",), words="religio|faith", share=0.0)
        >>> held_out.mentions_relation("What faith does Ann follow?")
        True
    """

    relations: tuple[str, ...]
    """Relations that are left out, by our names."""
    words: str
    """Regular expression for texts about these relations."""
    share: float
    """Share of the subjects of train files that is left out."""
    subjects: tuple[str, ...] = ()
    """Subjects of files that are measured on."""

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any], subjects: Sequence[str]) -> HeldOut:
        """Read the recipe's part."""
        relations = recipe["held_out_relations"]
        return cls(
            tuple(relations["names"]),
            "|".join(relations["words"]),
            float(recipe["held_out_share"]),
            tuple(subjects),
        )

    def train(self, known: Mapping[str, Relation]) -> dict[str, Relation]:
        """Return the relations that may be trained on."""
        return {name: relation for name, relation in known.items() if name not in self.relations}

    def mentions_relation(self, text: str) -> bool:
        """Tell whether a text is about a relation that is left out."""
        return self._pattern.search(text) is not None

    def holds_subject(self, subject: str) -> bool:
        """Tell whether a subject is left out."""
        return share_of(subject) < self.share or self._index.holds(subject)

    def concerns(self, pair: Pair) -> bool:
        """Tell whether a pair must not be trained on."""
        edit = pair.edit
        if edit.subject is not None and self.holds_subject(edit.subject):
            return True
        text = f"{pair.question} {edit.descriptor}"
        return self.mentions_relation(text) or self._index.found_in(text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.words, re.IGNORECASE)

    @cached_property
    def _index(self) -> SubjectIndex:
        return SubjectIndex(self.subjects)
