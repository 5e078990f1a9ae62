"""Rows for a small base model: a question, perhaps with a passage before it, and its answer.

No row holds an edit or the knowledge-editing prompt: applying edits is what the
alignment phase teaches afterwards.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lte_chains.training.pretraining.phrasing import Phrasing
from lte_chains.training.pretraining.wording import Wording, fact_wordings

_CONTINUE = ("Continue: {begin}", "Go on with this text: {begin}", "{begin} ...")
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
    """Read the facts to be taught: single-valued, and first those that others lead on to.

    A fact whose subject is itself the object of another fact can be reached in
    two steps; after those come the best-known subjects.

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
    single = {key: next(iter(values)) for key, values in objects.items() if len(values) == 1}
    led_to = Counter(single.values())
    facts: list[Fact] = []
    for relation in taught:
        known = [
            Fact(s, relation, value) for (name, s), value in single.items() if name == relation
        ]
        known.sort(key=lambda f: (-led_to[f.subject], -counts.get(f.subject, 0), f.subject))
        facts += known[:per_relation]
    return facts


def read_fact_forms(paths: Sequence[Path], facts: Sequence[Fact]) -> dict[str, tuple[str, ...]]:
    """Return how facts are asked for, by relation: our own forms and those of data sets.

    A form of a data set counts for a relation if its rows are about facts that we
    know, at least three of them and nearly all of this one relation.

    Args:
        paths: JSON files of rows with ``subject``, ``prompt`` and ``ground_truth``.
        facts: The facts to be taught.
    """
    relation_of = {(fact.subject, fact.object): fact.relation for fact in facts}
    used: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path in paths:
        for row in json.loads(path.read_text(encoding="utf-8")):
            relation = relation_of.get((row["subject"], str(row["ground_truth"])))
            form = row["prompt"].replace(row["subject"], "{s}")
            if relation and form.count("{") == 1 == form.count("{s}"):
                used[form][relation] += 1
    forms = {relation: list(own) for relation, own in fact_wordings().items()}
    for form, relations in sorted(used.items()):
        [(relation, times)] = relations.most_common(1)
        if times >= 3 and times >= 0.8 * relations.total():
            forms[relation].append(form)
    return {relation: tuple(dict.fromkeys(own)) for relation, own in forms.items()}


class RowMaker:
    """Make rows of the kinds that a recipe mixes; `kinds` has a maker for each."""

    def __init__(
        self,
        phrasing: Phrasing,
        facts: Sequence[Fact],
        fact_forms: Mapping[str, Sequence[str]],
        rng: random.Random,
    ) -> None:
        """Prepare to make rows.

        Args:
            phrasing: Where wordings, names and answers come from.
            facts: True facts to be known.
            fact_forms: How they are asked for, by relation.
            rng: The generator; the same seed gives the same rows.
        """
        self._phrasing = phrasing
        self._names = phrasing.names
        self._rng = rng
        self._facts = facts
        self._fact_forms = fact_forms
        self.kinds: dict[str, Callable[[], Row]] = {
            "fact": self._fact,
            "passage": self._passage,
            "passage_of_pseudo_words": lambda: self._read(
                "passage_of_pseudo_words", self._phrasing.pseudo_wording()
            ),
            "fact_beside_passage": self._fact_beside_passage,
            "text": self._text,
        }

    def _fact(self) -> Row:
        fact = self._rng.choice(self._facts)
        question = self._phrasing.spoken(
            self._rng.choice(self._fact_forms[fact.relation]), fact.subject
        )
        return Row("fact", question, fact.object)

    def _passage(self) -> Row:
        """Make a question about a passage that states its answer, about a name never met."""
        return self._read("passage", self._phrasing.any(0.4))

    def _read(self, kind: str, wording: Wording) -> Row:
        rng = self._rng
        subject, target = self._names.subject(), self._phrasing.answer(wording)
        lines = [f"{rng.choice(wording.prompts).format(s=subject)} {target}.", *self._fillers()]
        rng.shuffle(lines)
        question = self._phrasing.spoken(rng.choice(wording.questions), subject)
        return Row(kind, self.wrapped(lines, question), target)

    def _fact_beside_passage(self) -> Row:
        """Make a question about a known fact after a passage on something else."""
        fact = self._rng.choice(self._facts)
        question = self._phrasing.spoken(
            self._rng.choice(self._fact_forms[fact.relation]), fact.subject
        )
        lines = self._fillers() or [f"{self._phrasing.statement()}."]
        return Row("fact_beside_passage", self.wrapped(lines, question), fact.object)

    def _text(self) -> Row:
        """Make the beginning of a sentence, to be continued."""
        words = self._names.sentence().split()
        cut = self._rng.randrange(3, max(4, len(words) - 2))
        begin = self._rng.choice(_CONTINUE).format(begin=" ".join(words[:cut]))
        return Row("text", begin, " ".join(words[cut:]))

    def wrapped(self, lines: Sequence[str], question: str) -> str:
        """Put a question about some text into one of the usual templates."""
        return self._rng.choice(_RAG).format(context=" ".join(lines), question=question)

    def _fillers(self) -> list[str]:
        rng = self._rng
        statements = [f"{self._phrasing.statement()}." for _ in range(rng.choice((0, 0, 1)))]
        return statements + [self._names.sentence() + "." for _ in range(rng.choice((0, 0, 1)))]
