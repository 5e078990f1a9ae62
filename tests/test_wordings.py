"""An edit is found under several wordings, and takes one place however many of them fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lte_chains.edit import Edit
from lte_chains.embeddings import default_embeddings
from lte_chains.memory import EditMemory
from lte_chains.wordings import wordings
from tests.fakes_embeddings import BagOfWordsEmbeddings

EMBEDDINGS = BagOfWordsEmbeddings(dim=256)
ACME = Edit(
    prompt="The head of Acme is",
    target_new="Jane Doe",
    subject="Acme",
    aliases=("Initech", "Wile E. Industries"),
)


@pytest.fixture
def memory(anywhere: str) -> Iterator[EditMemory]:
    with EditMemory.open(anywhere, embeddings=EMBEDDINGS) as opened:
        yield opened


def found(memory: EditMemory, question: str, k: int = 10) -> list[tuple[str, float]]:
    return [
        (match.edit.target_new, round(match.score, 4)) for match in memory.search_edits(question, k)
    ]


def test_the_wordings_are_the_prompt_the_descriptor_and_the_prompt_by_each_alias() -> None:
    assert wordings(ACME) == (
        "The head of Acme is",
        "The head of Acme is Jane Doe",
        "The head of Initech is",
        "The head of Wile E. Industries is",
    )


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (Edit.from_statement("Acme moved."), ("Acme moved.",)),
        (
            Edit.from_statement("ACME moved to Acmetown.", subject="Acme", aliases=["Initech"]),
            ("ACME moved to Acmetown.", "Initech moved to Acmetown."),
        ),
        (
            Edit(prompt="Who runs it?", target_new="Jo", subject="Acme", aliases=["Initech"]),
            ("Who runs it?", "Who runs it? Jo", "Initech: Who runs it?"),
        ),
        (
            Edit(prompt="C++ is by", target_new="B.S.", subject="C++", aliases=[r"C\1 (lang)"]),
            ("C++ is by", "C++ is by B.S.", r"C\1 (lang) is by"),
        ),
        (
            Edit(prompt="Acme is led by", target_new="Jo", subject=" Acme ", aliases=["AC"]),
            ("Acme is led by", "Acme is led by Jo", "AC is led by"),
        ),
        (
            Edit(prompt="Acme runs", target_new="well", subject="Acme", aliases=["Acme", "acme"]),
            ("Acme runs", "Acme runs well", "acme runs"),
        ),
        (
            Edit(prompt="日本の首都は", target_new="京都", subject="日本", aliases=["ニッポン"]),
            ("日本の首都は", "日本の首都は 京都", "ニッポンの首都は"),
        ),
        (
            Edit(prompt="Acmeの社長は", target_new="Jo", subject="Acme", aliases=["アクメ"]),
            ("Acmeの社長は", "Acmeの社長は Jo", "アクメの社長は"),
        ),
        (
            Edit(prompt="C++ and C are by", target_new="B", subject="C", aliases=["C lang"]),
            ("C++ and C are by", "C++ and C are by B", "C++ and C lang are by"),
        ),
    ],
)
def test_each_wording_counts_once_and_a_name_is_a_whole_word(
    edit: Edit, expected: tuple[str, ...]
) -> None:
    assert wordings(edit) == expected


def test_a_question_by_an_alias_finds_the_edit_in_a_script_without_spaces(
    memory: EditMemory,
) -> None:
    memory.add_edits(
        [Edit(prompt="日本の首都は", target_new="京都", subject="日本", aliases=["ニッポン"])]
    )
    assert found(memory, "ニッポンの首都は") == [("京都", 1.0)]
    memory.add_edits([Edit(prompt="ニッポンの首都は", target_new="奈良")])
    assert found(memory, "ニッポンの首都は") == [("奈良", 1.0)]


def test_an_edit_takes_one_place_by_its_best_wording(memory: EditMemory) -> None:
    memory.add_edits([ACME, Edit(prompt="The head of Apex is", target_new="John")])
    for question in wordings(ACME):
        names = found(memory, question)
        assert [target for target, _ in names] == ["Jane Doe", "John"]
        assert names[0][1] == 1.0


def test_k_distinct_edits_come_back_however_many_wordings_are_nearer(memory: EditMemory) -> None:
    names = [f"Initech {n}" for n in range(60)]
    memory.add_edits([Edit(prompt="Acme is", target_new="x", subject="Acme", aliases=names)])
    memory.add_edits([Edit(prompt=f"Apex {n} is", target_new=f"y{n}") for n in range(30)])
    results = found(memory, "Initech 7 is", k=20)
    assert len(results) == len(dict(results)) == 20
    assert results[0] == ("x", 1.0)


def test_a_search_gives_what_comparing_every_wording_gives(memory: EditMemory) -> None:
    rng = np.random.default_rng(3)
    words = [f"w{n}" for n in range(40)]

    def text() -> str:
        return " ".join(rng.choice(words, size=4))

    edits = [
        Edit(
            prompt=f"{text()} S{n}",
            target_new=text(),
            subject=f"S{n}",
            aliases=[f"{text()} {a}" for a in range(int(rng.integers(0, 4)))],
            id=f"e{n}",
        )
        for n in range(120)
    ]
    memory.add_edits(edits)
    memory.retract([f"e{n}" for n in range(0, 120, 7)])
    for _ in range(20):
        query = text()
        vector = memory._shared.embedder.query(query)
        expected = {
            str(edit.id): max(
                float(vector @ own) for own in memory._shared.embedder.edits([edit])[0]
            )
            for edit in memory.edits()
        }
        results = memory.search_edits(query, k=15)
        best = sorted(expected.values(), reverse=True)[:15]
        assert [match.score for match in results] == pytest.approx(best, abs=1e-6)
        for match in results:
            assert match.score == pytest.approx(expected[str(match.edit.id)], abs=1e-6)


def test_aliases_come_back_and_travel_in_files(memory: EditMemory, tmp_path: Path) -> None:
    many = Edit(prompt="Acme's pets are", target_new="cats", many_valued=True)
    ids = memory.add_edits([ACME, many])
    stored = memory.get_edits(ids)
    assert [(e.aliases, e.many_valued) for e in stored] == [(ACME.aliases, None), ((), True)]
    memory.export_jsonl(tmp_path / "edits.jsonl")
    other = memory.in_namespace("other")
    other.import_jsonl(tmp_path / "edits.jsonl")
    copied = other.edits()
    assert [(e.aliases, e.many_valued) for e in copied] == [(ACME.aliases, None), ((), True)]
    assert found(other, "The head of Initech is")[0] == ("Jane Doe", 1.0)


def test_adding_an_alias_is_a_change_and_adding_it_again_is_not(memory: EditMemory) -> None:
    [id_] = memory.add_edits([Edit(prompt="The head of Acme is", target_new="Jo", subject="Acme")])
    named = Edit(
        prompt="The head of Acme is", target_new="Jo", subject="Acme", aliases=["AC"], id=id_
    )
    memory.add_edits([named])
    assert (memory.revision, memory.get_edits([id_])[0].version) == (2, 2)
    memory.add_edits([named])
    assert memory.revision == 2
    memory.rollback(1)
    assert found(memory, "The head of AC is")[0][1] < 1.0


def test_every_wording_follows_revisions_purges_and_other_embedders(tmp_path: Path) -> None:
    path, question = tmp_path / "edits.db", "The head of Initech is"
    with EditMemory.open(path, embeddings=EMBEDDINGS) as memory:
        [id_] = memory.add_edits([ACME])
        other = Edit(prompt="The head of Apex is", target_new="John")
        memory.add_edits([other])
        with EditMemory.open(path, embeddings=EMBEDDINGS) as second:
            assert found(second, question)[0] == ("Jane Doe", 1.0)
            memory.retract([id_])
            assert [target for target, _ in found(second, question)] == ["John"]
            memory.rollback(2)
            assert found(second, question)[0] == ("Jane Doe", 1.0)
        memory.reembed(BagOfWordsEmbeddings(dim=300))
        assert found(memory, question)[0] == ("Jane Doe", 1.0)
        memory.purge([id_])
        assert [target for target, _ in found(memory, question)] == ["John"]
    assert all(b"Initech" not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_cut_and_an_approved_edit_keep_their_wordings(memory: EditMemory) -> None:
    memory.approve(memory.propose([ACME]))
    assert found(memory, "The head of Initech is")[0] == ("Jane Doe", 1.0)


def test_a_document_has_one_vector(memory: EditMemory) -> None:
    [id_] = memory.add_texts(["Acme moved to Lisbon."], ids=["d"])
    assert memory._shared.store.wordings("default", [id_])["d"].shape == (1, 256)
    [edit] = memory.add_edits([ACME])
    assert memory._shared.store.wordings("default", [edit])[edit].shape == (4, 256)
    assert memory._shared.store.vectors("default", [edit])[edit].shape == (256,)


def test_questions_that_name_an_alias_or_the_target_find_the_edit_by_meaning() -> None:
    with EditMemory.open(":memory:", embeddings=default_embeddings()) as memory:
        memory.add_edits(
            [
                Edit(
                    prompt="Which constellation is HD 177809 in?",
                    target_new="Antlia",
                    subject="HD 177809",
                    aliases=["HR 7238"],
                ),
                Edit(prompt="Which constellation is HD 5388 in?", target_new="Phoenix"),
                Edit(prompt="Who is the mother of Carlotta Stein?", target_new="Ada Bellmont"),
            ]
        )
        alias = memory.search_edits("What is the spectral type of HR 7238?")[0]
        target = memory.search_edits("Who is the daughter of Ada Bellmont?")[0]
        assert alias.edit.target_new == "Antlia"
        assert target.edit.target_new == "Ada Bellmont"
        assert target.score > 0.69
