from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from lte_chains.models import load_model
from tests.tiny_models import tiny_adapter, tiny_llama

THREADS = 50


@pytest.mark.parametrize("adapter", [None, "adapter"])
def test_fifty_threads_asking_both_views_at_once_get_their_own_answers(adapter):
    model = load_model(
        tiny_llama(), adapter=adapter and tiny_adapter(), max_new_tokens=8, batch_size=4
    )
    views = [model, model.unedited or model]
    questions = [f"question number {i}" for i in range(THREADS)]
    expected = [[view.invoke(q).text for q in questions] for view in views]
    assert (expected[0] == expected[1]) == (adapter is None)

    def ask(number: int) -> bool:
        which, way = number % 2, number % 3
        view, question = views[which], questions[number]
        if way == 0:
            answers = [view.invoke(question).text]
        elif way == 1:
            answers = ["".join(chunk.text for chunk in view.stream(question))]
        else:
            answers = [a.text for a in view.batch([question, questions[0], questions[-1]])]
            return answers == [expected[which][i] for i in (number, 0, THREADS - 1)]
        return answers == [expected[which][number]]

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(ask, range(THREADS)))


async def test_tasks_asking_both_views_at_once_get_their_own_answers():
    model = load_model(tiny_llama(), adapter=tiny_adapter(), max_new_tokens=8)
    views = [model, model.unedited]
    questions = [f"question number {i}" for i in range(12)]
    expected = [views[i % 2].invoke(q).text for i, q in enumerate(questions)]

    async def stream(view, question: str) -> str:
        return "".join([chunk.text async for chunk in view.astream(question)])

    streams = await asyncio.gather(*(stream(views[i % 2], q) for i, q in enumerate(questions)))
    invoked = await asyncio.gather(*(views[i % 2].ainvoke(q) for i, q in enumerate(questions)))
    assert streams == expected
    assert [answer.text for answer in invoked] == expected
