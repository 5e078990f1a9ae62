"""EditRetriever passes LangChain's own retriever tests."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_tests.integration_tests import RetrieversIntegrationTests

from lte_chains.edit import Edit
from lte_chains.memory import EditMemory
from lte_chains.retriever import EditRetriever
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings

_FOUNDERS = ("Ann", "Bob", "Cid", "Dee")


class TestEditRetriever(RetrieversIntegrationTests):
    """Four edits answer to the example query; the gate stands where it stands in use."""

    @pytest.fixture(autouse=True)
    def _memory(self):
        with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings()) as memory:
            memory.add_edits(
                [
                    Edit(prompt=f"{n}, founder of Acme, lives in", target_new="Rome")
                    for n in _FOUNDERS
                ]
            )
            self.memory = memory
            yield

    @property
    def retriever_constructor(self) -> type[EditRetriever]:
        return EditRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"vectorstore": self.memory, "gate": SimilarityGate(0.5)}

    @property
    def retriever_query_example(self) -> str:
        return "founder of Acme, lives in"
