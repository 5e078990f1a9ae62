"""Pairs about what people keep up to date most: offices, now and then, and rules."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from lte_chains.edit import Edit
from lte_chains.training.pretraining.names import Names
from lte_chains.training.scope_gate.pairs import Pair
from lte_chains.training.scope_gate.relations import shipped_wordings

_NUMBERS = (2, 3, 5, 6, 7, 8, 9, 10, 12, 14, 15, 18, 20, 21, 24, 25, 28, 30)
_BODIES = {"company": "company", "city": "place", "country": "place", "school": "school"}
"""What the names of bodies are drawn as; of others, any name."""


@dataclass(frozen=True)
class Rule:
    """Something that is so for everybody, and what is asked about it and beside it."""

    told: Sequence[str]
    inside: Sequence[str]
    outside: Sequence[str]


@dataclass(frozen=True)
class Wordings:
    """See everyday.yaml."""

    offices: Mapping[str, Sequence[Sequence[str]]]
    office_forms: Sequence[str]
    office_questions: Sequence[str]
    times: Sequence[str]
    time_questions: Sequence[str]
    rules: Sequence[Rule]


@cache
def wordings() -> Wordings:
    """Read what ships."""
    entries = shipped_wordings("everyday.yaml")
    return Wordings(**{**entries, "rules": [Rule(**entry) for entry in entries["rules"]]})


class EverydayPairs:
    """Make pairs of the kinds in `kinds`.

    Args:
        names: Where names come from.
        countries: Names of countries, which have offices of their own.
        spoken: Puts a subject into a form, as careless people write.
        rng: Every draw advances it.
    """

    def __init__(
        self,
        names: Names,
        countries: Sequence[str],
        spoken: Callable[[str, str], str],
        rng: random.Random,
    ) -> None:
        """Prepare to make pairs."""
        self._names, self._countries, self._spoken, self._rng = names, countries, spoken, rng
        self.kinds: dict[str, Callable[[], Pair]] = {
            "office": self._office,
            "other_office": self._other_office,
            "office_elsewhere": self._office_elsewhere,
            "other_time": self._other_time,
            "rule": self._rule,
            "beside_rule": self._beside_rule,
            "other_rule": self._other_rule,
        }

    def _office(self) -> Pair:
        kind, body = self._body()
        names = self._rng.choice(wordings().offices[kind])
        return self._asked(self._rng.choice(names), body, self._edit(names, body), "office", True)

    def _other_office(self) -> Pair:
        kind, body = self._body()
        held, asked = self._rng.sample(list(wordings().offices[kind]), 2)
        edit = self._edit(held, body)
        return self._asked(self._rng.choice(asked), body, edit, "other_office", False)

    def _office_elsewhere(self) -> Pair:
        kind, body = self._body()
        names = self._rng.choice(wordings().offices[kind])
        other = body
        while other.casefold() == body.casefold():
            other = self._names.near(body) if self._rng.random() < 0.5 else self._body(kind)[1]
        edit = self._edit(names, body)
        return self._asked(self._rng.choice(names), other, edit, "office_elsewhere", False)

    def _other_time(self) -> Pair:
        kind, body = self._body()
        names = self._rng.choice(wordings().offices[kind])
        form = self._rng.choice(wordings().time_questions)
        form = form.replace("{t}", self._rng.choice(wordings().times))
        question = self._spoken(form.replace("{o}", self._rng.choice(names)), body)
        return Pair(question, self._edit(names, body), False, "other_time")

    def _rule(self) -> Pair:
        rule = self._rng.choice(wordings().rules)
        return Pair(self._rng.choice(rule.inside), self._told(rule), True, "rule")

    def _beside_rule(self) -> Pair:
        rule = self._rng.choice(wordings().rules)
        return Pair(self._rng.choice(rule.outside), self._told(rule), False, "beside_rule")

    def _other_rule(self) -> Pair:
        one, other = self._rng.sample(list(wordings().rules), 2)
        return Pair(self._rng.choice(other.inside), self._told(one), False, "other_rule")

    def _body(self, kind: str | None = None) -> tuple[str, str]:
        kind = kind or self._rng.choice(tuple(wordings().offices))
        if kind == "country" and self._countries and self._rng.random() < 0.7:
            return kind, self._rng.choice(self._countries)
        drawn = _BODIES.get(kind)
        return kind, self._names.answer(drawn) if drawn else self._names.entity()

    def _edit(self, office: Sequence[str], body: str) -> Edit:
        rng = self._rng
        form = rng.choice(wordings().office_forms).replace("{o}", rng.choice(office))
        prompt, holder = form.replace("{s}", body), self._names.person()
        subject = body if rng.random() < 0.7 else None
        if not prompt.endswith(("?", ":")) and rng.random() < 0.3:
            return Edit.from_statement(f"{prompt} {holder}.", subject=subject)
        return Edit(prompt=prompt, target_new=holder, subject=subject)

    def _asked(self, office: str, body: str, edit: Edit, kind: str, in_scope: bool) -> Pair:
        form = self._rng.choice(wordings().office_questions).replace("{o}", office)
        return Pair(self._spoken(form, body), edit, in_scope, kind)

    def _told(self, rule: Rule) -> Edit:
        number = self._rng.choice(_NUMBERS)
        return Edit.from_statement(self._rng.choice(rule.told).replace("{n}", str(number)))
