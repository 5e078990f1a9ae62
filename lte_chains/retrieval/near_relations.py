"""Relations that an embedder takes for nearly the same, told apart by their words.

The boiling point is not the melting point, nor the deputy CEO the CEO, nor the
wife of the CEO.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import cache

from lte_chains.retrieval.mentions import words_of

_LESSER = frozenset(
    words_of("deputy vice assistant acting interim associate honorary co sub under junior regional")
)
"""Words that make another office of one."""
_OF_ITSELF = frozenset(
    words_of(
        "name post position office role job title seat number figure value case term leadership "
        "direction guidance part"
    )
)
"""What may be had of something and yet be no other thing: "the post of CEO"."""
_BEFORE_HEADS = frozenset(words_of("the a an its his her their our current new present it 's ’s"))

_FAMILIES = """
ceo executive / chairman chairwoman chairperson / cfo financial / cto / coo operating
founder founded founders / spokesman spokeswoman spokesperson / ceo
melting melts / boiling boils / freezing freezes
father / mother / wife husband spouse married / son / daughter / brother / sister
born birth birthplace birthday / died death buried
height tall high / length long / width wide / depth deep / weight weighs heavy / area / population
director directed / producer produced / writer author wrote written / composer composed
publisher published / editor edited / illustrator illustrated / writer author wrote written
import imports imported / export exports exported
opens opening opened / closes closing closed
arrival arrives arrived / departure departs departed leaves
begins began start starts started / ends ended
north northern / south southern / east eastern / west western
minimum lowest / maximum highest
"""
"""A family of siblings a line; between slashes stand words for the same."""


def says_another(words: Sequence[str], heads: Set[str]) -> bool:
    """Tell whether a sentence speaks of something near to a relation, and not of it.

    Args:
        words: Of the sentence, the subject's name replaced by "it".
        heads: The words with which the relation is said, case folded.

    Example:
        >>> says_another("the wife of the CEO of it is Ann".split(), {"ceo"})
        True
        >>> says_another("the deputy CEO of it is Ann".split(), {"ceo"})
        True
        >>> says_another("the CEO of it is Ann".split(), {"ceo"})
        False
    """
    folded = [word.casefold() for word in words]
    if name_siblings(frozenset(folded), heads):
        return True
    return any(
        word in heads and _is_of_another(folded, place, heads) for place, word in enumerate(folded)
    )


def _is_of_another(words: Sequence[str], place: int, heads: Set[str]) -> bool:
    """Tell whether a word is only the owner of what is spoken of, or a lesser thing."""
    if place and words[place - 1] in _LESSER - heads:
        return True
    before = next((p for p in range(place - 1, -1, -1) if words[p] not in _BEFORE_HEADS), 0)
    if before < 1 or words[before] != "of":
        return False
    return words[before - 1] not in _OF_ITSELF | heads


def name_siblings(one: Set[str], other: Set[str]) -> bool:
    """Tell whether two texts name siblings of one family, and none that both name.

    Args:
        one: The words of a text, case folded.
        other: Those of the other.

    Example:
        >>> name_siblings({"boiling", "point"}, {"melting", "point"})
        True
        >>> name_siblings({"ceo", "chairman"}, {"ceo"}), name_siblings({"boss"}, {"ceo"})
        (False, False)
    """
    for family in _families():
        mine, theirs = ({family[word] for word in words & family.keys()} for words in (one, other))
        if mine and theirs and not mine & theirs:
            return True
    return False


@cache
def _families() -> tuple[dict[str, int], ...]:
    """Return, for each family, which sibling its words name."""
    return tuple(
        {word: place for place, words in enumerate(family.split("/")) for word in words.split()}
        for family in _FAMILIES.strip().splitlines()
    )
