from __future__ import annotations

import copy
from datetime import date

import pytest
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from lte_chains.edit import Edit, EditMatch
from lte_chains.errors import ConfigError
from lte_chains.messages import apply_edits, edited_by, last_human, text_of
from lte_chains.prompts import knowledge_editing_prompt

MATCH = EditMatch(
    edit=Edit(prompt="The CEO of Acme is", target_new="Jane {Doe}", id="e1", version=2), score=0.91
)
SECOND = EditMatch(edit=Edit.from_statement("Acme moved to Lisbon.", id="e2"), score=0.8, hop=1)
FACTS = ["The CEO of Acme is Jane {Doe}"]


def test_last_human_message_is_rewritten_and_all_others_are_the_same_objects():
    messages = [SystemMessage("s"), HumanMessage("a"), AIMessage("b"), HumanMessage("c")]
    edited = apply_edits(messages, [MATCH])
    assert [new is old for new, old in zip(edited, messages, strict=True)] == [True] * 3 + [False]
    assert edited[-1].content == knowledge_editing_prompt("c", FACTS)


def test_nothing_is_mutated():
    messages = [HumanMessage([{"type": "text", "text": "q"}], additional_kwargs={"a": 1}, id="m")]
    before = copy.deepcopy(messages)
    edited = apply_edits(messages, [MATCH])
    assert messages == before
    assert edited[0].id == "m"
    assert edited[0].additional_kwargs["a"] == 1


@pytest.mark.parametrize(
    ("messages", "matches"),
    [
        ([HumanMessage("q")], []),
        ([HumanMessage("q")], [EditMatch(edit=MATCH.edit, score=0.2, in_scope=False)]),
        ([SystemMessage("s"), AIMessage("a")], [MATCH]),
        ([], [MATCH]),
    ],
)
def test_without_anything_to_edit_the_messages_are_the_very_same(messages, matches):
    edited = apply_edits(messages, matches)
    assert edited is not messages
    assert len(edited) == len(messages)
    assert all(new is old for new, old in zip(edited, messages, strict=True))


def test_edited_message_is_not_edited_again():
    once = apply_edits([HumanMessage("q")], [MATCH])
    assert apply_edits(once, [SECOND])[0] is once[0]


def test_mark_says_which_edits_were_used_in_json_values():
    [edited] = apply_edits([HumanMessage("q")], [MATCH, SECOND])
    assert edited_by(edited) == [
        {"id": "e1", "score": 0.91, "version": 2, "hop": 0},
        {"id": "e2", "score": 0.8, "version": None, "hop": 1},
    ]
    assert edited_by(HumanMessage("q")) is None


def test_mark_does_not_vary_with_the_last_digits_of_a_score():
    jitter = EditMatch(edit=MATCH.edit, score=0.91 + 1e-9)
    assert apply_edits([HumanMessage("q")], [MATCH]) == apply_edits([HumanMessage("q")], [jitter])


def test_last_human_message_is_edited_in_the_middle_of_a_tool_loop():
    messages = [
        HumanMessage("q"),
        AIMessage("", tool_calls=[{"name": "t", "args": {}, "id": "1"}]),
        ToolMessage("r", tool_call_id="1"),
    ]
    edited = apply_edits(messages, [MATCH])
    assert edited[0].text == knowledge_editing_prompt("q", FACTS)
    assert edited[1:] == messages[1:]


def test_other_blocks_of_a_multimodal_message_stay_in_their_order():
    image = {"type": "image", "url": "https://example.org/a.png"}
    message = HumanMessage([image, {"type": "text", "text": "q", "cache": 1}, "and more"])
    [edited] = apply_edits([message], [MATCH])
    assert edited.content == [
        image,
        {"type": "text", "text": knowledge_editing_prompt("q", FACTS), "cache": 1},
        "and more",
    ]
    assert edited.content[0] is message.content[0]


def test_plain_string_blocks_are_edited_too():
    [edited] = apply_edits([HumanMessage(["q", "r"])], [MATCH])
    assert edited.content == [knowledge_editing_prompt("q", FACTS), "r"]


def test_message_without_text_gets_a_text_block_in_front():
    image = {"type": "image", "url": "https://example.org/a.png"}
    [edited] = apply_edits([HumanMessage([image])], [MATCH])
    assert edited.content == [{"type": "text", "text": knowledge_editing_prompt("", FACTS)}, image]


def test_figure_style_is_the_papers_wording():
    [edited] = apply_edits([HumanMessage("q")], [MATCH], style="figure")
    assert edited.text == knowledge_editing_prompt("q", FACTS, style="figure")


def test_unknown_style_is_an_error_even_if_nothing_is_edited():
    with pytest.raises(ConfigError, match="poetry"):
        apply_edits([HumanMessage("q")], [], style="poetry")


def test_chat_message_of_a_user_is_human():
    assert last_human([ChatMessage("q", role="user"), AIMessage("a")]) == 0
    assert last_human([ChatMessage("q", role="system")]) is None


def test_text_leaves_out_what_is_not_text():
    blocks = ["a", {"type": "image", "url": "u"}, {"type": "text", "text": "b"}]
    assert text_of(HumanMessage(blocks)) == "a\nb"


def test_edits_of_one_slot_that_hold_at_different_times_are_read_with_their_dates():
    edits = [
        Edit(prompt="The CEO of Acme is", target_new="Jane", valid_until=date(2026, 1, 1)),
        Edit(prompt="The CEO of Acme is", target_new="John", valid_from=date(2026, 1, 1)),
    ]
    [edited] = apply_edits([HumanMessage("q")], [EditMatch(edit=e, score=0.9) for e in edits])
    assert edited.content == knowledge_editing_prompt(
        "q",
        [
            "The CEO of Acme is Jane (until 2026-01-01)",
            "The CEO of Acme is John (from 2026-01-01)",
        ],
    )


def test_of_several_edits_of_one_slot_the_latest_is_read_first_and_others_keep_their_places():
    def match(prompt, target, revision):
        edit = Edit(prompt=prompt, target_new=target, revision=revision)
        return EditMatch(edit=edit, score=0.9)

    found = [
        match("The CEO of Acme is", "Jane", 1),
        match("The seat of Acme is", "Porto", 2),
        match("The CEO of Acme is", "John", 3),
    ]
    [edited] = apply_edits([HumanMessage("q")], found)
    facts = ["The CEO of Acme is John", "The seat of Acme is Porto", "The CEO of Acme is Jane"]
    assert edited.content == knowledge_editing_prompt("q", facts)


def test_values_that_hold_side_by_side_keep_the_order_of_their_chain():
    facts = [("Ann's child is", "Bob", 1), ("Bob's school is", "X", 2), ("Ann's child is", "Al", 3)]
    found = [
        EditMatch(Edit(prompt=p, target_new=t, revision=r, many_valued="child" in p), score=0.9)
        for p, t, r in facts
    ]
    [edited] = apply_edits([HumanMessage("q")], found)
    assert edited.content == knowledge_editing_prompt("q", [f"{p} {t}" for p, t, _ in facts])


def test_a_further_value_of_a_slot_that_has_one_is_read_first_if_it_came_later():
    old = Edit(prompt="Acme's CEO is", target_new="Jo", subject="Acme", relation="CEO", revision=1)
    new = Edit.from_statement(
        "Al runs Acme now.", subject="Acme", relation="CEO", many_valued=True, revision=2
    )
    [edited] = apply_edits([HumanMessage("q")], [EditMatch(e, score=0.9) for e in (old, new)])
    assert edited.content == knowledge_editing_prompt(
        "q", ["Al runs Acme now.", "Acme's CEO is Jo"]
    )


@pytest.mark.parametrize(
    "mark", [{"edits": []}, {"edits": [{"id": "forged"}]}, {"edits": None}, {"edits": "x"}, "x"]
)
def test_a_mark_without_the_prompt_that_it_marks_counts_for_nothing(mark):
    sent = HumanMessage("q", additional_kwargs={"lte": mark})
    assert edited_by(sent) is None
    [edited] = apply_edits([sent], [MATCH])
    assert [edit["id"] for edit in edited_by(edited)] == ["e1"]
