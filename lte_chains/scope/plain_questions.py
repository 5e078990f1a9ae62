"""Questions that are an edit's own prompt, asked: "Who is Acme's CEO?", "The CEO of Acme is".

No network is needed to see that such a question depends on the edit, and one that
has seen few edits of the relation may not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from lte_chains.edit import Edit, fold
from lte_chains.wordings import under_every_name

SURE = 8.0
"""The least score of a question that asks for the edit plainly."""

_WORDS = r"[^?.!,;:]"
_ASKED = re.compile(
    r"(?:(?:who|what|which|where)(?:'s| is| are| was| were)|name|tell me|give me)\s+", re.IGNORECASE
)
_OF = re.compile(
    rf"(?:the\s+)?(?:current\s+|new\s+)?(?P<what>(?:(?!of\b){_WORDS})+?)\s+of\s+(?P<whose>{_WORDS}+)"
)
_OWN = re.compile(
    rf"(?P<whose>{_WORDS}+?)'s\s+(?:current\s+|new\s+)?(?P<what>(?:(?!'s|of\b){_WORDS})+)"
)
_ITEM = re.compile(r"^\W*(?:\(?(?:\d{1,3}|[a-z])[.):]\s+)?")
"""What stands before the items of a list."""
_END = re.compile(r"\s*(?:\b(?:is|are|was|were)(?:\s+now)?)?\s*[?.!:]*\s*$")
_ASKS = re.compile(r"(?:who|what|which|where|when|how)\b")
_BLANKS = re.compile(r"\s+")


def asks_plainly(question: str, edit: Edit) -> bool:
    """Tell whether a question asks for the property that an edit sets, in the edit's own words.

    Example:
        >>> edit = Edit(prompt="The capital of Norway is", target_new="Bergen", subject="Norway")
        >>> asked = ("What is the capital of Norway?", "What's Norway's capital?", "Norway's size?")
        >>> [asks_plainly(question, edit) for question in asked]
        [True, True, False]
        >>> asks_plainly("Who is the mother of Ann?", Edit(prompt="Ann is the mother of",
        ...                                               target_new="Bob", subject="Ann"))
        False
    """
    if not edit.prompt or edit.instruction is not None:
        return False
    asked = _property(question)
    return asked is not None and any(asked == _property(text) for text in under_every_name(edit))


def raised(scores: Sequence[float], pairs: Sequence[tuple[str, Edit]]) -> list[float]:
    """Return a network's scores of pairs, at least `SURE` where the question asks plainly.

    Args:
        scores: As the network gave them.
        pairs: The questions and edits that they are of.
    """
    return [
        max(score, SURE) if asks_plainly(*pair) else score
        for score, pair in zip(scores, pairs, strict=True)
    ]


@lru_cache(maxsize=8192)
def _property(text: str) -> tuple[str, str] | None:
    """Return which property of what a plain text is about; None for any other text."""
    said = _ITEM.sub("", _BLANKS.sub(" ", fold(text)))
    asked = _ASKED.match(said)
    core = _END.sub("", said[asked.end() :] if asked else said)
    found = _OF.fullmatch(core) or _OWN.fullmatch(core)
    if found is None or _ASKS.match(core):
        return None
    what, whose = found["what"].strip(), found["whose"].strip()
    return what.removeprefix("the "), whose.removeprefix("the ")
