"""Alignment, end to end, on the recipes' own architectures with everything shrunk.

After a deliberate change, remake the golden rows with
``REMAKE_GOLDEN=1 pytest tests/training/test_align.py``.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from lte_chains import load_model
from lte_chains.errors import ConfigError, ModelError
from lte_chains.local.loading import load_tokenizer
from lte_chains.training.align import align
from lte_chains.training.alignment.averaging import WeightAverage
from lte_chains.training.alignment.conversations import tokenised
from lte_chains.training.alignment.recipe import AlignmentRecipe, change_recipe, read_recipe
from lte_chains.training.alignment.trainer import make_trainer, training_arguments
from tests.training.aligned_families import (
    MARKED_TEMPLATE,
    conversations,
    make_tokenizer,
    save_family,
    save_rows,
)

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"
FAMILIES = {"llama2-chat-7b": "llama", "qwen-chat-7b": "qwen2"}
SEVEN_B = [f"{model}-{how}" for model in FAMILIES for how in ("full", "lora")]


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        family: save_family(family, tmp_path_factory.mktemp(family)) for family in FAMILIES.values()
    }


def shrunk(name: str, families: dict[str, Path], **changes: object) -> AlignmentRecipe:
    """Return a 7B recipe as it is, but for the model, and a batch and a length to go with it."""
    model = str(families[FAMILIES[name.rpartition("-")[0]]])
    small = {"model": model, "batch_size": 16, "micro_batch_size": 8, "max_length": 256}
    return change_recipe(read_recipe(name), **{**small, **changes})


def rows_as_trained(recipe: AlignmentRecipe, tokenizer, out: Path) -> list[dict]:
    trainer = make_trainer(
        recipe,
        training_arguments(recipe, out, has_dev=False),
        [tokenised(conversations(), tokenizer, max_length=recipe.max_length)],
        source=recipe.model,
        tokenizer=tokenizer,
    )
    return [
        {
            "text": tokenizer.decode(row["input_ids"]),
            "learned": tokenizer.decode([label for label in row["labels"] if label != -100]),
            "input_ids": list(row["input_ids"]),
            "labels": list(row["labels"]),
        }
        for row in trainer.train_dataset
    ]


def steps_of(run: Path) -> list[dict]:
    """Return the entries of a run's log that are about updates."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if "loss" in entry]


@pytest.mark.parametrize("model", FAMILIES)
def test_rows_and_masks_are_those_of_the_golden_file(
    model: str, families: dict[str, Path], tmp_path: Path
) -> None:
    recipe = shrunk(f"{model}-full", families)
    rows = rows_as_trained(recipe, make_tokenizer(FAMILIES[model]), tmp_path)
    golden = GOLDEN / f"{model}.json"
    if os.environ.get("REMAKE_GOLDEN"):
        lines = ",\n".join(json.dumps(row) for row in rows)
        golden.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    assert rows == json.loads(golden.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("model", "template", "around"),
    [
        ("llama2-chat-7b", None, " {} </s>"),
        ("qwen-chat-7b", None, "{}<|im_end|>\n"),
        ("qwen-chat-7b", MARKED_TEMPLATE, "{}<|im_end|>"),
    ],
)
def test_the_answer_and_its_end_alone_bear_loss(
    model: str,
    template: str | None,
    around: str,
    families: dict[str, Path],
    tmp_path: Path,
) -> None:
    tokenizer = make_tokenizer(FAMILIES[model], template)
    rows = rows_as_trained(shrunk(f"{model}-full", families), tokenizer, tmp_path)
    answers = [turns[-1]["content"] for turns in conversations()]
    assert [row["learned"] for row in rows] == [around.format(answer) for answer in answers]


@pytest.mark.parametrize("name", SEVEN_B)
def test_the_loss_falls_within_twenty_steps(
    name: str, families: dict[str, Path], tmp_path: Path
) -> None:
    recipe = shrunk(name, families, max_steps=20)
    record = align(recipe, save_rows(tmp_path / "rows.jsonl", copies=4), tmp_path / "run")
    losses = [entry["loss"] for entry in steps_of(tmp_path / "run")]
    assert record is not None
    assert record.steps == len(losses) == 20
    assert sum(losses[-5:]) < sum(losses[:5])


def test_a_run_leaves_all_that_it_promises(families: dict[str, Path], tmp_path: Path) -> None:
    save_rows(tmp_path / "train.jsonl", copies=2)
    save_rows(tmp_path / "dev.jsonl")
    recipe = shrunk("qwen-chat-7b-full", families, max_steps=2, learning_rate=0.01)
    record = align(recipe, tmp_path, tmp_path / "run")
    assert record is not None
    assert record.dev is not None
    assert record.dev.used == 8
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "run" / "logs").glob("events.out.tfevents.*"))
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")
    for told in (record.train.sha256, recipe.digest, "| dev loss |", "trl"):
        assert told in card
    assert str(tmp_path) not in card
    assert str(families["qwen2"]) not in card
    run = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert run["result"]["train_loss"] == record.train_loss
    assert load_model(tmp_path / "run" / "model", max_new_tokens=2).invoke("Who runs Acme?")
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["use_cache"]


def test_an_adapter_opens_on_its_base_and_changes_it(
    families: dict[str, Path], tmp_path: Path
) -> None:
    recipe = shrunk("llama2-chat-7b-lora", families, max_steps=4, learning_rate=0.05)
    align(recipe, save_rows(tmp_path / "rows.jsonl", copies=4), tmp_path / "run")
    settings = json.loads((tmp_path / "run/model/adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] == families["llama"].name
    assert not list((tmp_path / "run" / "model").glob("*.bin"))
    model = load_model(recipe.model, adapter=tmp_path / "run" / "model", max_new_tokens=4)
    assert model.unedited is not None
    assert model.invoke("Who runs Acme?").text != model.unedited.invoke("Who runs Acme?").text


def test_merged_weights_answer_as_the_adapter_does(
    families: dict[str, Path], tmp_path: Path
) -> None:
    recipe = shrunk("llama2-chat-7b-lora", families, max_steps=4, learning_rate=0.05)
    assert recipe.lora is not None
    merging = change_recipe(recipe, lora={**asdict(recipe.lora), "merge": True})
    rows = save_rows(tmp_path / "rows.jsonl", copies=4)
    align(recipe, rows, tmp_path / "adapter")
    align(merging, rows, tmp_path / "merged")
    adapted = load_model(recipe.model, adapter=tmp_path / "adapter/model", max_new_tokens=4)
    merged = load_model(tmp_path / "merged/model", max_new_tokens=4)
    assert merged.invoke("Who runs Acme?").text == adapted.invoke("Who runs Acme?").text


@pytest.mark.parametrize("name", ["llama2-chat-7b-lora", "qwen-chat-7b-full"])
def test_a_resumed_run_takes_the_steps_of_an_uninterrupted_one(
    name: str, families: dict[str, Path], tmp_path: Path
) -> None:
    rows = save_rows(tmp_path / "rows.jsonl", copies=4)
    recipe = shrunk(name, families, max_steps=6, save_every=3, learning_rate=0.01)
    align(recipe, rows, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "resumed")
    shutil.rmtree(tmp_path / "resumed" / "model")
    # As if the run had been killed while it wrote its last checkpoint.
    (tmp_path / "resumed/checkpoints/checkpoint-6/trainer_state.json").unlink()
    align(recipe, rows, tmp_path / "resumed")
    whole, resumed = (
        [
            (entry["step"], entry["loss"], entry["learning_rate"])
            for entry in steps_of(tmp_path / run)
        ]
        for run in ("whole", "resumed")
    )
    assert resumed == whole
    [weights] = [path.name for path in (tmp_path / "whole" / "model").glob("*.safetensors")]
    [before, after] = ((tmp_path / run / "model" / weights) for run in ("whole", "resumed"))
    assert before.read_bytes() == after.read_bytes()


def test_a_recipe_goes_on_from_the_weights_of_the_one_before(
    families: dict[str, Path], tmp_path: Path
) -> None:
    rows = save_rows(tmp_path / "rows.jsonl", copies=2)
    first = shrunk("qwen-chat-7b-full", families, max_steps=2, learning_rate=0.01)
    (tmp_path / "first.yaml").write_text(first.to_yaml(), encoding="utf-8")
    changes = {"name": "second", "after": str(tmp_path / "first.yaml"), "learning_rate": 1e-9}
    second = change_recipe(first, **changes)
    record = align(second, rows, tmp_path / "run")
    assert record is not None
    assert record.to_json()["base_model"] == families["qwen2"].name
    begun = steps_of(tmp_path / "run" / "before" / first.name)
    assert steps_of(tmp_path / "run")[0]["loss"] < begun[0]["loss"]
    moved, kept = (
        load_model(tmp_path / "run" / folder / "model", max_new_tokens=4).invoke("Who runs Acme?")
        for folder in (f"before/{first.name}", ".")
    )
    assert moved.text == kept.text


def test_a_folder_with_another_run_is_refused(families: dict[str, Path], tmp_path: Path) -> None:
    recipe = shrunk("qwen-chat-7b-full", families, max_steps=1)
    align(recipe, save_rows(tmp_path / "rows.jsonl", copies=2), tmp_path / "run")
    with pytest.raises(ConfigError, match="another recipe:"):
        align(change_recipe(recipe, seed=7), tmp_path / "rows.jsonl", tmp_path / "run")
    with pytest.raises(ConfigError, match="another data:"):
        align(recipe, save_rows(tmp_path / "rows.jsonl"), tmp_path / "run")


def test_a_run_that_never_began_claims_no_folder(families: dict[str, Path], tmp_path: Path) -> None:
    rows = save_rows(tmp_path / "rows.jsonl", copies=2)
    recipe = shrunk("qwen-chat-7b-full", families, max_steps=1)
    with pytest.raises(ModelError, match="nowhere"):
        align(change_recipe(recipe, model="./nowhere"), rows, tmp_path / "run")
    assert align(recipe, rows, tmp_path / "run")


def test_a_batch_that_the_devices_cannot_share_is_refused(
    families: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="3 devices"):
        training_arguments(shrunk("qwen-chat-7b-full", families), tmp_path, has_dev=False)


@pytest.mark.parametrize("name", ["llama2-chat-7b-full", "llama2-chat-7b-lora"])
def test_a_run_in_bfloat16_trains_and_opens(
    name: str, families: dict[str, Path], tmp_path: Path
) -> None:
    recipe = shrunk(name, families, max_steps=4, learning_rate=0.01, precision="bfloat16")
    align(recipe, save_rows(tmp_path / "rows.jsonl", copies=4), tmp_path / "run")
    first, *_, last = [entry["loss"] for entry in steps_of(tmp_path / "run")]
    assert last < first
    folder = tmp_path / "run" / "model"
    model = (
        load_model(folder, max_new_tokens=2)
        if recipe.lora is None
        else load_model(recipe.model, adapter=folder, max_new_tokens=2)
    )
    assert model.invoke("Who runs Acme?")


def test_taking_up_a_finished_run_changes_nothing(
    families: dict[str, Path], tmp_path: Path
) -> None:
    recipe = shrunk("qwen-chat-7b-lora", families, max_steps=2)
    save_rows(tmp_path / "train.jsonl", copies=4)
    save_rows(tmp_path / "dev.jsonl")
    first = align(recipe, tmp_path, tmp_path / "run")
    assert align(recipe, tmp_path, tmp_path / "run") == first


@pytest.mark.parametrize("name", ["llama2-chat-7b-full", "qwen-chat-7b-lora"])
def test_the_loss_of_answers_alone_is_trls_own(
    name: str, families: dict[str, Path], tmp_path: Path
) -> None:
    import torch
    from trl.trainer.sft_trainer import SFTTrainer

    recipe = shrunk(name, families)
    tokenizer = load_tokenizer(recipe.model)
    trainer = make_trainer(
        recipe,
        training_arguments(recipe, tmp_path, has_dev=False),
        [tokenised(conversations(copies=2), tokenizer, max_length=recipe.max_length)],
        source=recipe.model,
        tokenizer=tokenizer,
    )
    trainer.model.train()
    for module in trainer.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch = next(iter(trainer.get_train_dataloader()))
    ours = trainer.compute_loss(trainer.model, dict(batch))
    theirs = SFTTrainer.compute_loss(trainer, trainer.model, dict(batch))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4)
    ours.backward()
    gradients = [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]
    trainer.model.zero_grad()
    theirs.backward()
    expected = [p.grad for p in trainer.model.parameters() if p.grad is not None]
    assert len(gradients) == len(expected) > 0
    for got, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("llama2-chat-7b-full", {}),
        ("llama2-chat-7b-full", {"share_prompts": True, "optimizer": "muon"}),
        ("qwen-chat-7b-lora", {"share_prompts": True}),
    ],
)
def test_averaged_weights_come_out_of_a_run_that_was_interrupted_as_of_one_that_was_not(
    name: str, settings: dict[str, object], families: dict[str, Path], tmp_path: Path
) -> None:
    few = {"batch_size": 2, "micro_batch_size": 2} if settings else {}
    changes = {"average_weights": 0.8, "max_steps": 4, "save_every": 2, **settings, **few}
    recipe = shrunk(name, families, **changes)
    save_rows(tmp_path / "train.jsonl", copies=4)
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    align(recipe, tmp_path / "train.jsonl", whole)
    shutil.copytree(whole, halted)
    for leftover in ("checkpoints/checkpoint-4", "model", "unfinished"):
        shutil.rmtree(halted / leftover, ignore_errors=True)
    align(recipe, tmp_path / "train.jsonl", halted)
    file = "adapter_model.safetensors" if recipe.lora else "model.safetensors"
    expected, found = (load_file(run / "model" / file) for run in (whole, halted))
    last = load_file(whole / "checkpoints" / "checkpoint-4" / file)
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert any(not torch.equal(last[key].to(v.dtype), v) for key, v in expected.items())


def test_the_average_is_the_exponential_one_that_begins_quickly(tmp_path: Path) -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    callback, arguments = WeightAverage(0.5), SimpleNamespace(output_dir=str(tmp_path))
    states = [SimpleNamespace(global_step=step) for step in range(4)]
    torch.nn.init.constant_(layer.weight, 0.0)
    callback.on_train_begin(arguments, states[0], None, model=layer)
    expected = 0.0
    for state in states[1:]:
        torch.nn.init.constant_(layer.weight, float(state.global_step))
        callback.on_step_end(arguments, state, None, model=layer)
        decay = min(0.5, state.global_step / (state.global_step + 10))
        expected = decay * expected + (1 - decay) * state.global_step
    callback.on_train_end(arguments, states[3], None, model=layer)
    assert layer.weight.item() == pytest.approx(expected)


@pytest.mark.skipif(not shutil.which("c++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")
def test_compiled_layers_learn_what_plain_ones_learn(
    families: dict[str, Path], tmp_path: Path
) -> None:
    recipe = shrunk("llama2-chat-7b-full", families, max_steps=2)
    save_rows(tmp_path / "train.jsonl", copies=2)
    plain = align(recipe, tmp_path / "train.jsonl", tmp_path / "plain")
    fast = change_recipe(recipe, compile=True)
    compiled = align(fast, tmp_path / "train.jsonl", tmp_path / "compiled")
    assert plain is not None
    assert compiled is not None
    assert compiled.train_loss == pytest.approx(plain.train_loss, rel=1e-3)
