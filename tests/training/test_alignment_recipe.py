"""Recipes: those that ship are the published ones, and every mistake is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lte_chains.errors import ConfigError
from lte_chains.training.alignment.recipe import (
    change_recipe,
    parse_recipe,
    read_recipe,
    recipes_before,
    shipped_recipes,
)

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
SMALL = {"name": "mini", "model": "lte-tiny", "learning_rate": 0.001}


def test_every_shipped_recipe_is_valid_and_named_as_its_file() -> None:
    assert len(shipped_recipes()) == 7
    assert [read_recipe(name).name for name in shipped_recipes()] == shipped_recipes()


def test_the_embedded_models_card_names_the_recipes_that_it_was_made_by() -> None:
    card = Path(__file__).parents[2] / "lte_chains" / "assets" / "lte-tiny" / "README.md"
    text = card.read_text(encoding="utf-8")
    for recipe in map(read_recipe, ("lte-tiny-first", "lte-tiny")):
        assert recipe.digest in text
        assert recipe.data is not None
        assert all(source.sha256 and source.sha256 in text for source in recipe.data.sources)


@pytest.mark.parametrize("family", ["llama2-chat-7b", "qwen-chat-7b"])
def test_the_7b_recipes_hold_the_published_settings(family: str) -> None:
    full, lora = read_recipe(f"{family}-full"), read_recipe(f"{family}-lora")
    for recipe in (full, lora):
        assert (recipe.epochs, recipe.batch_size, recipe.max_length) == (3, 128, 2048)
        assert (recipe.schedule, recipe.warmup_ratio) == ("cosine", 0.03)
    assert (full.learning_rate, full.lora) == (2e-5, None)
    assert lora.learning_rate == 3e-4
    assert lora.lora is not None
    assert (lora.lora.rank, lora.lora.alpha, lora.lora.dropout) == (8, 16, 0.05)


def test_all_mistakes_are_told_at_once() -> None:
    wrong = {
        "model": "",
        "learning_rate": 3,
        "batch_size": 10,
        "micro_batch_size": 4,
        "schedule": "sine",
        "epoch": 3,
        "lora": {"rank": 0, "alpha": 16, "targets": ["q_proj"]},
    }
    with pytest.raises(ConfigError) as caught:
        parse_recipe(wrong, where="wrong.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "wrong.yaml has 9 mistakes:"
    told = "\n".join(lines[1:])
    for part in (
        "name: missing",
        "model: string should have at least 1 character, not ''",
        "learning_rate: input should be less than 1, not 3",
        "micro_batch_size: must divide batch_size=10, not 4",
        "schedule: input should be 'constant_with_warmup', 'cosine' or 'linear', not 'sine'",
        "epoch: no such setting (did you mean 'epochs'?)",
        "lora.rank: input should be greater than or equal to 1, not 0",
        "lora.target_modules: missing",
        "lora.targets: no such setting (did you mean 'target_modules'?)",
    ):
        assert part in told


def test_a_rate_that_yaml_takes_for_text_is_a_number() -> None:
    assert parse_recipe(yaml.safe_load("{name: a, model: b, learning_rate: 3e-4}"))


@pytest.mark.parametrize("text", ["[1, 2]", "just text", "{a: b: c}", "3: 4"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        read_recipe(tmp_path / "bad.yaml")


def test_an_unknown_name_lists_the_shipped_recipes() -> None:
    with pytest.raises(ConfigError, match="llama2-chat-7b-lora"):
        read_recipe("llama3")


def test_a_changed_recipe_is_checked_and_has_another_digest() -> None:
    recipe = parse_recipe(SMALL)
    assert change_recipe(recipe, epochs=1).digest != recipe.digest == parse_recipe(SMALL).digest
    with pytest.raises(ConfigError, match="batch_size"):
        change_recipe(recipe, batch_size=0)


def test_recipes_that_are_run_before_are_those_of_the_same_model(tmp_path: Path) -> None:
    for name, more in {"first": {}, "second": {"after": str(tmp_path / "first.yaml")}}.items():
        recipe = parse_recipe({**SMALL, "name": name, **more})
        (tmp_path / f"{name}.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    third = change_recipe(recipe, name="third", model="mine", after=str(tmp_path / "second.yaml"))
    before = recipes_before(third)
    assert [(one.name, one.model) for one in before] == [("first", "mine"), ("second", "mine")]
    assert recipes_before(before[0]) == []


def test_a_recipe_never_comes_after_itself_or_an_adapter(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    recipe = parse_recipe({**SMALL, "after": str(file)})
    file.write_text(recipe.to_yaml(), encoding="utf-8")
    with pytest.raises(ConfigError, match="after itself"):
        recipes_before(recipe)
    lora = {"rank": 2, "alpha": 2, "target_modules": ["q_proj"]}
    adapter = change_recipe(recipe, name="adapter", after=None, lora=lora)
    file.write_text(adapter.to_yaml(), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"lora\.merge"):
        recipes_before(recipe)


def test_a_recipe_after_another_ends_in_no_adapter(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(parse_recipe(SMALL).to_yaml(), encoding="utf-8")
    lora = {"rank": 2, "alpha": 2, "target_modules": ["q_proj"]}
    last = change_recipe(parse_recipe(SMALL), name="last", after=str(file), lora=lora)
    with pytest.raises(ConfigError, match="'last' ends in an adapter"):
        recipes_before(last)
    merged = change_recipe(last, lora={**lora, "merge": True})
    assert [one.name for one in recipes_before(merged)] == ["mini"]


def test_a_recipe_reads_back_from_its_own_yaml() -> None:
    for name in shipped_recipes():
        recipe = read_recipe(name)
        assert parse_recipe(yaml.safe_load(recipe.to_yaml())) == recipe


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fsdp", "deepspeed-zero2", "deepspeed-zero3"])
def test_accelerate_reads_the_launch_configurations(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(RECIPES / "accelerate" / f"{name}.yaml"))
    assert config.num_processes == 4
    assert config.mixed_precision == "bf16"


def test_mistakes_in_what_to_make_rows_of_are_told_by_their_place() -> None:
    wrong = {**SMALL, "data": {"sources": [{"limit": 0}], "parallel": {"extras": [0.5]}}}
    with pytest.raises(ConfigError) as caught:
        parse_recipe(wrong)
    told = str(caught.value)
    assert "data.sources.0.path: missing" in told
    assert "data.sources.0.limit" in told
    assert "add up to 1" in told
