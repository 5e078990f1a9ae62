"""Other names by rule: never the name itself, and always something to say."""

import random

import pytest

from lte_chains.training.parallel.aliases import draw_alias, made_up_aliases


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("Ada Lovelace", "Lovelace"),
        ("Ada Lovelace", "A. Lovelace"),
        ("Ada Lovelace", "Lovelace, Ada"),
        ("University of New Mexico", "UNM"),
        ("Mercury (planet)", "Mercury"),
    ],
)
def test_a_name_has_the_usual_other_names(name: str, alias: str) -> None:
    assert alias in made_up_aliases(name)


@pytest.mark.parametrize("name", ["Oslo", "Ada Lovelace", "House of the Rising Sun", "X (Y)"])
def test_an_alias_is_never_the_name_itself(name: str) -> None:
    assert name not in made_up_aliases(name)
    assert draw_alias(name, random.Random(0)) != name
