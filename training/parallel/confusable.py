"""Edits that are easily taken for one another: only careful reading tells them apart."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from lte_chains.training.parallel.told import Asked, Told
from lte_chains.training.pretraining.phrasing import Phrasing
from lte_chains.training.pretraining.rows import Fact
from lte_chains.training.pretraining.wording import Wording


class ConfusableEdits:
    """Make the edits of one prompt so that neither subject nor relation alone tells them apart."""

    def __init__(
        self,
        phrasing: Phrasing,
        inverse_forms: Mapping[str, Sequence[str]],
        fact_forms: Mapping[str, Sequence[str]],
        facts: Mapping[str, Sequence[Fact]],
        rng: random.Random,
    ) -> None:
        """Prepare to make edits.

        Args:
            phrasing: Where wordings, names and answers come from.
            inverse_forms: Questions for the subject, given the object as ``{o}``, by relation.
            fact_forms: How edits of known facts are stated, by property.
            facts: True facts that the base knows, by property.
            rng: The generator; the same seed gives the same edits.
        """
        self._phrasing, self._names, self._rng = phrasing, phrasing.names, rng
        self._inverse_forms, self._fact_forms, self._facts = inverse_forms, fact_forms, facts
        self._own = {wording.name: wording for wording in phrasing.all_own}

    def asked_back(self, count: int) -> list[Told]:
        """Make edits of mostly one relation that are asked for their subjects, given the targets.

        Args:
            count: How many, at least 1.
        """
        relation = self._relation()
        edits = [self._asked_back(relation, set())]
        while len(edits) < count:
            another = relation if self._rng.random() < 0.7 else self._relation()
            edits.append(self._asked_back(another, {edit.text for edit in edits}))
        return edits

    def alike(self, count: int) -> list[Told]:
        """Make edits whose names share words, or which are of one subject.

        Args:
            count: How many, at least 1.
        """
        rng = self._rng
        wording = self._phrasing.any(0.5)
        subject, target = self._names.subject(), self._phrasing.answer(wording)
        edits, used = [self._stated(wording, subject, target)], {subject}
        while len(edits) < count:
            other = subject if rng.random() < 0.3 else self._names.near(subject)
            about = wording
            if other in used or rng.random() < 0.25:
                about = self._phrasing.own(but=wording.name)
            near = rng.random() < 0.5
            answer = self._names.near(target) if near else self._phrasing.answer(about)
            edits.append(self._stated(about, other, answer))
            used.add(other)
        return edits

    def _relation(self) -> str:
        return self._rng.choice(tuple(self._inverse_forms))

    def _asked_back(self, relation: str, beside: set[str]) -> Told:
        """State an edit that is mostly asked for its subject; no other may have its target."""
        rng = self._rng
        known = self._facts.get(relation)
        forms = self._fact_forms.get(relation) or self._own[relation].prompts
        fact = rng.choice(known) if known else None
        subject = fact.subject if fact and rng.random() < 0.5 else self._names.subject()
        target = fact.object if fact and rng.random() < 0.3 else self._names.entity()
        while any(text.endswith(target) for text in beside):
            target = self._names.entity()

        def ask() -> Asked:
            if rng.random() < 0.2:
                form = rng.choice(forms)
                return Asked("asked_back", self._phrasing.spoken(form, subject), target)
            form = rng.choice(self._inverse_forms[relation]).replace("{o}", "{s}")
            return Asked("asked_back", self._phrasing.spoken(form, target), subject)

        return Told(f"{self._phrasing.stated(forms, subject)} {target}", ask)

    def _stated(self, wording: Wording, subject: str, target: str) -> Told:
        def ask() -> Asked:
            form = self._rng.choice(wording.questions)
            return Asked("alike", self._phrasing.spoken(form, subject), target)

        return Told(f"{self._phrasing.stated(wording.prompts, subject)} {target}", ask)
