"""The reliability diagram is drawn from the bins that a report has."""

from lte_chains import Edit
from lte_chains.scope.calibration import Calibration
from lte_chains.training.scope_gate.diagram import save_diagram
from lte_chains.training.scope_gate.near_misses import measure
from lte_chains.training.scope_gate.pairs import Pair


def test_bins_of_a_report_become_a_picture(tmp_path):
    edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe")
    pairs = [Pair("Who runs Acme?", edit, n % 2 == 0, "other_relation") for n in range(40)]
    scores = [2.0 if pair.in_scope else -2.0 for pair in pairs]
    bins = measure(pairs, scores, Calibration())["reliability"]
    save_diagram(bins, tmp_path / "bins.png")
    save_diagram([], tmp_path / "none.png")
    drawn, empty = ((tmp_path / name).read_bytes() for name in ("bins.png", "none.png"))
    assert drawn.startswith(b"\x89PNG")
    assert drawn != empty
