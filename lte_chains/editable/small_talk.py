"""Politeness: turns and paragraphs that ask nothing and leave the topic as it was."""

from __future__ import annotations

import re

_CHATTER_WORDS = 8
_SMALL_TALK_WORDS = 12

_CHATTER = re.compile(
    r"(?:ok(?:ay)?|thanks|thank|you|thx|cheers|great|cool|nice|good|perfect|fine|right|sure|yes|"
    r"yeah|yep|no|nope|got|it|i|see|understood|alright|wow|hm+|interesting|hello|hi|hey|there|very|"
    r"much|so|a|lot|for|that|the|info|noted|makes|sense|ah|oh|aha|awesome|super|excellent|welcome|"
    r"you're|my|pleasure|of|course|glad|to|help|anything|else)"
)
_SMALL_TALK = re.compile(
    r"(?:can|could|would|will|may|might|is|are|am|was|do|does|have|has|be|how|me|us|we|your|i'm|"
    r"i've|i'd|we're|it's|that's|this|with|in|and|or|if|any|some|something|someone|one|somebody|"
    r"everyone|all|team|folks|sir|madam|doing|today|please|kindly|question|questions|quick|hope|"
    r"hoping|well|clear|make|ask|advance|bye|goodbye|morning|afternoon|evening|day|weekend|dear|"
    r"greetings|regards|best|kind|kindest|warm|sincerely|yours|truly|looking|forward|hearing|from|"
    r"soon|appreciate|appreciated|urgent|grateful|time|many|again|ready|need|really|let|know|"
    r"stuck|problem|possible|wondering|bother|sorry|on|at)"
)
_OPENING = re.compile(
    r"(?:hi|hello|hey|dear|greetings|good\s+(?:morning|afternoon|evening|day))\b(?:\W+[\w.'-]+){0,3}"
    r"\W*",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:thanks|thank\s+you|thx|cheers|best|regards|sincerely|yours|(?:kind|best|warm)\s+regards|"
    r"many\s+thanks|best\s+wishes)\b(?:\W+[\w.'-]+){0,6}\W*",
    re.IGNORECASE,
)


def is_chatter(text: str) -> bool:
    """Tell whether a turn is politeness only, and leaves the topic as it was.

    Example:
        >>> is_chatter("Ok, thanks!"), is_chatter("You're welcome."), is_chatter("Thanks, Acme")
        (True, True, False)
    """
    words = _words(text)
    return len(words) <= _CHATTER_WORDS and "?" not in text and all(map(_CHATTER.fullmatch, words))


def is_small_talk(paragraph: str) -> bool:
    """Tell whether a paragraph beside others greets, thanks, or asks how somebody is.

    Example:
        >>> is_small_talk("Hi, can you help me?"), is_small_talk("Thanks, Bob")
        (True, True)
        >>> is_small_talk("Hi, can you help me with Acme?")
        False
    """
    if "?" not in paragraph and (_OPENING.fullmatch(paragraph) or _CLOSING.fullmatch(paragraph)):
        return True
    words = _words(paragraph)
    return len(words) <= _SMALL_TALK_WORDS and all(
        _CHATTER.fullmatch(word) or _SMALL_TALK.fullmatch(word) for word in words
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'’]+", text.casefold().replace("’", "'"))
