"""TRL's trainer with logits for answers only.

Most tokens of a row are its prompt and bear no loss. TRL computes the distribution
over the vocabulary for all of them, for its metrics; on a small model that is most of
the work. Here the head is asked for the positions that some answer of the batch takes.
"""

from __future__ import annotations

import inspect
import logging
import shutil
from typing import Any

import torch
from trl.trainer.sft_trainer import SFTTrainer

logger = logging.getLogger(__name__)

_IGNORED = -100
_COMPILERS = ("c++", "g++", "clang++")
_SHAPES = 64


class AnswerLossTrainer(SFTTrainer):
    """An `SFTTrainer` whose training loss costs what the answers cost; the loss is the same."""

    def compile_layers(self) -> None:
        """Compile the decoder; every shape of batch is compiled once, when it is first met."""
        if not torch.cuda.is_available() and not any(map(shutil.which, _COMPILERS)):
            logger.warning("no C++ compiler (%s): layers stay uncompiled, slower", _COMPILERS)
            return
        # Past the limit the remaining shapes would run uncompiled.
        torch._dynamo.config.recompile_limit = _SHAPES
        model: Any = self.model
        model.get_decoder().compile(dynamic=False)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the mean negative log-likelihood of the answers' tokens."""
        whole: Any = self.model
        if hasattr(whole, "peft_config"):
            whole = whole.get_base_model()
        if not model.training or not _keeps_logits(whole):
            as_usual: Any = super().compute_loss  # TRL is not typed
            return as_usual(
                model,
                inputs,
                return_outputs=return_outputs,
                num_items_in_batch=num_items_in_batch,
            )
        labels = inputs["labels"][:, 1:]
        borne = (labels != _IGNORED).any(dim=0).nonzero()[:, 0]
        # Rows are padded on the right, where no token of theirs looks: they need no mask.
        outputs = model(input_ids=inputs["input_ids"], use_cache=False, logits_to_keep=borne)
        loss = torch.nn.functional.cross_entropy(
            outputs.logits.float().flatten(0, 1),
            labels[:, borne].flatten(),
            ignore_index=_IGNORED,
            reduction="sum",
        )
        count = (labels != _IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        return loss / torch.as_tensor(count, device=loss.device).clamp(min=1)


def _keeps_logits(model: Any) -> bool:
    return "logits_to_keep" in inspect.signature(model.forward).parameters
