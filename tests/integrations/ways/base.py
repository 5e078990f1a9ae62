"""What a way in is: an app around a model that records, over a memory that is edited."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from lte_chains.edit import Edit
from lte_chains.memory import EditMemory
from lte_chains.retriever import EditRetriever

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""


@dataclass(frozen=True)
class Ask:
    """One turn of a user."""

    question: str
    document: str | None = None
    """A document that the app found for it."""
    image: bool = False
    """Whether an image comes before the question."""

    @property
    def text(self) -> str:
        """What the user's message says where the app puts documents into it."""
        if self.document is None:
            return self.question
        return f"Context: {self.document}\n\nQuestion: {self.question}"


@dataclass(frozen=True)
class Told:
    """What came back."""

    answer: str
    edits: list[dict[str, Any]]
    """The provenance, as the app gets it."""


class Way(ABC):
    """An app that answers, over one retriever; each instance has a model of its own.

    `thread` names the conversation that a turn belongs to.
    """

    name: ClassVar[str]
    lacks: ClassVar[frozenset[str]] = frozenset()
    """What this way has no form of: "tools", "conversation", "image"."""
    saves: ClassVar[bool] = False
    """Whether the app saves its conversations."""
    templated: ClassVar[bool] = False
    """Whether the framework puts a template of its own around the edited question."""

    def __init__(self, retriever: EditRetriever, *, tools: bool = False) -> None:
        self.retriever = retriever
        self.tools = tools
        self.build()

    @property
    def memory(self) -> EditMemory:
        return self.retriever.memory

    @abstractmethod
    def build(self) -> None:
        """Make the model and the app around it."""

    @abstractmethod
    def ask(self, ask: Ask, thread: str = "1") -> Told:
        """Take one turn; the app may be asynchronous inside."""

    @abstractmethod
    async def aask(self, ask: Ask, thread: str = "1") -> Told:
        """Take one turn, without blocking the loop."""

    @abstractmethod
    def stream(self, ask: Ask) -> Told:
        """Take one turn; the answer is the joined tokens."""

    def batch(self, asks: Sequence[Ask]) -> list[Told]:
        """Take one turn in each of several conversations, by the framework's batch if it has one."""
        return self.at_once(asks)

    def at_once(self, asks: Sequence[Ask]) -> list[Told]:
        """Take turns in several conversations at the same time."""

        async def all_() -> list[Told]:
            turns = (self.aask(ask, thread=f"at once {at}") for at, ask in enumerate(asks))
            return await asyncio.gather(*turns)

        return asyncio.run(all_())

    @abstractmethod
    def read(self) -> list[str]:
        """Return the user's last message as each call of the model read it."""

    @abstractmethod
    def images_read(self) -> list[bool]:
        """Return for each call of the model whether an image came before the text."""

    def saved(self) -> str:
        """Return all that the app has saved, as text."""
        return ""

    def add(self, edit: Edit) -> str:
        """Write an edit, and return its id."""
        return self.memory.add_edits([edit])[0]

    def retract(self, id_: str) -> None:
        """Withdraw an edit."""
        self.memory.retract([id_])
