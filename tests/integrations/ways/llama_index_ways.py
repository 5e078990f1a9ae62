"""The ways in through LlamaIndex."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, ClassVar

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ImageBlock, TextBlock
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from lte_chains.integrations.llama_index import EditableLlamaLLM, EditableQueryEngine
from tests.integrations.ways.base import PIXEL, Ask, Told, Way
from tests.integrations.ways.readers import ReadingLlamaLLM, TopicNodeEmbedding

NEUTRAL = "Lyon has a town hall."


def look_up(step: int) -> str:
    """Look something up."""
    return f"found {step}"


LOOK_UP = FunctionTool.from_defaults(look_up)


def user(ask: Ask) -> ChatMessage:
    text = TextBlock(text=ask.text)
    return ChatMessage(blocks=[ImageBlock(image=PIXEL.encode()), text] if ask.image else [text])


@contextmanager
def event_loop() -> Iterator[None]:
    """Lend an event loop to LlamaIndex, whose synchronous engines make one and never close it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class LlamaIndexWay(Way):
    """Counts what reaches a LlamaIndex model."""

    model: ReadingLlamaLLM

    def build(self) -> None:
        self.model = ReadingLlamaLLM()
        self.llm = EditableLlamaLLM(llm=self.model, retriever=self.retriever)

    def read(self) -> list[str]:
        return [message.content or "" for message in self._asked()]

    def images_read(self) -> list[bool]:
        return [isinstance(message.blocks[0], ImageBlock) for message in self._asked()]

    def _asked(self) -> list[ChatMessage]:
        return [[m for m in seen if m.role == "user"][-1] for seen in self.model.seen]


class LlamaLLM(LlamaIndexWay):
    """The model itself; the caller keeps the conversation."""

    name: ClassVar[str] = "LlamaIndex LLM"

    def build(self) -> None:
        super().build()
        self.turns: dict[str, list[ChatMessage]] = {}

    def ask(self, ask: Ask, thread: str = "1") -> Told:
        turns = self._turns(ask, thread)
        while True:
            before = deepcopy(turns)
            response = (
                self.llm.chat_with_tools([LOOK_UP], chat_history=turns)
                if self.tools
                else self.llm.chat(turns)
            )
            assert turns == before
            turns.append(response.message)
            calls = self.llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
            if not calls:
                return self._told(response)
            turns += [
                ChatMessage(
                    role="tool",
                    content=str(LOOK_UP.call(**call.tool_kwargs)),
                    additional_kwargs={"tool_call_id": call.tool_id},
                )
                for call in calls
            ]

    async def aask(self, ask: Ask, thread: str = "1") -> Told:
        turns = self._turns(ask, thread)
        before = deepcopy(turns)
        response = await self.llm.achat(turns)
        assert turns == before
        turns.append(response.message)
        return self._told(response)

    def stream(self, ask: Ask) -> Told:
        responses = list(self.llm.stream_chat(self._turns(ask, "1")))
        assert len(responses) > 1
        told = self._told(responses[-1])
        assert "".join(response.delta or "" for response in responses) == told.answer
        return told

    def _turns(self, ask: Ask, thread: str) -> list[ChatMessage]:
        turns = self.turns.setdefault(thread, [])
        turns.append(user(ask))
        return turns

    @staticmethod
    def _told(response: ChatResponse) -> Told:
        edits = response.additional_kwargs["lte"]["edits"]
        return Told(response.message.content or "", edits)


class QueryEngine(LlamaIndexWay):
    """Question answering over an index; the document of a question stands there."""

    name: ClassVar[str] = "LlamaIndex query engine"
    lacks: ClassVar[frozenset[str]] = frozenset({"tools", "conversation", "image"})
    templated: ClassVar[bool] = True

    def ask(self, ask: Ask, thread: str = "1") -> Told:
        with event_loop():
            return self._told(self._engine(ask).query(ask.question))

    async def aask(self, ask: Ask, thread: str = "1") -> Told:
        return self._told(await self._engine(ask).aquery(ask.question))

    def stream(self, ask: Ask) -> Told:
        with event_loop():
            response = self._engine(ask, streaming=True).query(ask.question)
            tokens = list(response.response_gen)
        assert len(tokens) > 1
        return Told("".join(tokens), response.metadata["lte"]["edits"])

    def _engine(self, ask: Ask, *, streaming: bool = False) -> EditableQueryEngine:
        index = VectorStoreIndex.from_documents(
            [Document(text=ask.document or NEUTRAL)], embed_model=TopicNodeEmbedding()
        )
        engine = index.as_query_engine(llm=self.model, streaming=streaming)
        return EditableQueryEngine(engine, self.retriever)

    @staticmethod
    def _told(response: Any) -> Told:
        return Told(str(response), response.metadata["lte"]["edits"])


class Function(LlamaIndexWay):
    """A FunctionAgent, which keeps the conversation in its memory."""

    name: ClassVar[str] = "FunctionAgent"
    saves: ClassVar[bool] = True

    def build(self) -> None:
        super().build()
        tools = [LOOK_UP] if self.tools else []
        self.agent = FunctionAgent(tools=tools, llm=self.llm, timeout=None)
        self.memories: dict[str, ChatMemoryBuffer] = {}

    def ask(self, ask: Ask, thread: str = "1") -> Told:
        return asyncio.run(self.aask(ask, thread))

    async def aask(self, ask: Ask, thread: str = "1") -> Told:
        told, _ = await self._run(ask, thread)
        return told

    def stream(self, ask: Ask) -> Told:
        told, tokens = asyncio.run(self._run(ask, "1"))
        assert len(tokens) > 1
        return Told("".join(tokens), told.edits)

    def saved(self) -> str:
        kept = (message for memory in self.memories.values() for message in memory.get_all())
        return "\n".join(str(message.model_dump(mode="json")) for message in kept)

    async def _run(self, ask: Ask, thread: str) -> tuple[Told, Sequence[str]]:
        turn = user(ask)
        before = deepcopy(turn)
        handler = self.agent.run(turn, memory=self._memory(thread))
        tokens = [e.delta async for e in handler.stream_events() if isinstance(e, AgentStream)]
        output = await handler
        assert turn == before
        return Told(output.response.content or "", output.raw["lte"]["edits"]), tokens

    def _memory(self, thread: str) -> ChatMemoryBuffer:
        # LlamaIndex's default memory leaves a database connection open.
        return self.memories.setdefault(thread, ChatMemoryBuffer.from_defaults(token_limit=30_000))
