"""From a path or a URL to the store behind it."""

from __future__ import annotations

import os

from lte_chains.errors import ConfigError
from lte_chains.store.base import EditStore
from lte_chains.store.sqlite import SQLiteStore


def open_store(path_or_url: str | os.PathLike[str]) -> EditStore:
    """Open the store at a path; ":memory:" is a new one that is never saved.

    Raises:
        ConfigError: A URL, or nothing at all.
        StoreError: The file cannot be used.

    Example:
        >>> open_store("postgresql://localhost/edits")
        Traceback (most recent call last):
        lte_chains.errors.ConfigError: PostgreSQL is not supported in this version ...
    """
    try:
        place = os.fsdecode(path_or_url)
    except TypeError:
        place = ""
    if not place or "\x00" in place:
        raise ConfigError(
            f"a memory needs the path of its file, or ':memory:', not {path_or_url!r}"
        )
    scheme, separator, _ = place.partition("://")
    if not separator:
        return SQLiteStore(place)
    # Not the URL itself: it may hold a password.
    if scheme.partition("+")[0] in ("postgres", "postgresql"):
        raise ConfigError(
            "PostgreSQL is not supported in this version of lte-chains: give the path of a "
            "SQLite file, such as 'edits.db', or ':memory:'"
        )
    raise ConfigError(
        f"cannot open a {scheme}:// URL as a memory: give the path of a SQLite file, such as "
        "'edits.db', or ':memory:'"
    )
