"""What an answer is worth: alias match, agreement, fluency, and averages over rows.

The headline measures judge text that was freely generated. The teacher-forced
ones, for comparison with the papers, are in `teacher_forcing`.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Normalise as SQuAD does: lower case, no ASCII punctuation, no articles, single spaces.

    Source: the official SQuAD 1.1 evaluation (arXiv 1606.05250, section 6.1).

    Example:
        >>> normalise_answer(" The  U.S.A.! ")
        'usa'
    """
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def alias_match(answer: str, accepted: Iterable[str]) -> bool:
    """Tell whether an answer equals one of the accepted ones after normalisation.

    The whole answer must be equal: one that merely contains an accepted answer
    does not count. An accepted answer of which normalisation leaves nothing
    ("The", "!") is compared as it is written.

    Example:
        >>> alias_match("the United States", ["USA", "United States"])
        True
        >>> alias_match("It is the United States of course", ["United States"])
        False
    """
    given = normalise_answer(answer)
    return any(
        given == wanted if (wanted := normalise_answer(alias)) else answer.strip() == alias.strip()
        for alias in accepted
    )


def same_answer(first: str, second: str) -> bool:
    """Tell whether two answers say the same: equal after normalisation.

    Example:
        >>> same_answer("A guitar.", "guitar")
        True
    """
    return alias_match(first, [second])


def ngram_entropy(text: str) -> float:
    """Return the fluency of a text: the weighted entropy of its word bi- and trigrams.

    (2/3 · H2 + 4/3 · H3) / 2, times 100, with H_n = −Σ f log2 f over word
    n-grams, as in KnowEdit (arXiv 2401.01286) and EasyEdit. A text that
    repeats itself, or that has fewer than three words, scores low.

    Example:
        >>> ngram_entropy("so so so so")
        0.0
        >>> round(ngram_entropy("one two three four five"))
        172
    """
    words = re.findall(r"\w+|[^\w\s]", text)
    return 100 * (2 / 3 * _entropy(words, 2) + 4 / 3 * _entropy(words, 3)) / 2


def mean(values: Iterable[float]) -> float | None:
    """Return the mean, rounded to four places; None if there are no values.

    Example:
        >>> mean([True, False, True])
        0.6667
    """
    collected = [float(value) for value in values]
    return round(fmean(collected), 4) if collected else None


def mean_over_rows(rows: Iterable[Mapping[str, Sequence[float]]]) -> float | None:
    """Aggregate as KnowEdit does: over rows, of the mean over keys, of the mean over prompts.

    Keys without prompts, and rows without keys, are left out.

    Example:
        >>> mean_over_rows([{"Reasoning": [1, 0], "Subject_Aliasing": [1]}, {}])
        0.75
    """
    scores = []
    for row in rows:
        per_key = [fmean(values) for values in row.values() if values]
        if per_key:
            scores.append(fmean(per_key))
    return mean(scores)


def _entropy(words: Sequence[str], n: int) -> float:
    counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    total = sum(counts.values())
    return sum(c / total * math.log2(total / c) for c in counts.values())
