from __future__ import annotations

import builtins
import json
import shutil
import subprocess
import sys

import pytest

from lte_chains.errors import ConfigError, LteError, MissingExtraError, ModelError
from lte_chains.models import load_model
from tests.tiny_models import (
    save_adapter,
    save_llama,
    save_tokenizer,
    tiny_adapter,
    tiny_llama,
)


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(tiny_llama(), tmp_path / "copy")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/no/such/folder", "no model at"),
        ("./missing", "no model at"),
        ("a/b/c", "no model at"),
        ("", "config.json|no model at"),
    ],
)
def test_path_without_a_model_is_a_model_error(name, says):
    with pytest.raises(ModelError, match=says):
        load_model(name)


def test_hub_id_that_cannot_be_had_is_a_model_error():
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model("nobody/no-such-model")


def test_folder_without_a_config_is_not_a_model(tmp_path):
    with pytest.raises(ModelError, match=r"not a model: it has no config.json"):
        load_model(tmp_path)


def test_file_is_not_a_model(copy):
    with pytest.raises(ModelError, match="is a file"):
        load_model(copy / "model.safetensors")


def test_adapter_in_place_of_a_model_is_told_apart():
    with pytest.raises(ModelError, match=r"holds an adapter.*adapter="):
        load_model(tiny_adapter())


def test_missing_chat_template_is_a_model_error_with_a_remedy(copy):
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"no chat template.*tokenizer_config.json"):
        load_model(copy)


def test_corrupt_weights_are_a_model_error(copy):
    (copy / "model.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(copy)


def test_weights_that_are_not_all_there_are_a_model_error(copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 .*model.layers.1.mlp.up_proj"):
        load_model(copy)


def test_unknown_architecture_is_a_model_error(copy):
    (copy / "config.json").write_text(json.dumps({"model_type": "no-such-architecture"}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(copy)


def test_tokenizer_of_another_model_is_a_model_error(tmp_path):
    folder = save_llama(tmp_path / "small")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"extra{i}" for i in range(500)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="do not belong together"):
        load_model(folder)


def test_adapter_for_another_size_is_a_model_error(tmp_path):
    other = save_llama(tmp_path / "wide", hidden=64)
    with pytest.raises(ModelError, match="is not an adapter for"):
        load_model(other, adapter=tiny_adapter())


def test_adapter_for_another_architecture_is_a_model_error(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    size = save_tokenizer(tmp_path)
    GPT2LMHeadModel(
        GPT2Config(vocab_size=size, n_embd=32, n_layer=1, n_head=2, n_positions=64)
    ).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is not an adapter for"):
        load_model(tmp_path, adapter=tiny_adapter())


def test_adapter_with_fewer_layers_than_the_model_is_a_model_error(copy, tmp_path):
    config = json.loads((copy / "config.json").read_text())
    one_layer = shutil.copytree(copy, tmp_path / "one")
    (one_layer / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
    adapter = save_adapter(one_layer, tmp_path / "short")
    with pytest.raises(ModelError, match="is not an adapter for"):
        load_model(copy, adapter=adapter)


def test_adapter_with_trained_biases_is_refused_because_it_cannot_be_switched_off(tmp_path):
    adapter = save_adapter(tiny_llama(), tmp_path / "biased", bias="lora_only")
    with pytest.raises(ModelError, match="would not give the base model back"):
        load_model(tiny_llama(), adapter=adapter)


@pytest.mark.parametrize("place", ["/no/such/adapter", "folder"])
def test_path_without_an_adapter_is_a_model_error(tmp_path, place):
    with pytest.raises(ModelError, match="adapter"):
        load_model(tiny_llama(), adapter=tmp_path if place == "folder" else place)


@pytest.mark.parametrize(
    "bad", [{"temperature": -1}, {"max_new_tokens": 0}, {"top_p": 0}, {"batch_size": 0}]
)
def test_bad_number_is_refused_before_anything_is_read(bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        load_model("/no/such/folder", **bad)


@pytest.mark.parametrize("bad", [{"device": "toaster"}, {"dtype": "float7"}])
def test_unknown_device_or_dtype_is_a_config_error(bad):
    with pytest.raises(ConfigError, match=next(iter(bad.values()))):
        load_model(tiny_llama(), **bad)


def test_dtype_is_as_asked_for():
    assert load_model(tiny_llama(), dtype="bfloat16").weights.dtype == "bfloat16"
    assert load_model(tiny_llama()).weights.dtype == "float32"


@pytest.mark.parametrize(("package", "extra"), [("transformers", "hf"), ("peft", "hf")])
def test_missing_package_names_the_extra(monkeypatch, package, extra):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=rf"lte-chains\[{extra}\]"):
        load_model(tiny_llama(), adapter=tiny_adapter())


def test_every_failure_to_load_is_an_lte_error(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(LteError):
        load_model(tmp_path)


def test_digest_changes_with_the_files(copy):
    before = load_model(copy).weights.digest
    assert load_model(copy).weights.digest == before
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "rope_theta": 5000.0}))
    assert load_model(copy).weights.digest != before


def test_loading_prints_nothing(capfd):
    load_model(tiny_llama(), adapter=tiny_adapter())
    assert capfd.readouterr() == ("", "")


def test_module_imports_without_torch_or_transformers():
    script = (
        "import sys, lte_chains.models, lte_chains.editable_llm\n"
        "heavy = {'torch', 'transformers', 'peft', 'langchain_huggingface'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
