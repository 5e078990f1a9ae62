"""Offices by one name each: "chief financial officer" is read as "CFO", and is not the CEO.

Letters and words of one office share nothing that a network could see, and words of
two offices nearly all: spelt out, "chief financial officer" is nearer to the chief
executive officer than to the CFO.
"""

from __future__ import annotations

import re
from functools import lru_cache

from lte_chains.edit import Edit

_BY_WORDS = {
    "executive": "CEO",
    "financial": "CFO",
    "finance": "CFO",
    "technology": "CTO",
    "technical": "CTO",
    "operating": "COO",
    "operations": "COO",
    "marketing": "CMO",
    "information": "CIO",
    "information security": "CISO",
    "security": "CSO",
    "product": "CPO",
    "legal": "CLO",
    "revenue": "CRO",
    "data": "CDO",
    "people": "CHRO",
    "human resources": "CHRO",
}
_SPELT_OUT = re.compile(
    rf"\bchief[ -]({'|'.join(sorted(_BY_WORDS, key=len, reverse=True))})[ -]officer(s?)\b",
    re.IGNORECASE,
)
_OFFICE = re.compile(rf"\b({'|'.join(sorted(set(_BY_WORDS.values())))})s?\b", re.IGNORECASE)


def abbreviated(text: str) -> str:
    """Return a text with the letters of offices that it spells out.

    Example:
        >>> abbreviated("Who is the Chief Financial Officer of Acme?")
        'Who is the CFO of Acme?'
    """
    return _SPELT_OUT.sub(lambda found: _BY_WORDS[found[1].lower()] + found[2], text)


def names_another_office(question: str, edit: Edit) -> bool:
    """Tell whether a question and an edit name offices, and none that both name.

    Example:
        >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe")
        >>> asked = ("Who is Acme's chief financial officer?", "Who is the CEO?", "Who runs Acme?")
        >>> [names_another_office(question, edit) for question in asked]
        [True, False, False]
    """
    asked = _offices(question)
    told = _offices(edit.statement or edit.prompt) if asked else frozenset[str]()
    return bool(asked and told) and not asked & told


@lru_cache(maxsize=4096)
def _offices(text: str) -> frozenset[str]:
    return frozenset(found.upper() for found in _OFFICE.findall(abbreviated(text)))
