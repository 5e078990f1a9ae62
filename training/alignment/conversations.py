"""Conversations from JSON lines, and which of their tokens bear loss.

The loss is on answers only, and the tokenizer's own chat template says where an
answer begins and ends. A template that marks answers (``{% generation %}``) is
taken at its word, and every answer of a conversation bears loss. With any other
template a conversation is split before its last answer, and what the template
writes after the opening of that answer bears loss.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lte_chains.errors import DataError, ModelError

logger = logging.getLogger(__name__)

Turn = dict[str, str]
"""One message: its "role" and its "content"."""
Conversation = list[Turn]
TokenisedRow = dict[str, list[int]]
"""A conversation's "input_ids", and as "labels" those that bear loss, `IGNORED` elsewhere."""
IGNORED = -100
"""Label of a token that bears no loss."""

_AT_ONCE = 1000
"""Conversations that are tokenised together."""
_ROLES = ("system", "user", "assistant")
_SHOWN = 10
"""Mistakes of a file that an error message lists."""
_EXPECTED = 'expected {"messages": [a question, an answer]}'
_ANSWER_MARK = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True)
class ConversationFile:
    """A file's conversations, and what identifies the file."""

    name: str
    sha256: str
    conversations: tuple[Conversation, ...]


def read_conversations(path: str | Path) -> ConversationFile:
    """Read a JSON lines file of ``{"messages": [{"role": …, "content": …}, …]}``.

    TRL's other layout, ``{"prompt": […], "completion": […]}``, is read as well;
    other keys of a line are passed over.

    Raises:
        DataError: The file cannot be read, holds nothing, or holds lines that
            are no conversations; the first ten are listed.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        lines = raw.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    conversations: list[Conversation] = []
    mistakes: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            conversations.append(_conversation(line))
        except ValueError as error:
            mistakes.append(f"- line {number}: {error}")
    if mistakes:
        more = [f"- and {len(mistakes) - _SHOWN} more"] if len(mistakes) > _SHOWN else []
        raise DataError("\n".join([f"{path} is no training file:", *mistakes[:_SHOWN], *more]))
    if not conversations:
        raise DataError(f"{path} holds no conversation")
    return ConversationFile(path.name, hashlib.sha256(raw).hexdigest(), tuple(conversations))


def marks_answers(tokenizer: Any) -> bool:
    """Return whether the tokenizer's chat template marks what the assistant says."""
    return _ANSWER_MARK.search(tokenizer.get_chat_template()) is not None


def tokenised(
    conversations: Sequence[Conversation], tokenizer: Any, *, max_length: int
) -> list[TokenisedRow]:
    """Tokenise the conversations of at most `max_length` tokens; log how many are longer.

    Raises:
        DataError: None fits.
        ModelError: The chat template refuses a conversation.
    """
    learned = _marked if marks_answers(tokenizer) else _last_answers
    rows: list[TokenisedRow] = []
    for start in range(0, len(conversations), _AT_ONCE):
        chunk = list(conversations[start : start + _AT_ONCE])
        rows += [
            {
                "input_ids": ids,
                "labels": [t if m else IGNORED for t, m in zip(ids, mask, strict=True)],
            }
            for ids, mask in learned(chunk, tokenizer)
            if len(ids) <= max_length
        ]
    if not rows:
        raise DataError(f"every row has more than max_length={max_length} tokens: raise it")
    if left_out := len(conversations) - len(rows):
        logger.warning(
            "%d of %d rows have more than max_length=%d tokens and are left out",
            left_out,
            len(conversations),
            max_length,
        )
    return rows


def common_beginning(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two rows begin with alike.

    Example:
        >>> common_beginning([5, 6, 7], [5, 6, 8, 9])
        2
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _marked(chunk: list[Conversation], tokenizer: Any) -> Iterator[tuple[list[int], list[int]]]:
    """Yield tokens, and which of them the template says the assistant said."""
    made = _templated(chunk, tokenizer, return_assistant_tokens_mask=True)
    yield from zip(made["input_ids"], made["assistant_masks"], strict=True)


def _last_answers(
    chunk: list[Conversation], tokenizer: Any
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield tokens, and which of them the last answer adds to its opening."""
    asked = [turns[:-1] for turns in chunk]
    prompts = _templated(asked, tokenizer, add_generation_prompt=True)["input_ids"]
    for prompt, ids in zip(prompts, _templated(chunk, tokenizer)["input_ids"], strict=True):
        common = common_beginning(prompt, ids)
        yield ids, [0] * common + [1] * (len(ids) - common)


def _templated(chunk: list[Conversation], tokenizer: Any, **settings: Any) -> Any:
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(chunk, return_dict=True, **settings)
    except TemplateError as error:
        roles = ", ".join(sorted({turn["role"] for turns in chunk for turn in turns}))
        raise ModelError(
            f"the model's chat template refuses a conversation of the roles ({roles}): {error}"
        ) from error


def _conversation(line: str) -> Conversation:
    """Check one line; a `ValueError` says what is wrong with it."""
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError(_EXPECTED)
    messages = row.get("messages")
    if messages is None and isinstance(row.get("prompt"), list):
        messages = row["prompt"] + (row.get("completion") or [])
    if not isinstance(messages, list) or len(messages) < 2:
        raise ValueError(_EXPECTED)
    turns = [_turn(message) for message in messages]
    roles = [turn["role"] for turn in turns]
    spoken = roles[1:] if roles[0] == "system" else roles
    if spoken != ["user", "assistant"] * (len(spoken) // 2) or not spoken:
        raise ValueError(f"users and assistants must take turns, not {', '.join(roles)}")
    return turns


def _turn(message: object) -> Turn:
    if not isinstance(message, dict):
        raise ValueError(f"a message is an object, not {message!r}")
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise ValueError(f"the role must be one of {', '.join(_ROLES)}, not {role!r}")
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"the {role}'s content must be a text, not {content!r}")
    return {"role": role, "content": content}


def has_rows(data: str | Path) -> bool:
    """Return whether this is a file or a folder of training rows."""
    path = Path(data)
    return path.is_file() or (path / "train.jsonl").is_file()


def data_files(data: str | Path) -> Iterator[Path]:
    """Yield the file of training rows and, if there is one, that of the dev rows.

    Args:
        data: A file of training rows, or a folder of ``train.jsonl`` and ``dev.jsonl``
            as `lte-chains align data` writes it.

    Raises:
        DataError: There are no training rows.
    """
    path = Path(data)
    if path.is_file():
        yield path
        return
    if not (path / "train.jsonl").is_file():
        raise DataError(
            f"there are no training rows at {path}: give a .jsonl file, or a folder of "
            "train.jsonl and dev.jsonl"
        )
    yield path / "train.jsonl"
    if (path / "dev.jsonl").is_file():
        yield path / "dev.jsonl"
