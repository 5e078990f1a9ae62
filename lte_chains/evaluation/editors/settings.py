"""Settings of methods that differ from their defaults, as a YAML file gives them.

A line is ``ft-m: {learning_rate: 0.002, steps: 40}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from lte_chains.errors import ConfigError

Settings = Mapping[str, Mapping[str, Any]]
"""Values by setting, by method."""
_Config = TypeVar("_Config")


def read_settings(path: str | Path) -> Settings:
    """Read settings of methods from a YAML file.

    Whether a method has such settings is found out when its editor is made.

    Raises:
        ConfigError: The file cannot be read, or is not of that shape.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(values, Mapping) for name, values in content.items()
    ):
        raise ConfigError(f"{path} must hold lines such as 'ft-m: {{steps: 40}}'")
    return content


def configured(
    kind: type[_Config], values: Mapping[str, Any], *, method: str, default: _Config | None = None
) -> _Config:
    """Make a method's configuration of some values; the others keep their defaults.

    Args:
        kind: The configuration's dataclass.
        values: By the names of its fields; a field that is itself a configuration takes a
            mapping.
        method: What the error message calls it.
        default: The method's own defaults, where they are not those of `kind`.

    Raises:
        ConfigError: There is no such field, or a value does not suit it.

    Example:
        >>> from lte_chains.evaluation.editors.fine_tuning import FineTuningConfig
        >>> configured(FineTuningConfig, {"steps": 40}, method="ft-m").steps
        40
    """
    default = kind() if default is None else default
    unknown = sorted(_unknown(default, values))
    if unknown:
        known = sorted(field.name for field in fields(default))  # type: ignore[arg-type]
        raise ConfigError(f"{method} has no settings {unknown}: use some of {known}")
    own = {field.name: getattr(default, field.name) for field in fields(default)}  # type: ignore[arg-type]
    try:
        return TypeAdapter(kind).validate_python({**own, **values})
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}" for mistake in error.errors()
        )
        raise ConfigError(f"settings of {method}: {mistakes}") from error


def _unknown(default: Any, values: Mapping[str, Any]) -> set[str]:
    known = {field.name: getattr(default, field.name) for field in fields(default)}
    found = set(values) - set(known)
    for name, value in values.items():
        if name in known and is_dataclass(known[name]) and isinstance(value, Mapping):
            found |= {f"{name}.{inner}" for inner in _unknown(known[name], value)}
    return found
