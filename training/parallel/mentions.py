"""Find out what a text is about, as far as words can tell."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"\w+")
_NO_NAMES = frozenset(
    _WORD.findall(
        "a an and are at by did do does for from has have how i in is it its of on or that the "
        "their there these this those to was were what when where which who whom whose why with"
    )
)
"""Words that are often capitalised for their place in the sentence alone."""


def folded(text: str) -> str:
    """Return the words of a text, case folded, with a space before, between and after them.

    Example:
        >>> folded("Acme's CEO is: Jane")
        ' acme s ceo is jane '
    """
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def names(text: str) -> frozenset[str]:
    """Return the words that may be part of a name: capitalised ones and numbers.

    Example:
        >>> sorted(names("The author of Paradiso is Jean Giraudoux"))
        ['giraudoux', 'jean', 'paradiso']
    """
    words = (word for word in _WORD.findall(text) if word[0].isupper() or word[0].isdigit())
    return frozenset(folds for word in words if (folds := word.casefold()) not in _NO_NAMES)


class SubjectIndex:
    """Subjects to look for in many texts.

    A subject of several words is found whatever their case; one of a single word
    only as it is written, or capitalised: the novel "It" is not meant by every "it".

    Example:
        >>> index = SubjectIndex(["jean giraudoux", "It"])
        >>> index.found_in("Who was Jean Giraudoux?"), index.found_in("What is it?")
        (True, False)
    """

    def __init__(self, subjects: Iterable[str]) -> None:
        """Index the subjects by their first words; blank ones are passed over."""
        self._by_first: dict[str, list[str]] = {}
        self._single: set[str] = set()
        self.subjects = frozenset(phrase for subject in subjects if (phrase := folded(subject)))
        for subject in subjects:
            words = _WORD.findall(subject)
            if len(words) == 1:
                self._single |= {words[0], words[0][:1].upper() + words[0][1:]}
            elif words:
                self._by_first.setdefault(words[0].casefold(), []).append(folded(subject))

    def holds(self, subject: str) -> bool:
        """Tell whether this very subject is among them, whatever its case."""
        return folded(subject) in self.subjects

    def found_in(self, text: str) -> bool:
        """Tell whether the text mentions one of them."""
        words = _WORD.findall(text)
        if self._single.intersection(words):
            return True
        phrases = {phrase for word in words for phrase in self._by_first.get(word.casefold(), ())}
        if not phrases:
            return False
        whole = folded(text)
        return any(phrase in whole for phrase in phrases)
