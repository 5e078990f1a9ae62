"""Whether a question names somebody else than the edit's subject."""

from __future__ import annotations

import pytest

from lte_chains import Edit, EditMatch, EditMemory
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
        ("Laura Bush", "George W Bush"),
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
def test_names_of_a_series_count_twice(subject, named, signs):
    assert signs_of_another(f"For whom does {named} work?", _employer(subject)) == signs


def test_an_alias_is_as_good_as_the_name():
    question = "For whom does Bobby Owen work?"
    assert signs_of_another(question, _employer("Steven Owen"))
    assert not signs_of_another(question, _employer("Steven Owen", aliases=("Bobby Owen",)))


def test_a_question_back_from_the_target_may_name_others():
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
        ("zhang li", False),
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


@pytest.mark.parametrize(
    ("subject", "question"),
    [
        ("Microsoft Corporation", "CEO of Microsoft"),
        ("Tesla, Inc.", "Where is the Tesla HQ?"),
        ("Acme GmbH", "What is the HQ of Acme?"),
        ("Acme Inc.", "Who is the Acme CEO?"),
        ("Acme Corporation", "In 2024 Acme moved where?"),
        ("Acme Corporation", "Is Acme a British company?"),
        ("Acme Inc", "Did Acme and Globex merge?"),
        ("Joe Biden", "How old is President Biden?"),
        ("Timothy Donald Cook", "What does CEO Tim Cook earn?"),
        ("Kingdom of Norway", "Who is Prime Minister of Norway?"),
        ("Republic of Korea", "What is the GDP of Korea?"),
        ("State of California", "Who is Governor of California?"),
        (
            "General Data Protection Regulation",
            "Since when is the EU Data Protection Regulation law?",
        ),
        ("Federal Reserve System", "Who is the chair of the US Federal Reserve?"),
        ("Civil Rights Act of 1964", "What does Title VII of the Civil Rights Act say?"),
        ("Hans Müller", "Wer ist der Arbeitgeber von Müller?"),
        ("Acme Foods", "Hello. Is Acme hiring?"),
        ("Acme Foods", "Q: Is Acme listed?"),
        ("Acme Foods", 'He asked: "Does Acme pay?"'),
        ("Acme Foods", "WHO IS THE CEO OF ACME?"),
        ("Acme Foods", "Who Is The CEO Of Acme?"),
        ("George W Bush", "Is he on the Washington Post board?"),
        ("Windows 11", "On 11 March 2026 what was its newest build?"),
        ("First National Bank of Oslo", "Who runs the 1st National Bank of Oslo?"),
        ("2024 American Presidential Election", "Who won the 2024 US Presidential Election?"),
        ("JPMorgan Chase", "Who is the CEO of JP Morgan Chase?"),
        ("Acme Company", "Who runs Acme Co.?"),
        ("Acme Foods", "Is blood type 🅱️ rare, and who runs 🅰cme?"),
    ],
)
def test_ways_to_ask_about_the_subject_are_no_signs(subject, question):
    assert signs_of_another(question, _employer(subject)) == 0


@pytest.mark.parametrize(
    "named", ["IRBM", "Google's parent company", "[company]", "X", "cette entreprise", "この国"]
)
def test_what_may_describe_the_subject_does_not_fill_its_place(named):
    edit = _employer("International Regatta Board Maine")
    assert not signs_of_another(f"The name of the employer of {named} is", edit)


def test_long_words_and_questions_take_no_time():
    edit = _employer("a" * 30_000 + " Lewis")
    assert signs_of_another("Who is " + "A" * 30_000 + " Lewis? " * 5_000, edit) == 0


OFFICES = {
    "CEO": "chief executive officer",
    "CFO": "chief financial officer",
    "CTO": "chief technology officer",
    "COO": "chief operating officer",
    "CMO": "chief marketing officer",
}


@pytest.mark.parametrize("spelt_out", [True, False])
@pytest.mark.parametrize("asked_by", [str.upper, OFFICES.__getitem__])
def test_each_office_is_found_by_its_letters_and_by_its_words(spelt_out, asked_by):
    with EditMemory.open(":memory:") as memory:
        memory.add_edits(
            [
                Edit(
                    prompt=f"The {words if spelt_out else letters} of Veltron Systems is",
                    target_new=f"{letters} Holm",
                    subject="Veltron Systems",
                    relation=letters,
                    id=letters,
                )
                for letters, words in OFFICES.items()
            ]
        )
        retriever = memory.as_retriever()
        for letters in OFFICES:
            found = retriever.retrieve(f"Who is the {asked_by(letters)} of Veltron Systems?")
            assert [match.edit.id for match in found] == [letters]


def test_the_ceo_is_not_named_for_another_office():
    edit = Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme")
    questions = ["Who is Acme's chief executive?", "Who is Acme's chief financial officer?"]
    first, second = CrossEncoderGate().probabilities([(question, edit) for question in questions])
    assert first > 0.9
    assert second < 0.1
