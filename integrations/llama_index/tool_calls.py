"""The tool-calling entry points of a LlamaIndex LLM, with editing at every step of the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM, ToolSelection

from lte_chains.editable.editing import EditedCall
from lte_chains.errors import ConfigError
from lte_chains.integrations.llama_index.entry_points import EntryPoints
from lte_chains.integrations.llama_index.planning import astamped_all, stamped, stamped_all
from lte_chains.messages import LTE_KEY

if TYPE_CHECKING:
    from llama_index.core.tools.types import BaseTool

    Tools = Sequence[BaseTool]
    Turn = str | ChatMessage | None
    History = list[ChatMessage] | None


class ToolCallingEntryPoints(EntryPoints):
    """Hands tools to the view that answers, which knows its provider's form of them.

    The arguments after the conversation are LlamaIndex's own (`verbose`,
    `allow_parallel_tool_calls`, `tool_required`, …) and are passed on.
    """

    def chat_with_tools(
        self,
        tools: Tools,
        user_msg: Turn = None,
        chat_history: History = None,
        *args: Any,
        **kwargs: Any,
    ) -> ChatResponse:
        """Answer, or call tools; see LlamaIndex's `chat_with_tools`."""
        call, model, options = self._plan(_conversation(user_msg, chat_history), kwargs)
        sent = _sent(call, user_msg, chat_history)
        return stamped(_tool_caller(model).chat_with_tools(tools, *sent, *args, **options), call)

    def stream_chat_with_tools(
        self,
        tools: Tools,
        user_msg: Turn = None,
        chat_history: History = None,
        *args: Any,
        **kwargs: Any,
    ) -> ChatResponseGen:
        """Stream an answer, or tool calls; see LlamaIndex's `stream_chat_with_tools`."""
        call, model, options = self._plan(_conversation(user_msg, chat_history), kwargs)
        sent = _sent(call, user_msg, chat_history)
        responses = _tool_caller(model).stream_chat_with_tools(tools, *sent, *args, **options)
        return stamped_all(responses, call)

    async def achat_with_tools(
        self,
        tools: Tools,
        user_msg: Turn = None,
        chat_history: History = None,
        *args: Any,
        **kwargs: Any,
    ) -> ChatResponse:
        """Answer, or call tools, as `chat_with_tools` does."""
        call, model, options = await self._aplan(_conversation(user_msg, chat_history), kwargs)
        sent = _sent(call, user_msg, chat_history)
        caller = _tool_caller(model)
        return stamped(await caller.achat_with_tools(tools, *sent, *args, **options), call)

    async def astream_chat_with_tools(
        self,
        tools: Tools,
        user_msg: Turn = None,
        chat_history: History = None,
        *args: Any,
        **kwargs: Any,
    ) -> ChatResponseAsyncGen:
        """Stream an answer, or tool calls, as `stream_chat_with_tools` does."""
        call, model, options = await self._aplan(_conversation(user_msg, chat_history), kwargs)
        sent = _sent(call, user_msg, chat_history)
        caller = _tool_caller(model)
        responses = await caller.astream_chat_with_tools(tools, *sent, *args, **options)
        return astamped_all(responses, call)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Read the tool calls out of a response, as the model that gave it does."""
        provenance = response.additional_kwargs.get(LTE_KEY) or {}
        model = _tool_caller(self._view(edited=bool(provenance.get("edits"))))
        return model.get_tool_calls_from_response(response, error_on_no_tool_call, **kwargs)

    def _prepare_chat_with_tools(self, tools: Tools, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the arguments for `chat`, in the form of the model that reads edits."""
        model = _tool_caller(self._view(edited=True))
        return model._prepare_chat_with_tools_compat(tools, *args, **kwargs)


def _conversation(user_msg: Turn, chat_history: History) -> list[ChatMessage]:
    turn = ChatMessage(user_msg) if isinstance(user_msg, str) else user_msg
    return [*(chat_history or []), *([] if turn is None else [turn])]


def _sent(call: EditedCall, user_msg: Turn, chat_history: History) -> tuple[Turn, History]:
    return (None, call.input) if call.edited else (user_msg, chat_history)


def _tool_caller(model: LLM) -> FunctionCallingLLM:
    if isinstance(model, FunctionCallingLLM):
        return model
    raise ConfigError(
        f"a {type(model).__name__} cannot call tools: it is not a FunctionCallingLLM. "
        "Use another model, or a ReActAgent"
    )
