"""Are all edits of a chain found for a question that composes them?

Chains are built out of triples: in "the capital of the country that Jo is a
citizen of", the objects of both facts are replaced by others, and the edits are
put into one memory, among edits of other subjects, and among edits of the same
entities that the question does not ask for. No language model takes part.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from lte_chains.edit import Edit, EditMatch
from lte_chains.embeddings import default_embeddings
from lte_chains.errors import ConfigError
from lte_chains.evaluation.chain_building import Chain, ChainBuilder, World
from lte_chains.evaluation.metrics import mean
from lte_chains.evaluation.triples import read_triples
from lte_chains.memory import EditMemory
from lte_chains.retriever import EditRetriever


def evaluate_chains(
    data: str | Path,
    *,
    k: int = 6,
    lengths: Sequence[int] = (2, 3, 4),
    chains: int = 100,
    distractors: int = 1000,
    limit: int | None = None,
    seed: int = 0,
    embeddings: Embeddings | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Build chains out of triples, and look for their edits by the composed questions.

    Reported by length of the chain:

    - ``complete``: the share of questions for which every edit of the chain is
      among the `k` that the retriever hands on; ``complete_without_hops`` and
      ``complete_ungated`` the same without hops, and for the k nearest edits.
    - ``recall``: the share of the chains' edits that are handed on.
    - ``in_order``: of the complete ones, the share that come in the chain's order.
    - ``precision``: the share of what is handed on that belongs to the chain;
      ``hop_precision`` the same of what hops have added.
    - ``distracted``: the share of questions that a hop has led to an edit of an
      entity of the chain which the question does not ask for.

    ``single`` asks for the first fact of each chain alone: ``found`` is the share
    that gets its edit, ``led_on`` the share that gets an edit by a hop.

    Args:
        data: Triples; see `lte_chains.evaluation.triples`.
        k: Edits that the retriever hands on.
        lengths: Numbers of edits in a chain.
        chains: Chains of each length.
        distractors: Edits of other subjects.
        limit: Read only that many triples, from the front.
        seed: Of everything that is drawn.
        embeddings: The embedder; the memory's default if None.
        **settings: Further settings of the retriever, such as `gate` or `hops`.

    Raises:
        DataError: The file cannot be read, or its triples do not make as many
            chains or distractors.
        ConfigError: A number is not positive.
    """
    if not lengths or min(lengths) < 2 or chains < 1 or distractors < 0 or k < 1:
        raise ConfigError(
            f"chains need lengths of at least 2, k and chains of at least 1, and no negative "
            f"distractors: lengths={list(lengths)}, k={k}, chains={chains}, "
            f"distractors={distractors}"
        )
    builder = ChainBuilder(read_triples(data, limit=limit), random.Random(seed))  # noqa: S311
    world = builder.build(lengths, count=chains, distractors=distractors)
    chosen = default_embeddings() if embeddings is None else embeddings
    with EditMemory.open(":memory:", embeddings=chosen) as memory:
        memory.add_edits(world.edits)
        retriever = memory.as_retriever(k=k, **settings)
        by_length = {
            str(length): _of_length(retriever, world, length) for length in sorted(set(lengths))
        }
        return {
            "data": str(data),
            "seed": seed,
            "k": k,
            "edits": len(world.edits),
            "embedder": memory.fingerprint,
            "gate": type(retriever.gate).__name__,
            "chains": by_length,
            "single": _single(retriever, world),
        }


def _of_length(retriever: EditRetriever, world: World, length: int) -> dict[str, Any]:
    chains = [chain for chain in world.chains if len(chain.edits) == length]
    found = [retriever.retrieve(chain.question) for chain in chains]
    gated = retriever.model_copy(update={"hops": 0})
    ungated = gated.model_copy(update={"gate": None})
    hits = [_hits(chain, matches) for chain, matches in zip(chains, found, strict=True)]
    pairs = list(zip(chains, found, strict=True))
    return {
        "questions": len(chains),
        "complete": mean(len(hit) == length for hit in hits),
        "complete_without_hops": mean(
            len(_hits(chain, gated.retrieve(chain.question))) == length for chain in chains
        ),
        "complete_ungated": mean(
            len(_hits(chain, ungated.retrieve(chain.question))) == length for chain in chains
        ),
        "recall": mean(value for hit in hits for value in [len(hit) / length]),
        "in_order": mean(hit == sorted(hit) for hit in hits if len(hit) == length),
        "precision": mean(_right(chain, match) for chain, found in pairs for match in found),
        "hop_precision": mean(
            _right(chain, match) for chain, found in pairs for match in found if match.hop
        ),
        "distracted": mean(
            any(match.hop and not _right(chain, match) for match in found) for chain, found in pairs
        ),
    }


def _single(retriever: EditRetriever, world: World) -> dict[str, Any]:
    found = [(chain, retriever.retrieve(chain.first_question)) for chain in world.chains]
    return {
        "questions": len(found),
        "found": mean(chain.edits[0] in map(_plain, matches) for chain, matches in found),
        "led_on": mean(any(match.hop for match in matches) for _, matches in found),
    }


def _hits(chain: Chain, matches: Sequence[EditMatch]) -> list[int]:
    """Return the places in the chain of the edits found, in the order found."""
    plain = [_plain(match) for match in matches]
    return [chain.edits.index(edit) for edit in plain if edit in chain.edits]


def _right(chain: Chain, match: EditMatch) -> bool:
    return _plain(match) in chain.edits


def _plain(match: EditMatch) -> Edit:
    """Return the edit as it was before a memory held it."""
    edit = match.edit
    return Edit(
        prompt=edit.prompt,
        target_new=edit.target_new,
        subject=edit.subject,
        relation=edit.relation,
    )
