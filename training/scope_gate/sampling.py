"""Draw pairs of many kinds, in the proportions of a recipe."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.training.scope_gate.garbling import garbled
from lte_chains.training.scope_gate.held_out import HeldOut
from lte_chains.training.scope_gate.made import GARBLED, PairMaker
from lte_chains.training.scope_gate.pairs import Pair
from lte_chains.training.scope_gate.rows import Group

_CROSSED = frozenset(
    {"question", "paraphrase", "Reasoning", "rephrase", *(f"{hops} hops" for hops in range(2, 7))}
)
"""Kinds of questions that are put beside an edit of another relation as well: else a long
question would be in scope for its length alone."""


class Sampler:
    """Draw pairs from a maker and from train files.

    Args:
        maker: Makes the pairs of the kinds in `made`.
        groups: Edits of the train files with their questions.
        wrong: (question, index of a group that it does not depend on).
        weights: How often each kind is drawn, by kind; made kinds have the prefix "made ".
        held_out: What no pair may be about.
        rng: Every draw advances it.

    Raises:
        ConfigError: A weight is for a kind that there is no pair of.
    """

    def __init__(
        self,
        maker: PairMaker,
        groups: Sequence[Group],
        wrong: Sequence[tuple[str, int]],
        *,
        weights: Mapping[str, float],
        held_out: HeldOut,
        rng: random.Random,
    ) -> None:
        """Sort the pairs by kind."""
        self._maker, self._held_out, self._rng = maker, held_out, rng
        self._kinds: dict[str, Callable[[], Pair]] = {
            f"made {kind}": make for kind, make in maker.kinds.items()
        }
        self._kinds |= self._from_rows(groups)
        self._kinds["neighbour"] = lambda: self._neighbour(groups, wrong)
        unknown = sorted(weights.keys() - self._kinds.keys())
        if unknown:
            raise ConfigError(f"no pairs of the kinds {unknown}; there are {sorted(self._kinds)}")
        self._names, self._weights = list(weights), list(weights.values())

    def __iter__(self) -> Iterator[Pair]:
        """Draw pairs without end."""
        while True:
            [kind] = self._rng.choices(self._names, self._weights)
            pair = self._kinds[kind]()
            if not self._held_out.concerns(pair):
                yield replace(pair, kind=kind)

    def _from_rows(self, groups: Sequence[Group]) -> dict[str, Callable[[], Pair]]:
        found: defaultdict[tuple[str, bool], list[tuple[Edit, str]]] = defaultdict(list)
        crossed: list[tuple[str, str, str]] = []
        for group in groups:
            for kind, question in group.inside:
                found[kind, True].append((group.edit, question))
                relation = group.relation
                if kind in _CROSSED and relation and relation in self._maker.relations:
                    crossed.append((question, group.subject, relation))
            for kind, question in group.outside:
                found[kind, False].append((group.edit, question))
        kinds: dict[str, Callable[[], Pair]] = {
            kind: lambda own=own, kind=kind, label=label: self._row(own, kind, label)  # type: ignore[misc]
            for (kind, label), own in found.items()
        }
        kinds["crossed"] = lambda: self._crossed(crossed)
        return kinds

    def _row(self, rows: Sequence[tuple[Edit, str]], kind: str, in_scope: bool) -> Pair:
        edit, question = self._rng.choice(rows)
        if edit.subject and edit.subject in question and self._rng.random() < GARBLED:
            question = question.replace(edit.subject, garbled(edit.subject, self._rng))
        return Pair(question, self._dressed(edit), in_scope, kind)

    def _neighbour(self, groups: Sequence[Group], wrong: Sequence[tuple[str, int]]) -> Pair:
        question, place = self._rng.choice(wrong)
        return Pair(question, self._dressed(groups[place].edit), False, "neighbour")

    def _crossed(self, rows: Sequence[tuple[str, str, str]]) -> Pair:
        """Put a question beside an edit of the same subject, but of another relation."""
        question, subject, relation = self._rng.choice(rows)
        return Pair(question, self._maker.other_edit(subject, relation), False, "crossed")

    def _dressed(self, edit: Edit) -> Edit:
        """Leave the subject out now and then, or say the same as a statement."""
        if edit.statement is not None:
            return edit
        if self._rng.random() < 0.15 and not edit.prompt.endswith("?"):
            return Edit.from_statement(f"{edit.descriptor}.", subject=edit.subject)
        return replace(edit, subject=None) if self._rng.random() < 0.3 else edit
