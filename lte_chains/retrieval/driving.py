"""Answers the requests of retrieval's logic, blocking or without blocking the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import run_in_executor

from lte_chains.edit import EditMatch, normalise
from lte_chains.embeddings import unit_vectors
from lte_chains.errors import ConfigError
from lte_chains.memory import EditMemory
from lte_chains.retrieval.requests import Embed, Find, Judge, Look, Request, Say, Steps
from lte_chains.store.base import Vectors

T = TypeVar("T")


@dataclass(frozen=True)
class Driver:
    """What the steps of one retrieval work on."""

    memory: EditMemory
    judge: Callable[[str, Sequence[EditMatch]], list[EditMatch]]
    """The scope gate."""
    pool: int
    """How many edits are judged for a question."""
    reach: int
    """How many are looked at in all: a chain may begin at one that is not judged."""
    at: datetime
    """The moment at which edits must hold, the same for every hop."""
    search_kwargs: Mapping[str, Any]
    llm: BaseChatModel | None = None

    def run(self, steps: Steps[T]) -> T:
        """Carry the steps out and return their result."""
        try:
            request = next(steps)
            while True:
                request = steps.send(self._answer(request))
        except StopIteration as done:
            result: T = done.value
            return result

    async def arun(self, steps: Steps[T]) -> T:
        """Carry the steps out, as `run` does."""
        # next() in a coroutine would turn StopIteration into a RuntimeError.
        request, done, result = _advance(steps, None)
        while not done:
            request, done, result = _advance(steps, await self._aanswer(request))
        value: T = result
        return value

    def _answer(self, request: Request) -> Any:
        match request:
            case Embed(texts):
                vectors = self.memory.embeddings.embed_documents(list(texts))
                return unit_vectors(vectors, count=len(texts))
            case Find(vectors, count):
                return self._nearest(vectors, count)
            case Judge(query, matches):
                return self.judge(query, matches)
            case Look(query):
                found = self._enough(query)
                near = found[: self.pool]
                return near, self.judge(query, near), found[self.pool :]
            case Say(prompt):
                return self._llm.invoke(prompt).text

    async def _aanswer(self, request: Request) -> Any:
        match request:
            case Embed(texts):
                embeddings = await run_in_executor(None, lambda: self.memory.embeddings)
                vectors = await embeddings.aembed_documents(list(texts))
                return unit_vectors(vectors, count=len(texts))
            case Look(query):
                found = await self._aenough(query)
                near = found[: self.pool]
                # A gate may run a model, and judge() is synchronous.
                judged = await run_in_executor(None, self.judge, query, near)
                return near, judged, found[self.pool :]
            case Say(prompt):
                return (await self._llm.ainvoke(prompt)).text
            case _:
                return await run_in_executor(None, self._answer, request)

    @property
    def _llm(self) -> BaseChatModel:
        if self.llm is None:
            raise ConfigError("taking questions apart needs a chat model: set decomposer=…")
        return self.llm

    def _nearest(self, vectors: Vectors, count: int) -> list[list[EditMatch]]:
        search = self.memory.search_edits_by_vector
        return [search(vector, count, at=self.at, **self.search_kwargs) for vector in vectors]

    def _enough(self, query: str) -> list[EditMatch]:
        """Search until `pool` edits are found that do not say the same."""
        size = self.reach
        while True:
            found = self.memory.search_edits(query, size, at=self.at, **self.search_kwargs)
            distinct = distinct_matches(found)
            if len(distinct) >= self.pool or len(found) < size:
                return distinct[: self.reach]
            size *= 2

    async def _aenough(self, query: str) -> list[EditMatch]:
        size = self.reach
        while True:
            found = await self.memory.asearch_edits(query, size, at=self.at, **self.search_kwargs)
            distinct = distinct_matches(found)
            if len(distinct) >= self.pool or len(found) < size:
                return distinct[: self.reach]
            size *= 2


def distinct_matches(matches: Sequence[EditMatch]) -> list[EditMatch]:
    """Keep the nearest of the matches that would be rendered as the same text."""
    first: dict[str, EditMatch] = {}
    for match in matches:
        first.setdefault(normalise(match.edit.descriptor), match)
    return list(first.values())


def _advance(steps: Steps[Any], answer: Any) -> tuple[Any, bool, Any]:
    try:
        return steps.send(answer), False, None
    except StopIteration as done:
        return None, True, done.value
