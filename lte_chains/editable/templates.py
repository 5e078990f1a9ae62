"""The question in one message, without the template and the documents around it.

RAG prompts wrap the question in instructions and documents. A labelled question
(``Question: …``, ``<question>…</question>``, a heading, a key of a JSON object) is
taken alone; otherwise tagged documents are cut out, and of a long text the
paragraphs at its beginning and end that ask something are taken. Documents are
never used as a query: they may state the very fact that an edit replaces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_LONG = 60
"""Words from which on a text without labels is taken to carry more than its question."""

_QUESTION_TAG = re.compile(r"<((?:user_?)?(?:question|query|input|message|prompt))>", re.IGNORECASE)
_QUESTION_HEADING = re.compile(
    r"^#{1,6}[ \t]*(?:(?:the|user'?s?|human|original|final|current)[ \t]+)*(?:question|query)"
    r"[ \t]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION_LABEL = re.compile(
    r"(?:^|[.!?:]\s+|\n)[ \t#*>-]*(?:(?:the|my|a|this|following|user'?s?|users|human|original|"
    r"final|current|standalone|follow[- ]?up|input|answer|please)\s+)*"
    r"(?:question|query|input|q)\b[ \t]*\**[ \t]*(?::|：)\**[ \t]*\n?[ \t]*(?=\S)",
    re.IGNORECASE,
)
_OTHER_LABEL = re.compile(
    r"\n[ \t#*>-]*(?:[\w'-]+[ \t]+){0,3}(?:context|contexts|answer|response|documents?|sources?|"
    r"passages?|pieces|history|conversation|instructions?|output|thought|assistant|ai|question|"
    r"query|a)\b[ \t]*\**[ \t]*(?::|：)|\n#{1,6}[ \t]",
    re.IGNORECASE,
)
_DOCUMENT_TAG = re.compile(
    r"<(context|contexts|documents?|docs?|passages?|sources?|search_results|chat_history|"
    r"retrieved_\w+)\b[^<>]*>",
    re.IGNORECASE,
)
_DOCUMENT_FENCE = re.compile(r"^(---|===|```|\"{3}).*?^\1.*?$", re.DOTALL | re.MULTILINE)
_LABELLED_PARAGRAPH = re.compile(
    r"[#*>\s-]*(?:[\w'-]+[ \t]+){0,3}(?:context|contexts|documents?|sources?|passages?|history|"
    r"search results|instructions?)\b[ \t]*\**[ \t]*(?::|：)",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"^(?i:(?:please\s+)?answer\s+(?:the|this|my)\s+(?:following\s+)?question)[\s,.:-]+(?=[A-Z\"'])"
)
_JSON_START = re.compile(r"^[ \t]*[{\[]", re.MULTILINE)
_JSON_KEYS = (
    *("question", "user_question", "query", "user_query", "user_input", "input"),
    *("user_message", "message", "prompt", "content"),
)


def questions_in(text: str) -> list[str]:
    r"""Return what one message asks, without the template and the documents around it.

    Example:
        >>> questions_in("Answer briefly. Question: Who runs Acme?\nHelpful Answer:")
        ['Who runs Acme?']
        >>> questions_in("Who runs Acme?")
        ['Who runs Acme?']
    """
    keyed = _question_in_json(text)
    if keyed:
        return questions_in(keyed)
    tagged = [inner.strip() for _, _, inner in _elements(_QUESTION_TAG, text) if inner.strip()]
    if tagged:
        return [tagged[-1]]
    # Before a label is looked for: a document may hold questions of its own.
    undocumented = _without_documents(text)
    labelled = _labelled_question(undocumented)
    if labelled:
        return [labelled]
    rest = _DOCUMENT_FENCE.sub("\n\n", undocumented).strip() or text.strip()
    if not rest:
        return []
    rest = _REQUEST.sub("", rest)
    parts = [part.strip() for part in re.split(r"\n\s*\n", rest) if part.strip()]
    paragraphs = [part for part in parts if not _LABELLED_PARAGRAPH.match(part)] or parts
    if len(rest.split()) <= _LONG and len(paragraphs) == 1:
        return [paragraphs[0]]
    asking = [part for part in (paragraphs[-1], paragraphs[0]) if "?" in part]
    if not asking:
        return [paragraphs[-1] if len(rest.split()) > _LONG else rest]
    return list(dict.fromkeys(map(_asking_sentences, asking)))


def _question_in_json(text: str) -> str | None:
    """Return the question of a JSON object, or of a JSON conversation, in the text."""
    for start in _JSON_START.finditer(text):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, start.end() - 1)
        except (ValueError, RecursionError):
            continue
        return _asked_in(value)
    return None


def _asked_in(value: Any, depth: int = 3) -> str | None:
    if depth == 0:
        return None
    if isinstance(value, list):
        turns = [turn for turn in value if isinstance(turn, dict) and _is_persons(turn)]
        return _asked_in(turns[-1], depth - 1) if turns else None
    if not isinstance(value, dict):
        return None
    keys = {str(key).casefold().replace("-", "_"): key for key in value}
    for name in _JSON_KEYS:
        asked = value.get(keys.get(name))
        if isinstance(asked, str) and asked.strip():
            return asked.strip()
    inner = (_asked_in(held, depth - 1) for held in value.values())
    return next((asked for asked in inner if asked), None)


def _is_persons(turn: dict[str, Any]) -> bool:
    return turn.get("role", turn.get("type")) in ("user", "human")


def _elements(opening: re.Pattern[str], text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and content of tagged stretches, in time linear in the text."""
    end, unclosed = 0, set[str]()
    for tag in opening.finditer(text):
        name = tag[1].lower()
        if tag.start() < end or name in unclosed:
            continue
        closing = re.compile(f"</{name}>", re.IGNORECASE).search(text, tag.end())
        if closing is None:
            unclosed.add(name)
            continue
        end = closing.end()
        yield tag.start(), end, text[tag.end() : closing.start()]


def _without_documents(text: str) -> str:
    kept, position = [], 0
    for start, end, _ in _elements(_DOCUMENT_TAG, text):
        kept.append(text[position:start])
        position = end
    return "\n\n".join([*kept, text[position:]])


def _labelled_question(text: str) -> str | None:
    labels = [*_QUESTION_LABEL.finditer(text), *_QUESTION_HEADING.finditer(text)]
    for label in sorted(labels, key=lambda label: -label.end()):
        tail = text[label.end() :]
        end = _OTHER_LABEL.search(tail)
        question = re.split(r"\n\s*\n", tail[: end.start()] if end else tail)[0].strip()
        if question:
            return question
    return None


def _asking_sentences(paragraph: str) -> str:
    """Return the paragraph, or of a long one only the sentences that ask."""
    if len(paragraph.split()) <= _LONG:
        return paragraph
    sentences = re.split(r"(?<=[.!?])\s+", paragraph)
    return " ".join(sentence for sentence in sentences if sentence.endswith("?")) or paragraph
