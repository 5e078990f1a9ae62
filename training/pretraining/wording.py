"""Wordings: ways to ask for one property of a subject, with `{s}` in the subject's place."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lte_chains.errors import DataError
from lte_chains.training.pretraining.shipped import shipped


@dataclass(frozen=True)
class Wording:
    """The forms in which one property is asked for.

    Attributes:
        name: The relation, or the source row.
        prompts: Forms that an edit may have before its target.
        questions: Forms that ask for the same thing.
        object: The kind of answer (see `Names.answer`), for invented ones.
        subject: A real subject, if the row had one.
        target: A real target, likewise.
    """

    name: str
    prompts: tuple[str, ...]
    questions: tuple[str, ...]
    object: str = "phrase"
    subject: str | None = None
    target: str | None = None


def own_wordings() -> list[Wording]:
    """Return the wordings that ship with the package."""
    return [
        Wording(name, tuple(entry["forms"]), tuple(entry["forms"]), entry["object"])
        for name, entry in shipped("wordings.yaml").items()
    ]


def fact_wordings() -> dict[str, tuple[str, ...]]:
    """Return our wordings of the relations whose true facts are taught, by property."""
    return {name: tuple(forms) for name, forms in shipped("fact_wordings.yaml").items()}


def read_wordings(path: Path) -> list[Wording]:
    """Read wordings with their real subjects and targets from an editing data set.

    The reader is chosen by the fields of the first row: KnowEdit, CounterFact,
    PokeMQA's edit questions, PitfallsKnowledgeEditing or HalluEditBench (a
    folder of CSV files).

    Raises:
        DataError: No reader knows the fields.
    """
    if path.is_dir():
        return [
            wording
            for file in sorted(path.glob("*.csv"))
            for wording in _hallueditbench(_read_csv(file))
        ]
    rows = json.loads(path.read_text(encoding="utf-8"))
    for field, reader in _READERS.items():
        if rows and field in rows[0]:
            return list(reader(rows))
    raise DataError(
        f"{path}: no known fields in {sorted(rows[0]) if rows else 'an empty file'}; "
        f"one of {sorted(_READERS)} is expected"
    )


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _form(text: str, subject: str) -> str | None:
    """Put `{s}` in the subject's place; None if it is not there."""
    if subject not in text or "{" in text:
        return None
    return text.replace(subject, "{s}")


def _knowedit(rows: list[dict[str, Any]]) -> Iterator[Wording]:
    for row in rows:
        prompt = _form(row["prompt"], row["subject"])
        if prompt is None:
            continue
        asked = [row.get("rephrase_prompt") or ""]
        forms = [form for text in asked if (form := _form(text, row["subject"]))]
        yield Wording(
            prompt,
            (prompt,),
            (prompt, *forms),
            subject=row["subject"],
            target=str(row["target_new"]).strip(),
        )


def _pitfalls(rows: list[dict[str, Any]]) -> Iterator[Wording]:
    for row in rows:
        relation = row["edit"]["relation"]
        prompt, query = (relation[key].replace("{}", "{s}") for key in ("prompt", "query"))
        yield Wording(
            prompt,
            (prompt, query),
            (prompt, query),
            subject=row["edit"]["subject"]["label"],
            target=row["edit"]["new_object"]["label"],
        )


def _hallueditbench(rows: list[dict[str, str]]) -> Iterator[Wording]:
    for row in rows:
        asked = (row["question"], row["paraphrased_question"])
        forms = tuple(form for text in asked if text and (form := _form(text, row["subject"])))
        if len(forms) == 2:
            yield Wording(
                forms[0], forms, forms, subject=row["subject"], target=row["object"].strip()
            )


def _pokemqa(rows: list[dict[str, Any]]) -> Iterator[Wording]:
    """Split each statement into subject, prompt and target by what the set itself shows.

    The subject is the longest run of words that the statement shares with all
    its questions; the prompt is the longest beginning that many different words
    follow; the target is what is left.
    """
    parsed = []
    followers: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        subject = _shared_run(row["edit"], row["questions"])
        words = row["edit"].replace(subject, "{s}").split() if subject else []
        parsed.append((row["questions"], subject, words))
        for end in range(1, len(words)):
            followers[" ".join(words[:end])].add(words[end])
    for asked, subject, words in parsed:
        beginnings = [" ".join(words[:end]) for end in range(2, len(words))]
        open_ones = [b for b in beginnings if "{s}" in b and len(followers[b]) >= 5]
        if open_ones:
            prompt = open_ones[-1]
            questions = tuple(form for text in asked if (form := _form(text, subject)))
            target = " ".join(words[len(prompt.split()) :])
            yield Wording(prompt, (prompt,), questions, subject=subject, target=target)


def _shared_run(statement: str, questions: list[str]) -> str:
    words = re.sub(r"[?.]$", "", statement).split()
    for length in range(len(words), 0, -1):
        for start in range(len(words) - length + 1):
            run = " ".join(words[start : start + length])
            if any(letter.isupper() for letter in run) and all(run in q for q in questions):
                return run
    return ""


_READERS: dict[str, Callable[[list[dict[str, Any]]], Iterator[Wording]]] = {
    "edit": lambda rows: _pitfalls(rows) if isinstance(rows[0]["edit"], dict) else _pokemqa(rows),
    "prompt": _knowedit,
}
