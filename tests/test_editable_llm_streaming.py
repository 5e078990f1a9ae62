from __future__ import annotations

import asyncio

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda

from lte_chains.editable_llm import EditableLLM
from tests.fakes_llm import EDIT, OTHER, QUESTION, RecordingModel, Runs, retriever_with

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")


@pytest.fixture
def inner():
    return RecordingModel()


@pytest.fixture
def llm(inner):
    return EditableLLM(llm=inner, retriever=retriever_with(EDIT))


def merged(chunks):
    full = chunks[0]
    for chunk in chunks[1:]:
        full += chunk
    return full


async def chunks_of(llm, way, question=QUESTION, config=None):
    if way == "stream":
        return list(llm.stream(question, config))
    return [chunk async for chunk in llm.astream(question, config)]


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(("question", "edits"), [(QUESTION, 1), (OTHER, 0)])
async def test_streamed_answer_is_whole_with_provenance_on_exactly_one_chunk(
    llm, inner, way, question, edits
):
    chunks = await chunks_of(llm, way, question)
    assert len(chunks) > 3
    assert ["lte" in c.response_metadata for c in chunks] == [True] + [False] * (len(chunks) - 1)
    full = merged(chunks)
    assert full.text == f"answer to {question}"
    lte = full.response_metadata["lte"]
    assert [e["id"] for e in lte["edits"]] == ["e1"][:edits]
    assert lte["revision"] == llm.retriever.memory.revision
    assert len(inner.seen) == 1


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_streaming_opens_one_trace_and_counts_each_token_once(llm, way):
    runs = Runs()
    chunks = await chunks_of(llm, way, config={"callbacks": [runs]})
    assert runs.kinds() == ["chain", "retriever", "model"]
    assert runs.roots() == ["chain"]
    assert len(runs.ended) == 3
    assert runs.tokens == [chunk.text for chunk in chunks]


def test_stream_that_is_left_ends_its_runs(llm):
    runs = Runs()
    stream = llm.stream(QUESTION, {"callbacks": [runs]})
    next(stream)
    stream.close()
    assert len(runs.ended) + len(runs.failed) == 3


def test_chain_streams_through(llm):
    pieces = list((llm | StrOutputParser()).stream(QUESTION))
    assert "".join(pieces) == f"answer to {QUESTION}"
    assert len(pieces) > 3


@pytest.mark.filterwarnings("ignore:astream_events version='v1' is deprecated")
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_event_streams_show_each_token_of_the_model_once(llm, inner, version):
    events = [e async for e in llm.astream_events(QUESTION, version=version)]
    tokens = [e["data"]["chunk"].text for e in events if e["event"] == "on_chat_model_stream"]
    assert "".join(tokens) == f"answer to {QUESTION}"
    kinds = [e["event"] for e in events]
    for kind in ("on_chain_start", "on_retriever_start", "on_chat_model_start"):
        assert kinds.count(kind) == 1
    assert len(inner.seen) == 1


def test_protocol_events_carry_provenance_in_the_closing_event(llm, inner):
    runs = Runs()
    stream = llm.stream_events(QUESTION, {"callbacks": [runs]}, version="v3")
    assert runs.started == []
    events = list(stream)
    assert events[-1]["event"] == "message-finish"
    assert [e["id"] for e in stream.output.response_metadata["lte"]["edits"]] == ["e1"]
    assert stream.output.text == str(stream.text) == f"answer to {QUESTION}"
    assert runs.kinds() == ["chain", "retriever", "model"]
    assert runs.roots() == ["chain"]
    assert len(runs.ended) == 3
    assert len(inner.seen) == 1


async def test_async_protocol_events_carry_provenance_in_the_closing_event(llm, inner):
    runs = Runs()
    stream = await llm.astream_events(QUESTION, {"callbacks": [runs]}, version="v3")
    text = "".join([piece async for piece in stream.text])
    message = await stream
    assert [e["id"] for e in message.response_metadata["lte"]["edits"]] == ["e1"]
    assert text == message.text == f"answer to {QUESTION}"
    assert runs.roots() == ["chain"]
    assert len(runs.ended) == 3
    assert len(inner.seen) == 1


def test_protocol_events_below_a_parent_open_no_run_of_their_own(llm):
    runs = Runs()

    def step(question, config):
        return llm.stream_events(question, config, version="v3").output

    RunnableLambda(step).invoke(QUESTION, {"callbacks": [runs]})
    assert runs.kinds() == ["chain", "retriever", "model"]
    assert runs.roots() == ["chain"]


async def test_async_protocol_events_below_a_parent_open_no_run_of_their_own(llm):
    runs = Runs()

    async def step(question, config):
        return await (await llm.astream_events(question, config, version="v3"))

    await RunnableLambda(step).ainvoke(QUESTION, {"callbacks": [runs]})
    assert runs.kinds() == ["chain", "retriever", "model"]
    assert runs.roots() == ["chain"]


class Failing(RecordingModel):
    def _answer(self, messages, options):
        raise RuntimeError("model down")


def failing():
    return EditableLLM(llm=Failing(), retriever=retriever_with(EDIT))


def test_failure_of_the_model_reaches_the_reader_of_protocol_events():
    runs = Runs()
    stream = failing().stream_events(QUESTION, {"callbacks": [runs]}, version="v3")
    with pytest.raises(RuntimeError, match="model down"):
        list(stream)
    with pytest.raises(RuntimeError, match="model down"):
        _ = stream.output
    assert len(runs.failed) == 2


async def test_failure_of_the_model_reaches_the_reader_of_async_protocol_events():
    runs = Runs()
    stream = await failing().astream_events(QUESTION, {"callbacks": [runs]}, version="v3")
    with pytest.raises(RuntimeError, match="model down"):
        await stream
    assert len(runs.failed) == 2


async def test_closing_async_protocol_events_stops_the_model():
    finished = []

    class Slow(RecordingModel):
        async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
            for chunk in self._stream(messages):
                yield chunk
                await asyncio.sleep(0.01)
            finished.append(True)

    runs = Runs()
    llm = EditableLLM(llm=Slow(), retriever=retriever_with(EDIT))
    async with await llm.astream_events(QUESTION, {"callbacks": [runs]}, version="v3") as stream:
        async for _ in stream:
            break
    await asyncio.sleep(0.1)
    assert finished == []
    assert len(runs.started) == len(runs.ended) + len(runs.failed)
