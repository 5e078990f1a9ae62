"""Training rows: what is read, what is refused, and which tokens bear loss."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lte_chains.errors import DataError, ModelError
from lte_chains.training.alignment.conversations import (
    IGNORED,
    data_files,
    marks_answers,
    read_conversations,
    tokenised,
)
from tests.training.aligned_families import (
    MARKED_TEMPLATE,
    conversations,
    make_tokenizer,
    save_rows,
)


def test_rows_are_read_with_what_identifies_the_file(tmp_path: Path) -> None:
    file = read_conversations(save_rows(tmp_path / "rows.jsonl"))
    assert list(file.conversations) == conversations()
    assert (file.name, len(file.sha256)) == ("rows.jsonl", 64)


def test_prompt_and_completion_rows_are_read_as_conversations(tmp_path: Path) -> None:
    [row] = conversations()[:1]
    line = json.dumps({"prompt": row[:1], "completion": row[1:]})
    (tmp_path / "rows.jsonl").write_text(line, encoding="utf-8")
    assert read_conversations(tmp_path / "rows.jsonl").conversations == (row,)


def test_every_bad_line_is_told(tmp_path: Path) -> None:
    user, answer = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}
    bad = [
        "{",
        "[]",
        json.dumps({"messages": [user]}),
        json.dumps({"messages": [user, {"role": "robot", "content": "y"}]}),
        json.dumps({"messages": [user, {"role": "assistant", "content": " "}]}),
        json.dumps({"messages": [user, answer, user]}),
        json.dumps({"messages": [user, "y"]}),
    ]
    good = json.dumps({"messages": [{"role": "system", "content": "z"}, user, answer]})
    (tmp_path / "rows.jsonl").write_text("\n".join([good, *bad]), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_conversations(tmp_path / "rows.jsonl")
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == [f"- line {n}" for n in range(2, 9)]
    assert "not 'robot'" in lines[3]


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("[]\n" * 12, encoding="utf-8")
    with pytest.raises(DataError, match="and 2 more"):
        read_conversations(tmp_path / "rows.jsonl")


def test_an_empty_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no conversation"):
        read_conversations(tmp_path / "rows.jsonl")
    with pytest.raises(DataError, match=r"train\.jsonl"):
        list(data_files(tmp_path))


def test_a_folder_gives_train_rows_and_dev_rows(tmp_path: Path) -> None:
    save_rows(tmp_path / "train.jsonl")
    assert [path.name for path in data_files(tmp_path)] == ["train.jsonl"]
    save_rows(tmp_path / "dev.jsonl")
    assert [path.name for path in data_files(tmp_path)] == ["train.jsonl", "dev.jsonl"]


def test_rows_that_are_too_long_are_left_out_whole(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = make_tokenizer("llama")
    every = tokenised(conversations(), tokenizer, max_length=400)
    with caplog.at_level(logging.WARNING, logger="lte_chains"):
        kept = tokenised(conversations(), tokenizer, max_length=40)
    assert kept == every[1::2]  # the bare questions
    assert "4 of 8 rows" in caplog.text
    with pytest.raises(DataError, match="max_length=8"):
        tokenised(conversations(), tokenizer, max_length=8)


def test_a_role_that_the_template_refuses_is_told() -> None:
    turns = [{"role": "system", "content": "x"}, *conversations()[0]]
    with pytest.raises(ModelError, match="system, user"):
        tokenised([turns], make_tokenizer("llama"), max_length=400)


@pytest.mark.slow
def test_a_template_that_marks_answers_is_taken_at_its_word() -> None:
    unmarked, marked = make_tokenizer("qwen2"), make_tokenizer("qwen2", MARKED_TEMPLATE)
    assert not marks_answers(unmarked)
    assert marks_answers(marked)
    talk = [*conversations()[0], *conversations()[1]]
    answers = [turn["content"] for turn in talk if turn["role"] == "assistant"]

    def learned(tokenizer: Any) -> str:
        [row] = tokenised([talk], tokenizer, max_length=400)
        return tokenizer.decode([label for label in row["labels"] if label != IGNORED])

    assert all(answer in learned(marked) for answer in answers)
    assert answers[1] in learned(unmarked)
    assert learned(unmarked).count("<|im_end|>") == 1
