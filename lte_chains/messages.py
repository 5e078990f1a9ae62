"""Put edits into a conversation: pure functions over LangChain messages.

Only the last human message is rewritten, in a copy. The copy carries a mark in
`additional_kwargs`, so that nothing edits it a second time, and so that
whoever meets it later can tell which edits it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, ChatMessage, HumanMessage

from lte_chains.edit import EditMatch
from lte_chains.prompts import PromptStyle, editing_prefix, split_prompt
from lte_chains.slots import later_first

LTE_KEY = "lte"
"""Key of the mark in `additional_kwargs`, and of the provenance in `response_metadata`."""

_SCORE_DIGITS = 6
_OBSERVATION = re.compile(r"\s*\**observation\**[ \t]*:", re.IGNORECASE)
_STEP = re.compile(r"^[ \t>*-]*(?:thought|action)\b[ \t*]*:", re.IGNORECASE | re.MULTILINE)


def apply_edits(
    messages: Sequence[BaseMessage],
    matches: Sequence[EditMatch],
    *,
    style: PromptStyle = "training",
) -> list[BaseMessage]:
    """Return `messages` with the knowledge-editing prompt in the last human one.

    Without a match in scope, without a human message, or if that message is
    edited already, the result is a list of the very same messages. An edit that
    holds between dates is rendered with them; of several of one slot the latest
    comes first. Instructions stand below the facts, in a part of their own.
    Blocks of a multimodal message stay as they are and in their order; the
    prompt goes in front of its first text.

    Args:
        messages: A conversation; neither the list nor its messages are changed.
        matches: What the retriever found, in the order in which the model
            shall read it; matches out of scope are left out.
        style: Wording of the prompt, see `lte_chains.prompts`.

    Raises:
        ConfigError: `style` is unknown.

    Example:
        >>> from lte_chains.edit import Edit
        >>> match = EditMatch(
        ...     edit=Edit(prompt="The CEO of Acme is", target_new="Jane Doe", id="e1"), score=0.9
        ... )
        >>> question = HumanMessage("Who runs Acme?")
        >>> [edited] = apply_edits([question], [match])
        >>> print(edited.text.splitlines()[-1], "|", question.text)
        Who runs Acme? | Who runs Acme?
        >>> edited_by(edited)
        [{'id': 'e1', 'score': 0.9, 'version': None, 'hop': 0}]
    """
    unchanged = list(messages)
    used = later_first([match for match in matches if match.in_scope])
    prefix = editing_prefix(
        [match.edit.dated for match in used if match.edit.instruction is None],
        instructions=[match.edit.dated for match in used if match.edit.instruction is not None],
        style=style,
    )
    position = last_human(messages)
    if not prefix or position is None or edited_by(messages[position]) is not None:
        return unchanged
    message = messages[position]
    edited = message.model_copy(
        update={
            "content": _with_prefix(message.content, prefix),
            "additional_kwargs": {
                **message.additional_kwargs,
                LTE_KEY: {"edits": [describe(match) for match in used]},
            },
        }
    )
    return [*unchanged[:position], edited, *unchanged[position + 1 :]]


def last_human(messages: Sequence[BaseMessage]) -> int | None:
    r"""Return the position of the last message that a person wrote, or None.

    An agent without tool calls puts what a tool has told into a human message, behind the step
    that called the tool: nobody asks there.

    Example:
        >>> from langchain_core.messages import AIMessage
        >>> step = AIMessage("Thought: look it up\nAction: search")
        >>> last_human([HumanMessage("Who runs Acme?"), step, HumanMessage("Observation: Bob")])
        0
    """
    human = [position for position, message in enumerate(messages) if is_human(message)]
    persons = (position for position in reversed(human) if not _is_observation(messages, position))
    return next(persons, human[-1] if human else None)


def _is_observation(messages: Sequence[BaseMessage], position: int) -> bool:
    if position == 0 or is_human(messages[position - 1]):
        return False
    told, step = text_of(messages[position]), text_of(messages[position - 1])
    return bool(_OBSERVATION.match(told) and _STEP.search(step))


def is_human(message: BaseMessage) -> bool:
    """Tell whether a person wrote the message."""
    if isinstance(message, ChatMessage):
        return message.role in ("user", "human")
    return isinstance(message, HumanMessage)


def edited_by(message: BaseMessage) -> list[dict[str, Any]] | None:
    """Return the edits that `apply_edits` put into the message, or None if it is unedited.

    Whoever sends messages can send a mark; without the prompt it marks, it counts for nothing.
    """
    mark = message.additional_kwargs.get(LTE_KEY)
    edits = mark.get("edits") if isinstance(mark, Mapping) else None
    if not isinstance(edits, list) or not all(isinstance(edit, Mapping) for edit in edits):
        return None
    text = text_of(message)
    return edits if edits and split_prompt(text)[1] != text else None


def describe(match: EditMatch) -> dict[str, Any]:
    """Return which edit was used and why, in JSON values.

    The score is rounded: the mark is part of what LLM caches compare, and the
    last digits of a score vary with the size of an embedding batch.
    """
    return {
        "id": match.edit.id,
        "score": round(float(match.score), _SCORE_DIGITS),
        "version": match.edit.version,
        "hop": match.hop,
    }


def text_of(message: BaseMessage) -> str:
    """Return a message's text blocks, one below the other."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(text for text in map(_block_text, message.content) if text is not None)


def _block_text(block: str | dict[Any, Any]) -> str | None:
    if isinstance(block, str):
        return block
    text = block.get("text")
    return text if block.get("type") == "text" and isinstance(text, str) else None


def _with_prefix(
    content: str | list[str | dict[Any, Any]], prefix: str
) -> str | list[str | dict[Any, Any]]:
    if isinstance(content, str):
        return prefix + content
    for position, block in enumerate(content):
        text = _block_text(block)
        if text is None:
            continue
        edited = prefix + text
        block = edited if isinstance(block, str) else {**block, "text": edited}
        return [*content[:position], block, *content[position + 1 :]]
    return [{"type": "text", "text": prefix}, *content]
