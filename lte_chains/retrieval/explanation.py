"""Why a query gets the edits that it gets: what `EditRetriever.explain` returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lte_chains.edit import Edit, EditMatch
from lte_chains.retrieval.hops import Step, chains

_Key = tuple[str | None, int | None]
"""An edit's id and version."""

ASIDE = "another edit is asked for word for word"
"""Why an edit is not used although the gate holds it in scope."""
_DIGITS = 6
_WIDEST = 48


@dataclass(frozen=True)
class Found:
    """Everything that one retrieval came across."""

    near: Sequence[EditMatch]
    """The edits nearest to the query; scores are cosines."""
    judged: Sequence[EditMatch]
    """The same as the gate judged them."""
    steps: Sequence[Step]
    """What was considered for chains."""
    planned: Sequence[EditMatch]
    """The chain that a chat model found."""
    used: Sequence[EditMatch]
    """What is handed on, in order."""
    aside: Sequence[EditMatch] = ()
    """What gave way to an edit that was asked for word for word."""

    @property
    def chains(self) -> list[Sequence[EditMatch]]:
        """All chains, those of a chat model first."""
        found = chains(self.steps)
        return [self.planned, *found] if self.planned else list(found)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was decided about one edit."""

    edit: Edit
    hop: int
    """0 if it was judged for the query itself, n if n earlier edits led to it."""
    similarity: float | None
    """Cosine with the query; None for an edit that only a hop has found."""
    gate: float | None
    """The gate's score, for most gates a probability; None where the gate was not asked."""
    fit: float | None
    """How well the words that ask for it fit its relation, as a cosine; None without hops."""
    asked: str | None
    """Those words, with the name replaced by "it"."""
    via: str | None
    """Id of the edit that led to it."""
    place: int | None
    """Its place among the edits that are used, from 1; None if it is not used."""
    reason: str
    """Why it is used, or not."""

    @property
    def used(self) -> bool:
        """Whether the edit is handed on."""
        return self.place is not None


@dataclass(frozen=True)
class Explanation:
    """A query, and what was decided about every edit that came into question.

    It prints as a table; `to_dict` gives JSON values.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from lte_chains import EditMemory
        >>> from lte_chains.scope import SimilarityGate
        >>> memory = EditMemory.open(":memory:", embeddings=DeterministicFakeEmbedding(size=8))
        >>> ids = memory.add_edits([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> retriever = memory.as_retriever(gate=SimilarityGate(0.9))
        >>> explanation = retriever.explain("The CEO of Acme is")
        >>> [(judgement.used, judgement.reason) for judgement in explanation.judgements]
        [(True, 'in scope')]
    """

    query: str
    at: datetime
    """The moment at which edits must hold."""
    gate: str
    """The gate and its settings."""
    judgements: tuple[Judgement, ...]
    """Edits that are used first, in their order; then the others, nearest first."""

    COLUMNS = ("used", "hop", "similarity", "gate", "fit", "edit", "why", "id")

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the table's rows as text, a cell for each of `COLUMNS`."""
        for judgement in self.judgements:
            yield (
                "" if judgement.place is None else str(judgement.place),
                str(judgement.hop),
                *(
                    "" if number is None else f"{number:.3f}"
                    for number in (judgement.similarity, judgement.gate, judgement.fit)
                ),
                judgement.edit.descriptor,
                judgement.reason,
                str(judgement.edit.id),
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON values."""
        return {
            "query": self.query,
            "at": self.at.isoformat(),
            "gate": self.gate,
            "candidates": [_as_dict(judgement) for judgement in self.judgements],
        }

    def __str__(self) -> str:
        """Lay the table out in plain text; long cells are cut."""
        table = [self.COLUMNS, *self.rows()]
        cells = [[_cut(" ".join(cell.split())) for cell in row] for row in table]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        return "\n".join([f"{self.query!r} at {self.at.isoformat()}, {self.gate}", *lines])


def explain(query: str, found: Found, *, at: datetime, gate: str, gated: bool) -> Explanation:
    """Say of every edit that a retrieval came across why it is used or not.

    Args:
        query: What was asked.
        found: What the retrieval came across.
        at: The moment at which edits must hold.
        gate: The gate and its settings.
        gated: Whether there is a gate at all.
    """
    places = {_key(match): place for place, match in enumerate(found.used, 1)}
    near = {_key(match): match for match in found.near}
    judged = {_key(match): match for match in found.judged}
    linked = {_key(m): m for chain in found.chains for m in chain}
    steps = _decisive(found.steps)
    aside = {_key(match) for match in found.aside}
    judgements = []
    for key in dict.fromkeys([*judged, *steps, *linked]):
        step, match = steps.get(key), linked.get(key) or judged.get(key)
        match = match or steps[key].match
        judgements.append(
            Judgement(
                edit=match.edit,
                hop=match.hop if key in linked else (0 if key in judged else match.hop),
                similarity=near[key].score if key in near else None,
                gate=judged[key].score if gated and key in judged else None,
                fit=step.fit if step else None,
                asked=step.asked if step else None,
                via=_via(step) if step and (key in linked or key not in judged) else None,
                place=places.get(key),
                reason=ASIDE
                if key in aside and key not in places
                else _reason(judged.get(key), step, linked=key in linked, used=key in places),
            )
        )
    last = len(found.used) + 1
    ordered = sorted(judgements, key=lambda judgement: judgement.place or last)
    return Explanation(query, at, gate, tuple(ordered))


def _decisive(steps: Sequence[Step]) -> dict[_Key, Step]:
    """Return for each edit the step that was taken, else the one that fitted best."""
    decisive: dict[_Key, Step] = {}
    for step in sorted(steps, key=lambda step: (step.taken, step.fit)):
        decisive[_key(step.match)] = step
    return decisive


def _reason(judged: EditMatch | None, step: Step | None, *, linked: bool, used: bool) -> str:
    in_scope = judged is not None and judged.in_scope
    if linked and step is not None and step.taken:
        reason = step.reason
    elif linked:
        reason = "a single question of the chat model's plan depends on it"
    elif in_scope:
        reason = "in scope"
    elif step is not None and (judged is None or step.taken):
        reason = "no further edit confirms it" if step.taken else step.reason
    else:
        reason = "out of scope"
    return reason if used or not (linked or in_scope) else f"no room is left: {reason}"


def _via(step: Step) -> str | None:
    return None if step.previous is None else step.previous.match.edit.id


def _key(match: EditMatch) -> _Key:
    return match.edit.id, match.edit.version


def _as_dict(judgement: Judgement) -> dict[str, Any]:
    return {
        "id": judgement.edit.id,
        "edit": judgement.edit.descriptor,
        "used": judgement.used,
        "place": judgement.place,
        "hop": judgement.hop,
        "similarity": _rounded(judgement.similarity),
        "gate": _rounded(judgement.gate),
        "fit": _rounded(judgement.fit),
        "asked": judgement.asked,
        "via": judgement.via,
        "reason": judgement.reason,
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(float(number), _DIGITS)


def _cut(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"
