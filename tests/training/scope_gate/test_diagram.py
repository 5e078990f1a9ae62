"""The reliability diagram is drawn from the bins that a report has."""

import json

from lte_chains import Edit
from lte_chains.training.scope_gate.diagram import main, save_diagram
from lte_chains.training.scope_gate.near_misses import measure
from lte_chains.training.scope_gate.pairs import Pair


def test_bins_of_a_report_become_a_picture(tmp_path):
    edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe")
    pairs = [Pair("Who runs Acme?", edit, n % 2 == 0, "other_relation") for n in range(40)]
    bins = measure(pairs, [0.9 if pair.in_scope else 0.1 for pair in pairs])["reliability"]
    save_diagram(bins, tmp_path / "bins.png")
    save_diagram([], tmp_path / "none.png")
    drawn, empty = ((tmp_path / name).read_bytes() for name in ("bins.png", "none.png"))
    assert drawn.startswith(b"\x89PNG")
    assert drawn != empty


def test_a_report_of_retrieval_becomes_a_picture(tmp_path):
    points = [
        {"threshold": n / 10, "false_fire": 1 - n / 10, "passed": {"rephrase": 1 - n / 20}}
        for n in range(1, 10)
    ]
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"separation": {"trade_off": points}}), encoding="utf-8")
    main([str(report), str(tmp_path / "points.png"), "--kinds", "rephrase"])
    assert (tmp_path / "points.png").read_bytes().startswith(b"\x89PNG")
