"""Embedders: their identity, their defaults, and the vectors they may give."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from lte_chains import embeddings as module
from lte_chains.edit import Edit
from lte_chains.embeddings import (
    Embedder,
    default_embeddings,
    fingerprint,
    unit_vectors,
)
from lte_chains.errors import EmbeddingError, MissingExtraError
from lte_chains.memory import EditMemory
from tests.fakes_embeddings import BagOfWordsEmbeddings

OFFLINE = "all-MiniLM-L6-v2:53aa51172d14"


@pytest.fixture(scope="module")
def offline() -> Embeddings:
    return default_embeddings()


def test_the_default_is_the_official_minilm_and_knows_its_meaning(offline: Embeddings) -> None:
    assert fingerprint(offline) == OFFLINE
    embedder = Embedder(offline)
    [ceo, capital] = embedder.edits(
        [
            Edit(prompt="The CEO of Acme is", target_new="Jane Doe"),
            Edit(prompt="The capital of France is", target_new="Lyon"),
        ]
    )
    query = embedder.query("Who runs Acme?")
    assert query.shape == (384,)
    assert (ceo @ query).max() > (capital @ query).max() + 0.2


def test_the_default_loads_without_warnings_noise_or_network(
    capsys: pytest.CaptureFixture[str],
) -> None:
    default_embeddings()
    assert capsys.readouterr() == ("", "")


def test_a_new_memory_names_the_default_it_takes_and_loads_it_only_when_needed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), EditMemory.open(tmp_path / "edits.db") as memory:
        assert memory.edits() == []
        assert memory.fingerprint == OFFLINE
        assert memory._shared.embedder._embeddings is None
    assert OFFLINE in caplog.text


def test_a_memory_opens_with_the_default_it_recorded(tmp_path: Path, offline: Embeddings) -> None:
    with EditMemory.open(tmp_path / "edits.db", embeddings=offline) as memory:
        memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
    with EditMemory.open(tmp_path / "edits.db") as memory:
        assert memory.search_edits("Who runs Acme?")[0].score > 0.5


def test_weights_that_are_not_the_official_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_sha256", lambda *_: "0" * 64)
    with pytest.raises(EmbeddingError, match="force-reinstall"):
        default_embeddings()


@pytest.mark.parametrize("gone", ["langchain_huggingface", "sentence_transformers"])
def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, gone: str) -> None:
    find_spec = module.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == gone else find_spec(name))
    with pytest.raises(MissingExtraError, match=r"lte-chains\[offline\]"):
        EditMemory.open(":memory:")


def test_without_the_offline_model_the_papers_is_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find_spec = module.find_spec
    monkeypatch.setattr(
        module, "find_spec", lambda name: None if name.startswith("gt_") else find_spec(name)
    )
    assert Embedder(None).fingerprint.startswith("multi-qa-mpnet-base-dot-v1:")


def test_fingerprints_are_the_same_in_every_process() -> None:
    code = (
        "from tests.fakes_embeddings import BagOfWordsEmbeddings as B;"
        "from lte_chains.embeddings import fingerprint; print(fingerprint(B(dim=48)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert fingerprint(BagOfWordsEmbeddings(dim=48)) == other
    assert fingerprint(BagOfWordsEmbeddings(dim=49)) != other


class _Hosted(Embeddings):
    def __init__(self, **settings: object) -> None:
        self.__dict__.update(settings)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"model": "a"}, {"model": "a", "api_key": "secret", "timeout": 3}, True),
        ({"model": "a"}, {"model": "b"}, False),
        ({"model": "a", "dimensions": 256}, {"model": "a", "dimensions": 512}, False),
        ({"model_name": "a"}, {"model_name": "a", "encode_kwargs": {"batch_size": 4}}, True),
        ({"model_name": "a"}, {"model_name": "a", "encode_kwargs": {"prompt": "q: "}}, False),
        ({"fingerprint": "mine:1"}, {"fingerprint": "mine:1", "model": "b"}, True),
    ],
)
def test_what_changes_the_vectors_changes_the_fingerprint(
    one: dict, other: dict, same: bool
) -> None:
    assert (fingerprint(_Hosted(**one)) == fingerprint(_Hosted(**other))) is same
    assert "secret" not in fingerprint(_Hosted(**other))


def test_a_fingerprint_starts_with_the_models_own_name() -> None:
    assert fingerprint(_Hosted(model="org/some-model")).startswith("some-model:")
    assert fingerprint(DeterministicFakeEmbedding(size=3)).startswith("DeterministicFakeEmbedding:")


def test_vectors_become_unit_vectors_and_zeros_stay() -> None:
    found = unit_vectors([[3e30, 4e30], [0.0, 0.0], [1e-3, 0.0]], count=3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [1, 0]], rtol=1e-6)


def test_batches_are_embedded_in_order() -> None:
    embedder = Embedder(BagOfWordsEmbeddings())
    edits = [Edit(prompt=f"word{n} is", target_new="x") for n in range(10)]
    for some, all_ in zip(
        embedder.edits(edits, batch_size=3), embedder.edits(edits, batch_size=100), strict=True
    ):
        np.testing.assert_array_equal(some, all_)


def test_a_hub_that_cannot_be_reached_is_an_embedding_error_with_a_remedy() -> None:
    with pytest.raises(EmbeddingError, match=r"lte-chains\[offline\]"):
        module._load_paper()


class _Wrapper(BagOfWordsEmbeddings):
    """An embedder around another one, as caches and query rewriters are."""

    def __init__(self, **inner: Embeddings) -> None:
        super().__init__(dim=8)
        self.__dict__.update(inner)


def test_a_cache_in_front_of_an_embedder_has_that_embedders_identity() -> None:
    inner = BagOfWordsEmbeddings(dim=16)
    assert fingerprint(_Wrapper(underlying_embeddings=inner)) == fingerprint(inner)


def test_wrappers_of_different_embedders_are_told_apart() -> None:
    first, second = (_Wrapper(base=DeterministicFakeEmbedding(size=n)) for n in (8, 9))
    assert fingerprint(first) != fingerprint(second)
