"""Where a text names something, and what it says around that name.

A relation is compared with a question by what stands around the entity: in
"the capital of the country that Jo is a citizen of", the words around "Jo" say
"the country that it is a citizen of", and those around that say "the capital of
it". The name itself is replaced by "it", because two texts about one entity are
near to each other whatever they say of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lte_chains.edit import Edit, fold, normalise
from lte_chains.word_edges import joined, spaced_parts, split

STAND_IN = "it"
"""What a name is replaced by."""
LONGEST_NAME = 10
"""Words from which on a target is a text, and no name that other edits could be about."""

_RING = 10
"""Most words around a name that are taken to say one relation."""
_SAYS_NOTHING = re.compile(
    r"a|an|and|are|as|at|be|been|by|can|could|did|do|does|for|from|had|has|have|how|if|in|into|is|"
    r"its?|me|of|on|or|please|say|tell|that|the|their|there|these|they|this|those|to|was|were|what|"
    r"when|where|which|who|whom|whose|why|will|with|would|your?|['’]s|\W+",
    re.IGNORECASE,
)
"""Words that name no relation: around a name, they alone ask for nothing."""
_PHRASE_START = re.compile(
    r"\b(?:the|an?)"
    r"(?: (?!(?:the|an?|of|in|on|at|by|for|to|from|is|was|that|which|whose|where)\b)\w\S*){0,3}"
    r"(?:(?: (?:in|on|at|of|for|by|to|from|with|as|under))? (?:that|which|who|whom|whose|where))?"
    r"(?: (?:has|have|had|is|was))?$",
    re.IGNORECASE,
)
"""The article and the noun of a phrase, up to its relative clause."""
_ARTICLE_WORD = re.compile(r"the|an?", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:the|a|an)\s+(?=\S)")
_NAME = re.compile(r"\b[A-Z][\w&.'’-]*(?:\s+(?:(?:of|de|van|von|da|the|and)\s+)?[A-Z][\w&.'’-]*)*")
_ENDING = re.compile(r"(?:['’]s?|[.-])+$")


@dataclass(frozen=True, order=True)
class Span:
    """The words from `start` to before `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Ring:
    """Words around an inner span, with the inner span replaced."""

    span: Span
    """The whole, inner span included."""
    text: str


def words_of(text: str) -> list[str]:
    """Split a text into words and marks; a possessive ending is a word of its own.

    So is each character of a script that is written without spaces.

    Example:
        >>> words_of("Who is Acme's CEO?")
        ['Who', 'is', 'Acme', "'s", 'CEO', '?']
        >>> words_of("日本のC++")
        ['日', '本', 'の', 'C++']
    """
    return split(text)


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """Return a name in the form in which names are compared.

    Example:
        >>> name_key("The  United States.") == name_key("united states")
        True
    """
    return _ARTICLE.sub("", normalise(name))


def find_name(words: Sequence[str], name: str) -> Span | None:
    """Return the first place at which `words` hold a name, whatever its case; None if nowhere.

    Example:
        >>> find_name(words_of("Who is acme's CEO?"), "Acme")
        Span(start=2, end=3)
    """
    return next(name_places(words, name), None)


def name_places(words: Sequence[str], name: str) -> Iterator[Span]:
    """Yield every place at which `words` hold a name, whatever its case."""
    wanted, folded = _name_words(name), _folded(tuple(words))
    if not wanted or wanted[0] not in folded:
        return
    for start in range(len(folded) - len(wanted) + 1):
        if folded[start : start + len(wanted)] == wanted:
            yield Span(start, start + len(wanted))


def holds_name(text: str, name: str) -> bool:
    """Tell whether a text holds a name: whether `find_name` finds it among the text's words.

    Example:
        >>> holds_name("Who is acme's CEO?", "Acme"), holds_name("Who is it?", "Acme")
        (True, False)
    """
    wanted = _name_words(name)
    if not wanted or not _folded_words(text).issuperset(wanted):
        return False
    return find_name(words_of(text), name) is not None


@lru_cache(maxsize=4096)
def _name_words(name: str) -> tuple[str, ...]:
    return tuple(words_of(name_key(name)))


@lru_cache(maxsize=64)
def _folded(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a question, in which many names are looked for, without their case."""
    return tuple(map(fold, words))


@lru_cache(maxsize=1024)
def _folded_words(text: str) -> frozenset[str]:
    return frozenset(map(fold, words_of(text)))


def replaced(words: Sequence[str], span: Span, by: str = STAND_IN) -> str:
    """Return the words as a text, with `by` in the place of a span."""
    return joined([*words[: span.start], by, *words[span.end :]]).replace(" '", "'")


def rings(words: Sequence[str], inner: Span) -> Iterator[Ring]:
    """Yield the words around an inner span, up to ten of them, that could ask for something.

    Example:
        >>> [ring.text for ring in rings(["the", "capital", "of", "Freedonia"], Span(3, 4))]
        ['capital of it', 'the capital of it']
    """
    for start in range(inner.start, max(inner.start - _RING, 0) - 1, -1):
        before = words[start : inner.start]
        if before and not _say_something(before):
            continue
        most = min(len(words), inner.end + _RING - len(before))
        for end in range(inner.end, most + 1):
            after = words[inner.end : end]
            if _say_something(after) if after else before:
                hole = Span(inner.start - start, inner.end - start)
                yield Ring(Span(start, end), replaced(words[start:end], hole))


def whole_phrase(words: Sequence[str], span: Span) -> Span:
    """Widen a span to the left, to where the phrase begins that it is the end of.

    Example:
        >>> whole_phrase(words_of("the mayor of the city in which Jo lives"), Span(7, 9))
        Span(start=3, end=9)
    """
    if _ARTICLE_WORD.fullmatch(words[span.start]):
        return span
    found = _PHRASE_START.search(" ".join(words[: span.start]))
    return Span(span.start - len(found[0].split(" ")), span.end) if found else span


def saying_words(text: str) -> frozenset[str]:
    """Return the words of a text that say something, without their case.

    Example:
        >>> sorted(saying_words("The CEO of Acme is"))
        ['acme', 'ceo']
    """
    return frozenset(word for word in _folded_words(text) if _say_something([word]))


def _say_something(words: Sequence[str]) -> bool:
    return any(_SAYS_NOTHING.fullmatch(word) is None for word in words)


def relation_texts(edit: Edit, name: str | None = None) -> list[str]:
    """Return what an edit says about its subject, with the subject replaced.

    Args:
        edit: The edit.
        name: What the subject is called, if the edit does not say.

    Example:
        >>> relation_texts(Edit(prompt="Acme's boss is", target_new="Jo", subject="Acme",
        ...                     relation="CEO"))
        ["it's boss is", 'the CEO of it']
    """
    words = words_of(edit.prompt or edit.descriptor)
    names = [text for text in (edit.subject, name) if text]
    spans = [span for span in (find_name(words, text) for text in names) if span]
    said = replaced(words, spans[0]) if spans else joined(words)
    return [said] if edit.relation is None else [said, f"the {edit.relation} of {STAND_IN}"]


def target_names(edit: Edit) -> list[str]:
    """Return what further edits could be about: the target, or the names in a statement.

    Example:
        >>> target_names(Edit(prompt="The CEO of Acme is", target_new="Jane Doe"))
        ['Jane Doe']
        >>> target_names(Edit.from_statement("Acme moved to Lisbon.", subject="Acme"))
        ['Lisbon']
    """
    if edit.instruction is not None:
        return []
    if edit.statement is None:
        return [edit.target_new] if len(edit.target_new.split()) <= LONGEST_NAME else []
    subject = name_key(edit.subject or "")
    found = dict.fromkeys(names_in(edit.statement))
    return [name for name in found if name_key(name) != subject]


def names_in(text: str) -> list[str]:
    """Return the runs of capitalised words in a text, but for words like "The" that begin it.

    Example:
        >>> names_in("The boss says: where does Jane Doe of Acme live?")
        ['Jane Doe of Acme']
    """
    return list(_names_in(text))


@lru_cache(maxsize=4096)  # the same edits are near many questions
def _names_in(text: str) -> tuple[str, ...]:
    parts = spaced_parts(text)
    found = (_ENDING.sub("", name) for part in parts for name in _NAME.findall(part))
    return tuple(n for n in found if _SAYS_NOTHING.fullmatch(n) is None or n.isupper())


def subject_names(edit: Edit) -> list[str]:
    """Return the names of what an edit is about: its subject, and the aliases it was given."""
    aliases: Sequence[str] = getattr(edit, "aliases", ())
    return [name for name in (edit.subject, *aliases) if name]
