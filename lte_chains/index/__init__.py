"""The vector index: an exact, in-memory view of one namespace's live edits.

It is derived from the ledger: losing it loses nothing. Up to some thousand rows
it is one growing matrix in single precision, searched by brute force. What goes
beyond is sealed into blocks of 8-bit codes, a quarter of the bytes, whose scores
are too rough to rank by but are never wrong by more than a bound that is known;
the few edits which that bound leaves in question are scored from the ledger's own
vectors. So the result is exact at any size. A file beside the database
(`lte_chains.index.cache`) spares a new process the reading of the ledger.
"""

from lte_chains.index.vector_index import VectorIndex

__all__ = ["VectorIndex"]
