"""The ways in through LangChain and LangGraph."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, ClassVar
from uuid import uuid4

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import (
    Runnable,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from lte_chains.editable_llm import EditableLLM
from lte_chains.integrations.langchain_agents import EditMemoryMiddleware
from lte_chains.messages import text_of
from tests.integrations.ways.base import PIXEL, Ask, Told, Way
from tests.integrations.ways.readers import ReadingModel


@tool
def look_up(step: int) -> str:
    """Look something up."""
    return f"found {step}"


def human(ask: Ask) -> HumanMessage:
    id_ = uuid4().hex  # LangGraph sets one where it is missing
    if not ask.image:
        return HumanMessage(ask.text, id=id_)
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    return HumanMessage([image, {"type": "text", "text": ask.text}], id=id_)


def told(answer: AIMessage, text: str | None = None) -> Told:
    return Told(answer.text if text is None else text, answer.response_metadata["lte"]["edits"])


@contextmanager
def unchanged(messages: Sequence[BaseMessage]) -> Iterator[None]:
    """Check that nobody changes the messages of a caller."""
    before = deepcopy(list(messages))
    yield
    assert list(messages) == before


class LangChainWay(Way):
    """Counts what reaches a LangChain model."""

    model: ReadingModel
    llm: EditableLLM

    def build(self) -> None:
        self.model = ReadingModel()
        self.llm = EditableLLM(llm=self.model, retriever=self.retriever)
        self.app = self.make_app()

    @abstractmethod
    def make_app(self) -> Runnable[Any, Any]:
        """Return the app."""

    def read(self) -> list[str]:
        return [text_of(message) for message in self._asked()]

    def images_read(self) -> list[bool]:
        return [
            isinstance(m.content, list) and m.content[0].get("type") == "image_url"
            for m in self._asked()
        ]

    def _asked(self) -> list[BaseMessage]:
        return [[m for m in seen if m.type == "human"][-1] for seen in self.model.seen]


class Direct(LangChainWay):
    """The model itself, against which the others are held; the caller keeps the conversation."""

    name: ClassVar[str] = "direct"

    def build(self) -> None:
        self.turns: dict[str, list[BaseMessage]] = {}
        super().build()

    def make_app(self) -> Runnable[Any, Any]:
        return self.llm.bind_tools([look_up]) if self.tools else self.llm

    def given(self, turns: Sequence[BaseMessage]) -> Any:
        """Return the app's input."""
        return turns

    def told(self, output: Any) -> tuple[AIMessage, str]:
        """Return the message in the app's output, and the text it made of it."""
        return output, output.text

    def ask(self, ask: Ask, thread: str = "1") -> Told:
        turns = self._turns(ask, thread)
        while True:
            with unchanged(turns):
                message, text = self.told(self.app.invoke(self.given(turns)))
            turns.append(message)
            if not message.tool_calls:
                return told(message, text)
            for call in message.tool_calls:
                result: ToolMessage = look_up.invoke({**call, "type": "tool_call"})
                turns.append(result)

    async def aask(self, ask: Ask, thread: str = "1") -> Told:
        turns = self._turns(ask, thread)
        with unchanged(turns):
            message, text = self.told(await self.app.ainvoke(self.given(turns)))
        turns.append(message)
        return told(message, text)

    def stream(self, ask: Ask) -> Told:
        turns = self._turns(ask, "1")
        with unchanged(turns):
            chunks = list(self.app.stream(self.given(turns)))
        assert len(chunks) > 1
        merged = chunks[0]
        for chunk in chunks[1:]:
            merged = merged + chunk
        return told(*self.told(merged))

    def batch(self, asks: Sequence[Ask]) -> list[Told]:
        turns = [human(ask) for ask in asks]
        with unchanged(turns):
            outputs = self.app.batch([self.given([turn]) for turn in turns])
        return [told(*self.told(output)) for output in outputs]

    def _turns(self, ask: Ask, thread: str) -> list[BaseMessage]:
        turns = self.turns.setdefault(thread, [])
        turns.append(human(ask))
        return turns


class LCEL(Direct):
    """prompt | model | parser, with the message kept beside the parsed text."""

    name: ClassVar[str] = "LCEL"

    def make_app(self) -> Runnable[Any, Any]:
        prompt = ChatPromptTemplate([("system", "Be brief."), MessagesPlaceholder("turns")])
        parsed = RunnableParallel(message=RunnablePassthrough(), text=StrOutputParser())
        return prompt | super().make_app() | parsed

    def given(self, turns: Sequence[BaseMessage]) -> Any:
        return {"turns": turns}

    def told(self, output: Any) -> tuple[AIMessage, str]:
        return output["message"], output["text"]


class GraphWay(LangChainWay):
    """A compiled graph with a checkpointer, which keeps the conversation."""

    saves: ClassVar[bool] = True

    def build(self) -> None:
        self.saver = InMemorySaver()
        super().build()

    def ask(self, ask: Ask, thread: str = "1") -> Told:
        turn = human(ask)
        with unchanged([turn]):
            return told(self._answer(self.app.invoke(*self._given(turn, thread)), turn))

    async def aask(self, ask: Ask, thread: str = "1") -> Told:
        turn = human(ask)
        with unchanged([turn]):
            return told(self._answer(await self.app.ainvoke(*self._given(turn, thread)), turn))

    def stream(self, ask: Ask) -> Told:
        turn, tokens, state = human(ask), [], {}
        given, config = self._given(turn, "1")
        with unchanged([turn]):
            for mode, part in self.app.stream(given, config, stream_mode=["messages", "values"]):
                if mode == "values":
                    state = part
                else:
                    tokens.append(part[0].text)
        assert len(tokens) > 1
        return told(self._answer(state, turn), "".join(tokens))

    def batch(self, asks: Sequence[Ask]) -> list[Told]:
        turns = [human(ask) for ask in asks]
        given = [self._given(turn, f"batch {at}") for at, turn in enumerate(turns)]
        with unchanged(turns):
            states = self.app.batch([each for each, _ in given], [config for _, config in given])
        pairs = zip(states, turns, strict=True)
        return [told(self._answer(state, turn)) for state, turn in pairs]

    def saved(self) -> str:
        kept = (self.saver.storage, self.saver.writes, self.saver.blobs)
        return "\n".join(_texts(kept))

    def _given(self, turn: HumanMessage, thread: str) -> tuple[Any, Any]:
        return {"messages": [turn]}, {"configurable": {"thread_id": thread}}

    @staticmethod
    def _answer(state: Mapping[str, Any], turn: HumanMessage) -> AIMessage:
        kept = [m for m in state["messages"] if m.type == "human"][-1]
        assert kept.content == turn.content
        assert not kept.additional_kwargs
        answer: AIMessage = state["messages"][-1]
        return answer

    @property
    def _tools(self) -> list[Any]:
        return [look_up] if self.tools else []


class Agent(GraphWay):
    """An agent around an `EditableLLM`."""

    name: ClassVar[str] = "agent with EditableLLM"

    def make_app(self) -> Runnable[Any, Any]:
        return create_agent(self.llm, self._tools, checkpointer=self.saver)


class AgentWithMiddleware(GraphWay):
    """An agent around any model, with the middleware."""

    name: ClassVar[str] = "agent with middleware"

    def make_app(self) -> Runnable[Any, Any]:
        middleware = [EditMemoryMiddleware(self.retriever)]
        return create_agent(self.model, self._tools, middleware=middleware, checkpointer=self.saver)


class AgentWithBoth(GraphWay):
    """An agent with both, which must not edit twice."""

    name: ClassVar[str] = "agent with both"

    def make_app(self) -> Runnable[Any, Any]:
        middleware = [EditMemoryMiddleware(self.retriever)]
        return create_agent(self.llm, self._tools, middleware=middleware, checkpointer=self.saver)


class Graph(GraphWay):
    """A graph of the user's own, around an `EditableLLM`."""

    name: ClassVar[str] = "LangGraph"

    def make_app(self) -> Runnable[Any, Any]:
        model = self.llm.bind_tools(self._tools) if self.tools else self.llm

        async def acall(state: MessagesState) -> dict[str, Any]:
            return {"messages": [await model.ainvoke(state["messages"])]}

        def call(state: MessagesState) -> dict[str, Any]:
            return {"messages": [model.invoke(state["messages"])]}

        graph = StateGraph(MessagesState)
        graph.add_node("model", RunnableLambda(call, acall))
        graph.add_edge(START, "model")
        if self.tools:
            graph.add_node("tools", ToolNode(self._tools))
            graph.add_conditional_edges("model", tools_condition)
            graph.add_edge("tools", "model")
        return graph.compile(checkpointer=self.saver)


def _texts(stored: Any) -> Iterator[str]:
    """Yield the serialised values in what a checkpointer stores."""
    if isinstance(stored, bytes):
        yield stored.decode("utf-8", errors="replace")
    elif isinstance(stored, Mapping):
        for value in stored.values():
            yield from _texts(value)
    elif isinstance(stored, tuple | list):
        for value in stored:
            yield from _texts(value)
