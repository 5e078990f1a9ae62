"""One row's worth: what an edited model says to each of its probes, and whether that is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, harmonic_mean

from lte_chains.answers import alias_match, same_answer
from lte_chains.cases import Case, Probe
from lte_chains.evaluation.teacher_forcing import Forced

Answers = Mapping[str, str]
"""Generated answers by question."""
Targets = Mapping[tuple[str, str], Forced]
"""Forced answers by (question, target)."""
Scores = dict[str, float]
"""Scores of one row by measure; measures that the row has no probes for are left out."""

HARMONIC = ("edit_success", "rephrase", "portability", "locality")
"""What the harmonic mean is of."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one state of a model says.

    Example:
        >>> Said(answers={"Who runs Acme?": "Jane Doe"}).forced
        {}
    """

    answers: Answers
    """What it generates."""
    forced: Targets = field(default_factory=dict)
    """What it predicts while the target is fed in; empty without logits."""


def questions_of(case: Case) -> list[str]:
    """Return everything that a row asks."""
    return [probe.prompt for probe in (*_inside(case), *case.locality)]


def targets_of(case: Case) -> list[tuple[str, str]]:
    """Return (question, canonical answer) of all probes that have an answer."""
    probes = (*_inside(case), *case.locality)
    return [(probe.prompt, probe.answers[0]) for probe in probes if probe.answers]


def judge_generated(case: Case, said: Said, original: Said) -> Scores:
    """Score the generated answers to a row's probes.

    A question is answered rightly if the whole answer equals one of the accepted
    ones; one that the edit must not change, if the *original* model's own answer
    is given. Over kinds and prompts the means are KnowEdit's. One kind of portability
    stands under ``portability.KIND``; ``locality`` leaves out mislabelled probes,
    which are ``locality_marked``. An opinion has no success of this kind: it is not
    held to the words of one reply.
    """

    def right(probe: Probe) -> float:
        return float(alias_match(said.answers[probe.prompt], probe.answers))

    def kept(probe: Probe) -> float:
        return float(same_answer(said.answers[probe.prompt], original.answers[probe.prompt]))

    clean = [probe for probe in case.locality if not probe.mislabelled]
    marked = [probe for probe in case.locality if probe.mislabelled]
    scores = _scores(case, right, {"locality": (clean, kept), "locality_marked": (marked, kept)})
    if case.task == "opinion":
        del scores["edit_success"]
    return scores


def judge_forced(case: Case, said: Said, original: Said) -> Scores:
    """Score a row by teacher forcing, as EasyEdit does.

    The accuracy is the mean over the target's tokens; locality is the share of
    its positions where the prediction is the original model's, over all probes,
    mislabelled ones included. There are no scores if a model that answers one of
    the questions does not show its logits.
    """
    if not all(pair in said.forced for pair in targets_of(case)):
        return {}

    def accuracy(probe: Probe) -> float:
        return said.forced[probe.prompt, probe.answers[0]].accuracy

    def agreement(probe: Probe) -> float:
        key = probe.prompt, probe.answers[0]
        return said.forced[key].agreement(original.forced[key])

    outside = [probe for probe in case.locality if probe.answers]
    return _scores(case, accuracy, {"locality": (outside, agreement)})


def failed(scores: Scores) -> Scores:
    """Return the scores of a row whose edit could not be made: nothing of it counts as right.

    What the edit must not change stays as it was judged.

    Example:
        >>> failed({"edit_success": 1.0, "portability.Reasoning": 1.0, "locality": 1.0})
        {'edit_success': 0.0, 'portability.Reasoning': 0.0, 'locality': 1.0}
    """
    wrong = ("edit_success", "rephrase", "portability", "opinion", "sentiment", "erased")
    return {
        name: 0.0 if name.partition(".")[0] in wrong else score for name, score in scores.items()
    }


def harmonic(scores: Mapping[str, float | None]) -> float | None:
    """Return the harmonic mean of the four measures of `HARMONIC`, of those that there are.

    Example:
        >>> harmonic({"edit_success": 1.0, "locality": 0.5, "fluency": 500.0})
        0.6667
    """
    values = [scores.get(name) for name in HARMONIC]
    known = [value for value in values if value is not None]
    return round(harmonic_mean(known), 4) if known else None


def _inside(case: Case) -> list[Probe]:
    own = Probe(kind="prompt", prompt=case.edit.prompt, answers=case.answers)
    return [own, *case.rephrase, *case.portability]


def _scores(
    case: Case,
    right: Callable[[Probe], float],
    outside: Mapping[str, tuple[Sequence[Probe], Callable[[Probe], float]]],
) -> Scores:
    found: dict[str, float | None] = {
        "edit_success": right(_inside(case)[0]),
        "rephrase": _mean_of_kinds(case.rephrase, right),
        "portability": _mean_of_kinds(case.portability, right),
    }
    for kind in {probe.kind for probe in case.portability}:
        of_kind = [probe for probe in case.portability if probe.kind == kind]
        found[f"portability.{kind}"] = _mean_of_kinds(of_kind, right)
    for name, (probes, score) in outside.items():
        found[name] = _mean_of_kinds(probes, score)
    return {name: value for name, value in found.items() if value is not None}


def _mean_of_kinds(probes: Iterable[Probe], score: Callable[[Probe], float]) -> float | None:
    """Return the mean over kinds of the mean over prompts."""
    by_kind: dict[str, list[float]] = defaultdict(list)
    for probe in probes:
        by_kind[probe.kind].append(score(probe))
    return fmean(fmean(values) for values in by_kind.values()) if by_kind else None
