"""The command line: what it prints, for people and for scripts, and how it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from typer.testing import CliRunner

from lte_chains.cli import app
from tests.tiny_models import save_llama

COMMANDS = [
    ["demo"],
    ["add"],
    ["edits"],
    ["search"],
    ["ask"],
    ["retract"],
    ["history"],
    ["rollback"],
    ["propose"],
    ["pending"],
    ["approve"],
    ["reject"],
    ["export"],
    ["import"],
    ["backup"],
    ["restore"],
    ["doctor"],
    ["evaluate", "retrieval"],
    ["evaluate", "knowedit"],
    ["align", "data"],
    ["align", "synthesize"],
]
CEO = ["add", "The CEO of Acme is", "Jane Doe", "--subject", "Acme", "--relation", "CEO"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LTE_STORE", "LTE_NAMESPACE", "LTE_MODEL"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == exit_code, result.output
    return result


def run_json(*arguments: str) -> dict[str, Any]:
    """Run with --json; stdout must be exactly one JSON object."""
    parsed = json.loads(run(*arguments, "--json").stdout)
    assert isinstance(parsed, dict)
    return parsed


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    shown = run(*command, "--help").stdout
    assert f"lte-chains {' '.join(command)}" in shown
    assert "Example" in shown


def test_without_arguments_help_is_shown() -> None:
    assert "Usage" in run(exit_code=2).output


def test_an_edit_is_added_listed_and_found() -> None:
    added = run_json(*CEO)
    assert added["revision"] == 1
    [listed] = run_json("edits")["edits"]
    assert listed["id"] == added["ids"][0]
    assert (listed["prompt"], listed["target_new"]) == ("The CEO of Acme is", "Jane Doe")
    [match] = run_json("search", "Who is the CEO of Acme?")["matches"]
    assert match["id"] == added["ids"][0]
    assert match["in_scope"] is True


def test_tables_for_people_show_the_same() -> None:
    run(*CEO)
    assert "Jane Doe" in run("edits").stdout
    assert "yes" in run("search", "Who is the CEO of Acme?").stdout


def test_the_history_says_what_gave_way_to_what_in_any_width() -> None:
    [first] = run_json(*CEO)["ids"]
    assert "nothing" in run("history", "--namespace", "other").stdout
    [second] = run_json(*CEO[:2], "John Roe", *CEO[3:])["ids"]
    lines = run("history").stdout.splitlines()
    assert lines[0].split()[0] == "1"
    assert lines[0].endswith(f"add {first}")
    assert lines[1].strip() == "The CEO of Acme is Jane Doe"
    assert any(line.endswith(f"supersede {first} by {second}") for line in lines)


def test_text_that_looks_like_markup_is_shown_as_it_is() -> None:
    run("add", "The tag is", "[bold]x[/bold]")
    assert "[bold]x[/bold]" in run("edits").stdout


def test_one_argument_is_a_statement() -> None:
    run("add", "Acme moved its headquarters to Lisbon in 2026.")
    [listed] = run_json("edits")["edits"]
    assert listed["statement"] == "Acme moved its headquarters to Lisbon in 2026."
    assert "prompt" not in listed


def test_a_second_edit_of_the_slot_supersedes_and_rollback_undoes_it() -> None:
    run(*CEO)
    run(*[word.replace("Jane Doe", "John Roe") for word in CEO])
    assert targets() == ["John Roe"]
    assert run_json("rollback", "1") == {"revision": 3, "restored": 1, "edits": 1}
    assert targets() == ["Jane Doe"]
    assert targets("--as-of", "2") == ["John Roe"]


def test_a_retracted_edit_stays_in_the_history() -> None:
    run(*CEO, "--id", "ceo")
    assert run_json("retract", "ceo") == {"ids": ["ceo"], "revision": 2}
    assert targets() == []
    entries = run_json("history", "ceo")["history"]
    assert [(entry["revision"], entry["action"]) for entry in entries] == [
        (1, "add"),
        (2, "retract"),
    ]
    assert entries[0]["edit"]["target_new"] == "Jane Doe"


def test_a_proposed_edit_waits_until_it_is_approved() -> None:
    run(*CEO)
    proposed = run_json("propose", "The CEO of Acme is", "John Roe", "--id", "new")
    run("propose", "2 + 2 is", "5", "--id", "sum")
    assert (proposed["ids"], proposed["revision"]) == (["new"], 2)
    assert targets() == ["Jane Doe"]
    waiting = run_json("pending")
    assert [edit["id"] for edit in waiting["edits"]] == ["new", "sum"]
    assert "John Roe" in run("pending").stdout
    assert run_json("approve", "new") == {"ids": ["new"], "revision": 4}
    assert "rejected sum" in run("reject", "sum").stdout
    assert run_json("pending")["edits"] == []
    assert targets() == ["Jane Doe", "John Roe"]
    assert "no pending edit 'sum'" in run("approve", "sum", exit_code=1).stderr


def test_aliases_and_many_values_can_be_given() -> None:
    run("add", "The CEO of Acme is", "Jane", "--subject", "Acme", "--alias", "AC", "--alias", "Ac.")
    [edit] = run_json("edits")["edits"]
    assert edit["aliases"] == ["AC", "Ac."]
    for pet in ("Rex", "Tom"):
        run("add", "Ann's pets are", pet, "--many-valued")
    assert targets() == ["Jane", "Rex", "Tom"]
    run("add", "Ann's pets are", "Kit", "--one-valued")
    assert targets() == ["Jane", "Kit"]


def test_validity_dates_are_kept() -> None:
    run(*CEO, "--valid-from", "2026-01-01", "--valid-until", "2027-01-01T00:00:00+01:00")
    [edit] = run_json("edits", "--at", "2026-06-01")["edits"]
    assert edit["valid_from"] == "2026-01-01T00:00:00+00:00"
    assert edit["valid_until"] == "2026-12-31T23:00:00+00:00"
    assert targets("--at", "2027-06-01") == []


def test_edits_move_by_export_and_import() -> None:
    run(*CEO, "--source", "press release")
    assert run_json("export", "out.jsonl")["edits"] == 1
    imported = run_json("import", "out.jsonl", "--store", "other.db")
    assert len(imported["ids"]) == 1
    [edit] = run_json("edits", "--store", "other.db")["edits"]
    assert (edit["target_new"], edit["source"]) == ("Jane Doe", "press release")


def test_a_pipe_can_be_imported_into_a_new_memory(tmp_path: Path) -> None:
    run(*CEO)
    run("export", "out.jsonl")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = (tmp_path / "out.jsonl").read_text("utf-8")
    writer = threading.Thread(target=pipe.write_text, args=(content, "utf-8"))
    writer.start()
    assert len(run_json("import", "pipe", "--store", "other.db")["ids"]) == 1
    writer.join()


def test_namespaces_do_not_see_each_other() -> None:
    run(*CEO, "--namespace", "a")
    assert targets("--namespace", "a") == ["Jane Doe"]
    assert targets("--namespace", "b") == []
    assert targets() == []


def test_the_environment_names_store_and_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTE_STORE", str(tmp_path / "else.db"))
    monkeypatch.setenv("LTE_NAMESPACE", "a")
    run(*CEO)
    monkeypatch.delenv("LTE_STORE")
    assert targets("--store", "else.db") == ["Jane Doe"]


@pytest.mark.parametrize(
    "command",
    [
        ["edits"],
        ["search", "x"],
        ["ask", "x"],
        ["retract", "x"],
        ["history"],
        ["rollback", "0"],
        ["pending"],
        ["approve", "x"],
        ["reject", "x"],
        ["export", "x.jsonl"],
    ],
    ids=lambda words: words[0],
)
def test_a_mistyped_store_is_an_error_and_not_an_empty_memory(command: list[str]) -> None:
    result = run(*command, "--store", "mistyped.db", exit_code=1)
    assert result.stdout == ""
    assert "mistyped.db" in result.stderr
    assert not Path("mistyped.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retract", "nobody"], "nobody"),
        (["history", "nobody"], "nobody"),
        (["rollback", "99"], "99"),
        (["add", " ", "x"], "prompt is empty"),
        (["add", "p", "x" * 40_000], "too long"),
        (["edits", "--as-of", "99"], "99"),
    ],
)
def test_a_failure_is_told_on_stderr_without_a_traceback(arguments: list[str], said: str) -> None:
    run(*CEO)
    result = run(*arguments, "--json", exit_code=1)
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert targets() == ["Jane Doe"]


def test_a_file_that_holds_no_edits_is_told_and_adds_nothing() -> None:
    run(*CEO)
    Path("bad.jsonl").write_text('{"prompt": "p", "target_new": "t"}\nnot json\n')
    assert "2" in run("import", "bad.jsonl", exit_code=1).stderr
    assert targets() == ["Jane Doe"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["add"],
        ["edits", "--at", "yesterday"],
        ["edits", "--at", "2026-01-01T10:00:00"],
        ["edits", "--as-of", "soon"],
        ["search", "x", "--k", "0"],
        ["search", " "],
        ["rollback", "-1"],
        ["import", "nowhere.jsonl"],
        ["evaluate", "retrieval"],
        ["evaluate", "retrieval", "--data", "nowhere.json"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    result = run(*arguments, exit_code=2)
    assert result.stdout == ""
    assert not Path("edits.db").exists()


def test_ask_answers_on_stdout_and_names_the_edits_on_stderr(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_with(monkeypatch, "Jane Doe")
    run(*CEO)
    result = run("ask", "Who is the CEO of Acme?")
    assert result.stdout == "Jane Doe\n"
    assert "The CEO of Acme is Jane Doe" in result.stderr
    result = run("ask", "How many legs does a spider have?")
    assert "no edit applies" in result.stderr


def test_ask_prints_the_provenance_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, "Jane Doe")
    [id_] = run_json(*CEO)["ids"]
    shown = run_json("ask", "Who is the CEO of Acme?")
    assert shown["answer"] == "Jane Doe"
    assert shown["revision"] == 1
    assert [entry["id"] for entry in shown["edits"]] == [id_]


def test_ask_runs_a_model_from_a_folder(tmp_path: Path) -> None:
    run(*CEO)
    folder = save_llama(tmp_path / "model", context=512)
    shown = run_json("ask", "Who is the CEO of Acme?", "--model", str(folder))
    assert isinstance(shown["answer"], str)
    assert len(shown["edits"]) == 1


def test_ask_says_that_a_model_is_not_one() -> None:
    run(*CEO)
    assert "no-model-here" in run("ask", "x", "--model", "./no-model-here", exit_code=1).stderr


def test_evaluate_retrieval_reports_rates(knowedit_file: Path) -> None:
    report = run_json("evaluate", "retrieval", "--data", str(knowedit_file))
    assert report["rows"] == 2
    assert report["recall"]["rephrase"]["3"] == 1.0
    assert {"recall", "passed", "false_fire"} <= set(report)
    shown = run("evaluate", "retrieval", "--data", str(knowedit_file), "--limit", "1").stdout
    assert "recall.rephrase.3" in shown


def test_evaluate_knowedit_reports_measures(
    knowedit_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, "Porto", place="lte_chains.evaluation.runner.load_model")
    report = run_json("evaluate", "knowedit", "--data", str(knowedit_file), "--seed", "7")
    assert (report["rows"], report["seed"]) == (2, 7)
    assert report["methods"]["lte"]["edit_success"] == 0.5


def test_demo_that_shows_a_wrong_answer_exits_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, "Paris")
    result = CliRunner().invoke(app, ["demo", "--json"])
    assert result.exit_code == 3
    shown = json.loads(result.stdout)
    assert shown["right"] is False
    assert [row["right"] for row in shown["rows"]] == [False, False, False, False, True]


@pytest.mark.slow
def test_demo_with_the_embedded_model_is_right_in_every_row() -> None:
    shown = run_json("demo")
    assert [row["right"] for row in shown["rows"]] == [True] * 5
    for row in shown["rows"]:
        assert (row["edit"] is None) == (row["score"] is None)


def test_demo_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, "Paris")
    run("demo", exit_code=3)
    assert list(tmp_path.iterdir()) == []


def test_as_a_process_errors_are_short_and_json_is_alone_on_stdout(tmp_path: Path) -> None:
    failed = start("edits", "--json")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.startswith("error: ")
    added = start("--verbose", *CEO, "--json")
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["revision"] == 1


def test_the_version_is_the_distribution_s() -> None:
    assert run("--version").stdout.startswith("lte-chains 0.")


@pytest.fixture
def knowedit_file(tmp_path: Path, knowedit_rows: list[dict[str, Any]]) -> Path:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(knowedit_rows), encoding="utf-8")
    return path


def targets(*options: str) -> list[str]:
    return [edit["target_new"] for edit in run_json("edits", *options)["edits"]]


def answer_with(
    monkeypatch: pytest.MonkeyPatch, answer: str, *, place: str = "lte_chains.models.load_model"
) -> None:
    """Let every model that is loaded by the name at `place` give one answer."""
    monkeypatch.setattr(place, lambda *_, **__: FakeListChatModel(responses=[answer]))


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lte_chains", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_markup_in_what_is_asked_is_shown_and_never_read(tmp_path: Path) -> None:
    run(*CEO)
    assert "[/b]" in run("search", "what does [/b] mean?").stdout
    assert "[red]x" in run("edits", "--namespace", "[red]x").stdout


def test_a_terminal_is_told_nothing_by_an_edit() -> None:
    run("propose", "The CEO of Acme is", "Jane \x1b[8mHidden\x1b[0m \u202eeoD")
    for shown in (run("pending").stdout, run("pending", "--json").stdout):
        assert "\\u001b[8mHidden" in shown
        assert "\x1b[8m" not in shown
        assert "\u202e" not in shown


def test_a_file_that_cannot_be_imported_makes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"prompt": "2 + 2 is", "target_new": "5",', "utf-8")
    run("import", "bad.jsonl", exit_code=1)
    assert not list(tmp_path.glob("*.db*"))
    assert "there is no edit memory" in run("edits", exit_code=1).stderr


def test_a_moment_before_the_calendar_is_refused(tmp_path: Path) -> None:
    run(*CEO)
    told = run("edits", "--as-of", "0001-01-01T00:00:00+05:00", exit_code=1).stderr
    assert "no date in UTC" in told


def test_metadata_that_are_no_json_are_told_with_their_row(tmp_path: Path) -> None:
    row = '{"prompt": "2 + 2 is", "target_new": "5", "metadata": {"x": NaN}}'
    (tmp_path / "nan.jsonl").write_text(row, "utf-8")
    told = run("import", "nan.jsonl", exit_code=1).stderr
    assert "nan.jsonl, row 1" in told
