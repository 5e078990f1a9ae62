"""Methods that edit weights: what they share, undo above all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from lte_chains.edit import Edit
from lte_chains.evaluation.editors.base import EditTooLongError, Route
from lte_chains.evaluation.editors.structure import (
    Block,
    Matrix,
    UneditableModelError,
    find_blocks,
    require_editable,
)
from lte_chains.evaluation.editors.token_rows import encode_edit, require_prompts
from lte_chains.models import LocalChatModel, PromptTooLongError


@contextmanager
def opened(model: LocalChatModel) -> Iterator[Any]:
    """Lend the model's torch module with gradients on; its other callers wait meanwhile."""
    with (
        model.borrowed_module() as module,
        torch.inference_mode(mode=False),
        torch.enable_grad(),
    ):
        yield module


class WeightEditor(ABC):
    """A method that changes some matrices of the model itself.

    A subclass says which matrices (`_choose`) and how (`_change`). The exact
    weights from before the first edit are kept, and `undo` copies them back.
    If a change fails halfway, all edits are taken back.
    """

    def __init__(self, model: LocalChatModel) -> None:
        """Find the matrices to edit, and check that they can be.

        Raises:
            UneditableModelError: The model carries an adapter, or its weights
                cannot be edited; the message names the layer.
        """
        if model.weights.decoder.has_adapter:
            raise UneditableModelError(
                f"{model.model_name} carries an adapter, whose layers stand in front of the "
                "weights: merge it into them (merge_and_unload), or give the model without it"
            )
        self.model = model
        with opened(model) as module:
            self.blocks = find_blocks(module)
            self.matrices = self._choose(self.blocks)
            require_editable(module, self.matrices)
        self._saved: list[torch.Tensor] = []

    @abstractmethod
    def _choose(self, blocks: Sequence[Block]) -> list[Matrix]:
        """Return the matrices that the method edits."""

    @abstractmethod
    def _change(self, module: Any, edits: Sequence[Edit]) -> None:
        """Change the matrices so that the edits hold."""

    @property
    def parameters_touched(self) -> int:
        """How many weights the method may change."""
        return sum(matrix.weight.numel() for matrix in self.matrices)

    def prepare(self) -> None:  # noqa: B027 - most methods have nothing to prepare
        """Compute what is needed once for the model."""

    def edit(self, edits: Sequence[Edit]) -> None:
        """Change the weights so that the edits hold, in addition to those before.

        Raises:
            ConfigError: An edit is a statement.
            EditTooLongError: Edits do not fit into the model's context; those before stay.
        """
        require_prompts(edits)
        if not edits:
            return
        self._require_room(edits)
        if not self._saved:
            self._saved = [matrix.weight.detach().clone() for matrix in self.matrices]
        try:
            with opened(self.model) as module:
                self._change(module, edits)
        except BaseException:
            self.undo()
            raise

    def _require_room(self, edits: Sequence[Edit]) -> None:
        """Check that edits fit, before any is made: those of earlier calls shall stay."""
        errors: dict[int, PromptTooLongError] = {}
        for place, edit in enumerate(edits):
            try:
                self._encode_all(edit)
            except PromptTooLongError as error:
                errors[place] = error
        if errors:
            first = next(iter(errors.values()))
            raise EditTooLongError(str(first), list(errors)) from first

    def _encode_all(self, edit: Edit) -> None:
        """Encode everything of an edit that the model will read."""
        encode_edit(self.model, edit)

    def routes(self, questions: Sequence[str]) -> list[Route]:
        """Ask the model the bare questions: the edits are in its weights."""
        return [Route.plain(self.model, question) for question in questions]

    def undo(self) -> None:
        """Copy the weights from before the first edit back, bit for bit."""
        with opened(self.model), torch.no_grad():
            for matrix, saved in zip(self.matrices, self._saved, strict=False):
                matrix.weight.copy_(saved)
        self._saved = []
