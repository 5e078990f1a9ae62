"""What a run will cost in tokens, before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from langchain_core.messages import BaseMessage

from lte_chains.training.synthesis.log import RunLog, key_of
from lte_chains.training.synthesis.prompts import judge_messages, writer_messages
from lte_chains.training.synthesis.run import SynthesisConfig, ToWrite

_CHARS_PER_TOKEN = 4
"""Of English text, roughly, for most tokenizers."""
_QUESTION_TOKENS = 25
_ANSWER_TOKENS = 75
_VERDICT_TOKENS = 15


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Calls and tokens if every first try is good; `worst` is how many times that it can be."""

    edits: int
    calls: int
    input_tokens: int
    output_tokens: int
    worst: int
    """Attempts that an edit has: at worst all are used."""


def estimate(
    items: Iterable[ToWrite],
    path: str | Path,
    *,
    config: SynthesisConfig | None = None,
    judged: bool = False,
) -> Estimate:
    """Estimate what `synthesize` will send and receive for the edits that are not done yet.

    Tokens are counted by length, four characters each: near enough to decide
    whether to start, and independent of the model.

    Example:
        >>> from lte_chains.edit import Edit
        >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe")
        >>> estimate([ToWrite(edit)], "nowhere.jsonl").calls
        1
    """
    config = config or SynthesisConfig()
    done = RunLog(Path(path)).done if Path(path).exists() else set()
    pending = {key_of(item.edit): item for item in items}
    todo = [item for key, item in pending.items() if key not in done]
    written = config.per_edit * (_QUESTION_TOKENS + _ANSWER_TOKENS)
    sent = sum(_tokens(writer_messages(item.edit, config.per_edit, old=item.old)) for item in todo)
    received = written * len(todo)
    calls = len(todo)
    if judged:
        calls += config.per_edit * len(todo)
        sent += received
        sent += config.per_edit * sum(_tokens(judge_messages(item.edit, "", "")) for item in todo)
        received += config.per_edit * _VERDICT_TOKENS * len(todo)
    return Estimate(
        edits=len(todo),
        calls=calls,
        input_tokens=sent,
        output_tokens=received,
        worst=config.attempts,
    )


def _tokens(messages: Iterable[BaseMessage]) -> int:
    return sum(len(message.text) for message in messages) // _CHARS_PER_TOKEN
