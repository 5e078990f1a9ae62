"""Put the edits in front of a structured-output chain, whose own steps stay as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda

from lte_chains.editable.editing import EditedCall


def edited_first(
    plan: Callable[[Any, RunnableConfig], EditedCall],
    aplan: Callable[[Any, RunnableConfig], Awaitable[EditedCall]],
    *,
    edited: Runnable[Any, Any],
    unedited: Runnable[Any, Any],
    include_raw: bool,
) -> Runnable[Any, Any]:
    """Return a runnable that plans its input and hands it to the chain of the right view.

    Args:
        plan: Finds the edits for an input.
        aplan: The same, awaited.
        edited: The chain for inputs that hold edits.
        unedited: The chain for all others.
        include_raw: Whether the chains' outputs hold the message under "raw",
            where its provenance can be put.
    """

    def route(call: EditedCall) -> Runnable[Any, Any]:
        chain = edited if call.edited else unedited
        steps = RunnableLambda(lambda _: call.input, name="edited_messages") | chain
        return steps | _stamping(call) if include_raw else steps

    def answer(given: Any, config: RunnableConfig) -> Runnable[Any, Any]:
        return route(plan(given, config))

    async def aanswer(given: Any, config: RunnableConfig) -> Runnable[Any, Any]:
        return route(await aplan(given, config))

    return RunnableLambda(answer, afunc=aanswer)


def _stamping(call: EditedCall) -> Runnable[Any, Any]:
    """Put the provenance on the first raw message that comes by; later ones are merged to it."""

    def stamp(outputs: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        done = False
        for output in outputs:
            yield _with_stamp(output, call) if "raw" in output and not done else output
            done = done or "raw" in output

    async def astamp(outputs: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        done = False
        async for output in outputs:
            yield _with_stamp(output, call) if "raw" in output and not done else output
            done = done or "raw" in output

    return RunnableGenerator(stamp, astamp)


def _with_stamp(output: dict[str, Any], call: EditedCall) -> dict[str, Any]:
    return type(output)({**output, "raw": call.stamp(output["raw"])})
