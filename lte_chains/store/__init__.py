"""Where edits live: a ledger of versions with their vectors, in namespaces."""

from lte_chains.store.base import EditStore, HistoryEntry, VectorSpace
from lte_chains.store.location import open_store
from lte_chains.store.sqlite import SQLiteStore

__all__ = ["EditStore", "HistoryEntry", "SQLiteStore", "VectorSpace", "open_store"]
