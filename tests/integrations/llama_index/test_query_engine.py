from __future__ import annotations

import json

import pytest
from llama_index.core import Document, PromptTemplate, VectorStoreIndex, get_response_synthesizer
from llama_index.core.callbacks import CallbackManager
from llama_index.core.indices.query.query_transform.base import IdentityQueryTransform
from llama_index.core.prompts import RichPromptTemplate
from llama_index.core.query_engine import (
    RetrieverQueryEngine,
    SubQuestionQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.integrations.llama_index import EditableLlamaLLM, EditableQueryEngine
from lte_chains.prompts import knowledge_editing_prompt
from tests.fakes_llm import EDIT, OTHER, QUESTION
from tests.integrations.llama_index.fakes import Events, PlainLLM, ToolLLM, WordEmbedding

STALE = "Bob Roe has been the CEO of Acme since 2019."
EDITED = knowledge_editing_prompt(QUESTION, [EDIT.descriptor])
MODES = ["compact", "refine", "tree_summarize", "simple_summarize", "accumulate"]


@pytest.fixture
def index():
    texts = [STALE, "The Rhone is the river that flows through Lyon."]
    documents = [Document(text=text) for text in texts]
    return VectorStoreIndex.from_documents(documents, embed_model=WordEmbedding())


@pytest.fixture(params=["plain model", "editable model"])
def model(request, inner, retriever):
    """The model of the wrapped engine: one that knows of no edits, or one that does."""
    if request.param == "plain model":
        return inner
    return EditableLlamaLLM(llm=inner, retriever=retriever, unedited_llm=ToolLLM(label="plain"))


def wrapped(index, model, retriever, **options):
    return EditableQueryEngine(
        index.as_query_engine(llm=model, similarity_top_k=1, **options), retriever
    )


async def ask_in_every_way(index, model, retriever, question, **options):
    """Responses of query and aquery, streamed and not, with their texts."""
    engine = wrapped(index, model, retriever, **options)
    stream = wrapped(index, model, retriever, streaming=True, **options)
    whole = [engine.query(question), await engine.aquery(question)]
    streamed, astreamed = stream.query(question), await stream.aquery(question)
    texts = [*map(str, whole), "".join(streamed.response_gen)]
    texts.append("".join([token async for token in astreamed.async_response_gen()]))
    return [*whole, streamed, astreamed], texts


async def test_synthesis_reads_the_edited_question_once(index, model, inner, retriever):
    responses, texts = await ask_in_every_way(index, model, retriever, QUESTION)
    assert texts == ["answer to Answer:"] * 4
    assert len(inner.texts) == 4
    for read in inner.texts:
        assert f"Query: {EDITED}\nAnswer:" in read
        assert read.count("[Updated Information]:") == 1
        assert STALE in read
    for response in responses:
        lte = response.metadata["lte"]
        assert [edit["id"] for edit in lte["edits"]] == ["e1"]
        assert json.loads(json.dumps(lte)) == lte
        assert response.source_nodes[0].text == STALE


async def test_unrelated_question_is_synthesised_as_it_is(index, inner, retriever):
    plain = ToolLLM(label="plain")
    llm = EditableLlamaLLM(llm=inner, retriever=retriever, unedited_llm=plain)
    responses, texts = await ask_in_every_way(index, llm, retriever, OTHER)
    assert texts == ["plain to Answer:"] * 4
    assert all("Updated Information" not in read for read in plain.texts)
    assert all(response.metadata["lte"]["edits"] == [] for response in responses)


def test_same_prompt_as_without_us_when_nothing_is_in_scope(index, inner, retriever):
    wrapped(index, inner, retriever).query(OTHER)
    index.as_query_engine(llm=inner, similarity_top_k=1).query(OTHER)
    assert inner.seen[0] == inner.seen[1]


def test_retrieval_gets_the_question_as_it_was_asked(index, inner, retriever):
    asked = []

    class Spy(RetrieverQueryEngine):
        def retrieve(self, query_bundle):
            asked.append(query_bundle.query_str)
            return super().retrieve(query_bundle)

    engine = Spy.from_args(index.as_retriever(), llm=inner)
    EditableQueryEngine(engine, retriever).query(QUESTION)
    assert asked == [QUESTION]


@pytest.mark.parametrize("mode", MODES)
async def test_every_response_mode_is_edited_once(index, model, inner, retriever, mode):
    options = {"response_mode": mode}
    if mode == "refine":
        options["similarity_top_k"] = 2
    engine = EditableQueryEngine(index.as_query_engine(llm=model, **options), retriever)
    engine.query(QUESTION)
    await engine.aquery(QUESTION)
    assert inner.texts
    assert all(read.count("[Updated Information]:") == 1 for read in inner.texts)


def test_synthesis_in_tasks_of_its_own_still_knows_the_decision(index, model, inner, retriever):
    options = {"response_mode": "tree_summarize", "use_async": True}
    wrapped(index, model, retriever, **options).query(QUESTION)
    assert [read.count("[Updated Information]:") for read in inner.texts] == [1]


def test_jinja_template_is_recognised_too(index, inner, retriever):
    llm = EditableLlamaLLM(llm=inner, retriever=retriever, unedited_llm=ToolLLM(label="plain"))
    template = RichPromptTemplate("{{ context_str }}\n\nQuestion: {{ query_str }}\n")
    response = wrapped(index, llm, retriever, text_qa_template=template).query(QUESTION)
    assert str(response).startswith("answer")
    assert inner.texts[0].count("[Updated Information]:") == 1


def test_decision_about_one_question_does_not_hold_for_another(index, inner, retriever):
    llm = EditableLlamaLLM(llm=inner, retriever=retriever)
    template = PromptTemplate("Fixed. Question: Which river flows through Lyon?")
    wrapped(index, llm, retriever, text_qa_template=template).query(QUESTION)
    assert inner.texts == ["Fixed. Question: Which river flows through Lyon?"]


@pytest.mark.parametrize("hostile", ["{context_str}", "{{ query_str }}", "}{", "{0}"])
def test_braces_in_an_edit_are_plain_text(index, inner, retriever, hostile):
    retriever.add_edits([Edit(prompt="The CEO of Acme is", target_new=hostile, id="h")])
    wrapped(index, inner, retriever).query(QUESTION)
    assert f"The CEO of Acme is {hostile}\n" in inner.texts[0]


async def test_edit_is_known_even_if_no_document_is(inner, retriever):
    index = VectorStoreIndex([], embed_model=WordEmbedding())
    engine = wrapped(index, inner, retriever)
    for response in (engine.query(QUESTION), await engine.aquery(QUESTION)):
        assert str(response) == "answer to Answer:"
        assert [node.node_id for node in response.source_nodes] == ["e1"]
    assert str(engine.query(OTHER)) == "Empty Response"


def test_model_that_only_completes_will_do(index, retriever):
    plain = PlainLLM()
    response = wrapped(index, plain, retriever).query(QUESTION)
    assert f"Query: {EDITED}\nAnswer:" in plain.seen[0]
    assert response.metadata["lte"]["edits"]


def test_callbacks_see_one_query_and_one_call(index, model, retriever):
    events = Events()
    manager = CallbackManager([events])
    engine = index.as_query_engine(llm=model)
    engine.callback_manager = engine._response_synthesizer.callback_manager = manager
    EditableQueryEngine(engine, retriever).query(QUESTION)
    assert (events.started.count("query"), events.started.count("llm")) == (1, 1)


def test_it_wraps_a_transforming_engine(index, inner, retriever):
    engine = TransformQueryEngine(index.as_query_engine(llm=inner), IdentityQueryTransform())
    assert EditableQueryEngine(engine, retriever).query(QUESTION).metadata["lte"]["edits"]


async def test_engine_without_asynchronous_retrieval_is_asked_in_a_thread(inner, retriever, index):
    engine = TransformQueryEngine(index.as_query_engine(llm=inner), IdentityQueryTransform())
    response = await EditableQueryEngine(engine, retriever).aquery(QUESTION)
    assert response.metadata["lte"]["edits"]


def test_figure_wording_on_request(index, inner, retriever):
    engine = EditableQueryEngine(index.as_query_engine(llm=inner), retriever, prompt_style="figure")
    engine.query(QUESTION)
    assert "[Query]:" in inner.texts[0]


def test_prompts_of_the_wrapped_engine_can_be_read(index, inner, retriever):
    assert any("text_qa_template" in key for key in wrapped(index, inner, retriever).get_prompts())


def test_what_cannot_be_wrapped_is_refused(index, inner, retriever):
    several = SubQuestionQueryEngine(
        LLMQuestionGenerator.from_defaults(llm=inner), get_response_synthesizer(llm=inner), []
    )
    with pytest.raises(ConfigError, match="SubQuestionQueryEngine cannot retrieve"):
        EditableQueryEngine(several, retriever)
    with pytest.raises(ConfigError, match="query engine"):
        EditableQueryEngine(index, retriever)
    with pytest.raises(ConfigError, match="as_retriever"):
        EditableQueryEngine(index.as_query_engine(llm=inner), retriever.memory)
