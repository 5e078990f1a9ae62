from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime

import pytest
from langchain_core.language_models import (
    FakeListChatModel,
    FakeMessagesListChatModel,
    GenericFakeChatModel,
    ParrotFakeChatModel,
)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from lte_chains.edit import Edit
from lte_chains.editable_llm import EditableLLM
from lte_chains.errors import ConfigError, LteError
from lte_chains.memory import EditMemory
from lte_chains.messages import apply_edits, edited_by
from lte_chains.prompts import knowledge_editing_prompt
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.fakes_llm import EDIT, OTHER, QUESTION, RecordingModel, Runs, retriever_with

EDITED = knowledge_editing_prompt(QUESTION, [EDIT.descriptor])


@pytest.fixture
def retriever():
    return retriever_with(EDIT)


@pytest.fixture
def inner():
    return RecordingModel()


@pytest.fixture
def llm(inner, retriever):
    return EditableLLM(llm=inner, retriever=retriever)


def configured(**options):
    return {"configurable": options}


class TestEditing:
    def test_question_in_scope_reaches_the_model_with_the_edit(self, llm, inner):
        answer = llm.invoke(QUESTION)
        assert [m.text for m in inner.seen[0]] == [EDITED]
        assert answer.text == f"answer to {QUESTION}"

    def test_unrelated_question_reaches_the_model_unchanged(self, llm, inner):
        messages = [SystemMessage("s"), HumanMessage(OTHER, additional_kwargs={"a": 1}, id="m")]
        llm.invoke(messages)
        assert all(got is sent for got, sent in zip(inner.seen[0], messages, strict=True))

    @pytest.mark.parametrize(
        "given",
        [
            QUESTION,
            [("human", QUESTION)],
            [{"role": "user", "content": QUESTION}],
            [HumanMessage(QUESTION)],
            ChatPromptTemplate.from_messages([("human", "{q}")]).invoke({"q": QUESTION}),
        ],
    )
    def test_every_kind_of_input_is_edited(self, llm, inner, given):
        llm.invoke(given)
        assert inner.seen[0][-1].text == EDITED

    def test_callers_messages_are_never_mutated(self, llm):
        messages = [HumanMessage(QUESTION)]
        llm.invoke(messages)
        assert messages == [HumanMessage(QUESTION)]

    def test_figure_wording_on_request(self, inner, retriever):
        EditableLLM(llm=inner, retriever=retriever, prompt_style="figure").invoke(QUESTION)
        assert "[Query]:" in inner.seen[0][-1].text

    def test_message_edited_elsewhere_is_not_edited_twice_but_accounted_for(
        self, llm, inner, retriever
    ):
        messages = apply_edits([HumanMessage(QUESTION)], retriever.retrieve(QUESTION))
        answer = llm.invoke(messages)
        assert inner.seen[0][0] is messages[0]
        assert answer.response_metadata["lte"]["edits"] == edited_by(messages[0])

    def test_retracted_edit_is_gone_and_a_new_one_is_there(self, llm, inner, retriever):
        llm.invoke(QUESTION)
        retriever.memory.retract(["e1"])
        llm.invoke(QUESTION)
        retriever.add_edits([Edit(prompt="The CEO of Acme is", target_new="Max Roe")])
        llm.invoke(QUESTION)
        texts = [seen[-1].text for seen in inner.seen]
        assert [("Jane" in t, "Max" in t) for t in texts] == [
            (True, False),
            (False, False),
            (False, True),
        ]

    def test_no_human_message_means_no_search(self, llm, inner):
        answer = llm.invoke([SystemMessage(QUESTION)])
        assert inner.seen[0][0].text == QUESTION
        assert answer.response_metadata["lte"]["edits"] == []

    @pytest.mark.parametrize(
        "model",
        [
            FakeListChatModel(responses=["a", "b"]),
            FakeMessagesListChatModel(responses=[AIMessage("a")]),
            GenericFakeChatModel(messages=iter(["a", "b"])),
            ParrotFakeChatModel(),
        ],
        ids=lambda model: type(model).__name__,
    )
    def test_any_chat_model_can_be_wrapped(self, model, retriever):
        llm = EditableLLM(llm=model, retriever=retriever)
        answer = llm.invoke(QUESTION)
        assert [e["id"] for e in answer.response_metadata["lte"]["edits"]] == ["e1"]

    def test_rag_prompt_is_searched_by_its_question(self, llm, inner):
        prompt = f"Context: The river Rhone flows through Lyon.\n\nQuestion: {QUESTION}\nAnswer:"
        llm.invoke(prompt)
        assert inner.seen[0][0].text == knowledge_editing_prompt(prompt, [EDIT.descriptor])

    def test_follow_up_finds_the_edit_of_the_question_before(self, llm, inner):
        turns = [HumanMessage(QUESTION), AIMessage("Bob."), HumanMessage("Is he?")]
        answer = llm.invoke(turns)
        assert [e["id"] for e in answer.response_metadata["lte"]["edits"]] == ["e1"]
        assert inner.seen[0][:2] == turns[:2]

    def test_several_queries_share_one_budget_and_best_score_wins(self, inner):
        edits = [Edit(prompt=f"Acme fact {i}", target_new="x", id=f"f{i}") for i in range(4)]
        llm = EditableLLM(
            llm=inner,
            retriever=retriever_with(*edits, k=2),
            query_extractor=lambda _: ["Acme fact 0", "Acme fact 1", "Acme fact 0"],
        )
        edits = llm.invoke("?").response_metadata["lte"]["edits"]
        assert len(edits) == 2
        assert {e["id"] for e in edits} == {"f0", "f1"}


class TestProvenance:
    def test_answer_says_which_edits_of_which_revision(self, llm, retriever):
        lte = llm.invoke(QUESTION).response_metadata["lte"]
        [edit] = lte["edits"]
        assert (edit["id"], lte["revision"]) == ("e1", retriever.memory.revision)
        assert 0.6 <= edit["score"] <= 1
        assert json.loads(json.dumps(lte)) == lte

    def test_unedited_answer_says_so(self, llm, retriever):
        lte = llm.invoke(OTHER).response_metadata["lte"]
        assert lte == {"edits": [], "revision": retriever.memory.revision}

    def test_other_metadata_and_the_answer_stay(self, llm, inner):
        inner.scripted.append(AIMessage("a", response_metadata={"model_name": "m"}, id="x"))
        answer = llm.invoke(QUESTION)
        assert answer.response_metadata["model_name"] == "m"
        assert answer.id == "x"

    def test_model_that_reuses_its_message_object_keeps_it_clean(self, retriever):
        shared = AIMessage("a")
        model = FakeMessagesListChatModel(responses=[shared])
        EditableLLM(llm=model, retriever=retriever).invoke(QUESTION)
        assert "lte" not in shared.response_metadata


class TestUneditedView:
    def test_model_given_for_it_answers_when_nothing_is_in_scope(self, inner, retriever):
        plain = RecordingModel(label="plain")
        llm = EditableLLM(llm=inner, retriever=retriever, unedited_llm=plain)
        assert [llm.invoke(q).text.split()[0] for q in (QUESTION, OTHER)] == ["answer", "plain"]

    def test_models_own_unedited_view_is_used(self, retriever):
        class TwoViews(RecordingModel):
            @property
            def unedited(self):
                return RecordingModel(label="own view")

        llm = EditableLLM(llm=TwoViews(), retriever=retriever)
        assert llm.invoke(OTHER).text.startswith("own view")
        assert llm.invoke(QUESTION).text.startswith("answer")

    def test_model_whose_unedited_view_is_none_answers_itself(self, retriever):
        class OneView(RecordingModel):
            unedited: None = None

        assert EditableLLM(llm=OneView(), retriever=retriever).invoke(OTHER).text

    def test_edited_elsewhere_goes_to_the_edited_view(self, inner, retriever):
        plain = RecordingModel(label="plain")
        llm = EditableLLM(llm=inner, retriever=retriever, unedited_llm=plain)
        messages = apply_edits([HumanMessage(QUESTION)], retriever.retrieve(QUESTION))
        assert llm.invoke(messages).text.startswith("answer")


class TestSeveralAtOnce:
    QUESTIONS = (OTHER, QUESTION, "What is 2 + 2?", QUESTION, "Hello")

    @pytest.mark.parametrize("separate", [True, False])
    @pytest.mark.parametrize("way", ["batch", "abatch", "generate", "agenerate"])
    async def test_each_goes_to_its_view_and_comes_back_in_order(
        self, inner, retriever, way, separate
    ):
        plain = RecordingModel(label="plain") if separate else None
        llm = EditableLLM(llm=inner, retriever=retriever, unedited_llm=plain)
        lists = [[HumanMessage(q)] for q in self.QUESTIONS]
        result = getattr(llm, way)(lists)
        result = await result if way.startswith("a") else result
        messages = result if "batch" in way else [g[0].message for g in result.generations]
        other = "plain" if separate else "answer"
        labels = [other, "answer", other, "answer", other]
        assert [m.text for m in messages] == [
            f"{label} to {q}" for label, q in zip(labels, self.QUESTIONS, strict=True)
        ]
        used = [len(m.response_metadata["lte"]["edits"]) for m in messages]
        assert used == [0, 1, 0, 1, 0]
        read = [len(EDITED) if q == QUESTION else len(q) for q in self.QUESTIONS]
        assert [m.usage_metadata["input_tokens"] for m in messages] == read

    @pytest.mark.parametrize("separate", [True, False])
    def test_generate_joins_runs_and_usage_in_order(self, inner, retriever, separate):
        runs = Runs()
        plain = RecordingModel(label="plain") if separate else None
        llm = EditableLLM(llm=inner, retriever=retriever, unedited_llm=plain)
        result = llm.generate([[HumanMessage(q)] for q in self.QUESTIONS], callbacks=[runs])
        assert result.llm_output == {"token_usage": {"total_tokens": 5}}
        started = {run_id for kind, run_id, _ in runs.started if kind == "model"}
        assert {info.run_id for info in result.run} == started
        assert [
            f"{m.run_id}" in g[0].message.id
            for m, g in zip(result.run, result.generations, strict=True)
        ] == [True] * 5

    def test_nothing_to_answer_is_no_error(self, llm):
        assert llm.batch([]) == []
        assert llm.generate([]).generations == []

    def test_batch_keeps_errors_in_their_place(self, inner, retriever):
        bad = configured(lte_namespace="tenant")
        llm = EditableLLM(llm=inner, retriever=retriever)
        answers = llm.batch([QUESTION, QUESTION, OTHER], [{}, bad, {}], return_exceptions=True)
        assert isinstance(answers[1], ConfigError)
        assert [answers[0].text, answers[2].text] == [f"answer to {q}" for q in (QUESTION, OTHER)]
        with pytest.raises(ConfigError):
            llm.batch([QUESTION, QUESTION], [{}, bad])

    async def test_abatch_keeps_errors_in_their_place(self, llm):
        bad = configured(lte_namespace="tenant")
        answers = await llm.abatch([QUESTION, QUESTION], [{}, bad], return_exceptions=True)
        assert isinstance(answers[1], ConfigError)
        assert answers[0].text

    def test_batch_as_completed_edits(self, llm):
        answers = dict(llm.batch_as_completed([QUESTION, OTHER]))
        assert [len(answers[i].response_metadata["lte"]["edits"]) for i in (0, 1)] == [1, 0]

    def test_each_input_of_a_batch_has_its_own_options(self, llm):
        configs = [configured(lte_query=QUESTION), configured(lte_query=OTHER)]
        answers = llm.batch(["?", QUESTION], configs)
        assert [len(a.response_metadata["lte"]["edits"]) for a in answers] == [1, 0]


class TestRunOptions:
    def test_query_of_the_run_is_searched(self, llm):
        answer = llm.invoke("Tell me.", config=configured(lte_query=QUESTION))
        assert len(answer.response_metadata["lte"]["edits"]) == 1

    def test_options_reach_it_through_a_chain_without_configurable_fields(self, llm):
        chain = ChatPromptTemplate.from_template("{x}") | llm
        answer = chain.invoke({"x": "Tell me."}, config=configured(lte_query=QUESTION))
        assert len(answer.response_metadata["lte"]["edits"]) == 1

    def test_namespace_of_the_run_is_used_where_that_is_allowed(self, inner):
        memory = EditMemory.open(":memory:", embeddings=BagOfWordsEmbeddings(dim=512))
        memory.in_namespace("tenant-b").add_edits([EDIT])
        llm = EditableLLM(
            llm=inner, retriever=retriever_with(memory=memory), namespace_from_config=True
        )
        used = [
            len(llm.invoke(QUESTION, config=config).response_metadata["lte"]["edits"])
            for config in (None, configured(lte_namespace="tenant-b"))
        ]
        assert used == [0, 1]

    @pytest.mark.parametrize("way", ["invoke", "stream", "batch", "chain", "events"])
    def test_namespace_is_refused_where_it_is_not_allowed(self, llm, inner, way):
        config = configured(lte_namespace="tenant-b")
        ask = {
            "invoke": lambda: llm.invoke(QUESTION, config=config),
            "stream": lambda: list(llm.stream(QUESTION, config=config)),
            "batch": lambda: llm.batch([QUESTION], config=config),
            "chain": lambda: (llm | StrOutputParser()).invoke(QUESTION, config=config),
            "events": lambda: list(llm.stream_events(QUESTION, config=config, version="v3")),
        }[way]
        with pytest.raises(ConfigError, match="namespace_from_config=True"):
            ask()
        assert inner.seen == []

    @pytest.mark.parametrize(
        "options",
        [
            {"lte_query": " "},
            {"lte_query": 3},
            {"lte_namespace": ""},
            {"lte_namespace": None},
            {"lte_at": "yesterday"},
            {"lte_at": "2026-01-01T00:00"},
            {"lte_at": datetime(2026, 1, 1)},
            {"lte_namepsace": "misspelt"},
        ],
        ids=str,
    )
    def test_option_that_cannot_be_honoured_is_an_error_never_ignored(self, inner, options):
        llm = EditableLLM(llm=inner, retriever=retriever_with(EDIT), namespace_from_config=True)
        with pytest.raises(ConfigError, match=next(iter(options))):
            llm.invoke(QUESTION, config=configured(**options))

    @pytest.mark.parametrize(
        "at",
        [
            "2026-06-01T00:00:00+00:00",
            datetime(2026, 6, 1, tzinfo=UTC),
            "2026-06-01",
            date(2026, 6, 1),
        ],
    )
    def test_moment_of_the_run_decides_which_edits_hold(self, inner, at):
        old = Edit(
            prompt="The CEO of Acme is",
            target_new="Jane Doe",
            valid_until=datetime(2026, 12, 1, tzinfo=UTC),
            valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        )
        llm = EditableLLM(llm=inner, retriever=retriever_with(old))
        late = configured(lte_at="2027-01-01T00:00:00Z")
        assert (
            len(
                llm.invoke(QUESTION, config=configured(lte_at=at)).response_metadata["lte"]["edits"]
            )
            == 1
        )
        assert llm.invoke(QUESTION, config=late).response_metadata["lte"]["edits"] == []

    def test_own_extractor_is_asked(self, inner, retriever):
        llm = EditableLLM(llm=inner, retriever=retriever, query_extractor=lambda m: QUESTION)
        assert len(llm.invoke("Tell me.").response_metadata["lte"]["edits"]) == 1

    def test_extractor_that_finds_nothing_means_no_search(self, inner, retriever):
        llm = EditableLLM(llm=inner, retriever=retriever, query_extractor=lambda m: "")
        assert llm.invoke(QUESTION).response_metadata["lte"]["edits"] == []

    @pytest.mark.parametrize("found", [[3], None, 3])
    def test_extractor_that_returns_no_text_is_an_error(self, inner, retriever, found):
        llm = EditableLLM(llm=inner, retriever=retriever, query_extractor=lambda m: found)
        with pytest.raises(ConfigError, match="query_extractor"):
            llm.invoke(QUESTION)


class TestConstruction:
    @pytest.mark.parametrize("field", ["llm", "retriever", "prompt_style"])
    def test_wrong_kind_of_argument_is_a_config_error(self, inner, retriever, field):
        arguments = {"llm": inner, "retriever": retriever, field: "wrong"}
        with pytest.raises(ConfigError, match=field) as caught:
            EditableLLM(**arguments)
        assert isinstance(caught.value, LteError)

    def test_bound_model_is_refused(self, inner, retriever):
        with pytest.raises(ConfigError, match="llm"):
            EditableLLM(llm=inner.bind(stop=["x"]), retriever=retriever)

    def test_argument_of_the_inner_model_is_not_swallowed_silently(self, inner, retriever, caplog):
        with caplog.at_level(logging.WARNING):
            EditableLLM(llm=inner, retriever=retriever, temperature=0.5)
        assert "ignores ['temperature']" in caplog.text

    def test_settings_of_every_chat_model_are_passed_on(self, inner, retriever):
        runs = Runs()
        llm = EditableLLM(
            llm=inner, retriever=retriever, callbacks=[runs], tags=["t"], disable_streaming=True
        )
        assert len(list(llm.stream(QUESTION))) == 1
        assert runs.kinds() == ["model"]
        assert inner.callbacks is None

    def test_token_counting_and_tracing_parameters_are_the_inner_models(self, llm, inner):
        inner.custom_get_token_ids = lambda text: [1, 2, 3]
        assert llm.get_num_tokens("anything") == 3
        assert llm._get_ls_params()["ls_model_name"] == "recording"
        assert llm._get_ls_params(model="other")["ls_model_name"] == "other"

    def test_retrievers_error_is_not_swallowed(self, inner, retriever, monkeypatch):
        def broken(*_, **__):
            raise OSError("disk gone")

        monkeypatch.setattr(type(retriever), "retrieve", broken)
        with pytest.raises(OSError, match="disk gone"):
            EditableLLM(llm=inner, retriever=retriever).invoke(QUESTION)
        assert inner.seen == []

    def test_models_error_reaches_the_caller(self, retriever):
        class Failing(RecordingModel):
            def _generate(self, *_, **__):
                raise RuntimeError("model down")

        with pytest.raises(RuntimeError, match="model down"):
            EditableLLM(llm=Failing(), retriever=retriever).invoke(QUESTION)

    def test_direct_calls_of_generate_hooks_edit_too(self, llm):
        result = llm._generate([HumanMessage(QUESTION)])
        assert len(result.generations[0].message.response_metadata["lte"]["edits"]) == 1

    def test_call_options_reach_the_inner_model(self, llm, inner):
        llm.invoke(QUESTION, stop=["x"], temperature=0.3)
        assert inner.options[0] == {"stop": ["x"], "temperature": 0.3}
