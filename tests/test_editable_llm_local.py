"""The editable model around a real local model: locality, and both views at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.messages import HumanMessage

from lte_chains.edit import Edit
from lte_chains.editable_llm import EditableLLM
from lte_chains.models import load_model
from lte_chains.prompts import knowledge_editing_prompt
from tests.fakes_llm import retriever_with
from tests.tiny_models import tiny_adapter, tiny_llama

EDITS = [
    Edit(prompt=f"The leader of company{i} is called", target_new=f"person{i}", id=f"e{i}")
    for i in range(25)
]
IN_SCOPE = [f"The leader of company{i} is called" for i in range(25)]
UNRELATED = [f"Which river crosses town number {i}?" for i in range(500)]


@pytest.fixture(scope="module", params=["shipped", "with adapter"])
def model(request):
    if request.param == "shipped":
        return load_model("lte-tiny", max_new_tokens=8, batch_size=32)
    return load_model(tiny_llama(), adapter=tiny_adapter(), max_new_tokens=8, batch_size=32)


@pytest.fixture(scope="module")
def llm(model):
    return EditableLLM(llm=model, retriever=retriever_with(*EDITS, k=1))


def test_five_hundred_unrelated_answers_are_those_of_the_bare_model(llm, model):
    bare = model.unedited or model
    assert [a.text for a in llm.batch(UNRELATED)] == [a.text for a in bare.batch(UNRELATED)]


def test_edited_answers_are_those_of_the_model_that_reads_the_edit(llm, model):
    prompts = [
        knowledge_editing_prompt(question, [edit.descriptor])
        for question, edit in zip(IN_SCOPE, EDITS, strict=True)
    ]
    expected = [a.text for a in model.batch(prompts)]
    assert [a.text for a in llm.batch(IN_SCOPE)] == expected
    result = llm.generate([[HumanMessage(question)] for question in IN_SCOPE])
    assert [row[0].text for row in result.generations] == expected


def test_fifty_threads_with_edited_and_unedited_questions_mix_nothing_up(llm):
    questions = [q for pair in zip(IN_SCOPE, UNRELATED[:25], strict=True) for q in pair]
    expected = [llm.invoke(question).text for question in questions]

    def ask(number: int) -> tuple[str, list[str]]:
        if number % 3:
            answer = llm.invoke(questions[number])
        else:
            chunks = list(llm.stream(questions[number]))
            answer = chunks[0]
            for chunk in chunks[1:]:
                answer += chunk
        return answer.text, [e["id"] for e in answer.response_metadata["lte"]["edits"]]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert [text for text, _ in answers] == expected
    assert [used for _, used in answers] == [
        [] if number % 2 else [f"e{number // 2}"] for number in range(50)
    ]
