"""What a scope gate is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from lte_chains.edit import EditMatch


@runtime_checkable
class ScopeGate(Protocol):
    """Anything that can say which candidate edits a query's answer depends on."""

    def judge(self, query: str, matches: Sequence[EditMatch]) -> list[EditMatch]:
        """Return the same matches, in the same order, with `in_scope` (and `score`) set."""
        ...
