"""Put subjects and answers into wordings, as people write: not always with care."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lte_chains.training.pretraining.names import Names
from lte_chains.training.pretraining.wording import Wording

_LEADS = ("Tell me: ", "Do you know: ", "Quick question: ", "I wonder, ", "Please answer: ", "Hi! ")
_QUESTION_WORDS = ("who", "who", "whom", "what", "what", "which one")
_ENDS_IN_QUESTION_WORD = 0.15


class Phrasing:
    """Draw wordings, answers and spellings from one random generator."""

    def __init__(self, names: Names, wordings: Sequence[Wording], rng: random.Random) -> None:
        """Prepare to draw.

        Args:
            names: Where invented subjects and answers come from.
            wordings: Own wordings, and those of real rows (which have a subject).
            rng: The generator; the same seed gives the same draws.
        """
        self.names = names
        self._rng = rng
        self.all_own = [wording for wording in wordings if wording.subject is None]
        self._real = [wording for wording in wordings if wording.subject is not None]

    def own(self, *, but: str | None = None) -> Wording:
        """Draw one of our own wordings, other than the one named."""
        wording = self._rng.choice(self.all_own)
        while wording.name == but:
            wording = self._rng.choice(self.all_own)
        return wording

    def real(self) -> Wording:
        """Draw the wording of a real row; one of our own where there is none."""
        return self._rng.choice(self._real or self.all_own)

    def any(self, share_of_own: float) -> Wording:
        """Draw one of our own wordings in that share of cases, else a real one."""
        return self.own() if self._rng.random() < share_of_own else self.real()

    def statement(self) -> str:
        """Make a statement about something else."""
        wording = self.any(0.5)
        prompt = self._rng.choice(wording.prompts).format(s=self.names.subject())
        return f"{prompt} {self.answer(wording)}"

    def answer(self, wording: Wording) -> str:
        """Draw an answer of the wording's kind; for a real one now and then a real target."""
        if wording.target is not None and self._rng.random() < 0.3:
            return self.real().target or wording.target
        while not (drawn := self.names.answer(wording.object)).strip():
            pass  # a word of running text may be nothing but punctuation
        return drawn

    def stated(self, forms: Sequence[str], subject: str) -> str:
        """Draw an edit's prompt, now and then as a question that ends in its question word."""
        prompt = self._rng.choice(forms).format(s=subject)
        if prompt[-1:].isalpha() and self._rng.random() < _ENDS_IN_QUESTION_WORD:
            prompt = f"{prompt} {self._rng.choice(_QUESTION_WORDS)}?"
        return prompt

    def spoken(self, form: str, subject: str) -> str:
        """Put the subject into a form, now and then in a careless spelling."""
        rng = self._rng
        if rng.random() < 0.55:
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

    def pseudo_wording(self) -> Wording:
        """Make a wording out of any running text: only the subject ties it to a question."""

        def form() -> str:
            words = self.names.words(self._rng.choice((3, 4, 5, 6, 7, 8)))
            words = [word.replace("{", "(").replace("}", ")") for word in words]
            words.insert(self._rng.randrange(len(words) + 1), "{s}")
            return " ".join(words).rstrip(".,;:") + self._rng.choice(("?", "?", " is", ""))

        return Wording("pseudo", (form(), form()), (form(), form()))
