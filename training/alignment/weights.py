"""What the trainer saved, made into a folder that `load_model` opens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from lte_chains.local.loading import load_adapter, load_module


def finish_adapter(saved: Path, folder: Path, *, base: str) -> None:
    """Make a saved adapter the result, naming its base as the recipe does.

    PEFT notes the path from which the base was loaded, which means nothing elsewhere.
    """
    config = saved / "adapter_config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = base
    config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    # The trainer's own settings, pickled: nothing that one should have to trust.
    (saved / "training_args.bin").unlink(missing_ok=True)
    _replace(saved, folder)


def finish_merged(saved: Path, folder: Path, *, source: str, tokenizer: Any) -> None:
    """Merge a saved adapter into the weights of its base, in the base's number format."""
    adapted = load_adapter(load_module(source, "auto"), source, saved)
    merged = adapted.merge_and_unload()
    shutil.rmtree(saved)
    _save(merged, tokenizer, saved)
    _replace(saved, folder)


def finish_weights(saved: Path, folder: Path, *, source: str, tokenizer: Any) -> None:
    """Make saved weights the result, in the number format of the model they began as.

    They are trained in float32, which would double the size of a bfloat16 model.
    """
    from transformers import AutoConfig

    module = load_module(str(saved), AutoConfig.from_pretrained(source).dtype or "auto")
    shutil.rmtree(saved)
    _save(module, tokenizer, saved)
    _replace(saved, folder)


def _save(module: Any, tokenizer: Any, folder: Path) -> None:
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _replace(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`, which is never there in parts."""
    if folder.exists():
        shutil.rmtree(folder)
    new.rename(folder)
