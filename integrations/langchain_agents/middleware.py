"""EditMemoryMiddleware: every model call of an agent, with the right edits before the question."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from langchain.agents.middleware.types import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from lte_chains.editable.editing import CallEditor, EditedCall, QueryExtractor
from lte_chains.editable.views import Views
from lte_chains.editable_llm import EditableLLM
from lte_chains.errors import ConfigError
from lte_chains.integrations.langchain_agents.run_options import config_of_run
from lte_chains.prompts import PromptStyle
from lte_chains.retriever import EditRetriever


class EditMemoryMiddleware(AgentMiddleware[Any, Any, Any]):
    """Gives the model of a LangChain agent the edits that the question depends on.

    It does for an agent what `EditableLLM` does for a model: the last human
    message of each model call is edited in a copy, at every step of a tool
    loop, and the agent's state keeps the message as it was sent. If nothing is
    in scope, the model gets exactly that, and its unedited view answers, if it
    has one.

    Around an agent whose model is an `EditableLLM`, the middleware decides, and
    the model inside that one answers: nothing is searched or edited twice.

    Instantiate:
        `EditMemoryMiddleware(memory.as_retriever(k=3))`. Middleware that removes
        or replaces messages belongs before it in the list.

    Use:
        `create_agent(model, tools, middleware=[EditMemoryMiddleware(retriever)])`.
        Answers say in `response_metadata["lte"]` which edits were used.

    Async:
        `ainvoke` and `astream` of the agent do not block the loop.

    Run options, in the config's ``configurable`` or in the runtime context:
        those of `EditableLLM`. ``lte_namespace`` is refused unless
        `namespace_from_config` allows it.

    Raises:
        ConfigError: An argument is not of the right kind.

    Example:
        >>> from langchain.agents import create_agent
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from langchain_core.language_models import GenericFakeChatModel
        >>> from langchain_core.messages import AIMessage
        >>> from lte_chains import Edit, EditMemory
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> ids = memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> model = GenericFakeChatModel(messages=iter([AIMessage("Jane Doe.")]))
        >>> agent = create_agent(model, middleware=[EditMemoryMiddleware(memory.as_retriever())])
        >>> question, answer = agent.invoke({"messages": "The CEO of Acme is"})["messages"]
        >>> question.text
        'The CEO of Acme is'
        >>> [edit["id"] for edit in answer.response_metadata["lte"]["edits"]] == ids
        True
    """

    def __init__(
        self,
        retriever: EditRetriever,
        *,
        unedited_llm: BaseChatModel | None = None,
        namespace_from_config: bool = False,
        query_extractor: QueryExtractor | None = None,
        prompt_style: PromptStyle = "training",
    ) -> None:
        """Use a retriever for all model calls of an agent.

        Args:
            retriever: Finds the edits that are in scope.
            unedited_llm: Answers when no edit is in scope; by default the
                unedited view of the agent's model, if it has one.
            namespace_from_config: Whether a run may choose the namespace by
                ``lte_namespace``. A run that chooses none gets the retriever's
                own, so for tenants let that one be empty.
            query_extractor: Finds the text to search edits with; by default
                `lte_chains.editable.query` does.
            prompt_style: Wording of the knowledge-editing prompt.
        """
        super().__init__()
        if not isinstance(retriever, EditRetriever):
            raise ConfigError(
                f"retriever must be an EditRetriever, not {retriever!r}: use memory.as_retriever()"
            )
        if unedited_llm is not None and not isinstance(unedited_llm, BaseChatModel):
            raise ConfigError(f"unedited_llm must be a chat model, not {unedited_llm!r}")
        self._unedited_llm = unedited_llm
        self._editor = CallEditor(
            retriever=retriever,
            query_extractor=query_extractor,
            prompt_style=prompt_style,
            namespace_from_config=namespace_from_config,
        )

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Edit the request of one model call, in a copy."""
        config = config_of_run(_context_of(request))
        call = self._editor.plan(request.messages, request.messages, config)
        return _stamped(handler(self._edited(request, call)), call)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Edit the request of one model call, as `wrap_model_call` does."""
        config = config_of_run(_context_of(request))
        call = await self._editor.aplan(request.messages, request.messages, config)
        return _stamped(await handler(self._edited(request, call)), call)

    def _edited(self, request: ModelRequest[Any], call: EditedCall) -> ModelRequest[Any]:
        model, unedited = request.model, self._unedited_llm
        if isinstance(model, EditableLLM):
            # It would search again, in a namespace of its own, where nothing is in scope.
            unedited = unedited or model.unedited_llm
            model = model.llm
        view, _ = Views.around(model, unedited, options=({}, {})).of(call, {})
        return request.override(model=view, messages=call.input)


def _context_of(request: ModelRequest[Any]) -> object:
    # Without a runtime if the request was made by hand.
    return getattr(request.runtime, "context", None)


def _stamped(response: ModelResponse[Any], call: EditedCall) -> ModelResponse[Any]:
    """Return the response with the provenance on the model's answer."""
    result = [call.stamp(m) if isinstance(m, AIMessage) else m for m in response.result]
    return replace(response, result=result)
