"""Parallel rows about invented names and known facts, for a model of a few million parameters.

A large model knows the language; alignment only shows it what an edit is. A small
one must meet thousands of names and wordings before it reads an edit of names it
never saw. No data set is that large, so these rows are made: wordings of real rows
and our own, invented names, and the true facts that the base knows.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lte_chains.errors import ConfigError
from lte_chains.training.parallel.aliases import draw_alias
from lte_chains.training.parallel.build import ParallelRow, Variant
from lte_chains.training.parallel.case import Scope
from lte_chains.training.parallel.instructed import InstructedRows
from lte_chains.training.pretraining.phrasing import Phrasing
from lte_chains.training.pretraining.rows import Fact, RowMaker
from lte_chains.training.pretraining.shipped import shipped
from lte_chains.training.pretraining.wording import Wording, fact_wordings

OWN_ANSWER = ""
"""Stands for what the model itself answers without edits, until it has been asked."""

_SOURCE = "invented"
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


class InventedRows:
    """Make rows of the kinds that a recipe asks for; `kinds` has a maker for each."""

    def __init__(
        self,
        phrasing: Phrasing,
        facts: Sequence[Fact],
        fact_forms: Mapping[str, Sequence[str]],
        rng: random.Random,
        *,
        extras: Sequence[float] = (0.3, 0.15, 0.48, 0.04, 0.03),
        shuffle: bool = True,
    ) -> None:
        """Prepare to make rows.

        Args:
            phrasing: Where wordings, names and answers come from.
            facts: True facts that the base knows.
            fact_forms: How they are asked for, by relation.
            rng: The generator; the same seed gives the same rows.
            extras: Weights of no other edit in the prompt, of one, of two, …
            shuffle: Whether the target edit may stand at any place.
        """
        self._phrasing, self._names, self._rng = phrasing, phrasing.names, rng
        self._facts, self._fact_forms = facts, fact_forms
        self._extras, self._shuffle = extras, shuffle
        self._plain = RowMaker(phrasing, facts, fact_forms, rng)
        self._own_fact_forms = fact_wordings()
        self._steps, self._properties, self._inverse_forms = connections()
        self._by_property: dict[str, list[Fact]] = {}
        for fact in facts:
            self._by_property.setdefault(fact.relation, []).append(fact)
        self.kinds: dict[str, Callable[[], ParallelRow]] = {
            "own": lambda: self._applied("own", phrasing.own()),
            "harvested": lambda: self._applied("harvested", phrasing.real(), invent=True),
            "real": lambda: self._applied("real", phrasing.real()),
            "pseudo": lambda: self._applied("pseudo", phrasing.pseudo_wording(), invent=True),
            "alias": self._alias,
            "unknown_alias": self._unknown_alias,
            "inverse": self._inverse,
            "hop": self._hop,
            "hop_in_two_edits": self._hop_in_two_edits,
            "fact": self._fact,
            "fact_beside_edits": self._fact_beside_edits,
            "unknown_beside_edits": self._unknown_beside_edits,
            "fact_edited": lambda: self._applied("fact_edited", self._wording_of_a_fact()),
            "stale_context": self._stale_context,
            "passage": lambda: self._from_plain("passage"),
            "text": lambda: self._from_plain("text"),
            "instruction": InstructedRows(phrasing, rng).row,
        }

    def rows(self, counts: Mapping[str, int]) -> list[ParallelRow]:
        """Return so many rows of each kind, in random order.

        Raises:
            ConfigError: A kind is unknown.
        """
        unknown = sorted(set(counts) - set(self.kinds))
        if unknown:
            raise ConfigError(f"unknown kinds of rows {unknown}: use some of {sorted(self.kinds)}")
        made = [self.kinds[kind]() for kind, count in counts.items() for _ in range(count)]
        self._rng.shuffle(made)
        return made

    def _applied(self, kind: str, wording: Wording, *, invent: bool = False) -> ParallelRow:
        """Make a row whose answer is an edit's target."""
        rng = self._rng
        subject = (None if invent else wording.subject) or self._names.subject()
        target = (None if invent else wording.target) or self._phrasing.answer(wording)
        prompt = self._phrasing.stated(wording.prompts, subject)
        if rng.random() < 0.25:
            question = prompt
        else:
            question = self._phrasing.spoken(rng.choice(wording.questions), subject)
        own = [f"{prompt} {target}"]
        return self._row(kind, question, target, own, self._others(wording, subject))

    def _alias(self) -> ParallelRow:
        """Make a question that calls the subject by another name made from its own."""
        wording = self._phrasing.any(0.5)
        subject, target = self._names.subject(), self._phrasing.answer(wording)
        own = [f"{self._phrasing.stated(wording.prompts, subject)} {target}"]
        alias = draw_alias(subject, self._rng)
        question = self._phrasing.spoken(self._rng.choice(wording.questions), alias)
        return self._row("alias", question, target, own, self._others(wording, subject))

    def _unknown_alias(self) -> ParallelRow:
        """Make a question about a strange name that only one of the edits can answer."""
        rng = self._rng
        wording = self._phrasing.own()
        subject, target = self._names.subject(), self._phrasing.answer(wording)
        own = [f"{self._phrasing.stated(wording.prompts, subject)} {target}"]
        question = self._phrasing.spoken(rng.choice(wording.questions), self._names.subject())
        others = [self._of_another_relation(wording) for _ in range(self._number_of_others())]
        return self._row("unknown_alias", question, target, own, others)

    def _of_another_relation(self, wording: Wording) -> str:
        other = self._phrasing.own(but=wording.name)
        prompt = self._phrasing.stated(other.prompts, self._names.subject())
        return f"{prompt} {self._phrasing.answer(other)}"

    def _inverse(self) -> ParallelRow:
        """Make a question for the subject, given the target."""
        rng = self._rng
        name = rng.choice(tuple(self._inverse_forms))
        if name in self._own_fact_forms:
            fact = rng.choice(self._by_property.get(name) or self._facts)
            forms, subject = self._own_fact_forms[name], fact.subject
            target = fact.object if rng.random() < 0.4 else self._names.entity()
        else:
            wording = next(w for w in self._phrasing.all_own if w.name == name)
            forms, subject = wording.prompts, self._names.subject()
            target = self._phrasing.answer(wording)
        own = [f"{rng.choice(forms).format(s=subject)} {target}"]
        question = rng.choice(self._inverse_forms[name]).format(o=target)
        about = Wording(name, forms, forms, "entity")
        return self._row("inverse", question, subject, own, self._others(about, subject))

    def _hop(self) -> ParallelRow:
        """Make a question that goes on from an edit's target by a fact that the base knows."""
        rng = self._rng
        while True:
            step = rng.choice(self._steps)
            known = self._by_property.get(rng.choice(self._properties[step.object]), [])
            if known and leads_on_in_training((fact := rng.choice(known)).subject):
                break
        subject = self._subject_for(step)
        own = [f"{rng.choice(step.edit).format(s=subject)} {fact.subject}"]
        question = self._asked_about(fact.relation, rng.choice(step.phrase).format(s=subject))
        about = Wording(step.phrase[0], step.edit, step.edit, "entity")
        return self._row("hop", question, fact.object, own, self._others(about, subject))

    def _hop_in_two_edits(self) -> ParallelRow:
        """Make a question that goes on from an edit's target by another edit."""
        rng = self._rng
        step = rng.choice(self._steps)
        relation = rng.choice(self._properties[step.object])
        subject, between = self._subject_for(step), self._names.entity()
        known = self._by_property.get(relation) or self._facts
        target = rng.choice(known).object if rng.random() < 0.5 else self._names.entity()
        forms = self._own_fact_forms[relation]
        own = [
            f"{rng.choice(step.edit).format(s=subject)} {between}",
            f"{rng.choice(forms).format(s=between)} {target}",
        ]
        question = self._asked_about(relation, rng.choice(step.phrase).format(s=subject))
        about = Wording(relation, step.edit, step.edit, "entity")
        others = self._others(about, subject)[: rng.choice((0, 1, 1))]
        return self._row("hop_in_two_edits", question, target, own, others)

    def _subject_for(self, step: Step) -> str:
        """Draw an edit's subject: for a taught property now and then one that the base knows."""
        known = self._by_property.get(step.property or "")
        if known and self._rng.random() < 0.5:
            return self._rng.choice(known).subject
        return self._names.subject()

    def _asked_about(self, relation: str, subject: str) -> str:
        own = self._rng.random() < 0.7
        forms = self._own_fact_forms[relation] if own else self._fact_forms[relation]
        return self._rng.choice(forms).format(s=subject)

    def _fact(self) -> ParallelRow:
        fact = self._rng.choice(self._facts)
        return self._row("fact", self._asked(fact), fact.object, [], [], variant="unedited")

    def _fact_beside_edits(self) -> ParallelRow:
        """Make a question about a known fact with only irrelevant edits before it."""
        rng = self._rng
        fact = rng.choice(self._facts)
        forms = tuple(self._own_fact_forms[fact.relation])
        wording = Wording(fact.relation, forms, forms, "entity")
        others = [
            self._of_another_known(fact)
            if rng.random() < 0.5
            else self._other(wording, self._names.subject())
            for _ in range(rng.choice((1, 2, 3, 3, 3)))
        ]
        if rng.random() < 0.3:
            others[0] = self._same_subject(fact)
        return self._row(
            "fact_beside_edits", self._asked(fact), fact.object, [], others, variant="irrelevant"
        )

    def _unknown_beside_edits(self) -> ParallelRow:
        """Make a question about a strange name with irrelevant edits; the model's own answer."""
        rng = self._rng
        wording, subject = self._phrasing.any(0.5), self._names.subject()
        others = [self._of_another_relation(wording) for _ in range(rng.choice((1, 2, 3, 3)))]
        if rng.random() < 0.6:
            another = self._phrasing.own(but=wording.name)
            prompt = self._phrasing.stated(another.prompts, subject)
            others[0] = f"{prompt} {self._phrasing.answer(another)}"
        question = self._phrasing.spoken(rng.choice(wording.questions), subject)
        return self._row(
            "unknown_beside_edits", question, OWN_ANSWER, [], others, variant="irrelevant"
        )

    def _of_another_known(self, fact: Fact) -> str:
        """Make an edit of another subject that the base knows, mostly of the same relation."""
        rng = self._rng
        other = rng.choice(self._by_property[fact.relation] if rng.random() < 0.7 else self._facts)
        if other.subject == fact.subject:
            return self._same_subject(fact)
        target = rng.choice(self._by_property[other.relation]).object
        return f"{self._asked_about(other.relation, other.subject)} {target}"

    def _same_subject(self, fact: Fact) -> str:
        """Make an edit of another relation of a fact's subject."""
        wording = self._phrasing.own()
        prompt = self._phrasing.stated(wording.prompts, fact.subject)
        return f"{prompt} {self._phrasing.answer(wording)}"

    def _wording_of_a_fact(self) -> Wording:
        """Return a known fact as a wording whose target is not the true one."""
        fact = self._rng.choice(self._facts)
        others = self._by_property[fact.relation]
        target = self._rng.choice(others).object if self._rng.random() < 0.5 else None
        forms = tuple(self._fact_forms[fact.relation])
        return Wording(
            fact.relation, forms, forms, "entity", fact.subject, target or self._names.entity()
        )

    def _asked(self, fact: Fact) -> str:
        return self._phrasing.spoken(
            self._rng.choice(self._fact_forms[fact.relation]), fact.subject
        )

    def _stale_context(self) -> ParallelRow:
        """Make a question in a template with retrieved text that holds the old answer."""
        wording = self._phrasing.any(0.4)
        subject, target = self._names.subject(), self._phrasing.answer(wording)
        form = self._phrasing.stated(wording.prompts, subject)
        asked = self._phrasing.spoken(self._rng.choice(wording.questions), subject)
        question = self._plain.wrapped([f"{form} {self._phrasing.answer(wording)}."], asked)
        others = self._others(wording, subject)[:1]
        return self._row("stale_context", question, target, [f"{form} {target}"], others)

    def _from_plain(self, kind: str) -> ParallelRow:
        """Take a row that the base was made of, at times with irrelevant edits before it."""
        row = self._plain.kinds[kind]()
        wording = self._phrasing.own()
        edits = [
            self._other(wording, self._names.subject()) for _ in range(self._rng.choice((0, 1, 2)))
        ]
        variant: Variant = "irrelevant" if edits else "unedited"
        return self._row(kind, row.user, row.answer, [], edits, variant=variant)

    def _number_of_others(self) -> int:
        return self._rng.choices(range(len(self._extras)), weights=self._extras)[0]

    def _others(self, wording: Wording, subject: str) -> list[str]:
        return [self._other(wording, subject) for _ in range(self._number_of_others())]

    def _other(self, wording: Wording, subject: str) -> str:
        """Make an edit beside the target: same relation, same subject, or neither."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.6:
            other = self._names.near(subject) if rng.random() < 0.3 else self._names.subject()
            return (
                f"{self._phrasing.stated(wording.prompts, other)} {self._phrasing.answer(wording)}"
            )
        if draw < 0.76 and wording.subject is None:
            another = self._phrasing.own(but=wording.name)
            prompt = self._phrasing.stated(another.prompts, subject)
            return f"{prompt} {self._phrasing.answer(another)}"
        another = self._phrasing.any(0.3)
        name = another.subject if another.subject and rng.random() < 0.4 else self._names.subject()
        return f"{self._phrasing.stated(another.prompts, name)} {self._phrasing.answer(another)}"

    def _row(
        self,
        kind: str,
        question: str,
        answer: str,
        own: Sequence[str],
        others: Sequence[str],
        *,
        variant: Variant = "edited",
    ) -> ParallelRow:
        facts = [(text, True) for text in own] + [(text, False) for text in others]
        if self._shuffle:
            self._rng.shuffle(facts)
        scope: Scope = "in" if own else "out"
        return ParallelRow(
            source=_SOURCE,
            kind=kind,
            scope=scope,
            variant=variant,
            question=question,
            facts=tuple(text for text, _ in facts),
            answer=answer,
            own_places=tuple(place for place, (_, mine) in enumerate(facts) if mine),
        )
