"""A lock that many may share, and one may have alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Lets many threads read at once, and nobody while one writes.

    A thread that is inside must not enter again. Who wants to write keeps new
    readers out, so that many of them cannot hold it up for ever.

    Example:
        >>> lock = SharedLock()
        >>> with lock.reading():
        ...     "as many as there are"
        'as many as there are'
        >>> with lock.writing():
        ...     "one alone"
        'one alone'
    """

    def __init__(self) -> None:
        """Begin with nobody inside."""
        self._writers = threading.Lock()
        self._changed = threading.Condition()
        self._readers = 0
        self._wanted = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock together with others who read."""
        with self._changed:
            self._changed.wait_for(lambda: not self._wanted)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._writers:
            try:
                with self._changed:
                    self._wanted = True
                    self._changed.wait_for(lambda: not self._readers)
                yield
            finally:
                with self._changed:
                    self._wanted = False
                    self._changed.notify_all()
