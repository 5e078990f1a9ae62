"""Results on disk: an interrupted run goes on, and another run is not mixed in."""

from __future__ import annotations

import pytest

from lte_chains.errors import ConfigError, DataError
from lte_chains.evaluation.results_log import ResultsLog

SETTINGS = {"data": "rows.json", "seed": 0}


def _row(row, method="lte"):
    return {"method": method, "row": row}


def test_rows_come_back_in_their_order(tmp_path):
    path = tmp_path / "deep" / "rows.jsonl"
    log = ResultsLog(path, SETTINGS)
    log.add([_row(1), _row(0)])
    log.add([_row(0, "rome")])
    again = ResultsLog(path, SETTINGS)
    assert again.of("lte") == [_row(0), _row(1)]
    assert again.done("rome") == {0}
    assert again.done("memit") == set()


def test_a_line_that_was_cut_off_is_done_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    ResultsLog(path, SETTINGS).add([_row(0), _row(1)])
    path.write_text(path.read_text()[:-5])
    log = ResultsLog(path, SETTINGS)
    assert log.done("lte") == {0}
    log.add([_row(1)])
    assert ResultsLog(path, SETTINGS).done("lte") == {0, 1}


def test_a_group_that_was_cut_off_and_is_done_again_counts_once(tmp_path):
    path = tmp_path / "rows.jsonl"
    ResultsLog(path, SETTINGS).add([_row(0), {**_row(1), "seconds": 1}])
    path.write_text(path.read_text()[:-5])
    log = ResultsLog(path, SETTINGS)
    log.add([{**_row(0), "seconds": 2}, _row(1)])
    for opened in (log, ResultsLog(path, SETTINGS)):
        assert opened.of("lte") == [{**_row(0), "seconds": 2}, _row(1)]


def test_a_line_without_its_end_is_kept_apart_from_the_next(tmp_path):
    path = tmp_path / "rows.jsonl"
    ResultsLog(path, SETTINGS).add([_row(0)])
    path.write_text(path.read_text().rstrip("\n"))
    ResultsLog(path, SETTINGS).add([_row(1)])
    assert ResultsLog(path, SETTINGS).done("lte") == {0, 1}


def test_results_of_another_run_are_not_mixed_in(tmp_path):
    path = tmp_path / "rows.jsonl"
    ResultsLog(path, SETTINGS)
    with pytest.raises(ConfigError, match=r"its seed differ.*name another folder"):
        ResultsLog(path, {**SETTINGS, "seed": 1})


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("no json\n")
    with pytest.raises(DataError, match="no log of results"):
        ResultsLog(path, SETTINGS)


def test_without_a_file_rows_are_kept_in_memory():
    log = ResultsLog(None, SETTINGS)
    log.add([_row(0)])
    assert log.done("lte") == {0}
