"""Runnables that read edits obey a run's config: whose edits, and at which moment."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import create_retriever_tool

from lte_chains import Edit, EditableLLM, EditAwareRetriever, EditMemory
from lte_chains.errors import ConfigError
from lte_chains.retriever import EditRetriever
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.fakes_llm import RecordingModel, Runs

QUESTION = "The support line of Acme is"
SECRET, OWN, OLD = "555-0100", "555-0199", "555-0001"
TENANT_B = {"configurable": {"lte_namespace": "tenant-b"}}


class Documents(BaseRetriever):
    """Finds one document, and keeps the configurable of every run that it saw."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document("Acme makes anvils.")]


@pytest.fixture
def memory():
    def line(number: str, **fields: Any) -> Edit:
        return Edit(prompt=QUESTION, target_new=number, subject="Acme", **fields)

    with EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=512)) as opened:
        opened.in_namespace("tenant-a").add_edits(
            [
                line(OLD, valid_until=date(2020, 1, 1)),
                line(SECRET, valid_from=date(2020, 1, 1)),
            ]
        )
        opened.in_namespace("tenant-b").add_edits([line(OWN)])
        yield opened


def edits_of_tenant_a(memory: EditMemory, **options: Any) -> EditRetriever:
    gate = SimilarityGate(0.6)
    return memory.in_namespace("tenant-a").as_retriever(gate=gate, **options)


def aware_of_tenant_a(memory: EditMemory, **options: Any) -> EditAwareRetriever:
    return EditAwareRetriever(retriever=Documents(), edits=edits_of_tenant_a(memory), **options)


KINDS = pytest.mark.parametrize("make", [edits_of_tenant_a, aware_of_tenant_a])


def joined(found: list[Document]) -> str:
    return "\n".join(document.page_content for document in found)


async def _events(retriever, config):
    stream = retriever.astream_events(QUESTION, config, version="v2")
    events = [event async for event in stream if event["event"] == "on_retriever_end"]
    return events[-1]["data"]["output"]


async def _astream(retriever, config):
    return [document async for found in retriever.astream(QUESTION, config) for document in found]


async def _tool(retriever, config):
    tool = create_retriever_tool(retriever, "search", "Searches.")
    return [Document(await tool.ainvoke({"query": QUESTION}, config))]


async def _inside(retriever, config):
    async def ask(question: str) -> list[Document]:
        return await retriever.ainvoke(question)

    return await RunnableLambda(ask).ainvoke(QUESTION, config)


async def _ainvoke(retriever, config):
    return await retriever.ainvoke(QUESTION, config)


async def _abatch(retriever, config):
    return (await retriever.abatch([QUESTION, QUESTION], config))[1]


async def _agraph(retriever, config):
    return await (retriever | RunnableLambda(list)).ainvoke(QUESTION, config)


AWAITED = {
    "ainvoke": _ainvoke,
    "abatch": _abatch,
    "astream": _astream,
    "astream_events": _events,
    "in an async chain": _agraph,
    "in an async tool": _tool,
    "inside an async function": _inside,
}
DIRECT = {
    "invoke": lambda retriever, config: retriever.invoke(QUESTION, config),
    "batch": lambda retriever, config: retriever.batch([QUESTION, QUESTION], config)[1],
    "batch of configs": lambda r, config: r.batch([QUESTION] * 2, [config, config])[1],
    "stream": lambda retriever, config: next(retriever.stream(QUESTION, config)),
    "with_config": lambda r, config: r.with_config(configurable=config["configurable"]).invoke(
        QUESTION
    ),
    "bound": lambda r, config: r.bind(k=2).with_config(config).invoke(QUESTION),
    "with_retry": lambda r, config: r.with_retry(stop_after_attempt=1).invoke(QUESTION, config),
    "in a chain": lambda r, config: (r | RunnableLambda(list)).invoke(QUESTION, config),
    "in a map": lambda r, config: (
        {"context": r, "question": RunnablePassthrough()} | RunnableLambda(lambda x: x["context"])
    ).invoke(QUESTION, config),
    "in a tool": lambda retriever, config: [
        Document(
            create_retriever_tool(retriever, "search", "Searches.").invoke(
                {"query": QUESTION}, config
            )
        )
    ],
    "inside a function": lambda retriever, config: RunnableLambda(
        lambda question: retriever.invoke(question)
    ).invoke(QUESTION, config),
}
WAYS = pytest.mark.parametrize("way", [*DIRECT, *AWAITED])


async def ask(way: str, retriever: BaseRetriever, config: Any) -> str:
    """Return what a retriever finds, by one of the ways in which LangChain asks it."""
    if way in DIRECT:
        return joined(DIRECT[way](retriever, config))
    return joined(await AWAITED[way](retriever, config))


@KINDS
@WAYS
class TestEveryWay:
    async def test_a_run_of_another_tenant_is_an_error(self, memory, make, way):
        with pytest.raises(ConfigError, match="namespace_from_config=True"):
            await ask(way, make(memory), TENANT_B)

    async def test_a_run_chooses_the_namespace_where_that_is_allowed(self, memory, make, way):
        found = await ask(way, make(memory, namespace_from_config=True), TENANT_B)
        assert OWN in found
        assert SECRET not in found

    async def test_a_run_chooses_the_moment(self, memory, make, way):
        found = await ask(way, make(memory), {"configurable": {"lte_at": "2019-06-01"}})
        assert OLD in found
        assert SECRET not in found

    async def test_a_misspelt_option_is_an_error(self, memory, make, way):
        with pytest.raises(ConfigError, match="lte_namepsace"):
            await ask(way, make(memory), {"configurable": {"lte_namepsace": "tenant-b"}})


@KINDS
class TestRetriever:
    def test_a_run_that_asks_for_nothing_gets_the_retrievers_own_edits(self, memory, make):
        for config in (None, {}, {"configurable": {"thread_id": "1", "lte_query": "else"}}):
            found = joined(make(memory, namespace_from_config=True).invoke(QUESTION, config))
            assert SECRET in found
            assert OWN not in found

    @pytest.mark.parametrize(
        "options", [{"lte_namespace": None}, {"lte_namespace": " "}, {"lte_at": "soon"}], ids=str
    )
    def test_an_option_that_cannot_be_honoured_is_an_error(self, memory, make, options):
        retriever = make(memory, namespace_from_config=True)
        with pytest.raises(ConfigError, match=next(iter(options))):
            retriever.invoke(QUESTION, {"configurable": options})

    def test_an_argument_comes_before_the_runs_option(self, memory, make):
        config = {"configurable": {"lte_at": "2019-06-01"}}
        assert SECRET in joined(make(memory).invoke(QUESTION, config, at=date(2026, 1, 1)))

    def test_each_question_of_a_batch_has_its_own_options(self, memory, make):
        retriever = make(memory, namespace_from_config=True)
        first, second = retriever.batch([QUESTION] * 2, [{}, TENANT_B])
        assert (SECRET in joined(first), OWN in joined(second)) == (True, True)

    def test_a_refused_run_is_reported_as_failed(self, memory, make):
        runs = Runs()
        with pytest.raises(ConfigError):
            make(memory).invoke(QUESTION, {**TENANT_B, "callbacks": [runs]})
        assert runs.kinds() == ["retriever"]
        assert runs.failed == [runs.started[0][1]]

    def test_run_name_and_id_stay_the_callers(self, memory, make):
        runs = Runs()
        retriever = make(memory, namespace_from_config=True)
        retriever.invoke(QUESTION, {**TENANT_B, "callbacks": [runs], "run_name": "mine"})
        assert runs.names["retriever"][0] == "mine"

    @pytest.mark.parametrize("wrong", ["yes", None, 1])
    def test_the_switch_is_true_or_false(self, memory, make, wrong):
        with pytest.raises(ConfigError, match="namespace_from_config"):
            make(memory, namespace_from_config=wrong)


class TestEditAwareRetriever:
    def test_a_wrapped_retriever_of_edits_obeys_the_same_run(self, memory):
        edits = edits_of_tenant_a(memory)
        outer = EditAwareRetriever(retriever=edits, edits=edits, namespace_from_config=True)
        with pytest.raises(ConfigError, match="EditRetriever serves the namespace 'tenant-a'"):
            outer.invoke(QUESTION, TENANT_B)

    async def test_the_wrapped_retriever_sees_the_whole_config(self, memory):
        seen = []

        class Watching(Documents):
            def invoke(self, input: str, config: Any = None, **kwargs: Any) -> list[Document]:  # noqa: A002
                seen.append({**config["configurable"], **config["metadata"]})
                return super().invoke(input, config, **kwargs)

            async def ainvoke(self, input: str, config: Any = None, **kwargs: Any):  # noqa: A002
                return self.invoke(input, config, **kwargs)

        retriever = EditAwareRetriever(retriever=Watching(), edits=edits_of_tenant_a(memory))
        config = {"configurable": {"collection": "b"}, "metadata": {"user": "jo"}}
        retriever.invoke(QUESTION, config)
        await retriever.ainvoke(QUESTION, config)
        assert [(each["collection"], each["user"]) for each in seen] == [("b", "jo")] * 2

    def test_another_namespace_keeps_the_documents(self, memory):
        retriever = aware_of_tenant_a(memory).in_namespace("tenant-b")
        found = joined(retriever.invoke(QUESTION))
        assert OWN in found
        assert "anvils" in found


def rag(memory: EditMemory, make, **options: Any):
    """Return a RAG chain of tenant-a that lets runs choose the model's namespace, and its model."""
    model = RecordingModel()
    llm = EditableLLM(
        llm=model, retriever=edits_of_tenant_a(memory, **options), namespace_from_config=True
    )
    prompt = ChatPromptTemplate.from_template("Context:\n{context}\n\nQuestion: {question}")
    context = make(memory, **options) | joined
    return {"context": context, "question": RunnablePassthrough()} | prompt | llm, model


@KINDS
class TestRagChainOfATenant:
    def test_no_edit_of_another_tenant_reaches_the_prompt(self, memory, make):
        chain, model = rag(memory, make)
        with pytest.raises(ConfigError, match="namespace_from_config=True"):
            chain.invoke(QUESTION, TENANT_B)
        assert model.seen == []

    async def test_all_parts_serve_the_tenant_of_the_run(self, memory, make):
        chain, model = rag(memory, make, namespace_from_config=True)
        chain.invoke(QUESTION, TENANT_B)
        await chain.ainvoke(QUESTION, TENANT_B)
        chain.batch([QUESTION, QUESTION], TENANT_B)
        assert len(model.seen) == 4
        for [message] in model.seen:
            assert message.text.count(OWN) == 2  # in the context, and in front as an edit
            assert SECRET not in message.text


class TestEditableLLM:
    @pytest.mark.parametrize("retrievers_own", [True, False])
    async def test_the_models_switch_decides_whatever_its_retriever_says(
        self, memory, retrievers_own
    ):
        retriever = edits_of_tenant_a(memory, namespace_from_config=retrievers_own)
        model = RecordingModel()
        shut = EditableLLM(llm=model, retriever=retriever)
        with pytest.raises(ConfigError, match="this EditableLLM serves"):
            shut.invoke(QUESTION, TENANT_B)
        llm = EditableLLM(llm=model, retriever=retriever, namespace_from_config=True)
        config = {"configurable": {**TENANT_B["configurable"], "lte_at": "2019-06-01"}}
        runs = Runs()
        llm.invoke(QUESTION, {**config, "callbacks": [runs]})
        await llm.ainvoke(QUESTION, config)
        llm.batch([QUESTION], config)
        RunnableLambda(lambda question: llm.invoke(question)).invoke(QUESTION, config)
        assert [message.text.count(OWN) for [message] in model.seen] == [1] * 4
        assert runs.kinds().count("retriever") == 1

    def test_the_models_own_moment_wins(self, memory):
        model = RecordingModel()
        llm = EditableLLM(llm=model, retriever=edits_of_tenant_a(memory))
        llm.invoke(QUESTION, {"configurable": {"lte_at": "2019-06-01"}})
        assert OLD in model.seen[0][0].text
        assert SECRET not in model.seen[0][0].text
