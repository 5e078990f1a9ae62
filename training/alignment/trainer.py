"""TRL's trainer, set up as a recipe says for the machine it runs on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lte_chains.errors import ConfigError, MissingExtraError
from lte_chains.local.loading import load_module, outdated_names_ignored
from lte_chains.training.alignment.conversations import TokenisedRow
from lte_chains.training.alignment.recipe import AlignmentRecipe

_COMPILED_LENGTHS = 32
"""Compiled layers take rows of a multiple of this many tokens."""


def training_arguments(recipe: AlignmentRecipe, out: Path, *, has_dev: bool) -> Any:
    """Translate the recipe into TRL's configuration for this machine."""
    import torch

    try:
        from trl.trainer.sft_config import SFTConfig
    except ImportError as error:
        raise MissingExtraError("trl", "train") from error

    on_gpu = torch.cuda.is_available()
    settings: dict[str, Any] = {
        "output_dir": str(out / "checkpoints"),
        "seed": recipe.seed,
        "num_train_epochs": recipe.epochs,
        "max_steps": recipe.max_steps or -1,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.schedule,
        "warmup_steps": recipe.warmup_ratio,  # below 1 it is a share of the run
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "per_device_train_batch_size": recipe.micro_batch_size,
        "per_device_eval_batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": _accumulation(recipe),
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "max_length": recipe.max_length,
        "pad_to_multiple_of": _COMPILED_LENGTHS if recipe.compile else None,
        "bf16": _bfloat16(recipe),
        "use_cpu": not (on_gpu or torch.backends.mps.is_available()),
        "dataloader_pin_memory": on_gpu,
        "eval_strategy": "epoch" if has_dev else "no",
        "save_strategy": "steps",
        "save_steps": recipe.save_every,
        "save_total_limit": 2,
        "logging_steps": recipe.log_every,
        "logging_first_step": True,
        "train_sampling_strategy": "group_by_length" if recipe.group_by_length else "random",
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "disable_tqdm": True,
        "report_to": "none",  # TensorBoard comes as a callback with a folder of its own
    }
    with outdated_names_ignored():
        return SFTConfig(**settings)


def make_trainer(
    recipe: AlignmentRecipe,
    arguments: Any,
    rows: Sequence[Sequence[TokenisedRow]],
    *,
    source: str,
    tokenizer: Any,
) -> Any:
    """Make TRL's trainer for a recipe.

    Args:
        recipe: The recipe.
        arguments: Its `trl.SFTConfig`.
        rows: The training rows, and then perhaps the dev rows, from `tokenised`.
        source: Folder or hub id of the model to begin with.
        tokenizer: The model's tokenizer.
    """
    import torch
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback

    from lte_chains.training.alignment.answer_loss import AnswerLossTrainer
    from lte_chains.training.alignment.averaging import WeightAverage

    # Under autocast trained weights stay in float32; those that LoRA freezes may be in half size.
    frozen_in_half = recipe.lora is not None and arguments.bf16
    model = load_module(source, torch.bfloat16 if frozen_in_half else torch.float32)
    if recipe.compile and arguments.use_cpu:
        # Compiled for a CPU, plain attention trains faster than the fused kernel.
        model.set_attn_implementation("eager")
    datasets = [Dataset.from_list(list(part)) for part in rows]
    with outdated_names_ignored():
        trainer = AnswerLossTrainer(
            model=model,
            args=arguments,
            train_dataset=datasets[0],
            eval_dataset=datasets[1] if len(datasets) > 1 else None,
            processing_class=tokenizer,
            peft_config=_lora_config(recipe),
        )
    trainer.uses_muon = recipe.optimizer == "muon"
    if recipe.share_prompts:
        trainer.share_prompts(recipe.max_length)
    trainer.remove_callback(PrinterCallback)  # stdout is the command's own
    if recipe.compile:
        trainer.compile_layers()
    if recipe.average_weights is not None:
        trainer.add_callback(WeightAverage(recipe.average_weights))
    return trainer


def log_to_tensorboard(trainer: Any, folder: Path) -> None:
    """Let the first process write the trainer's log for TensorBoard into `folder`."""
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations.integration_utils import TensorBoardCallback

    if trainer.is_world_process_zero():
        trainer.add_callback(TensorBoardCallback(SummaryWriter(str(folder))))


def last_checkpoint(folder: Path) -> Path | None:
    """Return the latest whole checkpoint; the trainer writes its state into it last."""
    whole = [state.parent for state in folder.glob("checkpoint-*/trainer_state.json")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def judged(state: Any) -> bool:
    """Return whether the log has the final dev loss, which comes after the last checkpoint."""
    return any(e["step"] == state.global_step for e in state.log_history if "eval_loss" in e)


def _accumulation(recipe: AlignmentRecipe) -> int:
    """Return how many passes make an update, so that its rows are `batch_size` on any machine."""
    import torch

    devices = int(os.environ.get("WORLD_SIZE", "1"))
    if devices == 1 and torch.cuda.device_count() > 1:
        raise ConfigError(
            f"{torch.cuda.device_count()} GPUs are visible to one process: start the command by "
            "'accelerate launch -m lte_chains …', or show it one GPU with CUDA_VISIBLE_DEVICES=0"
        )
    passes, rest = divmod(recipe.batch_size, recipe.micro_batch_size * devices)
    if rest:
        raise ConfigError(
            f"batch_size={recipe.batch_size} cannot be shared by {devices} devices that take "
            f"micro_batch_size={recipe.micro_batch_size} rows at a time: change one of the two"
        )
    return passes


def _bfloat16(recipe: AlignmentRecipe) -> bool:
    import torch

    if recipe.precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return recipe.precision == "bfloat16"


def _lora_config(recipe: AlignmentRecipe) -> Any:
    if recipe.lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=list(recipe.lora.target_modules),
        task_type="CAUSAL_LM",
    )
