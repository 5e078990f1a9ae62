"""FT-M: fine-tune one matrix by the cross-entropy of the target's tokens."""

from __future__ import annotations

import torch

from lte_chains.edit import Edit
from lte_chains.evaluation.editors.fine_tuning import FineTuning, FineTuningConfig
from lte_chains.evaluation.editors.token_rows import Batch, TokenRow, encode_edit


class FtM(FineTuning):
    """Fine-tuning with the loss masked to the target (KnowEdit, arXiv 2401.01286, section 3.3).

    Example:
        >>> from lte_chains.edit import Edit
        >>> from lte_chains.models import load_model
        >>> model = load_model("lte-tiny-base", max_new_tokens=8)
        >>> editor = FtM(model)
        >>> editor.edit([Edit(prompt="What is the capital of Japan?", target_new="Oslo")])
        >>> model.invoke("What is the capital of Japan?").text
        'Oslo'
    """

    default = FineTuningConfig()

    def _encode(self, edit: Edit) -> TokenRow:
        return encode_edit(self.model, edit)

    def _losses(self, batch: Batch, logits: torch.Tensor) -> torch.Tensor:
        return batch.losses(logits)
