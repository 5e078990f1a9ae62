"""A base's recipe, and what its rows are made of."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from lte_chains.errors import ConfigError
from lte_chains.training.pretraining.names import Corpus, read_corpus
from lte_chains.training.pretraining.rows import Fact, read_fact_forms, read_facts
from lte_chains.training.pretraining.wording import Wording, own_wordings, read_wordings

_DEV_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of the curriculum: its length, its batches, the weight of each kind of row."""

    steps: int
    tokens_per_batch: int
    mix: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the weights, as read from YAML."""

    name: str
    seed: int
    data: dict[str, Any]
    model: dict[str, int]
    optimizer: dict[str, float]
    stages: list[Stage] = field(default_factory=list)
    init_from: str | None = None
    """A folder of weights and tokenizer to begin with, in place of nothing."""
    compile: bool = True
    """Whether to compile the model: a quarter faster once it runs, seconds slower to start."""

    @property
    def steps(self) -> int:
        """Steps of all stages together."""
        return sum(stage.steps for stage in self.stages)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe from YAML.

    Raises:
        ConfigError: The file has an unknown or a missing key.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        stages = [Stage(**stage) for stage in content.pop("stages")]
        return Recipe(**content, stages=stages)
    except (TypeError, KeyError) as error:
        raise ConfigError(f"{path} is not a recipe of this trainer: {error}") from error


def shipped_base_recipe(name: str) -> Recipe:
    """Read a base's recipe that ships with the package.

    Raises:
        ConfigError: There is none of that name.
    """
    file = Path(str(files("lte_chains.training"))) / "recipes" / f"{name}.yaml"
    if not file.is_file():
        raise ConfigError(f"there is no recipe {name!r} of a base")
    return read_recipe(file)


@dataclass(frozen=True)
class Material:
    """What rows are made of, split into what is trained on and what is not."""

    corpus: Corpus
    train: list[Wording]
    dev: list[Wording]
    facts: list[Fact]
    fact_forms: dict[str, tuple[str, ...]]


def read_material(recipe: Recipe, data: Path) -> Material:
    """Read all sources and hold out the subjects of the recipe's `held_out` files."""
    held_out = frozenset(
        row["subject"].strip().casefold()
        for name in recipe.data["held_out"]
        for row in json.loads((data / name).read_text(encoding="utf-8"))
    )
    corpus = read_corpus(
        data / recipe.data["corpus"], max_chars=recipe.data["corpus_chars"], exclude=held_out
    )
    real = [
        wording
        for name in recipe.data["wordings"]
        for wording in read_wordings(data / name)
        if wording.questions and (wording.subject or "").strip().casefold() not in held_out
    ]
    subjects = sorted({wording.subject or "" for wording in real})
    random.Random(recipe.seed).shuffle(subjects)
    for_dev = set(subjects[: int(len(subjects) * _DEV_SHARE)])
    own = own_wordings()
    unseen = [Wording(w.name, w.prompts[:-1], w.questions[-1:], w.object) for w in own]
    seen = [Wording(w.name, w.prompts[:-1], w.questions[:-1], w.object) for w in own]
    facts = read_facts(
        data / recipe.data["facts"],
        per_relation=recipe.data["facts_per_relation"],
        counts=corpus.counts,
        exclude=held_out,
    )
    return Material(
        corpus,
        seen + [w for w in real if w.subject not in for_dev],
        unseen + [w for w in real if w.subject in for_dev],
        facts,
        read_fact_forms([data / name for name in recipe.data["fact_forms"]], facts),
    )
