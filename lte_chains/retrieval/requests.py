"""What following hops asks of the outside; the retriever answers, blocking or not.

The logic of hops is written once, as generators that yield these requests and
are sent the answers. Who drives them decides how embedders, stores, gates and
chat models are called.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lte_chains.edit import EditMatch
from lte_chains.store.base import Vectors

T = TypeVar("T")


@dataclass(frozen=True)
class Embed:
    """Answered by unit vectors, shape (len(texts), dimension)."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Find:
    """Answered by the edits nearest to each vector: a list of matches for each."""

    vectors: Vectors
    count: int


@dataclass(frozen=True)
class Judge:
    """Answered by the same matches as the scope gate judges them."""

    query: str
    matches: Sequence[EditMatch]


@dataclass(frozen=True)
class Look:
    """Answered by three lists of matches.

    The edits nearest to a question; the same as the gate judges them; and those
    next to them, which it does not judge.
    """

    query: str
    ahead: Sequence[str] = ()
    """Texts that an `Embed` may ask for next: to embed them with the question saves a call."""


@dataclass(frozen=True)
class Say:
    """Answered by a chat model's text."""

    prompt: str


Request = Embed | Find | Judge | Look | Say
"""One of the questions above."""

# The answer's type depends on the request's, which a generator's type cannot say.
Steps = Generator[Request, Any, T]
"""Logic that asks and ends with a `T`."""
