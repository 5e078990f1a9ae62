"""Questions that go on from an edit's target, by a fact that the base knows or by another edit."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lte_chains.training.parallel.connections import Step, leads_on_in_training
from lte_chains.training.parallel.told import Asked, Told
from lte_chains.training.pretraining.phrasing import Phrasing
from lte_chains.training.pretraining.rows import Fact
from lte_chains.training.pretraining.wording import Wording


@dataclass(frozen=True)
class Hop:
    """The edits of a question that goes on from a target."""

    told: tuple[Told, ...]
    """The edits that it needs; the first one can be asked about."""
    about: Wording
    """What edits beside them may be mistaken for."""
    subject: str
    """The first edit's subject."""


class Hops:
    """Draw edits and questions that go on from them."""

    def __init__(
        self,
        phrasing: Phrasing,
        steps: Sequence[Step],
        properties: Mapping[str, Sequence[str]],
        facts: Sequence[Fact],
        own_forms: Mapping[str, Sequence[str]],
        fact_forms: Mapping[str, Sequence[str]],
        rng: random.Random,
    ) -> None:
        """Prepare to draw.

        Args:
            phrasing: Where wordings and names come from.
            steps: How an edit's target is called by its subject.
            properties: What leads on from a kind of thing, by kind.
            facts: True facts that the base knows.
            own_forms: Our wordings of them, by property.
            fact_forms: All their wordings, likewise.
            rng: The generator; the same seed gives the same draws.
        """
        self._phrasing, self._names, self._rng = phrasing, phrasing.names, rng
        self._steps, self._properties, self._facts = steps, properties, facts
        self._own_forms, self._fact_forms = own_forms, fact_forms
        self._by_property: dict[str, list[Fact]] = {}
        self._by_subject: dict[str, list[Fact]] = {}
        for fact in facts:
            self._by_property.setdefault(fact.relation, []).append(fact)
            self._by_subject.setdefault(fact.subject, []).append(fact)

    def by_a_known_fact(self) -> Hop:
        """Ask what goes on from an edit's target by a fact that the base knows."""
        rng = self._rng
        while True:
            step = rng.choice(self._steps)
            known = self._by_property.get(rng.choice(self._properties[step.object]), [])
            if known and leads_on_in_training((fact := rng.choice(known)).subject):
                break
        subject = self._subject_for(step)
        allowed = self._properties[step.object]
        onward = [f for f in self._by_subject[fact.subject] if f.relation in allowed]

        def ask() -> Asked:
            further = rng.choice(onward)
            phrase = rng.choice(step.phrase).format(s=subject)
            question = self.asked_about(further.relation, phrase)
            return Asked("hop", question, further.object)

        text = f"{self._phrasing.stated(step.edit, subject)} {fact.subject}"
        about = Wording(step.phrase[0], step.edit, step.edit, "entity")
        return Hop((Told(text, ask),), about, subject)

    def by_another_edit(self) -> Hop:
        """Ask what goes on from an edit's target by another edit."""
        rng = self._rng
        step = rng.choice(self._steps)
        relation = rng.choice(self._properties[step.object])
        subject, between = self._subject_for(step), self._names.entity()
        known = self._by_property.get(relation) or self._facts
        target = rng.choice(known).object if rng.random() < 0.5 else self._names.entity()

        def ask() -> Asked:
            question = self.asked_about(relation, rng.choice(step.phrase).format(s=subject))
            return Asked("hop_in_two_edits", question, target)

        first = f"{self._phrasing.stated(step.edit, subject)} {between}"
        second = f"{rng.choice(self._own_forms[relation]).format(s=between)} {target}"
        about = Wording(relation, step.edit, step.edit, "entity")
        return Hop((Told(first, ask), Told(second)), about, subject)

    def asked_about(self, relation: str, subject: str) -> str:
        """Ask for a property, mostly in our own wordings."""
        forms = self._own_forms if self._rng.random() < 0.7 else self._fact_forms
        return self._rng.choice(forms[relation]).format(s=subject)

    def _subject_for(self, step: Step) -> str:
        """Draw an edit's subject: for a taught property now and then one that the base knows."""
        known = self._by_property.get(step.property or "")
        if known and self._rng.random() < 0.5:
            return self._rng.choice(known).subject
        return self._names.subject()
