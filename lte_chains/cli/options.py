"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated

import typer

from lte_chains.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from lte_chains.memory import EditMemory

DEFAULT_STORE = "edits.db"
"""The store used if neither `--store` nor `LTE_STORE` names one: in the working directory."""


def _place_of(store: str) -> str:
    from lte_chains.store.location import without_scheme

    return without_scheme(store)


StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        "-s",
        envvar="LTE_STORE",
        metavar="PATH|URL",
        callback=_place_of,
        help="The edit memory: a SQLite file or a database URL.",
    ),
]
NamespaceOption = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", envvar="LTE_NAMESPACE", help="The room of the store to work in."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of text for people.")
]
TopKOption = Annotated[int, typer.Option("--k", "-k", min=1, help="Use at most this many edits.")]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        envvar="LTE_MODEL",
        help="lte-tiny (embedded, offline), a model's folder, or a hub id.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="Use the first rows of the file only.")
]


def open_memory(store: str, namespace: str, *, create: bool = False) -> EditMemory:
    """Open the memory that the options name.

    Args:
        store: A file's path or a database URL.
        namespace: The room to work in.
        create: Whether a file that is not there is made. Commands that only
            read do not, so that a mistyped path is an error and not an empty
            memory.

    Raises:
        StoreError: There is no such file and `create` is False.
    """
    from lte_chains.memory import EditMemory

    if not create and is_new(store):
        raise StoreError(
            f"there is no edit memory at {store!r}: add an edit to make one "
            "(lte-chains add), or name another with --store or LTE_STORE"
        )
    return EditMemory.open(store, namespace=namespace)


def is_new(store: str) -> bool:
    """Tell whether a memory is a file that is not there yet."""
    return "://" not in store and not os.path.exists(store)  # noqa: PTH110  # never raises


def require_file(store: str) -> str:
    """Return the path of a memory that is a file, for commands that work on files.

    Raises:
        ConfigError: A database URL.
        StoreError: There is no such file.
    """
    if "://" in store:
        scheme = store.partition("://")[0]  # not the URL itself: it may hold a password
        raise ConfigError(
            f"this command works on a SQLite file, not on a {scheme}:// URL: a database server "
            "has its own tools"
        )
    if not os.path.isfile(store):  # noqa: PTH113  # never raises
        raise StoreError(
            f"there is no edit memory at {store!r}: name one with --store or LTE_STORE"
        )
    return store


def parse_moment(text: str) -> date | datetime:
    """Read an ISO 8601 date, or a datetime with its time zone.

    Example:
        >>> parse_moment("2026-01-31")
        datetime.date(2026, 1, 31)
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a date (2026-01-31) nor a datetime (2026-01-31T12:00:00Z)"
        ) from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone: write {text}Z for UTC")
    return moment


def parse_revision_or_moment(text: str) -> int | datetime:
    """Read a revision, or a moment; a date is its first moment in UTC.

    Example:
        >>> parse_revision_or_moment("12")
        12
        >>> parse_revision_or_moment("2026-01-31").isoformat()
        '2026-01-31T00:00:00+00:00'
    """
    return int(text) if text.isdecimal() else as_datetime(parse_moment(text))


def as_datetime(moment: date | datetime) -> datetime:
    """Return a datetime as it is, and a date as its first moment in UTC."""
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time.min, tzinfo=UTC)
