"""The entry points of a LlamaIndex LLM, each of which edits first and then asks.

They are undecorated: the inner model's own methods carry LlamaIndex's callbacks
and rate limits, so every call is seen once, with what the model really reads.
Streams are planned when they are asked for, not at their first response.
`tool_calls` has the other half.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM

from lte_chains.editable.editing import CallEditor, EditedCall
from lte_chains.integrations.llama_index.frames import Frame
from lte_chains.integrations.llama_index.planning import (
    aplan,
    astamped_all,
    plan,
    split_options,
    stamped,
    stamped_all,
)


class EntryPoints(FunctionCallingLLM):
    """A model whose every call is planned by a `CallEditor` and answered by a view."""

    @abstractmethod
    def _editor(self, messages: Sequence[ChatMessage]) -> CallEditor:
        """Finds the edits for a conversation and puts them in."""

    @abstractmethod
    def _view(self, *, edited: bool) -> LLM:
        """The model that answers."""

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer a conversation; see LlamaIndex's `chat`."""
        call, model, options = self._plan(messages, kwargs)
        return stamped(model.chat(call.input, **options), call)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Stream an answer to a conversation; see LlamaIndex's `stream_chat`."""
        call, model, options = self._plan(messages, kwargs)
        return stamped_all(model.stream_chat(call.input, **options), call)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer a prompt; see LlamaIndex's `complete`."""
        frame = self._frame(prompt, formatted=formatted)
        call, model, options = self._plan(frame.messages, kwargs)
        return stamped(model.complete(frame.around(call), formatted, **options), call)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Stream an answer to a prompt; see LlamaIndex's `stream_complete`."""
        frame = self._frame(prompt, formatted=formatted)
        call, model, options = self._plan(frame.messages, kwargs)
        return stamped_all(model.stream_complete(frame.around(call), formatted, **options), call)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer a conversation, as `chat` does."""
        call, model, options = await self._aplan(messages, kwargs)
        return stamped(await model.achat(call.input, **options), call)

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Stream an answer to a conversation, as `stream_chat` does."""
        call, model, options = await self._aplan(messages, kwargs)
        return astamped_all(await model.astream_chat(call.input, **options), call)

    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Answer a prompt, as `complete` does."""
        frame = self._frame(prompt, formatted=formatted)
        call, model, options = await self._aplan(frame.messages, kwargs)
        return stamped(await model.acomplete(frame.around(call), formatted, **options), call)

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """Stream an answer to a prompt, as `stream_complete` does."""
        frame = self._frame(prompt, formatted=formatted)
        call, model, options = await self._aplan(frame.messages, kwargs)
        responses = await model.astream_complete(frame.around(call), formatted, **options)
        return astamped_all(responses, call)

    def _frame(self, prompt: str, *, formatted: bool) -> Frame:
        return Frame.of(prompt, self.completion_to_prompt if formatted else None)

    def _plan(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]
    ) -> tuple[EditedCall, LLM, dict[str, Any]]:
        """Return what to send, to which model, with which of the caller's options."""
        config, options = split_options(kwargs)
        call = plan(self._editor(messages), messages, config)
        return call, self._view(edited=call.edited), options

    async def _aplan(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]
    ) -> tuple[EditedCall, LLM, dict[str, Any]]:
        """Return what to send, as `_plan` does."""
        config, options = split_options(kwargs)
        call = await aplan(self._editor(messages), messages, config)
        return call, self._view(edited=call.edited), options
