"""Which of the edits in scope are handed on, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lte_chains.edit import EditMatch

TokenCounter = Callable[[str], int]
"""Counts the tokens of a text."""


def approximate_tokens(text: str) -> int:
    """Estimate the tokens of a text: four characters each, rounded up.

    Example:
        >>> approximate_tokens("The CEO of Acme is Jane Doe")
        7
    """
    return -(-len(text) // 4)


@dataclass(frozen=True)
class Budget:
    """How much may be put before a question."""

    edits: int
    """Most edits."""
    tokens: int | None = None
    """Most tokens of all edits together; None sets no limit."""
    counter: TokenCounter = approximate_tokens
    """Counts the tokens of an edit as the prompt has it, with its dates."""

    def select(
        self, judged: Sequence[EditMatch], chains: Sequence[Sequence[EditMatch]] = ()
    ) -> list[EditMatch]:
        """Return the most useful edits in the order in which they are to be read.

        Chains come first, each in its order, because a chain is what explains
        the whole question; then single edits in scope, best first. If an edit
        of a chain does not fit in, those that it leads to are left out too.
        Instructions come last, and do not take a fact's place: as many edits
        again may be instructions.

        Example:
            >>> from lte_chains.edit import Edit
            >>> one, two = (EditMatch(Edit(prompt="p", target_new=t, id=t), 0.9) for t in "ab")
            >>> [match.edit.target_new for match in Budget(edits=2).select([one], [[two, one]])]
            ['b', 'a']
        """
        # A gate may have set new scores; sorting is stable, so ties stay nearest first.
        single = sorted((m for m in judged if m.in_scope), key=lambda match: -match.score)
        taken: dict[tuple[str | None, int | None], EditMatch] = {}
        facts = [[match] for match in single if match.edit.instruction is None]
        told = [[match] for match in single if match.edit.instruction is not None]
        room = self.tokens
        for groups in ((*chains, *facts), told):
            room = self._fill(taken, groups, room)
        return list(taken.values())

    def _fill(
        self,
        taken: dict[tuple[str | None, int | None], EditMatch],
        groups: Sequence[Sequence[EditMatch]],
        room: int | None,
    ) -> int | None:
        """Take what fits of each group, and return the tokens that are left."""
        most = len(taken) + self.edits
        for group in groups:
            for match in group:
                key = (match.edit.id, match.edit.version)
                if key in taken:
                    continue
                cost = 0 if room is None else self.counter(match.edit.dated)
                if len(taken) == most or (room is not None and cost > room):
                    break
                taken[key] = match
                room = None if room is None else room - cost
        return room


def singles_and_chains(
    found: Sequence[Sequence[EditMatch]],
) -> tuple[list[EditMatch], list[list[EditMatch]]]:
    """Take what several queries found apart again; of single edits the best score counts.

    Example:
        >>> from lte_chains.edit import Edit
        >>> one, two = (Edit(prompt="p", target_new=text, id=text) for text in "ab")
        >>> chain = [EditMatch(one, 0.9), EditMatch(two, 0.8, hop=1)]
        >>> singles, chains = singles_and_chains([chain, [EditMatch(two, 0.7)]])
        >>> [len(chain) for chain in chains], [match.score for match in singles]
        ([2], [0.7])
    """
    groups: list[list[EditMatch]] = []
    for matches in found:
        for place, match in enumerate(matches):
            if match.hop and place:
                groups[-1].append(match)
            else:
                groups.append([match])
    best: dict[tuple[str | None, int | None], EditMatch] = {}
    for [match] in (group for group in groups if len(group) == 1):
        key = (match.edit.id, match.edit.version)
        if key not in best or match.score > best[key].score:
            best[key] = match
    return list(best.values()), [group for group in groups if len(group) > 1]
