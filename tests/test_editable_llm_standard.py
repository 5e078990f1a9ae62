"""LangChain's own test suites, over the local model and the editable model around it."""

from __future__ import annotations

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from lte_chains.edit import Edit
from lte_chains.editable_llm import EditableLLM
from lte_chains.memory import EditMemory
from lte_chains.models import LocalChatModel, load_model
from tests.fakes_llm import RecordingModel
from tests.tiny_models import tiny_adapter, tiny_llama


def retriever():
    memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=16))
    memory.add_edits([Edit(prompt="Hello", target_new="world")])
    return memory.as_retriever()


class TestEditableLLMUnit(ChatModelUnitTests):
    chat_model_class = EditableLLM

    @property
    def chat_model_params(self):
        return {"llm": RecordingModel(), "retriever": retriever()}


class TestLocalChatModelUnit(ChatModelUnitTests):
    chat_model_class = LocalChatModel

    @property
    def chat_model_params(self):
        return {"weights": load_model(tiny_llama()).weights}


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
class LocalSuite(ChatModelIntegrationTests):
    # The editable model has both where the model it wraps has; local models have neither.
    has_tool_calling = False
    has_structured_output = False


class TestLocalChatModelIntegration(LocalSuite):
    chat_model_class = LocalChatModel

    @property
    def chat_model_params(self):
        return {"weights": load_model("lte-tiny").weights, "max_new_tokens": 32}


class TestEditableLLMIntegration(LocalSuite):
    chat_model_class = EditableLLM

    @property
    def chat_model_params(self):
        return {"llm": load_model("lte-tiny", max_new_tokens=32), "retriever": retriever()}


class TestEditableLLMWithAdapterIntegration(LocalSuite):
    chat_model_class = EditableLLM

    @property
    def chat_model_params(self):
        adapted = load_model(tiny_llama(), adapter=tiny_adapter(), max_new_tokens=32)
        return {"llm": adapted, "retriever": retriever()}
