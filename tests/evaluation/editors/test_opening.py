"""What methods are given where the user names nothing but a model."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from lte_chains.errors import ModelError
from lte_chains.evaluation.editors import METHODS, make_editor
from lte_chains.evaluation.editors.opening import DEMONSTRATIONS, open_resources
from lte_chains.evaluation.editors.serac import base_digest
from lte_chains.models import load_model
from tests.tiny_models import tiny_adapter, tiny_llama


@pytest.fixture(scope="module")
def shipped():
    return open_resources("lte-tiny")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_edit_the_embedded_model_without_further_files(method, shipped):
    editor = make_editor(method, shipped)
    assert editor.parameters_touched >= 0


def test_settings_of_the_embedded_model_are_the_ones_found_for_it(shipped):
    assert shipped.settings["ft-m"]["steps"] == 40


def test_another_model_has_the_methods_own_settings_and_no_trained_editors():
    given = open_resources(str(tiny_llama()))
    assert given.settings == {}
    assert given.trained is None
    assert make_editor("ike", given).demonstrations == 32


def test_an_adapter_is_opened_over_the_model_that_it_was_trained_for():
    given = open_resources(str(tiny_adapter()))
    assert given.model.weights.decoder.has_adapter
    assert given.base.model_name == str(tiny_llama())
    for method in ("lte", "ft-m"):
        make_editor(method, given)


def test_an_adapter_of_an_unnamed_model_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": null}')
    with pytest.raises(ModelError, match=r"does not say which model it is for.*--base"):
        open_resources(str(tmp_path))


def test_no_demonstration_is_about_what_is_evaluated_on(tmp_path):
    data = tmp_path / "rows.json"
    row = {"subject": "France", "prompt": "The capital of France is", "target_new": "Rome"}
    data.write_text(json.dumps([row]))
    subjects = [
        case.edit.subject for case in open_resources("lte-tiny", held_out=data).demonstrations
    ]
    lines = DEMONSTRATIONS.read_text(encoding="utf-8").splitlines()
    assert len(subjects) == len(lines) - 1
    assert "France" not in subjects


def test_trained_editors_fit_the_weights_wherever_they_lie(tmp_path):
    """A checkout gives files other times, and a user may keep a copy of the base."""
    base = load_model("lte-tiny-base")
    copied = shutil.copytree(DEMONSTRATIONS.parent / "lte-tiny-base", tmp_path / "copy")
    for path in copied.iterdir():
        os.utime(path, (0, 0))
    assert base_digest(load_model(copied)) == base_digest(base)
    assert base_digest(load_model(tiny_llama())) != base_digest(base)
