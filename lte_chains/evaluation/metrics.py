"""What answers are worth: fluency, and averages over rows.

When two answers are the same stands in `lte_chains.answers`. The teacher-forced
measures, for comparison with the papers, are in `teacher_forcing`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean


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
