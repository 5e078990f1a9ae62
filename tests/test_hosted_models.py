"""Edits for a model behind an OpenAI-compatible API, over real HTTP."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_openai import ChatOpenAI

from lte_chains import EditableLLM, load_model
from lte_chains.prompts import knowledge_editing_prompt
from tests.fakes_llm import EDIT, OTHER, QUESTION, RecordingModel, retriever_with
from tests.openai_server import OpenAIServer, serving

EXAMPLE = Path(__file__).parents[1] / "examples" / "hosted_models.py"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving(RecordingModel(), "recording") as running:
        yield running


@pytest.fixture
def hosted(server: OpenAIServer) -> ChatOpenAI:
    return ChatOpenAI(model="recording", base_url=server.url, api_key="none", max_retries=0)


@pytest.fixture
def llm(hosted: ChatOpenAI) -> EditableLLM:
    return EditableLLM(llm=hosted, retriever=retriever_with(EDIT))


def test_edited_prompt_is_all_that_the_provider_gets(server, llm):
    answer = llm.invoke(QUESTION)
    [request] = server.requests
    content = knowledge_editing_prompt(QUESTION, [EDIT.descriptor])
    assert request["messages"] == [{"role": "user", "content": content}]
    assert answer.response_metadata["lte"]["edits"][0]["id"] == "e1"


async def test_unrelated_question_is_the_same_request_as_without_edits(server, hosted, llm):
    hosted.invoke(OTHER)
    llm.invoke(OTHER)
    await llm.ainvoke(OTHER)
    plain, *edited = server.requests
    assert edited == [plain, plain]


async def test_each_call_is_one_request(server, llm):
    llm.invoke(QUESTION)
    list(llm.stream(QUESTION))
    await llm.ainvoke(QUESTION)
    [chunk async for chunk in llm.astream(QUESTION)]
    llm.batch([QUESTION, OTHER])
    assert len(server.requests) == 6


async def test_streamed_answer_is_the_whole_one(llm):
    whole = llm.invoke(QUESTION).text
    assert "".join(chunk.text for chunk in llm.stream(QUESTION)) == whole
    assert "".join([chunk.text async for chunk in llm.astream(QUESTION)]) == whole


@pytest.mark.slow
def test_example_runs_against_a_real_model(monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(load_model("lte-tiny"), "lte-tiny") as server:
        main = runpy.run_path(str(EXAMPLE))["main"]
        main(["--model", "lte-tiny", "--base-url", server.url])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    answers = [line.partition(": ")[2] for line in lines if not line.endswith("?")]
    edit, *answers, streamed = answers
    direct, _rephrased, unrelated = answers[:3], answers[3:6], answers[6:]
    assert edit == "The capital of France is Lyon"
    assert direct[1] == streamed == "Lyon"
    assert direct[0] == direct[2] != "Lyon"
    assert len(set(unrelated)) == 1
