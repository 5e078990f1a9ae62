"""The cross-encoder's network: a short BERT with token types of its own, and its file format.

Weights are stored as 8-bit integers with one scale a row, and those of words as 5-bit
ones, which keeps six layers below 20 MB: the word table alone would be 23 MB in half
precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lte_chains.scope.pairs import POSITIONS, TYPES, Batch

WIDTH, HEADS, INNER, WORDS = 384, 12, 1536, 30522
_EPSILON = 1e-12
_SCALE = ".scale"
_PACKED = "words.weight"
"""The table of words: half of all weights, and never trained."""
_BITS = 5
"""Of a stored number of that table; eight numbers take as many bytes."""


class Layer(nn.Module):
    """One transformer layer, normalised after each part, as BERT is."""

    def __init__(self) -> None:
        """Make a layer with random weights."""
        super().__init__()
        self.attend = nn.Linear(WIDTH, 3 * WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.after_attention = nn.LayerNorm(WIDTH, eps=_EPSILON)
        self.expand = nn.Linear(WIDTH, INNER)
        self.contract = nn.Linear(INNER, WIDTH)
        self.after_feedforward = nn.LayerNorm(WIDTH, eps=_EPSILON)

    def forward(self, x: Tensor, mask: Tensor, dropout: float) -> Tensor:
        """Map (pairs, length, width) to the same shape; `mask` says what may be attended to."""
        pairs, length, _ = x.shape
        heads = self.attend(x).view(pairs, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        attention = _attention if self.training else F.scaled_dot_product_attention
        seen: Tensor = attention(heads[0], heads[1], heads[2], attn_mask=mask)
        mixed = self.mix(seen.transpose(1, 2).reshape(pairs, length, WIDTH))
        x = self.after_attention(x + F.dropout(mixed, dropout, self.training))
        inner = self.contract(F.gelu(self.expand(x)))
        normalised: Tensor = self.after_feedforward(x + F.dropout(inner, dropout, self.training))
        return normalised


def _attention(query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor) -> Tensor:
    """Attend as PyTorch's own function does, whose backward pass is slow on short sequences."""
    scores = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
    shares = scores.masked_fill(~attn_mask, -1e4).softmax(-1, dtype=torch.float32)
    mixed: Tensor = shares.to(value.dtype) @ value
    return mixed


class PairNetwork(nn.Module):
    """Score pairs: above 0 says that the question depends on the edit.

    Args:
        layers: How many transformer layers.
        dropout: Share of activations that are dropped while training.
    """

    def __init__(self, layers: int, *, dropout: float = 0.0) -> None:
        """Make a network with random weights."""
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.types = nn.Embedding(TYPES, WIDTH)
        self.normalise = nn.LayerNorm(WIDTH, eps=_EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.pool = nn.Linear(WIDTH, WIDTH)
        self.score = nn.Linear(WIDTH, 1)
        self._dropout = dropout

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor) -> Tensor:
        """Return one score a pair; all arguments are (pairs, length)."""
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.words(ids) + self.positions(places) + self.types(types)
        x = F.dropout(self.normalise(x), self._dropout, self.training)
        seen = mask[:, None, None, :]
        for layer in self.layers:
            x = layer(x, seen, self._dropout)
        scores: Tensor = self.score(torch.tanh(self.pool(x[:, 0]))).squeeze(-1)
        return scores


def tensors(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return a batch as the network's arguments."""
    return torch.from_numpy(batch.ids), torch.from_numpy(batch.types), torch.from_numpy(batch.mask)


def fastest_dtype() -> torch.dtype:
    """Return bfloat16 where the processor computes with it, else float32."""
    native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def save(network: PairNetwork, path: Path) -> None:
    """Store the weights: matrices as whole numbers and a scale a row, vectors as they are."""
    stored: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        weight = value.detach().float()
        if weight.dim() < 2 or weight.shape[0] == 1:
            stored[name] = weight.contiguous()
            continue
        most = 2 ** (_BITS - 1) - 1 if name == _PACKED else 127
        scale = weight.abs().amax(dim=1).clamp_min(1e-12) / most
        whole = (weight / scale[:, None]).round().to(torch.int8)
        stored[name] = _packed(whole) if name == _PACKED else whole
        stored[name + _SCALE] = scale
    save_file(stored, path)


def load(path: Path, *, dtype: torch.dtype | None = None) -> PairNetwork:
    """Load stored weights for inference, as `fastest_dtype` if `dtype` is None."""
    stored = load_file(path)
    layers = 1 + max(int(name.split(".")[1]) for name in stored if name.startswith("layers."))
    with torch.device("meta"):
        network = PairNetwork(layers)
    network.load_state_dict(_restored(stored), assign=True)
    return network.to(dtype or fastest_dtype()).eval().requires_grad_(False)


def _restored(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return stored weights as floats."""
    return {
        name: _whole(value).float() * stored[name + _SCALE][:, None]
        if name + _SCALE in stored
        else value
        for name, value in stored.items()
        if not name.endswith(_SCALE)
    }


def _packed(whole: Tensor) -> Tensor:
    """Put eight whole numbers into `_BITS` bytes; (rows, columns), of a multiple of 8 columns."""
    places = torch.arange(8)
    positive = whole.long() + 2 ** (_BITS - 1)
    joint = (positive.view(len(whole), -1, 8) << _BITS * places).sum(-1, keepdim=True)
    packed: Tensor = (joint >> 8 * places[:_BITS] & 255).to(torch.uint8).flatten(1)
    return packed


def _whole(stored: Tensor) -> Tensor:
    """Return stored whole numbers as int8; what is packed is uint8."""
    if stored.dtype != torch.uint8:
        return stored
    # One more byte, so that every number lies in two.
    groups = F.pad(stored.view(len(stored), -1, _BITS).int(), (0, 1))
    apart = [
        (groups[..., bit // 8] | groups[..., bit // 8 + 1] << 8) >> bit % 8 & 2**_BITS - 1
        for bit in range(0, 8 * _BITS, _BITS)
    ]
    whole: Tensor = (torch.stack(apart, dim=-1) - 2 ** (_BITS - 1)).to(torch.int8).flatten(1)
    return whole
