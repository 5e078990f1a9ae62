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

    @property
    def asked(self) -> str:
        """The queries as one text, a reading a line."""
        return "\n".join(self.queries)


@dataclass(frozen=True)
class _Group:
    """Searches of one namespace about one moment, which are made together."""

    searches: dict[int, _Search]
    """By the position of their conversation; each has a query at least."""

    def retrieve(self) -> list[list[EditMatch]]:
        """Return what each search found, all of its queries together."""
        first, queries = next(iter(self.searches.values())), self._queries
        if len(queries) == 1:
            return [first.retriever.retrieve(queries[0], at=first.at)]
        return self._merged(first.retriever.retrieve_batch(queries, at=first.at))

    async def aretrieve(self) -> list[list[EditMatch]]:
        """Return what each search found, as `retrieve` does."""
        first, queries = next(iter(self.searches.values())), self._queries
        if len(queries) == 1:
            return [await first.retriever.aretrieve(queries[0], at=first.at)]
        return self._merged(await first.retriever.aretrieve_batch(queries, at=first.at))

    @property
    def _queries(self) -> list[str]:
        return [query for search in self.searches.values() for query in search.queries]

    def _merged(self, found: Sequence[list[EditMatch]]) -> list[list[EditMatch]]:
        each = iter(found)
        return [
            search.retriever.merged([next(each) for _ in search.queries])
            for search in self.searches.values()
        ]


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
        found: dict[int, list[EditMatch]] = {}
        for group in _groups(searches):
            runs = [_start(search, configs[place]) for place, search in group.searches.items()]
            try:
                matches = group.retrieve()
            except BaseException as error:
                for run in runs:
                    run.on_retriever_error(error)
                raise
            for run, place, own in zip(runs, group.searches, matches, strict=True):
                run.on_retriever_end([as_document(match) for match in own])
                found[place] = own
        matched = [found.get(place, []) for place in range(len(searches))]
        return list(map(self._finish, given, messages, searches, matched))

    async def aplan_all(
        self,
        given: Sequence[Any],
        messages: Sequence[Sequence[BaseMessage]],
        configs: Sequence[RunnableConfig],
    ) -> list[EditedCall]:
        """Return what to send in place of each of several inputs, as `plan_all` does."""
        # The memory's revision and other namespaces are read from its store.
        searches = await run_in_executor(None, lambda: list(map(self._prepare, messages, configs)))
        found: dict[int, list[EditMatch]] = {}
        for group in _groups(searches):
            starting = (_astart(each, configs[place]) for place, each in group.searches.items())
            runs = await asyncio.gather(*starting)
            try:
                matches = await group.aretrieve()
            except BaseException as error:
                for run in runs:
                    await run.on_retriever_error(error)
                raise
            for run, place, own in zip(runs, group.searches, matches, strict=True):
                await run.on_retriever_end([as_document(match) for match in own])
                found[place] = own
        matched = [found.get(place, []) for place in range(len(searches))]
        return list(map(self._finish, given, messages, searches, matched))

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
        matches: Sequence[EditMatch],
    ) -> EditedCall:
        edits = search.already_edited
        if edits is None:
            sent = apply_edits(messages, matches, style=self.prompt_style)
            position = last_human(sent)
            edits = None if position is None else edited_by(sent[position])
            given = given if edits is None else sent
        provenance = {"edits": edits or [], "revision": search.revision}
        return EditedCall(input=given, edited=edits is not None, provenance=provenance)


def _groups(searches: Sequence[_Search]) -> list[_Group]:
    """Return the searches that have queries, those together of one namespace and one moment."""
    groups: dict[tuple[str, datetime | None], _Group] = {}
    for place, search in enumerate(searches):
        if search.queries:
            key = (search.retriever.memory.namespace, search.at)
            groups.setdefault(key, _Group({})).searches[place] = search
    return list(groups.values())


def _start(search: _Search, config: RunnableConfig) -> CallbackManagerForRetrieverRun:
    """Begin one retriever run for all readings of a question, which the caller's callbacks see."""
    manager = CallbackManager.configure(**_callbacks_for(search.retriever, config))
    return manager.on_retriever_start(None, search.asked, name=search.retriever.get_name())


async def _astart(search: _Search, config: RunnableConfig) -> AsyncCallbackManagerForRetrieverRun:
    manager = AsyncCallbackManager.configure(**_callbacks_for(search.retriever, config))
    return await manager.on_retriever_start(None, search.asked, name=search.retriever.get_name())


def _callbacks_for(retriever: EditRetriever, config: RunnableConfig) -> dict[str, Any]:
    return {
        "inheritable_callbacks": config.get("callbacks"),
        "inheritable_tags": config.get("tags"),
        "local_tags": retriever.tags,
        "inheritable_metadata": config.get("metadata"),
        "local_metadata": retriever.metadata,
    }
