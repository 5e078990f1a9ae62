"""Any LangChain vector store as the index of a memory: the ledger stays SQL, and the truth."""

from lte_chains.integrations.vector_stores.bridge import VectorStoreBridge

__all__ = ["VectorStoreBridge"]
