"""MEND's hypernetwork: it turns an edit's gradient into a better change of the weights.

Source: MEND (arXiv 2110.11309), section 3. A linear layer's gradient is a sum
over tokens of δ xᵀ, so the network never sees a matrix: it maps each token's
(x, δ) to another pair of the same shapes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lte_chains.errors import ConfigError, ModelError
from lte_chains.evaluation.editors.structure import Block, Matrix, row_by_row
from lte_chains.evaluation.editors.token_rows import Batch

Factors = tuple[torch.Tensor, torch.Tensor]
"""What a layer reads and the gradient of what it gives: (tokens, d_in) and (tokens, d_out)."""


@dataclass(frozen=True, kw_only=True)
class HypernetworkConfig:
    """Size of a hypernetwork, and which matrices it changes.

    Example:
        >>> HypernetworkConfig(rank=16).blocks
        3
    """

    blocks: int = 3
    """How many of the model's last blocks it edits."""
    rank: int = 128
    """Rank of each layer of the network."""
    depth: int = 2
    """Layers of the network."""
    first_rate: float = 1e-3
    """What α begins with."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("blocks", "rank", "depth"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: use 1 or more")

    def choose(self, blocks: Sequence[Block]) -> list[Matrix]:
        """Return the feed-forward matrices of the last blocks."""
        return [m for block in blocks[-self.blocks :] for m in (*block.up, block.down)]


class Normaliser(nn.Module):
    """Subtract a running mean and divide by a running deviation; before any data, do nothing."""

    total: torch.Tensor
    squares: torch.Tensor
    count: torch.Tensor

    def __init__(self, width: int) -> None:
        """Begin without data."""
        super().__init__()
        self.register_buffer("total", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def observe(self, values: torch.Tensor) -> None:
        """Take values into the mean and the deviation, shape (tokens, width)."""
        exact = values.detach().double()
        self.total += exact.sum(dim=0)
        self.squares += (exact**2).sum(dim=0)
        self.count += len(exact)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Normalise values, shape (tokens, width)."""
        if self.count < 2:
            return values
        mean = self.total / self.count
        variance = (self.squares / self.count - mean**2).clamp(min=0)
        deviation = variance.sqrt().clamp(min=1e-12)
        return ((values.double() - mean) / deviation).to(values.dtype)


class _Layer(nn.Module):
    """A residual layer of low rank that is the identity as long as U is zero."""

    def __init__(
        self, width: int, rank: int, users: int, *, last: bool, drawn: torch.Generator
    ) -> None:
        super().__init__()
        self.V = nn.Parameter(torch.randn(rank, width, generator=drawn))
        self.U = nn.Parameter(torch.zeros(width, rank))
        self.bias = nn.Parameter(torch.zeros(width))
        # Matrices of one shape share the network, and tell themselves apart by these.
        self.scale = nn.Parameter(torch.ones(users, width))
        self.shift = nn.Parameter(torch.zeros(users, width))
        self.last = last

    def forward(self, values: torch.Tensor, user: int) -> torch.Tensor:
        change = values @ self.V.T @ self.U.T + self.bias
        change = self.scale[user] * change + self.shift[user]
        # clamp and not relu: its gradient at zero is one, where all begins.
        return values + (change if self.last else change.clamp(min=0))


class _Net(nn.Module):
    """The network of all matrices of one shape."""

    def __init__(
        self,
        shape: tuple[int, int],
        users: int,
        config: HypernetworkConfig,
        drawn: torch.Generator,
    ) -> None:
        super().__init__()
        d_in, d_out = shape
        self.d_in = d_in
        self.x = Normaliser(d_in)
        self.delta = Normaliser(d_out)
        self.layers = nn.ModuleList(
            _Layer(d_in + d_out, config.rank, users, last=i == config.depth - 1, drawn=drawn)
            for i in range(config.depth)
        )

    def forward(self, x: torch.Tensor, delta: torch.Tensor, user: int) -> Factors:
        values = torch.cat([self.x(x), self.delta(delta)], dim=-1)
        for layer in self.layers:
            values = layer(values, user)
        return values[:, : self.d_in], values[:, self.d_in :]


class Hypernetwork(nn.Module):
    """One network for each shape of matrix, and a learning rate for each matrix.

    Example:
        >>> net = Hypernetwork([(4, 2)], HypernetworkConfig(rank=3))
        >>> x, delta = torch.ones(1, 4), torch.ones(1, 2)
        >>> changes = net.changes([(x, delta)])  # at its start a step of gradient descent
        >>> torch.allclose(changes[0], -1e-3 * torch.ones(2, 4))
        True
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        config: HypernetworkConfig | None = None,
        *,
        seed: int = 0,
    ) -> None:
        """Make a network that is the identity.

        Args:
            shapes: (d_in, d_out) of each matrix.
            config: Its size.
            seed: Seed of what training begins with.
        """
        super().__init__()
        self.config = config or HypernetworkConfig()
        self.shapes = [(int(d_in), int(d_out)) for d_in, d_out in shapes]
        counts = {shape: self.shapes.count(shape) for shape in self.shapes}
        drawn = torch.Generator().manual_seed(seed)
        self.nets = nn.ModuleDict(
            {_key(shape): _Net(shape, count, self.config, drawn) for shape, count in counts.items()}
        )
        self._users = [self.shapes[:i].count(shape) for i, shape in enumerate(self.shapes)]
        self.rates = nn.Parameter(torch.full((len(self.shapes),), self.config.first_rate))

    def observe(self, factors: Sequence[Factors]) -> None:
        """Take an edit's factors into the running means."""
        for shape, (x, delta) in zip(self.shapes, factors, strict=True):
            net: Any = self.nets[_key(shape)]
            net.x.observe(x)
            net.delta.observe(delta)

    def changes(self, factors: Sequence[Factors]) -> list[torch.Tensor]:
        """Return what to add to each matrix, −α Σ δ̃ x̃ᵀ, shape (d_out, d_in)."""
        found = []
        for i, (shape, (x, delta)) in enumerate(zip(self.shapes, factors, strict=True)):
            new_x, new_delta = self.nets[_key(shape)](x, delta, self._users[i])
            found.append(-self.rates[i] * new_delta.T @ new_x)
        return found

    def save(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Write the network as safetensors, beside a JSON record of what it is for.

        Its weights are rounded to half precision; the statistics of what it reads are not.
        """
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = {
            name: (value.half() if value.dtype == torch.float32 else value).contiguous()
            for name, value in self.state_dict().items()
        }
        save_file(state, folder / _WEIGHTS)
        described = {"shapes": self.shapes, "config": asdict(self.config), **record}
        (folder / _RECORD).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> tuple[Hypernetwork, dict[str, Any]]:
        """Read a network and its record.

        Raises:
            ModelError: The folder holds none, or its files are damaged.
        """
        from safetensors.torch import load_file

        try:
            record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
            shapes = [(int(d_in), int(d_out)) for d_in, d_out in record["shapes"]]
            network = cls(shapes, HypernetworkConfig(**record["config"]))
            network.load_state_dict(load_file(folder / _WEIGHTS))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"{folder} holds no trained hypernetwork: {error}") from error
        network.requires_grad_(requires_grad=False)
        return network, record


_WEIGHTS = "hypernetwork.safetensors"
_RECORD = "editor.json"


def factors_of(module: Any, matrices: Sequence[Matrix], batch: Batch) -> list[list[Factors]]:
    """Return each row's factors for each matrix: rows, then matrices.

    They are those of the row's loss; positions where all of δ is zero are dropped.

    Args:
        module: The model.
        matrices: Whose inputs and output gradients are wanted.
        batch: Questions with their targets.
    """
    read: dict[int, torch.Tensor] = {}
    given: dict[int, torch.Tensor] = {}

    def hook(number: int, inputs: Any, output: torch.Tensor) -> None:
        read[number] = row_by_row(inputs[0], matrices[number].name).detach()
        given[number] = output

    # By number: a model may run its layers in another order than it names them.
    handles = [
        matrix.layer.register_forward_hook(lambda _, i, o, number=number: hook(number, i, o))
        for number, matrix in enumerate(matrices)
    ]
    # Gradients reach the outputs only if something below them asks for one.
    weights = {m.parameter_name: m.weight.detach().clone().requires_grad_() for m in matrices}
    numbers = range(len(matrices))
    try:
        loss = batch.losses(batch.logits(module, weights)).sum()
        deltas = torch.autograd.grad(loss, [given[number] for number in numbers])
    finally:
        for handle in handles:
            handle.remove()
    return [
        [_kept(read[number][row], deltas[number][row]) for number in numbers]
        for row in range(len(batch.ids))
    ]


def weights_digest(matrices: Sequence[Matrix]) -> str:
    """Return a fingerprint of the matrices' numbers: what a hypernetwork was trained for."""
    digest = hashlib.sha256()
    for matrix in matrices:
        digest.update(matrix.weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _kept(x: torch.Tensor, delta: torch.Tensor) -> Factors:
    keep = (delta != 0).any(dim=-1)
    return x[keep].float(), delta[keep].float()


def _key(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"
