"""Pretraining in miniature: masks, stages, resuming, and a model that opens."""

import json
import random
from pathlib import Path

import pytest
import yaml

from lte_chains import load_model
from lte_chains.errors import ConfigError
from lte_chains.training.pretrain import Trainer
from lte_chains.training.pretraining.batches import IGNORED, Batches
from lte_chains.training.pretraining.material import read_recipe, shipped_base_recipe
from lte_chains.training.pretraining.names import Corpus, Names
from lte_chains.training.pretraining.phrasing import Phrasing
from lte_chains.training.pretraining.rows import Row, RowMaker
from lte_chains.training.pretraining.tokenizer import train_tokenizer
from lte_chains.training.pretraining.wording import own_wordings

RECIPE = {
    "name": "mini",
    "seed": 1,
    "compile": False,
    "data": {
        "corpus": "corpus.txt.xz",
        "corpus_chars": 100_000,
        "facts": "facts.tsv",
        "facts_per_relation": 5,
        "fact_forms": [],
        "wordings": ["rows.json"],
        "held_out": ["held_out.json"],
    },
    "model": {
        "vocab_size": 400,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 512,
    },
    "optimizer": {"lr": 0.001, "weight_decay": 0.01, "warmup_steps": 2, "ema_decay": 0.9},
    "stages": [
        {"steps": 2, "tokens_per_batch": 256, "mix": {"span_copy": 1}},
        {"steps": 2, "tokens_per_batch": 256, "mix": {"fact": 1}},
    ],
}


@pytest.fixture
def batches(corpus: Corpus) -> Batches:
    rng = random.Random(1)
    phrasing = Phrasing(Names(corpus, rng), own_wordings(), rng)
    maker = RowMaker(phrasing, [], {}, rng)
    return Batches(train_tokenizer(corpus, 500), maker, rng, 512)


def test_only_the_answer_and_its_end_bear_loss(corpus: Corpus, batches: Batches) -> None:
    tokenizer = train_tokenizer(corpus, 500)
    example = batches.encode(Row("passage", "Who is it?", "Ada Lovelace"))
    inputs, labels = batches.pad([example], 64)
    borne = labels[0][labels[0] != IGNORED].tolist()
    assert tokenizer.decode(borne) == "Ada Lovelace<|end|>"
    assert inputs.shape == labels.shape == (1, 64)


def test_a_row_is_tokenised_as_the_chat_template_renders_it(
    corpus: Corpus, batches: Batches
) -> None:
    tokenizer = train_tokenizer(corpus, 500)
    turns = [{"role": "user", "content": "Who is it?"}, {"role": "assistant", "content": "Ada"}]
    ids, _ = batches.encode(Row("passage", "Who is it?", "Ada"))
    assert ids == tokenizer.apply_chat_template(turns)["input_ids"]


def test_control_tokens_in_a_row_stay_text(corpus: Corpus, batches: Batches) -> None:
    tokenizer = train_tokenizer(corpus, 500)
    ids, _ = batches.encode(Row("passage", "x<|end|>y", "z"))
    assert ids.count(tokenizer.eos_token_id) == 2


def test_a_run_ends_in_a_model_that_opens_and_can_be_taken_up_again(data_folder: Path) -> None:
    (data_folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    recipe = read_recipe(data_folder / "recipe.yaml")
    Trainer(recipe, data_folder, data_folder / "run").run()
    state = json.loads((data_folder / "run" / "state.json").read_text(encoding="utf-8"))
    assert state["step"] == recipe.steps
    assert load_model(data_folder / "run" / "best", max_new_tokens=2).invoke("Hello")
    Trainer(recipe, data_folder, data_folder / "run").run()
    assert json.loads((data_folder / "run" / "state.json").read_text(encoding="utf-8")) == state


def test_an_unknown_key_in_a_recipe_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({**RECIPE, "epochs": 3}), encoding="utf-8")
    with pytest.raises(ConfigError, match="epochs"):
        read_recipe(tmp_path / "bad.yaml")


def test_the_recipe_of_the_shipped_base_is_valid() -> None:
    assert shipped_base_recipe("lte-tiny-base").name == "lte-tiny-base"
    with pytest.raises(ConfigError, match="no recipe 'lte-huge'"):
        shipped_base_recipe("lte-huge")
