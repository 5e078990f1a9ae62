"""Edits in PostgreSQL with pgvector: one memory for many machines. Needs the extra `postgres`."""

from lte_chains.errors import MissingExtraError

try:
    import pgvector.psycopg  # noqa: F401
    import psycopg  # noqa: F401
    import sqlalchemy  # noqa: F401
except ImportError as error:
    raise MissingExtraError(error.name or "psycopg", "postgres") from error

from lte_chains.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
