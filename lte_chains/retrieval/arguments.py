"""What an `EditRetriever` is made with, checked before anything else is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel

from lte_chains.arguments import require_count
from lte_chains.errors import ConfigError
from lte_chains.memory import EditMemory
from lte_chains.scope import ScopeGate


def checked_fields(
    fields: Mapping[str, Any], *, known: Collection[str], search_types: Collection[str]
) -> dict[str, Any]:
    """Check the arguments of a retriever and move `search_kwargs["k"]` to `k`.

    Args:
        fields: What was given.
        known: The retriever's fields.
        search_types: What `search_type` may be.

    Raises:
        ConfigError: One is unknown or wrong.
    """
    ignored = sorted(fields.keys() - set(known))
    if ignored:
        raise ConfigError(
            f"unknown arguments {ignored}: use k, gate, hops, hop_rules, max_tokens, "
            "token_counter, decomposer, namespace_from_config, search_kwargs, name, tags "
            "and metadata"
        )
    memory = fields.get("vectorstore")
    if not isinstance(memory, EditMemory):
        raise ConfigError(f"vectorstore must be an EditMemory, not {type(memory).__name__}")
    search_type = fields.get("search_type", "similarity")
    if search_type not in search_types:
        raise ConfigError(
            f"search_type={search_type!r} is not supported: edits are searched by similarity "
            "and then gated; for a threshold of your own use gate=SimilarityGate(threshold=…)"
        )
    gate = fields.get("gate")
    if gate is not None and not isinstance(gate, ScopeGate):
        raise ConfigError(f"gate must have a judge method, as SimilarityGate has, not {gate!r}")
    _check_hops(fields)
    search_kwargs = dict(fields.get("search_kwargs") or {})
    unknown = sorted(search_kwargs.keys() - {"k", "filter"})
    if unknown:
        raise ConfigError(f"unknown search_kwargs {unknown}: use 'k' and 'filter'")
    in_kwargs = search_kwargs.pop("k", None)
    k = fields.get("k", in_kwargs if in_kwargs is not None else 3)
    if in_kwargs is not None and in_kwargs != k:
        raise ConfigError(f"k={k!r} and search_kwargs['k']={in_kwargs!r} differ: give one of them")
    return {**fields, "k": require_count("k", k), "search_kwargs": search_kwargs}


def _check_hops(fields: Mapping[str, Any]) -> None:
    hops = fields.get("hops", 0)
    if isinstance(hops, bool) or not isinstance(hops, int) or hops < 0:
        raise ConfigError(f"hops must be a whole number of at least 0, not {hops!r}")
    if fields.get("max_tokens") is not None:
        require_count("max_tokens", fields["max_tokens"])
    decomposer = fields.get("decomposer")
    if decomposer is not None and not isinstance(decomposer, BaseChatModel):
        raise ConfigError(f"decomposer must be a chat model, not {decomposer!r}")
