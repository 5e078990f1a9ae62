"""A chat model and a callback handler that show what reached them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr

from lte_chains.edit import Edit
from lte_chains.memory import EditMemory
from lte_chains.retriever import EditRetriever
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings

EDIT = Edit(
    prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme", relation="CEO", id="e1"
)
QUESTION = "Who is the CEO of Acme?"
OTHER = "Which river flows through Lyon?"


def retriever_with(*edits: Edit, k: int = 3, memory: EditMemory | None = None) -> EditRetriever:
    """Return a retriever over a fresh memory with `edits`; shared words decide the scope."""
    if memory is None:
        memory = EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=512))
    if edits:
        memory.add_edits(list(edits))
    return EditRetriever(vectorstore=memory, k=k, gate=SimilarityGate(0.6))


class RecordingModel(BaseChatModel):
    """Answers with its label and a count; keeps every list of messages it was given."""

    label: str = "answer"
    tools_style: str = "tools"
    """Under which option `bind_tools` passes the tools on."""
    scripted: list[AIMessage] = Field(default_factory=list)
    """Answers to give first."""
    seen: list[list[BaseMessage]] = Field(default_factory=list, exclude=True)
    options: list[dict[str, Any]] = Field(default_factory=list, exclude=True)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        message = self._answer(messages, {**kwargs, "stop": stop})
        usage = {"token_usage": {"total_tokens": len(messages)}}
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output=usage)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[Any]:
        message = self._answer(messages, {**kwargs, "stop": stop})
        words = message.text.split(" ")
        for position, word in enumerate(words):
            last = position == len(words) - 1
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    content=word if last else f"{word} ",
                    chunk_position="last" if last else None,
                    usage_metadata=message.usage_metadata if last else None,
                    tool_call_chunks=_chunks_of(message) if last else [],
                )
            )

    def _answer(self, messages: list[BaseMessage], options: dict[str, Any]) -> AIMessage:
        with self._lock:
            self.seen.append(messages)
            self.options.append(options)
            if self.scripted:
                return self.scripted.pop(0)
            size = sum(len(m.text) for m in messages)
        return AIMessage(
            f"{self.label} to {messages[-1].text.splitlines()[-1]}",
            usage_metadata={"input_tokens": size, "output_tokens": 1, "total_tokens": size + 1},
        )

    def _combine_llm_outputs(self, llm_outputs: list[Any]) -> dict[str, Any]:
        total = sum(o["token_usage"]["total_tokens"] for o in llm_outputs if o)
        return {"token_usage": {"total_tokens": total}}

    def bind_tools(self, tools, *, tool_choice=None, **kwargs) -> Runnable[Any, AIMessage]:
        kwargs[self.tools_style] = [convert_to_openai_tool(t) for t in tools]
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(**kwargs)

    @property
    def _llm_type(self) -> str:
        return "recording"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"label": self.label}


def _chunks_of(message: AIMessage) -> list[Any]:
    return [
        tool_call_chunk(
            name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
        )
        for index, call in enumerate(message.tool_calls)
    ]


class Runs(BaseCallbackHandler):
    """Keeps the runs that were started, their parents, how they ended, and tokens."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Any, Any]] = []
        self.ended: list[Any] = []
        self.failed: list[Any] = []
        self.tokens: list[str] = []
        self.queries: list[str] = []
        self.found: list[list[Any]] = []
        self.read: list[list[BaseMessage]] = []
        self.names: dict[str, list[str | None]] = {}

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.started]

    def roots(self) -> list[str]:
        return [kind for kind, _, parent in self.started if parent is None]

    def _start(self, kind: str, run_id: Any, parent_run_id: Any, name: str | None) -> None:
        self.started.append((kind, run_id, parent_run_id))
        self.names.setdefault(kind, []).append(name)

    def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, name=None, **_):
        self._start("chain", run_id, parent_run_id, name)

    def on_retriever_start(self, serialized, query, *, run_id, parent_run_id=None, name=None, **_):
        self._start("retriever", run_id, parent_run_id, name)
        self.queries.append(query)

    def on_chat_model_start(
        self, serialized, messages, *, run_id, parent_run_id=None, name=None, **_
    ):
        self._start("model", run_id, parent_run_id, name)
        self.read.extend(messages)

    def on_llm_new_token(self, token, **_):
        self.tokens.append(token)

    def on_retriever_end(self, documents, *, run_id, **_):
        self.ended.append(run_id)
        self.found.append(documents)

    def on_llm_end(self, response, *, run_id, **_):
        self.ended.append(run_id)

    def on_chain_end(self, outputs, *, run_id, **_):
        self.ended.append(run_id)

    def _error(self, error, *, run_id, **_):
        self.failed.append(run_id)

    on_chain_error = on_llm_error = on_retriever_error = _error
