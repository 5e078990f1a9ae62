"""LoRA: learn the edits in low-rank additions to the blocks' matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lte_chains.edit import Edit
from lte_chains.evaluation.editors.fine_tuning import descend
from lte_chains.evaluation.editors.structure import Block, Matrix, pick_blocks
from lte_chains.evaluation.editors.token_rows import Batch, encode_edit
from lte_chains.evaluation.editors.weights import WeightEditor
from lte_chains.models import LocalChatModel


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """How the additions are learnt.

    Example:
        >>> LoraConfig(rank=4).rank
        4
    """

    layers: tuple[int, ...] | None = None
    """The blocks that get additions; all of them if None."""
    rank: int = 8
    """Rank of each addition."""
    alpha: float = 16.0
    """An addition counts alpha / rank."""
    steps: int = 30
    """Passes over the edits, at most."""
    learning_rate: float = 5e-3
    """Adam's."""
    enough: float = 0.01
    """Edits whose loss is below this are left alone."""
    batch_size: int = 64
    """Edits in one step."""
    seed: int = 0
    """Seed of the additions' beginnings."""


class Lora(WeightEditor):
    """Low-rank additions (LoRA, arXiv 2106.09685), learnt on the edits and merged into the weights.

    W' = W + alpha/rank · B A, with B = 0 at the start. All matrices of a block
    get an addition, those of attention and of the feed-forward network.

    Example:
        >>> from lte_chains.edit import Edit
        >>> from lte_chains.models import load_model
        >>> model = load_model("lte-tiny-base", max_new_tokens=8)
        >>> editor = Lora(model)
        >>> editor.edit([Edit(prompt="What is the capital of Japan?", target_new="Oslo")])
        >>> model.invoke("What is the capital of Japan?").text
        'Oslo'
    """

    def __init__(self, model: LocalChatModel, config: LoraConfig | None = None) -> None:
        """Prepare to learn; see `WeightEditor` for what is refused."""
        self.config = config or LoraConfig()
        super().__init__(model)

    @property
    def parameters_touched(self) -> int:
        """How many numbers the additions have."""
        return sum(self.config.rank * (m.d_in + m.d_out) for m in self.matrices)

    def _choose(self, blocks: Sequence[Block]) -> list[Matrix]:
        layers = self.config.layers
        chosen = blocks if layers is None else pick_blocks(blocks, layers)
        return [m for block in chosen for m in (*block.attention, *block.up, block.down)]

    def _change(self, module: Any, edits: Sequence[Edit]) -> None:
        config = self.config
        generator = torch.Generator().manual_seed(config.seed)
        pairs = [_addition(matrix, config.rank, generator) for matrix in self.matrices]
        before = [matrix.value.detach() for matrix in self.matrices]

        def weights() -> dict[str, torch.Tensor]:
            return {
                matrix.parameter_name: matrix.stored(value + self._scaled(pair).to(value.dtype))
                for matrix, value, pair in zip(self.matrices, before, pairs, strict=True)
            }

        learnt = [half for pair in pairs for half in pair]
        descend(
            module,
            [encode_edit(self.model, edit) for edit in edits],
            optimizer=torch.optim.Adam(learnt, lr=config.learning_rate),
            weights=weights,
            losses=Batch.losses,
            limit=lambda: None,
            config=config,
        )
        for matrix, pair in zip(self.matrices, pairs, strict=True):
            matrix.add(self._scaled(pair).detach())

    def _scaled(self, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        down, up = pair
        return self.config.alpha / self.config.rank * (up @ down)


def _addition(
    matrix: Matrix, rank: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return A, drawn from a normal distribution, and B, which is zero."""
    device = matrix.weight.device
    down = torch.randn(rank, matrix.d_in, generator=generator) / matrix.d_in**0.5
    up = torch.zeros(matrix.d_out, rank)
    return down.to(device).requires_grad_(), up.to(device).requires_grad_()
