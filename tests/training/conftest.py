"""A data folder as the recipe expects it, small enough to train on within seconds."""

import csv
import json
import lzma
from pathlib import Path

import pytest

from lte_chains.training.pretraining.names import Corpus, read_corpus

_TEXT = (
    "# Ada Lovelace\n"
    "The mathematician Ada Lovelace worked with Charles Babbage in London for several years. "
    "Later writers such as Doris Langley Moore described the University of London at length. "
    "She wrote about a machine that could weave patterns out of numbers and of symbols. "
    "Held Out Person was mentioned in the same letter by Mary Somerville in 1843.\n"
)


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Return a folder with a corpus, facts, editing rows and held-out rows."""
    with lzma.open(tmp_path / "corpus.txt.xz", "wt", encoding="utf-8") as file:
        file.write(_TEXT * 40)
    with (tmp_path / "facts.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(("relation", "subject", "object"))
        writer.writerow(("P36", "France", "Paris"))
        writer.writerow(("P36", "Bolivia", "Sucre"))
        writer.writerow(("P36", "Bolivia", "La Paz"))
        writer.writerow(("P36", "Held Out Person", "Nowhere"))
        writer.writerow(("P9999", "Spain", "unused"))
    rows = [
        {"prompt": f"The tutor of Pupil {n} is", "subject": f"Pupil {n}", "target_new": f"Dr. {n}"}
        for n in range(40)
    ]
    held_out = [{"prompt": "x", "subject": "Held Out Person", "target_new": "y"}]
    (tmp_path / "rows.json").write_text(json.dumps([*rows, *held_out]), encoding="utf-8")
    (tmp_path / "held_out.json").write_text(json.dumps(held_out), encoding="utf-8")
    return tmp_path


@pytest.fixture
def corpus(data_folder: Path) -> Corpus:
    """Return what the folder's text holds."""
    return read_corpus(data_folder / "corpus.txt.xz", max_chars=100_000)
