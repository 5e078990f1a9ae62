from __future__ import annotations

import pytest

from lte_chains.integrations.llama_index import EditableLlamaLLM
from tests.fakes_llm import EDIT, retriever_with
from tests.integrations.llama_index.fakes import ToolLLM


@pytest.fixture
def retriever():
    return retriever_with(EDIT)


@pytest.fixture
def inner():
    return ToolLLM()


@pytest.fixture
def llm(inner, retriever):
    return EditableLlamaLLM(llm=inner, retriever=retriever)
