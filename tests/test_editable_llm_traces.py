from __future__ import annotations

import uuid

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from lte_chains.editable.query import default_queries
from lte_chains.editable_llm import EditableLLM
from tests.fakes_llm import EDIT, OTHER, QUESTION, RecordingModel, Runs, retriever_with


@pytest.fixture
def llm():
    return EditableLLM(llm=RecordingModel(), retriever=retriever_with(EDIT))


@pytest.fixture
def runs():
    return Runs()


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "generate", "agenerate", "batch", "abatch"])
async def test_retriever_and_model_run_once_under_one_root(llm, runs, way):
    method = getattr(llm, way)
    if "generate" in way:
        result = method([[HumanMessage(QUESTION)]], callbacks=[runs])
    elif "batch" in way:
        result = method([QUESTION], {"callbacks": [runs]})
    else:
        result = method(QUESTION, {"callbacks": [runs]})
    if way.startswith("a"):
        await result
    assert runs.kinds() == ["chain", "retriever", "model"]
    root = runs.started[0][1]
    assert [parent for _, _, parent in runs.started] == [None, root, root]
    assert len(runs.ended) == 3
    assert runs.names["chain"] == ["EditableLLM"]


async def test_chain_is_the_root_of_what_it_calls(llm, runs):
    chain = ChatPromptTemplate.from_template("{q}") | llm | StrOutputParser()
    chain.invoke({"q": QUESTION}, {"callbacks": [runs]})
    await chain.ainvoke({"q": QUESTION}, {"callbacks": [runs]})
    assert runs.roots() == ["chain", "chain"]
    assert runs.kinds().count("retriever") == runs.kinds().count("model") == 2
    assert "EditableLLM" not in runs.names["chain"]


def test_surrounding_run_is_found_without_passing_a_config(llm, runs):
    RunnableLambda(lambda q: llm.invoke(q)).invoke(QUESTION, {"callbacks": [runs]})
    assert runs.kinds() == ["chain", "retriever", "model"]
    assert runs.roots() == ["chain"]


def test_batch_of_three_is_three_traces(llm, runs):
    llm.batch([QUESTION, OTHER, QUESTION], {"callbacks": [runs]})
    assert sorted(runs.kinds()) == ["chain"] * 3 + ["model"] * 3 + ["retriever"] * 3
    assert runs.roots() == ["chain"] * 3


def test_batch_below_a_parent_opens_no_roots(llm, runs):
    chain = RunnableLambda(lambda q: q) | llm
    chain.batch([QUESTION, OTHER], {"callbacks": [runs]})
    assert runs.kinds().count("model") == runs.kinds().count("retriever") == 2
    assert len(runs.roots()) == 2
    assert "EditableLLM" not in runs.names["chain"]


def test_run_id_and_name_are_those_of_the_root(llm, runs):
    run_id = uuid.uuid4()
    llm.invoke(QUESTION, {"callbacks": [runs], "run_id": run_id, "run_name": "mine"})
    assert runs.started[0][:2] == ("chain", run_id)
    assert runs.names["chain"] == ["mine"]
    assert runs.names["retriever"] == ["EditRetriever"]
    assert runs.names["model"] == [None]  # no name of its own: the default


def test_trace_shows_what_was_searched_found_and_read(llm, runs):
    llm.invoke(QUESTION, {"callbacks": [runs]})
    assert runs.queries == [QUESTION]
    [[document]] = runs.found
    assert document.page_content == EDIT.descriptor
    assert document.metadata["lte"]["id"] == "e1"
    assert EDIT.descriptor in runs.read[0][-1].text


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "batch", "abatch", "stream"])
async def test_follow_up_is_one_retriever_run_whatever_its_readings(llm, runs, way):
    turns = [
        HumanMessage(QUESTION),
        AIMessage("Bob Roe."),
        HumanMessage("How old is she?"),
    ]
    given = [turns] if "batch" in way else turns
    answer = getattr(llm, way)(given, {"callbacks": [runs]})
    if way == "stream":
        list(answer)
    elif way.startswith("a"):
        await answer
    assert runs.kinds() == ["chain", "retriever", "model"]
    readings = default_queries(turns)
    assert len(readings) > 1
    assert runs.queries == ["\n".join(readings)]
    assert [document.id for [document] in runs.found] == ["e1"]
    assert EDIT.descriptor in runs.read[0][-1].text


def test_questions_of_a_batch_have_a_run_each_with_their_own_documents(llm, runs):
    follow_up = [HumanMessage(QUESTION), AIMessage("Bob Roe."), HumanMessage("How old is she?")]
    llm.batch([OTHER, follow_up, QUESTION], {"callbacks": [runs], "max_concurrency": 1})
    assert runs.kinds().count("retriever") == 3
    assert (runs.queries[0], runs.queries[2]) == (OTHER, QUESTION)
    assert [len(documents) for documents in runs.found] == [0, 1, 1]


def test_no_question_means_no_retriever_run(llm, runs):
    llm.invoke([AIMessage("Hello.")], {"callbacks": [runs]})
    assert runs.kinds() == ["chain", "model"]


@pytest.mark.parametrize("broken", ["retriever", "model"])
async def test_failed_run_is_reported_as_failed(llm, runs, monkeypatch, broken):
    def fail(*_, **__):
        raise RuntimeError("down")

    target, name = {
        "retriever": (type(llm.retriever), ("retrieve", "aretrieve")),
        "model": (type(llm.llm), ("_generate", "_generate")),
    }[broken]
    for attribute in name:
        monkeypatch.setattr(target, attribute, fail)
    with pytest.raises(RuntimeError, match="down"):
        llm.invoke(QUESTION, {"callbacks": [runs]})
    with pytest.raises(RuntimeError, match="down"):
        await llm.ainvoke(QUESTION, {"callbacks": [runs]})
    assert len(runs.failed) == 4
    assert len(runs.started) == len(runs.ended) + len(runs.failed)
