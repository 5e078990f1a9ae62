"""What the gate is trained on: a question, an edit, and whether the one depends on the other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lte_chains.edit import Edit, normalise


@dataclass(frozen=True)
class Pair:
    """A question beside an edit.

    Example:
        >>> edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme")
        >>> Pair("Who runs Acme?", edit, in_scope=True, kind="paraphrase").in_scope
        True
    """

    question: str
    edit: Edit
    in_scope: bool
    kind: str
    """How it came about: "paraphrase", "other_relation", …"""


def as_row(pair: Pair) -> dict[str, object]:
    """Return a pair as `lte-chains evaluate retrieval --pairs` reads it.

    Example:
        >>> edit = Edit(prompt="2 + 2 is", target_new="5")
        >>> as_row(Pair("2 + 2?", edit, in_scope=True, kind="paraphrase"))["edit"]
        {'prompt': '2 + 2 is', 'target_new': '5'}
    """
    edit = pair.edit
    fields = ("prompt", "target_new", "subject", "statement")
    return {
        "question": pair.question,
        "edit": {name: value for name in fields if (value := getattr(edit, name))},
        "in_scope": pair.in_scope,
        "kind": pair.kind,
    }


@dataclass(frozen=True)
class Fact:
    """A subject, one of our relations by name, and the answer that an edit gives it."""

    subject: str
    relation: str
    target: str
    form: str | None = None
    """How the source asks for it, with `{s}` for the subject; None for our own wordings."""


def share_of(text: str) -> float:
    """Return a number in [0, 1) that is always the same for a text, to split by it.

    Example:
        >>> share_of("Acme") == share_of(" acme ")
        True
    """
    digest = hashlib.sha256(normalise(text).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
