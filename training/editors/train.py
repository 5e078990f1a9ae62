"""Train editors into a folder, each once: what is there already is not trained again."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from lte_chains.embeddings import fingerprint
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.hypernetwork import HypernetworkConfig, weights_digest
from lte_chains.evaluation.editors.mend import Mend
from lte_chains.evaluation.editors.serac import COUNTERFACTUAL, Serac, base_digest, save_serac
from lte_chains.evaluation.seen import add_subjects
from lte_chains.local.loading import outdated_names_ignored
from lte_chains.models import LocalChatModel
from lte_chains.training.editors.examples import EditExample, digest_of
from lte_chains.training.editors.hypernetworks import (
    HypernetworkTraining,
    Losses,
    train_hypernetwork,
)
from lte_chains.training.editors.serac import (
    SeracTraining,
    train_classifier,
    train_counterfactual,
)

_log = logging.getLogger(__name__)
TRAINED = ("mend", "serac")
"""Editors that `train_editors` trains; InstructEdit has a command of its own."""


@dataclass(frozen=True, kw_only=True)
class EditorTraining:
    """How editors are trained.

    Example:
        >>> EditorTraining().network.rank
        128
    """

    network: HypernetworkConfig = field(default_factory=HypernetworkConfig)
    """The hypernetwork's size."""
    hypernetwork: HypernetworkTraining = field(default_factory=HypernetworkTraining)
    """How MEND and InstructEdit are trained."""
    serac: SeracTraining = field(default_factory=SeracTraining)
    """How SERAC is trained."""


def train_editors(
    model: LocalChatModel,
    examples: Sequence[EditExample],
    out: Path,
    *,
    embeddings: Embeddings,
    config: EditorTraining | None = None,
    names: Sequence[str] = TRAINED,
) -> dict[str, str]:
    """Train MEND and SERAC for a model, into the folder that `Resources.trained` names.

    Args:
        model: The model to be edited; it is left as it is.
        examples: What to learn from, the answers outside filled in.
        out: The folder.
        embeddings: SERAC's embedder.
        config: How.
        names: Which to train.

    Returns:
        For each editor "trained", or "was there" if it had been trained on the
        same examples in the same way.

    Raises:
        ConfigError: There is no such editor.
        UneditableModelError: MEND cannot edit the model.
    """
    unknown = sorted(set(names) - set(TRAINED))
    if unknown:
        raise ConfigError(f"unknown editors {unknown}: use some of {list(TRAINED)}")
    config = config or EditorTraining()
    done = {}
    for name in dict.fromkeys(names):
        if name == "mend":
            done[name] = train_mend(Mend, model, examples, out, config)
        else:
            done[name] = _train_serac(model, examples, out, embeddings, config.serac)
    return done


def train_mend(
    kind: type[Mend],
    model: LocalChatModel,
    examples: Sequence[EditExample],
    out: Path,
    config: EditorTraining,
) -> str:
    """Train MEND or InstructEdit, unless it is there; returns "trained" or "was there"."""
    editor = kind.untrained(model, config.network, seed=config.hypernetwork.seed)
    record: dict[str, Any] = {
        "model": model.model_name,
        "weights": weights_digest(editor.matrices),
        "examples": digest_of(examples),
        "training": asdict(config.hypernetwork),
    }
    folder = out / kind.folder_name
    if _is_there(folder, {**record, "config": asdict(config.network)}):
        return "was there"

    def tell(losses: Losses) -> None:
        _log.info(
            "%s step %d of %d: edit %.3f, locality %.4f",
            kind.folder_name,
            losses.step,
            config.hypernetwork.steps,
            losses.edit,
            losses.locality,
        )

    losses = train_hypernetwork(editor, examples, config.hypernetwork, report=tell)
    editor.network.save(folder, {**record, "losses": [asdict(entry) for entry in losses]})
    add_subjects(out, [example.about for example in examples])
    return "trained"


def _train_serac(
    model: LocalChatModel,
    examples: Sequence[EditExample],
    out: Path,
    embeddings: Embeddings,
    config: SeracTraining,
) -> str:
    record = {
        "model": model.model_name,
        "weights": base_digest(model),
        "embedder": fingerprint(embeddings),
        "examples": digest_of(examples),
        "training": asdict(config),
    }
    if _is_there(out / Serac.folder_name, record):
        return "was there"

    def tell(step: int, loss: float) -> None:
        if step % 50 == 0:
            _log.info("serac step %d of %d: loss %.3f", step, config.steps, loss)

    classifier = train_classifier(examples, embeddings, config)
    module = train_counterfactual(model, examples, config, report=tell)
    _save_adapter(module, out / COUNTERFACTUAL, model.model_name)
    save_serac(out, classifier=classifier, record=record)
    add_subjects(out, [example.about for example in examples])
    return "trained"


def _save_adapter(module: Any, folder: Path, base: str) -> None:
    """Write what was trained; the base by its name, not by where it lies on this machine."""
    module.peft_config["default"].base_model_name_or_path = base
    with outdated_names_ignored():
        module.save_pretrained(folder)
    # PEFT's model card is a form that nobody has filled in.
    (folder / "README.md").unlink(missing_ok=True)


def _is_there(folder: Path, record: dict[str, Any]) -> bool:
    """Tell whether a folder holds an editor that was trained in just this way."""
    try:
        found = json.loads((folder / "editor.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    wanted = json.loads(json.dumps(record))
    return all(found.get(name) == value for name, value in wanted.items())
