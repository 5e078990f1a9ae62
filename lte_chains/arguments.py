"""Checks of what callers give to a memory; each says what it wants instead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, InvalidEditError, UnknownEditError
from lte_chains.store.rows import encode

_MAX_NAMESPACE_CHARS = 256


def require_namespace(name: object) -> str:
    """Return a namespace's name.

    Raises:
        ConfigError: Not a short, printable, non-blank string.

    Example:
        >>> require_namespace("tenant-a")
        'tenant-a'
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ConfigError(f"a namespace needs a printable name, not {name!r}")
    if len(name) > _MAX_NAMESPACE_CHARS:
        raise ConfigError(
            f"a namespace's name has at most {_MAX_NAMESPACE_CHARS} characters, not {len(name)}"
        )
    return name


def require_count(name: str, value: object) -> int:
    """Return a whole number of at least 1.

    Raises:
        ConfigError: Anything else.

    Example:
        >>> require_count("k", 0)
        Traceback (most recent call last):
        lte_chains.errors.ConfigError: k must be a whole number of at least 1, not 0
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


def require_query(query: object) -> str:
    """Return a query's text.

    Raises:
        ConfigError: Not a string, or not valid Unicode.
    """
    if not isinstance(query, str):
        raise ConfigError(f"a query is a text, not {query!r}")
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"the query is not valid Unicode: {error}") from error
    return query


def require_queries(queries: Sequence[str]) -> list[str]:
    """Return queries' texts as a list.

    Raises:
        ConfigError: A lone string, or something else than valid texts.
    """
    if isinstance(queries, str) or not isinstance(queries, Iterable):
        raise ConfigError(f"give a list of queries, not {queries!r}")
    return list(map(require_query, queries))


def require_place(name: str, path: object) -> str:
    """Return the path of a file.

    Raises:
        ConfigError: Not a path, an empty one, or one with a NUL byte.

    Example:
        >>> require_place("backup", "copy.db")
        'copy.db'
    """
    place = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    if not place or "\x00" in place:
        raise ConfigError(f"{name} must be the path of a file, not {path!r}")
    return place


def require_moment(name: str, value: object) -> datetime:
    """Return a moment; a date is its first moment in UTC, as in `Edit`.

    Raises:
        ConfigError: Not a date, nor a datetime with a time zone.
    """
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            value.astimezone(UTC)
        except OverflowError as error:
            raise ConfigError(f"{name} {value.isoformat()} has no date in UTC") from error
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise ConfigError(
        f"{name} must be a date, or a datetime with a time zone, not {value!r}: "
        "write datetime(…, tzinfo=timezone.utc)"
    )


def require_edits(edits: Iterable[Edit]) -> list[Edit]:
    """Return edits as a list, all fit to be stored.

    Raises:
        InvalidEditError: Something else than edits, metadata that are not JSON
            values, or text that is not valid Unicode.
    """
    if isinstance(edits, Edit) or not isinstance(edits, Iterable):
        raise InvalidEditError(f"give a list of edits, not {type(edits).__name__}")
    listed = list(edits)
    for edit in listed:
        if not isinstance(edit, Edit):
            raise InvalidEditError(
                f"{edit!r} is not an Edit: make one with Edit(prompt=…, target_new=…)"
            )
        encode(edit)  # here, so that no embedder is troubled with what cannot be stored
    return listed


def require_ids(ids: Sequence[str]) -> list[str]:
    """Return ids as a list.

    Raises:
        ConfigError: A lone string, or something else than strings.
        UnknownEditError: A string that cannot be stored, so no edit can have it.
    """
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise ConfigError(f"give a list of ids, not {ids!r}")
    listed = list(ids)
    for id_ in listed:
        if not isinstance(id_, str):
            raise ConfigError(f"an edit's id is a string, not {id_!r}")
        try:
            id_.encode()
        except UnicodeEncodeError as error:
            raise UnknownEditError(f"no edit {id_!r}: it is not valid Unicode") from error
    return listed


def holds(edit: Edit, at: datetime) -> bool:
    """Return whether an edit holds at a moment: `valid_from` counts, `valid_until` does not.

    Example:
        >>> edit = Edit(prompt="2 + 2 is", target_new="5", valid_until=date(2026, 1, 1))
        >>> holds(edit, datetime(2026, 1, 1, tzinfo=UTC))
        False
    """
    return (edit.valid_from is None or edit.valid_from <= at) and (
        edit.valid_until is None or at < edit.valid_until
    )
