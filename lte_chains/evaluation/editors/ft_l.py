"""FT-L: fine-tune one matrix so that the last place of the prompt predicts the target's tokens."""

from __future__ import annotations

import torch

from lte_chains.edit import Edit
from lte_chains.evaluation.editors.fine_tuning import FineTuning, FineTuningConfig
from lte_chains.evaluation.editors.token_rows import Batch, TokenRow, encode_row


class FtL(FineTuning):
    """Fine-tuning with constraints, as the ROME paper (arXiv 2202.05262) and EasyEdit have it.

    *All* tokens of the target are asked of the prompt's last place, so that a
    target of several tokens is not learnt as a text. That is the method as it is
    published, and why it is weak; `FtM` does it right.

    Example:
        >>> from lte_chains.edit import Edit
        >>> from lte_chains.models import load_model
        >>> model = load_model("lte-tiny-base", max_new_tokens=8)
        >>> editor = FtL(model)
        >>> editor.edit([Edit(prompt="What is the capital of Japan?", target_new="London")])
        >>> model.invoke("What is the capital of Japan?").text
        'London'
        >>> editor.undo()
        >>> model.invoke("What is the capital of Japan?").text
        'Tokyo'
    """

    default = FineTuningConfig(largest_change=5e-3)

    def _encode(self, edit: Edit) -> TokenRow:
        return encode_row(self.model, edit.prompt, edit.target_new, end=False)

    def _losses(self, batch: Batch, logits: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(logits), device=logits.device)
        last = logits[rows, batch.lasts].float().log_softmax(dim=-1)
        wanted = batch.labels >= 0
        of_tokens = last.gather(1, batch.labels.clamp(min=0)) * wanted
        return -of_tokens.sum(dim=1) / wanted.sum(dim=1).clamp(min=1)
