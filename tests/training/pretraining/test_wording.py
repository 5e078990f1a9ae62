"""Readers that turn editing data sets into wordings with `{s}` for the subject."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from lte_chains.errors import DataError
from lte_chains.training.pretraining.wording import fact_wordings, own_wordings, read_wordings


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_own_forms_all_have_the_subject_in_them() -> None:
    forms = [form for wording in own_wordings() for form in wording.prompts]
    forms += [form for several in fact_wordings().values() for form in several]
    assert [form for form in forms if form.count("{s}") != 1] == []


def test_knowedit_rows_keep_subject_and_target(tmp_path: Path) -> None:
    row = {
        "prompt": "Who wrote Emma?",
        "subject": "Emma",
        "target_new": "Ann Lee",
        "rephrase_prompt": "Emma was by whom?",
    }
    [wording] = read_wordings(_write(tmp_path / "rows.json", [row]))
    assert wording.prompts == ("Who wrote {s}?",)
    assert wording.questions == ("Who wrote {s}?", "{s} was by whom?")
    assert (wording.subject, wording.target) == ("Emma", "Ann Lee")


def test_a_row_whose_prompt_lacks_the_subject_is_left_out(tmp_path: Path) -> None:
    row = {"prompt": "Who wrote it?", "subject": "Emma", "target_new": "Ann Lee"}
    assert read_wordings(_write(tmp_path / "rows.json", [row])) == []


def test_statements_are_split_by_what_recurs_with_other_targets(tmp_path: Path) -> None:
    rows = [
        {
            "edit": f"{subject} is employed by {target}",
            "questions": [f"Who employs {subject}?", f"Where does {subject} work?"],
        }
        for subject, target in [
            ("Carl Olsen", "British Radio"),
            ("Ines Roth", "Tokyo Steel"),
            ("Paul Ade", "Lagos Post"),
            ("Mia Chen", "Bergen Bank"),
            ("Lou Reyes", "Oslo Opera"),
        ]
    ]
    wordings = read_wordings(_write(tmp_path / "rows.json", rows))
    assert {wording.prompts for wording in wordings} == {("{s} is employed by",)}
    assert wordings[0].target == "British Radio"
    assert wordings[0].questions == ("Who employs {s}?", "Where does {s} work?")


def test_many_valued_relations_bring_prompt_and_query(tmp_path: Path) -> None:
    row = {
        "edit": {
            "relation": {"prompt": "The genre of {} is", "query": "What is the genre of {}?"},
            "subject": {"label": "Blue"},
            "new_object": {"label": "jazz"},
        }
    }
    [wording] = read_wordings(_write(tmp_path / "rows.json", [row]))
    assert wording.prompts == ("The genre of {s} is", "What is the genre of {s}?")


def test_a_folder_of_csv_files_is_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "one.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("subject", "object", "question", "paraphrased_question"))
        writer.writerow(("Etna", "Italy", "Where is Etna?", "In which country is Etna?"))
        writer.writerow(("Etna", "Italy", "Where is it?", "In which country is Etna?"))
    [wording] = read_wordings(tmp_path)
    assert wording.questions == ("Where is {s}?", "In which country is {s}?")


def test_unknown_fields_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no known fields in \['q'\]"):
        read_wordings(_write(tmp_path / "rows.json", [{"q": 1}]))
