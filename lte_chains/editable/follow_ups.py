"""Follow-ups: questions whose subject stands in an earlier turn of the conversation.

"How old is she?" cannot be searched as it stands. What it leans on is the last
question that can be understood alone, whatever thanks and further follow-ups
stand between. Assistants' turns are only a help: they may state the old fact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lte_chains.editable.templates import questions_in
from lte_chains.retrieval.mentions import names_in

_ANSWER_WORDS = 30
"""How much of an earlier turn is put before a follow-up; embedders read only so far."""
_LOOK_BACK = 20
"""How many turns are looked through."""

_PERSON = "he|she|him|her|hers|his"
_POINTER = re.compile(
    rf"\b(?:{_PERSON}|it|they|its|their|theirs|them|this|these|those|the same|former|"
    r"latter)\b|(?:^|\b(?:is|was|does|did|about|of|in|for|on|with|at|after|by|from|to)\s+)that\b"
    r"|\bthere\W*$",
    re.IGNORECASE,
)
_PERSONAL = re.compile(rf"^(?:{_PERSON})$", re.IGNORECASE)
_POSSESSIVE = re.compile(r"^(?:his|its|their)$", re.IGNORECASE)
_NAME = re.compile(r"(?<=\w\W)[A-Z]\w")
_TITLE = re.compile(r"^[A-Z]{2,} of ")
_ASKING = "who|whom|whose|what|which|why|when|where|how"
_FRAGMENT = re.compile(
    rf"^(?:since\s+)?(?:{_ASKING})(?:\s+else)?\W*$"
    r"|^(?:and|or|but|so|also|what about|how about)\b"
    rf"(?!\W+(?:{_ASKING}|is|are|was|were|do|does|did|can|could|has|have|had|will)\b)"
    r"(?:\W+\w+){1,5}\W*$"
    r"|^the(?:\s+\w+){1,2}\s*\?$",
    re.IGNORECASE,
)
_ASKS_FOR_A_THING = re.compile(r"\b(?:who|whom|whose|what|which|where)\b", re.IGNORECASE)
_ASKS_FOR_A_PERSON = re.compile(r"\b(?:who|whom|whose)\b", re.IGNORECASE)
_CHATTER = re.compile(
    r"(?:ok(?:ay)?|thanks|thank|you|thx|cheers|great|cool|nice|good|perfect|fine|right|sure|yes|"
    r"yeah|yep|no|nope|got|it|i|see|understood|alright|wow|hm+|interesting|hello|hi|hey|there|very|"
    r"much|so|a|lot|for|that|the|info|noted|makes|sense|ah|oh|aha|awesome|super|excellent|welcome|"
    r"you're|my|pleasure|of|course|glad|to|help|anything|else)"
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


def refers_back(question: str) -> bool:
    """Tell whether a question needs an earlier turn to be understood.

    It does if it is a fragment, or points at something that it does not name
    before: a pronoun after a name belongs to that name.

    Example:
        >>> refers_back("How old is she?"), refers_back("And in Paris?"), refers_back("Why?")
        (True, True, True)
        >>> refers_back("Who runs Acme?"), refers_back("Did Jane say when she left?")
        (False, False)
    """
    if _FRAGMENT.match(question):
        return True
    pointer = _POINTER.search(question)
    return pointer is not None and not _NAME.search(question[: pointer.start()])


def is_chatter(text: str) -> bool:
    """Tell whether a turn is politeness only, and leaves the topic as it was.

    Example:
        >>> is_chatter("Ok, thanks!"), is_chatter("You're welcome."), is_chatter("Thanks, Acme")
        (True, True, False)
    """
    words = re.findall(r"[\w'’]+", text.casefold().replace("’", "'"))
    return len(words) <= 8 and "?" not in text and all(map(_CHATTER.fullmatch, words))


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
    """
    place = _last_standalone(turns)
    if place is None:
        return []
    earlier = _short(questions_in(turns[place].text)[0])
    readings = [_resolved(question, earlier)]
    if readings[0] and _FRAGMENT.match(question) and _topics(question):
        return readings  # the same question of something else: the earlier one is answered
    if _about_answer(question, earlier):
        readings.append(earlier)
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
        if not refers_back(asked[0]):
            return place
        nearest = place if nearest is None else nearest
    return nearest


def _says_something(turn: Turn) -> bool:
    return not turn.by_human and not is_chatter(turn.text) and bool(turn.text.strip())


def _resolved(question: str, earlier: str) -> str:
    """Return a follow-up with what it points at named; empty if that cannot be told."""
    names, own = _topics(earlier), _topics(question)
    if not names:
        return ""
    if _FRAGMENT.match(question) and own and f"the {own[-1]}" not in question:
        # "And Globex?" asks of Globex what was asked before.
        return earlier.replace(names[-1], own[-1])
    pointer = _POINTER.search(question)
    if pointer is None or pointer[0].casefold().endswith("that"):
        return ""
    personal = _PERSONAL.match(pointer[0]) is not None
    if personal and _ASKS_FOR_A_PERSON.search(earlier):
        return ""  # it points at the answer
    possessive = "'s" if _POSSESSIVE.match(pointer[0]) else ""
    return f"{question[: pointer.start()]}{names[-1]}{possessive}{question[pointer.end() :]}"


def _topics(question: str) -> list[str]:
    """Return the names in a question, less its first word and titles such as "CEO of"."""
    return [_TITLE.sub("", name) for name in names_in(question.partition(" ")[2])]


def _about_answer(question: str, earlier: str) -> bool:
    """Tell whether a follow-up may ask about what the earlier question asks for."""
    pointer = _POINTER.search(question)
    if pointer is None:
        return not _topics(question) and len(question.split()) <= 2
    if pointer[0].casefold().endswith("that"):
        return True
    if _ASKS_FOR_A_PERSON.search(earlier):
        return _PERSONAL.match(pointer[0]) is not None
    return _ASKS_FOR_A_THING.search(earlier) is not None


def _short(text: str) -> str:
    return " ".join(text.split()[:_ANSWER_WORDS])
