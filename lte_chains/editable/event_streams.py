"""Relay a model's protocol events (`stream_events(version="v3")`) and add provenance to them.

LangChain builds these stream objects inside the model that is called; the only
way to change an event on its way is to feed a stream object of one's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from langchain_core.language_models.chat_model_stream import AsyncChatModelStream, ChatModelStream

Event = Mapping[str, Any]
"""An event of LangChain's content-block protocol."""


def relay(source: Callable[[], Iterator[Event]]) -> ChatModelStream:
    """Return a stream of the events of `source`, which is called when the first is wanted."""
    stream = ChatModelStream()
    started: list[Iterator[Event]] = []

    def start() -> None:
        if not started:
            started.append(source())

    def pump() -> bool:
        start()
        try:
            event = next(started[0])
        except StopIteration:
            return False
        except BaseException as error:  # noqa: BLE001  # the reader gets it, as from LangChain
            stream.fail(error)
            return False
        stream.dispatch(event)
        return True

    stream.set_start(start)
    stream.bind_pump(pump)
    return stream


class AsyncRelay(AsyncChatModelStream):
    """The asynchronous twin of `relay`; `aclose` stops the source too."""

    def __init__(self, source: Callable[[], AsyncIterator[Event]]) -> None:
        """Relay the events of `source`, which is called when the first is wanted."""
        super().__init__()
        self._source = source
        self.set_start(self._start)

    async def _start(self) -> None:
        if self._producer_task is None:
            self._producer_task = asyncio.get_running_loop().create_task(self._produce())

    async def _produce(self) -> None:
        try:
            async for event in self._source():
                self.dispatch(event)
        except asyncio.CancelledError as error:
            self.fail(error)
            raise
        except BaseException as error:  # noqa: BLE001  # the reader gets it, as from LangChain
            self.fail(error)
