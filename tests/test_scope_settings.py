"""The settings beside a trained gate's weights."""

from __future__ import annotations

import json

import pytest

from lte_chains.errors import ConfigError
from lte_chains.scope.calibration import Calibration
from lte_chains.scope.settings import Decision, GateSettings, embedder_name

PLAIN = Decision(0.6, Calibration(0.9, 1.0))
NEAR = Decision(0.4, Calibration(0.5, -4.0, 7.0))


def test_what_is_written_is_read(tmp_path):
    settings = GateSettings(PLAIN, (("MiniLM", NEAR),))
    settings.write(tmp_path / "gate.json")
    assert GateSettings.read(tmp_path / "gate.json") == settings


def test_settings_of_before_cosines_counted_are_read(tmp_path):
    path = tmp_path / "gate.json"
    old = {"threshold": 0.6, "calibration": {"slope": 0.9, "intercept": 1.0}}
    path.write_text(json.dumps(old), encoding="utf-8")
    assert GateSettings.read(path) == GateSettings(PLAIN)


def test_an_embedder_is_known_by_its_name():
    settings = GateSettings(PLAIN, (("MiniLM", NEAR),))
    assert settings.for_embedder("hub/MiniLM") == settings.for_embedder("MiniLM:53aa") == NEAR
    assert settings.for_embedder("MiniLM-large") == PLAIN
    assert embedder_name("DeterministicFakeEmbedding:12") == "DeterministicFakeEmbedding"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"threshold": 0.5, "calibration": 3}',
        '{"threshold": 0.5, "calibration": {"slop": 1}}',
    ],
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path, text):
    path = tmp_path / "gate.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"gate\.json"):
        GateSettings.read(path)
    with pytest.raises(ConfigError, match="cannot read"):
        GateSettings.read(tmp_path / "nothing.json")
