from __future__ import annotations

import time

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from lte_chains.editable.query import default_queries
from lte_chains.editable.templates import questions_in
from lte_chains.retrieval.references import refers_back

ASKED = "Who runs Acme?"
STALE = "Acme's CEO is Bob Smith. Is he old? Yes."
FILLER = "Lorem ipsum dolor sit amet. " * 20


@pytest.mark.parametrize(
    "prompt",
    [
        ASKED,
        (
            f"Use the following pieces of context to answer the question at the end. If you don't "
            f"know the answer, just say so.\n\n{STALE}\n\n{FILLER}\n\nQuestion: {ASKED}\nHelpful Answer:"
        ),
        f"Answer the question based only on the following context:\n{STALE}\n\nQuestion: {ASKED}",
        (
            f"You are an assistant for question-answering tasks. Use the context to answer the "
            f"question.\nQuestion: {ASKED} \nContext: {STALE} \nAnswer:"
        ),
        (
            f"Context information is below.\n---------------------\n{STALE}\n---------------------\n"
            f"Given the context information and not prior knowledge, answer the query.\n"
            f"Query: {ASKED}\nAnswer: "
        ),
        f"<context>\n{STALE}\n</context>\n\n{ASKED}",
        f"<documents>{STALE}\nQ: What? A: That.</documents>\n<question>{ASKED}</question>",
        f"Answer the following question: {ASKED}",
        f"Please answer the question. {ASKED}",
        f"Context: {STALE}\n\n{ASKED}",
        f"{ASKED}\n\nContext:\n{STALE}",
        f"### Instruction\nAnswer.\n### Question: {ASKED}\n### Answer:",
        f"**Question:** {ASKED}\n**Context:** {STALE}",
        f"Answer the question from the text below.\n\n{STALE} {FILLER}\n\n{ASKED}",
        f"Chat History:\nHuman: Hello\nAI: Hello!\nFollow Up Input: {ASKED}\nStandalone question:",
    ],
)
def test_question_is_found_in_the_prompt_shapes_of_rag(prompt):
    assert questions_in(prompt) == [ASKED]


@pytest.mark.parametrize(
    "text",
    [
        "The capital of France is",
        "Tell me about Acme. Keep it short.",
        "Is it true that the question of Acme's CEO is settled?",
        "acme ceo",
    ],
)
def test_plain_text_is_searched_as_it_stands(text):
    assert questions_in(text) == [text]


@pytest.mark.parametrize("text", ["", "  \n "])
def test_blank_text_asks_nothing(text):
    assert questions_in(text) == []


def test_of_a_long_text_without_labels_only_what_asks_is_searched():
    text = f"I read this yesterday. {FILLER}Who runs Acme? Thanks!"
    assert questions_in(text) == ["Who runs Acme?"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How old is she?", True),
        ("And in Paris?", True),
        ("Why?", True),
        ("What about Globex?", True),
        ("And the CFO?", True),
        ("Is that so?", True),
        ("What is its population?", True),
        ("Who runs Acme?", False),
        ("And who runs Acme?", False),
        ("Did Jane say when she left?", False),
        ("What is the river that flows through Lyon?", False),
        ("What is the capital of France?", False),
    ],
)
def test_reference_to_an_earlier_turn_is_noticed(question, expected):
    assert refers_back(question) is expected


def test_follow_up_is_searched_with_the_previous_question_and_answer_too():
    turns = [
        SystemMessage("Be brief."),
        HumanMessage("Who runs Acme?"),
        AIMessage("Bob Smith."),
        HumanMessage("How old is she?"),
    ]
    assert default_queries(turns) == [
        "Who runs Acme?",
        "Who runs Acme? How old is she?",
        "Bob Smith. How old is she?",
    ]


def test_earlier_rag_prompt_contributes_its_question_only():
    turns = [
        HumanMessage(f"Context: {STALE}\n\nQuestion: Who runs Acme?"),
        HumanMessage("And the CFO?"),
    ]
    assert default_queries(turns) == ["Who is the CFO of Acme?"]


CEO = "Who is the CEO of Helios Energy?"


@pytest.mark.parametrize(
    ("asked", "answer", "fragment", "full"),
    [
        (CEO, "Ann", "And the CFO?", "Who is the CFO of Helios Energy?"),
        (CEO, "Ann", "And the share price?", "What is the share price of Helios Energy?"),
        (CEO, "Ann", "price?", "What is the price of Helios Energy?"),
        (CEO, "Ann", "Helios Foods?", "Who is the CEO of Helios Foods?"),
        (CEO, "Ann", "Sorry, I meant Helios Foods.", "Who is the CEO of Helios Foods?"),
        (CEO, "Ann", "Oh sorry, Globex", "Who is the CEO of Globex?"),
        ("Who heads the NBC?", "Ann", "And the BBC?", "Who heads the BBC?"),
        ("How old is Tim Cook?", "65", "And Lionel Messi?", "How old is Lionel Messi?"),
        ("How heavy is the Nokia 3310?", "133 g", "and the X200?", "How heavy is the X200?"),
        (
            "What is the capital of France?",
            "Paris",
            "And the UK?",
            "What is the capital of the UK?",
        ),
    ],
)
def test_a_fragment_is_searched_in_full_and_only_so(asked, answer, fragment, full):
    turns = [HumanMessage(asked), AIMessage(answer), HumanMessage(fragment)]
    assert default_queries(turns) == [full]


@pytest.mark.parametrize("fragment", ["Ann?", "How much?", "And now?", "And the other one?"])
def test_what_may_be_about_the_answer_is_searched_with_the_question(fragment):
    turns = [HumanMessage(CEO), AIMessage("Ann"), HumanMessage(fragment)]
    assert default_queries(turns)[0] == CEO


@pytest.mark.parametrize(
    ("before", "asked", "full"),
    [
        ("Tell me about Bolivia.", "What is its capital?", "What is Bolivia's capital?"),
        ("Where is Bolivia?", "What's the capital?", "What's the capital of Bolivia?"),
        ("where is bolivia?", "what is its capital?", None),
        ("what's the population of france?", "what is its capital?", "what is france's capital?"),
        ("what do you know about zentrium?", "when does it boil?", "when does zentrium boil?"),
    ],
)
def test_a_question_that_names_nothing_is_not_searched_beside_what_it_means(before, asked, full):
    found = default_queries([HumanMessage(before), AIMessage("Well."), HumanMessage(asked)])
    assert asked not in found
    assert full is None or found[0] == full


def test_a_follow_up_leans_on_the_fragment_before_it():
    turns = ["Who is the CEO of Acme?", "Bob.", "And of Globex?", "Al.", "How old is he?"]
    messages = [AIMessage(t) if n % 2 else HumanMessage(t) for n, t in enumerate(turns)]
    assert "Who is the CEO of Globex?" in default_queries(messages)
    assert "Who is the CEO of Acme?" not in default_queries(messages)


@pytest.mark.parametrize("told", ["Observation: Bob", "Observation: Error: could not parse output"])
def test_what_a_tool_has_told_an_agent_is_no_question(told):
    step = AIMessage("Thought: I look it up.\nAction: search\nAction Input: {}")
    turns = [HumanMessage(ASKED), step, HumanMessage(told)]
    assert default_queries(turns) == [ASKED]
    assert default_queries([*turns, step, HumanMessage(told)]) == [ASKED]


def test_question_that_stands_alone_is_searched_alone():
    turns = [HumanMessage("Who runs Acme?"), AIMessage("Bob."), HumanMessage("Who runs Globex?")]
    assert default_queries(turns) == ["Who runs Globex?"]


def test_long_earlier_answer_is_cut():
    turns = [HumanMessage("Hi?"), AIMessage("word " * 500), HumanMessage("Why?")]
    assert max(len(q.split()) for q in default_queries(turns)) < 40


def test_question_is_the_same_at_every_step_of_a_tool_loop():
    turns = [
        HumanMessage("Who runs Acme?"),
        AIMessage("", tool_calls=[{"name": "t", "args": {}, "id": "1"}]),
        ToolMessage("Bob", tool_call_id="1"),
    ]
    assert default_queries(turns) == default_queries(turns[:1]) == ["Who runs Acme?"]


def test_text_blocks_of_a_multimodal_message_are_searched():
    message = HumanMessage(
        [{"type": "image", "url": "u"}, {"type": "text", "text": "Who runs this?"}]
    )
    assert default_queries([message]) == ["Who runs this?"]


@pytest.mark.parametrize("messages", [[], [SystemMessage("s")], [HumanMessage([])]])
def test_nobody_asking_means_no_search(messages):
    assert default_queries(messages) == []


@pytest.mark.parametrize(
    "prompt",
    [
        "<context>\nIt asks. Question: Who left?\n</context>\n\nWho runs Acme?",
        "# Context\nBob runs Acme.\n\n# Question\nWho runs Acme?\n\n# Answer\n",
        "Context: Bob runs it.\nQ: old?\nA: yes\n\nQ: Who runs Acme?\nA:",
    ],
)
def test_questions_in_documents_and_headings_of_answers_are_left_out(prompt: str) -> None:
    assert questions_in(prompt) == ["Who runs Acme?"]


@pytest.mark.parametrize("opening", ["<context>", "<question>", "<context ", "<docs><context>"])
def test_tags_that_are_never_closed_take_no_time(opening: str) -> None:
    began = time.process_time()
    questions_in(opening * 20_000)
    assert time.process_time() - began < 5  # quadratic patterns took minutes


def test_a_long_line_of_dashes_takes_no_time() -> None:
    began = time.process_time()
    questions_in("-" * 5_000 + "\n" + "Bob runs Acme. " * 5_000)
    assert time.process_time() - began < 5


STALE_PAGE = '{"page": 3, "content": "Bob Roe runs Acme. Is he old? Yes."}'
PAIR = "Q: Who founded Globex?\nA: Scorpio."


@pytest.mark.parametrize(
    "prompt",
    [
        f"Context:\n{STALE_PAGE}\n\nQuestion: {ASKED}",
        f"Question: {ASKED}\n\nContext:\n{STALE_PAGE}",
        f"Use the documents.\n{STALE_PAGE}\n{STALE_PAGE}\n\n{ASKED}",
        f"{ASKED}\n\n{STALE_PAGE}",
        f'Context:\n{{"question": "Who founded Globex?", "tags": []}}\n\nQuestion: {ASKED}',
        f'Context:\n{{"question": "Who founded Globex?", "tags": []}}\n\n{ASKED}',
        f'Be brief.\n{{"question": "Who founded Globex?", "answer": "Scorpio"}}\n\n{ASKED}',
    ],
)
def test_a_json_document_is_never_the_question(prompt: str) -> None:
    assert questions_in(prompt) == [ASKED]


@pytest.mark.parametrize(
    "prompt",
    [
        f'{{"page": 3, "question": "{ASKED}", "context": "Is he old?"}}',
        f'[{{"role": "system", "content": "Hi?"}}, {{"role": "user", "content": "{ASKED}"}}]',
        f'Answer this.\n{{"messages": [{{"role": "user", "content": "{ASKED}"}}]}}',
        f'Answer in JSON.\n{{"user_query": "{ASKED}"}}',
        f'Input: {{"question": "{ASKED}"}}',
    ],
)
def test_json_that_is_the_prompt_gives_its_question(prompt: str) -> None:
    assert questions_in(prompt) == [ASKED]


@pytest.mark.parametrize(
    "prompt",
    [
        f"Context:\n{PAIR}\n\n{ASKED}",
        f"Context:\n{PAIR}\n{ASKED}",
        f"Context:\n{PAIR}\n\n{ASKED}\n\nReply in one word.",
        f"Context:\n{PAIR}\n\n{ASKED}\nAnswer:",
        f"Question: {ASKED}\n\nContext:\n{PAIR}",
        f"{PAIR}\n\nQ: {ASKED}\nA:",
        f"{PAIR}\n\nQ: {ASKED}\nA: Let's think step by step.",
    ],
)
def test_a_question_that_the_prompt_answers_gives_way_to_one_that_it_does_not(prompt: str) -> None:
    assert questions_in(prompt) == [ASKED]


@pytest.mark.parametrize(
    "prompt",
    [
        f'Answer the question delimited by triple quotes.\n\n"""\n{ASKED}\n"""',
        f"Answer the question delimited by triple quotes.\n\n'''{ASKED}'''",
        f'Answer the question in triple quotes: """{ASKED}"""',
        f'Answer the question: """\n{ASKED}\n"""',
        f"```\n{ASKED}\n```\nReply in one word.",
        f"Question:\n```\n{ASKED}\n```",
        f"```\n{ASKED}\n```",
    ],
)
def test_a_fenced_question_is_found(prompt: str) -> None:
    assert questions_in(prompt) == [ASKED]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (f"{ASKED}\n```python\nif x: raise Why?\n```", ASKED),
        (f"```\nBob Roe runs Acme. Is he old?\n```\n{ASKED}", ASKED),
        (f"{ASKED}\n\n```\nIs Bob Roe old?\n```", ASKED),
        (f"```\nQuestion: Who founded Globex?\n```\n{ASKED}", ASKED),
        ("Optimise this query.\n```sql\nSELECT 1\n```", "Optimise this query."),
        ("Sum this up.\n```\nBob Roe runs Acme. Is he old?\n```", "Sum this up."),
        ("What does ```lte``` mean?", "What does ```lte``` mean?"),
    ],
)
def test_fenced_code_and_documents_are_not_the_question(prompt: str, expected: str) -> None:
    assert questions_in(prompt) == [expected]


def test_a_question_inside_a_tagged_document_is_left_out() -> None:
    prompt = f"<context>\n<question>Is he old?</question>\n</context>\n\n{ASKED}"
    assert questions_in(prompt) == [ASKED]


@pytest.mark.parametrize(
    "part",
    [
        *(
            "[1,\n",
            "{\n",
            '{"a":\n',
            '["a\n',
            '{"a": 1}\n',
            "```\n",
            ' """ ',
            "---\n",
            "-",
            "the\n",
        ),
        *(". ", " ", "\n", "Q: x\nA: y\n", "# Question\n\n", "\na a a ", "question*", "<question>"),
    ],
)
def test_a_prompt_of_a_megabyte_takes_no_time(part: str) -> None:
    began = time.process_time()
    questions_in(f"x\n{part * (1_000_000 // len(part))}\n{ASKED}")
    assert time.process_time() - began < 2  # what is tried again at every line took hours
