"""Does a question find its edit, and only that? No language model takes part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from lte_chains.cases import Case, read_cases
from lte_chains.edit import Edit, EditMatch, normalise
from lte_chains.embeddings import default_embeddings
from lte_chains.errors import ConfigError
from lte_chains.evaluation.batching import BatchedEmbeddings
from lte_chains.evaluation.metrics import mean
from lte_chains.evaluation.separation import judge_pairs, read_pairs, separation
from lte_chains.memory import EditMemory
from lte_chains.retriever import EditRetriever
from lte_chains.scope import CrossEncoderGate, ScopeGate, SimilarityGate


def evaluate_retrieval(
    data: str | Path,
    *,
    k: int = 3,
    k_values: Sequence[int] = (1, 3, 10),
    limit: int | None = None,
    embeddings: Embeddings | None = None,
    gate: ScopeGate | None = None,
    pairs: str | Path | None = None,
    unrelated: str | Path | None = None,
) -> dict[str, Any]:
    """Put every row's edit into one memory, then look for the edits by the rows' probes.

    - ``recall``: per kind of in-scope probe and per k, the share of probes
      with their edit among the k nearest, whatever the gate says. Kinds are
      "prompt" (the edit's own), "rephrase", and the portability kinds, whose
      answers all depend on the edit.
    - ``passed``: the share with their edit among what `EditRetriever` hands
      on: in scope, and one of the `k` best.
    - ``false_fire``: the share of out-of-scope probes that get any edit.
      "locality" are the data's own; "locality_marked" are those that in truth
      ask for the edited fact again (see `Probe.asks_again`), kept apart;
      "unrelated" are the rows' own prompts, each asked as if the edits of its
      subject and of its slot had not been made, and "unrelated_rows" the prompts
      of the rows in `unrelated`.
    - ``separation``: how well the gate's scores keep right edits and clean
      locality probes apart at every threshold, and how true they are; see
      `separation`.

    If rows conflict over a slot, the memory's rule decides, and the edit that
    holds the slot afterwards is the right one for all of them; ``superseded``
    counts the rows whose own edit gave way. Rates are None where the data has
    no such probes; ``counts`` says how many there are.

    Args:
        data: A KnowEdit-style JSON file.
        k: Edits that the retriever hands on.
        k_values: The ks for which recall is reported.
        limit: Read only that many rows, from the front.
        embeddings: The embedder; the memory's default if None.
        gate: The scope gate; the retriever's default if None.
        pairs: A file of labelled pairs (see `read_pairs`), to be judged by the gate as well
            and reported as ``pairs``.
        unrelated: A file of rows; those about subjects that `data` does not edit are asked too.

    Raises:
        DataError: A file cannot be read.
        ConfigError: A k is not a positive whole number.
    """
    if not k_values or min(k_values) < 1:
        raise ConfigError(f"k_values must be whole numbers of at least 1, not {list(k_values)}")
    cases = read_cases(data, limit=limit)
    labelled = read_pairs(pairs) if pairs is not None else []
    with memory_of(cases, embeddings) as memory:
        ungated = memory.as_retriever(k=max(k_values), gate=None)
        gated = memory.as_retriever(k=k, **({"gate": gate} if gate is not None else {}))
        holders = slot_holders(memory)
        in_scope, out_of_scope = _in_scope(cases), _out_of_scope(cases)
        if unrelated is not None:
            out_of_scope["unrelated_rows"] = _of_other_subjects(read_cases(unrelated), cases)
        recall = {
            kind: _recall(probes, holders, ungated.retrieve, k_values)
            for kind, probes in in_scope.items()
        }
        passed = {kind: _passed(probes, holders, gated) for kind, probes in in_scope.items()}
        false_fire = {
            kind: mean(bool(gated.retrieve(prompt)) for prompt in prompts)
            for kind, prompts in out_of_scope.items()
        }
        false_fire["unrelated"] = mean(_fires_for_another(case, gated) for case in cases)
        judged = judge_pairs(labelled, gated.gate, memory) if labelled and gated.gate else None
        return {
            "data": str(data),
            "rows": len(cases),
            "superseded": rows_that_gave_way(cases, holders),
            "embedder": memory.fingerprint,
            "gate": _describe(gated, memory.fingerprint),
            "k": k,
            "recall": recall,
            "passed": passed,
            "false_fire": false_fire,
            "separation": _separation(in_scope, out_of_scope["locality"], holders, gated),
            **({"pairs": judged} if judged else {}),
            "counts": {
                **{kind: len(probes) for kind, probes in in_scope.items()},
                **{kind: len(prompts) for kind, prompts in out_of_scope.items()},
                "unrelated": len(cases),
            },
        }


def memory_of(cases: Sequence[Case], embeddings: Embeddings | None = None) -> EditMemory:
    """Return a memory that holds all the cases' edits, with their probes embedded in one batch."""
    batched = BatchedEmbeddings(default_embeddings() if embeddings is None else embeddings)
    memory = EditMemory.open(":memory:", embeddings=batched)
    memory.add_edits([case.edit for case in cases])
    batched.prepare([prompt for case in cases for prompt in prompts_of(case)])
    return memory


def prompts_of(case: Case) -> list[str]:
    """Return everything that a case asks: its edit's prompt, and its probes."""
    probes = (*case.rephrase, *case.portability, *case.locality)
    return [case.edit.prompt, *(probe.prompt for probe in probes)]


def slot_holders(memory: EditMemory) -> dict[str | None, Edit]:
    """Return the live edit of each slot."""
    return {edit.slot: edit for edit in memory.edits()}


def rows_that_gave_way(cases: Iterable[Case], holders: Mapping[str | None, Edit]) -> int:
    """Count the cases whose slot another row's target holds."""
    return sum(holders[c.edit.slot].target_new != c.edit.target_new for c in cases)


def _in_scope(cases: Iterable[Case]) -> dict[str, list[tuple[Edit, str]]]:
    """List (the row's edit, question) by kind."""
    by_kind: dict[str, list[tuple[Edit, str]]] = defaultdict(list)
    for case in cases:
        by_kind["prompt"].append((case.edit, case.edit.prompt))
        for probe in (*case.rephrase, *case.portability):
            by_kind[probe.kind].append((case.edit, probe.prompt))
    return dict(by_kind)


def _out_of_scope(cases: Iterable[Case]) -> dict[str, list[str]]:
    by_kind: dict[str, list[str]] = {"locality": [], "locality_marked": []}
    for case in cases:
        for probe in case.locality:
            kind = "locality_marked" if probe.asks_again else "locality"
            by_kind[kind].append(probe.prompt)
    return by_kind


def _of_other_subjects(rows: Iterable[Case], cases: Iterable[Case]) -> list[str]:
    """List the prompts of the rows whose subject none of the cases edits."""
    edited = {normalise(case.edit.subject) for case in cases if case.edit.subject}
    return [
        row.edit.prompt
        for row in rows
        if row.edit.subject and normalise(row.edit.subject) not in edited
    ]


def _recall(
    probes: Sequence[tuple[Edit, str]],
    holders: Mapping[str | None, Edit],
    retrieve: Callable[[str], list[EditMatch]],
    k_values: Sequence[int],
) -> dict[str, float | None]:
    places = [_place(holders[edit.slot], retrieve(query)) for edit, query in probes]
    return {str(k): mean(place is not None and place < k for place in places) for k in k_values}


def _passed(
    probes: Sequence[tuple[Edit, str]],
    holders: Mapping[str | None, Edit],
    retriever: EditRetriever,
) -> float | None:
    return mean(
        _place(holders[edit.slot], retriever.retrieve(query)) is not None for edit, query in probes
    )


def _place(edit: Edit, matches: Sequence[EditMatch]) -> int | None:
    """Return the edit's place among the matches, from 0; None if it is not there."""
    return next((i for i, match in enumerate(matches) if match.edit.id == edit.id), None)


def _fires_for_another(case: Case, retriever: EditRetriever) -> bool:
    """Tell whether a row's prompt gets an edit that is about something else."""
    return any(
        match.in_scope and not _same_thing(match.edit, case.edit)
        for match in retriever.candidates(case.edit.prompt)
    )


def _same_thing(first: Edit, second: Edit) -> bool:
    if first.slot == second.slot:
        return True
    if first.subject is None or second.subject is None:
        return False
    return normalise(first.subject) == normalise(second.subject)


def _separation(
    in_scope: Mapping[str, Sequence[tuple[Edit, str]]],
    clean_locality: Sequence[str],
    holders: Mapping[str | None, Edit],
    gated: EditRetriever,
) -> dict[str, Any]:
    """Compare the scores of the edits that hold the probes' slots with clean locality probes."""
    ids = {
        kind: [(holders[edit.slot].id, question) for edit, question in probes]
        for kind, probes in in_scope.items()
    }
    return separation(ids, clean_locality, gated)


def _describe(retriever: EditRetriever, fingerprint: str) -> dict[str, Any]:
    gate = retriever.gate
    described: dict[str, Any] = {"type": type(gate).__name__}
    if isinstance(gate, SimilarityGate | CrossEncoderGate):
        described["threshold"] = gate.for_embedder(fingerprint).threshold
    return described
