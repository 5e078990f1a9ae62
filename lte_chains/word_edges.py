"""Where a name begins and ends in a text, in scripts with spaces and without.

A word of most scripts ends at a space or a mark. Chinese, Japanese, Thai and their
like are written without spaces, and Korean appends particles to a name, so there
each character stands for itself: "日本" is named in "日本の首都は？", and so it would
be in "日本語". A "+" or "#" that is attached to a word belongs to it: "C++" is no "C".
"""

from __future__ import annotations

import re

_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf"  # Tai scripts
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc"  # Hangul
    "\u3005-\u3007\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f"  # kana, Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_SIGNS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece"
    "\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d"
    "\u17b4-\u17d3\u17dd\u3099\u309a\u30fc\uff70\uff9e\uff9f"
)
"""What goes on with the character before it: vowel signs, tones, voicing, lengthening."""
_CHARACTER = f"[{_UNSPACED}][{_SIGNS}]*"
_LETTER = f"[^\\W{_UNSPACED}]"
"""A character of a word that ends at a space or a mark."""
_ATTACHED = r"(?:\+\++|#+|\+(?!\w))"
"""Not the plus between two words: "A+B" names both."""

_PLAIN_WORD = r"\w+(?:[-&/.]\w+)*"
_WORD = rf"{_CHARACTER}|{_LETTER}+(?:[-&/.]{_LETTER}+)*{_ATTACHED}?"
_PLAIN_WORDS, _WORDS = (re.compile(rf"['’]s\b|{word}|[^\w\s]") for word in (_PLAIN_WORD, _WORD))
_WORD_BEFORE = re.compile(f"(?<={_LETTER})")
_WORD_AFTER = re.compile(f"{_LETTER}|{_ATTACHED}")
_SIGN = re.compile(f"[{_SIGNS}]")
_PERHAPS_UNSPACED = re.compile("[\u0e00-\u1fff\u3000-\U0003ffff]")
"""A quick look, for texts of scripts with spaces."""
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")
_GAP = re.compile(f"(?<=[{_UNSPACED}]) (?=[{_UNSPACED}])")


def split(text: str) -> list[str]:
    """Return the words and marks of a text; see `lte_chains.retrieval.mentions.words_of`."""
    return (_WORDS if _is_special(text) else _PLAIN_WORDS).findall(text)


def is_unspaced(text: str) -> bool:
    """Tell whether a text holds characters of a script that is written without spaces.

    Example:
        >>> is_unspaced("Acmeの社長は？"), is_unspaced("Who runs Acmé?")
        (True, False)
    """
    if text.isascii() or _PERHAPS_UNSPACED.search(text) is None:
        return False
    return _UNSPACED_RUN.search(text) is not None


def spaced_parts(text: str) -> list[str]:
    """Return a text in parts, without what is written in scripts without spaces.

    Example:
        >>> spaced_parts("AcmeとGlobex Ltd.の社長")
        ['Acme', 'Globex Ltd.']
    """
    if text.isascii():
        return [text]
    return [part for part in _UNSPACED_RUN.split(text) if part]


def joined(words: list[str]) -> str:
    """Return words as a text, with spaces where their script has them.

    Example:
        >>> joined(["the", "CEO", "of"]), joined(["it", "の", "首", "都"])
        ('the CEO of', 'it の首都')
    """
    text = " ".join(words)
    return text if text.isascii() else _GAP.sub("", text)


def replaced_name(text: str, name: str, other: str) -> str | None:
    """Return a text with a name replaced, whatever its case; None if the text does not hold it.

    Example:
        >>> [replaced_name(text, "C", "D") for text in ("C is old, is c?", "C++ is", "CSS is")]
        ['D is old, is D?', None, None]
        >>> replaced_name("日本の首都は", "日本", "ニッポン")
        'ニッポンの首都は'
    """
    own = f"(?i:{re.escape(name)})"
    if not _is_special(text):
        changed, found = re.subn(rf"(?<!\w){own}(?!\w)", lambda _: other, text)
        return changed if found else None
    parts, done, place, pattern = [], 0, 0, re.compile(own)
    while found_at := pattern.search(text, place):
        place = found_at.start() + 1
        if _is_apart(text, found_at.start(), found_at.end()):
            parts += [text[done : found_at.start()], other]
            done = place = found_at.end()
    return "".join([*parts, text[done:]]) if parts else None


def place_of_name(text: str, name: str, *, after: int = 0) -> tuple[int, int] | None:
    """Return where a text first names something, whatever the case; None if it does not.

    Args:
        text: The text.
        name: The name, which must begin and end where words do.
        after: Where in the text is begun to look.

    Example:
        >>> place_of_name("The nationality of Ali is", "ali"), place_of_name("nationality", "Ali")
        ((19, 22), None)
    """
    for found in re.finditer(f"(?=((?i:{re.escape(name)})))", text):
        start, end = found.span(1)
        if start >= after and start < end and _is_apart(text, start, end):
            return start, end
    return None


def _is_apart(text: str, start: int, end: int) -> bool:
    """Tell whether a part of a text begins and ends where words do."""
    opens = is_unspaced(text[start]) or _WORD_BEFORE.match(text, start) is None
    goes_on = _SIGN if is_unspaced(text[end - 1]) else _WORD_AFTER
    return opens and goes_on.match(text, end) is None


def _is_special(text: str) -> bool:
    """Tell whether more than spaces and marks says where words end."""
    return "+" in text or "#" in text or is_unspaced(text)
