"""Whether a question names somebody else than the edit's subject."""

from __future__ import annotations

import pytest

from lte_chains import Edit, EditMatch
from lte_chains.scope import CrossEncoderGate
from lte_chains.scope.namesakes import signs_of_another


def _employer(subject, target="Globex", aliases=()):
    prompt = f"The name of the employer of {subject} is"
    return Edit(prompt=prompt, target_new=target, subject=subject, aliases=aliases)


@pytest.mark.parametrize(
    ("subject", "named"),
    [
        ("Rebecca J Lewis", "Catrin E Lewis"),
        ("Maria Antonia Ferdinanda of Spain", "Maria Antonia of Austria"),
        ("2024 Bulgaria Junior Championships", "2024 Estonian Junior Championships"),
        ("2009 Dutch Junior Championships", "1989 Dutch Junior Championships"),
        ("Wang Quan'an", "Wang Yuanji"),
        ("Robert Montagu, 3rd Duke of Manchester", "Charles Montagu, 1st Duke of Manchester"),
        ("Jean-Luc Picard", "Jean-Marie Messier"),
        ("Acme Foods", "Acme Motors"),
    ],
)
def test_a_name_that_shares_words_with_the_subjects_is_another(subject, named):
    assert signs_of_another(f"For whom does {named} work?", _employer(subject))
    assert signs_of_another(f"For whom does {subject} work?", _employer(named))


@pytest.mark.parametrize(
    ("subject", "named"),
    [
        ("Rebecca J Lewis", "Rebecca J Lewis"),
        ("Rebecca J Lewis", "rebecca j lewis"),
        ("Rebecca J Lewis", "Lewis"),
        ("Rebecca J Lewis", "Rebecca Lewis's sister"),
        ("Rebecca J Lewis", "R.J. Lewis"),
        ("Rebecca Lewis", "Prof. Rebecca J. Lewis"),
        ("Nikolaos Kriezotis", "Nicolaos Kriezotis"),
        ("Krägga Olsson", "Kragga Ollson"),
        ("Edward Porter St.John", "E.P.St.John"),
        ("Lord Frederick Cambridge", "Prince Frederick Cambridge"),
        ("Mount Vernon", "Mt. Vernon"),
        ("Michael, 3rd Earl of Suffolk", "Michael, 3. Earl of Suffolk"),
        ("NGC 80", "UGC"),
        ("日本", "日本国"),
    ],
)
def test_other_forms_of_the_subjects_name_are_no_other_name(subject, named):
    assert not signs_of_another(f"For whom does {named} work?", _employer(subject))


@pytest.mark.parametrize(
    ("subject", "named", "signs"),
    [
        ("Apollo 11", "Apollo 12", 2),
        ("2009 Dutch Junior Championships", "1989 Dutch Junior Championships", 2),
        ("Robert Montagu, 3rd Duke of Manchester", "Robert Montagu, 1st Duke of Manchester", 2),
        ("1989 Belgian Junior Championships", "1989 Dutch Junior Championships", 2),
        ("Bobby Owen", "Robert Owen", 1),
        ("Python 3", "Python 3.12", 0),
    ],
)
def test_two_of_a_series_are_surely_two(subject, named, signs):
    assert signs_of_another(f"For whom does {named} work?", _employer(subject)) == signs


def test_an_alias_is_as_good_as_the_name():
    question = "For whom does Bobby Owen work?"
    assert signs_of_another(question, _employer("Steven Owen"))
    assert not signs_of_another(question, _employer("Steven Owen", aliases=("Bobby Owen",)))


def test_a_question_back_from_the_target_signs_of_another_by_right():
    edit = Edit(prompt="Jane Rolfe's mother is", target_new="Ann Rolfe, 1st", subject="Jane Rolfe")
    assert not signs_of_another("Who is the daughter of Ann Rolfe, 1st?", edit)
    assert signs_of_another("Who is the daughter of Kate Rolfe?", edit)


def test_a_question_about_several_names_the_subject_among_them():
    question = "Who is older, Ann Vale or Bob Vale?"
    assert not signs_of_another(question, _employer("Bob Vale"))
    assert signs_of_another(question, _employer("Carl Vale"))


@pytest.mark.parametrize(
    ("named", "another"),
    [
        ("Zhang Li", True),
        ("zhang li", True),
        ("the president of Norway", False),
        ("his father", False),
        ("Rebecca", False),
    ],
)
def test_the_prompts_own_words_with_another_name_in_the_subjects_place(named, another):
    edit = _employer("Rebecca J Lewis")
    assert bool(signs_of_another(f"The name of the employer of {named} is", edit)) is another


@pytest.mark.parametrize("subject", ["?", "…", "the", "-"])
def test_a_subject_without_a_word_is_left_to_the_network(subject):
    edit = Edit(prompt=f"What does {subject} mean?", target_new="nothing", subject=subject)
    assert not signs_of_another("What does Acme mean?", edit)


def test_names_of_two_sentences_are_two():
    question = "I met Rebecca. Carl Vale was there. For whom does she work?"
    assert not signs_of_another(question, _employer("Rebecca J Lewis"))


def test_an_edit_without_a_subject_is_left_to_the_network():
    edit = Edit(statement="Rebecca J Lewis works for Acme.")
    assert not signs_of_another("For whom does Catrin E Lewis work?", edit)


def test_the_trained_gate_lets_no_namesakes_edit_through():
    gate = CrossEncoderGate().for_embedder("all-MiniLM-L6-v2")
    edit = _employer("Rebecca J Lewis", "Hamamatsu University School of Medicine")
    judged = [
        gate.judge(f"The name of the employer of {name} is", [EditMatch(edit, 0.75)])[0].in_scope
        for name in ("Catrin E Lewis", "Rebecca Lewis")
    ]
    assert judged == [False, True]
