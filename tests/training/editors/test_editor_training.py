"""Training of MEND, SERAC and InstructEdit: on random models, a few steps, the whole path."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from lte_chains.cases import parse_case
from lte_chains.cli import app
from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, DataError
from lte_chains.evaluation.editors import Resources, make_editor
from lte_chains.evaluation.editors.hypernetwork import HypernetworkConfig
from lte_chains.evaluation.editors.instructions import TASKS, instructed
from lte_chains.evaluation.editors.mend import Mend
from lte_chains.evaluation.editors.nearest import Nearest
from lte_chains.evaluation.seen import digest_of_subject, seen_in
from lte_chains.models import load_model
from lte_chains.training.editors.examples import (
    EditExample,
    digest_of,
    examples_of,
    split_examples,
    with_own_answers,
)
from lte_chains.training.editors.hypernetworks import HypernetworkTraining, train_hypernetwork
from lte_chains.training.editors.sentiment import sentiment_examples
from lte_chains.training.editors.serac import SeracTraining, train_classifier
from lte_chains.training.editors.train import EditorTraining, train_editors
from lte_chains.training.instruct_edit import (
    InstructEditConfig,
    judge_edits,
    split_tasks,
    train_instruct_edit,
)
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.tiny_models import save_llama

NAMES = ("Acme", "Globex", "Initech", "Hooli", "Umbrella", "Stark", "Wayne", "Tyrell")
ROWS = [
    {
        "subject": name,
        "prompt": f"The CEO of {name} is",
        "target_new": f"Jane {number}",
        "rephrase_prompt": f"Who heads {name}?",
        "locality": {"Other": [{"prompt": f"The seat of {name} is", "ground_truth": "Rome"}]},
        "portability": {
            "Subject_Aliasing": [
                {"prompt": f"The CEO of {name} Inc is", "ground_truth": f"Jane {number}"}
            ],
            "Reasoning": [{"prompt": "Where?", "ground_truth": "Rome"}],
        },
    }
    for number, name in enumerate(NAMES)
]
CASES = [parse_case(row) for row in ROWS]
SMALL = EditorTraining(
    network=HypernetworkConfig(rank=4, blocks=1),
    hypernetwork=HypernetworkTraining(steps=3, batch_size=2),
    serac=SeracTraining(steps=2, batch_size=2, classifier_steps=50, width=16),
)


class _Words(BagOfWordsEmbeddings):
    fingerprint = "all-MiniLM-L6-v2:test"

    def __init__(self):
        super().__init__(dim=256)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(save_llama(tmp_path_factory.mktemp("llama"), context=512), max_new_tokens=4)


@pytest.fixture(scope="module")
def examples(model):
    return with_own_answers(examples_of(CASES, task="factual"), model)


def test_an_example_has_other_questions_with_its_answer_and_questions_apart():
    first = examples_of(CASES, task="recent")[0]
    assert first.edit.metadata["task"] == "recent"
    assert first.rephrased == ("Who heads Acme?", "The CEO of Acme Inc is")
    assert [question for question, _ in first.outside] == [
        "The seat of Acme is",
        "The CEO of Globex is",
    ]
    with pytest.raises(DataError, match="too few"):
        examples_of(CASES[:1], task="recent")


def test_outside_the_model_keeps_its_own_answers(model, examples):
    for question, said in examples[0].outside:
        assert said == model.invoke(question).text


def test_no_subject_is_both_trained_on_and_judged_by(examples):
    doubled = [*examples, *examples]
    train, dev = split_examples(doubled, dev=4, seed=0)
    assert len(train) + len(dev) == len(doubled)
    assert not {e.edit.subject for e in train} & {e.edit.subject for e in dev}
    assert split_examples(doubled, dev=4, seed=0) == (train, dev)
    assert digest_of(train) != digest_of(dev)


def test_no_subject_is_trained_on_in_one_task_and_judged_by_in_another():
    names = [f"Acme {number}" for number in range(40)]
    rows = [{"subject": n.upper(), "prompt": f"{n} is", "target_new": "x"} for n in names]
    tasks = {
        "recent": examples_of(map(parse_case, rows), task="recent"),
        "sentiment": sentiment_examples(names[:20]),
        "factual": examples_of(CASES, task="factual"),
    }
    config = InstructEditConfig(held_out="factual", dev_rows=5, train_rows=30)
    learnt, judged = split_tasks(tasks, config)
    about = {example.about for examples in judged.values() for example in examples}
    assert {task: len(examples) for task, examples in judged.items()} == dict.fromkeys(tasks, 5)
    assert learnt.keys() == {"recent", "sentiment"}
    assert not {example.about for examples in learnt.values() for example in examples} & about


def test_another_name_of_the_target_is_a_right_answer(model):
    row = {"prompt": "The CEO of Acme is", "target_new": ["Jane Doe", "J. Doe"]}
    [example, _] = examples_of([parse_case(row), CASES[1]], task="recent")
    assert example.aliases == ("J. Doe",)
    [plain] = judge_edits(Mend.untrained(model, SMALL.network), [example])
    said = model.invoke(example.edit.prompt).text
    named = replace(example, aliases=(said,))
    editor = Mend.untrained(model, HypernetworkConfig(rank=4, blocks=1, first_rate=0.0))
    assert judge_edits(editor, [named])[0]["edit_success"] == 1.0
    assert plain["edit_success"] == 0.0


def test_a_network_begins_as_its_seed_says(model):
    def begun(seed):
        torch.rand(3)  # whatever was drawn before
        network = Mend.untrained(model, SMALL.network, seed=seed).network
        return torch.cat([value.flatten() for value in network.parameters()])

    assert torch.equal(begun(0), begun(0))
    assert not torch.equal(begun(0), begun(1))


def test_opinions_come_in_several_wordings_and_leave_other_topics_alone():
    first = sentiment_examples(["tea", "rain"])[0]
    assert all("tea" in question for question in first.questions)
    assert len(set(first.questions)) == 4
    assert "rain" in first.outside[0][0]
    with pytest.raises(DataError, match="too few"):
        sentiment_examples(["tea"])


def test_training_lowers_the_loss_of_edits(model, examples):
    editor = Mend.untrained(model, HypernetworkConfig(rank=8, first_rate=1e-3))
    config = HypernetworkTraining(steps=40, batch_size=4, learning_rate=1e-2, edit_weight=1.0)
    log = train_hypernetwork(editor, examples[:2], config, log_every=10)
    assert [entry.step for entry in log] == [10, 20, 30, 40]
    assert log[-1].edit < log[0].edit


def test_training_leaves_the_model_alone(model, examples):
    with model.borrowed_module() as module:
        before = {name: value.clone() for name, value in module.state_dict().items()}
    train_hypernetwork(Mend.untrained(model, SMALL.network), examples, SMALL.hypernetwork)
    with model.borrowed_module() as module:
        assert all(bool((before[n] == v).all()) for n, v in module.state_dict().items())
        assert not any(p.requires_grad for p in module.parameters())


def test_the_classifier_learns_which_questions_are_about_an_edit(examples):
    words = _Words()
    classifier = train_classifier(examples, words, SeracTraining(classifier_steps=400, width=64))
    store = Nearest(words)
    store.add([e.edit.descriptor for e in examples])
    likely = classifier.probability(store.vectors, store.embed([e.edit.prompt for e in examples]))
    assert np.diag(likely).min() > 0.5
    apart = classifier.probability(
        store.vectors[:1], store.embed([question for question, _ in examples[0].outside])
    )
    assert apart.max() < 0.5


def test_editors_are_trained_into_a_folder_once_and_read_from_it(model, examples, tmp_path):
    given = {"embeddings": _Words(), "config": SMALL}
    done = train_editors(model, examples, tmp_path, **given)
    assert done == {"mend": "trained", "serac": "trained"}
    assert seen_in(tmp_path) == {digest_of_subject(name) for name in NAMES}
    again = train_editors(model, examples, tmp_path, **given)
    assert again == {"mend": "was there", "serac": "was there"}
    fewer = train_editors(model, examples[:4], tmp_path, names=["mend"], **given)
    assert fewer == {"mend": "trained"}
    resources = Resources(model=model, base=model, embeddings=_Words(), trained=tmp_path)
    edit = Edit(prompt="The CEO of Acme is", target_new="Jane", subject="Acme")
    for name in ("mend", "serac"):
        editor = make_editor(name, resources)
        editor.edit([edit])
        assert len(editor.routes(["Who?"])) == 1
        editor.undo()
    with pytest.raises(ConfigError, match=r"unknown editors \['rome'\]"):
        train_editors(model, examples, tmp_path, names=["rome"], **given)


def _tasks():
    return {
        "recent": examples_of(CASES, task="recent"),
        "factual": examples_of(CASES, task="factual"),
        "sentiment": sentiment_examples(NAMES),
    }


def test_instruct_edit_is_compared_with_mend_on_seen_and_unseen_tasks(model, tmp_path):
    config = InstructEditConfig(held_out="factual", dev_rows=2, training=SMALL)
    report = train_instruct_edit(model, _tasks(), tmp_path, config)
    assert report == json.loads((tmp_path / "instruct-edit.json").read_text())
    assert set(report["tasks"]) == {"recent", "factual", "sentiment"}
    assert report["train_rows"] == 2 * 6  # two tasks, and two edits of each for dev
    for figures in report["tasks"].values():
        assert figures["rows"] == 2
        for editor in ("mend", "instruct_edit", "instruct_edit_unseen"):
            assert 0 <= figures[editor]["edit_success"]["mean"] <= 1
        assert "low" in figures["difference"]["instruct_edit"]["locality"]
    again = train_instruct_edit(model, _tasks(), tmp_path, config)
    assert again["editors"] == {"instruct_edit": "was there", "mend": "was there"}
    resources = Resources(model=model, base=model, embeddings=_Words(), trained=tmp_path)
    assert make_editor("instruct-edit", resources).parameters_touched > 0


@pytest.mark.parametrize(
    ("tasks", "message"),
    [({"recent"}, "'factual' is to be held out"), ({"factual"}, "at least one other")],
)
def test_tasks_that_are_missing_are_named(model, tasks, message, tmp_path):
    given = {name: examples for name, examples in _tasks().items() if name in tasks}
    with pytest.raises(ConfigError, match=message):
        train_instruct_edit(model, given, tmp_path)
    with pytest.raises(ConfigError, match="unknown tasks"):
        train_instruct_edit(model, {**given, "odd": given.popitem()[1]}, tmp_path)


def test_every_task_has_ten_descriptions_and_all_differ():
    texts = {instructed(task, "x", description=n) for task in TASKS for n in range(10)}
    assert len(texts) == 40
    with pytest.raises(ConfigError, match="from 0 to 9"):
        instructed("recent", "x", description=10)
    with pytest.raises(ConfigError, match="unknown task"):
        instructed("odd", "x")


def test_examples_need_no_rephrasing():
    assert EditExample(edit=CASES[0].edit).questions == ("The CEO of Acme is",)


def test_the_commands_train_and_report(model, tmp_path):
    data, out = tmp_path / "rows.json", str(tmp_path / "out")
    data.write_text(json.dumps(ROWS))
    small = ["--model", model.model_name, "--steps", "1", "--out", out, "--json"]
    result = CliRunner().invoke(
        app, ["align", "editors", "--data", str(data), "--editors", "mend", *small]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["editors"] == {"mend": "trained"}
    tasks = ["--data", f"recent={data}", "--data", f"factual={data}", "--topics", "4"]
    result = CliRunner().invoke(app, ["align", "instruct-edit", *tasks, "--dev-rows", "1", *small])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["held_out"] == "factual"
    result = CliRunner().invoke(app, ["align", "instruct-edit", "--data", "recent", *small])
    assert result.exit_code == 2
    assert "TASK=FILE" in result.output
