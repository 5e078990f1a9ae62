from __future__ import annotations

import asyncio

import pytest
import torch
from langchain_core.caches import InMemoryCache
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import HumanMessage

from lte_chains.errors import ConfigError
from lte_chains.models import LocalChatModel, PromptTooLongError, load_model
from tests.tiny_models import tiny_adapter, tiny_llama

QUESTIONS = [
    "Who runs Acme?",
    "What is the capital of France?",
    "é 🙂 ?",
    "0 1 2 3 4 5 and so on, please respond to the subsequent question below",
    "Hi",
]


@pytest.fixture(scope="module")
def model() -> LocalChatModel:
    return load_model(tiny_llama(), max_new_tokens=20)


@pytest.fixture(scope="module")
def adapted() -> LocalChatModel:
    return load_model(tiny_llama(), adapter=tiny_adapter(), max_new_tokens=20)


@pytest.fixture
def forwards(model, monkeypatch) -> list[int]:
    """Record the number of rows of each forward pass."""
    module = model.weights.decoder._module
    rows: list[int] = []
    hook = module.register_forward_pre_hook(
        lambda _, __, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    yield rows
    hook.remove()


def reference(text: str, max_new_tokens: int = 20) -> str:
    """Answer with transformers' own greedy generation."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama())
    module = AutoModelForCausalLM.from_pretrained(tiny_llama())
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt"
    )
    output = module.generate(
        **prompt, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=0
    )
    return tokenizer.decode(
        output[0, prompt["input_ids"].shape[1] :],
        skip_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )


def test_greedy_answers_are_those_of_transformers(model):
    assert [model.invoke(q).text for q in QUESTIONS] == [reference(q) for q in QUESTIONS]


def test_batch_answers_as_one_by_one_would(model):
    assert [a.text for a in model.batch(QUESTIONS)] == [model.invoke(q).text for q in QUESTIONS]


async def test_async_calls_answer_alike(model):
    expected = [model.invoke(q).text for q in QUESTIONS]
    assert [(await model.ainvoke(q)).text for q in QUESTIONS] == expected
    assert [a.text for a in await model.abatch(QUESTIONS)] == expected
    streamed = ["".join([c.text async for c in model.astream(q)]) for q in QUESTIONS]
    assert streamed == expected


def test_generate_runs_in_batches_of_batch_size(model, forwards):
    small = model.model_copy(update={"batch_size": 2})
    result = small.generate([[HumanMessage(q)] for q in QUESTIONS])
    assert [g[0].text for g in result.generations] == [model.invoke(q).text for q in QUESTIONS]
    assert len(result.run) == len(QUESTIONS)
    assert max(forwards) == 2


@pytest.mark.parametrize("way", ["batch", "abatch", "generate", "agenerate"])
def test_every_way_of_asking_several_questions_batches(model, forwards, way):
    lists = [[HumanMessage(f"question {i}")] for i in range(6)]
    result = getattr(model, way)(lists)
    if way.startswith("a"):
        result = asyncio.run(result)
    assert len(result if "batch" in way else result.generations) == 6
    assert set(forwards) <= {6, 3, 2, 1}
    assert forwards[0] == 6
    assert len(forwards) <= 20


def test_same_question_twice_in_a_batch_gets_two_answers(model):
    first, second = model.batch(["Hi", "Hi"])
    assert first.text == second.text
    assert first.id != second.id


def test_bad_input_in_a_batch_leaves_the_others_alone(model):
    too_long = "word " * 500
    answers = model.batch(["Hi", too_long, "Who?"], return_exceptions=True)
    assert isinstance(answers[1], PromptTooLongError)
    assert [answers[0].text, answers[2].text] == [model.invoke(q).text for q in ("Hi", "Who?")]


def test_stream_is_the_answer_in_pieces(model):
    chunks = list(model.stream(QUESTIONS[0]))
    assert len(chunks) > 5
    full = chunks[0]
    for chunk in chunks[1:]:
        full += chunk
    whole = model.invoke(QUESTIONS[0])
    assert full.text == whole.text
    assert full.usage_metadata == whole.usage_metadata
    assert full.response_metadata == whole.response_metadata
    assert [bool(c.response_metadata) for c in chunks] == [False] * (len(chunks) - 1) + [True]


def test_stream_generates_only_what_is_read(model, forwards):
    stream = model.stream(QUESTIONS[0])
    next(stream)
    stream.close()
    assert len(forwards) < 5


def test_stream_leaves_the_model_free_between_two_pieces(model):
    outer = model.stream(QUESTIONS[0])
    start = next(outer).text
    inner = model.invoke(QUESTIONS[1]).text
    assert start + "".join(c.text for c in outer) == model.invoke(QUESTIONS[0]).text
    assert inner == model.invoke(QUESTIONS[1]).text


def test_stop_sequence_ends_the_answer_streamed_or_not(model):
    whole = model.invoke(QUESTIONS[0]).text
    stop = whole[6:9]
    expected = whole[: whole.index(stop)]
    answer = model.invoke(QUESTIONS[0], stop=[stop])
    assert answer.text == expected
    assert answer.response_metadata["finish_reason"] == "stop"
    assert "".join(c.text for c in model.stream(QUESTIONS[0], stop=[stop])) == expected
    assert model.batch([QUESTIONS[0], "Hi"], stop=[stop])[0].text == expected


def test_stop_sequences_of_the_model_hold_for_every_call(model):
    whole = model.invoke(QUESTIONS[0]).text
    always = model.model_copy(update={"stop": [whole[6:9]]})
    assert always.invoke(QUESTIONS[0]).text == whole[: whole.index(whole[6:9])]


def test_usage_and_finish_reason_are_told(model):
    answer = model.invoke("Hi", max_new_tokens=4)
    assert answer.response_metadata == {
        "finish_reason": "length",
        "model_name": str(tiny_llama()),
    }
    prompt = len(model.weights.decoder.encode([HumanMessage("Hi")]))
    assert answer.usage_metadata == {
        "input_tokens": prompt,
        "output_tokens": 4,
        "total_tokens": prompt + 4,
    }


def test_usage_in_a_batch_does_not_count_padding(model):
    alone = [model.invoke(q).usage_metadata for q in QUESTIONS]
    assert [a.usage_metadata for a in model.batch(QUESTIONS)] == alone


def test_seed_makes_drawing_reproducible_alone_and_in_a_batch(model):
    drawn = {"temperature": 1.5, "seed": 7}
    first = model.invoke("Hi", **drawn).text
    assert model.invoke("Hi", **drawn).text == first
    assert model.batch(["Hi", *QUESTIONS], **drawn)[0].text == first
    assert model.invoke("Hi", temperature=1.5, seed=8).text != first


def test_without_a_seed_draws_differ(model):
    assert len({model.invoke("Hi", temperature=2.0).text for _ in range(5)}) > 1


def test_drawing_leaves_the_global_random_state_alone(model):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model.invoke("Hi", temperature=1.0, seed=3)
    model.invoke("Hi", temperature=1.0)
    assert torch.equal(before, torch.get_rng_state())


def test_tiny_top_p_takes_the_likeliest_token(model):
    assert model.invoke("Hi", temperature=1.0, top_p=1e-6).text == model.invoke("Hi").text


def test_prompt_longer_than_the_context_is_an_error_with_both_numbers(model):
    with pytest.raises(PromptTooLongError, match=r"2,002 tokens.*256") as caught:
        model.invoke("a b " * 500)
    assert isinstance(caught.value, ContextOverflowError)
    with pytest.raises(ConfigError):
        next(model.stream("a b " * 500))


def test_answer_stops_where_the_context_ends(model):
    prompt = "a b " * 60
    used = model.invoke(prompt, max_new_tokens=1000).usage_metadata
    assert used["total_tokens"] == 256


def test_option_that_is_not_understood_is_an_error(model):
    with pytest.raises(ConfigError, match="tools"):
        model.invoke("Hi", tools=[{"name": "add"}])


@pytest.mark.parametrize("bad", [{"temperature": -1}, {"max_new_tokens": 0}, {"top_p": 2}])
def test_option_out_of_range_is_an_error(model, bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        model.invoke("Hi", **bad)


def test_tokens_are_counted_with_the_models_own_tokenizer(model):
    assert model.get_num_tokens("Who runs Acme?") == len(model.get_token_ids("Who runs Acme?")) > 0


def test_model_without_an_adapter_has_no_other_view(model):
    assert model.unedited is None


def test_unedited_view_answers_as_the_base_model(model, adapted):
    base = [model.invoke(q).text for q in QUESTIONS]
    assert [adapted.unedited.invoke(q).text for q in QUESTIONS] == base
    assert [adapted.invoke(q).text for q in QUESTIONS] != base
    assert adapted.unedited.unedited is None
    assert adapted.unedited.weights is adapted.weights


def test_views_taken_in_turns_stay_themselves(adapted):
    edited = [adapted.invoke(q).text for q in QUESTIONS]
    plain = [adapted.unedited.invoke(q).text for q in QUESTIONS]
    stream = adapted.stream(QUESTIONS[0])
    text = next(stream).text
    assert [adapted.unedited.invoke(q).text for q in QUESTIONS] == plain
    assert text + "".join(c.text for c in stream) == edited[0]


def test_cache_knows_the_view_and_the_settings(adapted, model):
    strings = {
        m._get_llm_string()
        for m in (
            model,
            adapted,
            adapted.model_copy(update={"temperature": 1.0}),
            adapted.model_copy(update={"seed": 4}),
            adapted.model_copy(update={"stop": ["x"]}),
        )
    }
    assert len(strings) == 5
    assert adapted.unedited._get_llm_string() == model._get_llm_string()


def test_cached_answers_are_not_generated_again(model, forwards):
    cached = model.model_copy(update={"cache": InMemoryCache()})
    first = cached.batch(QUESTIONS)
    count = len(forwards)
    assert [a.text for a in cached.batch(QUESTIONS)] == [a.text for a in first]
    assert cached.invoke(QUESTIONS[0]).text == first[0].text
    assert len(forwards) == count


def test_finished_rows_leave_the_batch(model, forwards):
    texts = {q: model.invoke(q).text for q in map(str, range(12))}
    # A character that ends three of the answers early, and one not at all.
    stop = next(
        c
        for c in sorted(set("".join(texts.values())))
        if sum(c in t[:10] for t in texts.values()) >= 3 and any(c not in t for t in texts.values())
    )
    early = [q for q, text in texts.items() if stop in text[:10]][:3]
    late = next(q for q, text in texts.items() if stop not in text)
    forwards.clear()
    answers = model.batch([*early, late], stop=[stop])
    assert [a.text for a in answers] == [texts[q].split(stop)[0] for q in (*early, late)]
    assert forwards[0] == 4
    assert forwards[-1] == 1
