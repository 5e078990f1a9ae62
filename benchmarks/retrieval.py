"""What a question costs before a model sees it: embedding, search, gate, hops.

The yardstick is one query embedding by the offline embedder, timed in the same
run. Vectors of the edits are random, as their cost is nobody's concern here;
questions are embedded for real and the gate reads real text. What is timed is
the processor's time, so that other programs do not count; rounds are
interleaved and medians taken. One JSON object goes to stdout. Another number of
edits may be given: ``python benchmarks/retrieval.py 10000``.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from time import process_time

import numpy as np
from langchain_core.embeddings import Embeddings

from lte_chains.edit import Edit
from lte_chains.embeddings import default_embeddings
from lte_chains.memory import EditMemory
from lte_chains.scope import CrossEncoderGate

EDITS = 10_000
ROUNDS = 40
WARM_UP = 5
QUERIES_IN_A_BATCH = 16


class RandomDocuments(Embeddings):
    """The offline embedder for queries; random unit vectors for edits."""

    def __init__(self) -> None:
        """Take the offline embedder."""
        self._real = default_embeddings()
        self._random = np.random.default_rng(0)
        self.filling = True
        self.fingerprint = getattr(self._real, "fingerprint", None)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return vectors that say nothing about the texts while edits are added."""
        if not self.filling:
            return self._real.embed_documents(texts)
        vectors: list[list[float]] = self._random.standard_normal((len(texts), 384)).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        return self._real.embed_query(text)


def question(number: int) -> str:
    """Return a question that no other round asks."""
    return f"In which city does company {number} have its head office today?"


def medians(works: dict[str, Callable[[int], object]]) -> dict[str, float]:
    """Time the works round by round; return each one's median in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(WARM_UP + ROUNDS):
        for place, (name, work) in enumerate(works.items()):
            start = process_time()
            work(round_ * len(works) + place)
            if round_ >= WARM_UP:
                times[name].append(process_time() - start)
    return {name: round(statistics.median(own) * 1e3, 3) for name, own in times.items()}


def measure(size: int) -> dict[str, float]:
    """Time each part of retrieval over a memory of `size` edits."""
    embeddings = RandomDocuments()
    with EditMemory.open(":memory:", embeddings=embeddings) as memory:
        memory.add_edits(
            [
                Edit(
                    prompt=f"The headquarters of company {n} are in",
                    target_new=f"city {n}",
                    subject=f"company {n}",
                )
                for n in range(size)
            ]
        )
        embeddings.filling = False
        gate = CrossEncoderGate()
        ten = memory.search_edits(question(0), 10)
        batch = [ten] * QUERIES_IN_A_BATCH
        plain, hopping = memory.as_retriever(gate=gate, hops=0), memory.as_retriever(gate=gate)
        return medians(
            {
                "embed_query": lambda n: embeddings.embed_query(question(n)),
                "gate_10": lambda n: gate.judge(question(n), ten),
                "gate_10_in_a_batch": lambda n: gate.judge_batch(
                    [question(n + i) for i in range(QUERIES_IN_A_BATCH)], batch
                ),
                "retrieve": lambda n: plain.retrieve(question(n)),
                "retrieve_with_hops": lambda n: hopping.retrieve(question(n)),
            }
        )


def main() -> None:
    """Measure and print one JSON object."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else EDITS
    found = measure(size)
    found["gate_10_in_a_batch"] = round(found["gate_10_in_a_batch"] / QUERIES_IN_A_BATCH, 3)
    yardstick = found["embed_query"]
    ratio = {name: round(value / yardstick, 2) for name, value in found.items()}
    print(json.dumps({"edits": size, "ms": found, "over_one_embedding": ratio}, indent=2))


if __name__ == "__main__":
    main()
