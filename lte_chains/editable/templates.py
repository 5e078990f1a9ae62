"""The question in one message, without the template and the documents around it.

RAG prompts wrap the question in instructions and documents. A labelled question
(``Question: …``, ``<question>…</question>``, a heading, a key of a JSON object) is
taken alone, unless it is answered in the prompt and another one comes last;
otherwise documents are cut out, and of a long text the paragraphs at its
beginning and end that ask something are taken. Fenced text and JSON inside a
prompt are read only where nothing beside them asks. Documents are never used as
a query: they may state the very fact that an edit replaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from lte_chains.editable.blocks import (
    Block,
    around,
    cut_blocks,
    json_of,
    marks_in,
    without_marks,
)
from lte_chains.editable.labels import (
    LONG,
    UNDER_DOCUMENTS,
    labelled_questions,
    without_observations,
)
from lte_chains.editable.paragraphs import questions_in_paragraphs
from lte_chains.editable.transcripts import unanswered_in

_BLOCKS = 10
"""How many blocks, from the last, are looked through for a question."""
_NESTED = 5
"""How many blocks inside one another are opened."""
_TAGS = 20
"""Kinds of tags that may stay unclosed before a text is taken not to be tagged."""

_QUESTION_TAG = re.compile(r"<((?:user_?)?(?:question|query|input|message|prompt))>", re.IGNORECASE)
_DOCUMENT_TAG = re.compile(
    r"<(context|contexts|documents?|docs?|passages?|sources?|search_results|chat_history|"
    r"retrieved_\w+)\b[^<>]*>",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"^(?i:(?:please\s+)?answer\s+(?:the|this|my)\s+(?:following\s+)?question)[\s,.:-]+(?=[A-Z\"'])"
)
_WRAPPED = re.compile(r"(```|\"{3}|'{3})(\s*\S.*?)\1", re.DOTALL)
_QUESTION_IN_QUOTES = re.compile(
    r"\bquestion\s+(?:that\s+is\s+|which\s+is\s+)?"
    r"(?:delimited|enclosed|surrounded|marked|quoted|in|inside|between|within)\b",
    re.IGNORECASE,
)
_NO_CODE = re.compile(r"[^{}=;<>#]+")
_SENTENCE_END = re.compile(r"[.!?]\s")

_QUESTION_KEYS = ("question", "user_question", "query", "user_query", "user_input")
_MESSAGE_KEYS = ("input", "user_message", "message", "prompt")
_ANSWER_KEYS = ("answer", "answers", "response")


def questions_in(text: str) -> list[str]:
    r"""Return what one message asks, without the template and the documents around it.

    Example:
        >>> questions_in("Answer briefly. Question: Who runs Acme?\nHelpful Answer:")
        ['Who runs Acme?']
        >>> questions_in("Who runs Acme?")
        ['Who runs Acme?']
    """
    return _questions_in(text, _NESTED)


def _questions_in(text: str, depth: int) -> list[str]:
    """Return what a message asks, or what a block in it asks that holds the question."""
    if depth == 0:
        return _plain_questions(text.strip())
    keyed = _asked_in(json_of(text), (*_QUESTION_KEYS, *_MESSAGE_KEYS, "content"))
    if keyed:
        return _questions_in(keyed, depth - 1)
    # Before a label is looked for: a document may hold questions of its own.
    own = _without_documents(text)
    marked, blocks = cut_blocks(without_observations(own))
    tagged = [inner.strip() for _, _, inner in _elements(_QUESTION_TAG, marked) if inner.strip()]
    labelled = tagged[-1:] or labelled_questions(marked)
    if labelled:
        opened = (_opened(one, blocks, depth - 1) for one in labelled)
        return list(dict.fromkeys(question for own in opened for question in own))
    said = unanswered_in(own)
    if said:
        return _questions_in(said, depth - 1)
    rest = without_marks(marked).strip()
    held = _question_in_blocks(marked, blocks, rest)
    if held:
        return _questions_in(held, depth - 1)
    return _plain_questions(rest or text.strip())


def _plain_questions(rest: str) -> list[str]:
    """Return what a text without labelled questions asks."""
    if not rest:
        return []
    quoted = _WRAPPED.search(rest) if _QUESTION_IN_QUOTES.search(rest) else None
    if quoted:
        return [quoted[2].strip()]
    return questions_in_paragraphs(_REQUEST.sub("", rest))


def _opened(question: str, blocks: Sequence[Block], depth: int) -> list[str]:
    """Return a labelled question, out of the block or the quotes that it stands in."""
    plain = without_marks(question).strip()
    if not plain:
        block = blocks[marks_in(question)[-1]]
        return _questions_in(block.text, depth) or [block.text]
    wrapped = _WRAPPED.fullmatch(plain)
    if wrapped:
        return [wrapped[2].strip()]
    return [plain] if json_of(plain) is None else _questions_in(plain, depth)


def _question_in_blocks(marked: str, blocks: Sequence[Block], beside: str) -> str | None:
    """Return the question that a block holds, if nothing beside it is the question.

    One that asks by a key of JSON is preferred to text before it, never to text after it.
    """
    for number in range(len(blocks) - 1, max(-1, len(blocks) - 1 - _BLOCKS), -1):
        before, after = around(marked, number)
        if UNDER_DOCUMENTS.search(before.rstrip()[-200:]) or "?" in after:
            continue
        block = blocks[number]
        if block.json is not None:
            keys = _QUESTION_KEYS if "?" in beside else (*_QUESTION_KEYS, *_MESSAGE_KEYS)
            asked = None if _is_answered(block.json) else _asked_in(block.json, keys)
        else:
            asked = block.text if "?" not in beside and _is_question(block.text, beside) else None
        if asked:
            return asked
    return None


def _is_question(held: str, beside: str) -> bool:
    """Tell whether a fenced text is the question, and no document or code."""
    if not beside:
        return bool(held)
    if len(held.split()) > LONG or not _NO_CODE.fullmatch(held):
        return False
    is_one_question = held.endswith("?") and not _SENTENCE_END.search(held)
    return is_one_question or _QUESTION_IN_QUOTES.search(beside) is not None


def _asked_in(value: Any, keys: Sequence[str], depth: int = 3) -> str | None:
    """Return the question of a JSON object, or of a JSON conversation."""
    if depth == 0:
        return None
    if isinstance(value, list):
        turns = [turn for turn in value if isinstance(turn, dict) and _is_persons(turn)]
        return _asked_in(turns[-1], keys, depth - 1) if turns else None
    if not isinstance(value, dict):
        return None
    held = {str(key).casefold().replace("-", "_"): inner for key, inner in value.items()}
    for name in (*keys, "content") if _is_persons(value) else keys:
        asked = held.get(name)
        if isinstance(asked, str) and asked.strip():
            return asked.strip()
    found = (_asked_in(inner, keys, depth - 1) for inner in value.values())
    return next((asked for asked in found if asked), None)


def _is_persons(turn: dict[str, Any]) -> bool:
    return turn.get("role", turn.get("type")) in ("user", "human")


def _is_answered(value: Any) -> bool:
    """Tell whether JSON is a document: a question with its answer."""
    return isinstance(value, dict) and any(value.get(key) for key in _ANSWER_KEYS)


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
            if len(unclosed) > _TAGS:
                return
            continue
        end = closing.end()
        yield tag.start(), end, text[tag.end() : closing.start()]


def _without_documents(text: str) -> str:
    """Return a text without its tagged documents; all of it if nothing else is there."""
    kept, position = [], 0
    for start, end, _ in _elements(_DOCUMENT_TAG, text):
        kept.append(text[position:start])
        position = end
    rest = "\n\n".join([*kept, text[position:]])
    return rest if rest.strip() else text
