"""Look for good settings of each method of editing, with the same budget for all.

    python benchmarks/tune_editors.py --data recent.json --data counterfact.json --rows 8

Every method gets at most eight settings, each tried on the same rows (so many of each
file), which must not be those that are reported on. The best by the mean of edit success,
rephrase, portability and locality wins. Everything that was tried, with its
figures, goes into --out, one JSON file a method, and tried.md, one table of all; what is
there is not tried again. The best of all methods are in settings.yaml, for
`lte-chains evaluate … --settings`.
MEND, SERAC and InstructEdit are tuned where they are trained: `--editors` names a
folder for each setting, as ``name=folder``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from lte_chains.cases import Case, read_cases
from lte_chains.embeddings import default_embeddings
from lte_chains.evaluation.comparison import ComparisonConfig, Unedited, ask, judged_rows
from lte_chains.evaluation.editors import Editor, Resources, make_editor
from lte_chains.evaluation.editors.train_cases import train_cases
from lte_chains.evaluation.environment import environment
from lte_chains.evaluation.resources import metered
from lte_chains.evaluation.runner import ANSWER_TOKENS
from lte_chains.evaluation.summary import summarise
from lte_chains.models import load_model

BUDGET = 8
"""Settings of each method, at most."""
FINE_TUNING: Sequence[Mapping[str, Any]] = [
    {"depth": depth, "learning_rate": rate, "steps": 40}
    for depth in (0.4, 0.8)
    for rate in (5e-4, 1e-3, 2e-3, 5e-3)
]
LIMITED = [{**FINE_TUNING[i], "largest_change": 5e-3} for i in (1, 2, 5, 6)]
SETTINGS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "ice": [{"k": 1}, {"k": 3}],
    "ike": [{"demonstrations": n} for n in (1, 2, 4, 8, 16, 32)],
    "ft-l": [*FINE_TUNING[1:3], *FINE_TUNING[5:7], *LIMITED],
    "ft-m": FINE_TUNING,
    "lora": [
        {"rank": rank, "learning_rate": rate, "steps": 40}
        for rank in (4, 16)
        for rate in (2e-4, 5e-4, 1e-3, 2e-3)
    ],
    "rome": [
        {"layer": layer, "search": {"steps": 60, "largest": largest, "learning_rate": rate}}
        for layer, largest, rate in (
            *((0, 4.0, 0.5), (0, 20.0, 0.2), (0, 20.0, 0.5), (0, 20.0, 1.0)),
            *((1, 20.0, 0.5), (1, 20.0, 1.0), (2, 20.0, 0.5), (2, 20.0, 1.0)),
        )
    ],
    "memit": [
        {"layers": layers, "search": {"steps": 60, "largest": 20.0, "learning_rate": rate}}
        for layers, rate in (
            *(([0], 0.2), ([0], 0.5), ([0], 1.0), ([1], 0.5)),
            *(([0, 1], 0.5), ([0, 1, 2], 0.5), ([0, 1, 2], 1.0), ([2, 3, 4], 0.5)),
        )
    ],
}
"""What is tried, by method."""
MEASURES = ("edit_success", "rephrase", "portability", "locality")


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the settings and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, action="append", default=[], help="rows to tune on")
    parser.add_argument("--train-data", type=Path, action="append", default=[])
    parser.add_argument("--model", default="lte-tiny-base")
    parser.add_argument("--methods", default=",".join(SETTINGS))
    parser.add_argument("--editors", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--rows", type=int, default=40, help="of each file")
    parser.add_argument("--out", type=Path, default=Path("runs/tune-editors"))
    options = parser.parse_args(arguments)
    if not options.data:
        print("nothing to tune on: give --data (KnowEdit-style rows that are not reported on)")
        return 0
    model = load_model(options.model, max_new_tokens=ANSWER_TOKENS, batch_size=32)
    resources = Resources(
        model=model,
        base=model,
        embeddings=default_embeddings(),
        train=train_cases(options.train_data, held_out=options.data),
    )
    cases = [case for path in options.data for case in read_cases(path, limit=options.rows)]
    original = ask(Unedited(model), cases, batch_size=32)
    wanted = {name: SETTINGS[name] for name in options.methods.split(",") if name}
    for given in options.editors:
        name, _, folder = given.partition("=")
        wanted[name] = [*wanted.get(name, []), {"folder": folder}]
    for name, settings in wanted.items():
        path = options.out / f"{name}.json"
        tried = json.loads(path.read_text("utf-8"))["tried"] if path.exists() else []
        for setting in settings[:BUDGET]:
            if any(one["setting"] == setting for one in tried):
                continue
            tried.append(_try(_editor(name, setting, resources), setting, cases, original))
            _write(path, name, options, tried)
            print(name, tried[-1], flush=True)
        if tried:
            print(name, "best:", max(tried, key=_worth)["setting"], flush=True)
            _gather(options.out)
    return 0


def _try(
    editor: Editor, setting: Mapping[str, Any], cases: Sequence[Case], original: Any
) -> dict[str, Any]:
    editor.prepare()
    rows = []
    for number, case in enumerate(cases):
        with metered() as cost:
            editor.edit([case.edit])
        try:
            [row] = judged_rows(
                editor, [(number, case)], original, config=ComparisonConfig(fluency_rows=0)
            )
        finally:
            editor.undo()
        rows.append({**row, "seconds": cost.seconds})
    figures = summarise(rows, [], 0)
    return {
        "setting": setting,
        **{name: figures[name] for name in (*MEASURES, "seconds_per_edit")},
    }


def _editor(name: str, setting: Mapping[str, Any], resources: Resources) -> Editor:
    """Make an editor of a setting: a trained one's is its folder."""
    if "folder" in setting:
        return make_editor(name, replace(resources, trained=Path(setting["folder"])))
    return make_editor(name, replace(resources, settings={name: setting}))


def _worth(tried: Mapping[str, Any]) -> float:
    # Not the harmonic mean: of so few rows one measure is easily 0, and would alone decide.
    return statistics.fmean(float(tried[measure] or 0) for measure in MEASURES)


def _write(path: Path, name: str, options: Any, tried: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "method": name,
        "model": options.model,
        "data": [path.name for path in options.data],
        "rows_of_each": options.rows,
        "budget": BUDGET,
        "tried": list(tried),
        "best": max(tried, key=_worth)["setting"],
        **environment(),
    }
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _gather(out: Path) -> None:
    """Write what was tried as one table, and the best settings of methods that are not trained."""
    records = [json.loads(path.read_text("utf-8")) for path in sorted(out.glob("*.json"))]
    lines = [f"| method | setting | {' | '.join(MEASURES)} |", f"|---|---|{'---|' * len(MEASURES)}"]
    for record in records:
        for tried in record["tried"]:
            chosen = "**" if tried["setting"] == record["best"] else ""
            cells = [f"{100 * (tried[measure] or 0):.0f}" for measure in MEASURES]
            setting = f"{chosen}{_spelt(tried['setting'])}{chosen}"
            lines.append(f"| {record['method']} | {setting} | {' | '.join(cells)} |")
    (out / "tried.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    best = {
        record["method"]: record["best"] for record in records if "folder" not in record["best"]
    }
    (out / "settings.yaml").write_text(yaml.safe_dump(best, sort_keys=False), encoding="utf-8")


def _spelt(setting: Mapping[str, Any]) -> str:
    flat = {**setting, **setting.get("search", {})}
    return ", ".join(f"{key} {value}" for key, value in flat.items() if key != "search")


if __name__ == "__main__":
    sys.exit(main())
