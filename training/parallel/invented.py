"""Parallel rows about invented names and known facts, for a model of a few million parameters.

A large model knows the language; alignment only shows it what an edit is. A small
one must meet thousands of names and wordings before it reads an edit of names it
never saw. No data set is that large, so these rows are made: wordings of real rows
and our own, invented names, and the true facts that the base knows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from lte_chains.errors import ConfigError
from lte_chains.training.parallel.aliases import draw_alias
from lte_chains.training.parallel.build import ParallelRow, Variant
from lte_chains.training.parallel.confusable import ConfusableEdits
from lte_chains.training.parallel.connections import connections
from lte_chains.training.parallel.hops import Hops
from lte_chains.training.parallel.instructed import InstructedRows
from lte_chains.training.parallel.told import Asked, Prompt, Told
from lte_chains.training.pretraining.phrasing import Phrasing
from lte_chains.training.pretraining.rows import Fact, RowMaker
from lte_chains.training.pretraining.wording import Wording, fact_wordings

OWN_ANSWER = ""
"""Stands for what the model itself answers without edits, until it has been asked."""

_TRIES = 8
_ALIKE = 0.7


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
        questions: int = 1,
    ) -> None:
        """Prepare to make rows.

        Args:
            phrasing: Where wordings, names and answers come from.
            facts: True facts that the base knows.
            fact_forms: How they are asked for, by relation.
            rng: The generator; the same seed gives the same rows.
            extras: Weights of no other edit in the prompt, of one, of two, …
            shuffle: Whether the target edit may stand at any place.
            questions: How many are asked of the same edits in the same order: the first is
                of the kind that was asked for, the others are about any of the edits, or
                about a known fact that none of them changes.
        """
        self._phrasing, self._names, self._rng = phrasing, phrasing.names, rng
        self._facts, self._fact_forms = facts, fact_forms
        self._extras, self._shuffle, self._questions = extras, shuffle, questions
        self._plain = RowMaker(phrasing, facts, fact_forms, rng)
        self._own_fact_forms = fact_wordings()
        steps, properties, self._inverse_forms = connections()
        instructed = InstructedRows(phrasing, rng)
        self._by_property: dict[str, list[Fact]] = {}
        for fact in facts:
            self._by_property.setdefault(fact.relation, []).append(fact)
        self._hops = Hops(phrasing, steps, properties, facts, self._own_fact_forms, fact_forms, rng)
        confusable = ConfusableEdits(
            phrasing, self._inverse_forms, self._own_fact_forms, self._by_property, rng
        )
        self.kinds: dict[str, Callable[[], list[ParallelRow]]] = {
            "own": lambda: self._applied("own", phrasing.own()),
            "harvested": lambda: self._applied("harvested", phrasing.real(), invent=True),
            "real": lambda: self._applied("real", phrasing.real()),
            "pseudo": lambda: self._applied("pseudo", phrasing.pseudo_wording(), invent=True),
            "alias": self._alias,
            "unknown_alias": self._unknown_alias,
            "inverse": self._inverse,
            "asked_back": lambda: self._of_many(confusable.asked_back),
            "alike": lambda: self._of_many(confusable.alike),
            "hop": self._hop,
            "hop_in_two_edits": self._hop_in_two_edits,
            "fact": lambda: [Prompt(()).row(self._known("fact"), (), "unedited")],
            "fact_beside_edits": self._fact_beside_edits,
            "unknown_beside_edits": self._unknown_beside_edits,
            "fact_edited": lambda: self._applied("fact_edited", self._wording_of_a_fact()),
            "stale_context": self._stale_context,
            "passage": lambda: self._from_plain("passage"),
            "text": lambda: self._from_plain("text"),
            "instruction": lambda: [instructed.row()],
        }

    def rows(self, counts: Mapping[str, int]) -> list[ParallelRow]:
        """Return rows of each kind, in random order; those that share their edits stay together.

        Args:
            counts: How many prompts' first questions are of a kind.

        Raises:
            ConfigError: A kind is unknown.
        """
        unknown = sorted(set(counts) - set(self.kinds))
        if unknown:
            raise ConfigError(f"unknown kinds of rows {unknown}: use some of {sorted(self.kinds)}")
        made = [self.kinds[kind]() for kind, count in counts.items() for _ in range(count)]
        self._rng.shuffle(made)
        return [row for rows in made for row in rows]

    def _applied(self, kind: str, wording: Wording, *, invent: bool = False) -> list[ParallelRow]:
        """Ask for an edit's target."""
        subject = (None if invent else wording.subject) or self._names.subject()
        target = (None if invent else wording.target) or self._phrasing.answer(wording)
        prompt = self._phrasing.stated(wording.prompts, subject)

        def ask() -> Asked:
            if self._rng.random() < 0.25:
                return Asked(kind, prompt, target)
            form = self._rng.choice(wording.questions)
            return Asked(kind, self._phrasing.spoken(form, subject), target)

        own = [Told(f"{prompt} {target}", ask)]
        return self._asked_of(own, self._others(wording, subject), like=wording.name)

    def _alias(self) -> list[ParallelRow]:
        """Call the subject by another name made from its own."""
        wording = self._phrasing.any(0.5)
        subject, target = self._names.subject(), self._phrasing.answer(wording)
        text = f"{self._phrasing.stated(wording.prompts, subject)} {target}"
        others = self._others(wording, subject)
        beside = " ".join(edit.text for edit in others)

        def ask() -> Asked:
            drawn = (draw_alias(subject, self._rng) for _ in range(_TRIES))
            alias = next((name for name in drawn if name not in beside), subject)
            form = self._rng.choice(wording.questions)
            return Asked("alias", self._phrasing.spoken(form, alias), target)

        return self._asked_of([Told(text, ask)], others)

    def _unknown_alias(self) -> list[ParallelRow]:
        """Ask about a strange name what only one of the edits can answer."""
        wording = self._phrasing.own()
        subject, target = self._names.subject(), self._phrasing.answer(wording)
        text = f"{self._phrasing.stated(wording.prompts, subject)} {target}"

        def ask() -> Asked:
            form = self._rng.choice(wording.questions)
            question = self._phrasing.spoken(form, self._names.subject())
            return Asked("unknown_alias", question, target)

        others = [
            self._told(self._phrasing.own(but=wording.name), self._names.subject())
            for _ in range(self._number_of_others())
        ]
        return self._asked_of([Told(text, ask)], others)

    def _inverse(self) -> list[ParallelRow]:
        """Ask for the subject, given the target."""
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
        text = f"{self._phrasing.stated(forms, subject)} {target}"

        def ask() -> Asked:
            form = rng.choice(self._inverse_forms[name])
            return Asked(
                "inverse", self._phrasing.spoken(form.replace("{o}", "{s}"), target), subject
            )

        about = Wording(name, tuple(forms), tuple(forms), "entity")
        others = [o for o in self._others(about, subject) if not o.text.endswith(target)]
        return self._asked_of([Told(text, ask)], others)

    def _hop(self) -> list[ParallelRow]:
        """Ask what goes on from an edit's target by a fact that the base knows."""
        hop = self._hops.by_a_known_fact()
        return self._asked_of(hop.told, self._others(hop.about, hop.subject))

    def _hop_in_two_edits(self) -> list[ParallelRow]:
        """Ask what goes on from an edit's target by another edit, with one more or none beside."""
        hop = self._hops.by_another_edit()
        others = self._others(hop.about, hop.subject)[: self._rng.choice((0, 1, 1))]
        return self._asked_of(hop.told, others)

    def _fact_beside_edits(self) -> list[ParallelRow]:
        """Ask for a known fact with only irrelevant edits before it."""
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
            others[0] = self._told(self._phrasing.own(), fact.subject)
        asked = Asked("fact_beside_edits", self._asked(fact), fact.object)
        return self._asked_of([], others, first=asked, like=fact.relation)

    def _unknown_beside_edits(self) -> list[ParallelRow]:
        """Ask about a strange name with irrelevant edits; the model's own answer is right."""
        rng = self._rng
        wording, subject = self._phrasing.any(0.5), self._names.subject()
        others = [
            self._told(self._phrasing.own(but=wording.name), self._names.subject())
            for _ in range(rng.choice((1, 2, 3, 3)))
        ]
        if rng.random() < 0.6:
            others[0] = self._told(self._phrasing.own(but=wording.name), subject)
        question = self._phrasing.spoken(rng.choice(wording.questions), subject)
        asked = Asked("unknown_beside_edits", question, OWN_ANSWER)
        return self._asked_of([], others, first=asked)

    def _of_another_known(self, fact: Fact) -> Told:
        """Make an edit of another subject that the base knows, mostly of the same relation."""
        rng = self._rng
        other = rng.choice(self._by_property[fact.relation] if rng.random() < 0.7 else self._facts)
        if other.subject == fact.subject:
            return self._told(self._phrasing.own(), fact.subject)
        target = rng.choice(self._by_property[other.relation]).object
        text = f"{self._hops.asked_about(other.relation, other.subject)} {target}"
        return Told(text, lambda: Asked("fact_edited", self._asked(other), target))

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

    def _known(self, kind: str, *, but: str = "", like: str | None = None) -> Asked:
        """Ask for a known fact of a subject that a text does not mention.

        Args:
            kind: What the row is called.
            but: The text.
            like: A relation; most facts are then of it, so that only the subject tells.
        """
        alike = self._by_property.get(like or "") if self._rng.random() < _ALIKE else None
        drawn = (self._rng.choice(alike or self._facts) for _ in range(_TRIES))
        fact = next((fact for fact in drawn if fact.subject not in but), self._facts[0])
        return Asked(kind, self._asked(fact), fact.object)

    def _stale_context(self) -> list[ParallelRow]:
        """Ask in a template with retrieved text that holds the old answer."""
        wording = self._phrasing.any(0.4)
        subject, target = self._names.subject(), self._phrasing.answer(wording)
        form = self._phrasing.stated(wording.prompts, subject)
        asked = self._phrasing.spoken(self._rng.choice(wording.questions), subject)
        question = self._plain.wrapped([f"{form} {self._phrasing.answer(wording)}."], asked)
        others = self._others(wording, subject)[:1]
        first = Asked("stale_context", question, target)
        return self._asked_of([Told(f"{form} {target}")], others, first=first)[:1]

    def _from_plain(self, kind: str) -> list[ParallelRow]:
        """Take a row that the base was made of, at times with irrelevant edits before it."""
        row = self._plain.kinds[kind]()
        wording = self._phrasing.own()
        edits = [
            self._other(wording, self._names.subject()) for _ in range(self._rng.choice((0, 1, 2)))
        ]
        return self._asked_of([], edits, first=Asked(kind, row.user, row.answer))[:1]

    def _of_many(self, make: Callable[[int], list[Told]]) -> list[ParallelRow]:
        """Ask of edits that are made together, the first before the others."""
        first, *others = make(1 + self._number_of_others())
        return self._asked_of([first], others)

    def _others(self, wording: Wording, subject: str) -> list[Told]:
        return [self._other(wording, subject) for _ in range(self._number_of_others())]

    def _number_of_others(self) -> int:
        return self._rng.choices(range(len(self._extras)), weights=self._extras)[0]

    def _other(self, wording: Wording, subject: str) -> Told:
        """Make an edit beside the target: same relation, same subject, or neither."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.6:
            other = self._names.near(subject) if rng.random() < 0.3 else self._names.subject()
            return self._told(wording, other)
        if draw < 0.76 and wording.subject is None:
            return self._told(self._phrasing.own(but=wording.name), subject)
        another = self._phrasing.any(0.3)
        name = another.subject if another.subject and rng.random() < 0.4 else self._names.subject()
        return self._told(another, name)

    def _told(self, wording: Wording, subject: str) -> Told:
        """State an edit of this relation of a subject."""
        target = self._phrasing.answer(wording)

        def ask() -> Asked:
            form = self._rng.choice(wording.questions)
            kind = "own" if wording.subject is None else "harvested"
            return Asked(kind, self._phrasing.spoken(form, subject), target)

        return Told(f"{self._phrasing.stated(wording.prompts, subject)} {target}", ask)

    def _asked_of(
        self,
        own: Sequence[Told],
        others: Sequence[Told],
        *,
        first: Asked | None = None,
        like: str | None = None,
    ) -> list[ParallelRow]:
        """Make the rows of one prompt: its first question and, if wanted, more.

        Args:
            own: The edits that the first question is about.
            others: The edits beside them.
            first: The first question, if it is not one that is drawn for an own edit.
            like: The relation that known facts are mostly asked of.
        """
        places = list(range(len(own) + len(others)))
        if self._shuffle:
            self._rng.shuffle(places)
        told = [*own, *others]
        prompt = Prompt(
            tuple(told[place] for place in places),
            frozenset(at for at, place in enumerate(places) if place < len(own)),
        )
        variant: Variant = "edited" if own else "irrelevant" if others else "unedited"
        asked = first or own[0].asked()
        rows = {asked.question: prompt.row(asked, sorted(prompt.own), variant)}
        for _ in range(self._questions - 1 if told else 0):
            row = self._another(prompt, like)
            rows.setdefault(row.question, row)
        return list(rows.values())

    def _another(self, prompt: Prompt, like: str | None) -> ParallelRow:
        """Ask once more: about an own edit, about any other, or about what none changes."""
        draw = self._rng.random()
        mine = [at for at in prompt.own if prompt.told[at].ask]
        theirs = [at for at, edit in enumerate(prompt.told) if edit.ask and at not in prompt.own]
        # Where the edit that is asked about comes first, only the own ones are asked about.
        if mine and (draw < (0.5 if self._shuffle else 0.75) or not theirs):
            at = self._rng.choice(mine)
            return prompt.row(prompt.told[at].asked(), sorted(prompt.own), "edited")
        if theirs and self._shuffle and draw < 0.75:
            at = self._rng.choice(theirs)
            return prompt.row(prompt.told[at].asked(), (at,), "edited")
        asked = self._known("fact_beside_edits", but=" ".join(prompt.facts), like=like)
        return prompt.row(asked, (), "irrelevant")
