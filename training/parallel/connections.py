"""How facts lead on to one another, and which of these ways are kept out of training."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from lte_chains.training.pretraining.shipped import shipped

_KEPT_FOR_TESTS = 0.3


def leads_on_in_training(subject: str) -> bool:
    """Tell whether questions that go on from this subject may be trained on.

    For three subjects in ten they are not, so that following an edit to a fact
    that the model knows can be tested on combinations that it never met.
    """
    return (zlib.crc32(subject.encode()) % 1000) / 1000 >= _KEPT_FOR_TESTS


@dataclass(frozen=True)
class Step:
    """A way to call an edit's object by its subject."""

    object: str
    """What kind of thing the object is."""
    edit: tuple[str, ...]
    """Forms of the edit, with `{s}` for its subject."""
    phrase: tuple[str, ...]
    """What the object is called, with `{s}` for the subject of the edit."""
    property: str | None
    """The Wikidata property, if true facts of it are taught."""


def connections() -> tuple[list[Step], dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the steps, the properties that each kind of thing has, and the inverse questions."""
    content: dict[str, Any] = shipped("connections.yaml")
    steps = [
        Step(row["object"], tuple(row["edit"]), tuple(row["phrase"]), row["property"])
        for row in content["phrases"]
    ]
    properties = {kind: tuple(names) for kind, names in content["subjects"].items()}
    inverse = {name: tuple(forms) for name, forms in content["inverse"].items()}
    return steps, properties, inverse
