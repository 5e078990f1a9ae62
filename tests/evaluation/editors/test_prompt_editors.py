"""Methods that leave the weights alone: what each question is sent to, and what it reads."""

from __future__ import annotations

import numpy as np
import pytest
from langchain_core.language_models import ParrotFakeChatModel

from lte_chains.cases import parse_case
from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, ModelError
from lte_chains.evaluation.editors import METHODS, Resources, check_methods, make_editor
from lte_chains.evaluation.editors.asking import answer, force
from lte_chains.evaluation.editors.ike import Ike
from lte_chains.evaluation.editors.in_context import InContext
from lte_chains.evaluation.editors.lte import Lte
from lte_chains.evaluation.editors.serac import (
    COUNTERFACTUAL,
    ScopeClassifier,
    Serac,
    base_digest,
    save_serac,
)
from lte_chains.models import load_model
from tests.fakes_embeddings import BagOfWordsEmbeddings
from tests.tiny_models import save_adapter, tiny_llama

ACME = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme")
GLOBEX = Edit(prompt="The CEO of Globex is", target_new="Hank", subject="Globex")
CASES = [
    parse_case(
        {
            "prompt": f"The colour of {name} is",
            "target_new": "red",
            "rephrase_prompt": f"{name} is coloured",
            "locality": {"Other": [{"prompt": f"The size of {name} is", "ground_truth": "big"}]},
        }
    )
    for name in map(str, range(32))
]


class _Words(BagOfWordsEmbeddings):
    fingerprint = "all-MiniLM-L6-v2:test"

    def __init__(self):
        super().__init__(dim=1024)


@pytest.fixture
def models():
    return ParrotFakeChatModel(), ParrotFakeChatModel()


def _read(editor, question):
    [route] = editor.routes([question])
    return route.model, route.messages[-1].text


def test_lte_sends_a_question_in_scope_to_the_aligned_model_with_its_edit(models):
    aligned, base = models
    editor = Lte(aligned, unedited=base, embeddings=_Words())
    editor.edit([ACME])
    model, text = _read(editor, "The CEO of Acme is")
    assert model is aligned
    assert "[Updated Information]:\nThe CEO of Acme is Jane Doe" in text


def test_lte_sends_any_other_question_to_the_base_untouched(models):
    aligned, base = models
    editor = Lte(aligned, unedited=base, embeddings=_Words())
    editor.edit([ACME])
    assert _read(editor, "Zebras?") == (base, "Zebras?")
    editor.undo()
    assert _read(editor, "The CEO of Acme is") == (base, "The CEO of Acme is")


def test_ice_puts_the_nearest_edit_before_every_question(models):
    editor = InContext(models[0], embeddings=_Words())
    editor.edit([ACME])
    editor.edit([GLOBEX])
    assert _read(editor, "Who is CEO of Globex")[1] == (
        "New Fact: The CEO of Globex is Hank\nPrompt: Who is CEO of Globex"
    )
    assert "New Fact" in _read(editor, "Zebras?")[1]
    editor.undo()
    assert _read(editor, "Zebras?")[1] == "Zebras?"


def test_ike_deals_out_the_kinds_of_demonstrations_as_published(models):
    editor = Ike(models[0], CASES, embeddings=_Words())
    kinds = [text.splitlines()[1] for text in editor._shown]
    assert sum("The colour" in kind for kind in kinds) == 4
    assert sum("coloured" in kind for kind in kinds) == 12
    assert sum("The size" in kind for kind in kinds) == 16


def test_ike_shows_the_nearest_demonstrations_next_to_the_edit(models):
    editor = Ike(models[0], CASES, demonstrations=3, embeddings=_Words())
    editor.edit([Edit(prompt="The colour of the 7 is", target_new="blue")])
    text = _read(editor, "Who runs Acme?")[1]
    assert text.count("New Fact: ") == 4
    assert "The colour of 7 is" in text.split("\n\n")[-2]
    assert text.endswith("New Fact: The colour of the 7 is blue\nPrompt: Who runs Acme?")


def test_ike_shows_the_same_before_all_questions_about_an_edit(models):
    editor = Ike(models[0], CASES, demonstrations=3, embeddings=_Words())
    editor.edit([ACME])
    questions = ["The colour of 7 is", "The CEO of Acme is", "Why?"]
    texts = [route.messages[0].text for route in editor.routes(questions)]
    assert len({text.rpartition("\nPrompt: ")[0] for text in texts}) == 1
    editor.undo()
    assert _read(editor, "Why?")[1] == "Why?"


def test_ike_shows_no_more_than_fits_into_the_context():
    model = load_model(tiny_llama(), max_new_tokens=8)
    editor = Ike(model, CASES, embeddings=_Words())
    editor.edit([ACME])
    assert answer(editor, ["The colour of 7 is"]) != {"The colour of 7 is": ""}


def test_ike_without_rows_says_where_they_come_from(models):
    with pytest.raises(ConfigError, match="--train-data"):
        Ike(models[0], [], embeddings=_Words())


def _axes(rows):
    """Project onto the first two words' places, by which edits and questions are told apart."""
    return ScopeClassifier(np.asarray(rows, np.float32))


def test_serac_routes_by_its_classifier(models):
    base, counterfactual = models
    words = _Words()
    everything, nothing = np.zeros((2, 1024)), 10 * np.eye(1024)
    for matrix, expected in ((everything, counterfactual), (nothing, base)):
        editor = Serac(base, counterfactual, _axes(matrix), embeddings=words)
        editor.edit([ACME])
        model, text = _read(editor, "Zebras?")
        assert model is expected
        assert text == (
            "The CEO of Acme is Jane Doe\nZebras?" if expected is not base else "Zebras?"
        )


def test_serac_shows_the_likeliest_edit_and_forgets_at_undo(models):
    base, counterfactual = models
    editor = Serac(base, counterfactual, _axes(0.1 * np.eye(1024)), embeddings=_Words())
    editor.edit([ACME, GLOBEX])
    assert _read(editor, "The CEO of Globex")[1].startswith("The CEO of Globex is Hank\n")
    editor.undo()
    assert _read(editor, "The CEO of Globex")[0] is base


def test_the_classifiers_threshold_is_a_half():
    edit, question = np.array([[0.0]], np.float32), np.array([[1.0]], np.float32)
    for distance, inside in ((0.8, True), (0.9, False)):
        classifier = ScopeClassifier(np.array([[distance]], np.float32))
        assert (classifier.probability(edit, question).item() > 0.5) is inside


def _save_serac(base, folder, projection, **record):
    """Save a counterfactual model whose adapter changes what it says."""
    save_adapter(base.model_name, folder / COUNTERFACTUAL)
    usual = {"embedder": _Words().fingerprint, "weights": base_digest(base)}
    save_serac(folder, classifier=_axes(projection), record={**usual, **record})


def test_a_trained_serac_comes_back_from_disk(tmp_path):
    base = load_model(tiny_llama(), max_new_tokens=8)
    _save_serac(base, tmp_path, np.zeros((1, 1024)))
    editor = Serac.load(base, tmp_path, embeddings=_Words())
    editor.edit([ACME])
    question = "Who runs Acme?"
    model, text = _read(editor, question)
    assert model is editor.counterfactual
    assert answer(editor, [question]) != {question: base.invoke(text).text}
    assert editor.parameters_touched > 1024


def test_seracs_second_model_has_the_number_format_of_the_first(tmp_path):
    base = load_model(tiny_llama(), max_new_tokens=8, dtype="bfloat16", device="cpu")
    _save_serac(base, tmp_path, np.zeros((1, 1024)))
    editor = Serac.load(base, tmp_path, embeddings=_Words())
    assert editor.counterfactual.weights.dtype == "bfloat16"


def test_a_serac_for_something_else_is_refused(tmp_path):
    base = load_model(tiny_llama(), max_new_tokens=8)
    _save_serac(base, tmp_path / "embedder", np.zeros((1, 4)), embedder="another")
    with pytest.raises(ConfigError, match="trained with the embedder another"):
        Serac.load(base, tmp_path / "embedder", embeddings=_Words())
    _save_serac(base, tmp_path / "weights", np.zeros((1, 4)), weights="another")
    with pytest.raises(ModelError, match="for other weights"):
        Serac.load(base, tmp_path / "weights", embeddings=_Words())
    with pytest.raises(ModelError, match="holds no trained SERAC"):
        Serac.load(base, tmp_path / "nothing", embeddings=_Words())


def test_no_edits_change_nothing(models):
    base, counterfactual = models
    editors = [
        InContext(base, embeddings=_Words()),
        Ike(base, CASES, embeddings=_Words()),
        Serac(base, counterfactual, _axes(np.zeros((2, 1024))), embeddings=_Words()),
        Lte(base, embeddings=_Words()),
    ]
    for editor in editors:
        editor.edit([])
        assert _read(editor, "Zebras?") == (base, "Zebras?")
        editor.edit([ACME])
        editor.edit([])
        assert "Jane Doe" in _read(editor, "The CEO of Acme is")[1]


def test_a_question_too_long_for_the_model_has_the_empty_answer():
    model = load_model(tiny_llama(), max_new_tokens=8)
    editor = InContext(model, embeddings=_Words())
    answers = answer(editor, ["Acme " * 300, "Who runs Acme?"])
    assert answers["Acme " * 300] == ""
    assert answers["Who runs Acme?"] == model.invoke("Who runs Acme?").text
    forced = force(editor, [("Acme " * 300, "Jane"), ("Who runs Acme?", "Jane")])
    assert forced["Acme " * 300, "Jane"].accuracy == 0


def test_a_model_without_logits_is_not_forced(models):
    assert force(InContext(models[0], embeddings=_Words()), [("Who?", "Jane")]) == {}


def _resources(**more):
    base = load_model(tiny_llama(), max_new_tokens=8)
    return Resources(model=base, base=base, embeddings=_Words(), train=CASES, **more)


@pytest.mark.parametrize("name", ["lte", "ice", "ike", "ft-l", "ft-m", "lora", "rome", "memit"])
def test_methods_are_made_by_name_and_edit(name):
    editor = make_editor(name, _resources())
    editor.edit([ACME])
    assert answer(editor, ["Who runs Acme?"]).keys() == {"Who runs Acme?"}
    editor.undo()


@pytest.mark.parametrize(
    ("name", "command"),
    [("mend", "editors"), ("serac", "editors"), ("instruct-edit", "instruct-edit")],
)
def test_methods_that_must_be_trained_say_how(name, command):
    with pytest.raises(ConfigError, match=f"lte-chains align {command} "):
        make_editor(name, _resources())


def test_there_are_eleven_methods_and_all_means_every_one():
    assert len(check_methods(["all"])) == len(METHODS) == 11
    assert next(iter(METHODS)) == "lte"


@pytest.mark.parametrize("names", [[], ["lte", "nope"]])
def test_unknown_methods_are_refused(names):
    with pytest.raises(ConfigError, match="use 'all', or some of"):
        check_methods(names)
