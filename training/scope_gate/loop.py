"""The training loop: BERT weights in, a pair network out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from safetensors.torch import load_file
from torch import Tensor

from lte_chains.scope.network import PairNetwork, load, tensors
from lte_chains.scope.pairs import POSITIONS, PROMPT, TYPES, PairEncoder
from lte_chains.training.scope_gate.pairs import Pair

_log = logging.getLogger(__name__)

_LOG_EVERY = 50
_PARTS = {
    "attention.output.dense": "mix",
    "attention.output.LayerNorm": "after_attention",
    "intermediate.dense": "expand",
    "output.dense": "contract",
    "output.LayerNorm": "after_feedforward",
}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast is learned."""

    steps: int
    batch: int
    bucket: int
    learning_rate: float
    warmup: float
    weight_decay: float
    average_weights: float
    """Memory of the average over the steps that the weights end as; 0 for the last ones."""

    @property
    def checkpoints(self) -> list[int]:
        """After how many steps `train` calls its checkpoint: every quarter.

        Example:
            >>> Schedule(steps=100, batch=1, bucket=1, learning_rate=1e-3, warmup=0.1,
            ...          weight_decay=0.0, average_weights=0.0).checkpoints
            [25, 50, 75, 100]
        """
        quarter = max(1, self.steps // 4)
        return list(range(quarter, self.steps + 1, quarter))

    def rate(self, step: int) -> float:
        """Return the share of the learning rate at a step: linear warm-up, then a cosine.

        Example:
            >>> schedule = Schedule(steps=100, batch=1, bucket=1, learning_rate=1e-3,
            ...                     warmup=0.1, weight_decay=0.0,
            ...                     average_weights=0.0)
            >>> schedule.rate(4), round(schedule.rate(99), 3)
            (0.5, 0.0)
        """
        begin = max(1, int(self.warmup * self.steps))
        if step < begin:
            return (step + 1) / begin
        return 0.5 * (1 + math.cos(math.pi * (step - begin) / max(1, self.steps - begin)))


def from_bert(weights: Path, layers: Sequence[int], *, dropout: float) -> PairNetwork:
    """Return a network that begins as some layers of a BERT of its width.

    Args:
        weights: The BERT's ``model.safetensors``.
        layers: Which of its layers to keep, in order.
        dropout: Share of activations that are dropped while training.
    """
    bert = load_file(weights)
    network = PairNetwork(len(layers), dropout=dropout)
    state: dict[str, Tensor] = {
        "words.weight": bert["embeddings.word_embeddings.weight"],
        "positions.weight": bert["embeddings.position_embeddings.weight"][:POSITIONS],
        "types.weight": _types(bert["embeddings.token_type_embeddings.weight"]),
        "normalise.weight": bert["embeddings.LayerNorm.weight"],
        "normalise.bias": bert["embeddings.LayerNorm.bias"],
        "pool.weight": torch.eye(network.pool.out_features),
        "pool.bias": torch.zeros(network.pool.out_features),
        "score.weight": network.score.weight.detach(),
        "score.bias": torch.zeros(1),
    }
    for place, layer in enumerate(layers):
        state |= _layer(bert, f"encoder.layer.{layer}.", f"layers.{place}.")
    network.load_state_dict({name: value.float() for name, value in state.items()})
    # Frozen, so that rare names keep the meaning that the training does not show.
    network.words.requires_grad_(False)
    return network


def from_gate(weights: Path, *, dropout: float) -> PairNetwork:
    """Return a network that begins as a trained one.

    Args:
        weights: The gate's ``model.safetensors``.
        dropout: Share of activations that are dropped while training.
    """
    state = load(weights, dtype=torch.float32).state_dict()
    layers = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("layers."))
    network = PairNetwork(layers, dropout=dropout)
    network.load_state_dict(state)
    network.words.requires_grad_(False)
    return network


def train(
    network: PairNetwork,
    encoder: PairEncoder,
    pairs: Iterator[Pair],
    schedule: Schedule,
    *,
    checkpoint: Callable[[int], None] | None = None,
) -> float:
    """Train until the schedule ends.

    Args:
        network: Changed in place.
        encoder: Makes tokens.
        pairs: Without end.
        schedule: How long and how fast.
        checkpoint: Called after every quarter of the steps, with the steps done, while
            the network has the averaged weights.

    Returns:
        The mean loss of the last steps.
    """
    optimizer = torch.optim.AdamW(_groups(network, schedule.weight_decay), lr=0.0, fused=True)
    batches = _batches(pairs, encoder, schedule)
    average = {name: p.detach().clone() for name, p in _learned(network)}
    losses: list[float] = []
    begun = time.monotonic()
    network.train()
    for step in range(schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * schedule.rate(step)
        arguments, labels = next(batches)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores = network(*arguments)
        loss = F.binary_cross_entropy_with_logits(scores.float(), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        decay = min(schedule.average_weights, step / (step + 10))
        with torch.no_grad():
            for name, weight in _learned(network):
                average[name].lerp_(weight, 1 - decay)
        losses = [*losses[-199:], loss.item()]
        done = step + 1
        if done % _LOG_EVERY == 0:
            recent = losses[-_LOG_EVERY:]
            speed = done * schedule.batch / (time.monotonic() - begun)
            _log.info(
                "step %d: loss %.4f, %.0f pairs a second", done, sum(recent) / len(recent), speed
            )
        if checkpoint is not None and done in schedule.checkpoints:
            last = {name: p.detach().clone() for name, p in _learned(network)}
            network.load_state_dict(average, strict=False)
            checkpoint(done)
            network.load_state_dict(last, strict=False)
            network.train()
    network.load_state_dict(average, strict=False)
    network.eval()
    return sum(losses) / len(losses)


def mean_of(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of weights, one by one.

    Example:
        >>> mean_of([{"a": torch.tensor([1.0])}, {"a": torch.tensor([2.0])}])
        {'a': tensor([1.5000])}
    """
    return {name: torch.stack([s[name] for s in states]).mean(dim=0) for name in states[0]}


def scores_of(
    network: PairNetwork, encoder: PairEncoder, pairs: Sequence[Pair], *, batch: int = 256
) -> list[float]:
    """Return the network's scores of pairs, in their order."""
    network.eval()
    encoded = [encoder.pair(pair.question, pair.edit) for pair in pairs]
    order = sorted(range(len(pairs)), key=lambda i: len(encoded[i][0]))
    scores = [0.0] * len(pairs)
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        arguments = tensors(encoder.batch([encoded[i] for i in places]))
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            found = network(*arguments).float().tolist()
        for place, score in zip(places, found, strict=True):
            scores[place] = score
    return scores


def _batches(
    pairs: Iterator[Pair], encoder: PairEncoder, schedule: Schedule
) -> Iterator[tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
    """Draw many pairs, sort them by length, and give them out in shuffled batches."""
    order = torch.Generator().manual_seed(0)
    while True:
        drawn = list(islice(pairs, schedule.batch * schedule.bucket))
        encoded = [(encoder.pair(pair.question, pair.edit), pair.in_scope) for pair in drawn]
        encoded.sort(key=lambda item: len(item[0][0]))
        for place in torch.randperm(schedule.bucket, generator=order).tolist():
            own = encoded[place * schedule.batch : (place + 1) * schedule.batch]
            labels = torch.tensor([float(label) for _, label in own])
            yield tensors(encoder.batch([tokens for tokens, _ in own])), labels


def _learned(network: PairNetwork) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, p) for name, p in network.named_parameters() if p.requires_grad]


def _groups(network: PairNetwork, weight_decay: float) -> list[dict[str, object]]:
    learned = [p for _, p in _learned(network)]
    return [
        {"params": [p for p in learned if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in learned if p.dim() < 2], "weight_decay": 0.0},
    ]


def _types(bert: Tensor) -> Tensor:
    """Begin the types of a question as BERT's first segment, those of an edit as its second."""
    return torch.stack([bert[0] if kind < PROMPT else bert[1] for kind in range(TYPES)])


def _layer(bert: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    state = {}
    for end in ("weight", "bias"):
        heads = [bert[f"{theirs}attention.self.{name}.{end}"] for name in ("query", "key", "value")]
        state[f"{ours}attend.{end}"] = torch.cat(heads)
        for name, own in _PARTS.items():
            state[f"{ours}{own}.{end}"] = bert[f"{theirs}{name}.{end}"]
    return state
