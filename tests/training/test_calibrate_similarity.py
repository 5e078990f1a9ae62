"""The calibration picks the threshold of least cost, and reads the sources it names."""

from __future__ import annotations

import json

import pytest
from langchain_core.embeddings import Embeddings

from lte_chains.edit import Edit
from lte_chains.training.calibrate_similarity import Source, calibrate, read_sources, score


class _Angles(Embeddings):
    """Texts "name@degrees" in the plane, so that cosines are known."""

    def embed_documents(self, texts):
        import math

        angles = [math.radians(float(text.rpartition("@")[2])) for text in texts]
        return [[2 * math.cos(angle), 2 * math.sin(angle)] for angle in angles]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


SOURCE = Source(
    name="plane",
    edits=[Edit.from_statement("a@0"), Edit.from_statement("b@90")],
    in_scope_kind="near",
    in_scope=[(0, "q@10"), (0, "q@20"), (1, "q@80"), (1, "q@60")],  # cosines .985 .940 .985 .866
    out_of_scope_kind="far",
    out_of_scope=["q@45", "q@40"],  # .707 and .766 to the nearest edit
)


def test_cosines_are_those_of_the_right_edit_and_of_the_nearest():
    scores = score(SOURCE, _Angles())
    assert scores.right == pytest.approx([0.9848, 0.9397, 0.9848, 0.8660], abs=1e-4)
    assert scores.nearest == pytest.approx([0.7071, 0.7660], abs=1e-4)


def test_the_lowest_threshold_that_separates_is_chosen():
    result = calibrate([SOURCE], _Angles())
    assert result["threshold"] == 0.77
    assert result["at_threshold"]["pass"] == {"near": 1.0}
    assert result["at_threshold"]["false_fire"] == {"far": 0.0}
    assert result["counts"] == {"plane": {"edits": 2, "near": 4, "far": 2}}


def test_a_right_edit_behind_three_others_is_missed_at_any_threshold():
    crowd = [Edit.from_statement(f"{n}@{n}") for n in (0, 1, 2, 3)]
    source = Source("crowd", crowd, "near", [(3, "q@0")])
    assert score(source, _Angles()).passed(-0.5) == 0


def test_an_edit_scores_by_the_best_of_its_wordings():
    edit = Edit(prompt="a@0", target_new="b@40")  # found by "a@0" and by "a@0 b@40"
    source = Source("two", [edit, Edit.from_statement("c@90")], "near", [(0, "q@35")])
    assert score(source, _Angles()).right == pytest.approx([0.9962], abs=1e-4)


def test_the_four_sources_are_read(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")

    edit = {"prompt": "The CEO of Acme is", "target_new": "Jane", "subject": "Acme"}
    write(
        "knowedit/wiki_counterfact_train_cf.json",
        [
            {
                **edit,
                "portability": {"Subject_Aliasing": [{"prompt": "The CEO of Acme Inc is"}]},
                "locality": {"Relation_Specificity": [{"prompt": "The seat of Acme is"}]},
            },
            {**edit, "portability": {}, "locality": {}},
        ],
    )
    write(
        "counterfact/counterfact_train.json",
        [{**edit, "rephrase_prompt": "Acme is led by", "locality_prompt": "Globex is led by"}],
    )
    write("pokemqa/edit_questions.json", [{"edit": "Jane runs Acme", "questions": ["Who?", "?"]}])
    header = "question,object,paraphrased_question,locality_question\n"
    write("hallueditbench/a.csv", f"{header}Who runs Acme?,Jane,Who heads Acme?,Where is Acme?\n")
    write("hallueditbench/b.csv", f"{header}Who runs Acme?,,Who heads Acme?,Where is Acme?\n")

    sources = {source.name: source for source in read_sources(tmp_path)}

    assert sources["wiki_counterfact"].in_scope == [(0, "The CEO of Acme Inc is")]
    assert sources["wiki_counterfact"].out_of_scope == ["The seat of Acme is"]
    assert sources["counterfact"].in_scope == [(0, "Acme is led by")]
    assert sources["counterfact"].out_of_scope == ["Globex is led by"]
    assert sources["pokemqa"].in_scope == [(0, "Who?"), (0, "?")]
    assert [edit.statement for edit in sources["pokemqa"].edits] == ["Jane runs Acme"]
    assert sources["hallueditbench"].in_scope == [(0, "Who heads Acme?")]
    assert len(sources["hallueditbench"].edits) == 1
