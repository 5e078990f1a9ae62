"""Read MQuAKE and RippleEdits: edits whose consequences run over several facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

from lte_chains.cases import flatten_answers
from lte_chains.edit import Edit
from lte_chains.training.parallel.case import ParallelCase, Query, Scope

_RIPPLE_SCOPES: Mapping[str, Scope] = {
    "Logical_Generalization": "in",
    "Subject_Aliasing": "in",
    "Compositionality_I": "in",
    "Compositionality_II": "in",
    "Relation_Specificity": "out",
    "Forgetfulness": "out",
}


def parse_mquake(row: Mapping[str, Any]) -> Iterator[ParallelCase]:
    """Read an instance of MQuAKE (arXiv 2305.14795), CF or T.

    All of its edits stand in front of its multi-hop questions. The hops that
    the edits leave as they were are its out-of-scope questions.
    """
    rewrites = row["requested_rewrite"]
    edits = tuple(
        Edit(
            prompt=rewrite["prompt"].replace("{}", rewrite["subject"]),
            target_new=rewrite["target_new"]["str"],
            subject=rewrite["subject"],
            relation=rewrite.get("relation_id"),
        )
        for rewrite in rewrites
    )
    hops = tuple(f"{hop['cloze']} {hop['answer']}" for hop in row.get("new_single_hops", ()))
    queries = [
        Query(
            kind="multi_hop",
            scope="in",
            prompt=question,
            answer=row["new_answer"],
            unedited=row["answer"],
            rests_on=hops,
        )
        for question in row["questions"]
    ]
    queries += [
        Query(
            kind="rewrite",
            scope="in",
            prompt=rewrite.get("question") or edit.prompt,
            answer=edit.target_new,
            unedited=rewrite["target_true"]["str"],
        )
        for rewrite, edit in zip(rewrites, edits, strict=True)
    ]
    queries += _unchanged_hops(row)
    yield ParallelCase(source="mquake", edits=edits, queries=tuple(queries))


def _unchanged_hops(row: Mapping[str, Any]) -> Iterator[Query]:
    before = {(hop["question"], hop["answer"]) for hop in row.get("single_hops", ())}
    for hop in row.get("new_single_hops", ()):
        if (hop["question"], hop["answer"]) in before:
            yield Query(
                kind="unchanged_hop",
                scope="out",
                prompt=hop["question"],
                answer=hop["answer"],
                unedited=hop["answer"],
            )


def parse_ripple_edits(row: Mapping[str, Any]) -> Iterator[ParallelCase]:
    """Read an example of RippleEdits (arXiv 2307.12976): popular, random or recent.

    It names subjects by Wikidata ids only, so that its edits have no subject.
    Where the previous fact is given, what both sentences begin with is the
    edit's prompt; else the edit is a statement.
    """
    edit, old = _ripple_edit(row["edit"])
    queries = []
    if edit.statement is None:
        queries.append(
            Query(
                kind="rewrite", scope="in", prompt=edit.prompt, answer=edit.target_new, unedited=old
            )
        )
    for kind, scope in _RIPPLE_SCOPES.items():
        for test in row.get(kind, ()):
            queries += _ripple_queries(test, kind=kind, scope=scope, old=old)
    yield ParallelCase(source="ripple-edits", edits=(edit,), queries=tuple(queries))


def _ripple_edit(fact: Mapping[str, Any]) -> tuple[Edit, str | None]:
    """Return the edit, and the old answer if the example tells it."""
    sentence, relation = fact["prompt"].strip(), fact.get("relation")
    previous = (fact.get("previous_fact") or {}).get("prompt", "").strip()
    words, old_words = sentence.split(" "), previous.split(" ")
    pairs = zip(words, old_words, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    prompt, target = " ".join(words[:shared]), " ".join(words[shared:]).removesuffix(".")
    old = " ".join(old_words[shared:]).removesuffix(".")
    if prompt and target and old:
        return Edit(prompt=prompt, target_new=target, relation=relation), old
    return Edit(statement=sentence, relation=relation), None


def _ripple_queries(
    test: Mapping[str, Any], *, kind: str, scope: Scope, old: str | None
) -> Iterator[Query]:
    questions = test["test_queries"]
    # "OR" means that one right answer is enough: the questions ask for the same.
    if test.get("test_condition") == "OR":
        questions = questions[:1]
    for question in questions:
        answers = flatten_answers([answer.get("value") for answer in question["answers"]])
        if not question.get("prompt") or not answers:
            continue
        unedited = {"out": answers[0], "in": old if kind == "Subject_Aliasing" else None}[scope]
        yield Query(
            kind=kind,
            scope=scope,
            prompt=question["prompt"],
            answer=answers[0],
            unedited=unedited,
        )
