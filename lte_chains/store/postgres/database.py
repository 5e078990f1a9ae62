"""A PostgreSQL database: its connections, its transactions, and its errors in our words."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, get_args

import psycopg
from pgvector.psycopg import register_vector
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lte_chains.errors import ConfigError, StoreError
from lte_chains.store.base import Durability
from lte_chains.store.postgres.schema import prepare

Raw: TypeAlias = "psycopg.Connection[Any]"
"""A connection as psycopg knows it."""
BUSY_SECONDS = 30.0
"""How long a call waits for a connection, or for another client's transaction."""
_POOL_SIZE = 8
_log = logging.getLogger(__name__)

_REMEDIES = {
    "08": "the server cannot be reached: check that it runs, and the address in the URL",
    "0A": "install pgvector 0.8 or later on the server",
    "28": "the server refused the user or the password: check those in the URL",
    "3D": "that database does not exist: create it first",
    "42501": "this user may not do that: let an owner open the memory once, then grant rights",
    "42P01": "the tables are gone: open the memory again",
    "53100": "the server's disk is full: make room and try again",
    "53300": "the server has no connection left: close other clients, or raise max_connections",
    "55P03": "another client holds this namespace: try again when it is done",
    "57": "the server was shut down or the call cancelled: try again when it is back",
    "58": "install pgvector 0.8 or later on the server",
    "25006": "this server is read-only, perhaps a replica: give the URL of the primary",
    "XX": "the data are damaged, or the server has a bug: see its log",
}
"""What to do, by SQLSTATE: the whole code, or its class."""
_CONNECTING = ("connection failed", "connection to server", "resolve host", "connection timeout")
"""What psycopg's errors say while it connects."""
_REFUSALS = (
    ("does not exist", "3D"),
    ("authentication failed", "28"),
    ("password", "28"),
    ("too many clients", "53300"),
    ("connection slots", "53300"),
    ("starting up", "57"),
    ("shutting down", "57"),
    ("recovery", "57"),
)
_SETTINGS = """SELECT to_regtype('vector') IS NOT NULL,
    set_config('lock_timeout', %(timeout)s, false),
    set_config('synchronous_commit', CASE
        WHEN %(durability)s = 'normal' THEN 'off'
        WHEN current_setting('synchronous_commit') = 'off' THEN 'on'
        ELSE current_setting('synchronous_commit') END, false)"""
_LOST = (
    "the connection was lost: the next call connects again, once the server is back. Nothing of "
    "a call that failed so is kept"
)
_IN_DOUBT = (
    "the connection was lost while the change was being committed: it is kept whole or not at "
    "all. Read the memory's revision before you repeat it"
)


class PostgresDatabase:
    """Transactions on one PostgreSQL database, for many threads and processes.

    Args:
        url: A URL as SQLAlchemy or libpq understand it.
        durability: "normal" not to wait for the server's disk at a commit.

    Raises:
        ConfigError: Not such a URL, or no such durability.
        StoreError: The database cannot be used.
    """

    def __init__(self, url: str, *, durability: Durability = "full") -> None:
        """Connect, and make the tables or bring them up to date."""
        if durability not in get_args(Durability):
            raise ConfigError(f"durability must be 'full' or 'normal', not {durability!r}")
        self._url = _parsed(url)
        self._durability = durability
        self.name = _shown(self._url)
        self._closed = False
        self._start()
        try:
            with explained(self.name), self._writers.begin() as connection:
                changed = prepare(connection, self.name)
            if changed:
                self._writers.dispose()  # its connection was made before vectors were known
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection that sees one state of the database throughout.

        Raises:
            StoreError: The database is closed, or PostgreSQL fails.
        """
        with explained(self.name), self._open(self._readers).begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a connection inside a transaction: all or nothing.

        It is committed, and on the server's disk, when the block ends without an error.

        Raises:
            StoreError: The database is closed, or PostgreSQL fails.
        """
        with explained(self.name), self._open(self._writers).connect() as connection:
            yield connection
            with explained(self.name, lost=_IN_DOUBT):
                connection.commit()

    @contextmanager
    def maintaining(self) -> Iterator[Connection]:
        """Lend a connection outside any transaction, for what cannot run in one.

        Raises:
            StoreError: The database is closed, or PostgreSQL fails.
        """
        engine = self._open(self._writers).execution_options(isolation_level="AUTOCOMMIT")
        with explained(self.name), engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections; further calls raise `StoreError`."""
        self._closed = True
        self._writers.dispose()

    def _start(self) -> None:
        self._writers = create_engine(
            self._url,
            pool_size=_POOL_SIZE,
            max_overflow=0,
            pool_timeout=BUSY_SECONDS,
            pool_pre_ping=True,  # a server that was restarted is found again without an error
            hide_parameters=True,
        )
        event.listen(self._writers, "connect", self._set_up)
        self._readers = self._writers.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._pid = os.getpid()

    def _set_up(self, connection: psycopg.Connection[Any], _: object) -> None:
        """Make a new connection know vectors, wait no longer than it should, and sync or not."""
        connection.autocommit = True
        settings = {"timeout": f"{BUSY_SECONDS * 1000:.0f}ms", "durability": self._durability}
        row = connection.execute(_SETTINGS, settings).fetchone()
        if row is not None and row[0]:
            register_vector(connection)
        connection.autocommit = False

    def _open(self, engine: Engine) -> Engine:
        if self._closed:
            raise StoreError(f"the memory at {self.name} is closed: open it again")
        if self._pid != os.getpid():
            # In a forked child: the connections are the parent's.
            self._writers.dispose(close=False)
            self._pid = os.getpid()
        return engine


@contextmanager
def explained(name: str, *, lost: str = _LOST) -> Iterator[None]:
    """Turn PostgreSQL's errors into `StoreError`s that say what to do.

    Raises:
        StoreError: PostgreSQL failed.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise StoreError(
            f"all {_POOL_SIZE} connections of this process to {name} have been busy for "
            f"{BUSY_SECONDS:.0f} seconds: use fewer threads, or shorter calls"
        ) from error
    except (DBAPIError, psycopg.Error) as error:
        # Not SQLAlchemy's own error: its text holds the statement.
        cause = error.orig if isinstance(error, DBAPIError) else error
        message = str(cause).strip().partition("\n")[0]
        remedy = _remedy(cause, lost)
        raise StoreError(f"cannot use the memory at {name}: {message}. Remedy: {remedy}") from cause


def driver(connection: Connection) -> Raw:
    """Return psycopg's own connection, for COPY and for vectors in binary."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError(f"not a connection of psycopg: {raw!r}")
    return raw


def _remedy(cause: BaseException | None, lost: str) -> str:
    state = getattr(cause, "sqlstate", None)
    if state is None and not any(sign in str(cause) for sign in _CONNECTING):
        return lost
    if state is None:
        # While connecting, libpq tells what the server said, but not its code.
        state = next((code for sign, code in _REFUSALS if sign in str(cause)), "08")
    return _REMEDIES.get(state) or _REMEDIES.get(state[:2]) or "see the cause above"


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not the URL itself, nor its parts: they may hold a password.
        raise ConfigError(
            "this PostgreSQL URL cannot be read: write postgresql+psycopg://USER:PASSWORD@HOST/DB, "
            "with %40 for @ and %2F for / in the password"
        ) from None
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ConfigError(
            f"cannot use the driver of a {parsed.drivername}:// URL: write postgresql+psycopg://…"
        )
    return parsed.set(drivername="postgresql+psycopg")


def _shown(url: URL) -> str:
    """Return a URL without user, password and options."""
    host = url.query.get("host", url.host)
    port = "" if url.port is None else f":{url.port}"
    return f"postgresql://{host if isinstance(host, str) else ''}{port}/{url.database or ''}"
