"""Vectors to measure with: embeddings of facts, and perturbations of them beyond."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lte-chains"
_PEOPLE = ("Ann", "Bela", "Chidi", "Dora", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jun")
_NAMES = ("Abel", "Brandt", "Costa", "Dvorak", "Eriksen", "Fujita", "Garcia", "Haddad", "Ito")
_THINGS = ("Harbour", "Tessel", "Northwind", "Calder", "Marlow", "Zephyr", "Ostrava", "Juniper")
_KINDS = ("Institute", "Railways", "Press", "Observatory", "Foundry", "Orchestra", "Bank")
_RELATIONS = (
    *("The head of {} is", "{} was founded in", "The seat of {} is in", "{} belongs to"),
    *("The successor of {} was", "The language spoken at {} is", "{} is known for"),
    *("The spouse of {} is", "{} studied at", "The award that {} got is", "{} was born in"),
)


def facts(count: int) -> list[tuple[str, str]]:
    """Return as many prompts with their answers, all different."""
    rng = np.random.default_rng(0)
    found: dict[str, str] = {}
    while len(found) < count:
        person = f"{rng.choice(_PEOPLE)} {rng.choice(_NAMES)} {rng.integers(count)}"
        place = f"{rng.choice(_THINGS)} {rng.choice(_KINDS)} {rng.integers(count)}"
        subject, other = (person, place) if rng.random() < 0.5 else (place, person)
        found[str(rng.choice(_RELATIONS)).format(subject)] = other
    return list(found.items())


def embedded(count: int, *, most: int) -> Floats:
    """Return unit vectors, shape (count, 384): embeddings of facts, at most `most` of them.

    The others are embeddings with noise, seeded. Embeddings are kept in the
    user's cache folder.
    """
    real = _real(min(count, most))
    if count <= len(real):
        return real[:count]
    rng = np.random.default_rng(1)
    more = np.empty((count - len(real), real.shape[1]), np.float32)
    for start in range(0, len(more), len(real)):
        part = more[start : start + len(real)]
        noise = rng.standard_normal(part.shape, dtype=np.float32)
        part[:] = _unit(real[: len(part)] + 0.5 / np.sqrt(real.shape[1]) * noise)
    return np.concatenate([real, more])


def random_vectors(count: int, dimension: int = 384) -> Floats:
    """Return seeded random unit vectors, the hardest to tell apart."""
    rng = np.random.default_rng(2)
    return _unit(rng.standard_normal((count, dimension), dtype=np.float32))


def queries_near(vectors: Floats, count: int) -> Floats:
    """Return vectors as rephrasings have them: near to some of the given ones."""
    rng = np.random.default_rng(3)
    chosen = vectors[rng.integers(len(vectors), size=count)]
    noise = rng.standard_normal(chosen.shape, dtype=np.float32)
    return _unit(chosen + 0.7 / np.sqrt(chosen.shape[1]) * noise)


def _real(count: int) -> Floats:
    from lte_chains.embeddings import Embedder

    place = _CACHE / f"benchmark-embeddings-{count}.npy"
    if place.is_file():
        kept: Floats = np.load(place)
        return kept
    from lte_chains.edit import Edit

    embedder = Embedder(None)
    edits = [Edit.from_statement(f"{prompt} {answer}") for prompt, answer in facts(count)]
    vectors: Floats = np.concatenate(embedder.edits(edits))
    place.parent.mkdir(parents=True, exist_ok=True)
    np.save(place, vectors)
    return vectors


def _unit(vectors: Floats) -> Floats:
    unit: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
