"""TRL's trainer with logits for answers only.

Most tokens of a row are its prompt and bear no loss. TRL computes the distribution
over the vocabulary for all of them, for its metrics; on a small model that is most of
the work. Here the head sees the positions before answers' tokens only.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from trl.trainer.sft_trainer import SFTTrainer

from lte_chains.training.alignment.conversations import IGNORED
from lte_chains.training.alignment.muon import muon_for
from lte_chains.training.alignment.sharing import SharedRows, collate

logger = logging.getLogger(__name__)

_COMPILERS = ("c++", "g++", "clang++")
_SHAPES = 64
_SHARED = ("attention_mask", "position_ids")


class AnswerLossTrainer(SFTTrainer):
    """An `SFTTrainer` whose training loss costs what the answers cost; the loss is the same."""

    uses_muon = False
    """Whether the layers' matrices are trained by Muon."""

    def compile_layers(self) -> None:
        """Compile the decoder; every shape of batch is compiled once, when it is first met."""
        if not torch.cuda.is_available() and not any(map(shutil.which, _COMPILERS)):
            logger.warning("no C++ compiler (%s): layers stay uncompiled, slower", _COMPILERS)
            return
        # Past the limit the remaining shapes would run uncompiled.
        torch._dynamo.config.recompile_limit = _SHAPES
        model: Any = self.model
        model.get_decoder().compile(dynamic=False)

    def share_prompts(self, length: int) -> None:
        """Train on sequences of `length` tokens, of rows that begin alike (see `sharing`)."""
        self.train_dataset: Any = SharedRows(self.train_dataset, length)
        if self.eval_dataset is not None:
            self.eval_dataset: Any = SharedRows(self.eval_dataset, length)
        dtype = torch.bfloat16 if self.args.bf16 else torch.float32
        self.data_collator: Any = partial(collate, dtype=dtype)
        self.args.remove_unused_columns = False  # the mask is made of them

    def create_optimizer(self, model: Any = None) -> Any:
        """Make the optimizer that was asked for; AdamW is the trainer's own."""
        if self.optimizer is None and self.uses_muon:
            whole: Any = self.model
            settings = {"lr": self.args.learning_rate, "weight_decay": self.args.weight_decay}
            self.optimizer: Any = muon_for(whole, **settings)
            return self.optimizer
        as_usual: Any = super().create_optimizer
        return as_usual(model)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the mean negative log-likelihood of the answers' tokens."""
        labels = inputs["labels"][:, 1:]
        borne = labels != IGNORED
        seen = {name: inputs[name] for name in ("input_ids", *_SHARED) if name in inputs}
        if "position_ids" not in seen:
            # Rows are padded on the right, where no token of theirs looks: they need no mask.
            seen.pop("attention_mask", None)
        with _head_at(self.model, borne):
            logits = model(**seen, use_cache=False).logits[0]
        loss = torch.nn.functional.cross_entropy(logits.float(), labels[borne], reduction="sum")
        count = borne.sum() if num_items_in_batch is None else num_items_in_batch
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        loss = loss / torch.as_tensor(count, device=loss.device).clamp(min=1)
        return (loss, {}) if return_outputs else loss


@contextmanager
def _head_at(model: Any, borne: torch.Tensor) -> Iterator[None]:
    """Let the head see only the positions whose next token bears loss, all rows in one."""

    def select(_: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (arguments[0][:, :-1][borne][None], *arguments[1:])

    hook = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        hook.remove()
