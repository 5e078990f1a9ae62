"""Methods that write new values for keys, and so must know what the usual keys are."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any

import torch

from lte_chains.edit import Edit
from lte_chains.evaluation.editors.keys import locate, second_moment
from lte_chains.evaluation.editors.texts import key_texts
from lte_chains.evaluation.editors.token_rows import encode_row
from lte_chains.evaluation.editors.weights import WeightEditor
from lte_chains.models import LocalChatModel


class KeyEditor(WeightEditor, ABC):
    """A `WeightEditor` with the second moment of the keys of each of its matrices."""

    def __init__(self, model: LocalChatModel, texts: Sequence[str] | None) -> None:
        """Prepare to edit; see `WeightEditor` for what is refused.

        Args:
            model: The model.
            texts: Questions as the model usually reads them, for the keys' second
                moments; by default texts that the model writes itself.
        """
        super().__init__(model)
        self._texts = texts
        self._moments: list[torch.Tensor] = []

    config: Any
    """The method's configuration, which has `beginnings`."""

    def _encode_all(self, edit: Edit) -> None:
        super()._encode_all(edit)
        locate(self.model, edit, self.config.beginnings)
        # What the subject is, for which the search for a value asks, may be longer.
        encode_row(self.model, f"{edit.subject or edit.prompt} is a", "thing", end=False)

    def prepare(self) -> None:
        """Compute the keys' second moments now, and not with the first edit."""
        if not self._moments:
            rows = key_texts(self.model, self._texts)
            with self.model.borrowed_module() as module:
                self._moments = [second_moment(module, matrix, rows) for matrix in self.matrices]

    def edit(self, edits: Sequence[Edit]) -> None:
        """Change the weights so that the edits hold; see `WeightEditor.edit`."""
        self.prepare()
        super().edit(edits)
