"""The one shape that every source of training data is brought into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lte_chains.answers import alias_match, same_answer
from lte_chains.cases import Case, Probe
from lte_chains.edit import Edit
from lte_chains.errors import DataError

Scope = Literal["in", "out"]
"""Whether the answer to a question depends on the edits of its case."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """One question, with what is right to answer with the edits and without them.

    Raises:
        DataError: The question or the answer is blank, or the scope is unknown.

    Example:
        >>> Query(kind="rewrite", scope="in", prompt="Who runs Acme?", answer="Jane").unedited
    """

    kind: str
    """"rewrite", "rephrase", "free_text", or a portability or locality kind's own name."""
    scope: Scope
    prompt: str
    """The question, verbatim."""
    answer: str
    """What to answer with the edits in front."""
    unedited: str | None = None
    """What to answer without them; None if the source does not say."""
    rests_on: tuple[str, ...] = ()
    """Other facts that lead to the answer. No extra edit may touch what they are about."""

    def __post_init__(self) -> None:
        """Check the texts and the scope."""
        for name in ("prompt", "answer"):
            value: object = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise DataError(f"a {self.kind} query needs text as its {name}, not {value!r}")
        if self.scope not in ("in", "out"):
            raise DataError(f"scope is 'in' or 'out', not {self.scope!r}")


@dataclass(frozen=True, kw_only=True)
class ParallelCase:
    """Edits that belong together (nearly always one), and questions to learn from.

    Raises:
        DataError: There is no edit.
    """

    source: str
    """Where it comes from, as the statistics name it."""
    edits: tuple[Edit, ...]
    """All of them stand in front of every in-scope question."""
    queries: tuple[Query, ...]

    def __post_init__(self) -> None:
        """Check that something is edited."""
        if not self.edits:
            raise DataError(f"a case of {self.source} has no edit")

    @property
    def subjects(self) -> tuple[str, ...]:
        """What the edits are about, as far as the source says."""
        return tuple(edit.subject for edit in self.edits if edit.subject)


def from_case(case: Case, *, source: str, rewrite_kind: str = "rewrite") -> ParallelCase:
    """Turn an evaluation case into questions with and without its edit.

    An edit that changes nothing has no question. Locality probes that ask for
    the edited fact itself and expect the old answer are left out: they would
    teach to ignore edits.

    Example:
        >>> from lte_chains.cases import parse_case
        >>> row = {"prompt": "The CEO of Acme is", "target_new": "Jane", "ground_truth": "Joe"}
        >>> [query] = from_case(parse_case(row), source="mine").queries
        >>> query.answer, query.unedited
        ('Jane', 'Joe')
    """
    queries: list[Query] = []
    if not _changes_nothing(case):
        old = case.old_answers[0] if case.old_answers else None
        target = case.answers[0]
        queries.append(
            Query(
                kind=rewrite_kind, scope="in", prompt=case.edit.prompt, answer=target, unedited=old
            )
        )
        queries += [
            Query(kind="rephrase", scope="in", prompt=probe.prompt, answer=target, unedited=old)
            for probe in case.rephrase
        ]
        queries += _portability(case, old)
        queries += [
            Query(
                kind=probe.kind,
                scope="out",
                prompt=probe.prompt,
                answer=probe.answers[0],
                unedited=probe.answers[0],
            )
            for probe in case.locality
            if probe.answers and not probe.mislabelled
        ]
    return ParallelCase(source=source, edits=(case.edit,), queries=tuple(queries))


def _changes_nothing(case: Case) -> bool:
    return bool(case.old_answers) and same_answer(case.answers[0], case.old_answers[0])


def _portability(case: Case, old: str | None) -> Iterator[Query]:
    for probe in case.portability:
        yield Query(
            kind=probe.kind,
            scope="in",
            prompt=probe.prompt,
            answer=probe.answers[0],
            unedited=old if _asks_the_edited_fact(probe, case) else None,
        )


def _asks_the_edited_fact(probe: Probe, case: Case) -> bool:
    """Tell whether the old answer of the edit is also the old answer of the probe."""
    return probe.kind == "Subject_Aliasing" and alias_match(probe.answers[0], case.answers)
