"""The paragraphs of a message without labelled questions: which of them ask.

A short message is all its author's words: every paragraph that asks is searched,
wherever greetings and remarks stand. A long one may carry documents, whose own
questions must not be taken: there the ends are looked at first.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lte_chains.editable.labels import (
    BLANK_LINE,
    LABELLED_PARAGRAPH,
    LONG,
    SENTENCE_END,
    asking_sentences,
    instruction_in,
    only_asks,
    without_input,
)
from lte_chains.editable.small_talk import is_small_talk
from lte_chains.editable.transcripts import is_talk
from lte_chains.retrieval.references import ASKING, is_remark, topics_in
from lte_chains.retrieval.several_questions import MOST_QUESTIONS

_REQUEST = re.compile(
    r"^(?:(?:please|kindly|also|and|then)\W+)*(?:tell|name|identify|state|find|look\s+up)\b"
    rf"|\b(?:tell|know|wonder|wondering|ask|asking|find\s+out|curious|understand|remember|check|"
    rf"question\s+is)\b[^.?!\n]{{0,40}}\b(?:{ASKING}|about|if|whether|the)\b",
    re.IGNORECASE,
)
"""Asks without a question mark: "I need to know who runs Acme."."""
_ANSWERED = re.compile(
    r"\n[ \t]*+(?:[\w'-]++[ \t]++){0,2}?(?:answer|response|output|a):[ \t]*+\S", re.IGNORECASE
)
"""A paragraph that is an example: a question with its answer."""


def questions_in_paragraphs(text: str) -> list[str]:
    r"""Return the paragraphs of a text that ask something; all of a short text if none does.

    Example:
        >>> questions_in_paragraphs("Hi, can you help me?\n\nWho runs Acme?\n\nThanks!")
        ['Who runs Acme?']
        >>> questions_in_paragraphs("### Instruction:\nName Acme's CEO.\n\n### Response:\n")
        ["Name Acme's CEO."]
    """
    cut = without_input(text).strip() or text.strip()
    parts = [part.strip() for part in BLANK_LINE.split(cut) if part.strip()]
    paragraphs = [
        part for part in parts if not LABELLED_PARAGRAPH.match(part) and not is_talk(part)
    ]
    instruction = instruction_in(cut)
    if instruction and not any(map(_asks, paragraphs)) and _is_last(parts, paragraphs):
        return [asking_sentences(instruction)]
    paragraphs = paragraphs or parts
    if len(cut.split()) > LONG:
        return _of_a_long_text(paragraphs)
    return _of_a_short_text(paragraphs)


def _of_a_short_text(paragraphs: list[str]) -> list[str]:
    own = _less(paragraphs, is_small_talk, _is_answered)
    if len(own) > 1 and any("?" in part or _REQUEST.search(part) for part in _less(own, is_remark)):
        own = _less(own, is_remark)
    if len(own) == 1:
        return own
    asking = [part for part in own if "?" in part]
    requests = [part for part in own if "?" not in part and _REQUEST.search(part)]
    found = [*([part for part in asking if _mostly_asks(part)] or asking), *requests]
    if any(map(topics_in, found)):
        return found[:MOST_QUESTIONS]
    # What asks may lean on what does not: "The CEO is Bob Roe.\n\nIs he old?"
    return list(dict.fromkeys([*found[:MOST_QUESTIONS], "\n\n".join(own)]))


def _less(paragraphs: list[str], *kinds: Callable[[str], bool]) -> list[str]:
    """Return the paragraphs of none of the kinds; all if none is left."""
    kept = [part for part in paragraphs if not any(is_of(part) for is_of in kinds)]
    return kept or paragraphs


def _of_a_long_text(paragraphs: list[str]) -> list[str]:
    own = _less(paragraphs, is_small_talk, is_remark)
    ends = [part for part in dict.fromkeys((own[-1], own[0])) if "?" in part]
    found = (
        ends
        or [part for part in own if only_asks(part)][-MOST_QUESTIONS:]
        or [part for part in (own[-1], own[0]) if _REQUEST.search(part)]
        or [own[-1]]
    )
    return list(dict.fromkeys(map(asking_sentences, found)))


def _asks(paragraph: str) -> bool:
    return "?" in paragraph and not is_small_talk(paragraph) and not is_remark(paragraph)


def _mostly_asks(paragraph: str) -> bool:
    """Tell a question from a text with a question in it, which goes on to answer it."""
    sentences = SENTENCE_END.split(paragraph)
    asking = [sentence for sentence in sentences if sentence.endswith("?")]
    return paragraph.endswith("?") or 2 * len(asking) >= len(sentences)


def _is_answered(paragraph: str) -> bool:
    return _ANSWERED.search(paragraph) is not None


def _is_last(parts: list[str], paragraphs: list[str]) -> bool:
    """Tell whether no paragraph without a label comes after those with labels."""
    return parts[-1] not in paragraphs
