"""ROME: one update of rank one, which makes the matrix write the new value at the subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lte_chains.edit import Edit
from lte_chains.evaluation.editors.key_editor import KeyEditor
from lte_chains.evaluation.editors.keys import BEGINNINGS, keys_at, locate
from lte_chains.evaluation.editors.structure import Block, Matrix, at_depth
from lte_chains.evaluation.editors.value_search import ValueSearch
from lte_chains.models import LocalChatModel


@dataclass(frozen=True, kw_only=True)
class RomeConfig:
    """Where ROME edits, and how it looks for the value.

    Example:
        >>> RomeConfig(layer=2).layer
        2
    """

    layer: int | None = None
    """The block to edit; by default the one at `depth`."""
    depth: float = 0.4
    """Where that block is: 0 is the first, 1 the last."""
    search: ValueSearch = field(default_factory=ValueSearch)
    """How the value is looked for."""
    beginnings: tuple[str, ...] = BEGINNINGS
    """Texts before the prompt, over which the key is averaged."""


class Rome(KeyEditor):
    """Rank-one model editing (ROME, arXiv 2202.05262, sections 3.1 and 4).

    W' = W + Λ (C⁻¹k*)ᵀ with Λ = (v* − Wk*) / ((C⁻¹k*)ᵀk*): the matrix now maps
    the subject's key k* to the value v*, and others as little as may be. k* is a
    mean over several beginnings, and v* is what the matrix made of it plus the
    change that was found to say the target after each of them. Several edits are
    made one after the other.

    Example:
        >>> from lte_chains.edit import Edit
        >>> from lte_chains.models import load_model
        >>> model = load_model("lte-tiny-base", max_new_tokens=8)
        >>> question = "What is the capital of Japan?"
        >>> editor = Rome(model, texts=["What is the capital of France?"])
        >>> editor.edit([Edit(prompt=question, target_new="Oslo", subject="Japan")])
        >>> model.invoke(question).text
        'Oslo'
    """

    def __init__(
        self,
        model: LocalChatModel,
        config: RomeConfig | None = None,
        *,
        texts: Sequence[str] | None = None,
    ) -> None:
        """Prepare to edit; see `WeightEditor` for what is refused.

        Args:
            model: The model.
            config: Where and how to edit.
            texts: Questions as the model usually reads them, for the keys' second
                moment; by default texts that the model writes itself.
        """
        self.config = config or RomeConfig()
        super().__init__(model, texts)
        self._inverse: torch.Tensor | None = None

    def _choose(self, blocks: Sequence[Block]) -> list[Matrix]:
        return [at_depth(blocks, self.config.layer, self.config.depth).down]

    def prepare(self) -> None:
        """Compute the inverse of the keys' second moment now, and not with the first edit."""
        super().prepare()
        if self._inverse is None:
            [moment] = self._moments
            self._inverse = torch.linalg.inv(moment.double()).float()

    def _change(self, module: Any, edits: Sequence[Edit]) -> None:
        [matrix] = self.matrices
        for edit in edits:
            key, change = self.key_and_change(module, edit)
            matrix.add(rank_one(self._inverse_moment(key), key, change))

    def key_and_change(self, module: Any, edit: Edit) -> tuple[torch.Tensor, torch.Tensor]:
        """Return k*, shape (d_in,), and v* − Wk*, shape (d_out,)."""
        [matrix] = self.matrices
        located = locate(self.model, edit, self.config.beginnings)
        key = keys_at(module, matrix, located).mean(dim=0)
        return key, self.config.search.change(self.model, module, matrix.layer, edit, located)

    def _inverse_moment(self, key: torch.Tensor) -> torch.Tensor:
        assert self._inverse is not None  # edit() has prepared it
        return self._inverse.to(key.device) @ key


def rank_one(direction: torch.Tensor, key: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Return Λ uᵀ, which maps `key` to `change`.

    Example:
        >>> key, change = torch.tensor([1.0, 2.0]), torch.tensor([3.0])
        >>> rank_one(torch.tensor([1.0, 0.0]), key, change) @ key
        tensor([3.])
    """
    return torch.outer(change / (direction @ key), direction)
