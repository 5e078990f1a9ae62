"""EditableLlamaLLM: any LlamaIndex LLM, with the right edits put before every question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, LLMMetadata
from llama_index.core.llms.llm import LLM
from pydantic import Field, InstanceOf, ValidationError

from lte_chains.editable.editing import CallEditor
from lte_chains.errors import ConfigError
from lte_chains.integrations.llama_index.tool_calls import ToolCallingEntryPoints
from lte_chains.prompts import PromptStyle
from lte_chains.retriever import EditRetriever

ChatQueryExtractor = Callable[[Sequence[ChatMessage]], str | Sequence[str]]
"""Finds what is asked in a conversation; of several texts, an edit's best score wins."""

_PASSED_ON = ("callback_manager", "rate_limiter")
"""Settings that take effect in the wrapped models."""
_TAKEN_OVER = (
    "callback_manager",
    "completion_to_prompt",
    "messages_to_prompt",
    "output_parser",
    "pydantic_program_mode",
    "query_wrapper_prompt",
    "rate_limiter",
    "system_prompt",
)
"""Settings that LlamaIndex reads from the outer model; the wrapped one's hold unless given."""


class EditableLlamaLLM(ToolCallingEntryPoints):
    """A LlamaIndex LLM that applies the edits of a memory, and otherwise is the one it wraps.

    Before each call the question is looked up in the memory. If edits are in
    scope, the model reads them in front of the last user message, which is
    edited in a copy; if not, it gets exactly what the caller sent.

    Instantiate:
        `EditableLlamaLLM(llm=model, retriever=memory.as_retriever(k=3))` around
        any LLM. Tool calling works if that model is a `FunctionCallingLLM`;
        `metadata` is that model's. `callback_manager` and `rate_limiter` are
        set on the wrapped models, also when LlamaIndex sets them later.

    Use:
        Wherever LlamaIndex takes an LLM. Responses say in
        `additional_kwargs["lte"]` which edits were used, and in `raw["lte"]`
        (agents pass only that on) unless `raw` is an object of a fixed shape.
        In a query engine, use `EditableQueryEngine`, with or without this.

    Async:
        `achat`, `acomplete`, `astream_chat`, `astream_complete` and the rest.

    Call options:
        ``lte_query`` is the text to search edits with; ``lte_at`` is the moment
        at which they must hold; ``lte_namespace`` is whose edits to use, and is
        refused unless `namespace_from_config` allows it.

    Raises:
        ConfigError: An argument is not of the right kind.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from llama_index.core.llms import MockLLM
        >>> from lte_chains import Edit, EditMemory
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> ids = memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> llm = EditableLlamaLLM(llm=MockLLM(), retriever=memory.as_retriever())
        >>> answer = llm.complete("The CEO of Acme is")  # MockLLM answers with what it reads
        >>> "The CEO of Acme is Jane Doe" in answer.text
        True
        >>> [edit["id"] for edit in answer.additional_kwargs["lte"]["edits"]] == ids
        True
    """

    llm: InstanceOf[LLM]
    """The model that answers."""
    retriever: InstanceOf[EditRetriever] = Field(exclude=True)
    """Finds the edits that are in scope."""
    unedited_llm: InstanceOf[LLM] | None = None
    """Answers when no edit is in scope; `llm`, if None."""
    namespace_from_config: bool = False
    """Whether a call may choose the namespace by ``lte_namespace``. A call that chooses none
    gets the retriever's own, so for tenants let that one be empty."""
    query_extractor: ChatQueryExtractor | None = Field(default=None, exclude=True)
    """Finds the text to search edits with; by default `lte_chains.editable.query` does."""
    prompt_style: PromptStyle = "training"
    """Wording of the knowledge-editing prompt."""

    def __init__(self, **fields: Any) -> None:
        """Check the arguments, and take over the settings of the wrapped model."""
        inner = fields.get("llm")
        if isinstance(inner, EditableLlamaLLM):
            raise ConfigError("llm is an EditableLlamaLLM already: wrap the model inside it once")
        if isinstance(inner, LLM):
            fields = {**{name: getattr(inner, name) for name in _TAKEN_OVER}, **fields}
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(f"EditableLlamaLLM cannot be built: {error}") from error
        for name in _PASSED_ON:
            setattr(self, name, getattr(self, name))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; LlamaIndex hands a model its callbacks in this way."""
        super().__setattr__(name, value)
        if name in _PASSED_ON:
            for model in self._models():
                setattr(model, name, value)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex serialises it."""
        return "EditableLlamaLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The wrapped model's: whether it chats and calls tools, and how much it reads."""
        return self.llm.metadata

    def _models(self) -> Iterator[LLM]:
        yield self.llm
        if self.unedited_llm is not None:
            yield self.unedited_llm

    def _view(self, *, edited: bool) -> LLM:
        return self.llm if edited or self.unedited_llm is None else self.unedited_llm

    def _editor(self, messages: Sequence[ChatMessage]) -> CallEditor:
        extract = self.query_extractor
        return CallEditor(
            retriever=self.retriever,
            query_extractor=None if extract is None else lambda _: extract(messages),
            prompt_style=self.prompt_style,
            namespace_from_config=self.namespace_from_config,
        )
