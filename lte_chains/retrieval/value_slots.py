"""Where a sentence gives a relation its value: beside the words that say the relation.

"The CEO of Acme is Bob Roe" and "Bob Roe, CEO of Acme, …" give one. "The CEO of
Acme lives in Lisbon" gives none, for "lives" says something else of him; nor
does "earns 400,000 dollars", for a CEO is a name and no number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lte_chains.edit import Edit
from lte_chains.retrieval.mentions import (
    Span,
    find_name,
    relation_texts,
    subject_names,
    target_names,
    words_of,
)
from lte_chains.retrieval.ordinary_words import DATE_WORDS, is_ordinary

Kind = Literal["name", "number"]
"""Of which kind a value is; a date is a number, and what is neither is of none."""

_REACH = 8
"""Most words between a relation and its value."""
_IS = frozenset(words_of("is are was were be been being becomes became remains remain"))
_LINKS = _IS | frozenset(
    words_of("the by as who which that its their now still new currently today also both")
)
"""Words that may stand between a relation and its value."""
_QUANTITY_LINKS = frozenset(
    words_of(
        "a an about around nearly over almost approximately roughly some only just at least most "
        "more less than up to estimated $ € £ ¥"
    )
)
_NAMING = frozenset(words_of("named called appointed elected made"))
_NOT = frozenset(words_of("not never no isn wasn"))
_POSSESSIVES = frozenset({"'s", "’s"})
_OPEN_MARKS = frozenset(".;!?")
_PLACING = frozenset(words_of("in at on near from unlike like than since until after before"))
"""Words after which a name in front of a comma belongs to the sentence, not to the relation."""
_CLOSING = frozenset(words_of("since from until for who which"))
_OF_A_PEOPLE = re.compile(
    r"[A-Z]\w+(?:ish|ese|ian|ean)|(?:African|American|Dutch|French|German|Greek|Mexican|Swiss)"
)
_DIGIT = re.compile(r"\d")
_NUMBER_WORD = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|"
    r"forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?)\b",
    re.IGNORECASE,
)


_POINTING = frozenset(words_of("he she it they this that these those here there who what"))
_TITLE = r"(?:Mrs?|Ms|Miss|Dr|Prof)\.?"
_AMOUNT = re.compile(r"\d{1,3}(?:[,'\u00a0\u202f ]\d{3})+(?![\d])|\d+(?:\.\d+)?")
_GROUPING = re.compile(r"[,'\s]")


@dataclass(frozen=True)
class ValueSlot:
    """What the value of an edit's relation looks like.

    Example:
        >>> slot = ValueSlot.of(Edit(prompt="The CEO of Acme is", target_new="Jane Doe"))
        >>> said = words_of("The CEO of Acme is Bob, not 41.")
        >>> [word for place, word in enumerate(said) if slot.may_hold(said, place)]
        ['Bob']
    """

    kinds: frozenset[Kind]
    """Of which kind the edit's own value is."""
    known: frozenset[str]
    """The words with which the edit asks, and those of its subject's names, case folded."""
    of_a_people: bool
    """Whether the value is a word such as "Portuguese"."""

    @classmethod
    def of(cls, edit: Edit) -> ValueSlot:
        """Return the slot of an edit."""
        if edit.statement is None:
            values = [edit.target_new]
        else:
            values = [*target_names(edit), *_numbers_in(edit.statement)]
        texts = [edit.prompt or edit.descriptor, *subject_names(edit)]
        return cls(
            kinds=frozenset(kind for value in values for kind in _kind_of(value)),
            known=frozenset(word.casefold() for text in texts for word in words_of(text)),
            of_a_people=any(_OF_A_PEOPLE.fullmatch(value) for value in values),
        )

    def may_hold(self, words: Sequence[str], place: int) -> bool:
        """Tell whether a word may be (part of) another value of the edit's kind."""
        word = words[place]
        if word.casefold() in self.known:
            return False
        if word.casefold() in DATE_WORDS or _DIGIT.search(word):
            return "number" in self.kinds
        if "name" not in self.kinds or not word[0].isupper() or word == "I":
            return False
        # The first word of a sentence is capitalised whatever it is.
        return place > 0 or _is_a_name(words)

    def value_beside(self, words: Sequence[str], relation: Span) -> int | None:
        """Return where another value stands, right before or after the words of a relation."""
        start, end = relation.start, relation.end
        while end - start > 1 and self._links(words[end - 1 : end]):
            end -= 1
        while end - start > 1 and self._links(words[start : start + 1]):
            start += 1
        if not _NOT.isdisjoint(map(str.casefold, words[start:end])):
            return None
        after = self._first(words, range(end, min(end + _REACH, len(words))))
        if after is not None and self._is_value_after(words, end, after):
            return after
        before = self._first(words, range(start - 1, max(start - _REACH, 0) - 1, -1))
        if before is not None and self._is_value_before(words, Span(start, end), before):
            return before
        return None

    def _is_value_after(self, words: Sequence[str], end: int, place: int) -> bool:
        return self._links(words[end:place]) and not self._is_other(words, place)

    def _is_value_before(self, words: Sequence[str], core: Span, last: int) -> bool:
        between = words[last + 1 : core.start]
        if not self._links(between):
            return False
        if not _IS.isdisjoint(map(str.casefold, between)):
            return True
        # No verb in between: an apposition, which ends with the relation.
        first = next((p + 1 for p in range(last, -1, -1) if not self.may_hold(words, p)), 0)
        placed = first > 0 and words[first - 1].casefold() in _PLACING
        after = words[core.end].casefold() if core.end < len(words) else "."
        closes = after in _CLOSING or not (after[0].isalnum() or after in _POSSESSIVES)
        return closes and not placed

    def _first(self, words: Sequence[str], places: range) -> int | None:
        return next((place for place in places if self.may_hold(words, place)), None)

    def _links(self, between: Sequence[str]) -> bool:
        """Tell whether words only lead from a relation to its value."""
        folded = [word.casefold() for word in between]
        return all(self._is_link(folded, place) for place in range(len(folded)))

    def _is_link(self, words: Sequence[str], place: int) -> bool:
        word, before = words[place], words[place - 1] if place else ""
        if "number" in self.kinds and word in _QUANTITY_LINKS:
            return True
        if word in ("a", "an"):
            return False  # "a Harvard man" gives no name
        if word in _NAMING:
            return before in _IS or before == ","
        if word in ("has", "have", "had"):
            return words[place + 1 : place + 2] == ["been"]
        if word in _LINKS or word in self.known:
            return True
        return not word[0].isalnum() and word not in _OPEN_MARKS and word not in _POSSESSIVES

    def _is_other(self, words: Sequence[str], place: int) -> bool:
        """Tell whether what follows a relation as a name is an owner, or a word for a people."""
        end = next((p for p in range(place, len(words)) if not self.may_hold(words, p)), len(words))
        if words[end : end + 1] and words[end] in _POSSESSIVES:
            return True
        alone = end - place == 1 and _OF_A_PEOPLE.fullmatch(words[place]) is not None
        return alone and not self.of_a_people


def states(sentence: str, value: str) -> bool:
    """Tell whether a sentence states a value, however it writes numbers and names.

    Example:
        >>> states("It is 3120 metres high.", "3,120 m"), states("Ms. Doe runs it.", "Jane Doe")
        (True, True)
        >>> states("It is 3121 metres high.", "3,120 m"), states("Joe Doe runs it.", "Jane Doe")
        (False, False)
    """
    if find_name(words_of(sentence), value) is not None:
        return True
    numbers = _amounts(value)
    if value[:1].isdigit():
        return numbers <= _amounts(sentence)
    first, *between, last = value.split() if len(value.split()) > 1 else (value, value)
    if between or numbers or not (first[0].isupper() and last[0].isupper()):
        return False
    before = rf"{_TITLE}|{re.escape(first)}(?: [A-Z]\w*\.?){{1,2}}"
    return re.search(rf"\b(?:{before}) {re.escape(last)}\b", sentence) is not None


def _amounts(text: str) -> frozenset[str]:
    """Return the numbers in a text, without what groups their digits."""
    return frozenset(_GROUPING.sub("", number) for number in _AMOUNT.findall(text))


def _is_a_name(words: Sequence[str]) -> bool:
    """Tell whether the first word of a sentence is a name, or the beginning of one."""
    if len(words) > 1 and words[1][0].isupper():
        return True
    following = [word.casefold() for word in words[1:3]]
    stands = len(following) > 1 and (following[0] in _IS and following[1] in ("the", "its"))
    return stands and words[0].casefold() not in _POINTING and not is_ordinary(words[0])


def said_texts(edit: Edit) -> list[str]:
    """Return what an edit says about its subject, without the value.

    Example:
        >>> said_texts(Edit.from_statement("Acme moved to Lisbon in 2026.", subject="Acme"))
        ['it moved to in .']
    """
    texts = relation_texts(edit)
    if edit.statement is None:
        return texts
    for value in [*target_names(edit), *_numbers_in(edit.statement)]:
        texts[0] = " ".join(texts[0].replace(" ".join(words_of(value)), " ").split())
    return texts


def _numbers_in(text: str) -> list[str]:
    return [word for word in words_of(text) if _DIGIT.search(word)]


def _kind_of(value: str) -> Iterator[Kind]:
    """Yield the kind of a value; nothing if it is neither a name nor a number."""
    first = next((word for word in words_of(value) if word[0].isalnum()), "")
    if first[:1].isdigit() or first.casefold() in DATE_WORDS or _NUMBER_WORD.fullmatch(first):
        yield "number"
    elif any(word[0].isupper() for word in words_of(value)):
        yield "name"
    elif _DIGIT.search(value) or _NUMBER_WORD.search(value):
        yield "number"
