"""How many edits stand in a model at once, and how they came there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.base import Editor, EditTooLongError

_Item = TypeVar("_Item")
_KINDS = ("single", "batch", "sequential")


@dataclass(frozen=True)
class Regime:
    """One edit at a time, many at once, or one after the other.

    Example:
        >>> Regime.parse("batch:100")
        Regime(kind='batch', size=100)
        >>> Regime.parse("single").groups("abc")
        [['a'], ['b'], ['c']]
    """

    kind: Literal["single", "batch", "sequential"]
    """"single": each edit alone. "batch": as many as `size` in one call. "sequential": as many,
    one call after the other. All are inserted before any question is asked."""
    size: int = 1
    """Edits that stand in the model when it is asked."""

    def __post_init__(self) -> None:
        """Check the kind and the size."""
        if self.kind not in _KINDS:
            raise ConfigError(f"unknown regime {self.kind!r}: use one of {list(_KINDS)}")
        if self.size < 1 or (self.kind == "single" and self.size != 1):
            raise ConfigError(
                f"a {self.kind} regime of {self.size} edits: use single, batch:N or sequential:N"
            )

    @classmethod
    def parse(cls, text: str) -> Regime:
        """Read a regime as the command line has it: single, batch:N or sequential:N.

        Raises:
            ConfigError: It is none of these.
        """
        kind, _, size = text.partition(":")
        if kind not in _KINDS or (size and not size.isdecimal()):
            raise ConfigError(f"unknown regime {text!r}: use single, batch:N or sequential:N")
        return cls(cast(Literal["single", "batch", "sequential"], kind), int(size or 1))

    def __str__(self) -> str:
        """Write the regime as `parse` reads it."""
        return self.kind if self.kind == "single" else f"{self.kind}:{self.size}"

    @property
    def alone(self) -> bool:
        """Whether each edit is the only one in the model."""
        return self.size == 1

    def groups(self, items: Sequence[_Item]) -> list[list[_Item]]:
        """Divide rows into those that are in the model together, in their order."""
        return [list(items[at : at + self.size]) for at in range(0, len(items), self.size)]

    def insert(
        self,
        editor: Editor,
        edits: Sequence[Edit],
        *,
        advance: Callable[[int], None] = lambda _: None,
    ) -> set[int]:
        """Give edits to a method as the regime says.

        An edit that is too long for the method's model is left out; the others are made.

        Args:
            editor: The method.
            edits: One group of edits.
            advance: Is told how many are done after each call.

        Returns:
            The places of the edits that were left out.
        """
        sequential = self.kind == "sequential"
        calls = [[edit] for edit in edits] if sequential else [edits]
        left_out: set[int] = set()
        made = 0
        for call in calls:
            left_out |= {made + place for place in _edit_what_fits(editor, call)}
            made += len(call)
            advance(len(call))
        return left_out


def _edit_what_fits(editor: Editor, edits: Sequence[Edit]) -> Sequence[int]:
    """Make the edits that fit, and return the places of the others."""
    try:
        editor.edit(edits)
    except EditTooLongError as error:
        fitting = [edit for place, edit in enumerate(edits) if place not in error.places]
        if len(fitting) == len(edits):  # it does not say which, and must not be asked for ever
            raise
        if fitting:
            editor.edit(fitting)
        return error.places
    return ()


def superseded(edits: Sequence[Edit]) -> int:
    """Count the edits of a group whose prompt a later one gives another target.

    They are judged by their own target all the same, and miss it where methods obey the
    later edit.

    Example:
        >>> first, second = (Edit(prompt="Acme's head is", target_new=name) for name in ("A", "B"))
        >>> superseded([first, first, second])
        2
    """
    last = {edit.slot: edit.target_new for edit in edits}
    return sum(edit.slot is not None and last[edit.slot] != edit.target_new for edit in edits)
