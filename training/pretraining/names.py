"""Invented and real names, phrases, dates and codes to make edits about."""

from __future__ import annotations

import lzma
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lte_chains.training.pretraining.shipped import shipped

_WORD = r"(?:[A-ZÀ-Þ]\.|[A-ZÀ-Þ][\w'’-]+)"
_ENTITY = re.compile(
    rf"{_WORD}(?: (?:of|the|de|la|von|van|der|and|di|du)(?= [A-ZÀ-Þ])| {_WORD}| \d{{1,4}}(?!\d))*"
)
_SENTENCE = re.compile(r"(?<=[a-z]{3})\. (?=[A-Z])|\n")


@dataclass(frozen=True)
class Corpus:
    """What the invented names are drawn from.

    Attributes:
        entities: Capitalised names, each once, the most frequent first.
        counts: How often each entity stands in the text.
        sentences: Plain sentences of 6 to 40 words.
    """

    entities: tuple[str, ...]
    counts: Counter[str]
    sentences: tuple[str, ...]


def read_corpus(path: Path, *, max_chars: int, exclude: Iterable[str] = ()) -> Corpus:
    """Read names and sentences from an xz-compressed plain text.

    Args:
        path: Text file, compressed with xz.
        max_chars: How much of it to read.
        exclude: Names that must not be used (held-out subjects).
    """
    with lzma.open(path, "rt", encoding="utf-8") as file:
        text = file.read(max_chars)
    banned = {name.casefold() for name in exclude}
    openers = frozenset(shipped("name_parts.yaml")["openers"])
    counts: Counter[str] = Counter()
    for found in _ENTITY.finditer(text):
        name = found[0].rstrip("-'’")
        first, _, rest = name.partition(" ")
        name = rest if first in openers else name
        if 3 <= len(name) <= 48 and name[0].isupper() and name.casefold() not in banned:
            counts[name] += 1
    sentences = tuple(
        sentence
        for sentence in _SENTENCE.split(text)
        if 6 <= len(sentence.split()) <= 40 and not sentence.startswith("#")
    )
    return Corpus(tuple(name for name, _ in counts.most_common()), counts, sentences)


class Names:
    """Draw subjects and answers of many kinds from one random generator."""

    def __init__(self, corpus: Corpus, rng: random.Random) -> None:
        """Draw from `corpus` with `rng`; every draw advances the generator."""
        self._rng = rng
        self._corpus = corpus
        self._parts: dict[str, list[str]] = shipped("name_parts.yaml")
        self._people = [name for name in corpus.entities if 2 <= len(name.split()) <= 4]
        self._kinds: dict[str, Callable[[], str]] = {
            "person": self.person,
            "entity": self.entity,
            "place": self.entity,
            "company": self.company,
            "phrase": self.phrase,
            "word": self.word,
            "year": self.year,
            "date": self.date,
            "latin": self.latin,
            "award": self.award,
            "school": self.school,
            "war": self.war,
            "voice": lambda: rng.choice(self._parts["voices"]),
            "constellation": lambda: rng.choice(self._parts["constellations"]),
        }

    def answer(self, kind: str) -> str:
        """Draw an answer of a kind named in wordings.yaml; now and then of any kind."""
        if self._rng.random() < 0.15:
            kind = self._rng.choice(tuple(self._kinds))
        return self._kinds[kind]()

    def subject(self) -> str:
        """Draw a subject: mostly a name that stands in text, else an invented one."""
        draw = self._rng.random()
        if draw < 0.45:
            return self.entity()
        if draw < 0.65:
            return self.person()
        if draw < 0.8:
            return self.invented()
        return self.code() if draw < 0.92 else self.title()

    def near(self, subject: str) -> str:
        """Draw a subject that shares a word with `subject`, for hard distractors."""
        words = subject.split()
        other = self.subject().split()
        if len(words) == 1:
            return f"{words[0]} {other[0]}"
        kept = self._rng.randrange(len(words))
        replaced = [
            word if place == kept else self._rng.choice(other) for place, word in enumerate(words)
        ]
        return " ".join(replaced)

    def entity(self) -> str:
        """Draw a name from the text; frequent and rare ones alike."""
        pool = self._corpus.entities
        top = len(pool) if self._rng.random() < 0.7 else min(len(pool), 20_000)
        return pool[self._rng.randrange(top)]

    def person(self) -> str:
        """Draw a name of two to four words, some of them with exchanged parts."""
        if self._rng.random() < 0.6:
            return self._rng.choice(self._people)
        first = self._rng.choice(self._people).split()[0]
        last = self._rng.choice(self._people).split()[-1]
        return f"{first} {last}"

    def invented(self) -> str:
        """Make a name that no text holds."""
        words = self._rng.choice((1, 1, 2, 2, 3))
        return " ".join(self._syllables().capitalize() for _ in range(words))

    def code(self) -> str:
        """Make a designation such as a star, a ship or a gene has."""
        rng = self._rng
        letters = "".join(rng.choices("ABCDEFGHIJKLMNOPRSTUVWXYZ", k=rng.choice((1, 2, 2, 3))))
        number = rng.randrange(1, 10 ** rng.choice((2, 3, 4, 5)))
        shape = rng.randrange(5)
        if shape == 0:
            return f"{letters} {number}"
        if shape == 1:
            return f"{letters}-{number}"
        if shape == 2:
            return f"{number} {self.invented()}"
        if shape == 3:
            return f"{self.entity()} ({letters}-{number})"
        return f"{self.entity()} {number}"

    def title(self) -> str:
        """Make a title of a work: a few words of running text with capitals."""
        words = self._window(self._rng.choice((2, 3, 4, 5)))
        title = " ".join(word.capitalize() if len(word) > 3 else word for word in words)
        return title[:1].upper() + title[1:] + self._rng.choice(("", "", "", "!", "?"))

    def phrase(self) -> str:
        """Draw one to five words of running text, or a name."""
        if self._rng.random() < 0.35:
            return self.entity()
        words = self._window(self._rng.choice((1, 2, 2, 3, 4, 5)))
        return " ".join(words).strip(",;:() ") or self.entity()

    def word(self) -> str:
        """Draw one word of running text."""
        if self._rng.random() < 0.3:
            return self.phrase()
        return self._window(1)[0].strip(",;:()") or self.entity()

    def words(self, count: int) -> list[str]:
        """Draw `count` neighbouring words of running text."""
        return self._window(count)

    def sentence(self) -> str:
        """Draw a whole sentence."""
        return self._rng.choice(self._corpus.sentences).strip()

    def year(self) -> str:
        """Draw a year."""
        return str(self._rng.randrange(1000, 2030))

    def date(self) -> str:
        """Draw a date in one of the usual forms; now and then only the year."""
        rng = self._rng
        day, month, year = (
            rng.randrange(1, 29),
            rng.choice(self._parts["months"]),
            rng.randrange(1400, 2030),
        )
        return rng.choice(
            (f"{day} {month} {year}", f"{month} {day}, {year}", f"{month} {year}", str(year))
        )

    def latin(self) -> str:
        """Make a name as of a genus or a family."""
        return (self._syllables() + self._rng.choice(self._parts["latin_endings"])).capitalize()

    def company(self) -> str:
        """Draw a name, now and then with a company's ending."""
        ending = self._rng.choice(("", "", "", " Inc.", " Company", " Records", " Studios", " AG"))
        return self.entity() + ending

    def award(self) -> str:
        """Make the name of a prize."""
        name = f"{self.entity()} {self._rng.choice(('Award', 'Prize', 'Medal'))}"
        return f"{name} for {self.title()}" if self._rng.random() < 0.4 else name

    def school(self) -> str:
        """Make the name of a university or a college."""
        shape = self._rng.choice(("University of {}", "{} University", "{} College", "{} School"))
        return shape.format(self.entity())

    def war(self) -> str:
        """Make the name of a war or a battle."""
        return self._rng.choice(("{} War", "Battle of {}", "{} Civil War", "{} Revolution")).format(
            self.entity()
        )

    def _syllables(self) -> str:
        return "".join(
            self._rng.choices(self._parts["syllables"], k=self._rng.choice((2, 3, 3, 4)))
        )

    def _window(self, count: int) -> list[str]:
        words = self._rng.choice(self._corpus.sentences).split()
        start = self._rng.randrange(max(1, len(words) - count))
        return words[start : start + count]
