"""The record of an alignment run, and the model card that tells it to people."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from lte_chains.training.alignment.recipe import AlignmentRecipe

_PACKAGES = ("lte-chains", "torch", "transformers", "trl", "peft", "datasets", "accelerate")


@dataclass(frozen=True, kw_only=True)
class RowsUsed:
    """A file of rows, and how many of them were used."""

    name: str
    sha256: str
    rows: int
    """Rows of the file."""
    used: int
    """Rows that fit into the recipe's `max_length`."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What made a model: recipe, data, versions, and how it ended."""

    recipe: AlignmentRecipe
    kind: str
    """"adapter" or "weights"."""
    train: RowsUsed
    dev: RowsUsed | None
    steps: int
    train_loss: float
    """Mean loss of the answer tokens over the last logged updates."""
    dev_loss: float | None
    scores: Mapping[str, Any] | None
    """What `evaluate_knowedit` returned."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {
            "name": self.recipe.name,
            "kind": self.kind,
            "base_model": public_name(self.recipe.model),
            "recipe_sha256": self.recipe.digest,
            "seed": self.recipe.seed,
            "train": asdict(self.train),
            "dev": asdict(self.dev) if self.dev else None,
            "steps": self.steps,
            "train_loss": self.train_loss,
            "dev_loss": self.dev_loss,
            "scores": dict(self.scores) if self.scores else None,
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that took part."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def public_name(model: str) -> str:
    """Return a model's name without the place of a local folder.

    Example:
        >>> public_name("meta-llama/Llama-2-7b-chat-hf")
        'meta-llama/Llama-2-7b-chat-hf'
    """
    path = Path(model).expanduser()
    return path.resolve().name if path.is_dir() else model


def render_card(record: RunRecord) -> str:
    """Write the model card (a Hugging Face ``README.md``) of a run."""
    recipe, base = record.recipe, public_name(record.recipe.model)
    head = {
        "base_model": base,
        "library_name": "peft" if record.kind == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["knowledge-editing", "lte", "lte-chains", "sft", "trl"],
    }
    how = "all weights" if recipe.lora is None else f"LoRA of rank {recipe.lora.rank}"
    adapter = record.kind == "adapter"
    call = f'load_model("{base}", adapter=FOLDER)' if adapter else "load_model(FOLDER)"
    settings = recipe.to_yaml().replace(f"model: {recipe.model}\n", f"model: {base}\n")
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(head)}---\n",
            f"# {recipe.name}\n",
            f"`{base}` after the alignment phase of LTE (arXiv 2402.11905): it answers by the",
            "updated information in front of a question, and as before without any. Made by",
            f"`lte-chains align train` ({how}); the loss was on answers only.\n",
            f"```python\nfrom lte_chains import load_model\n\nmodel = {call}\n```\n",
            "## Data\n",
            *_table("file", "rows", "rows used", "sha256", rows=_files(record)),
            "## Result\n",
            *_table("measure", "value", rows=_results(record)),
            "## Recipe\n",
            f"sha256 of the settings: `{recipe.digest}`\n\n```yaml\n{settings}```\n",
            "## Versions\n",
            *_table("package", "version", rows=[*versions().items()]),
        ]
    )


def _files(record: RunRecord) -> list[tuple[object, ...]]:
    files = [record.train, *([record.dev] if record.dev else [])]
    return [(file.name, f"{file.rows:,}", f"{file.used:,}", f"`{file.sha256}`") for file in files]


def _results(record: RunRecord) -> list[tuple[object, ...]]:
    results: list[tuple[object, ...]] = [
        ("updates", f"{record.steps:,}"),
        ("seed", record.recipe.seed),
        ("train loss", f"{record.train_loss:.4f}"),
    ]
    if record.dev_loss is not None:
        results.append(("dev loss", f"{record.dev_loss:.4f}"))
    if record.scores:
        results.append(("evaluated on", f"{record.scores['data']}, {record.scores['rows']} rows"))
        results += [
            (name, f"{value:.4f}")
            for name, value in record.scores["methods"]["lte"].items()
            if isinstance(value, float)
        ]
    return results


def _table(*columns: str, rows: list[tuple[object, ...]] | list[tuple[str, str]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return [*lines, ""]
