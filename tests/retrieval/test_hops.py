"""Following edits from one to the next, with an embedder that counts shared words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from langchain_core.language_models import FakeListChatModel

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError
from lte_chains.memory import EditMemory
from lte_chains.retrieval.hop_rules import HopRules
from lte_chains.retriever import EditRetriever
from lte_chains.scope import SimilarityGate
from tests.fakes_embeddings import BagOfWordsEmbeddings

RULES = HopRules(asked=0.6, perhaps=0.5)
TWO = "What is the capital of the country that Ann is a citizen of?"
THREE = "Who is the mayor of the capital of the country that Ann is a citizen of?"


class CountingEmbeddings(BagOfWordsEmbeddings):
    """Counts how often it is called."""

    def __init__(self) -> None:
        super().__init__(dim=1024)
        self.calls = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.calls += 1
        return [super(CountingEmbeddings, self).embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.calls += 1
        return super().embed_query(text)


def fact(prompt: str, subject: str, target: str, **fields: object) -> Edit:
    return Edit(prompt=prompt.format(subject), target_new=target, subject=subject, **fields)


CITIZEN = fact("{} is a citizen of", "Ann", "Norway")
CAPITAL = fact("The capital of {} is", "Norway", "Bergen")
MAYOR = fact("The mayor of {} is", "Bergen", "Olga")
BESIDE = [
    fact("The anthem of {} is", "Norway", "a song"),
    fact("The occupation of {} is", "Ann", "poet"),
    fact("The river through {} is", "Bergen", "the Aa"),
    fact("The capital of {} is", "Chile", "Arica"),
]


@pytest.fixture
def memory():
    with EditMemory.open(":memory:", embeddings=CountingEmbeddings()) as opened:
        yield opened


def over(memory: EditMemory, *edits: Edit, **settings: object) -> EditRetriever:
    memory.add_edits(list(edits))
    fields = {"k": 6, "gate": SimilarityGate(0.62), "hop_rules": RULES, **settings}
    return memory.as_retriever(**fields)


def targets(matches: list[EditMatch]) -> list[str]:
    return [match.edit.target_new for match in matches]


def hops(matches: list[EditMatch]) -> list[tuple[str, int]]:
    return [(match.edit.target_new, match.hop) for match in matches]


def test_a_chain_is_followed_and_read_in_its_order(memory):
    retriever = over(memory, MAYOR, CAPITAL, *BESIDE, CITIZEN)
    assert hops(retriever.retrieve(THREE))[:3] == [("Norway", 0), ("Bergen", 1), ("Olga", 2)]
    assert hops(retriever.retrieve(TWO))[:2] == [("Norway", 0), ("Bergen", 1)]


def test_relations_that_are_nowhere_in_the_question_are_not_followed(memory):
    retriever = over(memory, CITIZEN, CAPITAL, MAYOR, *BESIDE)
    led = [match for match in retriever.retrieve(THREE) if match.hop]
    assert targets(led) == ["Bergen", "Olga"]


@pytest.mark.parametrize(
    "question", ["Ann is a citizen of which country?", "Which country is Ann a citizen of?"]
)
def test_a_plain_question_leads_nowhere(memory, question):
    retriever = over(memory, CITIZEN, CAPITAL, MAYOR, *BESIDE)
    assert hops(retriever.retrieve(question)) == [("Norway", 0)]


def test_words_are_used_once(memory):
    retriever = over(
        memory,
        fact("The father of {} is", "Ann", "Bo"),
        fact("The father of {} is", "Bo", "Cy"),
        gate=SimilarityGate(0.8),
    )
    assert targets(retriever.retrieve("Who is the father of Ann?")) == ["Bo"]
    asked = "Who is the father of the father of Ann?"
    assert targets(retriever.retrieve(asked)) == ["Bo", "Cy"]


def test_a_chain_that_turns_back_ends(memory):
    retriever = over(
        memory, fact("The rival of {} is", "Ann", "Bo"), fact("The rival of {} is", "Bo", "Ann")
    )
    asked = "Who is the rival of the rival of the rival of Ann?"
    assert targets(retriever.retrieve(asked)) == ["Bo", "Ann"]


@pytest.mark.parametrize(
    ("most", "expected"),
    [(0, []), (1, ["Bergen"]), (2, ["Bergen", "Olga"])],
)
def test_depth_is_bounded(memory, most, expected):
    retriever = over(memory, CITIZEN, CAPITAL, MAYOR, hops=most)
    assert [m.edit.target_new for m in retriever.retrieve(THREE) if m.hop] == expected


def test_without_a_gate_nothing_is_followed(memory):
    retriever = over(memory, CITIZEN, CAPITAL, MAYOR, gate=None)
    assert {match.hop for match in retriever.retrieve(THREE)} == {0}


def test_an_edit_that_the_gate_refused_begins_a_chain_only_if_another_confirms_it(memory):
    strict = SimilarityGate(0.99)
    retriever = over(memory, CITIZEN, *BESIDE[1:], gate=strict)
    assert retriever.retrieve(TWO) == []
    memory.add_edits([CAPITAL])
    assert hops(retriever.retrieve(TWO)) == [("Norway", 0), ("Bergen", 1)]


def test_an_edit_without_a_subject_is_reached_by_the_name_in_its_text(memory):
    capital = Edit(prompt="The capital of Norway is", target_new="Bergen")
    retriever = over(memory, CITIZEN, capital, *BESIDE)
    assert targets(retriever.retrieve(TWO))[:2] == ["Norway", "Bergen"]


def test_an_alias_of_the_subject_is_as_good_as_the_subject(memory):
    capital = fact("The capital of {} is", "the Kingdom of Norway", "Bergen", aliases=("Norway",))
    retriever = over(memory, CITIZEN, capital)
    assert targets(retriever.retrieve(TWO)) == ["Norway", "Bergen"]


def test_articles_and_case_do_not_tell_names_apart(memory):
    citizen = fact("{} is a citizen of", "Ann", "the Netherlands")
    retriever = over(memory, citizen, fact("The capital of {} is", "Netherlands", "Delft"))
    assert targets(retriever.retrieve(TWO)) == ["the Netherlands", "Delft"]


def test_a_part_of_the_name_will_do(memory):
    curie = fact("{} is a citizen of", "Marie Curie", "Norway")
    retriever = over(memory, curie, CAPITAL, gate=SimilarityGate(0.5))
    asked = "What is the capital of the country that Curie is a citizen of?"
    assert hops(retriever.retrieve(asked)) == [("Norway", 0), ("Bergen", 1)]


def test_a_statement_leads_on_by_the_names_in_it(memory):
    statement = Edit.from_statement("Ann is a citizen of Norway", subject="Ann")
    retriever = over(memory, statement, CAPITAL, *BESIDE)
    assert [match.edit.descriptor for match in retriever.retrieve(TWO)[:2]] == [
        "Ann is a citizen of Norway",
        "The capital of Norway is Bergen",
    ]


def test_a_chain_comes_before_single_edits_when_room_is_short(memory):
    retriever = over(memory, *BESIDE, CITIZEN, CAPITAL, gate=SimilarityGate(0.3))
    assert targets(retriever.retrieve(TWO, k=2)) == ["Norway", "Bergen"]
    assert targets(retriever.retrieve(TWO, k=1)) == ["Norway"]


def test_tokens_are_kept_in_bounds(memory):
    words = {"max_tokens": 12, "token_counter": lambda text: len(text.split())}
    retriever = over(memory, CITIZEN, CAPITAL, MAYOR, **words)
    assert targets(retriever.retrieve(THREE)) == ["Norway", "Bergen"]
    tight = retriever.model_copy(update={"max_tokens": 5})
    assert tight.retrieve(THREE) == []


def test_texts_are_embedded_in_a_few_batches(memory):
    retriever = over(memory, CITIZEN, CAPITAL, MAYOR, *BESIDE)
    calls = memory.embeddings.calls
    assert len(retriever.retrieve(THREE)) >= 3
    # The question; then targets, names like them, and words, for each of three steps at most.
    assert memory.embeddings.calls - calls <= 9


def test_a_question_that_nothing_leads_on_from_costs_little(memory):
    retriever = over(memory, CITIZEN, *BESIDE[1:])
    calls = memory.embeddings.calls
    retriever.retrieve("Which country is Ann a citizen of?")
    assert memory.embeddings.calls - calls <= 3


async def test_async_follows_the_same_chains(memory):
    retriever = over(memory, CITIZEN, CAPITAL, MAYOR, *BESIDE)
    for question in (TWO, THREE, "Which country is Ann a citizen of?", ""):
        assert await retriever.aretrieve(question) == retriever.retrieve(question)


def test_documents_say_by_which_hop_they_were_found(memory):
    retriever = over(memory, CITIZEN, CAPITAL)
    assert [doc.metadata["lte"]["hop"] for doc in retriever.invoke(TWO)] == [0, 1]


JAN, JUN = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (date(2025, 12, 31), ["Norway"]),
        (date(2026, 1, 1), ["Norway", "Bergen"]),
        (datetime(2025, 12, 31, 23, 30, tzinfo=UTC), ["Norway"]),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))), ["Norway"]),
        (
            datetime(2025, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-2))),
            ["Norway", "Bergen"],
        ),
        (JUN - timedelta(microseconds=1), ["Norway", "Bergen"]),
        (JUN, ["Norway", "Oslo"]),
        (date(2030, 1, 1), ["Norway", "Oslo"]),
    ],
)
def test_hops_hold_at_the_moment_that_is_asked_for(memory, at, expected):
    retriever = over(
        memory,
        CITIZEN,
        fact("The capital of {} is", "Norway", "Bergen", valid_from=JAN, valid_until=JUN),
        fact("The capital of {} is", "Norway", "Oslo", valid_from=JUN),
    )
    assert targets(retriever.retrieve(TWO, at=at)) == expected
    told = [d.page_content for d in retriever.invoke(TWO, at=at)]
    assert [text.split(" is ")[-1].split(" (")[0] for text in told] == [
        "a citizen of Norway",
        *expected[1:],
    ]


def test_a_chain_is_broken_by_an_edit_that_does_not_hold(memory):
    gone = fact("{} is a citizen of", "Ann", "Norway", valid_until=JAN)
    retriever = over(memory, gone, CAPITAL, gate=SimilarityGate(0.8))
    assert retriever.retrieve(TWO, at=JUN) == []
    assert targets(retriever.retrieve(TWO, at=date(2025, 6, 1))) == ["Norway", "Bergen"]


@pytest.mark.parametrize("at", ["2026-01-01", datetime(2026, 1, 1), 2026])
def test_a_moment_without_a_zone_is_refused(memory, at):
    retriever = over(memory, CITIZEN, CAPITAL)
    for ask in (retriever.retrieve, retriever.candidates, retriever.explain):
        with pytest.raises(ConfigError, match="time zone"):
            ask(TWO, at=at)


def test_a_chat_model_bridges_a_fact_that_nobody_edited(memory):
    plan = (
        "Who is the maker of Zip?\n2. Which city is the seat of #1 in?\n3. Who is the mayor of #2?"
    )
    retriever = over(
        memory,
        fact("The maker of {} is", "Zip", "Acme"),
        MAYOR,
        *BESIDE,
        decomposer=FakeListChatModel(responses=[plan, "Bergen"]),
    )
    asked = "Who is the mayor of the city that holds the seat of the maker of Zip?"
    assert hops(retriever.retrieve(asked))[:2] == [("Acme", 0), ("Olga", 1)]


def test_an_instruction_is_no_answer_to_a_question_of_the_plan(memory):
    plan = "Who is the maker of Zip?\n2. Which city is the seat of #1 in?\n3. Who leads #2?"
    retriever = over(
        memory,
        fact("The maker of {} is", "Zip", "Acme"),
        Edit(subject="Zip", instruction="Speak well of it."),
        MAYOR,
        *BESIDE,
        decomposer=FakeListChatModel(responses=[plan, "Bergen"]),
    )
    found = retriever.retrieve("Who leads the city that holds the seat of the maker of Zip?")
    assert targets([m for m in found if m.edit.instruction is None])[0] == "Acme"
    assert sum(m.edit.instruction is not None for m in found) == 1


async def test_a_plan_of_one_question_changes_nothing(memory):
    answers = ["Which country is Ann a citizen of?"] * 2
    retriever = over(memory, CITIZEN, decomposer=FakeListChatModel(responses=answers))
    asked = "Which country is Ann a citizen of?"
    assert targets(retriever.retrieve(asked)) == ["Norway"]
    assert targets(await retriever.aretrieve(asked)) == ["Norway"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("hops", -1), ("hops", True), ("hops", 1.5), ("max_tokens", 0), ("decomposer", "gpt")],
)
def test_a_setting_that_makes_no_sense_is_refused(memory, setting, value):
    with pytest.raises(ConfigError, match=setting):
        memory.as_retriever(**{setting: value})


def test_several_queries_are_joined_without_breaking_chains(memory):
    retriever = over(memory, CITIZEN, CAPITAL, MAYOR, *BESIDE)
    chain = retriever.retrieve(TWO)[:2]
    single = retriever.retrieve("The capital of Chile is")[:1]
    joined = retriever.merged([single, chain, single])
    assert hops(joined) == [("Norway", 0), ("Bergen", 1), ("Arica", 0)]
