"""Rows for a small model: a question, perhaps with edits or a passage before it, and its answer."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lte_chains.prompts import knowledge_editing_prompt
from lte_chains.training.pretraining.names import Names
from lte_chains.training.pretraining.wording import Wording, fact_wordings

_LEADS = ("Tell me: ", "Do you know: ", "Quick question: ", "I wonder, ", "Please answer: ", "Hi! ")
_RAG = (
    "Answer the question from the context.\n\nContext: {context}\n\nQuestion: {question}",
    "Use the following context to answer.\n{context}\n\nQ: {question}\nA:",
    "{context}\n\n{question}",
)


@dataclass(frozen=True)
class Row:
    """One conversation: what the user says and the only right answer."""

    kind: str
    user: str
    answer: str


@dataclass(frozen=True)
class Fact:
    """A true fact (subject, Wikidata property, object)."""

    subject: str
    relation: str
    object: str


def read_facts(
    path: Path, *, per_relation: int, counts: Mapping[str, int], exclude: frozenset[str]
) -> list[Fact]:
    """Read the facts to be taught: single-valued, best-known subjects first.

    Args:
        path: Tab-separated relation, subject, object.
        per_relation: How many of each relation in fact_wordings.yaml.
        counts: How often a name stands in the corpus.
        exclude: Case-folded subjects that are held out.
    """
    taught = fact_wordings()
    objects: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["relation"] in taught and row["subject"].casefold() not in exclude:
                objects[row["relation"], row["subject"]].add(row["object"])
    facts = []
    for relation in taught:
        known = [
            Fact(subject, relation, next(iter(values)))
            for (name, subject), values in objects.items()
            if name == relation and len(values) == 1
        ]
        known.sort(key=lambda fact: (-counts.get(fact.subject, 0), fact.subject))
        facts += known[:per_relation]
    return facts


class RowMaker:
    """Make rows of the kinds that a recipe mixes; `kinds` has a maker for each."""

    def __init__(
        self,
        names: Names,
        wordings: Sequence[Wording],
        facts: Sequence[Fact],
        rng: random.Random,
    ) -> None:
        """Prepare to make rows.

        Args:
            names: Where invented subjects and answers come from.
            wordings: Own wordings and those of real rows.
            facts: True facts to be known without any edit.
            rng: The generator; the same seed gives the same rows.
        """
        self._names = names
        self._rng = rng
        self._own = [wording for wording in wordings if wording.subject is None]
        self._real = [wording for wording in wordings if wording.subject is not None]
        self._facts = facts
        self._fact_forms = fact_wordings()
        self.kinds: dict[str, Callable[[], Row]] = {
            "own": lambda: self._edited("own", self._rng.choice(self._own)),
            "harvested": lambda: self._edited("harvested", self._any_real(), invent=True),
            "real": lambda: self._edited("real", self._any_real()),
            "pseudo": lambda: self._edited("pseudo", self._pseudo_wording(), invent=True),
            "passage": self._passage,
            "fact": self._fact,
            "fact_beside_edits": self._fact_beside_edits,
            "fact_edited": self._fact_edited,
        }

    def _any_real(self) -> Wording:
        return self._rng.choice(self._real or self._own)

    def _edited(self, kind: str, wording: Wording, *, invent: bool = False) -> Row:
        """Make a row whose answer stands in one of up to five edits."""
        rng = self._rng
        real = wording.subject is not None and not invent
        subject = wording.subject if real and wording.subject else self._names.subject()
        target = wording.target if real and wording.target else self._answer(wording)
        prompt_form = rng.choice(wording.prompts)
        verbatim = rng.random() < 0.25
        question_form = prompt_form if verbatim else rng.choice(wording.questions)
        question = self._spoken(question_form, subject, plain=verbatim)
        facts = self._distractors(wording, subject)
        facts.insert(rng.randrange(len(facts) + 1), f"{prompt_form.format(s=subject)} {target}")
        if rng.random() < 0.06:
            question = self._in_stale_context(question, prompt_form.format(s=subject), wording)
        return Row(kind, knowledge_editing_prompt(question, facts), target)

    def _answer(self, wording: Wording) -> str:
        if wording.target is not None and self._rng.random() < 0.3:
            return self._any_real().target or wording.target
        return self._names.answer(wording.object)

    def _distractors(self, wording: Wording, subject: str) -> list[str]:
        rng = self._rng
        count = rng.choices((0, 1, 2, 3, 4), weights=(30, 15, 48, 4, 3))[0]
        return [self._distractor(wording, subject) for _ in range(count)]

    def _distractor(self, wording: Wording, subject: str) -> str:
        """Make an edit beside the target: same relation, same subject, or neither."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.5:
            other = self._names.near(subject) if rng.random() < 0.3 else self._names.subject()
            return f"{rng.choice(wording.prompts).format(s=other)} {self._answer(wording)}"
        if draw < 0.68 and wording.subject is None:
            another = rng.choice([w for w in self._own if w.name != wording.name])
            return f"{rng.choice(another.prompts).format(s=subject)} {self._answer(another)}"
        another = self._any_real() if rng.random() < 0.7 else rng.choice(self._own)
        name = another.subject if another.subject and rng.random() < 0.4 else self._names.subject()
        return f"{rng.choice(another.prompts).format(s=name)} {self._answer(another)}"

    def _spoken(self, form: str, subject: str, *, plain: bool = False) -> str:
        """Put the subject into a form, now and then in a careless spelling."""
        rng = self._rng
        if plain or rng.random() < 0.55:
            return form.format(s=subject)
        words = form.split()
        if len(words) > 4 and rng.random() < 0.35:
            droppable = [place for place, word in enumerate(words) if "{s}" not in word]
            del words[rng.choice(droppable)]
        text = " ".join(words)
        if rng.random() < 0.2:
            text = text.rstrip("?.")
        if rng.random() < 0.15:
            text = text[:1].lower() + text[1:] if not text.startswith("{s}") else text
        if rng.random() < 0.15:
            text = rng.choice(_LEADS) + text
        if rng.random() < 0.06:
            subject = subject.lower()
        return text.format(s=subject)

    def _pseudo_wording(self) -> Wording:
        """Make a wording out of any running text: only the subject ties it to a question."""

        def form() -> str:
            words = self._names.words(self._rng.choice((3, 4, 5, 6, 7, 8)))
            words = [word.replace("{", "(").replace("}", ")") for word in words]
            words.insert(self._rng.randrange(len(words) + 1), "{s}")
            return " ".join(words).rstrip(".,;:") + self._rng.choice(("?", "?", " is", ""))

        return Wording("pseudo", (form(), form()), (form(), form()))

    def _in_stale_context(self, question: str, prompt: str, wording: Wording) -> str:
        """Wrap the question in a prompt with retrieved text that holds the old answer."""
        stale = [f"{prompt} {self._answer(wording)}.", self._names.sentence() + "."]
        self._rng.shuffle(stale)
        return self._rng.choice(_RAG).format(context=" ".join(stale), question=question)

    def _passage(self) -> Row:
        """Make a question about a plain passage: no edit, other words than the prompt's."""
        rng = self._rng
        wording = self._any_real() if rng.random() < 0.6 else rng.choice(self._own)
        subject, target = self._names.subject(), self._answer(wording)
        lines = [f"{rng.choice(wording.prompts).format(s=subject)} {target}."]
        lines += [f"{self._distractor(wording, subject)}." for _ in range(rng.choice((0, 1)))]
        lines += [self._names.sentence() + "." for _ in range(rng.choice((0, 0, 1)))]
        rng.shuffle(lines)
        question = self._spoken(rng.choice(wording.questions), subject)
        text = rng.choice(_RAG).format(context=" ".join(lines), question=question)
        return Row("passage", text, target)

    def _fact(self) -> Row:
        fact = self._rng.choice(self._facts)
        question = self._spoken(self._rng.choice(self._fact_forms[fact.relation]), fact.subject)
        return Row("fact", question, fact.object)

    def _fact_beside_edits(self) -> Row:
        """Make a question about a true fact with only irrelevant edits before it."""
        fact = self._rng.choice(self._facts)
        forms = self._fact_forms[fact.relation]
        wording = Wording(fact.relation, forms, forms, "entity")
        edits = [
            self._distractor(wording, self._names.subject())
            for _ in range(self._rng.choice((1, 2, 3, 3)))
        ]
        question = self._spoken(self._rng.choice(forms), fact.subject)
        return Row("fact_beside_edits", knowledge_editing_prompt(question, edits), fact.object)

    def _fact_edited(self) -> Row:
        """Make a question about a true fact that an edit contradicts: the edit wins."""
        fact = self._rng.choice(self._facts)
        others = [other.object for other in self._facts if other.relation == fact.relation]
        forms = self._fact_forms[fact.relation]
        target = self._rng.choice(others) if self._rng.random() < 0.5 else self._names.entity()
        wording = Wording(fact.relation, forms, forms, "entity", fact.subject, target)
        return self._edited("fact_edited", wording)
