"""`lte-chains evaluate knowedit --methods` and `evaluate decay`, as a shell runs them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lte_chains.cli import app
from lte_chains.evaluation.editors import METHODS
from tests.evaluation.rows import ROWS, write_rows
from tests.tiny_models import save_llama, tiny_adapter


@pytest.fixture
def data(tmp_path):
    return write_rows(tmp_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_llama(tmp_path_factory.mktemp("llama"), context=512))


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


def test_methods_are_compared_and_the_report_lies_in_the_folder(data, model, tmp_path):
    folder = tmp_path / "results"
    given = ("--data", data, "--model", model, "--methods", "lte,ft-m", "--results", folder)
    report = json.loads(run("knowedit", *given, "--gate", "similarity", "--json").stdout)
    assert set(report["methods"]) == {"lte", "ft-m"}
    assert json.loads((folder / "report.json").read_text())["methods"] == report["methods"]
    assert {path.name for path in folder.iterdir()} == {
        "rows.jsonl",
        "report.json",
        "report.md",
        "success-locality.png",
    }
    again = run("knowedit", *given, "--gate", "similarity")
    assert "Generated answers: 3 rows, single" in again.stdout.replace("\n", " ")
    assert "FT-M" in again.stdout


def test_an_adapters_folder_is_compared_with_its_base(data):
    given = ("--data", data, "--limit", 1, "--model", tiny_adapter(), "--methods", "lte,ft-m")
    report = json.loads(run("knowedit", *given, "--json").stdout)
    assert set(report["methods"]) == {"lte", "ft-m"}


def test_decay_reads_several_files_and_writes_its_report(data, model, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    rows = [{**row, "prompt": f"{row['prompt']} now"} for row in ROWS]
    folder = tmp_path / "results"
    given = ("--data", data, "--data", write_rows(more, rows), "--model", model)
    report = json.loads(
        run(
            *("decay", *given, "--methods", "lte,ft-m", "--checkpoints", "1,6,10"),
            *("--results", folder, "--json"),
        ).stdout
    )
    assert (report["rows"], report["cut"]) == (6, [10])
    assert [point["edits"] for point in report["methods"]["ft-m"]["curve"]] == [1, 6]
    names = {path.name for path in folder.iterdir()}
    assert {"decay.jsonl", "report.json", "report.md", "decay-locality.png"} <= names


@pytest.mark.parametrize("checkpoints", ["x", "1,,2"])
def test_checkpoints_that_are_no_numbers_are_refused(data, checkpoints):
    shown = run("decay", "--data", data, "--checkpoints", checkpoints, exit_code=2)
    assert "no list of whole numbers" in shown.output.replace("\n", " ")


@pytest.mark.slow
def test_all_eleven_methods_stand_in_one_table(data):
    given = ("--data", data, "--limit", 1, "--methods", "all", "--jobs", 1)
    report = json.loads(run("knowedit", *given, "--json").stdout)
    assert list(report["methods"]) == list(METHODS)
    assert len(report["methods"]) == 11
    for figures in report["methods"].values():
        assert 0 <= figures["edit_success"] <= 1
        assert figures["seconds_per_edit"] > 0
