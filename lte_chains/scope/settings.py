"""The settings that come with a trained gate's weights, as JSON beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lte_chains.errors import ConfigError
from lte_chains.scope.calibration import Calibration


@dataclass(frozen=True)
class Decision:
    """From which probability on an edit is in scope, and how probabilities come about."""

    threshold: float
    calibration: Calibration

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Decision:
        """Read what `to_dict` returned.

        Raises:
            KeyError: A part is missing.
            TypeError: A part is of another kind.
        """
        return cls(float(settings["threshold"]), Calibration(**settings["calibration"]))

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold.

        Example:
            >>> Decision.from_dict(Decision(0.5, Calibration()).to_dict()).threshold
            0.5
        """
        return {"threshold": self.threshold, "calibration": asdict(self.calibration)}


@dataclass(frozen=True)
class GateSettings:
    """How a gate decides without a cosine, and with that of each embedder it was measured with.

    Example:
        >>> plain, near = Decision(0.6, Calibration()), Decision(0.5, Calibration(1.0, -9.0, 12.0))
        >>> settings = GateSettings(plain, (("all-MiniLM-L6-v2", near),))
        >>> settings.for_embedder("sentence-transformers/all-MiniLM-L6-v2").threshold
        0.5
        >>> settings.for_embedder("another").threshold
        0.6
    """

    plain: Decision
    by_embedder: tuple[tuple[str, Decision], ...] = ()

    @classmethod
    def read(cls, path: Path) -> GateSettings:
        """Read a gate's ``gate.json``.

        Raises:
            ConfigError: The file cannot be read, or is none.
        """
        settings = read_json(path)
        try:
            embedders = [
                (name, Decision.from_dict(own))
                for name, own in settings.get("embedders", {}).items()
            ]
            return cls(Decision.from_dict(settings), tuple(embedders))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{path} holds no threshold and calibration of a scope gate: {error!r}"
            ) from error

    def write(self, path: Path) -> None:
        """Write what `read` reads."""
        embedders = {name: own.to_dict() for name, own in self.by_embedder}
        settings = {**self.plain.to_dict(), "embedders": embedders}
        path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")

    def for_embedder(self, fingerprint: str) -> Decision:
        """Return how to decide with an embedder's cosines; without them if it is not known."""
        return dict(self.by_embedder).get(embedder_name(fingerprint), self.plain)


def embedder_name(fingerprint: str) -> str:
    """Return the name in an embedder's fingerprint, ``name:digest``, or in a path of the hub.

    Example:
        >>> embedder_name("sentence-transformers/all-MiniLM-L6-v2:53aa5117")
        'all-MiniLM-L6-v2'
    """
    return fingerprint.partition(":")[0].rpartition("/")[2]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ConfigError: The file cannot be read, or holds none.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} holds no threshold and calibration of a scope gate")
    return settings
