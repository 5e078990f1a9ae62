"""Vectors of texts that were embedded lately, so that a repeated one is not embedded again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from lte_chains.store.base import Vectors


class Remembered:
    """The vectors of the last `size` texts, for many threads.

    Example:
        >>> import numpy as np
        >>> remembered = Remembered(size=1)
        >>> remembered.add({"a": np.float32([1, 0])})
        >>> remembered.add({"b": np.float32([0, 1])})
        >>> list(remembered.known(["a", "b"]))
        ['b']
    """

    def __init__(self, size: int) -> None:
        """Remember nothing yet."""
        self._size = size
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, texts: Iterable[str]) -> dict[str, Vectors]:
        """Return the vectors of those of the texts that are remembered."""
        with self._lock:
            found = {text: self._vectors[text] for text in texts if text in self._vectors}
            for text in found:
                self._vectors.move_to_end(text)
            return found

    def split(self, texts: Sequence[str]) -> tuple[dict[str, Vectors], list[str]]:
        """Return the vectors that are remembered, and the texts without one, each once."""
        found = self.known(texts)
        return found, [text for text in dict.fromkeys(texts) if text not in found]

    def add(self, vectors: Mapping[str, Vectors]) -> None:
        """Remember the vectors of texts, and forget those that were longest unused."""
        with self._lock:
            # Copies: a row of a batch would keep the whole batch.
            self._vectors.update((text, vector.copy()) for text, vector in vectors.items())
            while len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
