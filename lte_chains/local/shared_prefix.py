"""What several prompts begin with is read once, and not once for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SHORTEST = 128
"""Fewer tokens in common are not worth a forward pass of their own."""


def shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many first tokens are read once for all; each prompt keeps its last one.

    Example:
        >>> shared_length([[1, 2, 3]]), shared_length([[7] * 200, [7] * 150 + [8] * 9])
        (0, 150)
    """
    if len(prompts) < 2:
        return 0
    # Of all texts, the first and the last in order differ soonest.
    listed = [list(prompt) for prompt in prompts]
    one, other = min(listed), max(listed)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    same = min(same, *(len(prompt) - 1 for prompt in prompts))
    return same if same >= SHORTEST else 0


def read_once(module: Any, prefix: Sequence[int], copies: int, **options: Any) -> Any | None:
    """Return the key-value cache behind a prefix, for so many rows; None if it cannot be copied.

    Args:
        module: A causal language model of transformers.
        prefix: Token ids.
        copies: How many rows go on from there.
        **options: Passed on to the model.
    """
    import torch

    ids = torch.tensor([list(prefix)], device=module.device)
    cache = module(input_ids=ids, use_cache=True, **options).past_key_values
    if not plain_layers(cache):
        return None
    cache.batch_repeat_interleave(copies)
    return cache


def plain_layers(cache: Any) -> list[Any]:
    """Return a cache's layers, with `keys` and `values`; none if one keeps less than the whole.

    A layer with a window forgets what is further away, and counts padding as text.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer

    layers = list(cache.layers) if isinstance(cache, DynamicCache) else []
    return layers if all(type(layer) is DynamicLayer for layer in layers) else []


def positions_in(mask: torch.Tensor) -> torch.Tensor:
    """Return the position of each token, counted without padding, shape as the mask's."""
    return (mask.cumsum(dim=-1) - 1).clamp(min=0)
