"""What is written can be trained on, read again, and understood."""

from __future__ import annotations

import json

import pytest

from lte_chains.errors import ConfigError, DataError
from lte_chains.prompts import knowledge_editing_prompt
from lte_chains.training.parallel import (
    ParallelConfig,
    ParallelData,
    ParallelRow,
    SourceFile,
    read_source,
    write_data,
)


def row(variant, facts, answer, **fields):
    return ParallelRow(
        source="firms",
        kind="rewrite",
        scope="in",
        variant=variant,
        question="Who runs Acme?",
        facts=facts,
        answer=answer,
        **fields,
    )


FACTS = ("The CEO of Globex is Hank", "The CEO of Acme is Jane")
DATA = ParallelData(
    train=(row("edited", FACTS, "Jane", own_places=(1,)), row("unedited", (), "Joe")),
    dev=(),
    config=ParallelConfig(),
)
PROMPT = knowledge_editing_prompt("Who runs Acme?", FACTS)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_messages_are_conversations_of_two_turns(tmp_path):
    write_data(DATA, tmp_path)
    edited, unedited = lines(tmp_path / "train.jsonl")
    assert edited["messages"] == [
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "content": "Jane"},
    ]
    assert unedited["messages"][0]["content"] == "Who runs Acme?"
    assert (edited["kind"], edited["variant"]) == ("rewrite", "edited")
    assert not (tmp_path / "dev.jsonl").exists()


def test_prompts_and_completions_stand_apart_if_asked_for(tmp_path):
    write_data(DATA, tmp_path, layout="prompt_completion")
    edited, _ = lines(tmp_path / "train.jsonl")
    assert edited["prompt"] == [{"role": "user", "content": PROMPT}]
    assert edited["completion"] == [{"role": "assistant", "content": "Jane"}]


def test_the_layout_of_lte_is_what_its_reader_reads(tmp_path):
    write_data(DATA, tmp_path, layout="lte")
    first = json.loads((tmp_path / "train.json").read_text(encoding="utf-8"))[0]
    assert first["id"] == "identity_0_firms"
    (case,) = read_source(tmp_path / "train.json")
    assert (case.queries[0].answer, case.queries[0].unedited) == ("Jane", "Joe")


def test_statistics_count_rows_places_and_kinds(tmp_path):
    statistics = write_data(DATA, tmp_path)
    assert statistics["train"]["by_kind"] == {"in: rewrite": {"edited": 1, "unedited": 1}}
    assert statistics["train"]["facts"] == {"2": 1}
    assert statistics["train"]["place"] == {"2": 1}
    assert statistics["config"]["seed"] == 0
    assert json.loads((tmp_path / "statistics.json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(statistics)
    )


def test_the_card_names_sources_settings_and_what_was_held_out(tmp_path):
    held_out = SourceFile("zsre|dev.json", "ab12", 652)
    write_data(DATA, tmp_path, sources=[SourceFile("firms.json", "cd34", 40)], held_out=[held_out])
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| firms.json | 40 | cd34 |" in card
    assert "| zsre\\|dev.json | 652 | ab12 |" in card
    assert "| in: rewrite | 1 | 1 | 0 |" in card
    assert "| seed | 0 |" in card


def test_an_unknown_layout_and_an_unwritable_folder_are_errors(tmp_path):
    with pytest.raises(ConfigError, match="unknown layout 'csv'"):
        write_data(DATA, tmp_path, layout="csv")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write training rows"):
        write_data(DATA, tmp_path / "file")
