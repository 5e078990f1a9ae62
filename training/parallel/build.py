"""Make parallel data: every question with its edit and without it (LTE, section 3.1).

The recipe reads top to bottom in `build_parallel_data`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from langchain_core.embeddings import Embeddings

from lte_chains.edit import Edit, normalise
from lte_chains.errors import ConfigError, DataError
from lte_chains.memory import EditMemory
from lte_chains.progress import in_batches
from lte_chains.prompts import PromptStyle, knowledge_editing_prompt
from lte_chains.training.parallel.case import ParallelCase, Query, Scope
from lte_chains.training.parallel.extras import extras_for, may_stand_beside
from lte_chains.training.parallel.split import hold_out, split_by_subject

Variant = Literal["edited", "unedited", "irrelevant"]
"""With the case's edits in front, with none, or with other cases' edits only."""

_PROGRESS_STEP = 64


@dataclass(frozen=True, kw_only=True)
class ParallelConfig:
    """What the rows are made like.

    Raises:
        ConfigError: A value cannot be honoured.

    Example:
        >>> ParallelConfig(extras=(1.0,)).extras
        (1.0,)
    """

    extras: tuple[float, ...] = (0.5, 0.25, 0.25)
    """Share of edited rows whose edits stand alone, with one more, with two more, …"""
    irrelevant: float = 0.1
    """Rows with irrelevant edits only, as a share of the edited rows."""
    nearest: int = 5
    """Other edits are drawn among that many nearest to the question."""
    per_kind: int | None = 3
    """Most questions of one kind that a case gives; None for all."""
    out_of_scope: bool = True
    """Whether there are questions that the edit does not concern."""
    shuffle: bool = True
    """Whether the case's own edits may stand at any place, and not always first."""
    dev_share: float = 0.02
    """Share of the edited subjects whose rows are for dev."""
    together: bool = False
    """Whether all questions of a case stand after the same edits in one order, which a recipe with
    `share_prompts` reads once."""
    style: PromptStyle = "training"
    """Wording of the prompt."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        shares = self.extras
        if not shares or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError(f"extras must be shares that add up to 1, not {shares!r}")
        for name in ("irrelevant", "dev_share"):
            value: float = getattr(self, name)
            if not 0 <= value < 1:
                raise ConfigError(f"{name} must be at least 0 and less than 1, not {value!r}")
        if self.nearest < len(shares) - 1:
            raise ConfigError(
                f"nearest={self.nearest} edits are too few to draw {len(shares) - 1} of them"
            )
        if self.per_kind is not None and self.per_kind < 1:
            raise ConfigError(f"per_kind must be at least 1, or None for all: {self.per_kind!r}")


@dataclass(frozen=True, kw_only=True)
class ParallelRow:
    """One prompt with its answer, and what it was made of."""

    source: str
    kind: str
    scope: Scope
    variant: Variant
    question: str
    facts: tuple[str, ...]
    """Edit descriptors in the order in which the prompt has them."""
    answer: str
    instructions: tuple[str, ...] = ()
    """Descriptors of the edits that are instructions."""
    own_places: tuple[int, ...] = ()
    """Where the case's own edits stand among the facts, from 0."""
    style: PromptStyle = "training"

    @property
    def prompt(self) -> str:
        """The text that the model reads."""
        return knowledge_editing_prompt(
            self.question, self.facts, instructions=self.instructions, style=self.style
        )


@dataclass(frozen=True, kw_only=True)
class ParallelData:
    """The rows, and what was left out on the way."""

    train: tuple[ParallelRow, ...]
    dev: tuple[ParallelRow, ...]
    config: ParallelConfig
    dropped: Counter[str] = field(default_factory=Counter, hash=False)
    """How often something was left out, by reason."""


def build_parallel_data(
    cases: Iterable[ParallelCase],
    *,
    held_out: Sequence[str] = (),
    config: ParallelConfig | None = None,
    embeddings: Embeddings | None = None,
    show_progress: bool | None = None,
) -> ParallelData:
    """Turn cases into rows for training and for watching it.

    Args:
        cases: From `read_source`, of any mix of formats.
        held_out: Subjects of evaluation rows; nothing that mentions one is used.
        config: How to make the rows.
        embeddings: Decide which edits are near a question; the default ones if None.
        show_progress: Always or never a bar; with None where it takes long.

    Raises:
        DataError: No row is left.
    """
    config = config or ParallelConfig()
    rng, dropped = random.Random(config.seed), Counter[str]()
    kept = hold_out(cases, held_out, dropped)
    train, dev = split_by_subject(kept, config.dev_share, rng, dropped)
    with EditMemory.open(":memory:", embeddings=embeddings) as memory:
        maker = _RowMaker(memory, config, rng, dropped, show_progress)
        data = ParallelData(
            train=tuple(maker.rows(train)),
            dev=tuple(maker.rows(dev)),  # its edits come to the memory only now
            config=config,
            dropped=dropped,
        )
    if not data.train:
        raise DataError("no training row is left: see what was held out, or give more data")
    return data


@dataclass
class _RowMaker:
    memory: EditMemory
    config: ParallelConfig
    rng: random.Random
    dropped: Counter[str]
    show_progress: bool | None

    def rows(self, cases: Sequence[ParallelCase]) -> list[ParallelRow]:
        """Return the rows of cases, in random order."""
        self.memory.add_edits(
            (edit for case in cases for edit in case.edits), show_progress=self.show_progress
        )
        jobs = self._jobs(cases)
        prompts = self._prompts(jobs)
        counts = spread(len(prompts), self.config.extras, self.rng)
        beside = self._irrelevant_jobs(jobs)
        rows: list[ParallelRow] = []
        steps = in_batches(
            list(zip(prompts, counts, strict=True)),
            _PROGRESS_STEP,
            label="Making rows",
            show=self.show_progress,
        )
        for step in steps:
            # Embedded together here, and remembered by the memory for each one's search.
            self.memory.embed_queries([queries[0].prompt for (_, queries), _ in step])
            for (case, queries), count in step:
                rows += self._edited_rows(case, queries, count, beside=beside)
        rows += self._unedited_rows(jobs)
        self.rng.shuffle(rows)
        return rows

    def _jobs(self, cases: Sequence[ParallelCase]) -> list[tuple[ParallelCase, Query]]:
        """Return each question with its case, once."""
        jobs, seen = [], set()
        for case in cases:
            taken: Counter[str] = Counter()
            facts = frozenset(edit.descriptor for edit in case.edits)
            for query in self._chosen(case):
                key = (facts, normalise(query.prompt))
                if key in seen:
                    self.dropped["repeated questions"] += 1
                elif self.config.per_kind is not None and taken[query.kind] >= self.config.per_kind:
                    self.dropped["more than per_kind"] += 1
                else:
                    seen.add(key)
                    taken[query.kind] += 1
                    jobs.append((case, query))
        return jobs

    def _chosen(self, case: ParallelCase) -> Iterator[Query]:
        if not case.queries:
            self.dropped["cases without a question"] += 1
        for query in case.queries:
            if query.scope == "in" or self.config.out_of_scope:
                yield query

    def _prompts(
        self, jobs: Sequence[tuple[ParallelCase, Query]]
    ) -> list[tuple[ParallelCase, list[Query]]]:
        """Return which questions stand after the same edits: each alone, or those of a case."""
        if not self.config.together:
            return [(case, [query]) for case, query in jobs]
        by_case = groupby(jobs, key=lambda job: id(job[0]))  # the questions of a case are in a row
        prompts = [list(group) for _, group in by_case]
        return [(group[0][0], [query for _, query in group]) for group in prompts]

    def _irrelevant_jobs(self, jobs: Sequence[tuple[ParallelCase, Query]]) -> frozenset[int]:
        """Choose the questions that are also asked beside irrelevant edits only, by identity."""
        able = [id(query) for _, query in jobs if query.unedited]
        wanted = min(len(able), round(len(jobs) * self.config.irrelevant))
        return frozenset(self.rng.sample(able, wanted))

    def _edited_rows(
        self, case: ParallelCase, queries: Sequence[Query], extras: int, *, beside: frozenset[int]
    ) -> Iterator[ParallelRow]:
        chosen = [query for query in queries if id(query) in beside]
        near = self._near(case, queries) if extras or chosen else []
        if len(near) < extras:
            self.dropped["extra edits that were not to be found"] += extras - len(near)
        drawn = self.rng.sample(near, min(extras, len(near)))
        facts = self._ordered(case.edits, drawn)
        for query in queries:
            yield self._row(case, query, "edited", facts)
        most = min(len(near), max(1, len(self.config.extras)))
        for query in chosen if most else ():
            others = self.rng.sample(near, self.rng.randint(1, most))
            yield self._row(case, query, "irrelevant", self._ordered((), others))

    def _near(self, case: ParallelCase, queries: Sequence[Query]) -> list[Edit]:
        """Return edits near the first question that leave the answer of every one as it is."""
        first, *rest = queries
        near = extras_for(self.memory, first, case.edits, nearest=self.config.nearest)
        return [e for e in near if all(may_stand_beside(e, query, case.edits) for query in rest)]

    def _ordered(self, own: Sequence[Edit], others: Sequence[Edit]) -> list[tuple[str, bool]]:
        """Return the descriptors of edits, and which are the case's own, in a prompt's order."""
        facts = [(edit.descriptor, True) for edit in own]
        facts += [(edit.descriptor, False) for edit in others]
        if self.config.shuffle:
            self.rng.shuffle(facts)
        return facts

    def _unedited_rows(self, jobs: Sequence[tuple[ParallelCase, Query]]) -> Iterator[ParallelRow]:
        """Make the bare questions; one that several cases ask is asked once."""
        answers: dict[str, str] = {}
        for case, query in jobs:
            if query.unedited is None:
                self.dropped["unedited answers that no source tells"] += 1
                continue
            question = normalise(query.prompt)
            if question not in answers:
                answers[question] = query.unedited
                yield self._row(case, query, "unedited", ())
            elif normalise(answers[question]) == normalise(query.unedited):
                self.dropped["repeated unedited rows"] += 1
            else:
                self.dropped["unedited rows that contradict an earlier one"] += 1

    def _row(
        self,
        case: ParallelCase,
        query: Query,
        variant: Variant,
        facts: Sequence[tuple[str, bool]],
    ) -> ParallelRow:
        answer = query.answer if variant == "edited" else query.unedited or ""
        return ParallelRow(
            source=case.source,
            kind=query.kind,
            scope=query.scope,
            variant=variant,
            question=query.prompt,
            facts=tuple(text for text, _ in facts),
            answer=answer,
            own_places=tuple(place for place, (_, mine) in enumerate(facts) if mine),
            style=self.config.style,
        )


def spread(total: int, shares: Sequence[float], rng: random.Random) -> list[int]:
    """Return `total` numbers 0, 1, …, each as often as its share says, in random order.

    Example:
        >>> sorted(spread(8, (0.5, 0.25, 0.25), random.Random(0)))
        [0, 0, 0, 0, 1, 1, 2, 2]
    """
    bounds = [round(total * sum(shares[: number + 1])) for number in range(len(shares))]
    numbers = [
        number
        for number, (start, end) in enumerate(zip([0, *bounds], bounds, strict=False))
        for _ in range(end - start)
    ]
    rng.shuffle(numbers)
    return numbers
