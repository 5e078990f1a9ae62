"""Does a question name somebody else than the edit is about?

To a network that reads parts of words, "Rebecca J Lewis" and "Catrin E Lewis" are
nearly the same, and so are two questions in the same words about two names that it has
never seen. A look at the names tells them apart. It is a sign and no proof: people
have nicknames, and names are spelt in many ways.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from lte_chains.edit import Edit, normalise
from lte_chains.retrieval.mentions import LONGEST_NAME, words_of
from lte_chains.retrieval.ordinary_words import is_ordinary

_CONNECTORS = frozenset(
    words_of(
        "the a an of and & de da do di du des del della dos das van von der den le la les el al y"
    )
)
"""What may stand between the words of a name, and tells nothing of whose it is."""
_TITLES = frozenset(
    words_of(
        "mr mrs ms miss dr prof professor sir dame lord lady saint st king queen prince princess "
        "emperor empress duke duchess archduke archduchess grand count countess earl baron "
        "baroness margrave"
    )
)
_JOINT = re.compile(r"(?<=\w)[-‐–/.](?=\w)")
"""What joins words, and initials, that are compared one by one."""
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)$")
_MOST_CONNECTORS = 2
_SLIPS = ((9, 3), (6, 2), (4, 1), (0, 0))
"""Letters of the longer word, and how many slips the two may be apart."""
_SERIES = 4
"""Telling words from which on names that differ in one alone are taken for two of a series."""
_SCORE = 3.0
"""What one sign counts in the trained gate's score, which makes odds six to eight times lower: of
questions by a name that no edit gives, where the two cannot be told, most pass still."""


def lowered(scores: Sequence[float], pairs: Sequence[tuple[str, Edit]]) -> list[float]:
    """Return the network's scores of pairs, less where a question names another subject."""
    return [
        score - _SCORE * signs_of_another(*pair) for score, pair in zip(scores, pairs, strict=True)
    ]


def signs_of_another(question: str, edit: Edit) -> int:
    """Return how surely a question is about another subject than an edit's: 0, 1 or 2 signs.

    It seems so if it gives part of the subject's name as a part of another name, or is
    asked in the very words of the edit's prompt with another name in the subject's place. It is
    all but sure (2) if the names are two of a series, which differ in a number or in one of
    many words. Of an edit without a subject, and of a question that calls the subject by its
    name, an alias, a spelling of it or a part of it, or asks back from the target, it never is.

    Example:
        >>> phone = Edit(prompt="The head of the Orbit 15 project is", target_new="Jane Doe",
        ...              subject="Orbit 15 project", aliases=("Big Orbit",))
        >>> [signs_of_another(f"Who heads {name}?", phone)
        ...  for name in ("the Orbit 16 project", "Orbit Labs", "Orbit 15", "Big Orbit")]
        [2, 1, 0, 0]
        >>> signs_of_another("The head of Zhang Li is", phone)
        1
    """
    if edit.subject is None or _names(question, edit.target_new):
        return 0
    names = (edit.subject, *edit.aliases)
    if any(_names(question, name) for name in names):
        return 0
    found = max(_signs_of_namesake(question, name) for name in names)
    return found or int(_fills_the_place(question, edit.prompt, edit.subject))


def _signs_of_namesake(question: str, name: str) -> int:
    """Look for a name that shares words with another, where each has words of its own."""
    own, found = _telling_words(name), 0
    for other in _names_in(question):
        alike = [any(_alike(word, mine) for mine in own) for word in other]
        if all(alike):
            return 0
        if any(alike):
            series = any(_are_of_a_series(other, part) for part in _names_in(name))
            found = max(found, 1 + series)
    words = _telling_words(question)
    if all(any(_alike(mine, word) for word in words) for mine in own):
        return 0
    return found


def _are_of_a_series(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether two names have the same words but for numbers, or for one of many."""
    if len(one) != len(other):
        return False
    apart = [pair for pair in zip(one, other, strict=True) if not _alike(*pair)]
    numbers = all(word.isdigit() for pair in apart for word in pair)
    return numbers or (len(apart) == 1 and len(one) >= _SERIES)


def _fills_the_place(question: str, prompt: str, subject: str) -> bool:
    """Tell whether a question is a prompt with a name unlike the subject's in its place."""
    asked, own = _plain(question), _telling_words(subject)
    before, found, after = _plain(prompt).rpartition(_plain(subject) or subject)
    room = len(asked) - len(before) - len(after)
    if not (found and own) or room < 1 or not (before + after).strip():
        return False
    if not (asked.startswith(before) and asked.endswith(after)):
        return False
    filler = words_of(asked[len(before) : len(before) + room])
    if not 0 < len(filler) <= LONGEST_NAME or is_ordinary(filler[0]) or filler[0] in _CONNECTORS:
        return False  # a description, which may well be of the subject
    return not any(_alike(word, mine) for word in filler for mine in own)


def _names(question: str, name: str) -> bool:
    """Tell whether a question holds a name, whatever its case, accents and hyphens."""
    wanted = _spaced(name)
    return bool(wanted.strip()) and wanted in _spaced(question)


@lru_cache(maxsize=4096)
def _names_in(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the telling words of each name in a text: capitalised words and numbers in a row."""
    found: list[tuple[str, ...]] = []
    name: list[str] = []
    between = 0
    words = words_of(_JOINT.sub(" ", text))
    for place, word in enumerate(words):
        folded = _letters(word)
        opens = place == 0 and is_ordinary(word)
        if (word[0].isupper() or word[0].isdigit()) and not opens:
            between = 0
            if folded not in _CONNECTORS and folded not in _TITLES:
                name.append(folded)
        elif folded in _CONNECTORS and between < _MOST_CONNECTORS:
            between += 1
        elif not _goes_on(words, place):
            found.append(tuple(name))
            name, between = [], 0
    found.append(tuple(name))
    return tuple(words for words in found if words)


def _goes_on(words: Sequence[str], place: int) -> bool:
    """Tell whether a mark stands inside a name, as in "J. Lewis" and "Bowes, 9th Earl"."""
    if words[place] == ".":
        return place > 0 and len(words[place - 1]) == 1
    return (
        words[place] == "," and words[place + 1 : place + 2] != [] and words[place + 1][0].isdigit()
    )


@lru_cache(maxsize=16384)
def _telling_words(name: str) -> tuple[str, ...]:
    words = (_letters(word) for word in words_of(_JOINT.sub(" ", name)))
    return tuple(w for w in words if w and w not in _CONNECTORS and w not in _TITLES)


@lru_cache(maxsize=16384)
def _spaced(text: str) -> str:
    return f" {' '.join(words_of(_plain(text)))} "


@lru_cache(maxsize=16384)
def _plain(text: str) -> str:
    return _letters_of(normalise(_JOINT.sub(" ", text)))


def _letters(word: str) -> str:
    """Return a word's letters and digits without case and accents; none of a mark."""
    letters = "".join(letter for letter in _letters_of(word.casefold()) if letter.isalnum())
    return _ORDINAL.sub("", letters)


def _letters_of(text: str) -> str:
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize(
        "NFC", "".join(part for part in parts if not unicodedata.combining(part))
    )


@lru_cache(maxsize=65536)
def _alike(one: str, other: str) -> bool:
    """Tell whether two words may be the same: spelt alike, shortened, or an initial."""
    short, long = sorted((one, other), key=len)
    if short == long:
        return True
    if short[0] != long[0] or any(map(str.isdigit, one + other)):
        return False
    shortened = long.startswith(short) and (len(short) in (1, len(long) - 1) or len(short) > 2)
    abbreviated = len(short) < 4 and short[-1] == long[-1] and _is_within(short, long)
    return shortened or abbreviated or _apart(short, long) <= _slips(len(long))


def _slips(letters: int) -> int:
    return next(slips for least, slips in _SLIPS if letters >= least)


def _is_within(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)


def _apart(one: str, other: str) -> int:
    """Return how many letters must be changed, put in or left out: Levenshtein's distance."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        last, row[0] = row[0], at
        for to, own in enumerate(other, 1):
            last, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, last + (letter != own))
    return row[-1]
