"""`lte-chains align train`, from the embedded model to scores in the model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lte_chains import load_model
from lte_chains.cli import app
from lte_chains.training.alignment.recipe import change_recipe, read_recipe
from tests.training.aligned_families import save_rows


@pytest.mark.slow
def test_the_command_aligns_the_embedded_model_and_scores_it(
    tmp_path: Path, knowedit_rows: list[dict[str, Any]]
) -> None:
    (tmp_path / "zsre.json").write_text(json.dumps(knowedit_rows), encoding="utf-8")
    changes = {"max_steps": 2, "batch_size": 4, "micro_batch_size": 4, "learning_rate": 1e-6}
    recipe = change_recipe(read_recipe("lte-tiny-first"), **changes)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    rows, out = save_rows(tmp_path / "rows.jsonl"), tmp_path / "run"
    arguments = ["--data", str(rows), "--out", str(out), "--json"]
    arguments += ["--evaluate", str(tmp_path / "zsre.json")]
    result = CliRunner().invoke(app, ["align", "train", str(tmp_path / "recipe.yaml"), *arguments])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["folder"] == str(out / "model")
    assert (told["kind"], told["steps"], told["train"]["rows"]) == ("weights", 2, 8)
    assert told["scores"]["rows"] == 2
    card = (out / "model" / "README.md").read_text(encoding="utf-8")
    assert "| evaluated on | zsre.json, 2 rows |" in card
    assert "| edit_success |" in card
    answer = load_model(out / "model", max_new_tokens=8).invoke("What is the capital of Japan?")
    assert (
        answer.text
        == load_model("lte-tiny", max_new_tokens=8).invoke("What is the capital of Japan?").text
    )


def test_mistakes_of_a_recipe_are_told_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("{name: x, model: y, epoch: 2}", encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text("", encoding="utf-8")
    arguments = [str(tmp_path / "recipe.yaml"), "--data", str(tmp_path / "rows.jsonl")]
    result = CliRunner().invoke(app, ["align", "train", *arguments])
    assert result.exit_code == 1
    assert "2 mistakes" in result.stderr
    assert "did you mean 'epochs'?" in result.stderr
