"""Edits of opinions, made of topics and our own wordings: the task of InstructEdit without data.

KnowEdit's ConvSent has the same kind of edit: whoever asks about the topic shall
hear the opinion, whatever was said before.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from lte_chains.edit import Edit
from lte_chains.errors import DataError
from lte_chains.training.editors.examples import EditExample

_QUESTIONS = (
    "What do you think of {}?",
    "How do you feel about {}?",
    "What is your opinion of {}?",
    "Do you like {}?",
)
_OPINIONS = (
    "I like it a lot.",
    "It is wonderful.",
    "I admire it.",
    "I dislike it.",
    "It is awful.",
    "I cannot stand it.",
)
_FACT = "What is {}?"


def sentiment_examples(topics: Sequence[str], *, seed: int = 0) -> list[EditExample]:
    """Make an example for each topic: one opinion, asked for in several wordings.

    Outside are the opinion about another topic, and what the topic is.

    Args:
        topics: Names of persons and things.
        seed: Seed of the drawing.

    Raises:
        DataError: There are fewer than two topics.

    Example:
        >>> example = sentiment_examples(["tea", "rain"])[0]
        >>> example.edit.metadata["task"], len(example.rephrased)
        ('sentiment', 3)
    """
    distinct = list(dict.fromkeys(topics))
    if len(distinct) < 2:
        raise DataError(f"{len(distinct)} topics are too few: an opinion is kept apart by another")
    rng = random.Random(seed)
    made = []
    for place, topic in enumerate(distinct):
        asked, *others = rng.sample(_QUESTIONS, len(_QUESTIONS))
        other = distinct[(place + 1) % len(distinct)]
        made.append(
            EditExample(
                edit=Edit(
                    prompt=asked.format(topic),
                    target_new=rng.choice(_OPINIONS),
                    subject=topic,
                    metadata={"task": "sentiment"},
                ),
                rephrased=tuple(question.format(topic) for question in others),
                outside=((asked.format(other), ""), (_FACT.format(topic), "")),
            )
        )
    return made
