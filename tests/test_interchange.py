"""Edits in files: our JSON lines, and the benchmarks' JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from lte_chains.edit import Edit
from lte_chains.errors import DataError
from lte_chains.interchange import edit_from_dict, edit_to_dict, read_edits, write_edits

ROWS = [
    (
        {
            "subject": "Epaspidoceras",
            "target_new": "Noctuidae",
            "prompt": "Which family does Epaspidoceras belong to?",
            "ground_truth": ["Aspidoceratidae"],
            "rephrase_prompt": "What family are Epaspidoceras?",
            "locality": {"Relation_Specificity": []},
            "portability": {"Reasoning": []},
        },
        ("Which family does Epaspidoceras belong to?", "Noctuidae", "Epaspidoceras", None),
    ),
    (
        {"text": "A passage about X.", "labels": "He was born.", "concept": "x", "locality": {}},
        ("A passage about X.", "He was born.", "x", None),
    ),
    (
        {"src": "Who runs Acme?", "alt": "Jane", "answers": ["Joe"], "subject": "Acme", "loc": "?"},
        ("Who runs Acme?", "Jane", "Acme", None),
    ),
    (
        {
            "case_id": 1,
            "requested_rewrite": {
                "prompt": "The mother tongue of {} is",
                "relation_id": "P103",
                "target_new": {"str": "English", "id": "Q1860"},
                "target_true": {"str": "French"},
                "subject": "Danielle Darrieux",
            },
        },
        ("The mother tongue of Danielle Darrieux is", "English", "Danielle Darrieux", "P103"),
    ),
    (
        {"prompt": "The occupation of Ann is", "target_new": [["poet", "writer"], ["nurse"]]},
        ("The occupation of Ann is", "poet", None, None),
    ),
]


@pytest.mark.parametrize(("row", "expected"), ROWS)
def test_the_benchmarks_rows_are_understood(row: dict, expected: tuple) -> None:
    edit = edit_from_dict(row)
    assert (edit.prompt, edit.target_new, edit.subject, edit.relation) == expected


def test_a_json_list_json_lines_and_a_lone_row_are_read_alike(tmp_path: Path) -> None:
    rows = [row for row, _ in ROWS]
    (tmp_path / "list.json").write_text(json.dumps(rows, indent=2))
    (tmp_path / "lines.jsonl").write_text("\n\n".join(map(json.dumps, rows)) + "\r\n")
    (tmp_path / "bom.json").write_text(json.dumps(rows), encoding="utf-8-sig")
    (tmp_path / "one.jsonl").write_text(json.dumps(rows[0]))
    (tmp_path / "empty.jsonl").write_text("")
    expected = [edit_from_dict(row) for row in rows]
    assert read_edits(tmp_path / "list.json") == expected
    assert read_edits(tmp_path / "lines.jsonl") == expected
    assert read_edits(str(tmp_path / "bom.json")) == expected
    assert read_edits(tmp_path / "one.jsonl") == expected[:1]
    assert read_edits(tmp_path / "empty.jsonl") == []


def test_the_arguments_of_easyedit_are_lists_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(
        json.dumps(
            {
                "prompts": ["Ann is a", "Bob is a"],
                "target_new": ["poet", "nurse"],
                "subject": ["Ann", "Bob"],
                "ground_truth": None,
                "locality_inputs": {"prompts": ["?"]},
            }
        )
    )
    assert [(e.descriptor, e.subject) for e in read_edits(path)] == [
        ("Ann is a poet", "Ann"),
        ("Bob is a nurse", "Bob"),
    ]


def test_our_own_lines_come_back_as_they_were(tmp_path: Path) -> None:
    edits = [
        Edit(
            prompt="The CEO of {Acme} is\u2028",
            target_new="Jané\n\tDoe",
            subject="Acme",
            relation="CEO",
            source="https://example.org",
            valid_from=date(2026, 1, 1),
            valid_until=datetime(2027, 1, 1, 1, 2, 3, 4, tzinfo=UTC),
            metadata={"a": [1, None, {"b": True}]},
            id="x",
        ),
        Edit.from_statement("Acme moved."),
    ]
    path = tmp_path / "edits.jsonl"
    write_edits(path, edits)
    assert read_edits(path) == edits
    assert len(path.read_text().split("\n")) == 3
    assert edit_to_dict(edits[1]) == {"statement": "Acme moved."}
    assert edit_from_dict({"statement": "x", "valid_from": "2026-01-01"}).valid_from == datetime(
        2026, 1, 1, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"prompt": "a", "target_new": "b"}\n{"prompt": "a"}', "line 2: no prompt and target"),
        ('[{"prompt": "a", "target_new": "b"}, 7]', "row 2: a row is a JSON object"),
        ('[{"prompt": "a", "target_new": " "}]', "row 1: target_new is empty"),
        ('[{"prompt": "a", "target_new": 7}]', "row 1: target_new must be a string"),
        ('[{"prompt": "a", "target_new": []}]', "row 1: no prompt|row 1: target_new must"),
        ('{"statement": "x", "valid_from": "soon"}', "valid_from is not an ISO date"),
        ('{"statement": "x", "valid_from": "2026-01-01T00:00:00"}', "no time zone"),
        ('{"statement": "x", "metadata": [1]}', "metadata is not a JSON object"),
        ("not json", "line 1 is not JSON"),
        ("42", "neither a list"),
    ],
)
def test_bad_rows_are_named_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "edits.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_edits(path)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read_or_written_are_data_errors(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'[{"prompt": "\xe9"}]')
    for place in ("missing.json", "latin.json", "."):
        with pytest.raises(DataError, match="cannot read"):
            read_edits(tmp_path / place)
    for place in (".", "missing/edits.jsonl"):
        with pytest.raises(DataError, match="cannot write"):
            write_edits(tmp_path / place, [])


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "edits.jsonl"
    write_edits(path, [Edit.from_statement("Old.")])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left"):
        write_edits(path, [Edit.from_statement("New.")])
    assert [edit.descriptor for edit in read_edits(path)] == ["Old."]
    assert [p.name for p in tmp_path.iterdir()] == ["edits.jsonl"]


def test_a_written_file_has_the_usual_mode_and_keeps_it(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "edits.jsonl"
    plain.touch()
    write_edits(path, [Edit(prompt="a", target_new="b")])
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    write_edits(path, [Edit(prompt="a", target_new="c")])
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [path, plain]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "edits.jsonl")
    write_edits(tmp_path / "link", [Edit(prompt="2 + 2 is", target_new="5")])
    assert (tmp_path / "link").is_symlink()
    assert len(read_edits(tmp_path / "edits.jsonl")) == 1
