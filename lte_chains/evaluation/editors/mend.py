"""MEND: a trained hypernetwork turns an edit's gradient into a change of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch

from lte_chains.edit import Edit
from lte_chains.evaluation.editors.hypernetwork import (
    Hypernetwork,
    HypernetworkConfig,
    factors_of,
    weights_digest,
)
from lte_chains.evaluation.editors.structure import (
    Block,
    Matrix,
    UneditableModelError,
    find_blocks,
)
from lte_chains.evaluation.editors.token_rows import Batch, TokenRow, encode_edit
from lte_chains.evaluation.editors.weights import WeightEditor
from lte_chains.models import LocalChatModel

_BATCH = 16


class Mend(WeightEditor):
    """Model editor networks with gradient decomposition (MEND, arXiv 2110.11309).

    W' = W − α Σ δ̃ x̃ᵀ, with (x̃, δ̃) what the network makes of each token's input and
    output gradient. The changes of several edits are added up.

    Example:
        >>> from lte_chains.edit import Edit
        >>> from lte_chains.evaluation.editors.hypernetwork import HypernetworkConfig
        >>> from lte_chains.models import load_model
        >>> model = load_model("lte-tiny-base", max_new_tokens=8)
        >>> editor = Mend.untrained(model, HypernetworkConfig(first_rate=10.0))
        >>> editor.edit([Edit(prompt="What is the capital of Japan?", target_new="Oslo")])
        >>> editor.undo()
    """

    folder_name = "mend"
    """Where a folder of trained editors keeps this one."""

    def __init__(self, model: LocalChatModel, network: Hypernetwork, *, digest: str) -> None:
        """Put a network around a model; see `WeightEditor` for what is refused.

        Args:
            model: The model.
            network: The network.
            digest: Fingerprint of the weights that it was trained for.

        Raises:
            UneditableModelError: The model's weights are others.
        """
        self.network = network
        super().__init__(model)
        network.to(self.matrices[0].weight.device)
        if digest != weights_digest(self.matrices):
            raise UneditableModelError(
                f"the {self.folder_name} network was trained for other weights than those of "
                f"{model.model_name} ({self.matrices[0].name} differs): train one for this model "
                "(lte-chains align editors)"
            )

    @classmethod
    def load(cls, model: LocalChatModel, folder: Path) -> Self:
        """Read a trained network from a folder of trained editors.

        Raises:
            ModelError: It holds none.
            UneditableModelError: It was trained for another model.
        """
        network, record = Hypernetwork.load(folder / cls.folder_name)
        return cls(model, network, digest=record["weights"])

    @classmethod
    def untrained(
        cls, model: LocalChatModel, config: HypernetworkConfig | None = None, *, seed: int = 0
    ) -> Self:
        """Put a network at its start, drawn with a seed, around a model, for training."""
        chosen = config or HypernetworkConfig()
        with model.borrowed_module() as module:
            matrices = chosen.choose(find_blocks(module))
            digest = weights_digest(matrices)
        network = Hypernetwork([(m.d_in, m.d_out) for m in matrices], chosen, seed=seed)
        return cls(model, network, digest=digest)

    def _choose(self, blocks: Sequence[Block]) -> list[Matrix]:
        return self.network.config.choose(blocks)

    def rows(self, edits: Sequence[Edit]) -> list[TokenRow]:
        """Return the tokens whose gradients are taken."""
        return [encode_edit(self.model, edit) for edit in edits]

    def _encode_all(self, edit: Edit) -> None:
        self.rows([edit])

    def _change(self, module: Any, edits: Sequence[Edit]) -> None:
        rows = self.rows(edits)
        totals = [torch.zeros(m.d_out, m.d_in, device=module.device) for m in self.matrices]
        for start in range(0, len(rows), _BATCH):
            batch = Batch.of(rows[start : start + _BATCH], module.device)
            for factors in factors_of(module, self.matrices, batch):
                with torch.no_grad():
                    for total, change in zip(totals, self.network.changes(factors), strict=True):
                        total += change
        for matrix, total in zip(self.matrices, totals, strict=True):
            matrix.add(total)
