"""What agents and assistants may do with a memory: one set of actions for every adapter.

The tools of each framework are these actions in its own form. An action stays
inside its memory's namespace: no argument names another. What it returns are
JSON values, in which edit text is neutralised as in the prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from lte_chains.arguments import require_count
from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError, UnknownEditError
from lte_chains.memory import EditMemory, HistoryEntry
from lte_chains.messages import describe
from lte_chains.prompts import neutralise

TOOL_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "search": "search_edits",
        "history": "edit_history",
        "add": "add_edit",
        "retract": "retract_edit",
        "propose": "propose_edit",
    }
)
"""What an app can allow, and the name of the tool for it."""

READ_ONLY = ("search", "history")
"""What is allowed unless the app says otherwise."""


@dataclass(frozen=True)
class EditActions:
    """The actions that an app allows on one namespace of a memory.

    Raises:
        ConfigError: An unknown action or none, what is given is not an
            `EditMemory`, or an action is called that is not allowed.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> actions = EditActions(memory, ("search", "add"))
        >>> added = actions.add("The CEO of Acme is", "Jane Doe", subject="Acme", relation="CEO")
        >>> [found["text"] for found in actions.search("Who runs Acme?")]
        ['The CEO of Acme is Jane Doe']
        >>> actions.retract(added["id"])
        Traceback (most recent call last):
        lte_chains.errors.ConfigError: the action 'retract' is not allowed: ['search', 'add'] are
    """

    memory: EditMemory
    """Whose edits; every action stays inside its namespace."""
    allowed: tuple[str, ...] = READ_ONLY
    """Keys of `TOOL_NAMES`."""
    source: str | None = "agent"
    """The source of the edits that are written, for whoever reads the history."""

    def __post_init__(self) -> None:
        """Check the memory and the names of the actions."""
        if not isinstance(self.memory, EditMemory):
            raise ConfigError(f"memory must be an EditMemory, not {self.memory!r}")
        object.__setattr__(self, "allowed", require_actions(self.allowed))

    def in_namespace(self, name: str) -> EditActions:
        """Return the same actions on another namespace of the memory."""
        return replace(self, memory=self.memory.in_namespace(name))

    def search(self, query: str, k: int = 5, *, at: datetime | None = None) -> list[dict[str, Any]]:
        """Return the edits nearest to a question, best first, in scope or not.

        They hold at the moment `at`, which is the app's to name; now if None.
        """
        self._require("search")
        return [_found(match) for match in self.memory.search_edits(query, k, at=at)]

    async def asearch(
        self, query: str, k: int = 5, *, at: datetime | None = None
    ) -> list[dict[str, Any]]:
        """Return the nearest edits, as `search` does."""
        self._require("search")
        return [_found(match) for match in await self.memory.asearch_edits(query, k, at=at)]

    def history(self, id: str | None = None, limit: int = 20) -> list[dict[str, Any]]:  # noqa: A002
        """Return the latest things that happened to one edit, or to all, oldest first."""
        self._require("history")
        require_count("limit", limit)
        return [_happened(entry) for entry in self.memory.history(id)[-limit:]]

    def add(
        self,
        prompt: str,
        target_new: str,
        subject: str | None = None,
        relation: str | None = None,
    ) -> dict[str, Any]:
        """Write an edit; return its id and the revision."""
        self._require("add")
        [id_] = self.memory.add_edits([self._edit(prompt, target_new, subject, relation)])
        return {"id": id_, "revision": self.memory.revision}

    def retract(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Withdraw an edit; return its id and the revision. Instructions are the app's own.

        Raises:
            ConfigError: It is an instruction.
            UnknownEditError: There is no such edit.
        """
        self._require("retract")
        if self._is_instruction(id):
            raise ConfigError(f"{id!r} is an instruction, which only the application withdraws")
        return {"id": id, "revision": self.memory.retract([id])}

    def propose(
        self,
        prompt: str,
        target_new: str,
        subject: str | None = None,
        relation: str | None = None,
    ) -> dict[str, Any]:
        """Store an edit that waits until `EditMemory.approve` lets it in; return its id."""
        self._require("propose")
        [id_] = self.memory.propose([self._edit(prompt, target_new, subject, relation)])
        return {"id": id_, "status": "pending"}

    def _edit(
        self, prompt: str, target_new: str, subject: str | None, relation: str | None
    ) -> Edit:
        return Edit(
            prompt=prompt,
            target_new=target_new,
            subject=subject,
            relation=relation,
            source=self.source,
        )

    def _is_instruction(self, id_: str) -> bool:
        try:
            [edit] = self.memory.get_edits([id_])
        except UnknownEditError:  # retracted already, or never there: `retract` knows which
            return False
        return edit.instruction is not None

    def _require(self, action: str) -> None:
        """Refuse what the app did not allow, however the method was reached."""
        if action not in self.allowed:
            raise ConfigError(f"the action {action!r} is not allowed: {list(self.allowed)} are")


def require_actions(actions: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of allowed actions, each once.

    Raises:
        ConfigError: There is none, or one is unknown.

    Example:
        >>> require_actions(["search", "add", "search"])
        ('search', 'add')
    """
    wanted = [actions] if isinstance(actions, str) else list(actions)
    unknown = [action for action in wanted if action not in TOOL_NAMES]
    if unknown or not wanted:
        what = f"unknown actions {unknown}" if unknown else "no actions"
        raise ConfigError(f"{what}: choose among {list(TOOL_NAMES)}")
    return tuple(dict.fromkeys(wanted))


def _found(match: EditMatch) -> dict[str, Any]:
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
    fields = {"text": edit.descriptor, "subject": edit.subject, "relation": edit.relation}
    told = {name: text and neutralise(text) for name, text in fields.items()}
    return told if edit.instruction is None else {**told, "instruction": True}
