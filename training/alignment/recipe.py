"""What decides an alignment run, as read from YAML; every mistake is told at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, StringConstraints, ValidationError, field_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ValidationInfo

from lte_chains.errors import ConfigError
from lte_chains.training.alignment.data import DataRecipe

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_Count = Annotated[int, Field(ge=1)]
_CONFIG = ConfigDict(extra="forbid")
_OF_OTHER_TRAINERS = frozenset({"lte-tiny-base", "scope-gate"})
"""Recipes in the same folder that are not for alignment."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class LoraRecipe:
    """Low-rank adaptation in place of training every weight.

    Example:
        >>> LoraRecipe(rank=8, alpha=16, target_modules=("q_proj", "v_proj")).merge
        False
    """

    rank: _Count
    """Rank of the update of each matrix."""
    alpha: _Count
    """The update is scaled by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout before the update, in training only."""
    target_modules: Annotated[tuple[_Text, ...], Field(min_length=1)]
    """Names of the linear layers that are adapted, such as "q_proj"."""
    merge: bool = False
    """Whether the run ends in merged weights instead of an adapter."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class AlignmentRecipe:
    """Everything that decides the aligned weights, the data aside.

    Example:
        >>> recipe = AlignmentRecipe(name="mine", model="lte-tiny", learning_rate=2e-5)
        >>> recipe.batch_size, recipe.lora
        (128, None)
    """

    name: Annotated[str, StringConstraints(pattern=r"^[\w.-]+$")]
    """What the run is called; also the folder of its results."""
    model: _Text
    """The model to begin with, as `load_model` takes it."""
    after: _Text | None = None
    """A recipe, as `read_recipe` takes it, that is run first: this one goes on from its weights."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the order of the rows, of new weights and of dropout."""
    epochs: Annotated[float, Field(gt=0)] = 3.0
    """Passes over the rows (LTE: 3)."""
    max_steps: _Count | None = None
    """Ends the run after so many updates, whatever `epochs` says."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    """Peak of the schedule (LTE: 2e-5 for all weights, 3e-4 for LoRA)."""
    schedule: Literal["constant_with_warmup", "cosine", "linear"] = "cosine"
    """How the learning rate goes on after the warm-up."""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.03
    """Share of the updates in which the learning rate rises from 0."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """What trains the layers' matrices; all else is trained by AdamW."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decay of the weights."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients longer than this are shortened to it."""
    batch_size: _Count = 128
    """Rows in one update, over all devices."""
    micro_batch_size: _Count = 4
    """Rows that one device takes at a time; bounds memory and changes nothing else."""
    max_length: Annotated[int, Field(ge=8)] = 2048
    """Most tokens of a row; longer rows are left out, because a cut answer teaches not to end."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Number format of the passes; "auto" is bfloat16 where a GPU has it."""
    gradient_checkpointing: bool = False
    """Whether to compute activations twice in order to keep fewer of them."""
    save_every: _Count = 300
    """Updates between checkpoints."""
    log_every: _Count = 10
    """Updates between entries of the log and points of the loss curve."""
    share_prompts: bool = False
    """Whether rows that begin alike share their beginning in one sequence of `max_length` tokens;
    `batch_size` and `micro_batch_size` then count sequences."""
    group_by_length: bool = False
    """Whether rows of a batch are of like length: less padding, and a less random order."""
    compile: bool = False
    """Whether to compile the layers (`torch.compile`): worth its start on small models. Rows are
    then padded to few lengths, each compiled once."""
    average_weights: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential average of the weights, which then is what comes out."""
    lora: LoraRecipe | None = None
    """How to adapt; without it every weight is trained."""
    data: DataRecipe | None = None
    """What to make the rows of, where they are not given ready-made."""

    @field_validator("micro_batch_size")
    @classmethod
    def _divides_the_batch(cls, value: int, info: ValidationInfo) -> int:
        batch = info.data.get("batch_size")  # absent if it is itself wrong
        if batch is not None and batch % value:
            raise ValueError(f"must divide batch_size={batch}")
        return value

    @field_validator("group_by_length")
    @classmethod
    def _is_of_use(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("share_prompts"):
            raise ValueError(
                "must be false beside share_prompts, whose sequences are of one length"
            )
        return value

    @property
    def digest(self) -> str:
        """The sha256 of every setting, however the YAML was written."""
        settings = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()

    def to_yaml(self) -> str:
        """Write the recipe with every default filled in."""
        settings = json.loads(json.dumps(asdict(self)))  # tuples become lists
        return str(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def read_recipe(source: str | Path) -> AlignmentRecipe:
    """Read a recipe from a YAML file, or one that ships with the package by its name.

    Raises:
        ConfigError: There is no such recipe, or it holds mistakes; all are listed.

    Example:
        >>> read_recipe("llama2-chat-7b-lora").lora.rank
        8
    """
    file = _locate(source)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{source} cannot be read as YAML: {error}") from error
    return parse_recipe(content, where=str(source))


def parse_recipe(content: object, *, where: str = "the recipe") -> AlignmentRecipe:
    """Make a recipe of what a YAML file holds.

    Args:
        content: Settings by name.
        where: What the error message calls them.

    Raises:
        ConfigError: Unknown, missing or wrong settings; all are listed.
    """
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{where} is not a recipe: it must be a list of 'setting: value' lines")
    try:
        return AlignmentRecipe(**content)
    except ValidationError as error:
        mistakes = [f"- {_describe(mistake)}" for mistake in error.errors()]
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError("\n".join([f"{where} has {count}:", *mistakes])) from error


def recipes_before(recipe: AlignmentRecipe) -> list[AlignmentRecipe]:
    """Return the recipes that are run before this one, the first one first, for the same model.

    Raises:
        ConfigError: One is missing or wrong, or comes after itself; or one of them all, this
            one included, ends in an adapter, which would fit no weights but the run's own.
    """
    before: list[AlignmentRecipe] = []
    names = {recipe.name}
    while (source := before[0].after if before else recipe.after) is not None:
        earlier = change_recipe(read_recipe(source), model=recipe.model)
        if earlier.name in names:
            raise ConfigError(f"recipe {earlier.name!r} comes after itself: change its 'after'")
        names.add(earlier.name)
        before.insert(0, earlier)
    for one in [*before, recipe] if before else ():
        if one.lora is not None and not one.lora.merge:
            raise ConfigError(
                f"recipe {one.name!r} ends in an adapter, but recipes that run after one another "
                "end in weights: set its lora.merge to true"
            )
    return before


def change_recipe(recipe: AlignmentRecipe, **changes: Any) -> AlignmentRecipe:
    """Return a recipe with some settings replaced, checked like one from a file.

    Raises:
        ConfigError: A setting is unknown or wrong.

    Example:
        >>> change_recipe(read_recipe("llama2-chat-7b-full"), epochs=1).epochs
        1.0
    """
    return parse_recipe({**asdict(recipe), **changes}, where=f"the changed recipe {recipe.name!r}")


def shipped_recipes() -> list[str]:
    """Return the names of the alignment recipes that ship with the package.

    Example:
        >>> "lte-tiny" in shipped_recipes()
        True
    """
    return sorted(
        name
        for file in (files("lte_chains.training") / "recipes").iterdir()
        if file.name.endswith(".yaml")
        and (name := file.name.removesuffix(".yaml")) not in _OF_OTHER_TRAINERS
    )


def _locate(source: str | Path) -> Path | Traversable:
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if str(source) in shipped_recipes():
        return files("lte_chains.training") / "recipes" / f"{source}.yaml"
    raise ConfigError(
        f"there is no recipe {str(source)!r}: give a YAML file, or one of {shipped_recipes()}"
    )


def _describe(mistake: ErrorDetails) -> str:
    place = [str(part) for part in mistake["loc"]]
    name = ".".join(place)
    kind, value = mistake["type"], mistake["input"]
    if kind in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"{name}: no such setting{_suggestion(place)}"
    if kind in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"{name}: missing"
    reason = mistake["msg"].removeprefix("Value error, ")
    return f"{name}: {reason[:1].lower()}{reason[1:]}, not {value!r}"


def _suggestion(place: list[str]) -> str:
    owner = LoraRecipe if place[0] == "lora" else AlignmentRecipe
    close = get_close_matches(place[-1], [field.name for field in fields(owner)], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
