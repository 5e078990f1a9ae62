"""The two views of an editable model: the one that reads edits, and the one that does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import Runnable, RunnableBinding

from lte_chains.editable.editing import EditedCall
from lte_chains.errors import ConfigError

PASSED_ON = (
    "cache",
    "callbacks",
    "custom_get_token_ids",
    "disable_streaming",
    "metadata",
    "output_version",
    "rate_limiter",
    "tags",
    "verbose",
)
"""Settings of every LangChain chat model; those of the outer one are set on the inner one."""


@dataclass(frozen=True)
class Views:
    """Which model answers a call, and with which options."""

    edited: BaseChatModel
    """Answers what holds edits."""
    unedited: BaseChatModel
    """Answers everything else; may be the same."""
    edited_options: Mapping[str, Any] = field(default_factory=dict)
    """Call options that were made for the edited view, such as its provider's form of tools."""
    unedited_options: Mapping[str, Any] = field(default_factory=dict)
    """What the unedited view gets in their place."""

    @classmethod
    def around(
        cls,
        llm: BaseChatModel,
        unedited_llm: BaseChatModel | None,
        *,
        options: tuple[Mapping[str, Any], Mapping[str, Any]],
    ) -> Views:
        """Choose the unedited view: the one given, else the model's own, else the model."""
        unedited = unedited_llm if unedited_llm is not None else getattr(llm, "unedited", None)
        return cls(llm, unedited if isinstance(unedited, BaseChatModel) else llm, *options)

    def of(self, call: EditedCall, options: Mapping[str, Any]) -> tuple[BaseChatModel, Any]:
        """Return the model for a call, and the caller's options in the form it understands."""
        if call.edited or self.unedited is self.edited:
            return self.edited, options
        own = {key: value for key, value in options.items() if key not in self.edited_options}
        return self.unedited, {**own, **self.unedited_options}

    def groups(
        self, calls: Mapping[int, EditedCall], options: Mapping[str, Any]
    ) -> list[tuple[BaseChatModel, Any, list[int]]]:
        """Return each model that is needed, its options, and the positions of its calls."""
        if self.unedited is self.edited:
            split = [list(calls)]
        else:
            split = [
                [at for at, call in calls.items() if call.edited],
                [at for at, call in calls.items() if not call.edited],
            ]
        return [
            (*self.of(calls[positions[0]], options), positions) for positions in split if positions
        ]


def with_settings(model: BaseChatModel, settings: Mapping[str, Any]) -> BaseChatModel:
    """Return a copy of `model` with `settings` set; lists and mappings are joined to its own."""
    if not settings:
        return model
    update: dict[str, Any] = {}
    for name, value in settings.items():
        own = getattr(model, name)
        if isinstance(value, list) and isinstance(own, list):
            value = [*own, *value]
        elif isinstance(value, dict) and isinstance(own, dict):
            value = {**own, **value}
        update[name] = value
    copy = model.model_copy(update=update)
    copy.__dict__.pop("_serialized", None)  # computed from the settings before
    return copy


def unbind(bound: Runnable[Any, Any], model: BaseChatModel) -> tuple[BaseChatModel, dict[str, Any]]:
    """Take apart what `model.bind_tools` returned: a model, and the options bound to it.

    Raises:
        ConfigError: It is neither a chat model nor bound options of one.
    """
    if isinstance(bound, BaseChatModel):
        return bound, {}
    if isinstance(bound, RunnableBinding):
        inner, options = unbind(bound.bound, model)
        return inner, {**options, **bound.kwargs}
    raise ConfigError(
        f"{type(model).__name__}.bind_tools returned a {type(bound).__name__}; EditableLLM needs "
        "a chat model or a RunnableBinding of one, to put edits in front of it"
    )


def merge_results(
    parts: Sequence[tuple[Sequence[int], LLMResult]],
    calls: Mapping[int, EditedCall],
    model: BaseChatModel,
) -> LLMResult:
    """Put the results of both views back into the order of the calls, with provenance."""
    rows = {at: (result, row) for places, result in parts for row, at in enumerate(places)}
    ordered = [(at, *rows[at]) for at in sorted(rows)]
    return LLMResult(
        generations=[
            [_stamped(generation, calls[at]) for generation in result.generations[row]]
            for at, result, row in ordered
        ],
        llm_output=_joined_output([result for _, result in parts], model),
        run=[result.run[row] for _, result, row in ordered if result.run] or None,
    )


def _stamped(generation: Any, call: EditedCall) -> Any:
    if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
        return generation
    return generation.model_copy(update={"message": call.stamp(generation.message)})


def _joined_output(results: Sequence[LLMResult], model: BaseChatModel) -> dict[str, Any]:
    """Join the providers' own output, such as token counts, as the model itself would."""
    outputs = [result.llm_output for result in results]
    if len(outputs) == 1:
        return outputs[0] or {}
    return model._combine_llm_outputs(outputs) if outputs else {}
