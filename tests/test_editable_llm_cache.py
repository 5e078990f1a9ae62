from __future__ import annotations

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache

from lte_chains.edit import Edit
from lte_chains.editable_llm import EditableLLM
from lte_chains.models import load_model
from tests.fakes_llm import EDIT, OTHER, QUESTION, RecordingModel, retriever_with
from tests.tiny_models import tiny_adapter, tiny_llama

OTHER_EDIT = Edit(prompt="The CEO of Acme is", target_new="Max Roe", subject="Acme", relation="CEO")


@pytest.fixture(params=["global", "of the inner model", "of the editable model"])
def cached(request):
    """Build an editable model with a cache in one of three places."""
    cache = InMemoryCache()
    if request.param == "global":
        set_llm_cache(cache)
    own = {"cache": cache}
    yield lambda **fields: EditableLLM(
        llm=RecordingModel(**own if request.param == "of the inner model" else {}),
        retriever=retriever_with(EDIT),
        **own if request.param == "of the editable model" else {},
        **fields,
    )
    set_llm_cache(None)


async def ask(llm, question, way):
    return await llm.ainvoke(question) if way == "async" else llm.invoke(question)


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_identical_questions_hit_the_cache_edited_or_not(cached, way):
    llm = cached()
    first = [await ask(llm, q, way) for q in (QUESTION, OTHER)]
    again = [await ask(llm, q, way) for q in (QUESTION, OTHER)]
    assert len(llm.llm.seen) == 2
    assert [a.text for a in first] == [a.text for a in again]
    assert [a.response_metadata["lte"] for a in first] == [
        a.response_metadata["lte"] for a in again
    ]


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_no_stale_answer_after_any_change_of_the_memory(cached, way):
    llm = cached()
    memory = llm.retriever.memory

    async def read() -> str:
        count = len(llm.llm.seen)
        await ask(llm, QUESTION, way)
        return llm.llm.seen[-1][-1].text if len(llm.llm.seen) > count else "cached"

    assert "Jane" in await read()
    [id_] = memory.add_edits([OTHER_EDIT])
    assert "Max" in await read()
    memory.retract([id_])
    assert await read() == QUESTION
    assert await read() == "cached"
    memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Eva Moe")])
    assert "Eva" in await read()


async def test_revision_that_does_not_touch_the_question_still_hits_the_cache(cached):
    llm = cached()
    llm.invoke(QUESTION)
    llm.retriever.add_edits([Edit(prompt="Moons consist", target_new="entirely of cheese")])
    answer = llm.invoke(QUESTION)
    assert len(llm.llm.seen) == 1
    assert answer.response_metadata["lte"]["revision"] == llm.retriever.memory.revision


def test_provenance_is_not_written_into_the_cache(cached):
    llm = cached()
    llm.invoke(OTHER)
    assert "lte" not in llm.llm.invoke(OTHER).response_metadata


def test_two_views_of_one_local_model_never_share_a_cached_answer():
    model = load_model(tiny_llama(), adapter=tiny_adapter(), max_new_tokens=8)
    model = model.model_copy(update={"cache": InMemoryCache()})
    assert model.invoke("Hi").text != model.unedited.invoke("Hi").text
    llm = EditableLLM(llm=model, retriever=retriever_with(EDIT))
    assert llm.invoke("Hi").text == model.unedited.invoke("Hi").text
