"""Edits with questions in and out of their scope, read from the field's train files.

The files are not part of this package; see `read_groups` for where they are looked for.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lte_chains.cases import Case, parse_case
from lte_chains.edit import Edit
from lte_chains.errors import InvalidEditError
from lte_chains.training.parallel.mentions import SubjectIndex, folded
from lte_chains.training.pretraining.wording import read_wordings
from lte_chains.training.scope_gate.pairs import Fact

_SENTENCE = re.compile(r"(?<=[.!?\n])\s+")
_WHO_IS = re.compile(r"(?:who|what) (?:is|was|are|were) \S+(?: \S+){0,6}\?", re.IGNORECASE)


@dataclass(frozen=True)
class Group:
    """One edit of a train file, with (kind, question)s that depend on it and that do not."""

    edit: Edit
    inside: tuple[tuple[str, str], ...]
    outside: tuple[tuple[str, str], ...] = ()
    doubtful: tuple[tuple[str, str], ...] = ()
    """Wordings of the source that may have lost the meaning: (wording, edit's prompt), to be
    compared by an embedder."""
    relation: str | None = None
    """Which of our relations the edit is of, if that is known."""

    @property
    def subject(self) -> str:
        """The subject, or nothing."""
        return self.edit.subject or ""


def read_groups(data: Path) -> list[Group]:
    """Read the train files of KnowEdit, CounterFact, PokeMQA and HalluEditBench.

    Args:
        data: A folder with knowedit/wiki_counterfact_train_cf.json,
            knowedit/wiki_recent_train.json, counterfact/counterfact_train.json,
            pokemqa/edit_questions.json and hallueditbench/*.csv.
    """
    return [
        *_knowedit(data / "knowedit" / "wiki_counterfact_train_cf.json"),
        *_knowedit(data / "knowedit" / "wiki_recent_train.json"),
        *_counterfact(data / "counterfact" / "counterfact_train.json"),
        *_pokemqa(data / "pokemqa" / "edit_questions.json"),
        *_hallueditbench(data / "hallueditbench"),
    ]


def read_facts(data: Path, properties: dict[str, str]) -> list[Fact]:
    """Read the triples of pararel/facts.tsv whose property is one of our relations."""
    with (data / "pararel" / "facts.tsv").open(encoding="utf-8", newline="") as lines:
        return [
            Fact(row["subject"], properties[row["relation"]], row["object"])
            for row in csv.DictReader(lines, delimiter="\t")
            if row["relation"] in properties
        ]


def read_asked_facts(data: Path) -> list[Fact]:
    """Read facts with the form in which their source asks; the relation is not known yet."""
    paths = [
        data / "knowedit" / "wiki_counterfact_train_cf.json",
        data / "counterfact" / "counterfact_train.json",
        data / "pokemqa" / "edit_questions.json",
        data / "hallueditbench",
        data / "pitfalls" / "GPTJ_easy.json",
        data / "pitfalls" / "GPTJ_hard.json",
    ]
    return [
        Fact(wording.subject, "", wording.target, form)
        for path in paths
        for wording in read_wordings(path)
        for form in dict.fromkeys((*wording.prompts, *wording.questions))
        if wording.subject and wording.target and len(wording.target) < 80
    ]


def without_subjects(groups: Iterable[Group], held_out: Sequence[str]) -> list[Group]:
    """Drop the groups and the questions that mention a held-out subject."""
    index = SubjectIndex(held_out)
    kept = []
    for group in groups:
        if index.found_in(group.edit.descriptor):
            continue
        kept.append(
            replace(
                group,
                inside=tuple(pair for pair in group.inside if not index.found_in(pair[1])),
                outside=tuple(pair for pair in group.outside if not index.found_in(pair[1])),
            )
        )
    return kept


def _knowedit(path: Path) -> Iterator[Group]:
    for row in _json(path):
        case = parse_case(row)
        subject = case.edit.subject or ""
        inside = [
            (probe.kind, probe.prompt)
            for probe in (*case.rephrase, *case.portability)
            if _depends(probe.kind, probe.prompt, case, subject)
        ]
        outside = [(p.kind, p.prompt) for p in case.locality if not p.mislabelled]
        yield Group(case.edit, (("prompt", case.edit.prompt), *inside), tuple(outside))


def _depends(kind: str, question: str, case: Case, subject: str) -> bool:
    """Tell whether the edit alone makes the question depend on it.

    Some of the portability questions lead to the edit over another fact, which
    nobody who sees only the edit can know: they are no examples.
    """
    if kind == "Subject_Aliasing":
        return True
    if folded(subject) in folded(question):
        return "siblings" not in question
    return kind == "Logical_Generalization" and folded(case.edit.target_new) in folded(question)


def _counterfact(path: Path) -> Iterator[Group]:
    for row in _json(path):
        edit = Edit(prompt=row["prompt"], target_new=row["target_new"], subject=row["subject"])
        # Half of the rephrasings stand behind a sentence about something else; some ask for
        # something else themselves.
        asked = _SENTENCE.split(row["rephrase_prompt"].strip())[-1]
        yield Group(
            edit,
            (("prompt", edit.prompt),),
            (("Neighborhood", row["locality_prompt"]),),
            ((row["rephrase_prompt"], asked),),
        )


def _pokemqa(path: Path) -> Iterator[Group]:
    for row in _json(path):
        questions = [q for q in dict.fromkeys(row["questions"]) if not _WHO_IS.fullmatch(q)]
        yield Group(
            Edit.from_statement(row["edit"]), tuple(("question", text) for text in questions)
        )


def _hallueditbench(folder: Path) -> Iterator[Group]:
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                group = _hallueditbench_group(row)
                if group is not None:
                    yield group


def _hallueditbench_group(row: dict[str, str]) -> Group | None:
    subject = row["subject"]
    asked = [("paraphrase", row["paraphrased_question"])]
    asked += [("confirm", row[name]) for name in ("yes_question", "no_question")]
    asked += [(f"{hops} hops", row[f"question_{hops}hop"]) for hops in range(2, 7)]
    inside = [("prompt", row["question"])]
    inside += [(kind, q) for kind, q in asked if q and folded(subject) in folded(q)]
    locality = row["locality_question"]
    try:
        edit = Edit(prompt=row["question"], target_new=row["object"], subject=subject)
    except InvalidEditError:  # a few rows lack their object
        return None
    return Group(edit, tuple(inside), (("locality", locality),) if locality else ())


def _json(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return rows
