"""Invented names: where they come from, and that a seed fixes them."""

import random
from pathlib import Path

import pytest

from lte_chains.training.pretraining.names import Corpus, Names, read_corpus
from lte_chains.training.pretraining.wording import own_wordings


def test_names_of_several_words_are_found_without_the_opening_article(corpus: Corpus) -> None:
    assert "Ada Lovelace" in corpus.entities
    assert "University of London" in corpus.entities
    assert not any(name.startswith("The ") for name in corpus.entities)


def test_excluded_names_never_come_up(data_folder: Path) -> None:
    corpus = read_corpus(
        data_folder / "corpus.txt.xz", max_chars=100_000, exclude=["held out person"]
    )
    assert "Held Out Person" not in corpus.entities
    assert "Ada Lovelace" in corpus.entities


def test_the_same_seed_draws_the_same_names(corpus: Corpus) -> None:
    first, second = (Names(corpus, random.Random(3)) for _ in range(2))
    assert [first.subject() for _ in range(50)] == [second.subject() for _ in range(50)]


@pytest.mark.parametrize("kind", sorted({wording.object for wording in own_wordings()}))
def test_every_kind_of_answer_that_a_wording_names_can_be_drawn(corpus: Corpus, kind: str) -> None:
    names = Names(corpus, random.Random(1))
    assert all(names.answer(kind).strip() for _ in range(50))


def test_a_near_name_shares_a_word(corpus: Corpus) -> None:
    names = Names(corpus, random.Random(1))
    for _ in range(20):
        assert set(names.near("Ada Lovelace").split()) & {"Ada", "Lovelace"}
