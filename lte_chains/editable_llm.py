"""EditableLLM: any chat model, with the right edits put before every question."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import (
    BaseChatModel,
    LangSmithParams,
    LanguageModelInput,
    ModelProfile,
)
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import BaseModel, Field, InstanceOf, PrivateAttr, ValidationError

from lte_chains.editable.async_entry_points import AsyncEntryPoints
from lte_chains.editable.editing import CallEditor, QueryExtractor
from lte_chains.editable.structured import edited_first
from lte_chains.editable.views import PASSED_ON, Views, unbind, with_settings
from lte_chains.errors import ConfigError
from lte_chains.prompts import PromptStyle
from lte_chains.retriever import EditRetriever

_log = logging.getLogger(__name__)


class EditableLLM(AsyncEntryPoints):
    """A chat model that applies the edits of a memory, and otherwise is the model it wraps.

    Before each call the question is looked up in the memory. If edits are in
    scope, the model reads them in front of the last human message; if not, it
    gets exactly what the caller sent, and its unedited view answers.

    Instantiate:
        `EditableLLM(llm=model, retriever=memory.as_retriever(k=3))` around any
        chat model. Set temperature and the like on that model; what every
        LangChain chat model has (`cache`, `callbacks`, `rate_limiter`, …) may
        also be given here and is passed on to it.

    Use:
        Everything a chat model does: `invoke`, `stream`, `batch`, `bind_tools`,
        `with_structured_output`, LCEL. Answers say in
        `response_metadata["lte"]` which edits were used.

    Async:
        `ainvoke`, `astream`, `abatch`, `astream_events`.

    Run options, in the config's ``configurable``:
        ``lte_query`` is the text to search edits with; ``lte_at`` is the moment
        at which they must hold; ``lte_namespace`` is whose edits to use, and is
        refused unless `namespace_from_config` allows it.

    Raises:
        ConfigError: An argument is not of the right kind.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from langchain_core.language_models import ParrotFakeChatModel
        >>> from lte_chains.edit import Edit
        >>> from lte_chains.memory import EditMemory
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> ids = memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> llm = EditableLLM(llm=ParrotFakeChatModel(), retriever=memory.as_retriever())
        >>> answer = llm.invoke("The CEO of Acme is")  # a parrot shows what the model reads
        >>> "The CEO of Acme is Jane Doe" in answer.text
        True
        >>> [edit["id"] for edit in answer.response_metadata["lte"]["edits"]] == ids
        True
    """

    llm: BaseChatModel
    """The model that answers."""
    retriever: InstanceOf[EditRetriever] = Field(exclude=True)
    """Finds the edits that are in scope."""
    unedited_llm: BaseChatModel | None = None
    """Answers when no edit is in scope; by default `llm.unedited`, if it has one, else `llm`."""
    namespace_from_config: bool = False
    """Whether a run may choose the namespace by ``lte_namespace``. A run that chooses none
    gets the retriever's own, so for tenants let that one be empty."""
    query_extractor: QueryExtractor | None = Field(default=None, exclude=True)
    """Finds the text to search edits with; by default `lte_chains.editable.query` does."""
    prompt_style: PromptStyle = "training"
    """Wording of the knowledge-editing prompt."""

    _tool_options: tuple[dict[str, Any], dict[str, Any]] = PrivateAttr(default=({}, {}))

    def __init__(self, **fields: Any) -> None:
        """Check the arguments, and pass on what belongs to the wrapped models."""
        ignored = sorted(fields.keys() - type(self).model_fields.keys())
        if ignored:
            _log.warning("EditableLLM ignores %s: set them on the model passed as llm", ignored)
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(f"EditableLLM cannot be built: {error}") from error
        settings = {name: fields[name] for name in PASSED_ON if name in fields}
        self.llm = with_settings(self.llm, settings)
        if self.unedited_llm is not None:
            self.unedited_llm = with_settings(self.unedited_llm, settings)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools as the wrapped model does, with editing at every step of the tool loop.

        Raises:
            NotImplementedError: The wrapped model has no tools.
            ConfigError: Its `bind_tools` returns something that cannot be edited.
        """
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        llm, options = unbind(self.llm.bind_tools(tools, **kwargs), self.llm)
        unedited, others = self.unedited_llm, options
        if unedited is not None:
            unedited, others = unbind(unedited.bind_tools(tools, **kwargs), unedited)
        bound = self.model_copy(update={"llm": llm, "unedited_llm": unedited})
        bound._tool_options = (options, others)
        return bound.bind(**options)

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Edit, then answer in the form of `schema` as the wrapped model does.

        With `include_raw` the raw message carries the provenance.

        Raises:
            NotImplementedError: The wrapped model has no structured output.
        """
        views = self._views
        edited = views.edited.with_structured_output(schema, include_raw=include_raw, **kwargs)
        unedited = edited
        if views.unedited is not views.edited:
            unedited = views.unedited.with_structured_output(
                schema, include_raw=include_raw, **kwargs
            )
        return edited_first(
            self._plan, self._aplan, edited=edited, unedited=unedited, include_raw=include_raw
        ).with_config(run_name=self.get_name())

    def get_token_ids(self, text: str) -> list[int]:
        """Return the wrapped model's token ids of `text`."""
        return self.llm.get_token_ids(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return the wrapped model's count for `messages`, without any edits."""
        if tools is None:
            return self.llm.get_num_tokens_from_messages(messages)
        return self.llm.get_num_tokens_from_messages(messages, tools)

    @property
    def _editor(self) -> CallEditor:
        return CallEditor(
            retriever=self.retriever,
            query_extractor=self.query_extractor,
            prompt_style=self.prompt_style,
            namespace_from_config=self.namespace_from_config,
        )

    @property
    def _views(self) -> Views:
        return Views.around(self.llm, self.unedited_llm, options=self._tool_options)

    @property
    def _llm_type(self) -> str:
        return "lte-editable"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"llm": self.llm.asdict(), "prompt_style": self.prompt_style}

    def _resolve_model_profile(self) -> ModelProfile | None:
        return self.llm.profile

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = self.llm._get_ls_params(stop=stop, **kwargs)
        params.setdefault("ls_model_name", self.llm._llm_type)
        return params
