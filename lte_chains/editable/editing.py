"""What one call of an `EditableLLM` sends: which edits, which messages, which view."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForRetrieverRun,
    CallbackManager,
    CallbackManagerForRetrieverRun,
)
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig, run_in_executor

from lte_chains.edit import EditMatch
from lte_chains.editable.event_streams import Event
from lte_chains.editable.query import default_queries
from lte_chains.errors import ConfigError
from lte_chains.messages import LTE_KEY, apply_edits, edited_by, last_human
from lte_chains.prompts import PromptStyle
from lte_chains.retriever import EditRetriever, as_document
from lte_chains.run_options import RunOptions

QueryExtractor = Callable[[Sequence[BaseMessage]], str | Sequence[str]]
"""Finds what is asked in a conversation; of several texts, an edit's best score wins."""

Message = TypeVar("Message", bound=AIMessage)


@dataclass(frozen=True)
class EditedCall:
    """One conversation, ready to be sent."""

    input: Any
    """What the model gets: the caller's own input, if no edit is in scope."""
    edited: bool
    """Whether it holds edits, and so whether the edited view answers."""
    provenance: dict[str, Any]
    """Which edits, and of which revision of the memory; JSON values."""

    def stamp(self, message: Message) -> Message:
        """Return the answer with the provenance in its metadata; the original may be cached."""
        metadata = {**message.response_metadata, LTE_KEY: deepcopy(self.provenance)}
        return message.model_copy(update={"response_metadata": metadata})

    def stamp_event(self, event: Event) -> Event:
        """Return the closing event of an answer with the provenance in its metadata."""
        metadata = {**(event.get("metadata") or {}), LTE_KEY: deepcopy(self.provenance)}
        return {**event, "metadata": metadata}


@dataclass(frozen=True)
class _Search:
    retriever: EditRetriever
    queries: Sequence[str]
    at: datetime | None
    revision: int
    already_edited: list[dict[str, Any]] | None


@dataclass(frozen=True)
class _Group:
    retriever: EditRetriever
    at: datetime | None
    asked: list[tuple[int, str]]
    """The position of a search, and a query of it."""

    def retrieve(self) -> list[list[EditMatch]]:
        queries = [query for _, query in self.asked]
        if len(queries) == 1:
            return [self.retriever.retrieve(queries[0], at=self.at)]
        return self.retriever.retrieve_batch(queries, at=self.at)

    async def aretrieve(self) -> list[list[EditMatch]]:
        queries = [query for _, query in self.asked]
        if len(queries) == 1:
            return [await self.retriever.aretrieve(queries[0], at=self.at)]
        return await self.retriever.aretrieve_batch(queries, at=self.at)


@dataclass(frozen=True)
class CallEditor:
    """Finds the edits for a conversation and puts them in."""

    retriever: EditRetriever
    query_extractor: QueryExtractor | None
    prompt_style: PromptStyle
    namespace_from_config: bool

    def plan(
        self, given: Any, messages: Sequence[BaseMessage], config: RunnableConfig
    ) -> EditedCall:
        """Return what to send in place of `given`, whose messages are `messages`.

        Args:
            given: The caller's input, in any form that a chat model takes.
            messages: The same as messages.
            config: Its callbacks see the search; its configurable is read.

        Raises:
            ConfigError: The run's options cannot be honoured.
        """
        return self.plan_all([given], [messages], [config])[0]

    async def aplan(
        self, given: Any, messages: Sequence[BaseMessage], config: RunnableConfig
    ) -> EditedCall:
        """Return what to send in place of `given`, as `plan` does."""
        return (await self.aplan_all([given], [messages], [config]))[0]

    def plan_all(
        self,
        given: Sequence[Any],
        messages: Sequence[Sequence[BaseMessage]],
        configs: Sequence[RunnableConfig],
    ) -> list[EditedCall]:
        """Return what to send in place of each of several inputs, which are searched together.

        Raises:
            ConfigError: As `plan` does, for any of them.
        """
        searches = list(map(self._prepare, messages, configs))
        found: list[list[list[EditMatch]]] = [[] for _ in searches]
        for group in _groups(searches):
            runs = [_start(searches[place], query, configs[place]) for place, query in group.asked]
            try:
                matches = group.retrieve()
            except BaseException as error:
                for run in runs:
                    run.on_retriever_error(error)
                raise
            for run, (place, _), own in zip(runs, group.asked, matches, strict=True):
                run.on_retriever_end([as_document(match) for match in own])
                found[place].append(own)
        return list(map(self._finish, given, messages, searches, found))

    async def aplan_all(
        self,
        given: Sequence[Any],
        messages: Sequence[Sequence[BaseMessage]],
        configs: Sequence[RunnableConfig],
    ) -> list[EditedCall]:
        """Return what to send in place of each of several inputs, as `plan_all` does."""
        # The memory's revision and other namespaces are read from its store.
        searches = await run_in_executor(None, lambda: list(map(self._prepare, messages, configs)))
        found: list[list[list[EditMatch]]] = [[] for _ in searches]
        for group in _groups(searches):
            starting = (_astart(searches[p], query, configs[p]) for p, query in group.asked)
            runs = await asyncio.gather(*starting)
            try:
                matches = await group.aretrieve()
            except BaseException as error:
                for run in runs:
                    await run.on_retriever_error(error)
                raise
            for run, (place, _), own in zip(runs, group.asked, matches, strict=True):
                await run.on_retriever_end([as_document(match) for match in own])
                found[place].append(own)
        return list(map(self._finish, given, messages, searches, found))

    def _prepare(self, messages: Sequence[BaseMessage], config: RunnableConfig) -> _Search:
        options = RunOptions.from_config(config)
        retriever = self._retriever_for(options)
        position = last_human(messages)
        already = None if position is None else edited_by(messages[position])
        if position is None or already is not None:
            queries: Sequence[str] = ()
        elif options.query is not None:
            queries = (options.query,)
        else:
            queries = self._queries_in(messages)
        # Read before searching: whatever this revision holds, the search saw.
        return _Search(retriever, queries, options.at, retriever.memory.revision, already)

    def _retriever_for(self, options: RunOptions) -> EditRetriever:
        own = self.retriever.memory.namespace
        chosen = options.chosen_namespace(
            "EditableLLM", serving=own, allowed=self.namespace_from_config
        )
        return self.retriever if chosen is None else self.retriever.in_namespace(chosen)

    def _queries_in(self, messages: Sequence[BaseMessage]) -> list[str]:
        extract = self.query_extractor or default_queries
        found: Any = extract(messages)  # the caller's function: checked below
        queries = [found] if isinstance(found, str) else found
        if not isinstance(queries, Sequence) or not all(isinstance(q, str) for q in queries):
            raise ConfigError(f"query_extractor must return text, not {found!r}")
        return [query for query in queries if query.strip()]

    def _finish(
        self,
        given: Any,
        messages: Sequence[BaseMessage],
        search: _Search,
        found: Sequence[Sequence[EditMatch]],
    ) -> EditedCall:
        edits = search.already_edited
        if edits is None:
            matches = search.retriever.merged(found)
            sent = apply_edits(messages, matches, style=self.prompt_style)
            position = last_human(sent)
            edits = None if position is None else edited_by(sent[position])
            given = given if edits is None else sent
        provenance = {"edits": edits or [], "revision": search.revision}
        return EditedCall(input=given, edited=edits is not None, provenance=provenance)


def _groups(searches: Sequence[_Search]) -> list[_Group]:
    """Return the queries, those together that ask one namespace about one moment."""
    groups: dict[tuple[str, datetime | None], _Group] = {}
    for place, search in enumerate(searches):
        key = (search.retriever.memory.namespace, search.at)
        group = groups.setdefault(key, _Group(search.retriever, search.at, []))
        group.asked.extend((place, query) for query in search.queries)
    return [group for group in groups.values() if group.asked]


def _start(search: _Search, query: str, config: RunnableConfig) -> CallbackManagerForRetrieverRun:
    """Begin a retriever run of its own, which the caller's callbacks see."""
    manager = CallbackManager.configure(**_callbacks_for(search.retriever, config))
    return manager.on_retriever_start(None, query, name=search.retriever.get_name())


async def _astart(
    search: _Search, query: str, config: RunnableConfig
) -> AsyncCallbackManagerForRetrieverRun:
    manager = AsyncCallbackManager.configure(**_callbacks_for(search.retriever, config))
    return await manager.on_retriever_start(None, query, name=search.retriever.get_name())


def _callbacks_for(retriever: EditRetriever, config: RunnableConfig) -> dict[str, Any]:
    return {
        "inheritable_callbacks": config.get("callbacks"),
        "inheritable_tags": config.get("tags"),
        "local_tags": retriever.tags,
        "inheritable_metadata": config.get("metadata"),
        "local_metadata": retriever.metadata,
    }
