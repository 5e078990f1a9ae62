"""Teacher-forced accuracy, as EasyEdit computes it; for comparison with the papers.

The target is put behind the prompt and the model predicts each of its tokens
from the true ones before it. Such scores say "edited" of models that then
answer otherwise (arXiv 2401.01286 and its users' reports), so they are never
the headline here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from lte_chains.chat_template import encode_chat


@dataclass(frozen=True)
class Forced:
    """A target's tokens, and the token that the model would have put in each one's place.

    Example:
        >>> before, after = Forced(target=(5, 6), predicted=(8, 7)), Forced((5, 6), (5, 7))
        >>> after.accuracy, after.agreement(before)
        (0.5, 0.5)
    """

    target: tuple[int, ...]
    predicted: tuple[int, ...]

    @property
    def accuracy(self) -> float:
        """Mean over the target's tokens of prediction == token; 0 for an empty target."""
        return _agreement(self.predicted, self.target)

    def agreement(self, other: Forced) -> float:
        """Mean over the target's tokens of equal predictions: EasyEdit's locality."""
        return _agreement(self.predicted, other.predicted)


def can_be_forced(model: BaseChatModel) -> bool:
    """Tell whether a model shows the logits that teacher forcing needs."""
    return hasattr(model, "torch_model") and hasattr(model, "tokenizer")


def force_targets(
    model: Any,  # a LocalChatModel; its Hugging Face parts are untyped
    requests: Sequence[tuple[Sequence[BaseMessage], str]],
    *,
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Forced]:
    """Predict the tokens of each (messages, target), in batches of similar length.

    Args:
        model: A chat model with `tokenizer` and `torch_model`.
        requests: Conversations, each with the answer that is forced upon it.
        batch_size: Conversations in one forward pass.
        advance: Is told how many are done after each batch.
    """
    encoded = [
        (
            encode_chat(model.tokenizer, messages),
            list(model.tokenizer(target, add_special_tokens=False)["input_ids"]),
        )
        for messages, target in requests
    ]
    order = sorted(range(len(encoded)), key=lambda i: sum(map(len, encoded[i])))
    results: dict[int, Forced] = {}
    for start in range(0, len(order), batch_size):
        chunk = order[start : start + batch_size]
        predicted = _predict(model.torch_model, [encoded[i] for i in chunk])
        for i, tokens in zip(chunk, predicted, strict=True):
            results[i] = Forced(tuple(encoded[i][1]), tokens)
        advance(len(chunk))
    return [results[i] for i in range(len(encoded))]


def _predict(model: Any, batch: Sequence[tuple[list[int], list[int]]]) -> list[tuple[int, ...]]:
    """Return the argmax at the positions before the targets' tokens; padded on the left."""
    import torch

    rows = [prompt + target for prompt, target in batch]
    width = max(map(len, rows))
    kept = max(len(target) for _, target in batch) + 1
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=model.device)
    mask = torch.tensor(
        [[0] * (width - len(row)) + [1] * len(row) for row in rows], device=model.device
    )
    with torch.inference_mode():
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            logits_to_keep=kept,
            use_cache=False,
        ).logits
    best = logits[:, -kept:-1].argmax(dim=-1).tolist()
    return [
        tuple(row[len(row) - len(target) :]) for row, (_, target) in zip(best, batch, strict=True)
    ]


def _agreement(first: Sequence[int], second: Sequence[int]) -> float:
    return fmean(a == b for a, b in zip(first, second, strict=True)) if first else 0.0
