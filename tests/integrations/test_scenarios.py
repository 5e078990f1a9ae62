"""One table of scenarios, through every way in: the same edits, the same answers.

A scenario is a row; a way in is a class (`tests/integrations/ways`). Each pair
is held against the direct call of an `EditableLLM` over a memory of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice

import pytest

from lte_chains.edit import Edit
from lte_chains.prompts import knowledge_editing_prompt
from tests.integrations.ways.all_ways import WAYS, direct, fresh_retriever
from tests.integrations.ways.base import Ask, Told, Way
from tests.integrations.ways.readers import STEPS, UNKNOWN

# FunctionAgent asks for pydantic's old names while it looks for its steps.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20:inspect"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211:inspect"),
]

BOSS = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme", relation="CEO")
NEXT = Edit(prompt="The CEO of Acme is", target_new="John Roe", subject="Acme", relation="CEO")
SEAT = Edit(prompt="The seat of Acme is", target_new="Lisbon", subject="Acme", relation="seat")

WHO = Ask("Who is the CEO of Acme?")
REPHRASED = Ask("Tell me: which person leads Acme?")
UNRELATED = Ask("Which river flows through Lyon?")
BOTH = Ask("Who is the CEO of Acme, and where is its seat?")
STALE = Ask(WHO.question, document="Bob Roe has been the CEO of Acme since 2019.")
SAW = Ask(WHO.question, image=True)

Asking = Callable[[Way, Sequence[Ask]], list[Told]]


@dataclass(frozen=True)
class Retract:
    """A step that withdraws what an earlier step added."""

    step: int


@dataclass(frozen=True)
class Scenario:
    name: str
    asks: tuple[Ask, ...]
    edits: tuple[Edit | Retract, ...] = (BOSS, SEAT)
    used: tuple[tuple[Edit, ...], ...] = ((BOSS,),)
    """Which edits each turn depends on."""
    answers: tuple[str, ...] = ("Jane Doe",)
    asking: str = "one by one"
    needs: str | None = None
    """What a way must have a form of."""
    calls: int = 1
    """Calls of the model for each turn."""


MANY = (WHO, UNRELATED, BOTH, REPHRASED)
MANY_USED = ((BOSS,), (), (BOSS, SEAT), (BOSS,))
MANY_ANSWERS = ("Jane Doe", UNKNOWN, "Jane Doe and Lisbon", "Jane Doe")


def many(name: str, count: int, asking: str) -> Scenario:
    """Return a scenario of `count` conversations, of four kinds in turn."""
    asks, used, answers = (
        tuple(islice(cycle(each), count)) for each in (MANY, MANY_USED, MANY_ANSWERS)
    )
    return Scenario(name, asks, used=used, answers=answers, asking=asking)


SCENARIOS = [
    Scenario("direct", (WHO,)),
    Scenario("rephrased", (REPHRASED,)),
    Scenario("unrelated", (UNRELATED,), used=((),), answers=(UNKNOWN,)),
    Scenario("superseded", (WHO,), edits=(BOSS, NEXT), used=((NEXT,),), answers=("John Roe",)),
    Scenario("retracted", (WHO,), edits=(BOSS, Retract(0)), used=((),), answers=(UNKNOWN,)),
    Scenario("two edits at once", (BOTH,), used=((BOSS, SEAT),), answers=("Jane Doe and Lisbon",)),
    Scenario("stale document", (STALE,)),
    Scenario("stale document, retracted", (STALE,), (BOSS, Retract(0)), ((),), ("Bob Roe",)),
    Scenario("tool loop of three steps", (WHO,), needs="tools", calls=STEPS + 1),
    Scenario(
        "follow-up in a conversation",
        (WHO, Ask("And now?")),
        used=((BOSS,), (BOSS,)),
        answers=("Jane Doe", "Jane Doe"),
        needs="conversation",
    ),
    Scenario("multimodal message", (SAW,), needs="image"),
    Scenario("streaming", (WHO,), asking="streaming"),
    Scenario("streaming, unrelated", (UNRELATED,), (BOSS,), ((),), (UNKNOWN,), "streaming"),
    Scenario("async", (WHO,), asking="async"),
    many("batch of 20", 20, "batch"),
    many("50 at once", 50, "at once"),
]

ASKING: dict[str, Asking] = {
    "one by one": lambda way, asks: [way.ask(ask) for ask in asks],
    "streaming": lambda way, asks: [way.stream(ask) for ask in asks],
    "async": lambda way, asks: way.at_once(asks),
    "batch": lambda way, asks: way.batch(asks),
    "at once": lambda way, asks: way.at_once(asks),
}

INAPPLICABLE = {
    ("tool loop of three steps", "LlamaIndex query engine"),
    ("follow-up in a conversation", "LlamaIndex query engine"),
    ("multimodal message", "LlamaIndex query engine"),
}
"""A query engine takes one text and calls no tools."""

PAIRS = [
    pytest.param(scenario, way, id=f"{scenario.name}-{way.name}")
    for scenario in SCENARIOS
    for way in WAYS
    if scenario.needs not in way.lacks
]


def edited(way: Way, scenario: Scenario) -> Way:
    """Write the scenario's edits, as this way writes them."""
    ids: list[str] = []
    for step in scenario.edits:
        if isinstance(step, Retract):
            way.retract(ids[step.step])
        else:
            ids.append(way.add(step))
    return way


def used_by(way: Way, told: Told) -> list[tuple[str, float]]:
    """Return the texts and scores of the edits that a turn got."""
    found = way.memory.get_edits([edit["id"] for edit in told.edits])
    return [(e.descriptor, d["score"]) for e, d in zip(found, told.edits, strict=True)]


@pytest.mark.parametrize(("scenario", "kind"), PAIRS)
def test_every_way_in_uses_the_same_edits_and_gives_the_same_answer(
    scenario: Scenario, kind: type[Way]
) -> None:
    build = partial(direct, tools=scenario.needs == "tools")
    reference = edited(build(), scenario)
    way = edited(kind(fresh_retriever(), tools=scenario.needs == "tools"), scenario)
    expected = ASKING[scenario.asking](reference, scenario.asks)
    told = ASKING[scenario.asking](way, scenario.asks)

    assert tuple(each.answer for each in told) == scenario.answers
    assert [each.answer for each in told] == [each.answer for each in expected]
    texts = [[text for text, _ in used_by(way, each)] for each in told]
    assert texts == [[edit.descriptor for edit in edits] for edits in scenario.used]
    assert [used_by(way, t) for t in told] == [used_by(reference, t) for t in expected]
    assert_read_once(way, scenario)
    assert_saved_as_asked(way, scenario)


def assert_read_once(way: Way, scenario: Scenario) -> None:
    """Check that the model was called once a turn, with the prompt and no more."""
    wanted = []
    for ask, edits in zip(scenario.asks, scenario.used, strict=True):
        text = ask.question if way.templated else ask.text
        prompt = knowledge_editing_prompt(text, [edit.descriptor for edit in edits])
        wanted += [prompt] * scenario.calls
    read = way.read()
    assert len(read) == len(wanted)
    if way.templated:
        assert all(any(prompt in text for text in read) for prompt in wanted)
        edited_turns = sum(bool(edits) for edits in scenario.used)
        assert sum(text.count("[Updated Information]:") for text in read) == edited_turns
    else:
        assert sorted(read) == sorted(wanted)
    images = [ask.image for ask in scenario.asks for _ in range(scenario.calls)]
    assert sorted(way.images_read()) == sorted(images)


def assert_saved_as_asked(way: Way, scenario: Scenario) -> None:
    """Check that what the app saves holds the questions, and nothing edited."""
    saved = way.saved()
    assert "Updated Information" not in saved
    assert all(ask.question in saved for ask in scenario.asks) or not way.saves


def test_only_what_a_query_engine_cannot_do_is_left_out() -> None:
    left_out = {(s.name, w.name) for s in SCENARIOS for w in WAYS if s.needs in w.lacks}
    assert left_out == INAPPLICABLE
