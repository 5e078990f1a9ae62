"""Supervised fine-tuning that teaches a chat model to apply edits: LTE's alignment phase.

    lte-chains align train RECIPE --data FOLDER

The run reads from top to bottom in `align`. Recipes, rows, weights and the
model card are in `lte_chains.training.alignment`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lte_chains.errors import ConfigError
from lte_chains.local.loading import load_tokenizer, locate, outdated_names_ignored
from lte_chains.training.alignment.conversations import (
    ConversationFile,
    TokenisedRow,
    data_files,
    has_rows,
    read_conversations,
    tokenised,
)
from lte_chains.training.alignment.data import prepare
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
from lte_chains.training.alignment.recipe import AlignmentRecipe, recipes_before
from lte_chains.training.alignment.trainer import (
    judged,
    last_checkpoint,
    log_to_tensorboard,
    make_trainer,
    training_arguments,
)
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
    TensorBoard logs ``logs/``, and ``checkpoints/``, which may be deleted. The same of
    each recipe that runs before (`AlignmentRecipe.after`) is in ``before/NAME/``.

    Args:
        recipe: What to do; see `read_recipe`.
        data: A file of training rows, or a folder of ``train.jsonl`` and ``dev.jsonl``. For
            a recipe that says what to make rows of, also the folder of those files.
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
    begin = recipe.model
    for earlier in recipes_before(recipe):
        if os.environ.get("WORLD_SIZE", "1") != "1":
            raise ConfigError(
                f"recipe {recipe.name!r} runs after another, which one process does alone: run "
                f"{earlier.name!r} first, and this one without 'after' and with --model"
            )
        folder = out / "before" / earlier.name
        _align(earlier, data, folder, begin, None, show_progress=show_progress)
        begin = str(folder / "model")
    return _align(recipe, data, out, begin, evaluate_on, show_progress=show_progress)


def _align(
    recipe: AlignmentRecipe,
    data: str | Path,
    out: Path,
    begin: str,
    evaluate_on: str | Path | None,
    *,
    show_progress: bool,
) -> RunRecord | None:
    """Train by one recipe, from the model `begin`."""
    if recipe.data is not None and not has_rows(data):
        data = prepare(recipe.data, data, out / "data", seed=recipe.seed)
    files = [read_conversations(path) for path in data_files(data)]
    if os.environ.get("RANK", "0") == "0":
        _claim(out, recipe, files)

    # The arguments come before the model: they tell transformers to load it in shards.
    arguments = training_arguments(recipe, out, has_dev=len(files) > 1)
    source = locate(begin)
    tokenizer = load_tokenizer(source)
    kept = [tokenised(f.conversations, tokenizer, max_length=recipe.max_length) for f in files]

    saved = out / "unfinished"
    log = _fine_tune(
        recipe, arguments, kept, source=source, tokenizer=tokenizer, saved=saved, show=show_progress
    )
    if arguments.process_index > 0:
        return None

    kind = _finish(recipe, saved, out / "model", source=source)
    used = [_rows_used(file, rows) for file, rows in zip(files, kept, strict=True)]
    record = RunRecord(
        recipe=recipe,
        kind=kind,
        train=used[0],
        dev=used[1] if len(used) > 1 else None,
        steps=log[-1]["step"],
        train_loss=losses(log)[-1][1],
        dev_loss=losses(log, "eval_loss")[-1][1] if len(used) > 1 else None,
        scores=_scores(recipe, out / "model", kind, evaluate_on) if evaluate_on else None,
    )
    _write_results(record, log, out)
    return record


def _claim(out: Path, recipe: AlignmentRecipe, files: Sequence[ConversationFile]) -> None:
    """Note in `out` which run it holds, so that another is never mixed into it."""
    run = {"recipe_sha256": recipe.digest, "data_sha256": [file.sha256 for file in files]}
    marker = out / "run.json"
    begun = (out / "model").is_dir() or last_checkpoint(out / "checkpoints")
    if not (begun and marker.is_file()):
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


def _fine_tune(
    recipe: AlignmentRecipe,
    arguments: Any,
    rows: Sequence[Sequence[TokenisedRow]],
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
        log_to_tensorboard(trainer, saved.parent / "logs")
        checkpoint = last_checkpoint(Path(arguments.output_dir))
        if checkpoint:
            logger.info("taken up again at %s", checkpoint.name)
        with outdated_names_ignored():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            if len(rows) > 1 and not judged(trainer.state):
                trainer.evaluate()
            trainer.model.config.use_cache = True  # off while training, but not for who generates
            trainer.save_model(str(saved))
        trainer.accelerator.wait_for_everyone()
        return list(trainer.state.log_history)


def _finish(recipe: AlignmentRecipe, saved: Path, folder: Path, *, source: str) -> str:
    """Make what the trainer saved the result; returns whether it is an "adapter" or "weights"."""
    if recipe.lora is None:
        finish_weights(saved, folder, source=source, tokenizer=load_tokenizer(source))
        return "weights"
    if recipe.lora.merge:
        finish_merged(saved, folder, source=source, tokenizer=load_tokenizer(source))
        return "weights"
    finish_adapter(saved, folder, base=public_name(recipe.model))
    return "adapter"


def _rows_used(file: ConversationFile, kept: Sequence[TokenisedRow]) -> RowsUsed:
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
