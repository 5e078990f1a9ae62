"""Which edits a LlamaIndex call gets, and where its answer says so.

A query engine decides about the question before a template goes around it, and
the model is called with the template. `decided` lets the engine tell the model,
so that nothing is searched or edited twice and the right view answers. It holds
for the calls made inside it, threads and tasks that copy their context
included, and only for prompts that hold the very question.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
)
from pydantic import BaseModel

from lte_chains.editable.editing import CallEditor, EditedCall
from lte_chains.integrations.llama_index.messages import to_langchain, with_edits
from lte_chains.messages import LTE_KEY

LlmResponse = TypeVar("LlmResponse", ChatResponse, CompletionResponse)

_OPTION_PREFIX = "lte_"


@dataclass(frozen=True)
class _Decision:
    question: str
    """As the model reads it: edited, if there was something to edit."""
    call: EditedCall


_DECISION: ContextVar[_Decision | None] = ContextVar("lte_decision", default=None)


@contextmanager
def decided(question: str, call: EditedCall) -> Iterator[None]:
    """Let editable models inside know what was decided about a question."""
    token = _DECISION.set(_Decision(question, call))
    try:
        yield
    finally:
        _DECISION.reset(token)


def deciding(
    tokens: Generator[str, None, None], question: str, call: EditedCall
) -> Generator[str, None, None]:
    """Stream tokens of a model that may be called only when the first one is asked for."""
    while True:
        with decided(question, call):
            # Around each step, not around the loop: between steps the caller's code runs.
            token = next(tokens, None)
        if token is None:
            return
        yield token


async def adeciding(
    tokens: AsyncGenerator[str, None], question: str, call: EditedCall
) -> AsyncGenerator[str, None]:
    """Stream tokens, as `deciding` does."""
    while True:
        with decided(question, call):
            token = await anext(tokens, None)
        if token is None:
            return
        yield token


def split_options(options: Mapping[str, Any]) -> tuple[RunnableConfig, dict[str, Any]]:
    """Return our own call options as a run config, and those that are the model's.

    Example:
        >>> split_options({"lte_query": "Who runs Acme?", "temperature": 0})
        ({'configurable': {'lte_query': 'Who runs Acme?'}}, {'temperature': 0})
    """
    ours = {key: value for key, value in options.items() if key.startswith(_OPTION_PREFIX)}
    return {"configurable": ours}, {key: options[key] for key in options if key not in ours}


def plan(editor: CallEditor, messages: Sequence[ChatMessage], config: RunnableConfig) -> EditedCall:
    """Return what to send in place of `messages`: they themselves, if nothing is in scope.

    Raises:
        ConfigError: The call's options cannot be honoured.
    """
    known = _decision_about(messages)
    if known is not None:
        return replace(known, input=messages)
    given = [to_langchain(message) for message in messages]
    return _translated(editor.plan(messages, given, config), messages, given)


async def aplan(
    editor: CallEditor, messages: Sequence[ChatMessage], config: RunnableConfig
) -> EditedCall:
    """Return what to send in place of `messages`, as `plan` does."""
    known = _decision_about(messages)
    if known is not None:
        return replace(known, input=messages)
    given = [to_langchain(message) for message in messages]
    return _translated(await editor.aplan(messages, given, config), messages, given)


def stamped(response: LlmResponse, call: EditedCall) -> LlmResponse:
    """Return a response with the provenance in `additional_kwargs`, and in `raw` if it fits.

    Not in the message: that one goes into chat histories, and from there to
    the provider. `raw` is what agents pass on.
    """
    update = {
        "additional_kwargs": {**response.additional_kwargs, **provenance_of(call)},
        "raw": _stamped_raw(response.raw, call),
    }
    return response.model_copy(update=update)


def stamped_all(
    responses: Iterator[LlmResponse], call: EditedCall
) -> Generator[LlmResponse, None, None]:
    """Stamp a stream: every response in it is the answer so far, and the last one counts."""
    for response in responses:
        yield stamped(response, call)


async def astamped_all(
    responses: AsyncGenerator[LlmResponse, None], call: EditedCall
) -> AsyncGenerator[LlmResponse, None]:
    """Stamp an asynchronous stream, as `stamped_all` does."""
    async for response in responses:
        yield stamped(response, call)


def provenance_of(call: EditedCall) -> dict[str, Any]:
    """Return a call's provenance under its key, as a copy."""
    return {LTE_KEY: deepcopy(call.provenance)}


def _decision_about(messages: Sequence[ChatMessage]) -> EditedCall | None:
    decision = _DECISION.get()
    asked = next((m for m in reversed(messages) if m.role == MessageRole.USER), None)
    if decision is None or asked is None:
        return None
    # Templates may strip and indent what is put into them.
    return decision.call if _words(decision.question) in _words(asked.content or "") else None


def _words(text: str) -> str:
    return " ".join(text.split())


def _translated(
    call: EditedCall, messages: Sequence[ChatMessage], given: Sequence[BaseMessage]
) -> EditedCall:
    return replace(call, input=with_edits(messages, given, call.input)) if call.edited else call


def _stamped_raw(raw: Any, call: EditedCall) -> Any:
    if raw is None or isinstance(raw, Mapping):
        return {**(raw or {}), **provenance_of(call)}
    if isinstance(raw, BaseModel) and raw.model_config.get("extra") == "allow":
        return raw.model_copy(update=provenance_of(call))
    return raw
