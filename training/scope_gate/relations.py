"""What the relations of edits are called, asked by, and confused with."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from lte_chains.training.parallel.mentions import folded
from lte_chains.training.pretraining.wording import fact_wordings, own_wordings
from lte_chains.training.scope_gate.phrases import descriptions

_VERBAL = re.compile(
    r"\b(?:by|of|for|in|at|on|after|from|to)$|^(?:located|member|made|applies|from) "
)
_COMMON = frozenset(
    ("the", "of", "in", "to", "and", "or", "on", "by", "a", "at", "from", "for", "is")
)


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One relation and how it is asked for; `{s}` is the subject, `{t}` the answer."""

    name: str
    object: str
    """What kind of answer it has; see wordings.yaml."""
    forms: tuple[str, ...]
    """Prompts of edits, which ask the same thing as questions."""
    descriptions: tuple[str, ...]
    """Noun phrases for the answer."""
    asked: tuple[str, ...] = ()
    """Questions in words that edits are not written in."""
    labels: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    inverse: tuple[str, ...] = ()
    near: frozenset[str] = frozenset()
    """Relations whose questions the edit may bear on too."""
    confused: tuple[str, ...] = ()
    """Other relations that are easily taken for this one."""
    turned: frozenset[str] = frozenset()
    """Relations that say the same of the answer: a mother's child."""
    words: frozenset[str] = field(default_factory=frozenset)
    """Content words of the labels, to tell properties that may mean the same."""


@dataclass(frozen=True)
class Questions:
    """The wordings that belong to no relation; see questions.yaml."""

    about: Mapping[str, Sequence[str]]
    further: Mapping[str, Sequence[Sequence[str]]]
    mention: Sequence[str]
    properties: Sequence[str]
    by_label: Sequence[str]
    leads: Sequence[str]

    def about_kind(self, kind: str) -> Sequence[str]:
        """Return what may be asked about a thing of a kind; about anything, if that is unknown."""
        return self.about.get(kind, self.about["entity"])


@cache
def relations() -> Mapping[str, Relation]:
    """Return our relations by name, with forms from every file that ships with the package."""
    known, nouns = shipped_wordings("relations.yaml"), shipped_wordings("questions.yaml")["nouns"]
    own = {wording.name: wording for wording in own_wordings()}
    facts = fact_wordings()
    made = {}
    for name, entry in known.items():
        wording = own.get(name)
        kind = entry.get("object") or (wording.object if wording else "entity")
        forms = [*(wording.prompts if wording else ()), *entry.get("forms", ())]
        forms += facts.get(entry.get("same_as", ""), ())
        made[name] = _relation(name, kind, forms, entry, nouns[kind])
    return made


@cache
def properties_of() -> Mapping[str, str]:
    """Return the relation that a property of facts.tsv is, by its Wikidata name."""
    known = shipped_wordings("relations.yaml").items()
    return {entry["same_as"]: name for name, entry in known if "same_as" in entry}


@cache
def questions() -> Questions:
    """Return the wordings that belong to no relation."""
    entries = shipped_wordings("questions.yaml")
    return Questions(**{key: value for key, value in entries.items() if key != "nouns"})


def others(relation: Relation, among: Iterable[Relation]) -> list[Relation]:
    """List the relations whose questions surely do not depend on an edit of this one."""
    return [
        other
        for other in among
        if other.name != relation.name
        and other.name not in relation.near
        and relation.name not in other.near
    ]


def says_it_of_the_answer(relation: Relation, other: Relation) -> bool:
    """Tell whether an edit of one relation answers a question of another about its new answer."""
    return other.name in relation.turned or relation.name in other.turned


def other_properties(relation: Relation) -> list[str]:
    """List property names that share no content word with the relation's own."""
    return [
        label for label in questions().properties if not relation.words & _content_words([label])
    ]


def ask(relation: Relation, rng: random.Random) -> str:
    """Draw a form of a relation, now and then one made of its plain name."""
    draw = rng.random()
    if relation.labels and draw < 0.3:
        return by_label(rng.choice(relation.labels), rng)
    if relation.asked and draw < 0.6:
        return rng.choice(relation.asked)
    return rng.choice(relation.forms)


def by_label(label: str, rng: random.Random) -> str:
    """Draw a form that asks for a property by its name."""
    return rng.choice(questions().by_label).replace("{label}", label)


def _relation(
    name: str, kind: str, forms: Sequence[str], entry: Mapping[str, Any], nouns: Sequence[str]
) -> Relation:
    labels = tuple(entry["labels"])
    # "the founded by of X" is no English; such labels stand in lists of properties only.
    named = [f"The {label} of {{s}} is" for label in labels if not _VERBAL.search(label)]
    described = [text for form in (*forms, *named) for text in descriptions(form, nouns)]
    return Relation(
        name=name,
        object=kind,
        forms=tuple(dict.fromkeys(forms)),
        descriptions=tuple(dict.fromkeys(described)),
        asked=tuple(entry.get("asked", ())),
        labels=labels,
        follows=tuple(entry.get("follows", ())),
        inverse=tuple(entry.get("inverse", ())),
        near=frozenset(entry["near"]),
        confused=tuple(entry.get("confused", ())),
        turned=frozenset(entry.get("turned", ())),
        words=_content_words(labels),
    )


def _content_words(labels: Iterable[str]) -> frozenset[str]:
    return frozenset(word for label in labels for word in folded(label).split()) - _COMMON


@cache
def shipped_wordings(name: str) -> dict[str, Any]:
    """Read a YAML file of this folder."""
    text = (files("lte_chains.training.scope_gate") / name).read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content
