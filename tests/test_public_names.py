"""Public names are promises: a change here is a decision, with a line in the changelog."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import lte_chains

PUBLIC = {
    "lte_chains": [
        "ConfigError",
        "ConflictError",
        "DataError",
        "Edit",
        "EditAwareRetriever",
        "EditMatch",
        "EditMemory",
        "EditRetriever",
        "EditableLLM",
        "EmbeddingError",
        "InvalidEditError",
        "LteError",
        "MissingExtraError",
        "ModelError",
        "StoreError",
        "UnknownEditError",
        "load_model",
    ],
    "lte_chains.cli": ["app", "main"],
    "lte_chains.evaluation": [
        "Case",
        "Probe",
        "evaluate_knowedit",
        "evaluate_retrieval",
        "read_cases",
    ],
    "lte_chains.evaluation.editors": [
        "METHODS",
        "Editor",
        "Method",
        "Resources",
        "Route",
        "check_methods",
        "make_editor",
    ],
    "lte_chains.index": ["VectorIndex"],
    "lte_chains.integrations.langchain_agents": ["EditMemoryMiddleware", "EditMemoryToolkit"],
    "lte_chains.integrations.llama_index": [
        "EditMemoryRetriever",
        "EditMemoryToolSpec",
        "EditNodePostprocessor",
        "EditableLlamaLLM",
        "EditableQueryEngine",
    ],
    "lte_chains.integrations.mcp": ["WRITES", "build_server"],
    "lte_chains.integrations.vector_stores": ["VectorStoreBridge"],
    "lte_chains.memory": ["EditMemory", "HistoryEntry"],
    "lte_chains.models": ["LocalChatModel", "PromptTooLongError", "load_model"],
    "lte_chains.scope": [
        "CrossEncoderGate",
        "ScopeGate",
        "SimilarityGate",
        "threshold_for",
    ],
    "lte_chains.store": ["EditStore", "HistoryEntry", "SQLiteStore", "VectorSpace", "open_store"],
    "lte_chains.store.postgres": ["PostgresStore"],
    "lte_chains.training.parallel": [
        "FORMATS",
        "LAYOUTS",
        "ParallelCase",
        "ParallelConfig",
        "ParallelData",
        "ParallelRow",
        "Query",
        "SourceFile",
        "answer_missing",
        "build_parallel_data",
        "describe",
        "keep_own_answers",
        "own_answers",
        "read_source",
        "subjects_of",
        "write_data",
    ],
    "lte_chains.training.synthesis": [
        "Estimate",
        "Summary",
        "SynthesisConfig",
        "ToWrite",
        "estimate",
        "synthesize",
    ],
}


def modules_with_all() -> list[str]:
    names = ["lte_chains"]
    names += [
        found.name
        for found in pkgutil.walk_packages(lte_chains.__path__, "lte_chains.")
        if not found.name.endswith("__main__")
    ]
    return [name for name in names if hasattr(importlib.import_module(name), "__all__")]


def test_every_public_all_is_frozen_here() -> None:
    assert sorted(modules_with_all()) == sorted(PUBLIC)


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_exactly_the_promised_ones(module: str) -> None:
    imported = importlib.import_module(module)
    assert imported.__all__ == PUBLIC[module]
    assert all(hasattr(imported, name) for name in PUBLIC[module])


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_sorted(module: str) -> None:
    def constants_classes_functions(name: str) -> tuple[bool, bool, str]:
        return not name.isupper(), not name[0].isupper(), name

    assert PUBLIC[module] == sorted(PUBLIC[module], key=constants_classes_functions)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_thing_is_documented(module: str) -> None:
    imported = importlib.import_module(module)
    assert imported.__doc__
    undocumented = [name for name in PUBLIC[module] if not getattr(imported, name).__doc__]
    assert not undocumented
