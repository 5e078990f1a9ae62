"""The YAML files that ship beside the training code."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml


def shipped(name: str) -> dict[str, Any]:
    """Read one of the package's own YAML files."""
    text = (files("lte_chains.training.pretraining") / name).read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content
