from __future__ import annotations

import pytest

from lte_chains.errors import ConfigError
from lte_chains.local.completion import Completion, GenerationSettings

END = 99


def complete(
    pieces: list[bytes], *, stop=(), limit=100, ended=False
) -> tuple[Completion, list[str]]:
    """Feed tokens whose bytes are `pieces`; return the answer and what a stream would show."""
    answer = Completion(
        [1],
        decode=lambda ids: b"".join(pieces[i] for i in ids).decode(errors="replace"),
        end_tokens=frozenset({END}),
        stop=stop,
        limit=limit,
    )
    shown = []
    for token in range(len(pieces)):
        answer.take(token)
        shown.append(answer.drain())
    if ended:
        answer.take(END)
        shown.append(answer.drain())
    return answer, [piece for piece in shown if piece]


def test_end_token_ends_the_answer_and_is_counted_but_not_shown():
    answer, shown = complete([b"Jane", b" Doe"], ended=True)
    assert (answer.text, answer.finish_reason, answer.tokens_taken) == ("Jane Doe", "stop", 3)
    assert shown == ["Jane", " Doe"]


def test_limit_ends_the_answer():
    answer, _ = complete([b"a", b"b", b"c"], limit=2)
    assert (answer.text, answer.finish_reason, answer.tokens_taken) == ("ab", "length", 2)


def test_tokens_after_the_end_change_nothing():
    answer, _ = complete([b"a"], limit=1)
    answer.take(0)
    assert (answer.text, answer.tokens_taken) == ("a", 1)


def test_half_a_character_is_held_until_it_is_whole():
    first, second = "é".encode()[:1], "é".encode()[1:]
    _, shown = complete([b"caf", first, second, b"!"], ended=True)
    assert shown == ["caf", "é", "!"]


def test_half_a_character_at_the_limit_is_shown_as_the_tokenizer_writes_it():
    answer, _ = complete([b"caf", "é".encode()[:1]], limit=2)
    assert answer.text == "caf\ufffd"


def test_stop_sequence_is_not_part_of_the_answer():
    answer, shown = complete([b"one", b" STOP", b" two"], stop=("STOP",))
    assert (answer.text, answer.finish_reason) == ("one ", "stop")
    assert "".join(shown) == "one "


def test_stop_sequence_across_tokens_is_never_shown_in_part():
    answer, shown = complete([b"one S", b"TO", b"P two"], stop=("STOP",))
    assert answer.text == "one "
    assert shown == ["one "]


def test_beginning_of_a_stop_sequence_that_is_not_one_is_shown_later():
    _, shown = complete([b"one S", b"TO", b"LE it"], stop=("STOP",), ended=True)
    assert shown == ["one ", "STOLE it"]


def test_held_text_is_shown_when_the_answer_ends():
    answer, _ = complete([b"one ST"], stop=("STOP",), ended=True)
    assert answer.text == "one ST"


def test_earliest_of_several_stop_sequences_wins():
    answer, _ = complete([b"a, b; c"], stop=(";", ","))
    assert answer.text == "a"


def test_stop_sequence_of_one_character_is_held_by_nothing():
    _, shown = complete([b"ab", b"cd"], stop=("x",))
    assert shown == ["ab", "cd"]


@pytest.mark.parametrize(
    "bad",
    [
        {"max_new_tokens": 0},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.1},
        {"stop": ("",)},
    ],
)
def test_setting_out_of_range_is_an_error_that_names_it(bad):
    with pytest.raises(ConfigError, match="empty stop" if "stop" in bad else next(iter(bad))):
        GenerationSettings(**bad)
