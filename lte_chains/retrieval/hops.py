"""Hops: from an edit in scope to the edits about its target that the question asks for too.

"What is the capital of the country that Jo is a citizen of?" depends on an edit
of Jo's citizenship, and on one of the capital of the country it names. The
second is far from the question, which does not name that country. So, from the
edits at which a question starts, this looks for edits about their targets, and
takes those whose relation the question asks for at that very place: in the
words around what earlier edits of the chain have answered. Those words and the
edits' own are compared with the names replaced (see `mentions`).

- An edit is about a target if its subject, or one of its aliases, is that name;
  without a subject, if its text holds the name. A subject of another wording but
  the same meaning counts if the scope gate agrees.
- A chain starts at an edit that the gate holds in scope. It may also start at
  one that the gate refused, if the question names its subject and asks for its
  relation, and a further edit confirms it: a long question is far from its first
  fact.
- Words are used once, so "Who is Jo's father?" does not lead to the father of
  the father. Of edits that compete for the same words the best fitting win.

Texts are embedded in batches: the targets of the first edits, and, only if edits
about these exist, for every step one of words and one of the next targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lte_chains.edit import Edit, EditMatch
from lte_chains.retrieval.hop_rules import HopRules
from lte_chains.retrieval.mentions import (
    Ring,
    Span,
    find_name,
    holds_name,
    name_key,
    names_in,
    relation_texts,
    rings,
    subject_names,
    target_names,
    whole_phrase,
    words_of,
)
from lte_chains.retrieval.requests import Embed, Find, Judge, Steps
from lte_chains.scope.pairs import with_chain
from lte_chains.store.base import Vectors

ABOUT = 64
"""How many edits are looked at for one target."""

_STARTS = 16
"""Most edits at which a chain may begin."""
_WIDTH = 6
"""Most edits from which the next step is looked for."""
_COMPOSED = 10
"""Words from which on a question may be far from the first fact that it is about."""
_ALIKE = 3
"""How many edits are asked whether their subject is a target in other words."""
_NAMES = 3
"""How many of its names are then searched."""
_READINGS = 2
"""How many of the best ways to cut the question after an edit are kept.

One that begins with the name is kept as well.
"""
_UNLIKELY = 0.1
"""What a fit loses if it needs another way than the best."""
_OWNED = 0.1
"""How far behind the best fit that one may be."""


@dataclass(frozen=True)
class Step:
    """An edit that was considered as a part of a chain."""

    match: EditMatch
    """The edit, with its hop; the score is the gate's for a first one in scope, else the fit."""
    fit: float
    """Cosine of what the edit says and the words of the question that ask for it."""
    previous: Step | None
    """The step that led to it; None for the first."""
    asked: str
    """The words of the question that fit best, with the name replaced."""
    taken: bool
    """Whether it is a part of a chain."""
    reason: str
    """Why, or why not."""

    @property
    def trail(self) -> list[Step]:
        """The steps that led here, this one included, the first one first."""
        return [*(self.previous.trail if self.previous else ()), self]


@dataclass(frozen=True)
class _Candidate:
    match: EditMatch
    name: str
    """What it is about, as the question or the edit before calls it."""
    inner: tuple[Span, ...]
    """The words of the question that stand for that name."""
    previous: Step | None = None
    exact: bool = True
    """Whether its subject is that name, and not only near to it."""
    sure: bool = False
    """Whether the gate holds it in scope for the whole question."""


@dataclass(frozen=True)
class _Fit:
    candidate: _Candidate
    score: float
    asked: str = ""
    """The words that ask for it best."""
    readings: tuple[Span, ...] = ()
    """The phrases that those words, and the next best, belong to; empty if there are none."""


_Leads = Mapping[tuple[str | None, str], Sequence[tuple[EditMatch, bool]]]
"""By an edit's id and a name in its target: the edits about that, and if exactly that."""


def follow(
    question: str,
    judged: Sequence[EditMatch],
    beyond: Sequence[EditMatch] = (),
    *,
    rules: HopRules,
    hops: int,
) -> Steps[list[Step]]:
    """Find the chains of edits that a question depends on.

    Args:
        question: What is asked, without any template.
        judged: The edits nearest to it, as the gate judged them.
        beyond: Those next to them, which it has not judged.
        rules: How well an edit must fit.
        hops: Most steps after the first.

    Returns:
        Every edit that was considered, from the first of a chain on; empty if
        no edit is about the target of another.
    """
    words = words_of(question.rstrip("?!. "))
    steps: list[Step] = []
    if not hops:
        return steps
    starts = _starts(words, [*judged, *(replace(match, in_scope=False) for match in beyond)])
    if not starts:
        starts = yield from _starts_by_name(question, words)
    leads = yield from _leads([start.match for start in starts], rules)
    candidates = [start for start in starts if _leads_on(start.match, leads)]
    for hop in range(hops + 1):
        if not candidates:
            break
        fits = yield from _fits(words, candidates)
        reasons = yield from _refused(question, fits, rules)
        made = [_step(fit, reason, hop) for fit, reason in zip(fits, reasons, strict=True)]
        steps += made
        on = _best(fits, made)
        if hop == hops:
            break
        if hop:
            leads = yield from _leads([fit.candidate.match for fit, _ in on], rules)
        candidates = [candidate for fit, step in on for candidate in _next(fit, step, leads)]
    return steps


def _best(fits: Sequence[_Fit], steps: Sequence[Step]) -> list[tuple[_Fit, Step]]:
    """Return the edits from which the next step is looked for."""
    taken = [(f, s) for f, s in zip(fits, steps, strict=True) if s.taken and f.readings]
    return sorted(taken, key=lambda pair: -pair[0].score)[:_WIDTH]


def chains(steps: Sequence[Step]) -> list[list[EditMatch]]:
    """Return the chains of two and more edits, the best confirmed first.

    A chain that is the beginning of another is left out.
    """
    led = {id(step.previous) for step in steps if step.taken}
    ends = [step for step in steps if step.taken and step.previous and id(step) not in led]
    trails = [[step.match for step in end.trail] for end in ends]
    return sorted(trails, key=lambda trail: (-len(trail), -sum(m.score for m in trail)))


def _starts(words: Sequence[str], judged: Sequence[EditMatch]) -> list[_Candidate]:
    """Return the edits whose subject the question names, those in scope first."""
    starts = []
    for match in judged:
        found = _mention(words, match) if target_names(match.edit) else None
        if found is not None:
            name, span = found
            starts.append(_Candidate(match, name, (span,), sure=match.in_scope))
    return sorted(starts, key=lambda start: not start.sure)[:_STARTS]


def searched_names(question: str) -> list[str]:
    """Return the names to search by if nothing near a question may begin a chain.

    Example:
        >>> searched_names("Who runs the company that the founder of Acme left for Globex?")
        ['Acme', 'Globex']
        >>> searched_names("Who runs Acme?")  # so short a question is near to what it is about
        []
    """
    if len(words_of(question.rstrip("?!. "))) < _COMPOSED:
        return []
    return names_in(question.partition(" ")[2])[:_NAMES]


def _starts_by_name(question: str, words: Sequence[str]) -> Steps[list[_Candidate]]:
    """Search by the names in a question whose whole is far from the first fact it is about."""
    names = searched_names(question)
    if not names:
        return []
    found: list[list[EditMatch]] = yield Find((yield Embed(names)), ABOUT)
    near = {(m.edit.id, m.edit.version): m for matches in found for m in matches}
    return _starts(words, [replace(match, in_scope=False) for match in near.values()])


def _mention(words: Sequence[str], match: EditMatch) -> tuple[str, Span] | None:
    """Return what the question calls an edit's subject, and where."""
    edit = match.edit
    names = subject_names(edit) or names_in(edit.prompt or edit.descriptor)
    for name in sorted(names, key=len, reverse=True):
        span = find_name(words, name)
        if span is not None:
            return name, span
    if not match.in_scope:
        return None
    # The question may use a part of the name: "Curie" for "Marie Curie".
    known = {word for name in names for word in words_of(name_key(name))}
    for name in sorted(names_in(" ".join(words)), key=len, reverse=True):
        if known.issuperset(words_of(name_key(name))):
            span = find_name(words, name)
            return None if span is None else (name, span)
    return None


def _leads(matches: Sequence[EditMatch], rules: HopRules) -> Steps[_Leads]:
    """Search the edits about the targets of others."""
    names = list(dict.fromkeys(name for match in matches for name in target_names(match.edit)))
    if not names:
        return {}
    found: list[list[EditMatch]] = yield Find((yield Embed(names)), ABOUT)
    about = {
        name: [(match, True) for match in near if _is_about(match.edit, name)]
        for name, near in zip(names, found, strict=True)
    }
    # The cosine of a name and a whole prompt is lower than that of the two names.
    likely = [
        (name, match)
        for name, near in zip(names, found, strict=True)
        for match in near[:_ALIKE]
        if not about[name] and match.edit.subject and match.score >= rules.perhaps
    ]
    for name, match in (yield from _same_names(likely, rules)):
        about[name].append((match, False))
    return {(m.edit.id, name): about[name] for m in matches for name in target_names(m.edit)}


def _same_names(
    pairs: Sequence[tuple[str, EditMatch]], rules: HopRules
) -> Steps[list[tuple[str, EditMatch]]]:
    """Return the pairs in which the edit's subject means what the name means."""
    if not pairs:
        return []
    names = [name for name, _ in pairs]
    vectors: Vectors = yield Embed([*names, *(str(match.edit.subject) for _, match in pairs)])
    cosines = (vectors[: len(pairs)] * vectors[len(pairs) :]).sum(axis=1)
    return [pair for pair, near in zip(pairs, cosines, strict=True) if near >= rules.same_name]


def _is_about(edit: Edit, name: str) -> bool:
    names = subject_names(edit)
    if names:
        return name_key(name) in map(name_key, names)
    return holds_name(edit.prompt or edit.descriptor, name)


def _leads_on(match: EditMatch, leads: _Leads) -> bool:
    return any(
        other.edit.id != match.edit.id
        for name in target_names(match.edit)
        for other, _ in leads.get((match.edit.id, name), ())
    )


def _fits(words: Sequence[str], candidates: Sequence[_Candidate]) -> Steps[list[_Fit]]:
    """Find, for each edit, the words around its name that fit what it says."""
    around = [_around(words, candidate.inner) for candidate in candidates]
    said = [relation_texts(candidate.match.edit, candidate.name) for candidate in candidates]
    texts = dict.fromkeys(ring.text for group in around for ring in group)
    texts |= dict.fromkeys(text for group in said for text in group)
    place = {text: row for row, text in enumerate(texts)}
    vectors: Vectors = yield Embed(list(texts))
    fits = []
    for candidate, group, relation in zip(candidates, around, said, strict=True):
        if not group:
            fits.append(_Fit(candidate, 0.0))
            continue
        rows = vectors[[place[ring.text] for ring in group]]
        scores = (rows @ vectors[[place[text] for text in relation]].T).max(axis=1)
        scores = scores - [_UNLIKELY * (not likely) for likely in group.values()]
        order = scores.argsort()[::-1]
        listed = list(group)
        best = [listed[row] for row in order[:_READINGS]]
        # "The father of it's child" fits a child's edit as well as "it's child" does.
        starts = {inner.start for inner in candidate.inner}
        fair = (listed[row] for row in order if scores[row] >= scores[order[0]] - _OWNED)
        best += [ring for ring in fair if ring.span.start in starts][:1]
        # Left-over words of the phrase would seem to ask for something else.
        phrases = tuple(dict.fromkeys(whole_phrase(words, ring.span) for ring in best))
        fits.append(_Fit(candidate, float(scores[order[0]]), best[0].text, phrases))
    return fits


def _around(words: Sequence[str], inner: Sequence[Span]) -> dict[Ring, bool]:
    """Return the words around a name, each with whether they are around its likeliest place."""
    found: dict[Ring, bool] = {}
    for place, span in enumerate(inner):
        for ring in rings(words, span):
            found.setdefault(ring, place == 0)
    return found


def _refused(question: str, fits: Sequence[_Fit], rules: HopRules) -> Steps[list[str | None]]:
    """Return, for each edit, why it is no part of a chain; None if it is one."""
    rivals: dict[object, list[_Fit]] = {}
    for fit in fits:
        rivals.setdefault(_contest(fit.candidate), []).append(fit)
    reasons: list[str | None] = []
    for fit in fits:
        others = rivals[_contest(fit.candidate)]
        ahead = max(other.score for other in others if not _inside(fit, other))
        if fit.score < ahead - rules.margin:
            reasons.append(f"another edit fits these words better ({ahead:.2f})")
        elif any(other.score >= rules.plain and _inside(other, fit) for other in others):
            reasons.append("another edit is asked for by fewer words")
        elif fit.candidate.sure or (fit.candidate.exact and fit.score >= rules.asked):
            reasons.append(None)
        elif fit.candidate.previous is None or fit.score < rules.perhaps:
            reasons.append(f"not asked for ({fit.score:.2f} of {rules.asked:.2f})")
        else:
            agreed = yield from _gate_agrees(question, fit)
            reasons.append(None if agreed else "not asked for, says the scope gate")
    return reasons


def _inside(one: _Fit, other: _Fit) -> bool:
    """Tell whether the words that ask for one edit are a part of those that ask for another."""
    if not one.readings or not other.readings:
        return False
    inner, outer = one.readings[0], other.readings[0]
    # Of two that begin alike, the longer is the same phrase, read to its end.
    return outer.start < inner.start and inner.end <= outer.end


def _contest(candidate: _Candidate) -> object:
    """Return what candidates have in common that compete for the same words."""
    return id(candidate.previous), name_key(candidate.name)


def _gate_agrees(question: str, fit: _Fit) -> Steps[bool]:
    """Ask the gate, which is told the edits that led here."""
    previous = fit.candidate.previous
    known = [step.match.edit for step in previous.trail] if previous else []
    # The hop says that the score is no cosine with the question.
    match = replace(fit.candidate.match, score=fit.score, hop=max(1, len(known)))
    [judged] = yield Judge(with_chain(question, known), [match])
    return bool(judged.in_scope)


def _step(fit: _Fit, refusal: str | None, hop: int) -> Step:
    candidate = fit.candidate
    score = candidate.match.score if hop == 0 and candidate.sure else fit.score
    return Step(
        match=replace(candidate.match, score=score, hop=hop, in_scope=refusal is None),
        fit=fit.score,
        previous=candidate.previous,
        asked=fit.asked,
        taken=refusal is None,
        reason=refusal or f"the question asks for it: {fit.asked!r}",
    )


def _next(fit: _Fit, step: Step, leads: _Leads) -> list[_Candidate]:
    """Return the edits to which an edit leads, each with the words that stand for its name."""
    used = {(earlier.match.edit.id, earlier.match.edit.version) for earlier in step.trail}
    return [
        _Candidate(match, name, fit.readings, previous=step, exact=exact)
        for name in target_names(step.match.edit)
        for match, exact in leads.get((step.match.edit.id, name), ())
        if (match.edit.id, match.edit.version) not in used
    ]
