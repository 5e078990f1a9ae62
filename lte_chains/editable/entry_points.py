"""The public entry points of a chat model, each of which edits first and then asks.

They are overridden, not `_generate`: the inner model's own `invoke`, `stream`
and so on are called with the edited messages, once. So its cache, callbacks,
streaming and usage work as they do without us, on what it really reads, and no
run or token is counted twice. Search and answer are runs under one parent: the
caller's, or else a chain run opened here. `async_entry_points` has the other half.
"""

# ruff: noqa: A002  # `input` is LangChain's name for the argument
from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from langchain_core.callbacks import BaseCallbackManager, CallbackManagerForLLMRun, Callbacks
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatResult, LLMResult
from langchain_core.runnables import RunnableConfig, ensure_config, patch_config
from langchain_core.runnables.config import (
    get_callback_manager_for_config,
    get_config_list,
)

from lte_chains.editable.editing import CallEditor, EditedCall
from lte_chains.editable.event_streams import Event, relay
from lte_chains.editable.views import Views, merge_results

_Answer = TypeVar("_Answer")


class EntryPoints(BaseChatModel):
    """A chat model whose every call is planned by a `CallEditor` and answered by a view."""

    @property
    @abstractmethod
    def _editor(self) -> CallEditor:
        """Finds the edits for a call and puts them in."""

    @property
    @abstractmethod
    def _views(self) -> Views:
        """The models that answer."""

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answer one input; see LangChain's `invoke`."""

        def answer(given: LanguageModelInput, config: RunnableConfig) -> AIMessage:
            call = self._plan(given, config)
            model, options = self._views.of(call, kwargs)
            return call.stamp(model.invoke(call.input, config, stop=stop, **options))

        config = ensure_config(config)
        if has_parent(config):
            return answer(input, config)
        return self._traced(answer, input, config)

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Stream one answer; its provenance is on the first chunk. See LangChain's `stream`."""

        def answer(
            inputs: Iterator[LanguageModelInput], config: RunnableConfig
        ) -> Iterator[AIMessageChunk]:
            call = self._plan(next(inputs), config)
            model, options = self._views.of(call, kwargs)
            chunks: Iterator[Any] = model.stream(call.input, config, stop=stop, **options)
            for number, chunk in enumerate(chunks):
                # On one chunk only: merging chunks would double it.
                yield chunk if number else call.stamp(chunk)

        config = ensure_config(config)
        if has_parent(config):
            yield from answer(iter([input]), config)
        else:
            traced: Any = self._transform_stream_with_config
            yield from traced(iter([input]), answer, config)

    def stream_events(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        version: str = "v2",
        **kwargs: Any,
    ) -> Any:
        """Stream events; in the protocol "v3" the closing event carries the provenance."""
        if version != "v3":
            others: Any = super().stream_events
            return others(input, config, version=version, **kwargs)
        now = ensure_config(config)
        return relay(lambda: self._protocol_events(input, now, kwargs))

    def _protocol_events(
        self, input: LanguageModelInput, config: RunnableConfig, kwargs: Mapping[str, Any]
    ) -> Iterator[Event]:
        run = None
        if not has_parent(config):
            run = get_callback_manager_for_config(config).on_chain_start(
                None,
                {"input": input},
                name=config.get("run_name") or self.get_name(),
                run_id=config.pop("run_id", None),
            )
            config = patch_config(config, callbacks=run.get_child())
        try:
            call = self._plan(input, config)
            model, options = self._views.of(call, kwargs)
            stream = model.stream_events(call.input, config, version="v3", **options)
            for event in stream:
                last = event["event"] == "message-finish"
                if last and run is not None:
                    # Before the last event is read: afterwards nobody asks for more.
                    run.on_chain_end(call.stamp(stream.output))
                    run = None
                yield call.stamp_event(event) if last else event
        except BaseException as error:
            if run is not None:
                run.on_chain_error(error)
            raise

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answer several inputs, each view its own in one batch; see LangChain's `batch`."""

        def answer(inputs: list[LanguageModelInput], config: list[RunnableConfig]) -> list[Any]:
            outputs = self._plan_all(inputs, config, keep_errors=return_exceptions)
            calls = planned(outputs)
            for model, options, positions in self._views.groups(calls, kwargs):
                answers = model.batch(
                    [calls[at].input for at in positions],
                    [config[at] for at in positions],
                    return_exceptions=return_exceptions,
                    **options,
                )
                put_in_place(outputs, answers, calls, positions)
            return outputs

        configs = get_config_list(config, len(inputs))
        if all(map(has_parent, configs)):
            return answer(inputs, configs)
        traced: Any = self._batch_with_config
        return list(traced(answer, inputs, configs, return_exceptions=return_exceptions))

    def generate(
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
        """Answer several conversations, each view its own; see LangChain's `generate`."""

        def answer(lists: list[list[BaseMessage]], config: RunnableConfig) -> LLMResult:
            calls = planned(self._plan_all(lists, [config] * len(lists)))
            parts = []
            for model, options, positions in self._views.groups(calls, kwargs):
                sent = [calls[at].input for at in positions]
                run = run_arguments(config, first=0 in positions)
                parts.append((positions, model.generate(sent, stop, **run, **options)))
            return merge_results(parts, calls, self._views.edited)

        config = config_of(callbacks, tags, metadata, run_name, run_id)
        if has_parent(config):
            return answer(messages, config)
        return self._traced(answer, messages, config)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        """Answer one conversation; LangChain asks for this method, but nothing of it calls it."""
        result = self.generate([messages], stop, **kwargs)
        return ChatResult(generations=result.generations[0], llm_output=result.llm_output)

    def _traced(
        self, answer: Callable[..., _Answer], given: Any, config: RunnableConfig
    ) -> _Answer:
        """Call `answer` below a chain run; LangChain types this for the model's own input only."""
        call: Any = self._call_with_config
        answered: _Answer = call(answer, given, config)
        return answered

    def _plan(self, given: LanguageModelInput, config: RunnableConfig) -> EditedCall:
        return self._editor.plan(given, self._convert_input(given).to_messages(), config)

    def _plan_all(
        self,
        inputs: Sequence[LanguageModelInput],
        configs: Sequence[RunnableConfig],
        *,
        keep_errors: bool = False,
    ) -> list[Any]:
        """Plan every input; with `keep_errors` an error takes the place of its plan."""
        try:
            messages = [self._convert_input(given).to_messages() for given in inputs]
            return list(self._editor.plan_all(inputs, messages, configs))
        except Exception:
            if not keep_errors:
                raise

        def plan(given: LanguageModelInput, config: RunnableConfig) -> EditedCall | Exception:
            try:
                return self._plan(given, config)
            except Exception as error:  # noqa: BLE001  # handed to the caller in its place
                return error

        return list(map(plan, inputs, configs))  # one by one, to see whose error it is


def has_parent(config: RunnableConfig) -> bool:
    """Tell whether the run to come has a parent run, under which everything is traced."""
    callbacks = config.get("callbacks")
    return isinstance(callbacks, BaseCallbackManager) and callbacks.parent_run_id is not None


def planned(outputs: Sequence[object]) -> dict[int, EditedCall]:
    """Return the plans among `outputs`, by position; the others are errors."""
    return {at: call for at, call in enumerate(outputs) if isinstance(call, EditedCall)}


def put_in_place(
    outputs: list[Any],
    answers: Sequence[AIMessage | BaseException],
    calls: Mapping[int, EditedCall],
    positions: Sequence[int],
) -> None:
    """Put one view's answers, or errors, where their plans stand in `outputs`."""
    for at, answer in zip(positions, answers, strict=True):
        outputs[at] = calls[at].stamp(answer) if isinstance(answer, AIMessage) else answer


def config_of(
    callbacks: Callbacks,
    tags: list[str] | None,
    metadata: dict[str, Any] | None,
    run_name: str | None,
    run_id: uuid.UUID | None,
) -> RunnableConfig:
    """Return `generate`'s loose arguments as a config, the surrounding run's options included."""
    given = {
        "callbacks": callbacks,
        "tags": tags,
        "metadata": metadata,
        "run_name": run_name,
        "run_id": run_id,
    }
    return ensure_config(RunnableConfig(**{k: v for k, v in given.items() if v is not None}))  # type: ignore[typeddict-item]  # the keys are its own


def run_arguments(config: RunnableConfig, *, first: bool) -> dict[str, Any]:
    """Return a config as `generate`'s loose arguments; a run id is for the first run only."""
    names = ("callbacks", "tags", "metadata", "run_name", *(("run_id",) if first else ()))
    return {name: config.get(name) for name in names}
