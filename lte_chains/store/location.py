"""From a path or a URL to the store behind it."""

from __future__ import annotations

import os

from lte_chains.errors import ConfigError
from lte_chains.store.base import Durability, EditStore
from lte_chains.store.sqlite import SQLiteStore


def without_scheme(place: str) -> str:
    """Return the path in "sqlite:PATH" and "sqlite:///PATH"; anything else as it is.

    Raises:
        ConfigError: A URL that names a host, as "sqlite://edits.db" does.

    Example:
        >>> [without_scheme(p) for p in ("sqlite:a.db", "sqlite:///a.db", "sqlite:////tmp/a.db")]
        ['a.db', 'a.db', '/tmp/a.db']
    """
    rest = place.removeprefix("sqlite:")
    if rest == place or not rest.startswith("//"):
        return rest
    if not rest.startswith("///"):
        raise ConfigError(
            f"{place!r} names a host and no path: write sqlite:PATH, or sqlite:///PATH"
        )
    return rest.removeprefix("///")


def open_store(
    path_or_url: str | os.PathLike[str], *, durability: Durability = "full"
) -> EditStore:
    """Open the store at a path or a PostgreSQL URL; ":memory:" is a new one that is never saved.

    Args:
        path_or_url: Where the edits live.
        durability: See `SQLiteStore` and `PostgresStore`.

    Raises:
        ConfigError: Another kind of URL, or nothing at all; or no such durability.
        MissingExtraError: A PostgreSQL URL, without the extra `postgres`.
        StoreError: The file or the database cannot be used.

    Example:
        >>> open_store("mysql://localhost/edits")
        Traceback (most recent call last):
        lte_chains.errors.ConfigError: cannot open a mysql:// URL as a memory: give ...
    """
    try:
        place = os.fsdecode(path_or_url)
        place.encode()  # SQLite takes no name with half a character in it
    except (TypeError, UnicodeError):
        place = ""
    if not place or "\x00" in place:
        raise ConfigError(
            f"a memory needs the path of its file, ':memory:' or a URL, not {path_or_url!r}"
        )
    place = without_scheme(place)
    scheme, separator, _ = place.partition("://")
    if not separator:
        return SQLiteStore(place, durability=durability)
    # Not the URL itself: it may hold a password.
    if scheme.partition("+")[0] in ("postgres", "postgresql"):
        from lte_chains.store.postgres import PostgresStore

        return PostgresStore(place, durability=durability)
    raise ConfigError(
        f"cannot open a {scheme}:// URL as a memory: give the path of a SQLite file, such as "
        "'edits.db', or ':memory:', or a URL as postgresql+psycopg://user:password@host/database"
    )
