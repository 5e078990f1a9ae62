"""Exact ranking over rows of both kinds: rough scores first, the ledger's vectors where needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lte_chains.index.growing import Rows
from lte_chains.index.scores import Floats, best_of
from lte_chains.index.sealed import Query, Sealed

Fetch = Callable[[Sequence[int]], Mapping[int, bytes]]
"""Returns the stored vectors of edits by their keys, less those that were purged."""

_MARGIN = 2
"""Edits looked at beyond those that are wanted, so that most ties at the border are seen whole."""
_IN_QUESTION = 8
"""The same of edits in blocks, whose bounds order them only roughly."""
_ROUGH = 48
"""Fewest rows of a block that are looked at: to look further costs less than to look again."""


@dataclass(frozen=True)
class View:
    """The rows of one revision; they never change."""

    revision: int
    edits: int
    growing: Rows
    sealed: tuple[Sealed, ...] = ()

    @cached_property
    def wordings(self) -> int:
        """How many rows an edit has on average, rounded up."""
        rows = self.growing.size + sum(len(block.keys) for block in self.sealed)
        return max(1, -(-rows // max(1, self.edits)))

    def ranked(
        self, vector: Floats, *, first: int, fetch: Fetch
    ) -> Iterator[list[tuple[int, float]]]:
        """Yield all edits as (key, cosine), best first; see `VectorIndex.ranked`."""
        if not self.sealed:
            return self._growing_ranked(vector, (first + _MARGIN) * self.wordings)
        width = max((first + _IN_QUESTION) * self.wordings, _ROUGH)
        return self._all_ranked(vector, first, width, fetch)

    def _growing_ranked(self, vector: Floats, width: int) -> Iterator[list[tuple[int, float]]]:
        done = 0  # how many of the best
        while True:
            scores, beyond = self.growing.nearest(vector, width)
            fresh = [pair for pair in list(scores.items())[done:] if pair[1] > beyond]
            yield fresh
            if beyond == -np.inf:
                return
            done += len(fresh)
            width *= 4

    def _all_ranked(
        self, vector: Floats, first: int, width: int, fetch: Fetch
    ) -> Iterator[list[tuple[int, float]]]:
        query = Query.of(vector)
        known: dict[int, float] = {}
        done: set[int] = set()
        while True:
            scores, beyond = self.growing.nearest(vector, width)
            bounds, beyond = self._rough(query, width, beyond)
            place, chunk = 0, first + _IN_QUESTION
            while True:
                part = [key for key, _ in bounds[place : place + chunk]]
                self._score([key for key in part if key not in known], vector, known, fetch)
                scores.update((key, known[key]) for key in part if key in known)
                place += len(part)
                # Nothing that was not looked at can be better than this.
                frontier = bounds[place][1] if place < len(bounds) else beyond
                sure = [pair for pair in scores.items() if pair[1] > frontier]
                fresh = [pair for pair in sure if pair[0] not in done] if done else sure
                if len(fresh) >= first or place >= len(bounds):
                    yield sorted(fresh, key=lambda pair: (-pair[1], pair[0]))
                    done.update(key for key, _ in fresh)
                if place >= len(bounds):
                    break
                chunk = _reach(bounds, place, scores, len(done) + first) or chunk * 2
            if beyond == -np.inf:
                return
            width *= 4

    def _rough(
        self, query: Query, width: int, beyond: float
    ) -> tuple[list[tuple[int, float]], float]:
        """Return the edits of the blocks that may be among the best, by what they cannot exceed.

        Best first, each once; and what no other edit can exceed.
        """
        found = [block.nearest(query, width) for block in self.sealed]
        beyond = max(beyond, *(rest for _, _, rest in found))
        keys = np.concatenate([keys for keys, _, _ in found])
        bounds = np.concatenate([bounds for _, bounds, _ in found])
        hopeful = np.flatnonzero(bounds > beyond)
        order = hopeful[np.argsort(-bounds[hopeful], kind="stable")]
        best: dict[int, float] = {}
        for key, bound in zip(keys[order].tolist(), bounds[order].tolist(), strict=True):
            best.setdefault(key, bound)
        return list(best.items()), beyond

    def _score(
        self, keys: Sequence[int], vector: Floats, known: dict[int, float], fetch: Fetch
    ) -> None:
        """Add the exact scores of edits in blocks to those that are known."""
        for block in self.sealed:
            if keys and block.vectors is not None:
                found = block.score(keys, vector)
                known |= found
                keys = [key for key in keys if key not in found]
        if keys:
            known |= best_of(fetch(keys), vector)


def _reach(
    bounds: Sequence[tuple[int, float]], place: int, scores: Mapping[int, float], wanted: int
) -> int:
    """Return how many more edits may be among the best `wanted`; 0 if that cannot be told yet."""
    if len(scores) < wanted:
        return 0
    least = sorted(scores.values(), reverse=True)[wanted - 1]
    end = place
    while end < len(bounds) and bounds[end][1] >= least:
        end += 1
    return end - place
