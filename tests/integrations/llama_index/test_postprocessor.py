from __future__ import annotations

from dataclasses import replace

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.schema import ImageNode, MetadataMode, NodeWithScore, QueryBundle, TextNode

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.integrations.llama_index import EditMemoryRetriever, EditNodePostprocessor
from tests.fakes_llm import EDIT, OTHER, QUESTION, retriever_with
from tests.integrations.llama_index.fakes import WordEmbedding

STALE = "Since 2019, Bob Roe has been the CEO of ACME."


@pytest.fixture
def postprocessor(retriever):
    return EditNodePostprocessor(retriever=retriever)


AL = Edit(prompt="The CEO of Acme is", target_new="Al", subject="Acme")
BOB = Edit(prompt="The CEO of Acme is", target_new="Bob", subject="Acme", aliases=("ACM Corp",))


def found(*texts: str) -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=text), score=0.5) for text in texts]


async def both(postprocessor, nodes, question):
    bundle = QueryBundle(question)
    result = postprocessor.postprocess_nodes(nodes, query_bundle=bundle)
    assert await postprocessor.apostprocess_nodes(nodes, query_bundle=bundle) == result
    return result


async def test_edits_come_first_and_contradicted_nodes_are_marked(postprocessor):
    edit, stale, other = await both(postprocessor, found(STALE, "Globex sells pens."), QUESTION)
    assert (edit.node_id, edit.text) == ("e1", EDIT.descriptor)
    assert (stale.text, stale.score) == (STALE, 0.5)
    assert stale.metadata["lte"] == {"contradicted_by": ["e1"]}
    assert other.metadata == {}


def test_model_reads_the_mark_but_not_the_ids(postprocessor):
    _, stale = postprocessor.postprocess_nodes(found(STALE), query_str=QUESTION)
    text = stale.node.get_content(metadata_mode=MetadataMode.LLM)
    assert text == f"superseded_by: {EDIT.descriptor}\n\n{STALE}"
    assert stale.node.get_content(metadata_mode=MetadataMode.EMBED) == STALE


def test_marks_are_on_copies(postprocessor):
    nodes = found(STALE)
    postprocessor.postprocess_nodes(nodes, query_str=QUESTION)
    assert nodes[0].metadata == {}
    assert len(nodes) == 1


async def test_unrelated_question_leaves_the_very_same_nodes(postprocessor):
    nodes = found(STALE)
    assert await both(postprocessor, nodes, OTHER) is nodes


def test_without_a_question_nothing_happens(postprocessor):
    nodes = found(STALE)
    assert postprocessor.postprocess_nodes(nodes) is nodes


@pytest.mark.parametrize(
    ("edit", "text", "marked"),
    [
        (EDIT, STALE, True),
        (EDIT, "Jane Doe now leads Acme.", False),
        (EDIT, "Bob Roe leads the firm.", False),
        (Edit(prompt="The CEO of Acme is", target_new="Jo"), "The CEO of Acme is Bob.", True),
        (Edit(prompt="The CEO of Acme is", target_new="Jo"), "Bob leads Acme.", False),
        (Edit.from_statement("The CEO of Acme is Jo"), "The CEO of Acme is Bob.", False),
        (AL, "The CEO of Acme is also old.", True),
        (AL, "Bob leads Acme. AL advises him.", False),
        (BOB, "Bobby leads Acme-owned plants.", True),
        (BOB, "Nobody but Bob's team leads Acme.", False),
        (BOB, "Jo leads ACM Corp.", True),
        (BOB, "Jo leads an acmeist club.", False),
        (BOB, "Jo leads Acme Foods.", False),
        (BOB, "Our Products\nAcme sells pens.", True),
        (replace(BOB, many_valued=True), "Our Products\nAcme sells pens.", False),
    ],
)
def test_contradicted_is_what_names_the_subject_but_not_the_answer(edit, text, marked):
    postprocessor = EditNodePostprocessor(retriever=retriever_with(edit))
    nodes = postprocessor.postprocess_nodes(found(text), query_str=QUESTION)
    assert ("superseded_by" in nodes[-1].metadata) is marked


def test_nodes_that_are_not_text_pass(postprocessor):
    image = NodeWithScore(node=ImageNode(image_url="http://localhost/x.png"))
    assert postprocessor.postprocess_nodes([image], query_str=QUESTION)[1] is image


def test_edit_that_was_retrieved_already_is_there_once(postprocessor, retriever):
    nodes = EditMemoryRetriever(retriever).retrieve(QUESTION)
    assert len(postprocessor.postprocess_nodes(nodes, query_str=QUESTION)) == 1


def test_it_works_in_an_index_query_engine(postprocessor):
    index = VectorStoreIndex.from_documents([Document(text=STALE)], embed_model=WordEmbedding())
    engine = index.as_query_engine(llm=MockLLM(), node_postprocessors=[postprocessor])
    read = str(engine.query(QUESTION))
    assert read.index(EDIT.descriptor) < read.index(f"superseded_by: {EDIT.descriptor}")
    assert "superseded_by" not in str(engine.query(OTHER))


def test_something_else_than_a_retriever_of_edits_is_refused(retriever):
    with pytest.raises(ConfigError, match="retriever"):
        EditNodePostprocessor(retriever=retriever.memory)
