"""Chains of edits with the questions that compose them, and edits to be confused with."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lte_chains.edit import Edit
from lte_chains.errors import DataError
from lte_chains.evaluation.relation_wordings import Wording, wording_of
from lte_chains.evaluation.triples import Triple

_BESIDE = 2
"""Edits of other relations that every entity of a chain gets."""
_TRIES = 1000
"""Tries for every chain that is wanted, before the triples are held not to make enough."""


@dataclass(frozen=True)
class Chain:
    """A question, and the edits that its answer depends on, in their order."""

    question: str
    first_question: str
    """A question for the first edit alone."""
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class World:
    """What is put into one memory, and asked of it."""

    chains: tuple[Chain, ...]
    edits: tuple[Edit, ...]


class ChainBuilder:
    """Draws chains from triples, so that no two edits set one slot.

    Relations whose wording is not known are said by their label. Where the file
    gives Wikidata ids only, those without a wording of ours are left out.

    Args:
        triples: Facts; their objects are dealt anew.
        rng: The source of all that is drawn.

    Example:
        >>> facts = [Triple("Ann", "P27", "Norway"), Triple("Bo", "P27", "Chile"),
        ...          Triple("Norway", "P36", "Oslo"), Triple("Chile", "P36", "Santiago")]
        >>> world = ChainBuilder(facts, random.Random(1)).build([2], count=1, distractors=0)
        >>> [chain.edits[1].relation for chain in world.chains]
        ['capital']
    """

    def __init__(self, triples: Iterable[Triple], rng: random.Random) -> None:
        """Sort the triples by subject and by relation."""
        self._rng = rng
        self._relations: dict[str, list[str]] = defaultdict(list)
        objects: dict[str, dict[str, None]] = defaultdict(dict)
        self._wordings: dict[str, Wording] = {}
        for triple in triples:
            wording = wording_of(triple.relation, triple.label)
            if triple.label is None and _is_bare_id(wording.label):
                continue
            self._wordings[triple.relation] = wording
            if triple.relation not in self._relations[triple.subject]:
                self._relations[triple.subject].append(triple.relation)
            objects[triple.relation][triple.object] = None
        self._objects = {relation: list(found) for relation, found in objects.items()}
        self._leading = {
            relation: [name for name in found if self._relations.get(name)]
            for relation, found in self._objects.items()
        }
        self._subjects = [name for name, found in self._relations.items() if found]
        self._targets: dict[tuple[str, str], str] = {}

    def build(self, lengths: Sequence[int], *, count: int, distractors: int) -> World:
        """Draw `count` chains of each length, and edits beside them.

        Raises:
            DataError: The triples do not make as many.
        """
        chains = [self._chain(length) for length in lengths for _ in range(count)]
        for facts, _, _ in chains:
            self._add_beside(facts)
        self._add_elsewhere(distractors)
        return World(
            tuple(
                Chain(question, first, tuple(map(self._edit, facts)))
                for facts, question, first in chains
            ),
            tuple(map(self._edit, self._targets)),
        )

    def _chain(self, length: int) -> tuple[list[tuple[str, str]], str, str]:
        for _ in range(_TRIES):
            facts = self._walk(length)
            if facts is not None:
                return facts, *self._ask(facts)
        raise DataError(f"the triples do not make enough chains of {length} edits: ask for fewer")

    def _walk(self, length: int) -> list[tuple[str, str]] | None:
        """Draw slots of which each is about the target of the one before; None if stuck."""
        drawn: dict[tuple[str, str], str] = {}
        subject = self._rng.choice(self._subjects)
        for step in range(length):
            used = {relation for _, relation in drawn}
            pool = self._objects if step == length - 1 else self._leading
            open_ = [r for r in self._relations[subject] if r not in used and pool[r]]
            if not open_:
                return None
            slot = (subject, self._rng.choice(open_))
            target = self._targets.get(slot) or self._rng.choice(pool[slot[1]])
            named = {name for name, _ in drawn} | {subject}
            if target in named or (step < length - 1 and not self._relations.get(target)):
                return None
            drawn[slot] = target
            subject = target
        self._targets |= drawn
        return list(drawn)

    def _ask(self, facts: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """Put a chain, and its first fact, into a question."""
        phrase = first = ""
        for step, (subject, relation) in enumerate(facts):
            phrases = self._wordings[relation].phrases
            if step:  # "the country that Jo lives in's capital" is nobody's way to ask
                phrases = tuple(text for text in phrases if "{}'s" not in text) or phrases
            phrase = self._rng.choice(phrases).format(phrase or subject)
            first = first or phrase
        return f"What is {phrase}?", f"What is {first}?"

    def _add_beside(self, facts: Sequence[tuple[str, str]]) -> None:
        """Give every entity of a chain edits of relations that its question does not ask for."""
        asked = {relation for _, relation in facts}
        for name in (facts[0][0], *(self._targets[fact] for fact in facts)):
            free = [r for r in self._objects if r not in asked and (name, r) not in self._targets]
            for relation in self._rng.sample(free, min(_BESIDE, len(free))):
                self._targets[name, relation] = self._rng.choice(self._objects[relation])

    def _add_elsewhere(self, count: int) -> None:
        entities = {name for name, _ in self._targets}
        free = [
            (name, relation)
            for name in self._subjects
            if name not in entities
            for relation in self._relations[name]
        ]
        if len(free) < count:
            raise DataError(f"the triples leave {len(free)} facts for {count} distractors")
        for name, relation in self._rng.sample(free, count):
            self._targets[name, relation] = self._rng.choice(self._objects[relation])

    def _edit(self, fact: tuple[str, str]) -> Edit:
        wording = self._wordings[fact[1]]
        return Edit(
            prompt=wording.prompt.format(fact[0]),
            target_new=self._targets[fact],
            subject=fact[0],
            relation=wording.label,
        )


def _is_bare_id(label: str) -> bool:
    return label[:1] == "P" and label[1:].isdecimal()
