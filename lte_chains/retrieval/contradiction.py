"""Does a document still carry the fact that an edit replaces?

A document is held to contradict an edit only if one of its sentences does, and
a sentence does only if all of this holds:

1. It names the edit's subject or one of its aliases, as a whole ("Acme" is not
   named by "Acme Foods"), or begins with a pronoun and follows a sentence that
   does.
2. It does not state the new value, and speaks of no past: neither "until",
   "former" and the like, nor, in a past form, of a year or a period that was
   over before the edit held ("In 2010 … was", see `past`).
3. Either it states an old value that is known; or the words around the subject
   say what the edit's prompt says (`said`) and nothing near to it (the boiling
   point for the melting point, the CEO's wife, see `near_relations`), another value
   of the new one's kind stands right beside these words (a name for a name, a
   number or a date for a number or a date, see `value_slots`), and the sentence, or
   these words with the value, is close to it too (`close`).

An edit without a subject contradicts a sentence only if that states an old value
that is known, and has all words of the edit's prompt that say something. An edit
of a relation with many values contradicts nothing: it adds.

So a document that merely mentions the subject stays as it is, and so does one
that states the old fact in a way that these rules do not see: rather an old
document too many, which the edit in front of it overrules, than a sound one
lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial

from langchain_core.documents import Document

from lte_chains.edit import Edit, normalise
from lte_chains.retrieval.mentions import (
    STAND_IN,
    Span,
    find_name,
    relation_texts,
    replaced,
    rings,
    saying_words,
    subject_names,
    words_of,
)
from lte_chains.retrieval.near_relations import says_another
from lte_chains.retrieval.past import tells_past
from lte_chains.retrieval.requests import Embed, Steps
from lte_chains.retrieval.value_slots import ValueSlot, said_texts, states
from lte_chains.retrieval.whole_names import find_whole_name
from lte_chains.slots import is_many_valued
from lte_chains.store.base import Vectors

OldValues = Callable[[Edit], Sequence[str]]
"""Says what held in an edit's place before."""

_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\b[A-Z][a-z]\.)\s+(?=[\"“'(]?[A-Z0-9])|\n+"
)
_PRONOUN = re.compile(r"^(he|she|it|they|his|her|its|their)\b", re.IGNORECASE)
_OWNING = frozenset({"his", "her", "its", "their"})
_PAST = re.compile(
    r"\b(?:until|former|formerly|previous|previously|ex-|once|used to|predecessor|had been|"
    r"no longer|stepped down|resigned|succeeded|replaced|then-)\b",
    re.IGNORECASE,
)
_OLD_KEYS = ("old_values", "ground_truth", "target_old", "target_true")


@dataclass(frozen=True)
class ContradictionRules:
    """How close a sentence must be to an edit of which it states no known old value; cosines."""

    said: float = 0.7
    """Of the words around the subject, with what the edit says of it; the nearest count."""
    close: float = 0.5
    """Of the whole sentence, or of these words and the value, with the same."""


@dataclass(frozen=True)
class Contradiction:
    """A sentence of a document that an edit contradicts."""

    edit: Edit
    sentence: str
    """The sentence, verbatim."""


@dataclass(frozen=True)
class _Suspect:
    document: int
    edit: Edit
    sentence: str
    words: tuple[str, ...]
    subject: Span

    @cached_property
    def slot(self) -> ValueSlot:
        """What the value of the edit's relation looks like."""
        return ValueSlot.of(self.edit)

    @cached_property
    def heads(self) -> frozenset[str]:
        """The words with which the edit says its relation."""
        own = frozenset(w.casefold() for name in subject_names(self.edit) for w in words_of(name))
        said = f"{self.edit.prompt or self.edit.descriptor} {self.edit.relation or ''}"
        return saying_words(said) - own

    @cached_property
    def others(self) -> list[str]:
        """The words, with nothing of the subject's name."""
        start, end = self.subject.start, self.subject.end
        return [*self.words[:start], *[STAND_IN] * (end - start), *self.words[end:]]


def known_old_values(edit: Edit) -> list[str]:
    """Return the old values that an edit's metadata name.

    Example:
        >>> known_old_values(Edit(prompt="The CEO of Acme is", target_new="Jane Doe",
        ...                       metadata={"old_values": ["Bob Smith"]}))
        ['Bob Smith']
    """
    found: list[str] = []
    for key in _OLD_KEYS:
        value = edit.metadata.get(key)
        values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        found += [text for text in values if isinstance(text, str) and text.strip()]
    return [text for text in found if normalise(text) != normalise(edit.target_new)]


def contradictions(
    documents: Sequence[Document],
    edits: Sequence[Edit],
    *,
    rules: ContradictionRules,
    old_values: OldValues = known_old_values,
    at: datetime | None = None,
) -> Steps[list[list[Contradiction]]]:
    """Return, for each document, what in it the edits contradict.

    Args:
        documents: What was retrieved; only their text is read.
        edits: The edits that are in scope; instructions contradict nothing, nor do
            edits that add a value.
        rules: How close a sentence must be that states no old value that is known.
        old_values: Says what held before.
        at: The moment of which all is asked; what an edit says that has no
            `valid_from` holds from then on. Now if None.
    """
    now = datetime.now(UTC) if at is None else at
    found: list[list[Contradiction]] = [[] for _ in documents]
    unsure: list[_Suspect] = []
    for edit in edits:
        if edit.instruction is not None or is_many_valued(edit):
            continue
        old = old_values(edit)
        past = partial(tells_past, edit=edit, now=now, old_values=old)
        for place, document in enumerate(documents):
            if not subject_names(edit):
                told = _telling(document.page_content, edit, old)
                found[place] += [Contradiction(edit, said) for said in told if not past(said)]
                continue
            for suspect in _suspects(place, document.page_content, edit):
                if past(suspect.sentence):
                    continue
                if any(find_name(suspect.words, value) for value in old):
                    found[place].append(Contradiction(edit, suspect.sentence))
                elif _may_hold_another(suspect) and not says_another(suspect.others, suspect.heads):
                    unsure.append(suspect)
    for suspect in (yield from _close_ones(unsure, rules)):
        found[suspect.document].append(Contradiction(suspect.edit, suspect.sentence))
    return found


def _suspects(place: int, text: str, edit: Edit) -> Iterator[_Suspect]:
    """Yield the sentences that speak of an edit's subject, and neither agree nor say "former"."""
    names = subject_names(edit)
    before: str | None = None
    for sentence in _sentences(text):
        name = next((n for n in names if find_whole_name(words_of(sentence), n)), None)
        said = sentence
        pronoun = _PRONOUN.match(sentence)
        if name is None and before is not None and pronoun:
            name, said = before, _named(before, pronoun[1]) + sentence[pronoun.end() :]
        before = name
        if name is None or _PAST.search(sentence):
            continue
        words = tuple(words_of(said))
        span = find_whole_name(words, name)
        if span is not None and not _agrees(sentence, edit):
            yield _Suspect(place, edit, sentence, words, span)


def _telling(text: str, edit: Edit, old: Sequence[str]) -> Iterator[str]:
    """Yield the sentences that state an old value in all the words of an edit's prompt."""
    wanted = saying_words(edit.prompt)
    for sentence in _sentences(text) if wanted and old else ():
        if not wanted <= saying_words(sentence) or _PAST.search(sentence):
            continue
        words = words_of(sentence)
        if not _agrees(sentence, edit) and any(find_name(words, value) for value in old):
            yield sentence


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE_END.split(text)]


def _named(name: str, pronoun: str) -> str:
    return f"{name}'s" if pronoun.casefold() in _OWNING else name


def _agrees(sentence: str, edit: Edit) -> bool:
    """Tell whether a sentence states an edit's new value."""
    return states(sentence, edit.target_new or edit.descriptor)


def _may_hold_another(suspect: _Suspect) -> bool:
    """Tell whether a sentence holds a value of the new one's kind anywhere."""
    words = suspect.others
    return any(suspect.slot.may_hold(words, place) for place in range(len(words)))


def _close_ones(suspects: Sequence[_Suspect], rules: ContradictionRules) -> Steps[list[_Suspect]]:
    """Return those of the sentences that say what their edit says."""
    if not suspects:
        return []
    around = [list(rings(suspect.words, suspect.subject)) for suspect in suspects]
    whole = [[replaced(suspect.words, suspect.subject)] for suspect in suspects]
    told = [relation_texts(suspect.edit) for suspect in suspects]
    said = [said_texts(suspect.edit) for suspect in suspects]
    ringed = [[ring.text for ring in own] for own in around]
    texts = list(dict.fromkeys(t for group in (*ringed, *whole, *told, *said) for t in group))
    place = {text: row for row, text in enumerate(texts)}
    vectors: Vectors = yield Embed(texts)

    def nearness(some: Sequence[str], others: Sequence[str]) -> list[float]:
        rows, columns = ([place[text] for text in group] for group in (some, others))
        return [float(near) for near in (vectors[rows] @ vectors[columns].T).max(axis=1)]

    found = []
    for number, suspect in enumerate(suspects):
        own = around[number]
        near = nearness(ringed[number], said[number]) if own else [0.0]
        if max(near) < rules.said:
            continue
        relation = own[near.index(max(near))].span
        value = suspect.slot.value_beside(suspect.others, relation)
        if value is None:
            continue
        both = Span(min(relation.start, value), max(relation.end, value + 1))
        stretches = [ring.text for ring in own if _covers(ring.span, both)]
        if max(nearness([*whole[number], *stretches], told[number])) >= rules.close:
            found.append(suspect)
    return found


def _covers(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end
