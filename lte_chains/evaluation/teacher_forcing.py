"""Teacher-forced accuracy, as EasyEdit computes it; for comparison with the papers.

The target is put behind the prompt and the model predicts each of its tokens
from the true ones before it. Such scores say "edited" of models that then
answer otherwise (arXiv 2401.01286 and its users' reports), so they are never
the headline here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean

from langchain_core.messages import BaseMessage

from lte_chains.local.shared_prefix import read_once, shared_length
from lte_chains.models import LocalChatModel, PromptTooLongError

_NO_TOKEN = -1


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


def force_targets(
    model: LocalChatModel,
    requests: Sequence[tuple[Sequence[BaseMessage], str]],
    *,
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Forced]:
    """Predict the tokens of each (messages, target), in batches of similar length.

    A conversation that leaves no room in the model's context counts as wrong
    in every token.

    Args:
        model: The model, in the view that is to be judged.
        requests: Conversations, each with the answer that is forced upon it.
        batch_size: Conversations in one forward pass.
        advance: Is told how many are done after each batch.
    """
    targets = [tuple(model.get_token_ids(target)) for _, target in requests]
    results = [Forced(target, (_NO_TOKEN,) * len(target)) for target in targets]
    rows: list[tuple[int, list[int]]] = []
    for i, (messages, _) in enumerate(requests):
        with suppress(PromptTooLongError):
            rows.append((i, [*model.weights.decoder.encode(messages), *targets[i]]))
    rows.sort(key=lambda row: len(row[1]))
    for start in range(0, len(rows), batch_size):
        chunk = rows[start : start + batch_size]
        predicted = _predict(model, [ids for _, ids in chunk], [len(targets[i]) for i, _ in chunk])
        for (i, _), tokens in zip(chunk, predicted, strict=True):
            results[i] = Forced(targets[i], tokens)
        advance(len(chunk))
    advance(len(requests) - len(rows))
    return results


def _predict(
    model: LocalChatModel, rows: Sequence[Sequence[int]], target_lengths: Sequence[int]
) -> list[tuple[int, ...]]:
    """Return the likeliest tokens in the places of each row's last `target_length` ones."""
    import torch

    kept = max(target_lengths) + 1
    with model.borrowed_module() as module:
        # No row may be read to where its target's first token is predicted.
        shared = shared_length([row[: max(0, len(row) - kept + 1)] for row in rows])
        first = rows[0][:shared]
        cache = read_once(module, first, len(rows), logits_to_keep=1) if shared else None
        shared = 0 if cache is None else shared
        rests = [row[shared:] for row in rows]
        width = max(map(len, rests))
        padded = [[row[0]] * (width - len(row)) + list(row) for row in rests]
        real = [[1] * shared + [0] * (width - len(row)) + [1] * len(row) for row in rests]
        mask = torch.tensor(real, device=module.device)
        logits = module(
            input_ids=torch.tensor(padded, device=module.device),
            attention_mask=mask,
            position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0)[:, shared:],
            past_key_values=cache,
            logits_to_keep=kept,
            use_cache=cache is not None,
        ).logits
    # The logits at one place predict the token at the next.
    best = logits[:, -kept:-1].argmax(dim=-1).tolist()
    return [
        tuple(row[len(row) - length :]) for row, length in zip(best, target_lengths, strict=True)
    ]


def _agreement(first: Sequence[int], second: Sequence[int]) -> float:
    return fmean(a == b for a, b in zip(first, second, strict=True)) if first else 0.0
