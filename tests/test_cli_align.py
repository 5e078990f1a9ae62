"""`lte-chains align data` and `align synthesize`, as a shell runs them."""

from __future__ import annotations

import json

import pytest
from langchain_core.language_models import FakeListChatModel
from typer.testing import CliRunner

from lte_chains.cli import app


@pytest.fixture(autouse=True)
def _in_a_folder_with_rows(tmp_path, monkeypatch, knowedit_rows):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.json").write_text(json.dumps(knowedit_rows), encoding="utf-8")
    (tmp_path / "dev.json").write_text(json.dumps(knowedit_rows[:1]), encoding="utf-8")


def run(*arguments, exit_code=0, **options):
    result = CliRunner().invoke(app, ["align", *arguments], **options)
    assert result.exit_code == exit_code, result.output
    return result


def test_data_writes_rows_a_card_and_a_table():
    shown = run("data", "--data", "train.json", "--out", "parallel", "--dev-share", "0").stdout
    assert "in: rephrase" in shown
    assert "train and 0 dev rows to parallel" in shown


def test_data_holds_out_the_subjects_of_a_file(tmp_path):
    shown = run(
        *("data", "--data", "train.json", "--held-out", "dev.json", "--out", "parallel"),
        *("--extras", "1", "--per-kind", "0", "--no-shuffle", "--no-out-of-scope", "--json"),
    )
    statistics = json.loads(shown.stdout)
    assert statistics["left_out"]["held out: cases"] == 1
    assert statistics["config"]["per_kind"] is None
    assert "Harrow" not in (tmp_path / "parallel" / "train.jsonl").read_text(encoding="utf-8")
    assert "| dev.json | 1 |" in (tmp_path / "parallel" / "README.md").read_text(encoding="utf-8")


def test_data_asks_the_original_model_for_what_is_missing(monkeypatch):
    model = FakeListChatModel(responses=["Nowhere"])
    monkeypatch.setattr("lte_chains.models.load_model", lambda name: model)
    shown = run(
        *("data", "--data", "train.json", "--out", "parallel", "--original", "some/model"),
        "--json",
    )
    left_out = json.loads(shown.stdout)["left_out"]
    assert "unedited answers that no source tells" not in left_out


@pytest.mark.parametrize("shares", ["a,b", "-1,2", "0,0"])
def test_data_refuses_what_are_no_shares(shares):
    run("data", "--data", "train.json", "--out", "x", f"--extras={shares}", exit_code=2)


@pytest.fixture
def writer(monkeypatch):
    """A provider's model that answers about the first row only."""
    reply = json.dumps([{"question": "Where do I visit Harrow & Finch?", "answer": "In Porto."}])
    asked = []

    def init_chat_model(name):
        asked.append(name)
        return FakeListChatModel(responses=[reply])

    monkeypatch.setattr("langchain.chat_models.init_chat_model", init_chat_model)
    return asked


SYNTHESIZE = ("synthesize", "--edits", "dev.json", "--out", "text.jsonl", "--writer", "openai:x")


def test_synthesize_estimates_asks_and_writes(writer, tmp_path):
    shown = run(*SYNTHESIZE, "--per-edit", "1", input="y\n")
    assert "1 edits to do: 1 calls, about" in shown.stderr
    assert "wrote 1 questions about 1 edits" in shown.stdout
    run("data", "--data", "text.jsonl", "--out", "parallel", "--dev-share", "0")
    again = run(*SYNTHESIZE, "--json")
    assert json.loads(again.stdout)["resumed"] == 1


def test_synthesize_without_a_yes_calls_nobody(writer, tmp_path):
    run(*SYNTHESIZE, input="n\n", exit_code=1)
    estimate = json.loads(run(*SYNTHESIZE, "--estimate", "--json").stdout)
    assert estimate["edits"] == 1
    assert writer == []
    assert not (tmp_path / "text.jsonl").exists()


def test_synthesize_takes_plain_edits_too(writer, tmp_path):
    edit = {"statement": "Harrow & Finch moved."}
    (tmp_path / "edits.jsonl").write_text(json.dumps(edit), encoding="utf-8")
    arguments = (
        "synthesize",
        "--edits",
        "edits.jsonl",
        "--out",
        "x.jsonl",
        "--writer",
        "a:b",
        "-y",
    )
    assert "Give a judge" in run(*arguments, exit_code=1).stderr


def test_a_provider_that_cannot_be_opened_is_an_error_with_its_remedy(monkeypatch):
    def init_chat_model(name):
        raise ImportError("no such package")

    monkeypatch.setattr("langchain.chat_models.init_chat_model", init_chat_model)
    assert "pip install langchain" in run(*SYNTHESIZE, "-y", exit_code=1).stderr
