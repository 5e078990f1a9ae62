"""Does a question name somebody other than the edit's subject?

To a network that reads parts of words, "Rebecca J Lewis" and "Catrin E Lewis" are
nearly the same, and so are two questions in the same words about two names that it has
never seen. A look at the names tells them apart. It is a sign and no proof: people
have nicknames, and names are spelt in many ways. So whatever may be another way to
name the subject is no sign: what is left out or added, offices, acronyms, legal forms.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from lte_chains.edit import Edit
from lte_chains.retrieval.mentions import LONGEST_NAME, words_of
from lte_chains.retrieval.ordinary_words import DATE_WORDS, is_ordinary
from lte_chains.retrieval.whole_names import LEGAL_FORMS, SENTENCE_MARKS, capitals_tell
from lte_chains.scope.offices import names_another_office
from lte_chains.word_edges import is_unspaced

_CONNECTORS = frozenset(
    words_of("the of and de da do di du des del della dos das van von der den le la les el al")
)
"""What may stand between the words of a name, and tells nothing of whose it is."""
_TITLES = frozenset(
    words_of(
        "mr mrs ms miss dr prof professor sir dame lord lady saint st king queen prince princess "
        "emperor empress duke duchess archduke archduchess grand count countess earl baron "
        "baroness margrave president senator governor mayor minister chancellor judge justice"
    )
)
_UNTELLING = _TITLES | LEGAL_FORMS | DATE_WORDS | {"group", "holding", "holdings"}
"""Titles, legal forms and dates: no part of what tells one name from another."""
_JOINT = re.compile(r"(?<=\w)[-‐–/.](?=\w)")
"""What joins words, and initials, that are compared one by one."""
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)$")
_OPENS = SENTENCE_MARKS | {"‘"}
_SLIPS = ((9, 3), (6, 2), (4, 1), (0, 0))
"""Letters of the longer word, and how many slips the two may be apart."""
_ACRONYM = 4
"""Letters up to which a word all in capitals is an office or a measure, such as CEO or GDP."""
_LONG_NAME = 4
"""Telling words from which on names that differ in one alone are taken for two of a series."""
_READ = 1000
"""Characters of a question that are looked at: its last ones, where questions are put."""
_SCORE = 4.0
"""What a sign takes off the trained gate's score; it makes the odds thirty times lower."""


def lowered(scores: Sequence[float], pairs: Sequence[tuple[str, Edit]]) -> list[float]:
    """Return the network's scores of pairs, less where another subject or office is named."""
    return [
        score - _SCORE * (2 if names_another_office(*pair) else signs_of_another(*pair))
        for score, pair in zip(scores, pairs, strict=True)
    ]


def signs_of_another(question: str, edit: Edit) -> int:
    """Return how surely a question is about another subject than an edit's: 0, 1 or 2 signs.

    It seems so (1) if a name in it has some words of the subject's, and another word where the
    subject has one of its own, or if it is asked in the very words of the edit's prompt with
    another name in the subject's place. It is all but sure (2) if the names are two of a
    series, which differ in a number or in one of many words.

    Of an edit without a subject it never is, nor of a question that holds the subject's name,
    an alias, parts of them, or a target that is a name: it may ask back from it.

    Example:
        >>> phone = Edit(prompt="The head of the Orbit 15 project is", target_new="Jane Doe",
        ...              subject="Orbit 15 project", aliases=("Big Orbit",))
        >>> [signs_of_another(f"Who heads {name}?", phone)
        ...  for name in ("the Orbit 16 project", "the Orbit project", "Big Orbit")]
        [2, 0, 0]
        >>> signs_of_another("The head of the Borealis is", phone)
        1
    """
    question = question[-_READ:]
    if edit.subject is None or (
        _names_something(edit.target_new) and _holds(question, edit.target_new)
    ):
        return 0
    signs = [_signs_of_namesake(question, name) for name in (edit.subject, *edit.aliases)]
    if None in signs:
        return 0
    return max(sign or 0 for sign in signs) or int(
        _fills_the_place(question, edit.prompt, edit.subject)
    )


def _signs_of_namesake(question: str, name: str) -> int | None:
    """Compare a name with those of a question; None if the question holds it, or only parts."""
    if _holds(question, name):
        return None
    own, found = _telling_words(name), 0
    for other in _names_in(question, frozenset(_words(name)) & _CONNECTORS):
        as_own = [next((mine for mine in own if _alike(word, mine)), word) for word in other]
        shared = [word for word in as_own if word in own and len(word) > 1 and not word.isdigit()]
        if shared and len(shared) == len(other):
            return None
        if shared:
            found = max(found, _signs_of_replacement(as_own, own))
    if found and all(any(_alike(word, mine) for word in _words(question)) for mine in own):
        return None
    return found


def _signs_of_replacement(other: Sequence[str], own: Sequence[str]) -> int:
    """Look for words of a name that stand where another has different ones."""
    found, replaced = 0, 0
    for kind, start, end, first, last in SequenceMatcher(None, other, own, False).get_opcodes():
        if kind != "replace":
            continue
        theirs, mine = other[start:end], own[first:last]
        replaced += max(len(theirs), len(mine))
        if any(map(str.isdigit, theirs)) and any(map(str.isdigit, mine)):
            found = 2
        elif any(map(_is_proper, theirs)) and any(map(_is_proper, mine)):
            found = max(found, 1)
    is_series = replaced == 1 and len(own) >= _LONG_NAME
    return 2 if found and is_series else found


def _fills_the_place(question: str, prompt: str, subject: str) -> bool:
    """Tell whether a question is a prompt with a name unlike the subject's in its place."""
    asked, told = (" ".join(text.split()).rstrip("?:.!… ") for text in (question, prompt))
    before, found, after = told.rpartition(subject)
    filler = asked[len(before) : len(asked) - len(after)]
    if not found or not (before + after).strip() or not _is_name(filler):
        return False
    if f"{before}{filler}{after}".casefold() != asked.casefold():
        return False
    theirs, own = _telling_words(filler), _telling_words(subject)
    return bool(theirs and own) and not (
        any(_alike(word, mine) for word in theirs for mine in own)
        or "".join(word[0] for word in own) in theirs
        or "".join(word[0] for word in theirs) in own
    )


def _is_name(text: str) -> bool:
    """Tell whether a text is capitalised words and numbers alone, and not a description."""
    words = [w for w in words_of(text) if w.casefold() not in _CONNECTORS and w not in ".,"]
    if not 0 < len(words) <= LONGEST_NAME or is_unspaced(text):
        return False
    written = all(word[0].isupper() or word[0].isdigit() for word in words)
    return written and any(_is_proper(word.casefold()) for word in words)


def _names_something(text: str) -> bool:
    return any(word[0].isupper() for word in words_of(text) if len(word) > 1)


def _is_proper(word: str) -> bool:
    return len(word) > 1 and not word.isdigit() and not is_ordinary(word)


def _holds(question: str, name: str) -> bool:
    """Tell whether a question holds a name, whatever its case, accents and hyphens."""
    wanted = _spaced(name)
    return wanted in _spaced(question) and not wanted.isspace()


@lru_cache(maxsize=1024)
def _spaced(text: str) -> str:
    return f" {' '.join(_words(text))} "


@lru_cache(maxsize=1024)
def _names_in(text: str, connectors: frozenset[str]) -> tuple[tuple[str, ...], ...]:
    """Return the telling words of each name in a text: capitalised words and numbers in a row.

    Args:
        text: The text.
        connectors: Words that may stand between those of a name.
    """
    words = _apart(text)
    if not capitals_tell(words):
        return ()
    found: list[list[str]] = [[]]
    for place, word in enumerate(words):
        opens = place == 0 or words[place - 1] in _OPENS
        if (word[0].isupper() or word[0].isdigit()) and not (opens and is_ordinary(word)):
            found[-1].extend(_telling([word], acronyms=False))
        elif word.casefold() not in connectors and not _stands_inside(words, place):
            found.append([])
    return tuple(tuple(name) for name in found if name)


def _stands_inside(words: Sequence[str], place: int) -> bool:
    """Tell whether a mark stands inside a name, as in "J. Lewis" and "Bowes, 9th Earl"."""
    if words[place] == ".":
        return place > 0 and len(words[place - 1]) == 1 and words[place - 1].isalpha()
    after = words[place + 1 : place + 2]
    return words[place] == "," and bool(after) and after[0][0].isdigit()


@lru_cache(maxsize=4096)
def _telling_words(name: str) -> tuple[str, ...]:
    return tuple(_telling(_apart(name), acronyms=True))


def _telling(words: Sequence[str], *, acronyms: bool) -> Iterator[str]:
    for word in words:
        letters = _letters(word)
        if not letters or letters in _CONNECTORS or letters in _UNTELLING:
            continue
        if acronyms or not (1 < len(word) <= _ACRONYM and word.isupper()):
            yield letters


@lru_cache(maxsize=1024)
def _words(text: str) -> tuple[str, ...]:
    """Return all words of a text in the form in which names are compared."""
    letters = (_letters(word) for word in _apart(text))
    return tuple(word for word in letters if word)


def _apart(text: str) -> list[str]:
    """Return a text's words and marks, those that are joined one by one."""
    return words_of(_JOINT.sub(" ", text))


def _letters(word: str) -> str:
    """Return a word's letters and digits without case and accents; none of a mark."""
    folded = word.casefold()
    if not folded.isascii():
        parts = unicodedata.normalize("NFKD", folded)
        folded = unicodedata.normalize(
            "NFC", "".join(part for part in parts if not unicodedata.combining(part))
        )
    return _ORDINAL.sub("", "".join(letter for letter in folded if letter.isalnum()))


@lru_cache(maxsize=16384)
def _alike(one: str, other: str) -> bool:
    """Tell whether two words may be the same: spelt alike, shortened, or an initial."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if any(map(str.isdigit, one + other)):
        return False
    if len(short) >= _ACRONYM and short in long:
        return True
    if short[0] != long[0]:
        return False
    shortened = long.startswith(short) and (len(short) in (1, len(long) - 1) or len(short) > 2)
    abbreviated = len(short) < 4 and short[-1] == long[-1] and _is_within(short, long)
    return shortened or abbreviated or _is_slip(short, long)


def _is_within(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)


def _is_slip(short: str, long: str) -> bool:
    """Tell whether few letters must be changed, put in or left out (Levenshtein's distance)."""
    most = next(slips for least, slips in _SLIPS if len(long) >= least)
    if len(long) - len(short) > most or len(long) > _READ:
        return False
    row = list(range(len(long) + 1))
    for at, letter in enumerate(short, 1):
        last, row[0] = row[0], at
        for to, own in enumerate(long, 1):
            last, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, last + (letter != own))
        if min(row) > most:
            return False
    return row[-1] <= most
