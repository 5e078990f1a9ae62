"""Follow-ups: questions whose subject stands in an earlier turn of the conversation.

"How old is she?" cannot be searched as it stands. What it leans on is the last
question that can be understood alone, whatever thanks and further follow-ups
stand between. Assistants' turns are only a help: they may state the old fact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lte_chains.editable.small_talk import is_chatter
from lte_chains.editable.templates import questions_in
from lte_chains.editable.transcripts import Turn
from lte_chains.retrieval.references import (
    FRAGMENT,
    OFFICE,
    PERSONAL,
    POINTER,
    POSSESSIVE,
    RELATION,
    is_remark,
    leaves_open,
    name_instead,
    numbers_too,
    refers_back,
    topics_in,
)

_ANSWER_WORDS = 30
"""How much of an earlier turn is put before a follow-up; embedders read only so far."""
_LOOK_BACK = 20
"""How many turns are looked through."""

_ASKS_FOR_A_THING = re.compile(r"\b(?:who|whom|whose|what|which|where)\b", re.IGNORECASE)
_ASKS_FOR_A_PERSON = re.compile(r"\b(?:who|whom|whose)\b", re.IGNORECASE)
_AT_THE_END = re.compile(
    r"\b(?:of|about|in|for|at|by|behind)[ \t]+(?:the[ \t]+)?([\w'-]+(?:[ \t]+[\w'-]+){0,2})\W*$"
)
_REQUESTED = re.compile(
    r"\b(?:tell|talk|know|say|learn|hear|speak|chat|discuss|information|something|facts|more)\b"
    r"[^.?!]*?\babout[ \t]+([^.?!\n]{1,80}?)[ \t]*(?:[.?!]|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Before:
    """What a follow-up leans on."""

    question: str
    """The last question that can be understood, in full."""
    others: Sequence[str]
    """What was asked together with it."""
    answers: Sequence[str]
    """What was said since."""

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> _Before | None:
        place = _last_standalone(turns)
        if place is None:
            return None
        *others, asked = questions_in(turns[place].text)
        before = cls(_short(_completed(asked, turns[:place])), others, [])
        for turn in turns[place + 1 :]:
            if turn.by_human and not is_chatter(turn.text):
                for question in questions_in(turn.text)[-1:]:
                    full = before.asks(question)
                    before = cls(full, [], []) if full else before
            elif _says_something(turn):
                before = replace(before, answers=[*before.answers, _short(turn.text)])
        return before

    def asks(self, question: str) -> str:
        """Return what a fragment asks, in full; empty if it is none, or that cannot be told."""
        names = topics_in(self.question)
        if not names or is_remark(question):
            return ""
        name = numbers_too(names[-1], self.question)
        other = self._other_name(question, name)
        if other:
            return self.question.replace(name, other)
        asked_for = RELATION.match(question)
        if asked_for is None or POINTER.search(question):
            return ""
        what = asked_for["which"] or asked_for["what"]
        is_person = OFFICE.fullmatch(what) and _ASKS_FOR_A_PERSON.search(self.question)
        return f"{'Who' if is_person else 'What'} is the {what} of {name}?"

    def _other_name(self, question: str, name: str) -> str:
        """Return the name in a fragment of which it asks what was asked of another before."""
        other = name_instead(question)
        if other:
            # "Bob?" after "Bob runs it." asks whether that is so.
            doubts = question.rstrip().endswith("?") and any(other in a for a in self.answers)
            return "" if doubts else other
        own = topics_in(question)
        if not own or not FRAGMENT.match(question):
            return ""
        other, has_article = numbers_too(own[-1], question), f"the {name}" in self.question
        if f"the {other}" not in question or has_article:
            return other
        return "" if OFFICE.fullmatch(other) else f"the {other}"


def in_context(question: str, turns: Sequence[Turn]) -> list[str]:
    """Return texts that say what a follow-up asks, the likeliest first.

    The question with the name that it points at; the earlier question alone, if
    this one asks about its answer; this one behind the earlier question, and
    behind what was answered. The retriever judges each by itself, so a reading
    that makes no sense finds nothing.

    Example:
        >>> in_context("Where is its seat?", [Turn(True, "Who runs Acme?"), Turn(False, "Bob.")])
        ["Where is Acme's seat?", 'Who runs Acme? Where is its seat?', 'Bob. Where is its seat?']
        >>> in_context("Who is the CEO?", [Turn(True, "Tell me about Acme.")])
        ['Who is the CEO of Acme?']
    """
    before = _Before.of(turns)
    if before is None:
        return []
    earlier = before.question
    if not refers_back(question):
        return _of_a_topic(question, earlier)
    full = before.asks(question)
    if full:
        return [full]  # the earlier question is answered
    readings = [_resolved(question, earlier)]
    if _about_answer(question, earlier):
        readings += [earlier, *map(_short, before.others)]
    readings.append(f"{earlier} {question}")
    said = dict.fromkeys([*before.answers[:1], *before.answers[-1:]])
    readings += [f"{answer} {question}" for answer in said]
    return [reading for reading in readings if reading]


def in_full(question: str, turns: Sequence[Turn]) -> str:
    """Return what a fragment asks, in full, where the turns before it tell that; else "".

    Example:
        >>> turns = [Turn(True, "Who is the CEO of Acme?"), Turn(False, "Bob.")]
        >>> in_full("And Globex?", turns), in_full("And the CFO?", turns)
        ('Who is the CEO of Globex?', 'Who is the CFO of Acme?')
    """
    before = _Before.of(turns) if refers_back(question) or RELATION.match(question) else None
    return before.asks(question) if before else ""


def _last_standalone(turns: Sequence[Turn]) -> int | None:
    """Return where the last question that can be understood alone stands."""
    first = max(0, len(turns) - _LOOK_BACK)
    nearest: int | None = None
    for place in range(len(turns) - 1, first - 1, -1):
        turn = turns[place]
        if not turn.by_human or is_chatter(turn.text):
            continue
        asked = questions_in(turn.text)
        if not asked:
            continue
        if not refers_back(asked[-1]):
            return place
        nearest = place if nearest is None else nearest
    return nearest


def _says_something(turn: Turn) -> bool:
    return not turn.by_human and not is_chatter(turn.text) and bool(turn.text.strip())


def _completed(asked: str, before: Sequence[Turn]) -> str:
    """Return an earlier question with its topic, if it needs that from a turn before it."""
    if not leaves_open(asked):
        return asked
    place = _last_standalone(before)
    if place is None:
        return asked
    return next(iter(_of_a_topic(asked, questions_in(before[place].text)[-1])), asked)


def _of_a_topic(question: str, earlier: str) -> list[str]:
    """Return "Who is the CEO?" with what the conversation is about, if that has a name."""
    topic = _topic_of(earlier)
    return [f"{question.rstrip(' ?')} of {topic}?"] if topic else []


def _topic_of(earlier: str) -> str:
    """Return what an earlier question or request is about; empty if that cannot be told."""
    requested = _REQUESTED.search(earlier)
    if requested:
        return requested[1]
    if names := topics_in(earlier):
        return names[-1]
    # Many people write without capitals.
    last = None if refers_back(earlier) else _AT_THE_END.search(earlier)
    return last[1] if last else ""


def _resolved(question: str, earlier: str) -> str:
    """Return a follow-up with what it points at named; empty if that cannot be told."""
    names = topics_in(earlier)
    name = numbers_too(names[-1], earlier) if names else _topic_of(earlier)
    if not name or is_remark(question):
        return ""
    pointer = POINTER.search(question)
    if pointer is None or pointer[0].casefold().endswith("that"):
        return ""
    personal = PERSONAL.match(pointer[0]) is not None
    if personal and _ASKS_FOR_A_PERSON.search(earlier):
        return ""  # it points at the answer
    possessive = "'s" if POSSESSIVE.match(pointer[0]) else ""
    return f"{question[: pointer.start()]}{name}{possessive}{question[pointer.end() :]}"


def _about_answer(question: str, earlier: str) -> bool:
    """Tell whether a follow-up may ask about what the earlier question asks for."""
    if is_remark(question) or name_instead(question):
        return True
    pointer = POINTER.search(question)
    if pointer is None:
        return not topics_in(question) and len(question.split()) <= 3
    if pointer[0].casefold().endswith("that"):
        return True
    if _ASKS_FOR_A_PERSON.search(earlier):
        return PERSONAL.match(pointer[0]) is not None
    return _ASKS_FOR_A_THING.search(earlier) is not None


def _short(text: str) -> str:
    return " ".join(text.split()[:_ANSWER_WORDS])
