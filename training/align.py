"""Supervised fine-tuning that teaches a chat model to apply edits: LTE's alignment phase.

    lte-chains align train RECIPE --data FOLDER

The run reads from top to bottom in `align`. Recipes, rows, weights and the
model card are in `lte_chains.training.alignment`.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lte_chains.errors import ConfigError, MissingExtraError
from lte_chains.local.loading import load_module, load_tokenizer, locate
from lte_chains.training.alignment.conversations import (
    Conversation,
    ConversationFile,
    as_dataset,
    data_files,
    fitting,
    marks_answers,
    read_conversations,
)
from lte_chains.training.alignment.model_card import (
    RowsUsed,
    RunRecord,
    public_name,
    render_card,
)
from lte_chains.training.alignment.progress import (
    LogEntry,
    losses,
    progress_callback,
    save_loss_curve,
)
from lte_chains.training.alignment.recipe import AlignmentRecipe
from lte_chains.training.alignment.weights import finish_adapter, finish_merged, finish_weights

logger = logging.getLogger(__name__)


def align(
    recipe: AlignmentRecipe,
    data: str | Path,
    out: str | Path,
    *,
    evaluate_on: str | Path | None = None,
    show_progress: bool = False,
) -> RunRecord | None:
    """Train a model by a recipe; an unfinished run in the same folder is taken up again.

    `out` then holds ``model/`` (an adapter or weights with tokenizer and model
    card, for `load_model`), ``loss.png``, ``log.jsonl``, ``run.json``, the
    TensorBoard logs ``logs/``, and ``checkpoints/``, which may be deleted.

    Args:
        recipe: What to do; see `read_recipe`.
        data: A file of training rows, or a folder of ``train.jsonl`` and ``dev.jsonl``.
        out: Where to; the folder is made.
        evaluate_on: Rows in a format of `read_cases`; the model card then has
            the scores of `evaluate_knowedit` on them.
        show_progress: Whether to draw a progress bar on stderr.

    Returns:
        What was done and how it ended. None on all but the first of several
        processes (``accelerate launch``).

    Raises:
        ConfigError: The recipe does not suit the machine, or `out` holds
            another run.
        DataError: The rows cannot be read.
        ModelError: The model cannot be loaded.
        MissingExtraError: TRL or another part of ``lte-chains[train]`` is not installed.
    """
    out = Path(out)
    files = [read_conversations(path) for path in data_files(data)]
    if os.environ.get("RANK", "0") == "0":
        _claim(out, recipe, files)

    # The arguments come before the model: they tell transformers to load it in shards.
    arguments = training_arguments(recipe, out, has_dev=len(files) > 1)
    source = locate(recipe.model)
    tokenizer = load_tokenizer(source)
    kept = [fitting(f.conversations, tokenizer, max_length=recipe.max_length) for f in files]

    saved = out / "unfinished"
    log = _fine_tune(
        recipe, arguments, kept, source=source, tokenizer=tokenizer, saved=saved, show=show_progress
    )
    if arguments.process_index > 0:
        return None

    folder = out / "model"
    kind = "adapter" if recipe.lora and not recipe.lora.merge else "weights"
    if recipe.lora is None:
        finish_weights(saved, folder, source=source, tokenizer=load_tokenizer(source))
    elif recipe.lora.merge:
        finish_merged(saved, folder, source=source, tokenizer=load_tokenizer(source))
    else:
        finish_adapter(saved, folder, base=public_name(recipe.model))

    used = [_rows_used(file, rows) for file, rows in zip(files, kept, strict=True)]
    record = RunRecord(
        recipe=recipe,
        kind=kind,
        train=used[0],
        dev=used[1] if len(used) > 1 else None,
        steps=log[-1]["step"],
        train_loss=losses(log)[-1][1],
        dev_loss=losses(log, "eval_loss")[-1][1] if len(used) > 1 else None,
        scores=_scores(recipe, folder, kind, evaluate_on) if evaluate_on else None,
    )
    _write_results(record, log, out)
    return record


def _claim(out: Path, recipe: AlignmentRecipe, files: Sequence[ConversationFile]) -> None:
    """Note in `out` which run it holds, so that another is never mixed into it."""
    run = {"recipe_sha256": recipe.digest, "data_sha256": [file.sha256 for file in files]}
    marker = out / "run.json"
    if not marker.is_file():
        out.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
        return
    held = json.loads(marker.read_text(encoding="utf-8"))
    other = [name.removesuffix("_sha256") for name in run if held.get(name) != run[name]]
    if other:
        raise ConfigError(
            f"{out} holds a run of {recipe.name!r} with another {' and other '.join(other)}: "
            "give another folder, or delete it"
        )


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
        "bf16": _bfloat16(recipe),
        "use_cpu": not (on_gpu or torch.backends.mps.is_available()),
        "dataloader_pin_memory": on_gpu,
        "eval_strategy": "epoch" if has_dev else "no",
        "save_strategy": "steps",
        "save_steps": recipe.save_every,
        "save_total_limit": 2,
        "logging_steps": recipe.log_every,
        "logging_first_step": True,
        "disable_tqdm": True,
        "report_to": "none",  # TensorBoard comes as a callback with a folder of its own
    }
    with _outdated_names_ignored():
        return SFTConfig(**settings)


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


def _fine_tune(
    recipe: AlignmentRecipe,
    arguments: Any,
    rows: Sequence[Sequence[Conversation]],
    *,
    source: str,
    tokenizer: Any,
    saved: Path,
    show: bool,
) -> list[LogEntry]:
    """Train, from the last checkpoint if there is one, and save; returns the trainer's log."""
    with progress_callback(show=show and arguments.process_index == 0) as reporter:
        trainer = make_trainer(recipe, arguments, rows, source=source, tokenizer=tokenizer)
        trainer.add_callback(reporter)
        _log_to_tensorboard(trainer, saved.parent / "logs")
        checkpoint = _last_checkpoint(Path(arguments.output_dir))
        if checkpoint:
            logger.info("taken up again at %s", checkpoint.name)
        with _outdated_names_ignored():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            if len(rows) > 1 and not _judged(trainer.state):
                trainer.evaluate()
            trainer.save_model(str(saved))
        trainer.accelerator.wait_for_everyone()
        return list(trainer.state.log_history)


def _judged(state: Any) -> bool:
    """Return whether the log has the final dev loss, which comes after the last checkpoint."""
    return any(e["step"] == state.global_step for e in state.log_history if "eval_loss" in e)


def make_trainer(
    recipe: AlignmentRecipe,
    arguments: Any,
    rows: Sequence[Sequence[Conversation]],
    *,
    source: str,
    tokenizer: Any,
) -> Any:
    """Make TRL's trainer for a recipe.

    Args:
        recipe: The recipe.
        arguments: Its `trl.SFTConfig`.
        rows: The training rows, and then perhaps the dev rows.
        source: Folder or hub id of the model to begin with.
        tokenizer: The model's tokenizer.
    """
    import torch
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_trainer import SFTTrainer

    arguments.assistant_only_loss = marks_answers(tokenizer)
    # Under autocast trained weights stay in float32; those that LoRA freezes may be in half size.
    frozen_in_half = recipe.lora is not None and arguments.bf16
    model = load_module(source, torch.bfloat16 if frozen_in_half else torch.float32)
    model.config.use_cache = False
    datasets = [as_dataset(part, tokenizer) for part in rows]
    with _outdated_names_ignored():
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=datasets[0],
            eval_dataset=datasets[1] if len(datasets) > 1 else None,
            processing_class=tokenizer,
            peft_config=_lora_config(recipe),
        )
    trainer.remove_callback(PrinterCallback)  # stdout is the command's own
    return trainer


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


def _log_to_tensorboard(trainer: Any, folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations.integration_utils import TensorBoardCallback

    if trainer.is_world_process_zero():
        trainer.add_callback(TensorBoardCallback(SummaryWriter(str(folder))))


def _last_checkpoint(folder: Path) -> Path | None:
    """Return the latest whole checkpoint; the trainer writes its state into it last."""
    whole = [state.parent for state in folder.glob("checkpoint-*/trainer_state.json")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _rows_used(file: ConversationFile, kept: Sequence[Conversation]) -> RowsUsed:
    return RowsUsed(
        name=file.name, sha256=file.sha256, rows=len(file.conversations), used=len(kept)
    )


def _scores(recipe: AlignmentRecipe, folder: Path, kind: str, rows: str | Path) -> dict[str, Any]:
    from lte_chains.evaluation import evaluate_knowedit
    from lte_chains.models import load_model

    if kind == "adapter":
        model = load_model(recipe.model, adapter=folder, max_new_tokens=64)
    else:
        model = load_model(folder, max_new_tokens=64)
    report = evaluate_knowedit(rows, model, seed=recipe.seed)
    return {**report, "data": Path(rows).name, "model": recipe.name}


def _write_results(record: RunRecord, log: Sequence[LogEntry], out: Path) -> None:
    (out / "model" / "README.md").write_text(render_card(record), encoding="utf-8")
    lines = "".join(f"{json.dumps(entry)}\n" for entry in log)
    (out / "log.jsonl").write_text(lines, encoding="utf-8")
    marker = out / "run.json"
    run = json.loads(marker.read_text(encoding="utf-8")) | {"result": record.to_json()}
    marker.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    save_loss_curve(log, out / "loss.png", title=record.recipe.name)


@contextmanager
def _outdated_names_ignored() -> Iterator[None]:
    """Hide that PEFT and TRL use names that transformers gives up: not the caller's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
