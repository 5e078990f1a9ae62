"""Comparing methods: same rows and judge, what the report holds, and going on after a break."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial

import pytest
from langchain_core.language_models import SimpleChatModel

from lte_chains.cases import parse_case, read_cases
from lte_chains.errors import ConfigError
from lte_chains.evaluation import comparison
from lte_chains.evaluation.comparison import ComparisonConfig, compare_methods
from lte_chains.evaluation.editors import Resources
from lte_chains.evaluation.editors.train_cases import apart_from, train_cases
from lte_chains.evaluation.identity import digest_of_folder
from lte_chains.evaluation.judging import targets_of
from lte_chains.evaluation.plots import plot_decay
from lte_chains.evaluation.regimes import Regime
from lte_chains.evaluation.report import (
    comparison_tables,
    to_markdown,
    write_report,
)
from lte_chains.evaluation.seen import add_subjects
from lte_chains.models import load_model
from lte_chains.scope import CrossEncoderGate
from tests.evaluation.rows import ROWS, write_rows
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.tiny_models import save_llama, tiny_adapter, tiny_llama


class _Words(BagOfWordsEmbeddings):
    fingerprint = "all-MiniLM-L6-v2:test"

    def __init__(self):
        super().__init__(dim=1024)


class _Reader(SimpleChatModel):
    """Answers with the first fact that it is given, and else knows nothing new."""

    def _call(self, messages, stop=None, run_manager=None, **kwargs):
        _, given, rest = messages[-1].text.partition("[Updated Information]:\n")
        if not given:
            return "I do not know."
        return rest.splitlines()[0].removeprefix("1. ").rpartition(" is ")[2]

    @property
    def _llm_type(self):
        return "reader"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = save_llama(tmp_path_factory.mktemp("llama"), context=512)
    return load_model(folder, max_new_tokens=6)


@pytest.fixture
def data(tmp_path):
    return write_rows(tmp_path)


def _resources(base, **more):
    given = {"model": _Reader(), "base": base, "embeddings": _Words(), "k": 1}
    return Resources(**{**given, **more})


def _reopened(folder, **more):
    return _resources(load_model(folder, max_new_tokens=6), **more)


def _config(*methods, regime="single", **more):
    return ComparisonConfig(methods=methods, regime=Regime.parse(regime), fluency_rows=1, **more)


def test_each_method_has_the_figures_that_the_report_promises(base, data):
    report = compare_methods(data, _resources(base), _config("lte", "ice", "ft-m"))
    assert report["rows"] == 3
    assert report["seed"] == 0
    assert {"versions", "hardware"} <= report.keys()
    json.dumps(report)
    for name, figures in report["methods"].items():
        assert {"edit_success", "rephrase", "portability", "locality"} <= figures.keys()
        assert 0 <= figures["edit_success"] <= 1
        assert (figures["difference"] is None) is (name == "lte")
        assert figures["seconds_per_edit"] > 0
    lte = report["methods"]["lte"]
    assert lte["edit_success"] == 1.0
    assert lte["rephrase"] == 0.6667
    assert lte["portability_by_kind"] == {"Reasoning": 0.0, "Subject_Aliasing": 1.0}
    assert lte["time_ratio"] == 1.0
    assert report["methods"]["ft-m"]["parameters_touched"] == 64 * 32
    assert report["methods"]["ft-m"]["fluency"] > 0


def test_differences_are_of_the_same_rows(base, data):
    report = compare_methods(data, _resources(base), _config("lte", "ft-l"))
    lte, other = report["methods"]["lte"], report["methods"]["ft-l"]
    found = other["difference"]["edit_success"]
    assert found["rows"] == 3
    assert found["mean"] == pytest.approx(other["edit_success"] - lte["edit_success"])
    assert found["low"] <= found["mean"] <= found["high"]


def test_all_edits_of_a_group_are_in_the_model_before_it_is_asked(base, data, monkeypatch):
    seen = []
    original = comparison.judged_rows

    def watching(editor, numbered, *args, **kwargs):
        seen.append(
            [
                route.messages[-1].text.count("is") > 1
                for route in editor.routes([case.edit.prompt for _, case in numbered])
            ]
        )
        return original(editor, numbered, *args, **kwargs)

    monkeypatch.setattr(comparison, "judged_rows", watching)
    for regime, groups in (("single", 3), ("batch:2", 2), ("sequential:3", 1)):
        seen.clear()
        compare_methods(data, _resources(base), _config("lte", regime=regime))
        assert len(seen) == groups
        assert all(all(group) for group in seen)


def test_the_model_is_as_it_was_when_all_is_done(base, data):
    with base.borrowed_module() as module:
        before = {name: value.clone() for name, value in module.state_dict().items()}
    compare_methods(data, _resources(base), _config("ft-m", "lora", "ft-l", regime="batch:3"))
    with base.borrowed_module() as module:
        assert all(bool((before[n] == value).all()) for n, value in module.state_dict().items())


def test_an_interrupted_run_goes_on_where_it_stopped(base, data, tmp_path, monkeypatch):
    config = _config("lte", "ft-m")
    whole = compare_methods(data, _resources(base), config)
    asked = []
    original = comparison.judged_rows

    def breaking(editor, numbered, *args, **kwargs):
        asked.append([row for row, _ in numbered])
        if len(asked) == 5:
            raise KeyboardInterrupt
        return original(editor, numbered, *args, **kwargs)

    monkeypatch.setattr(comparison, "judged_rows", breaking)
    results = tmp_path / "results"
    with pytest.raises(KeyboardInterrupt):
        compare_methods(data, _resources(base), config, results=results)
    asked.clear()
    again = compare_methods(data, _resources(base), config, results=results)
    assert asked == [[1], [2]]  # of the second method, the first row was done
    for name in ("lte", "ft-m"):
        for measure in ("edit_success", "locality", "fluency"):
            assert again["methods"][name][measure] == whole["methods"][name][measure]


def test_several_processes_find_what_one_finds(base, data, tmp_path):
    methods = "lte", "ft-m", "ft-l"
    alone = compare_methods(data, _resources(base), _config(*methods))
    resources = _resources(base, reopen=partial(_reopened, base.model_name))
    config = _config(*methods, jobs=2)
    report = compare_methods(data, resources, config, results=tmp_path)
    for name in methods:
        for measure in ("edit_success", "portability", "locality", "fluency", "teacher_forced"):
            assert report["methods"][name][measure] == alone["methods"][name][measure]
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 1 + 3 * len(methods)


def test_several_processes_need_models_that_can_be_opened_again(base, data):
    with pytest.raises(ConfigError, match="open_resources, or jobs=1"):
        compare_methods(data, _resources(base), _config("lte", jobs=2))


def test_a_row_that_a_process_fails_on_ends_the_run(base, data):
    resources = _resources(base, reopen=partial(_reopened, base.model_name, k=0))
    with pytest.raises(ConfigError, match="k"):
        compare_methods(data, resources, _config("lte", "ft-m", jobs=2))


def test_a_method_can_be_added_to_results_that_are_there(base, data, tmp_path):
    compare_methods(data, _resources(base), _config("lte"), results=tmp_path)
    report = compare_methods(data, _resources(base), _config("lte", "ft-l"), results=tmp_path)
    assert report["methods"]["ft-l"]["difference"]["edit_success"]["rows"] == 3
    with pytest.raises(ConfigError, match="its regime, rows differ"):
        compare_methods(data, _resources(base), _config("lte", regime="batch:2"), results=tmp_path)


def test_teacher_forced_scores_agree_with_raw_logits(base, data):
    """Computed here from the logits of one row at a time, without the package's batches."""
    import torch
    from langchain_core.messages import HumanMessage

    report = compare_methods(data, _resources(base, model=base), _config("lte"))
    cases = read_cases(data)
    accuracies = []
    for case in cases:
        question, target = targets_of(case)[0]
        # No edit is in scope for a memory that was asked with the gate of one edit alone.
        editor = comparison.make_editor("lte", _resources(base, model=base))
        editor.edit([case.edit])
        [route] = editor.routes([question])
        prompt = base.weights.decoder.encode(list(route.messages))
        wanted = base.weights.decoder.token_ids(target)
        with base.borrowed_module() as module:
            logits = module(torch.tensor([[*prompt, *wanted]])).logits[0]
        hits = [
            int(logits[len(prompt) - 1 + place].argmax()) == token
            for place, token in enumerate(wanted)
        ]
        accuracies.append(sum(hits) / len(hits))
        assert isinstance(route.messages[0], HumanMessage)
    expected = sum(accuracies) / len(accuracies)
    assert report["methods"]["lte"]["teacher_forced"]["edit_success"] == pytest.approx(
        expected, abs=1e-4
    )


@pytest.mark.parametrize("regime", ["single", "batch:4", "sequential:4"])
def test_a_row_whose_edit_is_too_long_has_failed_and_the_others_go_on(base, tmp_path, regime):
    long = {"prompt": "The CEO of Hooli is", "target_new": "word " * 600, "subject": "Hooli"}
    data = write_rows(tmp_path, [long, *ROWS])
    config = _config("ft-m", regime=regime)
    report = compare_methods(data, _resources(base), config, results=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()[1:]]
    assert [row.get("too_long", False) for row in rows] == [True, False, False, False]
    assert rows[0]["generated"]["edit_success"] == rows[0]["forced"]["edit_success"] == 0
    assert report["methods"]["ft-m"]["too_long"] == 1
    assert "counted as failed: 1 edits of FT-M" in comparison_tables(report)[0][0]


@pytest.mark.parametrize("changed", ["content", "train", "embedder", "editors", "gate", "weights"])
def test_results_of_something_else_are_not_gone_on_from(base, data, tmp_path, changed):
    (tmp_path / "editors").mkdir()
    trained = tmp_path / "editors" / "editor.json"
    trained.write_text("1")
    given = {"trained": tmp_path / "editors", "train": [parse_case(ROWS[0])]}
    results = tmp_path / "results"
    compare_methods(data, _resources(base, **given), _config("ice"), results=results)
    if changed == "content":
        data.write_text(data.read_text().replace("Jane Doe", "John Doe"))
    elif changed == "train":
        given["train"] = [parse_case(ROWS[1])]
    elif changed == "embedder":
        given["embeddings"] = _Words()
        given["embeddings"].fingerprint = "another"
    elif changed == "editors":
        trained.write_text("2")
    elif changed == "gate":
        given["gate"] = CrossEncoderGate(threshold=0.9)
    else:
        given["model"] = load_model(tiny_llama(), adapter=tiny_adapter())
    with pytest.raises(ConfigError, match=f"another run .*{changed}.* differ"):
        compare_methods(data, _resources(base, **given), _config("ice"), results=results)


def test_a_text_that_describes_editors_is_no_part_of_what_they_are(tmp_path):
    (tmp_path / "editor.json").write_text("1")
    before = digest_of_folder(tmp_path)
    (tmp_path / "README.md").write_text("Trained on ten rows.")
    assert digest_of_folder(tmp_path) == before
    (tmp_path / "editor.json").write_text("2")
    assert digest_of_folder(tmp_path) != before


def test_single_edits_are_gone_on_with_by_more_rows_and_reported_for_fewer(base, data, tmp_path):
    whole = compare_methods(data, _resources(base), _config("ice"))
    first = compare_methods(data, _resources(base), _config("ice", limit=1), results=tmp_path)
    compare_methods(data, _resources(base), _config("ice"), results=tmp_path)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["row"] for line in lines] == list(range(whole["rows"]))
    gone_on = compare_methods(data, _resources(base), _config("ice"), results=tmp_path)
    assert gone_on["methods"]["ice"]["intervals"] == whole["methods"]["ice"]["intervals"]
    again = compare_methods(data, _resources(base), _config("ice", limit=1), results=tmp_path)
    assert again["rows"] == first["rows"] == 1
    assert again["methods"]["ice"]["intervals"] == first["methods"]["ice"]["intervals"]


def test_edits_among_others_are_not_gone_on_with_by_more_rows(base, data, tmp_path):
    config = _config("ice", regime="batch:10", limit=1)
    compare_methods(data, _resources(base), config, results=tmp_path)
    with pytest.raises(ConfigError, match=r"another run \(its rows differ\)"):
        compare_methods(data, _resources(base), replace(config, limit=None), results=tmp_path)


def test_a_method_that_cannot_run_is_found_before_the_first_edit(base, data, tmp_path):
    with pytest.raises(ConfigError, match="align editors"):
        compare_methods(data, _resources(base), _config("lte", "mend"), results=tmp_path)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 1


def test_models_of_different_tokenizers_are_refused(base, data):
    with pytest.raises(ConfigError, match="different tokenizers"):
        compare_methods(data, _resources(base, model=load_model("lte-tiny")), _config("lte"))


def test_an_adapted_model_is_compared_with_itself_without_the_adapter(data):
    adapted = load_model(tiny_llama(), adapter=tiny_adapter(), max_new_tokens=6)
    report = compare_methods(
        data, _resources(adapted.unedited, model=adapted), _config("lte", "ice")
    )
    assert set(report["methods"]) == {"lte", "ice"}


def test_train_rows_about_evaluated_subjects_or_prompts_are_left_out(tmp_path):
    judged = write_rows(tmp_path)
    train = tmp_path / "train.json"
    train.write_text(
        json.dumps(
            [
                {"prompt": "Acme's seat is in", "target_new": "Rome", "subject": "ACME"},
                {"prompt": "the ceo of Globex is ", "target_new": "X"},
                {"prompt": "The CEO of Hooli is", "target_new": "Y", "subject": "Hooli"},
            ]
        )
    )
    assert [case.edit.subject for case in train_cases([train], held_out=[judged])] == ["Hooli"]
    assert train_cases([]) == []
    rows = [parse_case(row) for row in ROWS]
    assert apart_from(rows, rows) == []


def test_the_report_is_written_as_json_markdown_and_a_plot(base, data, tmp_path):
    report = compare_methods(data, _resources(base), _config("lte", "ft-m"))
    files = {path.name: path for path in write_report(report, tmp_path / "report")}
    assert json.loads(files["report.json"].read_text()) == json.loads(json.dumps(report))
    assert files["report.md"].read_text() == to_markdown(report)
    assert "| FT-M |" in files["report.md"].read_text()
    assert files["success-locality.png"].read_bytes().startswith(b"\x89PNG")
    titles = [title for title, _, _ in comparison_tables(report)]
    setting = f"Generated answers: 3 rows, single, {base.model_name} edited; its fluency before is "
    assert titles[0] == f"{setting}{report['original']['fluency']:.0f}"
    assert any(title.startswith("Difference to LTE") for title in titles)
    [kinds] = [t for t in comparison_tables(report) if t[0] == "Portability by kind"]
    assert kinds[1] == ["method", "Reasoning", "Subject Aliasing"]
    assert kinds[2][0] == ["LTE", "0.0", "100.0"]


def test_rows_that_a_later_row_takes_back_are_told(base, tmp_path):
    data = write_rows(tmp_path, [ROWS[0], {**ROWS[0], "target_new": "Somebody else"}])
    report = compare_methods(data, _resources(base), _config("lte", regime="batch:2"))
    assert report["superseded"] == 1
    assert "1 rows are edited otherwise by later ones" in comparison_tables(report)[0][0]


def test_rows_that_the_model_was_trained_on_are_told(base, data, tmp_path, caplog):
    folder = save_llama(tmp_path / "model", context=512)
    add_subjects(folder, ["Acme"])
    model = load_model(folder, max_new_tokens=6)
    report = compare_methods(data, _resources(base, model=model), _config("lte", "ft-m"))
    [note] = report["notes"]
    assert note.startswith("1 of 3 rows are about subjects")
    assert note in caplog.text
    assert to_markdown(report).startswith(f"> {note}\n\n### Generated answers")
    assert compare_methods(data, _resources(base), _config("ft-m"))["notes"] == []


def test_without_matplotlib_the_report_is_written_all_the_same(base, data, tmp_path, monkeypatch):
    report = compare_methods(data, _resources(base), _config("lte"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    names = [path.name for path in write_report(report, tmp_path / "report")]
    assert names == ["report.json", "report.md"]


def test_curves_leave_out_what_was_not_measured(tmp_path):
    path = plot_decay({"LTE": [(1, 1.0), (10, None)]}, tmp_path / "x.png", measure="success")
    assert path.stat().st_size > 1000
