"""One answer while it is being written: token ids in, finished text out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from lte_chains.errors import ConfigError

FinishReason = Literal["stop", "length"]
"""Why an answer ended: by itself or at a stop sequence, or for want of room."""

_UNFINISHED = "\ufffd"
"""What a tokenizer writes for bytes that do not make up a character yet."""


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """How answers are generated.

    Raises:
        ConfigError: A value is out of range.

    Example:
        >>> GenerationSettings(temperature=0.7, seed=1).stop
        ()
    """

    max_new_tokens: int = 256
    """The most tokens an answer may have, the closing one included."""
    temperature: float = 0.0
    """0 takes the likeliest token every time; above 0, tokens are drawn."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that together have this probability."""
    seed: int | None = None
    """Makes drawing reproducible; every answer starts its own random stream from it."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""

    def __post_init__(self) -> None:
        """Check every field."""
        if self.max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens={self.max_new_tokens}: use 1 or more")
        if not self.temperature >= 0:
            raise ConfigError(f"temperature={self.temperature}: use 0 (no drawing) or more")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p={self.top_p}: use a number above 0 and at most 1")
        if "" in self.stop:
            raise ConfigError("an empty stop sequence would end every answer at once: remove it")


class Completion:
    """An answer in the making.

    Text leaves it only when no later token can change it: not in the middle
    of a character, and not while it may be the beginning of a stop sequence.

    Example:
        >>> words = {1: "Jane", 2: " Doe", 3: " E", 4: "ND"}
        >>> answer = Completion(
        ...     [7, 8], decode=lambda ids: "".join(words[i] for i in ids),
        ...     end_tokens=frozenset(), stop=(" END",), limit=10,
        ... )
        >>> for token in (1, 2, 3, 4):
        ...     answer.take(token)
        >>> answer.text, answer.finish_reason
        ('Jane Doe', 'stop')
    """

    def __init__(
        self,
        prompt: Sequence[int],
        *,
        decode: Callable[[Sequence[int]], str],
        end_tokens: frozenset[int],
        stop: Sequence[str],
        limit: int,
    ) -> None:
        """Start an answer to the token ids of `prompt`, of at most `limit` tokens."""
        self.prompt = prompt
        self.text = ""
        self.finish_reason: FinishReason | None = None
        self.tokens_taken = 0
        self._decode = decode
        self._end_tokens = end_tokens
        self._stop = stop
        self._limit = limit
        self._window: list[int] = []
        self._settled = 0
        self._held = ""
        self._drained = 0

    def take(self, token: int) -> None:
        """Add the model's next token; after the end of the answer this does nothing."""
        if self.finish_reason is not None:
            return
        self.tokens_taken += 1
        if token in self._end_tokens:
            self._finish("stop")
            return
        self._window.append(token)
        self._held += self._fresh_text()
        if self._cut_at_stop():
            return
        if self.tokens_taken >= self._limit:
            self._finish("length")
            return
        self._release(len(self._held) - self._possible_stop_length())

    def drain(self) -> str:
        """Return the text that has become final since the last call."""
        fresh = self.text[self._drained :]
        self._drained = len(self.text)
        return fresh

    def _fresh_text(self, *, to_the_end: bool = False) -> str:
        """Decode what the newest tokens add; nothing yet in the middle of a character.

        A few tokens before them stay in the window, because a token's text can
        depend on its neighbours (leading spaces, multi-byte characters).
        """
        known = self._decode(self._window[: self._settled])
        text = self._decode(self._window)
        if text.endswith(_UNFINISHED) and not to_the_end:
            return ""
        del self._window[: self._settled]
        self._settled = len(self._window)
        return text[len(known) :]

    def _cut_at_stop(self) -> bool:
        found = [at for at in (self._held.find(text) for text in self._stop) if at >= 0]
        if not found:
            return False
        self._held = self._held[: min(found)]
        self._release(len(self._held))
        self.finish_reason = "stop"
        return True

    def _possible_stop_length(self) -> int:
        """Return how many closing characters may be the beginning of a stop sequence."""
        longest = max(map(len, self._stop), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            tail = self._held[-length:]
            if any(text.startswith(tail) for text in self._stop):
                return length
        return 0

    def _finish(self, reason: FinishReason) -> None:
        self._held += self._fresh_text(to_the_end=True)
        if not self._cut_at_stop():
            self._release(len(self._held))
            self.finish_reason = reason

    def _release(self, length: int) -> None:
        self.text += self._held[:length]
        self._held = self._held[length:]
