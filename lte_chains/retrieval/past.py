"""Does a sentence tell what was so in a past year, before an edit held?

"In 2010 Bob Roe was the CEO of Acme" stays true, whoever is the CEO by an edit
that holds from 2025 on; "As of 2025 the CEO is Bob Roe" does not. What tells is
the clause that makes the statement: in "Acme was founded in 1990, and its CEO is
Bob Roe" the year belongs to another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from lte_chains.edit import Edit
from lte_chains.retrieval.mentions import find_name, relation_texts, words_of

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_YEAR = r"(1\d{3}|20\d{2})(s?)\b"
_PERIOD = re.compile(
    rf"(?:\bfrom\s+|\bbetween\s+)?(?:{_MONTH}\s+)?\b(?:1\d{{3}}|20\d{{2}})s?"
    rf"(?:\s+(?:to|until|till|through|and)\s+|\s?[-–—]\s?)(?:the\s+)?(?:{_MONTH}\s+)?{_YEAR}",
    re.IGNORECASE,
)
"""A stretch of time that is over with its last year; the groups are that year, or decade."""
_PERIOD_MARK = re.compile(r"<(\d{4})>")
"""What stands for a stretch of time once it has been read: its end."""
_POINT = re.compile(
    rf"(?:\b(?:in|during|as of|by|on|around|circa|early|late|year|before|"
    rf"(?:spring|summer|autumn|fall|winter|end|beginning|start) of)\s+(?:the\s+)?"
    rf"(?:(?:early|mid|late)[\s-])?|\b{_MONTH}\s+(?:\d{{1,2}}(?:st|nd|rd|th)?,?\s+)?(?:of\s+)?|\()"
    rf"{_YEAR}",
    re.IGNORECASE,
)
"""A year, or a decade, that says when; after "since" and "from" alone, it says when it began."""
_TENSE = re.compile(r"\b(?:(was|were|had)|is|are|has|have)\b", re.IGNORECASE)
"""Verbs that tell the tense; those of the past are the group."""
_PAST_VERB = re.compile(
    r"\b(?:acted|became|belonged|chaired|did|directed|governed|headed|held|led|lived|managed|owned|"
    r"played|ran|reigned|remained|served|stayed|stood|used to|worked)\b",
    re.IGNORECASE,
)
"""Verbs that tell of the past where none of the others does: in "is led by" they do not."""
_CLAUSE_START = re.compile(
    r"[,;:]|\s[-–—]\s|"
    r"\b(?:and|but|while|whereas|though|although|because|that|when|where|who|whose|which)\b",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"(?:when|where|who|whose|which)\b", re.IGNORECASE)
_SAYS_LITTLE = frozenset(words_of("what which who whom whose where when that this with from have"))


def tells_past(sentence: str, edit: Edit, *, now: datetime, old_values: Sequence[str] = ()) -> bool:
    """Tell whether a sentence tells only what was so in a year before an edit held.

    An edit that itself tells the past ("Acme was founded in"), or names a year,
    is about that past: of it, no sentence does.

    Args:
        sentence: One that speaks of the edit's subject.
        edit: Holds from `valid_from` on.
        now: The moment from which it holds if it does not say.
        old_values: What is known to have held before; they show which clause
            makes the statement if the words of the relation do not.

    Example:
        >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme")
        >>> now = datetime(2026, 1, 1)
        >>> tells_past("From 2001 to 2019 the CEO of Acme was Bob Roe.", edit, now=now)
        True
        >>> tells_past("Acme was founded in 1990 and its CEO is Bob Roe.", edit, now=now)
        False
    """
    told = edit.descriptor
    if _tense_of(told) == "past" or re.search(rf"\b{_YEAR}", told):
        return False
    since = (edit.valid_from or now).year
    clauses = list(_clauses(_PERIOD.sub(lambda found: f"<{_last_year(found)}>", sentence)))
    stating = _stating(clauses, edit, old_values)
    if stating:
        return all(_is_past(clause, since) for clause in stating)
    return any(_is_past(clause, since) for clause in clauses)


def _is_past(clause: str, since: int) -> bool:
    """Tell whether a clause names a past year in a past form; a period that is over is one."""
    if any(int(found[1]) < since for found in _PERIOD_MARK.finditer(clause)):
        return True
    years = map(_last_year, _POINT.finditer(clause))
    return _tense_of(clause) == "past" and any(year < since for year in years)


def _tense_of(text: str) -> str | None:
    found = _TENSE.search(text)
    if found is not None:
        return "past" if found[1] else "present"
    return "past" if _PAST_VERB.search(text) else None


def _last_year(found: re.Match[str]) -> int:
    return int(found[1]) + (9 if found[2] else 0)


def _stating(clauses: Sequence[str], edit: Edit, old_values: Sequence[str]) -> list[str]:
    """Return the clauses that say the edit's relation, or else those with an old value."""
    asked = {
        _singular(word)
        for text in relation_texts(edit)
        for word in words_of(text)
        if (len(word) > 3 or word.isupper()) and word.casefold() not in _SAYS_LITTLE
    }
    words = {clause: words_of(clause) for clause in clauses}
    saying = [c for c, own in words.items() if not asked.isdisjoint(map(_singular, own))]
    return saying or [
        c for c, own in words.items() if any(find_name(own, value) for value in old_values)
    ]


def _singular(word: str) -> str:
    return word.casefold().removesuffix("s")


def _clauses(sentence: str) -> Iterator[str]:
    """Yield the clauses of a sentence, each with a verb that shows its tense if any has one.

    What has no verb belongs to the next clause at the beginning and after a
    conjunction ("and in 2010 …"), elsewhere to the one before ("…, in 2010"). A
    relative clause stands by itself, and the one that it interrupts goes on.
    """
    starts = [0, *(found.start() for found in _CLAUSE_START.finditer(sentence)), len(sentence)]
    clause, whole, relative = "", False, ""
    for start, end in pairwise(starts):
        piece = sentence[start:end]
        has_verb = _tense_of(piece) is not None
        if relative or _RELATIVE.match(piece):
            relative += piece
            if has_verb:
                yield relative
                relative = ""
            continue
        if whole and (has_verb or piece[:1].isalpha()):
            yield clause
            clause, whole = "", False
        clause, whole = clause + piece, whole or has_verb
    yield clause + relative
