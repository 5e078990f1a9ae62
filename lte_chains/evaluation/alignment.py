"""What alignment buys, and what it costs: a model before and after, asked the same prompts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from lte_chains.answers import alias_match, same_answer
from lte_chains.cases import Case, Probe, read_cases
from lte_chains.errors import ConfigError
from lte_chains.evaluation.free_text import forced_text
from lte_chains.evaluation.metrics import mean, ngram_entropy
from lte_chains.evaluation.retrieval import memory_of
from lte_chains.models import LocalChatModel, PromptTooLongError
from lte_chains.prompts import PromptStyle, knowledge_editing_prompt
from lte_chains.retriever import EditRetriever

BATCH = 64
_FREE_PROMPTS = 50
_FREE_FORM = "Continue: {prompt}"


@dataclass(frozen=True, kw_only=True)
class Question:
    """One prompt as the model reads it, and what is right to answer."""

    measure: str
    """What it counts towards."""
    prompt: str
    """The whole text, edits included."""
    answers: tuple[str, ...] = ()
    """Accepted answers; without any, the original's answer to `bare` is right."""
    bare: str = ""
    """The question without edits."""
    edited: bool = True
    """Whether edits stand in the prompt; if not, the original model answers."""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Everything that a model is asked, made once for all the models to be compared."""

    asked: tuple[Question, ...]
    recall: tuple[Question, ...] = field(default=())
    """Known facts, without edits."""
    free: tuple[str, ...] = field(default=())
    """Beginnings of free text."""


def make_questions(
    data: str | Path,
    *,
    k: int = 3,
    limit: int | None = None,
    embeddings: Embeddings | None = None,
    retrieved: bool = False,
    gated: bool = True,
    style: PromptStyle | None = "training",
) -> Questions:
    """Put all edits of a file into a memory, and make the prompts of its probes.

    By default every in-scope prompt holds the right edit, at a random place among
    the nearest others: what is measured is the model, and not retrieval.

    Args:
        data: A KnowEdit-style JSON file. A row may have a ``bridge``: the fact by
            which its "Reasoning" probes go on from the edit's target.
        k: Edits in one prompt, at most.
        limit: Read only that many rows, from the front.
        embeddings: The memory's embedder; the default if None.
        retrieved: Whether in-scope prompts hold what retrieval finds instead.
        gated: Whether edits must then pass the gate.
        style: Wording of the prompt; None puts the bare facts before the question.

    Raises:
        DataError: The file cannot be read.
    """
    cases = read_cases(data, limit=limit)
    rows = json.loads(Path(data).read_text(encoding="utf-8"))[:limit]
    with memory_of(cases, embeddings) as memory:
        gate = {} if gated else {"gate": None}
        through = memory.as_retriever(k=k, **gate)
        always = memory.as_retriever(k=k, gate=None)
        finder = through if retrieved else always
        order = None if retrieved else random.Random(k)  # noqa: S311 - places of edits
        asked = [q for case in cases for q in _inside(case, finder, style, order)]
        asked += [
            _question("locality", probe, _descriptors(through, probe.prompt), style)
            for case in cases
            for probe in _kept(case)
        ]
        asked += [
            _question("locality_ungated", probe, _descriptors(always, probe.prompt), style)
            for case in cases
            for probe in _kept(case)
        ]
    asked += _bridged(cases, rows, style)
    recall = [
        Question(measure="recall", prompt=probe.prompt, answers=probe.answers, edited=False)
        for case in cases
        for probe in _kept(case)
        if probe.answers and probe.kind == "Known_Facts"
    ]
    free = [_FREE_FORM.format(prompt=case.edit.prompt) for case in cases[:_FREE_PROMPTS]]
    return Questions(asked=tuple(asked), recall=tuple(recall), free=tuple(free))


def measure_model(
    model: BaseChatModel, questions: Questions, original: Mapping[str, str]
) -> dict[str, float | None]:
    """Ask a model, and judge its answers.

    Args:
        model: The model that answers where edits stand in the prompt.
        questions: From `make_questions`.
        original: Answers of the original model, from `answer_unedited`.

    Returns:
        The share of right answers by measure; ``ended``, the share of answers that
        ended by themselves; ``fluency`` of 100 forced tokens (local models only).
    """
    edited = [question.prompt for question in questions.asked if question.edited]
    plain = [question.prompt for question in questions.recall]
    answers, ended = _answers(model, [*edited, *plain])
    scores: dict[str, list[float]] = {}
    for question in (*questions.asked, *questions.recall):
        plainly = not question.edited and question.measure != "recall"
        given = (original if plainly else answers)[question.prompt]
        scores.setdefault(question.measure, []).append(_is_right(given, question, original))
    return {
        **{measure: mean(values) for measure, values in sorted(scores.items())},
        "ended": mean(ended),
        "fluency": _fluency(model, questions.free),
    }


def answer_unedited(model: BaseChatModel, questions: Questions) -> dict[str, str]:
    """Return the original model's answer to every question without edits."""
    bare = {q.bare for q in questions.asked} | {q.prompt for q in questions.asked if not q.edited}
    answers, _ = _answers(model, bare - {""})
    return answers


def evaluate_alignment(
    data: str | Path,
    base: BaseChatModel,
    aligned: BaseChatModel,
    *,
    k: int = 3,
    limit: int | None = None,
) -> dict[str, Any]:
    """Compare a model before and after alignment on the same prompts.

    Both read the same edits in the same knowledge-editing prompt. Measures are
    ``edit_success``, ``rephrase``, one for each portability kind (and
    "Reasoning_bridged", with the fact between in the prompt as well), ``locality``
    and ``locality_ungated`` (the answer is the base's without edits; probes that
    ask for the edited fact are left out), ``recall`` of the rows' "Known_Facts"
    without any edit, ``ended`` and ``fluency``.

    Args:
        data: A KnowEdit-style JSON file, such as `training.known_facts` makes.
        base: The model before.
        aligned: The model after; only its edited view is asked.
        k: Edits in one prompt, at most.
        limit: Read only that many rows, from the front.

    Raises:
        DataError: The file cannot be read.
        ConfigError: A number is out of range.
    """
    if k < 1:
        raise ConfigError(f"k must be at least 1, not {k}")
    questions = make_questions(data, k=k, limit=limit)
    original = answer_unedited(base, questions)
    before = measure_model(base, questions, original)
    after = measure_model(aligned, questions, original)
    gain = {
        name: round(value - old, 4)
        for name, value in after.items()
        if value is not None and (old := before[name]) is not None
    }
    return {"data": str(data), "k": k, "base": before, "aligned": after, "gain": gain}


def _inside(
    case: Case,
    retriever: EditRetriever,
    style: PromptStyle | None,
    order: random.Random | None,
) -> Iterator[Question]:
    """Make the in-scope questions; with an order, the right edit is always in the prompt."""
    target = case.edit.descriptor
    success = Probe(kind="edit_success", prompt=case.edit.prompt, answers=case.answers)
    for probe in (success, *case.rephrase, *case.portability):
        facts = _descriptors(retriever, probe.prompt)
        if order is not None:
            facts = [target, *(fact for fact in facts if fact != target)][: retriever.k]
            order.shuffle(facts)
        yield _question(probe.kind, probe, facts, style)


def _descriptors(retriever: EditRetriever, query: str) -> list[str]:
    return [match.edit.descriptor for match in retriever.retrieve(query)]


def _kept(case: Case) -> list[Probe]:
    return [probe for probe in case.locality if not probe.mislabelled]


def _question(
    measure: str, probe: Probe, facts: Sequence[str], style: PromptStyle | None
) -> Question:
    inside = not measure.startswith("locality")
    return Question(
        measure=measure,
        prompt=_prompt(probe.prompt, facts, style),
        answers=probe.answers if inside else (),
        bare="" if inside else probe.prompt,
        edited=bool(facts),
    )


def _bridged(
    cases: Sequence[Case], rows: Sequence[Mapping[str, Any]], style: PromptStyle | None
) -> Iterable[Question]:
    for case, row in zip(cases, rows, strict=True):
        for probe in case.portability:
            if probe.kind == "Reasoning" and row.get("bridge"):
                facts = [case.edit.descriptor, str(row["bridge"])]
                yield Question(
                    measure="Reasoning_bridged",
                    prompt=_prompt(probe.prompt, facts, style),
                    answers=probe.answers,
                )


def _prompt(question: str, facts: Sequence[str], style: PromptStyle | None) -> str:
    if style is None:
        return "\n".join([*facts, question])
    return knowledge_editing_prompt(question, facts, style=style)


def _is_right(given: str, question: Question, original: Mapping[str, str]) -> bool:
    if question.answers:
        return alias_match(given, question.answers)
    return same_answer(given, original[question.bare])


def _answers(model: BaseChatModel, prompts: Iterable[str]) -> tuple[dict[str, str], list[bool]]:
    """Return the answer to each prompt, and whether each ended by itself where that is known."""
    distinct = sorted(set(prompts), key=lambda prompt: (len(prompt), prompt))
    answers: dict[str, str] = {}
    ended: list[bool] = []
    for start in range(0, len(distinct), BATCH):
        chunk = distinct[start : start + BATCH]
        result = model.generate([[HumanMessage(prompt)] for prompt in chunk])
        for prompt, [generation] in zip(chunk, result.generations, strict=True):
            answers[prompt] = generation.text
            message = getattr(generation, "message", None)
            reason = getattr(message, "response_metadata", {}).get("finish_reason")
            ended += [reason == "stop"] if reason else []
    return answers, ended


def _fluency(model: BaseChatModel, prompts: Sequence[str]) -> float | None:
    """Return the mean n-gram entropy of exactly 100 greedy tokens (EasyEdit's measure)."""
    if not isinstance(model, LocalChatModel) or not prompts:
        return None
    texts = (_forced(model, prompt) for prompt in prompts)
    return mean(ngram_entropy(text) for text in texts if text is not None)


def _forced(model: LocalChatModel, prompt: str) -> str | None:
    try:
        return forced_text(model, [HumanMessage(prompt)])
    except PromptTooLongError:
        return None
