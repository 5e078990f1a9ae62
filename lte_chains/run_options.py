"""RunOptions: what the config of a run asks of whatever reads edits in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from langchain_core.runnables import RunnableConfig

from lte_chains.arguments import require_moment
from lte_chains.errors import ConfigError

_OPTIONS = ("lte_query", "lte_namespace", "lte_at")


@dataclass(frozen=True)
class RunOptions:
    """What a run's config asks for, under ``configurable``."""

    query: str | None = None
    """``lte_query``: the text to search edits with, in place of the extracted one."""
    namespace: str | None = None
    """``lte_namespace``: whose edits to use."""
    at: datetime | None = None
    """``lte_at``: the moment at which edits must hold; now if None."""

    @classmethod
    def from_config(cls, config: RunnableConfig) -> RunOptions:
        """Read the options of a run.

        Raises:
            ConfigError: A value is unusable, or a key begins with ``lte_`` and
                is not one of ours: a misspelt namespace must not be ignored.

        Example:
            >>> RunOptions.from_config({"configurable": {"lte_query": "Who runs Acme?"}}).query
            'Who runs Acme?'
        """
        given = config.get("configurable") or {}
        unknown = sorted(key for key in given if key.startswith("lte_") and key not in _OPTIONS)
        if unknown:
            raise ConfigError(f"unknown configurable {unknown}: use {list(_OPTIONS)}")
        if "lte_namespace" in given and given["lte_namespace"] is None:
            # A tenant that was not found must not get the edits of another.
            raise ConfigError("configurable 'lte_namespace' is None: name one, or leave it out")
        return cls(
            query=_text(given, "lte_query"),
            namespace=_text(given, "lte_namespace"),
            at=_moment(given.get("lte_at")),
        )

    def chosen_namespace(self, asked: str, *, serving: str, allowed: bool) -> str | None:
        """Return the namespace that the run chooses; None if it chooses none.

        Args:
            asked: What the run asks, for the error: "EditableLLM".
            serving: The namespace that this serves unless a run chooses another.
            allowed: Its `namespace_from_config`.

        Raises:
            ConfigError: The run chooses one, and may not.

        Example:
            >>> RunOptions(namespace="b").chosen_namespace("tool", serving="a", allowed=True)
            'b'
        """
        if self.namespace is not None and not allowed:
            raise ConfigError(
                f"the run asks for lte_namespace={self.namespace!r}, but this {asked} serves the "
                f"namespace {serving!r} only: build it with namespace_from_config=True"
            )
        return self.namespace


def _text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise ConfigError(f"configurable {key!r} must be a text that is not blank, not {value!r}")


def _moment(value: object) -> datetime | None:
    """Return a moment in UTC from a date, a datetime, or the ISO text of one."""
    if value is None:
        return None
    moment = value
    if isinstance(value, str):
        try:
            whole_day = len(value) == len("2026-01-31")
            moment = date.fromisoformat(value) if whole_day else datetime.fromisoformat(value)
        except ValueError as error:
            raise ConfigError(f"configurable 'lte_at' is not an ISO date: {value!r}") from error
    return require_moment("configurable 'lte_at'", moment).astimezone(UTC)
