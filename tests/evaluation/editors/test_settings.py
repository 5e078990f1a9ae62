"""Settings of methods: read from YAML, checked, and given to the editors."""

import pytest

from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors import Resources, make_editor
from lte_chains.evaluation.editors.memit import MemitConfig
from lte_chains.evaluation.editors.settings import configured, read_settings
from lte_chains.models import load_model
from tests.evaluation.editors.test_prompt_editors import CASES, _Words
from tests.tiny_models import tiny_llama


def _resources(settings):
    base = load_model(tiny_llama(), max_new_tokens=8)
    return Resources(model=base, base=base, embeddings=_Words(), train=CASES, settings=settings)


def test_settings_reach_the_editors_and_the_rest_stays_default(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(
        "rome: {depth: 0, search: {largest: 20}}\nlora: {rank: 3}\nike: {demonstrations: 1}\n"
        "ft-l: {steps: 7}\n",
        encoding="utf-8",
    )
    resources = _resources(read_settings(file))
    rome, lora, ike, ft_l, ft_m = (
        make_editor(name, resources) for name in ("rome", "lora", "ike", "ft-l", "ft-m")
    )
    assert (rome.config.depth, rome.config.search.largest, rome.config.search.steps) == (0, 20, 25)
    assert (lora.config.rank, ft_l.config.steps) == (3, 7)
    assert (ft_l.config.largest_change, ft_m.config.largest_change) == (5e-3, None)
    assert ike.demonstrations == 1
    assert ft_m.config == type(ft_m).default


def test_lists_of_yaml_become_what_the_field_is():
    assert configured(MemitConfig, {"layers": [1, 2]}, method="memit").layers == (1, 2)


@pytest.mark.parametrize(
    ("method", "values", "told"),
    [
        ("ft-m", {"step": 3}, r"no settings \['step'\]: use some of \['batch_size'"),
        ("rome", {"search": {"step": 3}}, r"no settings \['search.step'\]"),
        ("ft-m", {"steps": "many"}, "steps: Input should be a valid integer"),
        ("ft-m", {"steps": 0}, "steps=0: use 1 or more"),
    ],
)
def test_wrong_settings_are_told_by_name(method, values, told):
    with pytest.raises(ConfigError, match=told):
        make_editor(method, _resources({method: values}))


@pytest.mark.parametrize("name", ["lte", "mend", "nope"])
def test_settings_of_methods_that_have_none_are_refused(name):
    with pytest.raises(ConfigError, match="give some of"):
        _resources({name: {"k": 1}})


@pytest.mark.parametrize("text", ["[1]", "ft-m: 3", "a: b: c"])
def test_a_file_of_another_shape_is_refused(tmp_path, text):
    (tmp_path / "wrong.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"wrong\.yaml"):
        read_settings(tmp_path / "wrong.yaml")
