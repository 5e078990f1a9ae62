"""Names as hurried people and translation programs write them."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

_SOUNDS = (
    ("ph", "f"), ("c", "k"), ("k", "c"), ("y", "i"), ("i", "y"), ("z", "s"), ("s", "z"),
    ("v", "w"), ("w", "v"), ("th", "t"), ("ck", "k"), ("ou", "u"), ("oo", "u"), ("ee", "ie"),
    ("ei", "ai"), ("x", "ks"), ("q", "k"), ("j", "y"), ("ae", "e"), ("ll", "l"), ("tt", "t"),
    ("nn", "n"), ("ss", "s"), ("gh", "g"), ("sch", "sh"), ("tion", "cion"),
)  # fmt: skip
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b")
_LONG = 5
"""Letters from which on a word may lose or exchange one."""


def garbled(name: str, rng: random.Random) -> str:
    """Write a name as if by ear, in a hurry, or through another language.

    One slip only, and no word is left out: else namesakes would look like slips. Numbers stay
    as they are, too.

    Example:
        >>> garbled("Kosmos 176", random.Random(2))
        'Cosmos 176'
        >>> garbled("A 7", random.Random(2))
        'A 7'
    """
    return rng.choice(_WAYS)(name, rng)


def _by_ear(name: str, rng: random.Random) -> str:
    """Exchange a group of letters for one that sounds alike."""
    heard = [(old, new) for old, new in _SOUNDS if old in name.lower()]
    if not heard:
        return name
    old, new = rng.choice(heard)
    places = [found.start() for found in re.finditer(re.escape(old), name.lower())]
    place = rng.choice(places)
    new = new.capitalize() if name[place].isupper() else new
    return name[:place] + new + name[place + len(old) :]


def _slipped(name: str, rng: random.Random) -> str:
    """Drop, double or exchange a letter of a long word."""
    words = name.split(" ")
    long = [place for place, word in enumerate(words) if len(word) >= _LONG and word.isalpha()]
    if not long:
        return name
    place = rng.choice(long)
    word = words[place]
    at = rng.randrange(1, len(word) - 1)
    words[place] = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return " ".join(words)


def _plainer(name: str, _rng: random.Random) -> str:
    """Drop accents, hyphens and the endings of ordinals."""
    letters = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _ORDINAL.sub(r"\1.", plain).replace("-", " ").replace("’", "'")


def _lower(name: str, _rng: random.Random) -> str:
    return name.lower()


_WAYS: tuple[Callable[[str, random.Random], str], ...] = (
    _by_ear,
    _by_ear,
    _slipped,
    _slipped,
    _plainer,
    _lower,
)
