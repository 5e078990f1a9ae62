"""Write a conversation as the token ids that a local chat model was trained to read.

Text inside a message must not act as a control token: somebody who types
``<|assistant|>`` into a question would otherwise open a turn of their own.
Wherever a control token of the tokenizer is spelled out in a message, a mark
is set after its first character; the template renders the marked
conversation, and the pieces between the marks are encoded on their own, so
that only the template's own control tokens are recognised. This needs nothing
of the tokenizer, and a conversation without such text is encoded in one piece,
exactly as in training.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, ToolMessage

from lte_chains.errors import ConfigError, ModelError

_ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "tool"}
_MARKS = "\uf8ff\uf8fe\uf8fd\uf8fc"
"""Private-use characters; the first one that no message contains is the mark."""


def encode_chat(tokenizer: Any, messages: Sequence[BaseMessage]) -> list[int]:
    """Return the token ids of `messages` and the opening of the model's answer.

    Args:
        tokenizer: A Hugging Face tokenizer with a chat template.
        messages: The conversation; text only.

    Raises:
        ConfigError: There are no messages, or one holds something other than text.
        ModelError: The chat template refuses the conversation.
    """
    return [
        token
        for piece in _pieces(tokenizer, messages)
        for token in tokenizer(piece, add_special_tokens=False)["input_ids"]
    ]


def place_in_chat(tokenizer: Any, question: str, end: int) -> int:
    """Return the place, among the ids of a question's chat, of the question's character `end` - 1.

    Only the question itself is looked at, never what the template writes around it.

    Args:
        tokenizer: A Hugging Face tokenizer with a chat template.
        question: What a user asks.
        end: How many of its characters have been read with that token.

    Raises:
        ModelError: The chat template refuses the conversation.
    """
    pieces = _pieces(tokenizer, [HumanMessage(question)])
    left = _beginning(tokenizer, "".join(pieces), question) + end
    place = 0
    for piece in pieces:
        if left <= len(piece):
            return max(0, place + _tokens_up_to(tokenizer, piece, left) - 1)
        left -= len(piece)
        place += len(tokenizer(piece, add_special_tokens=False)["input_ids"])
    return place - 1


def _beginning(tokenizer: Any, rendered: str, question: str) -> int:
    """Return where a question begins in its rendered chat; templates may strip it."""
    mark = _MARKS[0]
    opening = len(_render(tokenizer, [{"role": "user", "content": mark}]).partition(mark)[0])
    if rendered.startswith(question, opening):
        return opening
    stripped = question.strip()
    at = opening if rendered.startswith(stripped, opening) else rendered.rfind(stripped)
    return at - (len(question) - len(question.lstrip()))


def _tokens_up_to(tokenizer: Any, piece: str, end: int) -> int:
    """Return how many tokens have been read with the character `end` - 1 of a text."""
    if not tokenizer.is_fast:
        return len(tokenizer(piece[:end], add_special_tokens=False)["input_ids"])
    found = tokenizer(piece, add_special_tokens=False, return_offsets_mapping=True)
    spans = enumerate(found["offset_mapping"], 1)
    # One character may be several tokens, of the same span: it is read with the last of them.
    return max((count for count, (begin, stop) in spans if begin < min(stop, end)), default=1)


def _pieces(tokenizer: Any, messages: Sequence[BaseMessage]) -> list[str]:
    """Render a conversation, in pieces that are to be encoded on their own."""
    if not messages:
        raise ConfigError("there are no messages to answer: give at least one")
    turns = [_as_turn(message) for message in messages]
    mark = _free_mark(turns)
    control = _control_pattern(frozenset(str(t) for t in tokenizer.get_added_vocab()))
    for turn in turns:
        turn["content"] = control.sub(
            lambda found: f"{found[0][0]}{mark}{found[0][1:]}", turn["content"]
        )
    return _render(tokenizer, turns).split(mark)


def _render(tokenizer: Any, turns: list[dict[str, Any]]) -> str:
    from jinja2 import TemplateError  # ships with the [hf] extra, not with the bare install

    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        roles = ", ".join(turn["role"] for turn in turns)
        raise ModelError(
            f"the model's chat template refuses a conversation of the roles ({roles}): {error}"
        ) from error


def _as_turn(message: BaseMessage) -> dict[str, Any]:
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type)
    if role is None:
        raise ConfigError(f"a local model cannot read a message of type {message.type!r}")
    turn: dict[str, Any] = {"role": role, "content": _text_of(message)}
    if isinstance(message, AIMessage) and message.tool_calls:
        turn["tool_calls"] = [
            {
                "type": "function",
                "id": call["id"],
                "function": {"name": call["name"], "arguments": call["args"]},
            }
            for call in message.tool_calls
        ]
    if isinstance(message, ToolMessage):
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _text_of(message: BaseMessage) -> str:
    """Return the message's text; a block that is not text is an error, except in an answer."""
    if isinstance(message.content, list) and not isinstance(message, AIMessage):
        for block in message.content:
            if isinstance(block, dict) and block.get("type") != "text":
                raise ConfigError(
                    f"a local model reads text only, but a {message.type} message holds a "
                    f"block of type {block.get('type')!r}: remove it or use another model"
                )
    return str(message.text)


def _free_mark(turns: Sequence[dict[str, Any]]) -> str:
    for mark in _MARKS:
        if not any(mark in turn["content"] for turn in turns):
            return mark
    raise ConfigError(
        "the messages hold every private-use character from U+F8FC to U+F8FF: remove one of them"
    )


@lru_cache(maxsize=32)
def _control_pattern(tokens: frozenset[str]) -> re.Pattern[str]:
    """Match any of the control tokens, longest first, in any case (some tokenizers fold it)."""
    spellings = sorted((t for t in tokens if len(t) > 1 and t.strip()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, spellings)) or r"(?!)", re.IGNORECASE)
