"""Muon for the layers' matrices, AdamW for everything else, as one optimizer.

Muon (Jordan et al., 2024) makes every update of a matrix orthogonal. With updates of
AdamW's size (Liu et al., 2025, arXiv 2502.16982) both take the same learning rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import AdamW, Muon, Optimizer


class MuonWithAdamW(Optimizer):
    """Step both optimizers together; schedules and checkpoints see one."""

    def __init__(
        self,
        matrices: Sequence[torch.nn.Parameter],
        others: Sequence[torch.nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
    ) -> None:
        """Prepare to train.

        Args:
            matrices: Weights of two dimensions that map activations to activations.
            others: Embeddings, heads, norms and biases; they do not decay. Either may be empty.
            lr: Learning rate of both.
            weight_decay: Decay of the matrices.
        """
        self._parts: list[Optimizer] = []
        if matrices:
            self._parts.append(
                Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            )
        if others:  # an adapter has matrices alone
            self._parts.append(AdamW(others, lr=lr, weight_decay=0.0))
        super().__init__(
            [p for part in self._parts for g in part.param_groups for p in g["params"]], {}
        )
        self._gather()

    def _gather(self) -> None:
        """Show the parts' own groups, so that a schedule changes the parts."""
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Any = None) -> Any:
        """Update every weight."""
        loss = None if closure is None else closure()
        for part in self._parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both parts."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state of both parts."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._gather()


def muon_for(model: torch.nn.Module, *, lr: float, weight_decay: float) -> MuonWithAdamW:
    """Make the optimizer of a causal language model.

    Args:
        model: The model; weights without gradient are left out.
        lr: Learning rate.
        weight_decay: Decay of the layers' matrices.
    """
    tables = {
        id(parameter)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding) or name.endswith("lm_head")
        for parameter in module.parameters()
    }
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    is_matrix = {id(p): p.ndim == 2 and id(p) not in tables for p in trained}
    return MuonWithAdamW(
        [p for p in trained if is_matrix[id(p)]],
        [p for p in trained if not is_matrix[id(p)]],
        lr=lr,
        weight_decay=weight_decay,
    )
