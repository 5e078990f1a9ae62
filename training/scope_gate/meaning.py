"""What an embedder is asked while pairs are made: likeness of wordings, and hard negatives."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from langchain_core.embeddings import Embeddings

from lte_chains.edit import normalise
from lte_chains.training.parallel.mentions import folded
from lte_chains.training.scope_gate.relations import Relation
from lte_chains.training.scope_gate.rows import Group

Floats = npt.NDArray[np.float32]

SAME_RELATION = 0.86
"""Least cosine at which a form asks for a relation as the relation's own forms do."""
STILL_THE_SAME = 0.75
"""Least cosine of a rephrasing with what it rephrases, both without their subject."""
_CHUNK = 1024


def embed(embeddings: Embeddings, texts: Sequence[str]) -> Floats:
    """Return unit vectors, shape (len(texts), dimension); short texts go beside short ones."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    with torch.autocast("cpu", dtype=torch.bfloat16):  # likeness needs no more, and takes a while
        found = embeddings.embed_documents([texts[i] for i in order])
    vectors = np.array(found, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    restored = np.empty_like(vectors)
    restored[order] = vectors
    return restored


def relations_of(
    forms: Iterable[str], known: Mapping[str, Relation], embeddings: Embeddings
) -> dict[str, str]:
    """Find out which of our relations forms ask for; forms that fit none are left out."""
    asked = sorted(set(forms))
    owners, own = [], []
    for name, relation in known.items():
        named = [f"The {label} of {{s}} is" for label in relation.labels]
        for form in (*relation.forms, *named):
            owners.append(name)
            own.append(form)
    table = embed(embeddings, [_anonymous(form) for form in own])
    vectors = embed(embeddings, [_anonymous(form) for form in asked])
    cosines = vectors @ table.T
    best = cosines.argmax(axis=1)
    return {
        form: owners[place]
        for form, place, row in zip(asked, best, cosines, strict=True)
        if row[place] >= SAME_RELATION
    }


def confirmed(groups: Sequence[Group], embeddings: Embeddings) -> list[Group]:
    """Take the doubtful wordings that an embedder finds to say the same into the groups' scope."""
    doubtful = [(i, *pair) for i, group in enumerate(groups) for pair in group.doubtful]
    if not doubtful:
        return list(groups)
    subjects = [groups[i].subject for i, _, _ in doubtful]
    asked = embed(
        embeddings,
        [text.replace(s, "X") for (_, _, text), s in zip(doubtful, subjects, strict=True)],
    )
    prompts = embed(
        embeddings,
        [
            groups[i].edit.prompt.replace(s, "X")
            for (i, _, _), s in zip(doubtful, subjects, strict=True)
        ],
    )
    same = (asked * prompts).sum(axis=1) >= STILL_THE_SAME
    inside = [list(group.inside) for group in groups]
    for (i, wording, _), holds in zip(doubtful, same, strict=True):
        if holds:
            inside[i].append(("rephrase", wording))
    return [
        replace(group, inside=tuple(own), doubtful=())
        for group, own in zip(groups, inside, strict=True)
    ]


def named(
    groups: Sequence[Group], known: Mapping[str, Relation], embeddings: Embeddings
) -> list[Group]:
    """Find out of which of our relations the groups' edits are."""
    forms = [_form(group) for group in groups]
    relation = relations_of((form for form in forms if form), known, embeddings)
    return [
        replace(group, relation=relation.get(form) if form else None)
        for group, form in zip(groups, forms, strict=True)
    ]


def neighbours(
    groups: Sequence[Group],
    embeddings: Embeddings,
    *,
    questions: int,
    rng: random.Random,
    count: int = 10,
) -> list[tuple[str, int]]:
    """List (question, index of a group that the retriever would offer for it, and wrongly so).

    At most `questions` questions are looked up. Of the nearest edits those are
    taken that name another subject: with the same subject the edit may be right.
    """
    edits = embed(embeddings, [group.edit.statement or group.edit.prompt for group in groups])
    asked = [(i, text) for i, group in enumerate(groups) for _, text in group.inside]
    asked += [(i, text) for i, group in enumerate(groups) for _, text in group.outside]
    asked = rng.sample(asked, min(questions, len(asked)))
    vectors = embed(embeddings, [text for _, text in asked])
    found = []
    for start in range(0, len(asked), _CHUNK):
        cosines = vectors[start : start + _CHUNK] @ edits.T
        nearest = np.argpartition(-cosines, count, axis=1)[:, :count]
        for (owner, text), places in zip(asked[start : start + _CHUNK], nearest, strict=True):
            found += [(text, int(i)) for i in places if _wrong(groups[owner], groups[i], text)]
    return found


def _wrong(own: Group, other: Group, question: str) -> bool:
    if normalise(own.edit.descriptor) == normalise(other.edit.descriptor):
        return False
    named = other.subject
    if not named:  # a statement: it is about something else if the question names none of it
        return (
            own.edit.statement is not None
            and own.edit.statement.split()[:3] != (other.edit.statement or "").split()[:3]
            and not _shares_subject(own, other)
        )
    return folded(named) not in folded(question) and normalise(named) != normalise(own.subject)


def _shares_subject(own: Group, other: Group) -> bool:
    """Tell whether any question of one group would name the subject of the other."""
    mine = set(folded(" ".join(text for _, text in own.inside)).split())
    theirs = [set(folded(text).split()) for _, text in other.inside]
    shared = set.intersection(*theirs) if theirs else set()
    return bool(shared) and shared <= mine


def _form(group: Group) -> str | None:
    prompt = group.edit.prompt
    return prompt.replace(group.subject, "{s}") if group.subject and prompt else None


def _anonymous(form: str) -> str:
    return form.replace("{s}", "X").rstrip("?.").strip()
