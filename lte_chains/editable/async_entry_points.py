"""The asynchronous half of `entry_points`: the same steps, awaited."""

# ruff: noqa: A002  # `input` is LangChain's name for the argument
from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, Callbacks
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatResult, LLMResult
from langchain_core.runnables import RunnableConfig, ensure_config, patch_config
from langchain_core.runnables.config import (
    get_async_callback_manager_for_config,
    get_config_list,
)

from lte_chains.editable.editing import EditedCall
from lte_chains.editable.entry_points import (
    EntryPoints,
    config_of,
    has_parent,
    planned,
    put_in_place,
    run_arguments,
)
from lte_chains.editable.event_streams import AsyncRelay, Event
from lte_chains.editable.views import merge_results

_Answer = TypeVar("_Answer")


class AsyncEntryPoints(EntryPoints):
    """Adds the asynchronous entry points."""

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answer one input; see LangChain's `ainvoke`."""

        async def answer(given: LanguageModelInput, config: RunnableConfig) -> AIMessage:
            call = await self._aplan(given, config)
            model, options = self._views.of(call, kwargs)
            return call.stamp(await model.ainvoke(call.input, config, stop=stop, **options))

        config = ensure_config(config)
        if has_parent(config):
            return await answer(input, config)
        return await self._atraced(answer, input, config)

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Stream one answer; its provenance is on the first chunk. See LangChain's `astream`."""

        async def answer(
            inputs: AsyncIterator[LanguageModelInput], config: RunnableConfig
        ) -> AsyncIterator[AIMessageChunk]:
            call = await self._aplan(await anext(inputs), config)
            model, options = self._views.of(call, kwargs)
            chunks: AsyncIterator[Any] = model.astream(call.input, config, stop=stop, **options)
            first = True
            async for chunk in chunks:
                # On one chunk only: merging chunks would double it.
                yield call.stamp(chunk) if first else chunk
                first = False

        async def given() -> AsyncIterator[LanguageModelInput]:
            yield input

        config = ensure_config(config)
        traced: Any = self._atransform_stream_with_config
        direct = has_parent(config)
        async for chunk in answer(given(), config) if direct else traced(given(), answer, config):
            yield chunk

    def astream_events(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        version: str = "v2",
        **kwargs: Any,
    ) -> Any:
        """Stream events; in the protocol "v3" the closing event carries the provenance."""
        if version != "v3":
            others: Any = super().astream_events
            return others(input, config, version=version, **kwargs)
        return self._protocol_stream(input, ensure_config(config), kwargs)

    async def _protocol_stream(
        self, input: LanguageModelInput, config: RunnableConfig, kwargs: Mapping[str, Any]
    ) -> AsyncRelay:
        return AsyncRelay(lambda: self._aprotocol_events(input, config, kwargs))

    async def _aprotocol_events(
        self, input: LanguageModelInput, config: RunnableConfig, kwargs: Mapping[str, Any]
    ) -> AsyncIterator[Event]:
        run = None
        if not has_parent(config):
            run = await get_async_callback_manager_for_config(config).on_chain_start(
                None,
                {"input": input},
                name=config.get("run_name") or self.get_name(),
                run_id=config.pop("run_id", None),
            )
            config = patch_config(config, callbacks=run.get_child())
        try:
            call = await self._aplan(input, config)
            model, options = self._views.of(call, kwargs)
            stream = await model.astream_events(call.input, config, version="v3", **options)
            async with stream:
                async for event in stream:
                    last = event["event"] == "message-finish"
                    if last and run is not None:
                        # Before the last event is read: afterwards nobody asks for more.
                        await run.on_chain_end(call.stamp(await stream))
                        run = None
                    yield call.stamp_event(event) if last else event
        except BaseException as error:
            if run is not None:
                await run.on_chain_error(error)
            raise

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answer several inputs, each view its own in one batch; see LangChain's `abatch`."""

        async def answer(
            inputs: list[LanguageModelInput], config: list[RunnableConfig]
        ) -> list[Any]:
            outputs = await self._aplan_all(inputs, config, keep_errors=return_exceptions)
            calls = planned(outputs)
            groups = self._views.groups(calls, kwargs)
            asked = [
                model.abatch(
                    [calls[at].input for at in positions],
                    [config[at] for at in positions],
                    return_exceptions=return_exceptions,
                    **options,
                )
                for model, options, positions in groups
            ]
            for group, answers in zip(groups, await asyncio.gather(*asked), strict=True):
                put_in_place(outputs, answers, calls, group[2])
            return outputs

        configs = get_config_list(config, len(inputs))
        if all(map(has_parent, configs)):
            return await answer(inputs, configs)
        traced: Any = self._abatch_with_config
        return list(await traced(answer, inputs, configs, return_exceptions=return_exceptions))

    async def agenerate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Callbacks = None,
        *,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        run_name: str | None = None,
        run_id: uuid.UUID | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Answer several conversations, each view its own; see LangChain's `agenerate`."""

        async def answer(lists: list[list[BaseMessage]], config: RunnableConfig) -> LLMResult:
            calls = planned(await self._aplan_all(lists, [config] * len(lists)))
            groups = self._views.groups(calls, kwargs)
            asked = []
            for model, options, positions in groups:
                sent = [calls[at].input for at in positions]
                run = run_arguments(config, first=0 in positions)
                asked.append(model.agenerate(sent, stop, **run, **options))
            results = await asyncio.gather(*asked)
            parts = [(group[2], result) for group, result in zip(groups, results, strict=True)]
            return merge_results(parts, calls, self._views.edited)

        config = config_of(callbacks, tags, metadata, run_name, run_id)
        if has_parent(config):
            return await answer(messages, config)
        return await self._atraced(answer, messages, config)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        """Answer one conversation; LangChain asks for this method, but nothing of it calls it."""
        result = await self.agenerate([messages], stop, **kwargs)
        return ChatResult(generations=result.generations[0], llm_output=result.llm_output)

    async def _atraced(
        self, answer: Callable[..., Awaitable[_Answer]], given: Any, config: RunnableConfig
    ) -> _Answer:
        """Call `answer` below a chain run; LangChain types this for the model's own input only."""
        call: Any = self._acall_with_config
        answered: _Answer = await call(answer, given, config)
        return answered

    async def _aplan(self, given: LanguageModelInput, config: RunnableConfig) -> EditedCall:
        return await self._editor.aplan(given, self._convert_input(given).to_messages(), config)

    async def _aplan_all(
        self,
        inputs: Sequence[LanguageModelInput],
        configs: Sequence[RunnableConfig],
        *,
        keep_errors: bool = False,
    ) -> list[Any]:
        """Plan every input; with `keep_errors` an error takes the place of its plan."""
        try:
            messages = [self._convert_input(given).to_messages() for given in inputs]
            return list(await self._editor.aplan_all(inputs, messages, configs))
        except Exception:
            if not keep_errors:
                raise

        async def plan(given: LanguageModelInput, config: RunnableConfig) -> EditedCall | Exception:
            try:
                return await self._aplan(given, config)
            except Exception as error:  # noqa: BLE001  # handed to the caller in its place
                return error

        return await asyncio.gather(*map(plan, inputs, configs))
