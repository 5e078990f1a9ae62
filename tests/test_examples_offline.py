"""The examples for those with a hub run here on stand-ins of the same architectures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.training.aligned_families import save_family

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family("qwen2", tmp_path_factory.mktemp("qwen2"))


@pytest.fixture(scope="module")
def mpnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a two-layer random MPNet as sentence-transformers lays it out."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import MPNetConfig, MPNetModel, MPNetTokenizerFast

    folder = tmp_path_factory.mktemp("mpnet")
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    letters = [chr(code) for code in range(97, 123)]
    words = [*special, *letters, *(f"##{letter}" for letter in letters), "."]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    MPNetTokenizerFast(vocab={word: n for n, word in enumerate(words)}).save_pretrained(folder)
    config = MPNetConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    MPNetModel(config).save_pretrained(folder)
    body = Transformer(str(folder))
    pooling = Pooling(body.get_embedding_dimension(), pooling_mode="cls")
    saved = tmp_path_factory.mktemp("multi-qa")
    SentenceTransformer(modules=[body, pooling], device="cpu").save(str(saved))
    return saved


def run(script: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_small_model_is_aligned_and_compared_with_itself(
    tmp_path: Path, qwen: Path, knowedit_rows: list[dict[str, Any]]
) -> None:
    (tmp_path / "judge.json").write_text(json.dumps(knowedit_rows), encoding="utf-8")
    train = [
        {"prompt": f"The tutor of Pupil {n} is", "subject": f"Pupil {n}", "target_new": f"Dr. {n}"}
        for n in range(60)
    ]
    (tmp_path / "train.json").write_text(json.dumps(train), encoding="utf-8")
    told = run(
        "align_small_model.py",
        *("--rows", tmp_path / "train.json", "--judge", tmp_path / "judge.json"),
        *("--model", qwen, "--out", tmp_path / "run", "--max-steps", "2"),
    )
    report = json.loads(told[told.index("{") :])
    assert set(report["base"]) == set(report["aligned"]) >= {"edit_success", "locality_ungated"}
    assert (tmp_path / "run" / "model" / "adapter_config.json").is_file()


def test_the_smoke_script_runs_every_part(qwen: Path, mpnet: Path) -> None:
    told = run("smoke_hub.py", "--embedder", mpnet, "--model", qwen)
    assert "by 1 edit" in told
    assert "by 0 edits" in told
