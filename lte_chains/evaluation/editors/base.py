"""What every method of editing can do: take edits, say how it answers, and take them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage

from lte_chains.edit import Edit
from lte_chains.models import PromptTooLongError


@dataclass(frozen=True, eq=False)
class Route:
    """Which model answers a question, and what it reads.

    Example:
        >>> from langchain_core.language_models import ParrotFakeChatModel
        >>> Route.plain(ParrotFakeChatModel(), "Who runs Acme?").messages[0].text
        'Who runs Acme?'
    """

    model: BaseChatModel
    """The model, in the view that answers."""
    messages: tuple[BaseMessage, ...]
    """What it reads."""

    @classmethod
    def plain(cls, model: BaseChatModel, question: str) -> Route:
        """Ask a model the bare question."""
        return cls(model, (HumanMessage(question),))


class EditTooLongError(PromptTooLongError):
    """Edits that do not fit into the model's context; none of the call's edits was made."""

    def __init__(self, message: str, places: Sequence[int] = ()) -> None:
        """Take the message.

        Args:
            message: What is wrong, and the remedy.
            places: Which of the call's edits do not fit, from 0.
        """
        super().__init__(message)
        self.places = tuple(places)


class Editor(Protocol):
    """A method of editing, around one model.

    Edits add up until `undo`, which gives the model back bit for bit. Answering
    is the caller's: `routes` says which model reads what, so that answers are
    generated, and targets forced, in the same batches for every method.
    """

    @property
    def parameters_touched(self) -> int:
        """How many numbers the method may change, or adds to the model."""
        ...

    def prepare(self) -> None:
        """Do what is done once for the model and not for each edit."""
        ...

    def edit(self, edits: Sequence[Edit]) -> None:
        """Apply edits, at once, in addition to those applied before.

        Raises:
            EditTooLongError: Some do not fit into the model's context; nothing is changed.
        """
        ...

    def routes(self, questions: Sequence[str]) -> list[Route]:
        """Say for each question which model answers it, and what that reads."""
        ...

    def undo(self) -> None:
        """Take all edits back."""
        ...
