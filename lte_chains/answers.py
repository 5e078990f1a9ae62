"""When are two answers the same? Normalisation and matching, in one place.

Evaluation judges by it, and the making of training data checks by it.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Normalise as SQuAD does: lower case, no ASCII punctuation, no articles, single spaces.

    Source: the official SQuAD 1.1 evaluation (arXiv 1606.05250, section 6.1).

    Example:
        >>> normalise_answer(" The  U.S.A.! ")
        'usa'
    """
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def alias_match(answer: str, accepted: Iterable[str]) -> bool:
    """Tell whether an answer equals one of the accepted ones after normalisation.

    The whole answer must be equal: one that merely contains an accepted answer
    does not count. An accepted answer of which normalisation leaves nothing
    ("The", "!") is compared as it is written.

    Example:
        >>> alias_match("the United States", ["USA", "United States"])
        True
        >>> alias_match("It is the United States of course", ["United States"])
        False
    """
    given = normalise_answer(answer)
    return any(
        given == wanted if (wanted := normalise_answer(alias)) else answer.strip() == alias.strip()
        for alias in accepted
    )


def same_answer(first: str, second: str) -> bool:
    """Tell whether two answers say the same: equal after normalisation.

    Example:
        >>> same_answer("A guitar.", "guitar")
        True
    """
    return alias_match(first, [second])


def carries(text: str, answer: str) -> bool:
    """Tell whether a text holds an answer, as whole words, after normalisation.

    Example:
        >>> carries("Since May it has been Jane Doe.", "jane doe")
        True
        >>> carries("Janet Doering runs it.", "Jane Doe")
        False
    """
    wanted = normalise_answer(answer)
    return f" {wanted} " in f" {normalise_answer(text)} " if wanted else answer.strip() in text
