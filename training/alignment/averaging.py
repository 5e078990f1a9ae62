"""An exponential average of the weights: steadier than the last ones of a short run."""

# ruff: noqa: ARG002 - the trainer gives every callback the same arguments

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers.trainer_callback import TrainerCallback

_FILE = "average.safetensors"


class WeightAverage(TrainerCallback):
    """Average the trained weights over the updates, and end with the average.

    The first updates count less than `decay` says, or else the average would still
    be made of the weights that the run began with. It lies in every checkpoint.
    """

    def __init__(self, decay: float) -> None:
        """Average with a memory of about 1 / (1 - `decay`) updates."""
        self._decay = decay
        self._average: dict[str, torch.Tensor] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin from the model's weights, or go on from those in the last checkpoint."""
        saved = Path(args.output_dir) / f"checkpoint-{state.global_step}" / _FILE
        if state.global_step and saved.is_file():
            self._average = load_file(saved)
        else:
            self._average = {
                name: weight.detach().clone() for name, weight in _trained(kwargs["model"]).items()
            }

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the weights after an update into the average."""
        step = state.global_step
        decay = min(self._decay, step / (step + 10))
        with torch.no_grad():
            for name, weight in _trained(kwargs["model"]).items():
                self._average[name].lerp_(weight, 1 - decay)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the average beside the checkpoint's own weights."""
        save_file(self._average, Path(args.output_dir) / f"checkpoint-{state.global_step}" / _FILE)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the average in the place of the weights."""
        with torch.no_grad():
            for name, weight in _trained(kwargs["model"]).items():
                weight.copy_(self._average[name])


def _trained(model: Any) -> dict[str, torch.nn.Parameter]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
