"""Pairs made from facts and our own wordings, each of a kind that can be counted."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lte_chains.edit import Edit
from lte_chains.scope.pairs import with_chain
from lte_chains.training.pretraining.names import Names
from lte_chains.training.scope_gate.everyday import EverydayPairs
from lte_chains.training.scope_gate.garbling import garbled
from lte_chains.training.scope_gate.pairs import Fact, Pair
from lte_chains.training.scope_gate.relations import (
    Relation,
    ask,
    by_label,
    other_properties,
    others,
    questions,
    says_it_of_the_answer,
)

GARBLED = 0.08
"""How often a question calls the subject by a name with a slip in it."""
CONFUSED = 0.5
"""How often another relation is drawn from those that are easily taken for the edit's."""
TOLD_TOGETHER = 0.1
"""How often an edit is a text that says something else of its subject as well."""

_NUMBER = re.compile(r"\d+")
_SYMMETRIC = frozenset({"spouse", "sibling"})
_OF_COUNTRIES = frozenset({"country", "citizenship"})


class PairMaker:
    """Make pairs of the kinds in `kinds`; the same seed gives the same pairs.

    Args:
        known: The relations to be used, by name.
        facts: Subjects and answers; relations without any get invented ones.
        names: Where invented names come from.
        rng: Every draw advances it.
    """

    def __init__(
        self,
        known: Mapping[str, Relation],
        facts: Sequence[Fact],
        names: Names,
        rng: random.Random,
    ) -> None:
        """Prepare to make pairs."""
        self._relations = list(known.values())
        self._known = known
        self._names = names
        self._rng = rng
        self._facts: dict[str, list[Fact]] = {name: [] for name in known}
        for fact in facts:
            if fact.relation in known:
                self._facts[fact.relation].append(fact)
        self._subjects = [fact.subject for fact in facts]
        self.kinds: dict[str, Callable[[], Pair]] = {
            "paraphrase": self._paraphrase,
            "follows": self._follows,
            "inverse": self._inverse,
            "confirm": self._confirm,
            "composed": lambda: self._composed(steps=1),
            "composed_twice": lambda: self._composed(steps=2),
            "chain": self._chain,
            "other_relation": self._other_relation,
            "other_property": self._other_property,
            "turned_round": self._turned_round,
            "other_subject": self._other_subject,
            "composed_other_relation": self._composed_other_relation,
            "composed_other_subject": self._composed_other_subject,
            "mention": self._mention,
            "about_target": self._about_target,
            "chain_other": self._chain_other,
            "chain_unknown": self._chain_unknown,
            "unrelated": self._unrelated,
        }
        countries = [fact.target for fact in facts if fact.relation in _OF_COUNTRIES]
        self.kinds |= EverydayPairs(names, countries, self._spoken, rng).kinds

    @property
    def relations(self) -> Mapping[str, Relation]:
        """The relations that pairs are made of."""
        return self._known

    def other_edit(self, subject: str, relation: str) -> Edit:
        """Make an edit of a subject on which no question about its `relation` depends."""
        other = self._rng.choice(others(self._known[relation], self._relations))
        return self._edit(Fact(subject, other.name, self._answer(other)))

    # In scope.

    def _paraphrase(self) -> Pair:
        fact = self._fact()
        relation = self._known[fact.relation]
        pair = self._pair(ask(relation, self._rng), fact.subject, fact, "paraphrase", True)
        return self._told_together(pair, fact, relation)

    def _follows(self) -> Pair:
        fact = self._fact([r for r in self._relations if r.follows])
        form = self._rng.choice(self._known[fact.relation].follows)
        return self._pair(form, fact.subject, fact, "follows", True)

    def _inverse(self) -> Pair:
        fact, form = self._inverse_form([r for r in self._relations if r.inverse])
        return self._pair(form, fact.target, fact, "inverse", True)

    def _confirm(self) -> Pair:
        """Ask whether the fact holds, for the new answer or for another one."""
        fact = self._fact()
        relation = self._known[fact.relation]
        answer = fact.target if self._rng.random() < 0.5 else self._answer(relation)
        label = self._rng.choice(relation.labels)
        form = self._rng.choice(
            (
                "Is {a} the {label} of {s}?",
                "Is the {label} of {s} {a}?",
                "Is it true that the {label} of {s} is {a}?",
                "Was {a} the {label} of {s}?",
            )
        )
        form = form.replace("{label}", label).replace("{a}", _plain(answer))
        return self._pair(form, fact.subject, fact, "confirm", True)

    def _composed(self, *, steps: int) -> Pair:
        fact, inner = self._described_fact()
        question, _ = self._about(fact.relation, inner, steps)
        kind = "composed" if steps == 1 else "composed_twice"
        return self._pair(question, fact.subject, fact, kind, True)

    def _chain(self) -> Pair:
        """Ask a question of two hops of the second edit, the first one being known."""
        first, question, second = self._two_hops()
        return self._chained(question, first, second, "chain", True)

    # Out of scope.

    def _other_relation(self) -> Pair:
        fact = self._fact()
        other = self._other(fact)
        pair = self._pair(ask(other, self._rng), fact.subject, fact, "other_relation", False)
        return self._told_together(pair, fact, other)

    def _other_property(self) -> Pair:
        fact = self._fact()
        label = self._rng.choice(other_properties(self._known[fact.relation]))
        form = by_label(label, self._rng)
        return self._pair(form, fact.subject, fact, "other_property", False)

    def _turned_round(self) -> Pair:
        """Ask about the edit's subject what the edit answers about its target."""
        one_way = [r for r in self._relations if r.inverse and r.name not in _SYMMETRIC]
        fact, form = self._inverse_form(one_way)
        return self._pair(form, fact.subject, fact, "turned_round", False)

    def _other_subject(self) -> Pair:
        fact = self._fact()
        relation = self._known[fact.relation]
        form = ask(relation, self._rng)
        pair = self._pair(form, self._near_subject(fact), fact, "other_subject", False)
        return self._told_together(pair, fact, relation)

    def _composed_other_relation(self) -> Pair:
        """Ask for a property of a person's mother beside an edit of the person's own property."""
        described, inner = self._described_fact()
        question, outer = self._about(described.relation, inner, self._rng.choice((1, 1, 2)))
        relation = self._known[described.relation]
        candidates = others(relation, self._relations)
        if outer is not None and outer in candidates and self._rng.random() < 0.6:
            candidates = [outer]
        edited = self._rng.choice(candidates)
        fact = Fact(described.subject, edited.name, self._answer(edited))
        return self._pair(question, fact.subject, fact, "composed_other_relation", False)

    def _composed_other_subject(self) -> Pair:
        fact, inner = self._described_fact()
        question, _ = self._about(fact.relation, inner, self._rng.choice((1, 1, 2)))
        other = self._near_subject(fact)
        return self._pair(question, other, fact, "composed_other_subject", False)

    def _mention(self) -> Pair:
        fact = self._fact()
        form = self._rng.choice(questions().mention)
        return self._pair(form, fact.subject, fact, "mention", False)

    def _about_target(self) -> Pair:
        fact = self._fact()
        relation = self._known[fact.relation]
        same = fact.relation not in _SYMMETRIC and self._rng.random() < 0.3
        other = relation if same else self._other(fact)
        while says_it_of_the_answer(relation, other):
            other = self._other(fact)
        return self._pair(ask(other, self._rng), fact.target, fact, "about_target", False)

    def _chain_other(self) -> Pair:
        """Show the first hop, but an edit of another relation or subject as the second."""
        first, question, second = self._two_hops()
        if self._rng.random() < 0.5:
            relation = self._rng.choice(others(self._known[second.relation], self._relations))
            second = Fact(first.target, relation.name, self._answer(relation))
        else:
            second = Fact(self._near_subject(second), second.relation, second.target)
        return self._chained(question, first, second, "chain_other", False)

    def _chain_unknown(self) -> Pair:
        """Show the second hop to a question whose first hop nobody has told."""
        first, question, second = self._two_hops()
        return self._pair(question, first.subject, second, "chain_unknown", False)

    def _unrelated(self) -> Pair:
        asked, fact = self._fact(), self._fact()
        form = ask(self._known[asked.relation], self._rng)
        return self._pair(form, asked.subject, fact, "unrelated", False)

    # Parts.

    def _fact(self, among: Sequence[Relation] | None = None) -> Fact:
        relation = self._rng.choice(among or self._relations)
        known = self._facts[relation.name]
        if known and self._rng.random() < 0.6:
            return self._rng.choice(known)
        subject = self._rng.choice(self._subjects) if self._rng.random() < 0.4 else None
        return Fact(subject or self._names.subject(), relation.name, self._answer(relation))

    def _inverse_form(self, among: Sequence[Relation]) -> tuple[Fact, str]:
        """Return a fact and a question, with `{s}`, that it answers about its target."""
        fact = self._fact(among)
        return fact, self._rng.choice(self._known[fact.relation].inverse).replace("{t}", "{s}")

    def _described_fact(self) -> tuple[Fact, str]:
        fact = self._fact([r for r in self._relations if r.descriptions])
        return fact, self._rng.choice(self._known[fact.relation].descriptions)

    def _about(self, relation: str, description: str, steps: int) -> tuple[str, Relation | None]:
        """Ask about what a description names, `steps` steps from its subject.

        Returns:
            The question, with `{s}`, and the relation that it asks for, if it is one of ours.
        """
        rng, kind = self._rng, self._known[relation].object
        for _ in range(steps - 1):
            further = questions().further.get(kind)
            if further and rng.random() < 0.6:
                kind, around = rng.choice(further)
            else:
                next_one = rng.choice([r for r in self._relations if r.descriptions])
                kind, around = next_one.object, rng.choice(next_one.descriptions)
            description = around.replace("{np}", description).replace("{s}", description)
        if rng.random() < 0.6:
            form = rng.choice(questions().about_kind(kind))
            return form.replace("{np}", description), None
        outer = rng.choice(self._relations)
        return ask(outer, rng).replace("{s}", description), outer

    def _two_hops(self) -> tuple[Fact, str, Fact]:
        """Return a fact, a question about its answer (with `{s}`), and a fact that answers it."""
        first, inner = self._described_fact()
        relation = self._rng.choice(self._relations)
        question = ask(relation, self._rng).replace("{s}", inner)
        return first, question, Fact(first.target, relation.name, self._answer(relation))

    def _chained(self, form: str, first: Fact, second: Fact, kind: str, in_scope: bool) -> Pair:
        question = self._spoken(form, first.subject)
        asked = with_chain(question, [self._edit(first)])
        return Pair(asked, self._edit(second), in_scope, kind)

    def _pair(self, form: str, subject: str, fact: Fact, kind: str, in_scope: bool) -> Pair:
        return Pair(self._spoken(form, subject), self._edit(fact), in_scope, kind)

    def _told_together(self, pair: Pair, fact: Fact, asked: Relation) -> Pair:
        """Now and then let the edit say something else as well, which is not asked for."""
        if self._rng.random() >= TOLD_TOGETHER:
            return pair
        further = self._rng.choice(others(asked, self._relations))
        also = Fact(fact.subject, further.name, self._answer(further))
        told = [text for text in (self._statement(fact), self._statement(also)) if text]
        if len(told) < 2:  # some relations are asked for, and not told
            return pair
        self._rng.shuffle(told)
        text = self._rng.choice((". ", ", and ", "; ")).join(told)
        return replace(pair, edit=Edit.from_statement(f"{text}.", subject=pair.edit.subject))

    def _statement(self, fact: Fact) -> str | None:
        forms = [form for form in self._known[fact.relation].forms if not form.endswith("?")]
        if not forms:
            return None
        prompt = self._rng.choice(forms).replace("{s}", fact.subject)
        return f"{prompt} {fact.target}"

    def _other(self, fact: Fact) -> Relation:
        relation = self._known[fact.relation]
        candidates = others(relation, self._relations)
        confused = [other for other in candidates if other.name in relation.confused]
        often = confused and self._rng.random() < CONFUSED
        return self._rng.choice(confused if often else candidates)

    def _answer(self, relation: Relation) -> str:
        known = self._facts[relation.name]
        if known and self._rng.random() < 0.5:
            return self._rng.choice(known).target
        return self._names.answer(relation.object)

    def _near_subject(self, fact: Fact) -> str:
        """Draw another subject: one of the relation, a namesake, or a sibling year."""
        rng = self._rng
        for _ in range(5):
            draw, known = rng.random(), self._facts[fact.relation]
            if _NUMBER.search(fact.subject) and draw < 0.6:
                other = _NUMBER.sub(lambda found: _nearby(found[0], rng), fact.subject, count=1)
            elif known and draw < 0.6:
                other = rng.choice(known).subject
            else:
                other = self._names.near(fact.subject)
            if other.casefold() != fact.subject.casefold():
                return other
        return self._names.entity()

    def _edit(self, fact: Fact) -> Edit:
        rng, relation = self._rng, self._known[fact.relation]
        form = fact.form if fact.form and rng.random() < 0.6 else rng.choice(relation.forms)
        prompt = form.replace("{s}", fact.subject)
        subject = fact.subject if rng.random() < 0.7 else None
        if not prompt.endswith("?") and rng.random() < 0.2:
            return Edit.from_statement(f"{prompt} {fact.target}.", subject=subject)
        return Edit(prompt=prompt, target_new=fact.target, subject=subject)

    def _spoken(self, form: str, subject: str) -> str:
        """Put the subject into a form, now and then as careless people write."""
        rng = self._rng
        if rng.random() < GARBLED:
            subject = garbled(subject, rng)
        text = form.replace("{s}", subject)
        if rng.random() < 0.6:
            return text
        if rng.random() < 0.3:
            text = text.rstrip("?.")
        if rng.random() < 0.15:
            text = rng.choice(questions().leads) + text
        if rng.random() < 0.12:
            text = f"{self._names.sentence()}. {text}"
        if rng.random() < 0.1:
            words = text.split()
            del words[rng.randrange(len(words))]
            text = " ".join(words) or text
        return text


def _nearby(number: str, rng: random.Random) -> str:
    value = max(0, int(number) + rng.choice((-2, -1, 1, 1, 2, 10)))
    return str(value).zfill(len(number)) if number.startswith("0") else str(value)


def _plain(text: str) -> str:
    return text.replace("{", "(").replace("}", ")")
