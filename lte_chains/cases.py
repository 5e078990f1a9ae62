"""Rows of edits and their probes in one shape, read from KnowEdit-style JSON.

Evaluation judges by them, training learns from them.

KnowEdit (arXiv 2401.01286) writes an answer as a string, a list, or a list of
alias lists; here it is always a flat tuple of accepted answers, the canonical
one first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lte_chains.answers import alias_match
from lte_chains.edit import Edit
from lte_chains.errors import ConfigError, DataError, InvalidEditError

# KnowEdit's WikiBio calls the same things by other names.
_PROMPT_FIELDS = ("prompt", "text")
_TARGET_FIELDS = ("target_new", "labels")
_SUBJECT_FIELDS = ("subject", "concept")


Task = Literal["fact", "opinion", "erasure"]
"""Of KnowEdit's sets, ConvSent's edits are opinions, and Sanitation's erase what was known."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One question about an edit, and what counts as a right answer to it.

    Example:
        >>> Probe(kind="rephrase", prompt="Who heads Acme?", answers=("Jane Doe",)).mislabelled
        False
    """

    kind: str
    """"rephrase", or the data set's own name: "Reasoning", "Relation_Specificity", …"""
    prompt: str
    """The question, verbatim."""
    answers: tuple[str, ...]
    """Accepted answers, the canonical one first."""
    mislabelled: bool = False
    """A locality probe that asks for the edited fact itself and expects the old answer."""
    asks_again: bool = False
    """A locality probe that asks for the edited fact itself, whatever answer it expects: its
    answer is right with the edit, or was before it."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row: an edit, and the probes that judge it.

    Example:
        >>> case = parse_case({"prompt": "The CEO of Acme is", "target_new": "Jane Doe",
        ...                    "rephrase_prompt": "Who heads Acme?", "ground_truth": "Joe"})
        >>> case.rephrase[0].answers, case.old_answers
        (('Jane Doe',), ('Joe',))
    """

    edit: Edit
    """The edit to make."""
    answers: tuple[str, ...]
    """Accepted answers after the edit, its target first."""
    old_answers: tuple[str, ...] = ()
    """What was true before."""
    rephrase: tuple[Probe, ...] = ()
    """The same question in other words."""
    portability: tuple[Probe, ...] = ()
    """Questions whose answers follow from the edit."""
    locality: tuple[Probe, ...] = ()
    """Questions whose answers the edit must not change."""
    task: Task = "fact"
    """What kind of edit it is, and so which measures judge it."""
    wanted: tuple[str, ...] = ()
    """Replies with the opinion that is edited in."""
    unwanted: tuple[str, ...] = ()
    """Replies with the opposite opinion."""


def read_cases(path: str | Path, *, limit: int | None = None) -> list[Case]:
    """Read the rows of a KnowEdit-style JSON file, in their order.

    Understood are KnowEdit's ZsRE, WikiData_recent, WikiData_counterfact and
    WikiBio, and CounterFact rows with `rephrase_prompt` and `locality_prompt`.

    Args:
        path: A JSON file that holds a list of rows.
        limit: Read at most that many rows from the front.

    Raises:
        DataError: The file cannot be read, is no such list, or has a row
            without an edit; the message names the row.
        ConfigError: The limit is not positive.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit={limit} leaves no rows to evaluate: use 1 or more, or None")
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON in UTF-8: {error}") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path} must hold a JSON list of rows, as KnowEdit's files do")
    cases = []
    for number, row in enumerate(rows[:limit], 1):
        try:
            cases.append(parse_case(row))
        except DataError as error:
            raise DataError(f"{path}, row {number}: {error}") from error
    return cases


def parse_case(row: Any) -> Case:
    """Bring one row into the one shape.

    Raises:
        DataError: The row has no usable edit, or a probe has no prompt.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"a row must be a JSON object, not {type(row).__name__}")
    answers = flatten_answers(_first(row, _TARGET_FIELDS))
    prompt, subject = _first(row, _PROMPT_FIELDS), _first(row, _SUBJECT_FIELDS)
    try:
        edit = Edit(
            prompt=prompt if prompt is not None else "",
            target_new=answers[0] if answers else "",
            subject=subject or None,
        )
    except InvalidEditError as error:
        raise DataError(str(error)) from error
    old = flatten_answers(row.get("ground_truth"))
    rephrased = row.get("rephrase_prompt") or ()
    rephrasings = [rephrased] if isinstance(rephrased, str) else rephrased
    return Case(
        edit=edit,
        answers=answers,
        old_answers=old,
        rephrase=tuple(_probe("rephrase", text, answers) for text in rephrasings),
        # Some of KnowEdit's have no answer; nothing can be judged by them.
        portability=tuple(probe for probe in _probes(row, "portability") if probe.answers),
        locality=tuple(
            _mark(probe, answers, old)
            for probe in (*_probes(row, "locality"), *_counterfact_locality(row))
        ),
    )


def flatten_answers(value: Any) -> tuple[str, ...]:
    """Bring a string, a list, or a list of alias lists into one tuple without repeats.

    Example:
        >>> flatten_answers([["Ottawa", "Ottawa, ON"], ["Ottawa"]])
        ('Ottawa', 'Ottawa, ON')
        >>> flatten_answers(" x ")
        ('x',)
    """
    if value is None:
        return ()
    if isinstance(value, str):
        text = value.strip()
        return (text,) if text else ()
    if isinstance(value, int | float):
        return (str(value),)
    if not isinstance(value, Sequence):
        raise DataError(f"an answer must be text or lists of text, not {value!r}")
    return tuple(dict.fromkeys(answer for item in value for answer in flatten_answers(item)))


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if name in row), None)


def _probes(row: Mapping[str, Any], field: str) -> list[Probe]:
    kinds = row.get(field) or {}
    if not isinstance(kinds, Mapping):
        raise DataError(f"{field} must map kinds to lists of prompts, not {kinds!r}")
    probes = []
    for kind, items in kinds.items():
        for item in items:
            if not isinstance(item, Mapping):
                raise DataError(f"a {kind} probe must be an object with a prompt, not {item!r}")
            answers = flatten_answers(item.get("ground_truth"))
            probes.append(_probe(kind, item.get("prompt"), answers))
    return probes


def _counterfact_locality(row: Mapping[str, Any]) -> list[Probe]:
    if not row.get("locality_prompt"):
        return []
    answers = flatten_answers(row.get("locality_ground_truth"))
    return [_probe("Neighborhood", row["locality_prompt"], answers)]


def _probe(kind: str, prompt: object, answers: tuple[str, ...]) -> Probe:
    if not isinstance(prompt, str) or not prompt.strip():
        raise DataError(f"a {kind} probe has no prompt: {prompt!r}")
    return Probe(kind=kind, prompt=prompt, answers=answers)


def _mark(probe: Probe, new: tuple[str, ...], old: tuple[str, ...]) -> Probe:
    """Mark a locality probe whose expected answer is the edited fact's old or new one.

    Relation_Specificity asks for *another* relation of the subject, but 14.7 %
    of KnowEdit's ZsRE rows ask for the edited one again ("The father of X is",
    after X's father was edited): whoever obeys the edit is punished for it. A
    few expect what the edit says: they punish nobody, but an edit that is used
    for them is used rightly.
    """
    if probe.kind != "Relation_Specificity":
        return probe
    matched = [(alias_match(answer, new), alias_match(answer, old)) for answer in probe.answers]
    return replace(
        probe,
        mislabelled=any(is_old and not is_new for is_new, is_old in matched),
        asks_again=any(is_new or is_old for is_new, is_old in matched),
    )
