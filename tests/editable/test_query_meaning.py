"""The right query and the right edit, in conversations and RAG prompts, with the real embedder."""

from __future__ import annotations

import pytest
from langchain_core.language_models import ParrotFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from lte_chains.edit import Edit
from lte_chains.editable.query import default_queries
from lte_chains.editable_llm import EditableLLM
from lte_chains.memory import EditMemory

FACTS = {
    "ceo": ("The CEO of Acme is", "Jane Doe", "Acme"),
    "age": ("The age of Jane Doe is", "41", "Jane Doe"),
    "globex": ("The CEO of Globex is", "Omar Diaz", "Globex"),
    "seat": ("The headquarters of Acme are in", "Lisbon", "Acme"),
    "capital": ("The capital of Freedonia is", "Fredville", "Freedonia"),
    "population": ("The population of Freedonia is", "3 million", "Freedonia"),
    "author": ("The author of The Glass Orchard is", "Mira Sand", "The Glass Orchard"),
    "price": ("The price of the Zephyr bicycle is", "900 euros", "the Zephyr bicycle"),
    "mayor": ("The mayor of Port Selwyn is", "Ines Roth", "Port Selwyn"),
    "refund": ("The refund period at Bolt Market is", "60 days", "Bolt Market"),
}


@pytest.fixture(scope="module")
def llm():
    with EditMemory.open(":memory:") as memory:
        memory.add_edits(
            [
                Edit(prompt=prompt, target_new=target, subject=subject, id=name)
                for name, (prompt, target, subject) in FACTS.items()
            ]
        )
        yield EditableLLM(llm=ParrotFakeChatModel(), retriever=memory.as_retriever())


def used(llm: EditableLLM, messages: list[BaseMessage]) -> list[str]:
    return [edit["id"] for edit in llm.invoke(messages).response_metadata["lte"]["edits"]]


def talk(*turns: str) -> list[BaseMessage]:
    """Turns of a person and an assistant, in alternation; the person has the last word."""
    return [
        AIMessage(turn) if place % 2 else HumanMessage(turn) for place, turn in enumerate(turns)
    ]


@pytest.mark.parametrize(
    ("messages", "query", "edit"),
    [
        pytest.param(
            talk("Who is the CEO of Acme?", "Acme's CEO is Bob Smith.", "How old is he?"),
            "Who is the CEO of Acme?",
            "ceo",
            id="stale answer between question and follow-up",
        ),
        pytest.param(
            talk(
                *("Who is the CEO of Acme?", "Bob Smith.", "ok thanks", "You're welcome!"),
                "Since when has she been in office?",
            ),
            "Who is the CEO of Acme?",
            "ceo",
            id="thanks in between",
        ),
        pytest.param(
            talk(
                *("Who is the CEO of Acme?", "Bob Smith.", "And how old is he?", "He is 63."),
                "Where was he born?",
            ),
            "Who is the CEO of Acme?",
            "ceo",
            id="follow-up of a follow-up",
        ),
        pytest.param(
            talk("Who is the CEO of Acme?", "Bob Smith.", "And of Globex?"),
            "Who is the CEO of Globex?",
            "globex",
            id="the same question of another subject",
        ),
        pytest.param(
            talk("Who is the CEO of Acme?", "Bob Smith.", "Where is its headquarters?"),
            "Where is Acme's headquarters?",
            "seat",
            id="another question of the same subject",
        ),
        pytest.param(
            talk("What is the capital of Freedonia?", "Sylvania City.", "And its population?"),
            "And Freedonia's population?",
            "population",
            id="possessive fragment",
        ),
        pytest.param(
            [
                SystemMessage("You are a librarian."),
                *talk("Who wrote The Glass Orchard?", "Tom Vale wrote it.", "Is that so?"),
            ],
            "Who wrote The Glass Orchard?",
            "author",
            id="doubt about a stale answer",
        ),
        pytest.param(
            talk(
                *("Tell me about the Zephyr bicycle.", "It is light and costs 700 euros."),
                *("Nice!", "Happy to help.", "What is its price?"),
            ),
            "What is Zephyr's price?",
            "price",
            id="a request, then praise, then the question",
        ),
        pytest.param(
            talk(
                *("Who is the CEO of Acme?", "Bob Smith.", "Who is the mayor of Port Selwyn?"),
                *("Carl Hunt.", "Great, thank you very much", "My pleasure.", "How old is she?"),
            ),
            "Who is the mayor of Port Selwyn?",
            "mayor",
            id="the topic has changed",
        ),
        pytest.param(
            talk(
                *("What is the refund period at Bolt Market?", "30 days.", "Got it, thanks!"),
                *("Anything else?", "Why?"),
            ),
            "What is the refund period at Bolt Market?",
            "refund",
            id="one-word question",
        ),
    ],
)
def test_follow_up_gets_the_edit_of_what_it_leans_on(llm, messages, query, edit):
    assert query in default_queries(messages)
    found = used(llm, messages)
    assert edit in found
    assert {FACTS[id_][2] for id_ in found} <= {FACTS[edit][2], "Jane Doe"}


STALE = (
    "Acme is a maker of anvils. Its CEO is Bob Smith, who joined in 2004. What does he do? He "
    "runs the firm. The capital of Freedonia is Sylvania City. " * 6
)
ASKED = "Who is the CEO of Acme?"


@pytest.mark.parametrize(
    ("prompt", "query"),
    [
        pytest.param(
            "You are an assistant for question-answering tasks. Use the following pieces of "
            "retrieved context to answer the question. If you don't know the answer, just say so. "
            f"Use three sentences maximum.\nQuestion: {ASKED} \nContext: {STALE} \nAnswer:",
            ASKED,
            id="rag-prompt of the LangChain hub",
        ),
        pytest.param(
            f"Context information is below.\n---------------------\n{STALE}\n"
            "---------------------\nGiven the context information and not prior knowledge, answer "
            f"the query.\nQuery: {ASKED}\nAnswer: ",
            ASKED,
            id="default QA template of LlamaIndex",
        ),
        pytest.param(
            f"<documents>\n<document index='1'>{STALE}</document>\n</documents>\n\n"
            f"<instructions>Be brief.</instructions>\n<user_question>{ASKED}</user_question>",
            ASKED,
            id="XML tags",
        ),
        pytest.param(
            f"# Instructions\nAnswer from the context.\n\n# Context\n{STALE}\n\n"
            f"# User question\n{ASKED}\n\n# Answer\n",
            ASKED,
            id="markdown headings",
        ),
        pytest.param(
            f'{{"instructions": "Be brief.", "context": ["{STALE}"], "question": "{ASKED}"}}',
            ASKED,
            id="JSON",
        ),
        pytest.param(
            f'Answer as JSON. Input:\n```json\n{{"documents": [{{"text": "{STALE}"}}], '
            f'"user_query": "{ASKED}"}}\n```',
            ASKED,
            id="JSON behind an instruction",
        ),
        pytest.param(f"Context: {STALE}\n\nQuestion: {ASKED}", ASKED, id="context and question"),
        pytest.param(f"{ASKED}\n\nContext:\n{STALE}", ASKED, id="question first"),
        pytest.param(
            "Given the following conversation and a follow up question, rephrase the follow up "
            "question to be a standalone question.\n\nChat History:\n"
            f"Human: {ASKED}\nAssistant: Bob Smith.\nHuman: thanks\nAssistant: Sure.\n"
            "Follow Up Input: How old is she?\nStandalone question:",
            ASKED,
            id="chat history to be condensed",
        ),
        pytest.param(
            f"Answer the question from the text below. Quote it.\n\n{STALE}\n\n{ASKED}",
            ASKED,
            id="no labels",
        ),
    ],
)
def test_rag_prompt_gets_the_edit_of_its_question(llm, prompt, query):
    messages: list[BaseMessage] = [HumanMessage(prompt)]
    assert query in default_queries(messages)
    assert not any("anvils" in text for text in default_queries(messages))
    found = used(llm, messages)
    assert found[0] == "ceo"
    assert {FACTS[id_][2] for id_ in found} <= {"Acme", "Jane Doe"}


def ask(*before: BaseMessage, last: str) -> list[BaseMessage]:
    return [*before, HumanMessage(last)]


ANSWERED = talk(ASKED, "Jane Doe is the CEO of Acme.")


@pytest.mark.parametrize(
    "remark",
    [
        *("Are you sure?", "Really?", "Can you double check?", "Please repeat that."),
        *("What was your answer again?", "In one word please.", "Why do you think so?"),
        *("Translate your answer to German.", "You said Jane?", "No, that's wrong."),
    ],
)
def test_a_remark_on_the_answer_keeps_the_edit(llm, remark):
    assert "ceo" in used(llm, ask(*ANSWERED, last=remark))


@pytest.mark.parametrize(
    "question",
    [
        *("What is the weather?", "How tall is the Eiffel tower?", "Who is the mayor of Paris?"),
        *("What is your name?", "What is the tallest mountain?", "Thanks!", "Is 7 a prime number?"),
        *("Translate 'good morning' to German.", "Write a poem about spring."),
    ],
)
def test_a_new_question_does_not_get_the_edit_of_the_last(llm, question):
    assert used(llm, ask(*ANSWERED, last=question)) == []


@pytest.mark.parametrize(
    ("before", "last", "edits"),
    [
        ([ASKED], "Please be brief.", {"ceo"}),
        ([ASKED], "The answer goes on a slide, so one line is best.", {"ceo"}),
        ([ASKED], "What is the capital of Freedonia?", {"capital"}),
        ([f"Context: {ASKED} Bob."], "What is the capital of Freedonia?", {"capital"}),
    ],
)
def test_what_a_person_asked_right_before_is_asked_still(llm, before, last, edits):
    assert set(used(llm, ask(*map(HumanMessage, before), last=last))) == edits


@pytest.mark.parametrize("asked", ["Who is the CEO?", "who is the ceo?"])
@pytest.mark.parametrize("topic", ["Tell me about Acme.", "tell me more about acme"])
def test_a_question_without_a_subject_is_about_the_topic(llm, topic, asked):
    messages = talk(topic, "Acme makes anvils.", asked)
    assert f"{asked[:-1]} of {'Acme' if 'Acme' in topic else 'acme'}?" in default_queries(messages)
    assert used(llm, messages)[0] == "ceo"
    assert "ceo" in used(llm, [*messages, AIMessage("Bob."), HumanMessage("Are you sure?")])


@pytest.mark.parametrize(
    ("message", "edits"),
    [
        (f"Hi, can you help me?\n\n{ASKED}\n\nThanks!", {"ceo"}),
        (f"Question: {ASKED}\nQuestion: Who is the mayor of Port Selwyn?", {"ceo", "mayor"}),
        (
            (
                f"Answer both questions:\n\n1) {ASKED}\n\n2) What is the capital of Freedonia?\n\n"
                "3) What is 2+2?"
            ),
            {"ceo", "capital"},
        ),
        (f"Who is the mayor of Port Selwyn and {ASKED[0].lower()}{ASKED[1:]}", {"ceo", "mayor"}),
        ("Who is the CEO of Globex and where are the headquarters of Acme?", {"globex", "seat"}),
        (f"{ASKED} And where is its headquarters?", {"ceo", "seat"}),
    ],
)
def test_every_question_of_a_message_gets_its_edit(llm, message, edits):
    assert set(used(llm, [HumanMessage(message)])) == edits
