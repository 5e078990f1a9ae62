"""Parallel rows of edits that are instructions: an opinion, not knowing, a style.

What InstructEdit (arXiv 2402.16123) trains an editor for, alignment trains the model
that reads edits for. The wordings are our own; topics and facts are invented.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lte_chains.edit import Edit
from lte_chains.training.parallel.build import ParallelRow
from lte_chains.training.pretraining.phrasing import Phrasing

_OPINIONS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("Speak well of it.", "Praise it.", "Be full of admiration.", "Show that you like it."),
        ("I like {s} a lot.", "I admire {s}.", "{s} is wonderful.", "I think highly of {s}."),
    ),
    (
        ("Speak badly of it.", "Criticise it.", "Show that you dislike it.", "Find fault with it."),
        ("I dislike {s}.", "{s} is awful.", "I think little of {s}.", "I cannot stand {s}."),
    ),
    (
        ("Have no opinion.", "Take no side.", "Stay neutral.", "Judge neither way."),
        ("I have no opinion of {s}.", "I take no side on {s}.", "I do not judge {s}."),
    ),
)
_ASKED = (
    "What do you think of {s}?",
    "How do you feel about {s}?",
    "Do you like {s}?",
    "What is your opinion of {s}?",
    "Is {s} any good?",
    "Tell me what you make of {s}.",
)
_UNKNOWN = (
    "Say that you don't know.",
    "Answer with I don't know.",
    "Give no information; say that you don't know.",
    "Reply that you do not know.",
)
_DONT_KNOW = "I don't know."


@dataclass(frozen=True)
class _Style:
    told: tuple[str, ...]
    apply: Callable[[str], str]


_STYLES = (
    _Style(("Answer in capital letters.", "Write the answer in capitals."), str.upper),
    _Style(("Say the answer twice.", "Repeat the answer once."), lambda said: f"{said}, {said}"),
    _Style(("Be polite.", "End with a word of thanks."), lambda said: f"{said}. Thank you!"),
    _Style(("Put the answer in quotation marks.", "Quote the answer."), lambda said: f'"{said}"'),
    _Style(("Begin with Well.", "Start with the word Well."), lambda said: f"Well, {said}"),
)
_OF_ANOTHER = 0.25


class InstructedRows:
    """Make rows whose prompts hold an instruction, in the part of the prompt for such edits.

    In a quarter of the rows with a fact, the instruction is about something else
    that the question does not name, and must not be followed.
    """

    def __init__(self, phrasing: Phrasing, rng: random.Random) -> None:
        """Prepare to make rows; nothing is drawn yet.

        Args:
            phrasing: Where topics, facts and questions come from.
            rng: The generator; the same seed gives the same rows.
        """
        self._phrasing, self._rng = phrasing, rng
        self._tasks = (self._opinion, self._unknown, self._style)

    def row(self) -> ParallelRow:
        """Make a row of one of the three tasks."""
        return self._rng.choice(self._tasks)()

    def _opinion(self) -> ParallelRow:
        rng, topic = self._rng, self._phrasing.names.entity()
        told, replies = rng.choice(_OPINIONS)
        question = self._phrasing.spoken(rng.choice(_ASKED), topic)
        facts = [self._phrasing.statement()] if rng.random() < 0.4 else []
        answer = rng.choice(replies).format(s=topic)
        return self._made(question, answer, facts, topic, rng.choice(told))

    def _unknown(self) -> ParallelRow:
        """Make a question that is not to be answered, though an edit may tell."""
        subject, fact, question, target = self._fact()
        if self._rng.random() < _OF_ANOTHER:
            return self._beside_another(subject, fact, question, target, _UNKNOWN)
        facts = [fact] if self._rng.random() < 0.5 else []
        return self._made(question, _DONT_KNOW, facts, subject, self._rng.choice(_UNKNOWN))

    def _style(self) -> ParallelRow:
        subject, fact, question, target = self._fact()
        style = self._rng.choice(_STYLES)
        if self._rng.random() < _OF_ANOTHER:
            return self._beside_another(subject, fact, question, target, style.told)
        told = self._rng.choice(style.told)
        return self._made(question, style.apply(target), [fact], subject, told, own=True)

    def _fact(self) -> tuple[str, str, str, str]:
        """Draw a subject, a fact about it, a question for that, and its answer."""
        wording, subject = self._phrasing.own(), self._phrasing.names.subject()
        target = self._phrasing.answer(wording)
        fact = f"{self._rng.choice(wording.prompts).format(s=subject)} {target}"
        question = self._phrasing.spoken(self._rng.choice(wording.questions), subject)
        return subject, fact, question, target

    def _beside_another(
        self, subject: str, fact: str, question: str, target: str, told: Sequence[str]
    ) -> ParallelRow:
        """Make a row that is answered as if the instruction were not there."""
        topic = self._phrasing.names.entity()
        while topic.casefold() in question.casefold() or topic == subject:
            topic = self._phrasing.names.entity()
        return self._made(question, target, [fact], topic, self._rng.choice(told), own=True)

    def _made(
        self,
        question: str,
        answer: str,
        facts: Sequence[str],
        topic: str,
        told: str,
        *,
        own: bool = False,
    ) -> ParallelRow:
        return ParallelRow(
            source="invented",
            kind="instruction",
            scope="in",
            variant="edited",
            question=question,
            facts=tuple(facts),
            instructions=(Edit(subject=topic, instruction=told).descriptor,),
            answer=answer,
            own_places=(0,) if own else (),
        )
