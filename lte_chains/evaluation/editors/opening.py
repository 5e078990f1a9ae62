"""Load what methods of editing need, by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lte_chains.errors import ModelError
from lte_chains.evaluation.editors.methods import Resources
from lte_chains.evaluation.editors.settings import Settings, read_settings
from lte_chains.evaluation.editors.train_cases import train_cases
from lte_chains.evaluation.runner import ANSWER_TOKENS
from lte_chains.shipped import ASSETS

if TYPE_CHECKING:
    from lte_chains.models import LocalChatModel

SHIPPED = ASSETS / "editors"
"""Trained editors of ``lte-tiny-base``, and the settings that were found for it."""
SHIPPED_FOR = "lte-tiny-base"
"""The model that they edit."""
DEMONSTRATIONS = ASSETS / "demonstrations.jsonl"
"""Rows that IKE demonstrates with where no others are given."""


def open_resources(
    model: str = "lte-tiny",
    *,
    base: str | None = None,
    editors: Path | None = None,
    train_data: Sequence[Path] = (),
    held_out: Path | Sequence[Path] | None = None,
    settings: Path | None = None,
    gate: str = "default",
    k: int = 3,
) -> Resources:
    """Load what methods need, once.

    ``lte-tiny-base`` has editors and settings of its own, which ship with the package
    and stand in where none are given; so do rows for IKE to demonstrate with.

    Args:
        model: The aligned model: a name or path for `load_model`, or the folder of an
            adapter.
        base: The model before alignment; if None, the one that the adapter was trained for,
            or the model's own unedited view.
        editors: A folder of trained editors.
        train_data: Rows that methods may learn from.
        held_out: The file or files that are evaluated on: their subjects are left out of the
            train rows.
        settings: Methods' settings in YAML; see `read_settings`.
        gate: LTE's scope gate: "trained", "similarity", "none" or "default".
        k: Edits in one prompt of LTE, at most.

    Raises:
        DataError: A file cannot be read.
        ConfigError: The settings are wrong.
        ModelError: A model cannot be loaded.
    """
    from lte_chains.embeddings import default_embeddings
    from lte_chains.scope.default import named_gate

    aligned, unaligned = _models(model, base)
    shipped = SHIPPED if unaligned.model_name == SHIPPED_FOR else None
    judged = [held_out] if isinstance(held_out, Path) else list(held_out or ())
    return Resources(
        model=aligned,
        base=unaligned,
        embeddings=default_embeddings(),
        train=train_cases(train_data, held_out=judged),
        demonstrations=train_cases([DEMONSTRATIONS], held_out=judged),
        trained=editors or shipped,
        settings=_settings(settings, shipped),
        gate=named_gate(gate),
        ungated=gate == "none",
        k=k,
        reopen=partial(
            open_resources,
            model,
            base=base,
            editors=editors,
            train_data=train_data,
            held_out=held_out,
            settings=settings,
            gate=gate,
            k=k,
        ),
    )


def _models(model: str, base: str | None) -> tuple[LocalChatModel, LocalChatModel]:
    """Load the aligned model and the one before."""
    from lte_chains.models import load_model

    load = partial(load_model, max_new_tokens=ANSWER_TOKENS, batch_size=32)
    if (record := Path(model) / "adapter_config.json").is_file():
        trained_for = base or base_of_adapter(record)
        # Loaded twice: weights behind an adapter cannot be edited.
        return load(trained_for, adapter=model), load(trained_for)
    aligned = load(model)
    if base is not None:
        return aligned, load(base)
    return aligned, aligned.unedited or aligned


def base_of_adapter(record: Path) -> str:
    """Return which model an adapter was trained for, by its ``adapter_config.json``.

    Raises:
        ModelError: The file does not say.
    """
    try:
        found = json.loads(record.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{record} does not say which model it is for: {error}") from error
    if not isinstance(found, str) or not found:
        raise ModelError(f"{record} does not say which model it is for: give it (--base)")
    return found


def _settings(given: Path | None, shipped: Path | None) -> Settings:
    if given is not None:
        return read_settings(given)
    return {} if shipped is None else read_settings(shipped / "settings.yaml")
