"""Follow-ups: questions whose subject stands in an earlier turn of the conversation.

"How old is she?" cannot be searched as it stands. What it leans on is the last
question that can be understood alone, whatever thanks and further follow-ups
stand between. Assistants' turns are only a help: they may state the old fact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lte_chains.editable.small_talk import is_chatter
from lte_chains.editable.templates import questions_in
from lte_chains.retrieval.references import (
    FRAGMENT,
    PERSONAL,
    POINTER,
    POSSESSIVE,
    is_remark,
    leaves_open,
    refers_back,
    topics_in,
)

_ANSWER_WORDS = 30
"""How much of an earlier turn is put before a follow-up; embedders read only so far."""
_LOOK_BACK = 20
"""How many turns are looked through."""

_ASKS_FOR_A_THING = re.compile(r"\b(?:who|whom|whose|what|which|where)\b", re.IGNORECASE)
_ASKS_FOR_A_PERSON = re.compile(r"\b(?:who|whom|whose)\b", re.IGNORECASE)
_REQUESTED = re.compile(
    r"\b(?:tell|talk|know|say|learn|hear|speak|chat|discuss|information|something|facts|more)\b"
    r"[^.?!]*?\babout[ \t]+([^.?!\n]{1,80}?)[ \t]*(?:[.?!]|$)",
    re.IGNORECASE,
)
_INLINE_TURN = re.compile(
    r"^[ \t>*-]*\**(human|user|customer|person|ai|assistant|bot|agent)\**[ \t]*:\**[ \t]*(.+)$",
    re.IGNORECASE | re.MULTILINE,
)
_HUMAN_ROLES = frozenset({"human", "user", "customer", "person"})


@dataclass(frozen=True)
class Turn:
    """What one side said."""

    by_human: bool
    text: str


def turns_in(text: str) -> list[Turn]:
    r"""Return the turns of a conversation that stands inside one message.

    Example:
        >>> turns_in("Chat history:\nHuman: Who runs Acme?\nAI: Bob.")
        [Turn(by_human=True, text='Who runs Acme?'), Turn(by_human=False, text='Bob.')]
    """
    return [
        Turn(found[1].casefold() in _HUMAN_ROLES, found[2].strip())
        for found in _INLINE_TURN.finditer(text)
    ]


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
    place = _last_standalone(turns)
    if place is None:
        return []
    *others, asked = questions_in(turns[place].text)
    earlier = _short(_completed(asked, turns[:place]))
    if not refers_back(question):
        return _of_a_topic(question, earlier)
    readings = [_resolved(question, earlier)]
    if readings[0] and FRAGMENT.match(question) and topics_in(question):
        return readings  # the same question of something else: the earlier one is answered
    if _about_answer(question, earlier):
        readings += [earlier, *map(_short, others)]
    readings.append(f"{earlier} {question}")
    said = [_short(turn.text) for turn in turns[place:] if _says_something(turn)]
    readings += [f"{answer} {question}" for answer in dict.fromkeys([*said[:1], *said[-1:]])]
    return [reading for reading in readings if reading]


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
    requested = _REQUESTED.search(earlier)
    topic = requested[1] if requested else next(reversed(topics_in(earlier)), "")
    return [f"{question.rstrip(' ?')} of {topic}?"] if topic else []


def _resolved(question: str, earlier: str) -> str:
    """Return a follow-up with what it points at named; empty if that cannot be told."""
    names, own = topics_in(earlier), topics_in(question)
    if not names or is_remark(question):
        return ""
    if FRAGMENT.match(question) and own and f"the {own[-1]}" not in question:
        # "And Globex?" asks of Globex what was asked before.
        return earlier.replace(names[-1], own[-1])
    pointer = POINTER.search(question)
    if pointer is None or pointer[0].casefold().endswith("that"):
        return ""
    personal = PERSONAL.match(pointer[0]) is not None
    if personal and _ASKS_FOR_A_PERSON.search(earlier):
        return ""  # it points at the answer
    possessive = "'s" if POSSESSIVE.match(pointer[0]) else ""
    return f"{question[: pointer.start()]}{names[-1]}{possessive}{question[pointer.end() :]}"


def _about_answer(question: str, earlier: str) -> bool:
    """Tell whether a follow-up may ask about what the earlier question asks for."""
    if is_remark(question):
        return True
    pointer = POINTER.search(question)
    if pointer is None:
        return not topics_in(question) and len(question.split()) <= 2
    if pointer[0].casefold().endswith("that"):
        return True
    if _ASKS_FOR_A_PERSON.search(earlier):
        return PERSONAL.match(pointer[0]) is not None
    return _ASKS_FOR_A_THING.search(earlier) is not None


def _short(text: str) -> str:
    return " ".join(text.split()[:_ANSWER_WORDS])
