"""Which live edits a new one replaces: decided by rule, from the edits alone.

A slot is what an edit sets (`Edit.slot`). An edit of a relation with one value
replaces whatever its slot holds; one of a relation with many values replaces
only the same value. An alias is another name of the subject, so an edit about
that name is about the same slot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from lte_chains.edit import Edit, EditMatch, normalise, slot_of
from lte_chains.relations import is_many_valued_relation
from lte_chains.word_edges import replaced_name

VALUE_MARK = "\x1e"
"""Between a slot and one of its many values; normalised text holds no such character."""


class Place(NamedTuple):
    r"""Where an edit stands among others: the keys under which the ledger finds its rivals.

    Example:
        >>> edit = Edit(prompt="Ann has a child,", target_new="Bob", subject="Ann",
        ...             relation="child", aliases=("Anna",))
        >>> place_of(edit)
        Place(slot='ann\x1fchild', value='bob', other_slots=('anna\x1fchild',))
    """

    slot: str
    """The slot, by the edit's own subject or prompt."""
    value: str | None = None
    """The value, if the relation has many; None if the slot has one."""
    other_slots: tuple[str, ...] = ()
    """The slot by each of the subject's aliases."""

    @property
    def key(self) -> str:
        """The slot, and with many values the value: what two live edits never share."""
        return self._key(self.slot)

    @property
    def other_keys(self) -> tuple[str, ...]:
        """The same by each alias."""
        return tuple(self._key(slot) for slot in self.other_slots)

    def _key(self, slot: str) -> str:
        return slot if self.value is None else f"{slot}{VALUE_MARK}{self.value}"


def is_many_valued(edit: Edit) -> bool:
    """Return whether an edit adds to what its slot holds: as it says, else by its relation.

    Example:
        >>> is_many_valued(Edit(prompt="Ann speaks", target_new="Welsh", relation="languages"))
        True
        >>> is_many_valued(Edit(prompt="Ann's pets are", target_new="a cat", many_valued=True))
        True
    """
    if edit.instruction is not None:
        return False
    if edit.many_valued is not None:
        return edit.many_valued
    return edit.relation is not None and is_many_valued_relation(edit.relation)


def place_of(edit: Edit) -> Place | None:
    """Return where an edit stands; None for free text without a slot."""
    slot = edit.slot or None  # a prompt of nothing but punctuation names no slot
    if slot is None:
        return None
    if edit.matched_slot is not None:
        return Place(slot)
    value = value_of(edit) if is_many_valued(edit) else None
    if not edit.aliases:
        return Place(slot, value)
    others = dict.fromkeys(slot for slot in map(partial(_slot_under, edit), edit.aliases) if slot)
    others.pop(slot, None)
    return Place(slot, value, tuple(others))


def value_of(edit: Edit) -> str:
    """Return what an edit says of its slot, in the form in which values are compared."""
    return normalise(edit.target_new if edit.statement is None else edit.statement)


def later_first(matches: Sequence[EditMatch]) -> list[EditMatch]:
    """Return matches with those of one slot in the order of their revisions, the latest first.

    They exchange places among themselves only: whoever reads on to the end has
    read the newest first, and everything else stays where it was. So do values
    that hold side by side, of which one may be what a chain goes on from.

    Example:
        >>> old, new = (Edit(prompt="Acme's CEO is", target_new=name, revision=revision)
        ...             for name, revision in (("Jane", 1), ("John", 2)))
        >>> found = later_first([EditMatch(old, 0.9), EditMatch(new, 0.8)])
        >>> [match.edit.target_new for match in found]
        ['John', 'Jane']
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, match in enumerate(matches):
        if match.edit.slot:
            places[match.edit.slot].append(place)
    ordered = list(matches)
    for own in places.values():
        if all(is_many_valued(matches[place].edit) for place in own):
            continue
        latest = sorted((matches[place] for place in own), key=lambda m: -(m.edit.revision or 0))
        for place, match in zip(own, latest, strict=True):
            ordered[place] = match
    return ordered


def renamed(text: str, name: str, other: str) -> str:
    """Return a text with a name replaced by another, or preceded by it if the name is not there.

    Example:
        >>> renamed("Who runs acme?", "Acme", "Acme Corp."), renamed("Who is it?", "Acme", "ACM")
        ('Who runs Acme Corp.?', 'ACM: Who is it?')
    """
    changed = replaced_name(text, name.strip(), other)
    return f"{other}: {text}" if changed is None else changed


def _slot_under(edit: Edit, alias: str) -> str | None:
    """Return what an edit's slot would be if its subject were called by an alias."""
    prompt = renamed(edit.prompt, edit.subject or "", alias) if edit.prompt else ""
    if edit.instruction is not None:
        return replace(edit, subject=alias, prompt=prompt, aliases=()).slot
    return slot_of(alias, edit.relation, prompt if edit.statement is None else None)
