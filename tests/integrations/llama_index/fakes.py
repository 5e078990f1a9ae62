"""LlamaIndex models that show what reached them, and a callback handler that counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from pydantic import BaseModel, ConfigDict, Field

from tests.fakes_embeddings import BagOfWordsEmbeddings


class OpenRaw(BaseModel):
    """A provider's answer object that takes more fields, as OpenAI's do."""

    model_config = ConfigDict(extra="allow")
    model: str = "m"


class ToolLLM(FunctionCallingLLM):
    """Answers with its label and the last line it reads, after its scripted answers."""

    label: str = "answer"
    scripted: list[ChatMessage] = Field(default_factory=list)
    raw: Any = None
    seen: list[Any] = Field(default_factory=list, exclude=True)
    """The very sequences of messages, or prompts, that reached it."""
    options: list[dict[str, Any]] = Field(default_factory=list, exclude=True)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True, model_name="fake")

    @property
    def texts(self) -> list[str]:
        """What each call ended with."""
        return [seen if isinstance(seen, str) else seen[-1].content or "" for seen in self.seen]

    def _answer(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> ChatMessage:
        self.seen.append(messages)
        self.options.append(options)
        if self.scripted:
            return self.scripted.pop(0)
        asked = next(m for m in reversed(messages) if m.role == "user")
        last = (asked.content or "").strip().splitlines()[-1]
        return ChatMessage(role="assistant", content=f"{self.label} to {last}")

    def _chunks(self, message: ChatMessage) -> list[ChatResponse]:
        words = (message.content or "").split(" ")
        chunks = []
        for count, word in enumerate(words, 1):
            last = count == len(words)
            text = " ".join(words[:count])
            part = message if last else ChatMessage(role="assistant", content=text)
            delta = word if count == 1 else f" {word}"
            chunks.append(ChatResponse(message=part, delta=delta, raw=self.raw))
        return chunks

    @llm_chat_callback()
    def chat(self, messages, **kwargs):
        return ChatResponse(message=self._answer(messages, kwargs), raw=self.raw)

    @llm_chat_callback()
    def stream_chat(self, messages, **kwargs):
        chunks = self._chunks(self._answer(messages, kwargs))
        return (chunk for chunk in chunks)

    @llm_chat_callback()
    async def achat(self, messages, **kwargs):
        return ChatResponse(message=self._answer(messages, kwargs), raw=self.raw)

    @llm_chat_callback()
    async def astream_chat(self, messages, **kwargs):
        chunks = self._chunks(self._answer(messages, kwargs))

        async def generate():
            for chunk in chunks:
                yield chunk

        return generate()

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        return self._completion(prompt, {**kwargs, "formatted": formatted})

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        answer = self._completion(prompt, {**kwargs, "formatted": formatted})
        return (part for part in [answer.model_copy(update={"delta": answer.text})])

    @llm_completion_callback()
    async def acomplete(self, prompt, formatted=False, **kwargs):
        return self._completion(prompt, {**kwargs, "formatted": formatted})

    @llm_completion_callback()
    async def astream_complete(self, prompt, formatted=False, **kwargs):
        answer = self._completion(prompt, {**kwargs, "formatted": formatted})

        async def generate():
            yield answer.model_copy(update={"delta": answer.text})

        return generate()

    def _completion(self, prompt: str, options: dict[str, Any]) -> CompletionResponse:
        self.seen.append(prompt)
        self.options.append(options)
        text = f"{self.label} to {prompt.splitlines()[-1]}"
        return CompletionResponse(text=text, raw=self.raw)

    def _prepare_chat_with_tools(
        self,
        tools,
        user_msg=None,
        chat_history=None,
        verbose=False,
        allow_parallel_tool_calls=False,
        tool_required=False,
        **kwargs,
    ):
        turn = ChatMessage(user_msg) if isinstance(user_msg, str) else user_msg
        messages = [*(chat_history or []), *([turn] if turn else [])]
        names = [f"{self.label}:{tool.metadata.name}" for tool in tools]
        return {"messages": messages, "tools": names, **kwargs}

    def get_tool_calls_from_response(self, response, error_on_no_tool_call=True, **kwargs):
        calls = [b for b in response.message.blocks if isinstance(b, ToolCallBlock)]
        if not calls and error_on_no_tool_call:
            raise ValueError(f"{self.label} called no tool")
        return [
            ToolSelection(
                tool_id=call.tool_call_id, tool_name=call.tool_name, tool_kwargs=call.tool_kwargs
            )
            for call in calls
        ]


class PlainLLM(CustomLLM):
    """Completes only; the answer is the prompt."""

    seen: list[str] = Field(default_factory=list, exclude=True)
    formatted: list[bool] = Field(default_factory=list, exclude=True)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="plain")

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        self.seen.append(prompt)
        self.formatted.append(formatted)
        return CompletionResponse(text=prompt)

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        self.seen.append(prompt)
        self.formatted.append(formatted)
        return (CompletionResponse(text=prompt, delta=prompt) for _ in range(1))


class Events(BaseCallbackHandler):
    """Keeps the kinds of the events that were started."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.started: list[str] = []

    def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        self.started.append(event_type.value)
        return event_id

    def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        pass

    def start_trace(self, trace_id=None):
        pass

    def end_trace(self, trace_id=None, trace_map=None):
        pass


class WordEmbedding(BaseEmbedding):
    """LlamaIndex's form of `BagOfWordsEmbeddings`."""

    def _get_query_embedding(self, query):
        return BagOfWordsEmbeddings(dim=512).embed_query(query)

    async def _aget_query_embedding(self, query):
        return BagOfWordsEmbeddings(dim=512).embed_query(query)

    def _get_text_embedding(self, text):
        return BagOfWordsEmbeddings(dim=512).embed_query(text)


def tool_call(name: str, **arguments: Any) -> ChatMessage:
    """An answer that calls one tool."""
    block = ToolCallBlock(tool_call_id=f"call-{name}", tool_name=name, tool_kwargs=arguments)
    return ChatMessage(role="assistant", blocks=[block])
