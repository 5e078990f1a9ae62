from __future__ import annotations

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool

from lte_chains.errors import ConfigError
from lte_chains.integrations.llama_index import EditableLlamaLLM
from lte_chains.prompts import knowledge_editing_prompt
from tests.fakes_llm import EDIT, OTHER, QUESTION
from tests.integrations.llama_index.fakes import PlainLLM, ToolLLM, tool_call

EDITED = knowledge_editing_prompt(QUESTION, [EDIT.descriptor])


def weather(city: str) -> str:
    """Tell the weather."""
    return f"{city}: fine"


TOOL = FunctionTool.from_defaults(weather)


async def in_every_way(llm, *args, **kwargs):
    """The final responses of the four tool-calling entry points."""
    responses = [llm.chat_with_tools(*args, **kwargs)]
    responses.append(list(llm.stream_chat_with_tools(*args, **kwargs))[-1])
    responses.append(await llm.achat_with_tools(*args, **kwargs))
    stream = await llm.astream_chat_with_tools(*args, **kwargs)
    responses.append([response async for response in stream][-1])
    return responses


async def test_every_step_of_a_tool_loop_is_edited(llm, inner):
    steps = [
        ChatMessage(QUESTION),
        tool_call("weather", city="Oslo"),
        ChatMessage("Oslo: fine", role="tool"),
    ]
    for count in (1, 3):
        responses = await in_every_way(llm, [TOOL], chat_history=steps[:count])
        for response in responses:
            assert response.additional_kwargs["lte"]["edits"][0]["id"] == "e1"
    assert [seen[0].content for seen in inner.seen] == [EDITED] * 8
    assert [seen[1:] for seen in inner.seen] == [[]] * 4 + [steps[1:]] * 4


async def test_question_apart_from_the_history_is_edited(llm, inner):
    history = [ChatMessage("s", role="system")]
    await in_every_way(llm, [TOOL], QUESTION, history, tool_choice="weather")
    await in_every_way(llm, [TOOL], ChatMessage(QUESTION), history)
    assert inner.texts == [EDITED] * 8
    assert history == [ChatMessage("s", role="system")]
    assert inner.options[0] == {"tools": ["answer:weather"], "tool_choice": "weather"}


async def test_unrelated_question_reaches_the_model_unchanged(llm, inner):
    question = ChatMessage(OTHER)
    await in_every_way(llm, [TOOL], question, [])
    assert all(seen[0] is question for seen in inner.seen)


async def test_each_view_gets_tools_in_its_own_form(inner, retriever):
    plain = ToolLLM(label="plain")
    llm = EditableLlamaLLM(llm=inner, retriever=retriever, unedited_llm=plain)
    await in_every_way(llm, [TOOL], OTHER)
    assert inner.seen == []
    assert [options["tools"] for options in plain.options] == [["plain:weather"]] * 4


def test_tool_calls_are_read_by_the_view_that_made_them(inner, retriever):
    plain = ToolLLM(label="plain")
    llm = EditableLlamaLLM(llm=inner, retriever=retriever, unedited_llm=plain)
    for question, label in ((QUESTION, "answer"), (OTHER, "plain")):
        response = llm.chat_with_tools([TOOL], question)
        with pytest.raises(ValueError, match=f"{label} called no tool"):
            llm.get_tool_calls_from_response(response)
        assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []


def test_predicted_tool_is_called(llm, inner):
    inner.scripted.append(tool_call("weather", city="Oslo"))
    answer = llm.predict_and_call([TOOL], QUESTION)
    assert answer.response == "Oslo: fine"
    assert inner.texts == [EDITED]


async def test_predicted_tool_is_called_asynchronously(llm, inner):
    inner.scripted.append(tool_call("weather", city="Oslo"))
    assert (await llm.apredict_and_call([TOOL], QUESTION)).response == "Oslo: fine"


def test_prepared_arguments_are_the_wrapped_models(llm):
    prepared = llm._prepare_chat_with_tools([TOOL], QUESTION)
    assert prepared["tools"] == ["answer:weather"]
    assert [m.content for m in prepared["messages"]] == [QUESTION]


def test_model_that_cannot_call_tools_says_so(retriever):
    llm = EditableLlamaLLM(llm=PlainLLM(), retriever=retriever)
    with pytest.raises(ConfigError, match="PlainLLM cannot call tools"):
        llm.chat_with_tools([TOOL], QUESTION)
