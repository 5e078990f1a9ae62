"""Answers the requests of retrieval's logic, blocking or without blocking the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any, Generic, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import run_in_executor

from lte_chains.arguments import holds
from lte_chains.edit import EditMatch, normalise
from lte_chains.errors import ConfigError
from lte_chains.filters import acceptance
from lte_chains.memory import EditMemory
from lte_chains.retrieval.requests import Embed, Find, Judge, Look, Request, Say, Steps
from lte_chains.retrieval.topics import is_named
from lte_chains.store.base import Vectors

T = TypeVar("T")


JudgeBatch = Callable[[Sequence[str], Sequence[Sequence[EditMatch]]], list[list[EditMatch]]]
"""Judges the candidates of several queries; one list of matches for each."""


Seen = tuple[list[EditMatch], list[EditMatch], list[EditMatch]]
"""What a `Look` is answered with: the nearest edits, the same judged, and those beyond."""


@dataclass(frozen=True)
class Driver:
    """What the steps of one retrieval, or of several at once, work on."""

    memory: EditMemory
    judge: JudgeBatch
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
        return self.run_all([steps])[0]

    async def arun(self, steps: Steps[T]) -> T:
        """Carry the steps out, as `run` does."""
        return (await self.arun_all([steps]))[0]

    def run_all(self, steps: Sequence[Steps[T]]) -> list[T]:
        """Carry several steps out side by side: what they ask at a time is answered together."""
        rounds = _Rounds(steps)
        while rounds.asked:
            rounds.answer(self._answers(list(rounds.asked.values())))
        return rounds.results

    async def arun_all(self, steps: Sequence[Steps[T]]) -> list[T]:
        """Carry several steps out, as `run_all` does."""
        rounds = _Rounds(steps)
        while rounds.asked:
            rounds.answer(await self._aanswers(list(rounds.asked.values())))
        return rounds.results

    def _answers(self, requests: Sequence[Request]) -> list[Any]:
        answers: list[Any] = [None] * len(requests)
        for kind, places in _by_kind(requests).items():
            own: list[Any] = [requests[place] for place in places]
            if kind is Embed:
                vectors = self.memory.embed_texts([t for request in own for t in request.texts])
                found: Sequence[Any] = _portions(vectors, [len(r.texts) for r in own])
            elif kind is Look:
                found = self._look(own)
            elif kind is Say:
                found = [self._llm.invoke(request.prompt).text for request in own]
            else:
                found = self._local(own)
            _put(answers, places, found)
        return answers

    async def _aanswers(self, requests: Sequence[Request]) -> list[Any]:
        answers: list[Any] = [None] * len(requests)
        for kind, places in _by_kind(requests).items():
            own: list[Any] = [requests[place] for place in places]
            if kind is Embed:
                texts = [text for request in own for text in request.texts]
                vectors = await self.memory.aembed_texts(texts)
                found: Sequence[Any] = _portions(vectors, [len(r.texts) for r in own])
            elif kind is Look:
                found = await self._alook(own)
            elif kind is Say:
                said = [self._llm.ainvoke(request.prompt) for request in own]
                found = [message.text for message in await asyncio.gather(*said)]
            else:
                found = await run_in_executor(None, self._local, own)
            _put(answers, places, found)
        return answers

    def _local(self, requests: Sequence[Find | Judge]) -> list[Any]:
        """Answer requests of one kind that need neither embedder nor chat model."""
        finds = [request for request in requests if isinstance(request, Find)]
        if finds:
            return [_facts(self._nearest(request.vectors, request.count)) for request in finds]
        judges = [request for request in requests if isinstance(request, Judge)]
        return self.judge([r.query for r in judges], [r.matches for r in judges])

    def _look(self, looks: Sequence[Look]) -> list[Seen]:
        if not self.memory.has_begun():  # there is nothing to embed a query for
            return [([], [], [])] * len(looks)
        queries = [look.query for look in looks]
        return self._looked(queries, self.memory.embed_queries(queries, ahead=_ahead(looks)))

    async def _alook(self, looks: Sequence[Look]) -> list[Seen]:
        if not await self.memory.ahas_begun():
            return [([], [], [])] * len(looks)
        queries = [look.query for look in looks]
        vectors = await self.memory.aembed_queries(queries, ahead=_ahead(looks))
        # A gate may run a model, and a store may read files.
        return await run_in_executor(None, self._looked, queries, vectors)

    def _looked(self, queries: Sequence[str], vectors: Vectors) -> list[Seen]:
        found = [self._enough(vector) for vector in vectors]
        near = [
            [*matches[: self.pool], *self._told(query, matches[: self.pool])]
            for query, matches in zip(queries, found, strict=True)
        ]
        judged = self.judge(queries, near)
        beyond = _facts([matches[self.pool :] for matches in found])
        return list(zip(near, judged, beyond, strict=True))

    def _told(self, query: str, near: Sequence[EditMatch]) -> list[EditMatch]:
        """Return the instructions about what a query names that are not among the nearest.

        How near one is says little: a question may be about anything of its subject.
        """
        known = {match.edit.id for match in near}
        passes = acceptance(self.search_kwargs.get("filter"))
        return [
            EditMatch(edit, 1.0)
            for edit in self.memory.instructions_about_subjects()
            if edit.id not in known and is_named(query, edit) and holds(edit, self.at)
            if passes(edit)
        ]

    @property
    def _llm(self) -> BaseChatModel:
        if self.llm is None:
            raise ConfigError("taking questions apart needs a chat model: set decomposer=…")
        return self.llm

    def _nearest(self, vectors: Vectors, count: int) -> list[list[EditMatch]]:
        search = self.memory.search_edits_by_vector
        return [search(vector, count, at=self.at, **self.search_kwargs) for vector in vectors]

    def _enough(self, vector: Vectors) -> list[EditMatch]:
        """Search until `pool` edits are found that do not say the same."""
        size = self.reach
        while True:
            [found] = self._nearest(vector[None], size)
            distinct = distinct_matches(found)
            if len(distinct) >= self.pool or len(found) < size:
                return distinct[: self.reach]
            size *= 2


class _Rounds(Generic[T]):
    """Steps side by side: what each asks now, and the results of those that are done."""

    def __init__(self, steps: Sequence[Steps[T]]) -> None:
        self._steps = steps
        self._done: dict[int, T] = {}
        self.asked: dict[int, Request] = {}
        self._advance(range(len(steps)), [None] * len(steps))

    @property
    def results(self) -> list[T]:
        return [self._done[place] for place in range(len(self._steps))]

    def answer(self, answers: Sequence[Any]) -> None:
        """Hand an answer to each that has asked."""
        self._advance(list(self.asked), answers)

    def _advance(self, places: Iterable[int], answers: Sequence[Any]) -> None:
        asked = {}
        for place, answer in zip(places, answers, strict=True):
            try:
                asked[place] = self._steps[place].send(answer)
            except StopIteration as done:
                self._done[place] = done.value
        self.asked = asked


def _by_kind(requests: Sequence[Request]) -> dict[type, list[int]]:
    kinds: dict[type, list[int]] = {}
    for place, request in enumerate(requests):
        kinds.setdefault(type(request), []).append(place)
    return kinds


def _ahead(looks: Sequence[Look]) -> list[str]:
    return [text for look in looks for text in look.ahead]


def _portions(vectors: Vectors, counts: Sequence[int]) -> list[Vectors]:
    ends = list(accumulate(counts))
    return [vectors[end - count : end] for end, count in zip(ends, counts, strict=True)]


def _put(answers: list[Any], places: Sequence[int], found: Sequence[Any]) -> None:
    for place, answer in zip(places, found, strict=True):
        answers[place] = answer


def _facts(found: Sequence[Sequence[EditMatch]]) -> list[list[EditMatch]]:
    """Leave instructions out: no hop leads over one."""
    return [[match for match in own if match.edit.instruction is None] for own in found]


def distinct_matches(matches: Sequence[EditMatch]) -> list[EditMatch]:
    """Keep the nearest of the matches that would be rendered as the same text."""
    first: dict[str, EditMatch] = {}
    for match in matches:
        first.setdefault(normalise(match.edit.descriptor), match)
    return list(first.values())
