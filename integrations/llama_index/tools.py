"""EditMemoryToolSpec: tools with which an agent reads a memory, and writes it if allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from langchain_core.runnables import run_in_executor
from llama_index.core.tools.tool_spec.base import BaseToolSpec

from lte_chains.arguments import require_count
from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.memory import EditMemory, HistoryEntry
from lte_chains.messages import describe

TOOLS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "search": ("search_edits", "asearch_edits"),
        "history": ("edit_history", "aedit_history"),
        "add": ("add_edit", "aadd_edit"),
        "retract": ("retract_edit", "aretract_edit"),
    }
)
"""What an app can allow, and the methods that become the tool for it."""

READ_ONLY = ("search", "history")
"""What is allowed unless the app says otherwise."""


class EditMemoryToolSpec(BaseToolSpec):
    """Tools over one namespace of a memory: read-only, unless `actions` says otherwise.

    No argument of a tool can leave the namespace. Results are JSON.

    Instantiate:
        `EditMemoryToolSpec(memory=memory)`, or with
        `actions=("search", "history", "add", "retract")`.

    Use:
        `FunctionAgent(tools=EditMemoryToolSpec(memory=memory).to_tool_list(), llm=llm)`.

    Async:
        Each tool has an asynchronous half that does not block the loop.

    Raises:
        ConfigError: An unknown action, or what is given is not an `EditMemory`.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> spec = EditMemoryToolSpec(memory=memory, actions=("search", "add"))
        >>> [tool.metadata.name for tool in spec.to_tool_list()]
        ['search_edits', 'add_edit']
    """

    def __init__(self, memory: EditMemory, *, actions: Sequence[str] = READ_ONLY) -> None:
        """Allow some actions on a memory."""
        if not isinstance(memory, EditMemory):
            raise ConfigError(f"memory must be an EditMemory, not {memory!r}")
        wanted = [actions] if isinstance(actions, str) else list(actions)
        unknown = [action for action in wanted if action not in TOOLS]
        if unknown or not wanted:
            raise ConfigError(f"unknown actions {unknown}: choose among {list(TOOLS)}")
        self.memory = memory
        self.actions = tuple(dict.fromkeys(wanted))
        self.spec_functions = [TOOLS[action] for action in self.actions]

    def search_edits(self, query: str, k: int = 5) -> str:
        """Find the knowledge edits nearest to a question, best first.

        Args:
            query (str): The question, in plain words.
            k (int): Most edits to return.
        """
        self._require("search")
        return _json([_found(match) for match in self.memory.search_edits(query, k)])

    async def asearch_edits(self, query: str, k: int = 5) -> str:
        """Find edits, as `search_edits` does."""
        self._require("search")
        return _json([_found(match) for match in await self.memory.asearch_edits(query, k)])

    def edit_history(self, id: str | None = None, limit: int = 20) -> str:  # noqa: A002
        """Tell what happened to one knowledge edit, or to all of them, latest last.

        Args:
            id (str): The edit's id; all edits if it is left out.
            limit (int): Most entries to return; the latest ones are.
        """
        self._require("history")
        entries = self.memory.history(id)[-require_count("limit", limit) :]
        return _json([_happened(entry) for entry in entries])

    async def aedit_history(self, id: str | None = None, limit: int = 20) -> str:  # noqa: A002
        """Tell what happened, as `edit_history` does."""
        return await run_in_executor(None, self.edit_history, id, limit)

    def add_edit(
        self,
        prompt: str,
        target_new: str,
        subject: str | None = None,
        relation: str | None = None,
    ) -> str:
        """Change one piece of knowledge: after the prompt, the answer is now the target.

        Args:
            prompt (str): An unfinished sentence or a question, such as "The CEO of Acme is".
            target_new (str): The new answer that completes it, such as "Jane Doe".
            subject (str): What the fact is about, such as "Acme".
            relation (str): Which property of it changes, such as "CEO".
        """
        self._require("add")
        edit = Edit(prompt=prompt, target_new=target_new, subject=subject, relation=relation)
        [id_] = self.memory.add_edits([edit])
        return _json({"id": id_, "revision": self.memory.revision})

    async def aadd_edit(
        self,
        prompt: str,
        target_new: str,
        subject: str | None = None,
        relation: str | None = None,
    ) -> str:
        """Change one piece of knowledge, as `add_edit` does."""
        return await run_in_executor(None, self.add_edit, prompt, target_new, subject, relation)

    def retract_edit(self, id: str) -> str:  # noqa: A002
        """Withdraw one knowledge edit: the model's own answer is back.

        Args:
            id (str): The edit's id, as a search or the history gave it.
        """
        self._require("retract")
        return _json({"id": id, "revision": self.memory.retract([id])})

    async def aretract_edit(self, id: str) -> str:  # noqa: A002
        """Withdraw one knowledge edit, as `retract_edit` does."""
        return await run_in_executor(None, self.retract_edit, id)

    def _require(self, action: str) -> None:
        """Refuse what the app did not allow, however the method was reached."""
        if action not in self.actions:
            raise ConfigError(
                f"the action {action!r} is not allowed here: {list(self.actions)} are"
            )


def _found(match: Any) -> dict[str, Any]:
    return {**describe(match), **_fact(match.edit)}


def _happened(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "action": entry.action,
        "operation": entry.operation,
        "revision": entry.revision,
        "at": entry.at.isoformat(),
        **({} if entry.edit is None else _fact(entry.edit)),
    }


def _fact(edit: Edit) -> dict[str, Any]:
    return {"text": edit.descriptor, "subject": edit.subject, "relation": edit.relation}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
