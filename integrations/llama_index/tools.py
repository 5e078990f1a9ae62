"""EditMemoryToolSpec: tools with which an agent reads a memory, and writes it if allowed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import run_in_executor
from llama_index.core.tools.tool_spec.base import BaseToolSpec

from lte_chains.actions import READ_ONLY, TOOL_NAMES, EditActions, require_actions
from lte_chains.memory import EditMemory


class EditMemoryToolSpec(BaseToolSpec):
    """Tools over one namespace of a memory: read-only, unless `actions` says otherwise.

    No argument of a tool can leave the namespace. Results are JSON.

    Instantiate:
        `EditMemoryToolSpec(memory=memory)`, or with
        `actions=("search", "propose")`: what an agent proposes waits until the
        app calls `memory.approve`. "add" and "retract" write at once.

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

    def __init__(
        self,
        memory: EditMemory,
        *,
        actions: Sequence[str] = READ_ONLY,
        source: str | None = "agent",
    ) -> None:
        """Allow some actions on a memory.

        Args:
            memory: Whose edits.
            actions: "search", "history", "add", "retract", "propose".
            source: The source of the edits that the tools write.
        """
        self._actions = EditActions(memory, require_actions(actions), source)
        names = [TOOL_NAMES[action] for action in self._actions.allowed]
        self.spec_functions = [(name, f"a{name}") for name in names]

    def search_edits(self, query: str, k: int = 5) -> str:
        """Find the knowledge edits nearest to a question, best first.

        Args:
            query (str): The question, in plain words.
            k (int): Most edits to return.
        """
        return _json(self._actions.search(query, k))

    async def asearch_edits(self, query: str, k: int = 5) -> str:
        """Find edits, as `search_edits` does."""
        return _json(await self._actions.asearch(query, k))

    def edit_history(self, id: str | None = None, limit: int = 20) -> str:  # noqa: A002
        """Tell what happened to one knowledge edit, or to all of them, latest last.

        Args:
            id (str): The edit's id; all edits if it is left out.
            limit (int): Most entries to return; the latest ones are.
        """
        return _json(self._actions.history(id, limit))

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
        return _json(self._actions.add(prompt, target_new, subject, relation))

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
        return _json(self._actions.retract(id))

    async def aretract_edit(self, id: str) -> str:  # noqa: A002
        """Withdraw one knowledge edit, as `retract_edit` does."""
        return await run_in_executor(None, self.retract_edit, id)

    def propose_edit(
        self,
        prompt: str,
        target_new: str,
        subject: str | None = None,
        relation: str | None = None,
    ) -> str:
        """Propose a change of one piece of knowledge, which waits until a person approves it.

        Args:
            prompt (str): An unfinished sentence or a question, such as "The CEO of Acme is".
            target_new (str): The new answer that completes it, such as "Jane Doe".
            subject (str): What the fact is about, such as "Acme".
            relation (str): Which property of it changes, such as "CEO".
        """
        return _json(self._actions.propose(prompt, target_new, subject, relation))

    async def apropose_edit(
        self,
        prompt: str,
        target_new: str,
        subject: str | None = None,
        relation: str | None = None,
    ) -> str:
        """Propose a change of one piece of knowledge, as `propose_edit` does."""
        return await run_in_executor(None, self.propose_edit, prompt, target_new, subject, relation)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
