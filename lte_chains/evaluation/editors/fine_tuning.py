"""Fine-tuning one feed-forward matrix on the edits: what FT-L and FT-M share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.structure import Block, Matrix, at_depth
from lte_chains.evaluation.editors.token_rows import Batch, TokenRow
from lte_chains.evaluation.editors.weights import WeightEditor
from lte_chains.models import LocalChatModel


@dataclass(frozen=True, kw_only=True)
class FineTuningConfig:
    """How a matrix is fine-tuned on edits.

    Example:
        >>> FineTuningConfig(steps=0)
        Traceback (most recent call last):
            ...
        lte_chains.errors.ConfigError: steps=0: use 1 or more
    """

    layer: int | None = None
    """The block whose matrix is tuned; by default the one at `depth`."""
    depth: float = 0.6
    """Where that block is: 0 is the first, 1 the last."""
    steps: int = 25
    """Passes over the edits, at most."""
    learning_rate: float = 5e-4
    """Adam's."""
    enough: float = 0.01
    """Edits whose loss is below this are left alone."""
    largest_change: float | None = None
    """No weight may move further from where it was before; None sets no limit (FT+L of the
    ROME paper, arXiv 2202.05262, section 4)."""
    batch_size: int = 64
    """Edits in one step."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: use 1 or more")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate={self.learning_rate}: use more than 0")


class FineTuning(WeightEditor):
    """Fine-tune the down-projection of one block on the edits."""

    def __init__(self, model: LocalChatModel, config: FineTuningConfig | None = None) -> None:
        """Prepare to tune; see `WeightEditor` for what is refused."""
        self.config = config or self.default
        super().__init__(model)

    default = FineTuningConfig()
    """What is used if no configuration is given."""

    @abstractmethod
    def _encode(self, edit: Edit) -> TokenRow:
        """Return the tokens that the loss is of."""

    @abstractmethod
    def _losses(self, batch: Batch, logits: torch.Tensor) -> torch.Tensor:
        """Return each row's loss, shape (rows,)."""

    def _choose(self, blocks: Sequence[Block]) -> list[Matrix]:
        return [at_depth(blocks, self.config.layer, self.config.depth).down]

    def _change(self, module: Any, edits: Sequence[Edit]) -> None:
        config, [matrix] = self.config, self.matrices
        before = matrix.weight.detach().float()
        # Small steps would be lost in a half-precision weight.
        weight = before.clone().requires_grad_()
        optimizer = torch.optim.Adam([weight], lr=config.learning_rate)

        def limit() -> None:
            if config.largest_change is not None:
                change = (weight - before).clamp(-config.largest_change, config.largest_change)
                weight.copy_(before + change)

        descend(
            module,
            [self._encode(edit) for edit in edits],
            optimizer=optimizer,
            weights=lambda: {matrix.parameter_name: weight.to(matrix.weight.dtype)},
            losses=self._losses,
            limit=limit,
            config=config,
        )
        with torch.no_grad():
            matrix.weight.copy_(weight)


def descend(
    module: Any,
    rows: Sequence[TokenRow],
    *,
    optimizer: torch.optim.Optimizer,
    weights: Callable[[], Mapping[str, torch.Tensor]],
    losses: Callable[[Batch, torch.Tensor], torch.Tensor],
    limit: Callable[[], None],
    config: Any,
) -> None:
    """Lower the loss of rows until each is low enough, or the steps are used up.

    Args:
        module: The model.
        rows: What to learn.
        optimizer: Of what the weights are made of.
        weights: Makes the changed weights, by their parameters' names.
        losses: Computes each row's loss.
        limit: Is called after every step, without gradients.
        config: Has `steps`, `batch_size` and `enough`.
    """
    for _ in range(config.steps):
        done = True
        for chunk in _chunks(rows, config.batch_size):
            batch = Batch.of(chunk, module.device)
            loss = losses(batch, batch.logits(module, dict(weights())))
            open_ = loss > config.enough
            if not bool(open_.any()):
                continue
            done = False
            optimizer.zero_grad()
            loss[open_].mean().backward()
            optimizer.step()
            with torch.no_grad():
                limit()
        if done:
            return


def _chunks(rows: Sequence[TokenRow], size: int) -> Iterator[Sequence[TokenRow]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
