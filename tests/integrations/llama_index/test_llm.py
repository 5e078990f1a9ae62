from __future__ import annotations

import asyncio
import json

import pytest
from llama_index.core.agent.react.formatter import ReActChatFormatter
from llama_index.core.agent.react.types import ActionReasoningStep, ObservationReasoningStep
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.integrations.llama_index import EditableLlamaLLM
from lte_chains.prompts import knowledge_editing_prompt
from tests.fakes_llm import EDIT, OTHER, QUESTION
from tests.integrations.llama_index.fakes import Events, OpenRaw, PlainLLM, ToolLLM, tool_call

EDITED = knowledge_editing_prompt(QUESTION, [EDIT.descriptor])


async def chat_in_every_way(llm, messages, **options):
    """The final responses of chat, stream_chat, achat and astream_chat."""
    responses = [llm.chat(messages, **options)]
    responses.append(list(llm.stream_chat(messages, **options))[-1])
    responses.append(await llm.achat(messages, **options))
    responses.append([r async for r in await llm.astream_chat(messages, **options)][-1])
    return responses


async def complete_in_every_way(llm, prompt, **options):
    responses = [llm.complete(prompt, **options)]
    responses.append(list(llm.stream_complete(prompt, **options))[-1])
    responses.append(await llm.acomplete(prompt, **options))
    responses.append([r async for r in await llm.astream_complete(prompt, **options)][-1])
    return responses


class TestEditing:
    async def test_question_in_scope_is_chatted_about_with_the_edit(self, llm, inner):
        responses = await chat_in_every_way(llm, [ChatMessage(QUESTION)])
        assert inner.texts == [EDITED] * 4
        assert [r.message.content for r in responses] == [f"answer to {QUESTION}"] * 4

    async def test_at_every_step_of_a_react_agent_the_question_is_edited(self, llm, inner):
        steps = [
            ActionReasoningStep(thought="I look it up.", action="search", action_input={"q": "x"}),
            ObservationReasoningStep(observation="Bob Smith, says the old page."),
        ]
        messages = ReActChatFormatter().format([], [ChatMessage(QUESTION)], steps)
        await chat_in_every_way(llm, messages)
        for seen in inner.seen:
            told = [message.content for message in seen if message.role == "user"]
            assert told == [EDITED, messages[-1].content]

    async def test_question_in_scope_is_completed_with_the_edit(self, llm, inner):
        responses = await complete_in_every_way(llm, QUESTION, temperature=0)
        assert inner.seen == [EDITED] * 4
        assert inner.options == [{"temperature": 0, "formatted": False}] * 4
        assert [r.text for r in responses] == [f"answer to {QUESTION}"] * 4

    async def test_unrelated_question_reaches_the_model_as_the_very_same_objects(self, llm, inner):
        messages = [ChatMessage("s", role="system"), ChatMessage(OTHER)]
        await chat_in_every_way(llm, messages)
        assert all(seen is messages for seen in inner.seen)

    async def test_unrelated_prompt_is_completed_as_it_is(self, llm, inner):
        await complete_in_every_way(llm, OTHER, formatted=True)
        assert inner.seen == [OTHER] * 4
        assert inner.options == [{"formatted": True}] * 4

    def test_callers_messages_are_never_mutated(self, llm):
        messages = [ChatMessage(QUESTION)]
        llm.chat(messages)
        assert messages == [ChatMessage(QUESTION)]

    def test_only_the_last_user_message_is_a_copy(self, llm, inner):
        turns = [
            ChatMessage("s", role="system"),
            ChatMessage(QUESTION),
            ChatMessage("Bob.", role="assistant"),
            ChatMessage("Is he?"),
            ChatMessage("found nothing", role="tool"),
        ]
        llm.chat(turns)
        [sent] = inner.seen
        assert [a is b for a, b in zip(sent, turns, strict=True)] == [True] * 3 + [False, True]
        assert sent[3].content == knowledge_editing_prompt("Is he?", [EDIT.descriptor])

    def test_nothing_of_ours_is_in_the_messages_that_go_to_the_provider(self, llm, inner):
        llm.chat([ChatMessage(QUESTION, additional_kwargs={"name": "ann"})])
        assert inner.seen[0][0].additional_kwargs == {"name": "ann"}

    def test_blocks_that_are_not_text_stay_the_same_objects(self, llm, inner):
        image = ImageBlock(url="http://localhost/x.png", image_mimetype="image/png")
        llm.chat([ChatMessage([image, TextBlock(text=QUESTION)])])
        first, second = inner.seen[0][0].blocks
        assert first == image
        assert second.text == EDITED

    def test_image_alone_with_a_named_query_gets_a_text_block_in_front(self, llm, inner):
        image = ImageBlock(url="http://localhost/x.png", image_mimetype="image/png")
        llm.chat([ChatMessage([image])], lte_query=QUESTION)
        first, second = inner.seen[0][0].blocks
        assert (first.text, second) == (EDITED.removesuffix(QUESTION), image)

    def test_retracted_edit_is_gone(self, llm, inner, retriever):
        llm.chat([ChatMessage(QUESTION)])
        retriever.memory.retract(["e1"])
        llm.chat([ChatMessage(QUESTION)])
        assert inner.texts == [EDITED, QUESTION]

    def test_two_edits_are_numbered(self, llm, inner, retriever):
        retriever.add_edits([Edit(prompt="The CEO of Globex is", target_new="Ann Roe")])
        llm.chat([ChatMessage("Who is the CEO of Acme, who is the CEO of Globex?")])
        assert "\n1. The CEO" in inner.texts[0]
        assert "\n2. The CEO" in inner.texts[0]

    def test_model_without_tools_can_be_wrapped(self, retriever):
        plain = PlainLLM()
        llm = EditableLlamaLLM(llm=plain, retriever=retriever)
        llm.complete(QUESTION)
        llm.chat([ChatMessage(QUESTION)])
        assert plain.seen == [EDITED, f"user: {EDITED}\nassistant: "]
        assert not llm.metadata.is_function_calling_model

    async def test_fifty_at_once_keep_to_their_own_questions(self, llm):
        asked = [QUESTION if n % 2 else OTHER for n in range(50)]
        answers = await asyncio.gather(*(llm.achat([ChatMessage(q)]) for q in asked))
        edited = [bool(a.additional_kwargs["lte"]["edits"]) for a in answers]
        assert edited == [q == QUESTION for q in asked]


class TestTemplates:
    def test_prediction_edits_inside_the_models_own_template(self, retriever):
        plain = PlainLLM(completion_to_prompt="<s>[INST] {} [/INST]".format, system_prompt="Hi.")
        llm = EditableLlamaLLM(llm=plain, retriever=retriever)
        llm.predict(PromptTemplate("{q}"), q=QUESTION)
        assert plain.seen == [f"Hi.\n\n<s>[INST] {EDITED} [/INST]"]
        assert plain.formatted == [True]

    def test_unrelated_prediction_is_what_the_model_itself_would_read(self, retriever):
        plain, alone = (
            PlainLLM(completion_to_prompt="<s>[INST] {} [/INST]".format, system_prompt="Hi.")
            for _ in range(2)
        )
        template = PromptTemplate("{q}")
        EditableLlamaLLM(llm=plain, retriever=retriever).predict(template, q=OTHER)
        alone.predict(template, q=OTHER)
        assert plain.seen == alone.seen

    def test_prompt_that_the_template_did_not_write_is_edited_in_front(self, retriever):
        plain = PlainLLM(completion_to_prompt="<s>{}</s>".format)
        EditableLlamaLLM(llm=plain, retriever=retriever).complete(QUESTION, formatted=True)
        assert plain.seen == [EDITED]

    def test_braces_in_an_edit_are_plain_text(self, llm, inner, retriever):
        retriever.add_edits([Edit(prompt="The CEO of Acme is", target_new="{query_str}", id="b")])
        llm.predict(PromptTemplate("{query_str}"), query_str=QUESTION)
        assert "{query_str}" in inner.texts[0]

    def test_structured_prediction_is_edited(self, llm, inner):
        class Person(BaseModel):
            """Somebody."""

            called: str

        inner.scripted.append(tool_call("Person", called="Jane Doe"))
        found = llm.structured_predict(Person, PromptTemplate("{q}"), q=QUESTION)
        assert found == Person(called="Jane Doe")
        assert inner.texts == [EDITED]


class TestOptions:
    async def test_query_can_be_named(self, llm, inner):
        await chat_in_every_way(llm, [ChatMessage("And now?")], lte_query=QUESTION, top_p=1)
        assert all(text.endswith("[Question]:\nAnd now?") for text in inner.texts)
        assert inner.options == [{"top_p": 1}] * 4

    def test_unknown_option_of_ours_is_an_error(self, llm):
        with pytest.raises(ConfigError, match="lte_name_space"):
            llm.chat([ChatMessage(QUESTION)], lte_name_space="x")

    def test_namespace_is_refused_unless_allowed(self, llm):
        with pytest.raises(ConfigError, match="lte_namespace"):
            llm.chat([ChatMessage(QUESTION)], lte_namespace="other")

    def test_namespace_can_be_chosen_where_it_is_allowed(self, inner, retriever):
        llm = EditableLlamaLLM(llm=inner, retriever=retriever, namespace_from_config=True)
        llm.chat([ChatMessage(QUESTION)], lte_namespace="empty")
        assert inner.texts == [QUESTION]

    def test_extractor_gets_the_callers_messages(self, inner, retriever):
        got = []

        def extract(messages):
            got.append(messages)
            return QUESTION

        messages = [ChatMessage("?")]
        llm = EditableLlamaLLM(llm=inner, retriever=retriever, query_extractor=extract)
        llm.chat(messages)
        assert got[0] is messages
        assert "Jane Doe" in inner.texts[0]

    def test_figure_wording_on_request(self, inner, retriever):
        llm = EditableLlamaLLM(llm=inner, retriever=retriever, prompt_style="figure")
        llm.chat([ChatMessage(QUESTION)])
        assert "[Query]:" in inner.texts[0]


class TestProvenance:
    async def test_every_answer_says_which_edits_of_which_revision(self, llm, retriever):
        responses = await chat_in_every_way(llm, [ChatMessage(QUESTION)])
        responses += await complete_in_every_way(llm, QUESTION)
        for response in responses:
            lte = response.additional_kwargs["lte"]
            assert [edit["id"] for edit in lte["edits"]] == ["e1"]
            assert lte["revision"] == retriever.memory.revision
            assert json.loads(json.dumps(lte)) == lte == response.raw["lte"]

    def test_unedited_answer_says_so(self, llm):
        assert llm.complete(OTHER).additional_kwargs["lte"] == {"edits": [], "revision": 1}

    def test_message_carries_none_of_it(self, llm):
        assert llm.chat([ChatMessage(QUESTION)]).message.additional_kwargs == {}

    def test_raw_object_that_takes_more_fields_gets_it(self, retriever):
        raw = OpenRaw()
        llm = EditableLlamaLLM(llm=ToolLLM(raw=raw), retriever=retriever)
        answer = llm.chat([ChatMessage(QUESTION)])
        assert answer.raw.model_dump()["lte"]["edits"][0]["id"] == "e1"
        assert raw == OpenRaw()

    def test_raw_object_of_a_fixed_shape_stays(self, retriever):
        raw = object()
        llm = EditableLlamaLLM(llm=ToolLLM(raw=raw), retriever=retriever)
        assert llm.chat([ChatMessage(QUESTION)]).raw is raw


class TestViews:
    async def test_unedited_model_answers_when_nothing_is_in_scope(self, inner, retriever):
        plain = ToolLLM(label="plain")
        llm = EditableLlamaLLM(llm=inner, retriever=retriever, unedited_llm=plain)
        for question, label in ((QUESTION, "answer"), (OTHER, "plain")):
            chats = await chat_in_every_way(llm, [ChatMessage(question)])
            completions = await complete_in_every_way(llm, question)
            texts = [r.message.content for r in chats] + [r.text for r in completions]
            assert texts == [f"{label} to {question}"] * 8


class TestSettings:
    async def test_callbacks_see_each_call_once(self, inner, retriever):
        events = Events()
        llm = EditableLlamaLLM(
            llm=inner, retriever=retriever, callback_manager=CallbackManager([events])
        )
        await chat_in_every_way(llm, [ChatMessage(QUESTION)])
        await complete_in_every_way(llm, OTHER)
        assert events.started == ["llm"] * 8

    def test_callbacks_that_are_set_later_reach_both_models(self, inner, retriever):
        plain, events = ToolLLM(), Events()
        llm = EditableLlamaLLM(llm=inner, retriever=retriever, unedited_llm=plain)
        llm.callback_manager = CallbackManager([events])
        llm.chat([ChatMessage(QUESTION)])
        llm.chat([ChatMessage(OTHER)])
        assert events.started == ["llm", "llm"]

    def test_settings_of_the_wrapped_model_hold(self, retriever):
        events = Events()
        manager = CallbackManager([events])
        inner = ToolLLM(system_prompt="Be brief.", callback_manager=manager)
        llm = EditableLlamaLLM(llm=inner, retriever=retriever)
        assert llm.callback_manager is manager
        llm.predict(PromptTemplate("{q}"), q=OTHER)
        assert [m.content for m in inner.seen[0]] == ["Be brief.", OTHER]
        assert events.started == ["templating", "llm"]

    def test_metadata_are_the_wrapped_models(self, llm, inner):
        assert llm.metadata == inner.metadata

    @pytest.mark.parametrize("wrong", [{"llm": "gpt"}, {"retriever": "r"}, {"unedited_llm": 1}])
    def test_wrong_arguments_are_refused(self, inner, retriever, wrong):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            EditableLlamaLLM(**{"llm": inner, "retriever": retriever, **wrong})

    def test_wrapping_twice_is_refused(self, llm, retriever):
        with pytest.raises(ConfigError, match="already"):
            EditableLlamaLLM(llm=llm, retriever=retriever)

    def test_it_serialises_without_the_memory(self, llm):
        saved = llm.to_dict()
        assert saved["class_name"] == "EditableLlamaLLM"
        assert "retriever" not in saved
