"""MEMIT: many edits at once, spread over the feed-forward matrices of several blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.key_editor import KeyEditor
from lte_chains.evaluation.editors.keys import (
    BEGINNINGS,
    Located,
    keys_at,
    locate,
    outputs_at,
)
from lte_chains.evaluation.editors.structure import Block, Matrix, at_depth, pick_blocks
from lte_chains.evaluation.editors.value_search import ValueSearch
from lte_chains.models import LocalChatModel


@dataclass(frozen=True, kw_only=True)
class MemitConfig:
    """Which blocks MEMIT edits, and how much it holds on to what they did.

    Example:
        >>> MemitConfig(layers=(1, 2)).layers
        (1, 2)
    """

    layers: tuple[int, ...] | None = None
    """The blocks to edit, from the bottom up; by default three that end at `depth`."""
    depth: float = 0.6
    """Where the last of them is: 0 is the first block, 1 the last."""
    hold: float = 0.1
    """λ, the weight of the usual keys against those of the edits, per dimension of a key: the
    paper's 15,000 for keys of about 16,000 is 1."""
    search: ValueSearch = field(default_factory=ValueSearch)
    """How values are looked for."""
    beginnings: tuple[str, ...] = BEGINNINGS
    """Texts before the prompt, over which keys are averaged."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.hold <= 0:
            raise ConfigError(f"hold={self.hold}: use more than 0")
        if self.layers is not None and list(self.layers) != sorted(set(self.layers)):
            raise ConfigError(f"layers={self.layers}: name each once, from the bottom up")


class Memit(KeyEditor):
    """Mass-editing memory in a transformer (MEMIT, arXiv 2210.07229, section 4).

    For each edit the hidden state z is looked for that makes the last of the
    blocks say the target. Then, block by block, Δ = R Kᵀ (λC + K Kᵀ)⁻¹ moves each
    edit's hidden state an equal part of the way that is left.

    Example:
        >>> from lte_chains.edit import Edit
        >>> from lte_chains.models import load_model
        >>> model = load_model("lte-tiny-base", max_new_tokens=8)
        >>> question = "What is the capital of Japan?"
        >>> editor = Memit(model, texts=["What is the capital of France?"])
        >>> editor.edit([Edit(prompt=question, target_new="Oslo", subject="Japan")])
        >>> model.invoke(question).text
        'Oslo'
    """

    def __init__(
        self,
        model: LocalChatModel,
        config: MemitConfig | None = None,
        *,
        texts: Sequence[str] | None = None,
    ) -> None:
        """Prepare to edit; see `Rome` for the arguments."""
        self.config = config or MemitConfig()
        super().__init__(model, texts)

    def _choose(self, blocks: Sequence[Block]) -> list[Matrix]:
        self._edited = self._edited_blocks(blocks)
        return [block.down for block in self._edited]

    def _edited_blocks(self, blocks: Sequence[Block]) -> list[Block]:
        if self.config.layers is not None:
            return pick_blocks(blocks, self.config.layers)
        last = at_depth(blocks, None, self.config.depth).index
        return list(blocks[max(0, last - 2) : last + 1])

    def _change(self, module: Any, edits: Sequence[Edit]) -> None:
        last = self._edited[-1].module
        located = [locate(self.model, edit, self.config.beginnings) for edit in edits]
        first = [places[0] for places in located]
        goals = outputs_at(module, last, first) + torch.stack(
            [
                self.config.search.change(self.model, module, last, edit, places)
                for edit, places in zip(edits, located, strict=True)
            ]
        )
        left = len(self.matrices)
        for matrix, moment in zip(self.matrices, self._moments, strict=True):
            keys = _mean_keys(module, matrix, located)
            residual = (goals - outputs_at(module, last, first)) / left
            weight = self.config.hold * matrix.d_in
            matrix.add(spread(keys, residual, weight * moment.to(keys.device)))
            left -= 1


def spread(keys: torch.Tensor, residual: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
    """Return Δ = R Kᵀ (λC + K Kᵀ)⁻¹ (MEMIT, equation 14).

    Args:
        keys: One key a row, shape (edits, d_in).
        residual: What each key shall be mapped to in addition, shape (edits, d_out).
        held: λC, shape (d_in, d_in).

    Example:
        >>> spread(torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0]]), torch.eye(2))
        tensor([[1., 0.]])
    """
    keys, residual, held = keys.double(), residual.double(), held.double()
    solved = torch.linalg.solve(held + keys.T @ keys, keys.T)
    change: torch.Tensor = (solved @ residual).T.float()
    return change


def _mean_keys(module: Any, matrix: Matrix, located: Sequence[Sequence[Located]]) -> torch.Tensor:
    return torch.stack([keys_at(module, matrix, places).mean(dim=0) for places in located])
