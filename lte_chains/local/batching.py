"""Answer in batches what LangChain asks for one conversation after the other.

`BaseChatModel.generate` and `batch` look after callbacks, tracing and the
cache, and then ask for each answer by itself, in order or from several
threads. A plan that is active during such a call knows what will be asked:
the first conversation of a batch that is asked for answers the whole batch,
and the others find their answers ready. What the cache answers is never asked
for. Which conversations share a batch depends on their lengths alone, never on
the threads, so that the same call computes the same thing twice.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from lte_chains.local.completion import Completion

_Prompt = tuple[int, ...]

_ACTIVE: ContextVar[BatchPlan | None] = ContextVar("lte_chains_batch_plan", default=None)


class BatchPlan:
    """The prompts of one call, put into batches of like lengths."""

    def __init__(
        self,
        key: object,
        prompts: Sequence[Sequence[int]],
        *,
        write: Callable[[Sequence[_Prompt]], Sequence[Completion]],
        batch_size: int,
    ) -> None:
        """Plan `prompts`; `write` answers one batch of them.

        Args:
            key: What the answers depend on beside the prompt; only who asks
                with an equal key is served.
            prompts: Token ids, in any order.
            write: Called with at most `batch_size` prompts.
            batch_size: Most prompts in a batch.
        """
        self._key = key
        self._write = write
        self._lock = threading.Lock()
        self._ready: defaultdict[_Prompt, deque[Completion]] = defaultdict(deque)
        self._waiting: defaultdict[_Prompt, deque[list[_Prompt]]] = defaultdict(deque)
        ordered = sorted(map(tuple, prompts), key=len)
        for first in range(0, len(ordered), batch_size):
            batch = ordered[first : first + batch_size]
            for prompt in batch:
                self._waiting[prompt].append(batch)

    @staticmethod
    def current(key: object) -> BatchPlan | None:
        """Return the plan that is active in this context, if it answers for `key`."""
        plan = _ACTIVE.get()
        return plan if plan is not None and plan._key == key else None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Serve the calls made in this context, threads and tasks that copy it included."""
        token = _ACTIVE.set(self)
        try:
            yield
        finally:
            _ACTIVE.reset(token)

    def take(self, prompt: Sequence[int]) -> Completion:
        """Return an answer to `prompt`; each planned answer is given away once."""
        wanted = tuple(prompt)
        with self._lock:
            if not self._ready[wanted]:
                waiting = self._waiting[wanted]
                self._answer(waiting[0] if waiting else [wanted])
            return self._ready[wanted].popleft()

    def _answer(self, batch: Sequence[_Prompt]) -> None:
        for prompt, answer in zip(batch, self._write(batch), strict=True):
            self._ready[prompt].append(answer)
            waiting = self._waiting[prompt]
            if waiting:
                waiting.popleft()
