"""Make evaluation rows about facts that a model knows: edits of them, and what follows.

    python -m lte_chains.training.known_facts --data DIR --model lte-tiny-base --out known.json

A row is in KnowEdit's shape. Its edit contradicts a fact that the model gets
right. "Reasoning" goes on from the edit's target by another fact that it gets
right, from a subject that no training row went on from. "Bridged" is the same
question where that other fact is an edit too. "Subject_Aliasing" calls the subject
by another name, "Logical_Generalization" asks for the subject. Locality is asked of
other facts that it gets right, and neither these nor those that are gone on by are
about what another row edits: all rows' edits may be in one memory.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from lte_chains.answers import alias_match
from lte_chains.models import load_model
from lte_chains.training.parallel.aliases import made_up_aliases
from lte_chains.training.parallel.connections import Step, connections, leads_on_in_training
from lte_chains.training.pretraining.material import read_material, shipped_base_recipe
from lte_chains.training.pretraining.rows import Fact
from lte_chains.training.pretraining.wording import fact_wordings


@dataclass(frozen=True)
class Known:
    """The facts that a model gets right, in the wordings in which they are asked."""

    facts: tuple[Fact, ...]
    asked: int
    """How many were asked."""

    @property
    def recall(self) -> float:
        """The share of right answers."""
        return len(self.facts) / self.asked


def question(fact: Fact, form: int = 0) -> str:
    """Ask for a fact in one of our own wordings."""
    forms = fact_wordings()[fact.relation]
    return forms[form % len(forms)].format(s=fact.subject)


def known_facts(model: BaseChatModel, facts: Sequence[Fact]) -> Known:
    """Ask for each fact, and keep those that are answered rightly."""
    answers = model.generate([[HumanMessage(question(fact))] for fact in facts]).generations
    right = [
        fact
        for fact, answer in zip(facts, answers, strict=True)
        if alias_match(answer[0].text, (fact.object,))
    ]
    return Known(tuple(right), len(facts))


def make_rows(known: Sequence[Fact], *, count: int, seed: int) -> list[dict[str, Any]]:
    """Make rows of facts that a model knows, those that lead on to another fact first.

    Args:
        known: What the model gets right.
        count: At most that many rows.
        seed: Seed of the draw.
    """
    return list(_Maker(known, random.Random(seed)).rows(count))


class _Maker:
    def __init__(self, known: Sequence[Fact], rng: random.Random) -> None:
        self._known, self._rng = known, rng
        self._steps, self._properties, self._inverse = connections()
        self._by_property: defaultdict[str, list[Fact]] = defaultdict(list)
        self._by_subject: defaultdict[str, list[Fact]] = defaultdict(list)
        for fact in known:
            self._by_property[fact.relation].append(fact)
            self._by_subject[fact.subject].append(fact)
        self._edited: frozenset[str] = frozenset()

    def rows(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield rows on facts in random order, each subject once."""
        order = list(
            {
                fact.subject: fact for fact in self._rng.sample(self._known, len(self._known))
            }.values()
        )
        stepping = {step.property: step for step in self._steps if step.property}
        leading = [fact for fact in order if fact.relation in stepping]
        others = [fact for fact in order if fact.relation not in stepping]
        share = min(len(leading), count * 3 // 5)
        chosen = [*leading[:share], *others[: count - share]]
        self._edited = frozenset(fact.subject for fact in chosen)
        for fact in chosen:
            yield self._row(fact, stepping.get(fact.relation))

    def _row(self, fact: Fact, step: Step | None) -> dict[str, Any]:
        bridge = self._bridge(step) if step else None
        target = bridge.subject if bridge else self._another_object(fact)
        row: dict[str, Any] = {
            "subject": fact.subject,
            "prompt": question(fact, 1),
            "target_new": target,
            "ground_truth": fact.object,
            "rephrase_prompt": question(fact, 0),
            "portability": {},
            "locality": {"Known_Facts": self._neighbours(fact)},
        }
        if step and bridge:
            phrase = self._rng.choice(step.phrase).format(s=fact.subject)
            asked = Fact(phrase, bridge.relation, bridge.object)
            probe = {"prompt": question(asked), "ground_truth": bridge.object}
            row["portability"]["Reasoning"] = [probe]
            row["bridge"] = f"{question(bridge, 1)} {bridge.object}"
        if aliases := made_up_aliases(fact.subject):
            asked = Fact(self._rng.choice(aliases), fact.relation, target)
            probe = {"prompt": question(asked), "ground_truth": target}
            row["portability"]["Subject_Aliasing"] = [probe]
        if forms := self._inverse.get(fact.relation):
            probe = {"prompt": forms[0].format(o=target), "ground_truth": fact.subject}
            row["portability"]["Logical_Generalization"] = [probe]
        return row

    def _bridge(self, step: Step) -> Fact | None:
        """Draw a known fact about what may be the step's object, never gone on from in training."""
        able = [
            fact
            for name in self._properties[step.object]
            for fact in self._by_property[name]
            if not leads_on_in_training(fact.subject) and fact.subject not in self._edited
        ]
        return self._rng.choice(able) if able else None

    def _another_object(self, fact: Fact) -> str:
        objects = {other.object for other in self._by_property[fact.relation]} - {fact.object}
        return self._rng.choice(sorted(objects))

    def _neighbours(self, fact: Fact) -> list[dict[str, str]]:
        """Ask for another fact of the subject if one is known, and one of the same relation."""
        own = [other for other in self._by_subject[fact.subject] if other.relation != fact.relation]
        alike = [f for f in self._by_property[fact.relation] if f.subject not in self._edited]
        drawn = [self._rng.choice(pool) for pool in (own, alike) if pool]
        return [{"prompt": question(f), "ground_truth": f.object} for f in drawn]


def main() -> None:
    """Write rows from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--recipe", default="lte-tiny-base", help="recipe of the base")
    parser.add_argument("--model", default="lte-tiny-base", help="whose facts to use")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    facts = read_material(shipped_base_recipe(given.recipe), given.data).facts
    known = known_facts(load_model(given.model, max_new_tokens=24, batch_size=64), facts)
    rows = make_rows(known.facts, count=given.count, seed=given.seed)
    given.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{given.model} knows {len(known.facts)} of {known.asked} facts; {len(rows)} rows")


if __name__ == "__main__":
    main()
