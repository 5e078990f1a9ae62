"""Run a method over an evaluation set: all edits first, then every question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lte_chains.answers import alias_match, same_answer
from lte_chains.cases import Case, Probe, read_cases
from lte_chains.editable.editing import CallEditor
from lte_chains.editable_llm import EditableLLM
from lte_chains.errors import ConfigError
from lte_chains.evaluation.metrics import mean, mean_over_rows, ngram_entropy
from lte_chains.evaluation.retrieval import (
    memory_of,
    prompts_of,
    rows_that_gave_way,
    slot_holders,
)
from lte_chains.evaluation.teacher_forcing import Forced, force_targets
from lte_chains.memory import EditMemory
from lte_chains.models import LocalChatModel, load_model
from lte_chains.retriever import EditRetriever

ANSWER_TOKENS = 64
"""Longest answer that a model loaded by name may give."""


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """Everything a method is given."""

    cases: Sequence[Case]
    model: BaseChatModel
    memory: EditMemory
    k: int
    batch_size: int
    progress: Progress


def evaluate_knowedit(
    data: str | Path,
    model: str | BaseChatModel = "lte-tiny",
    *,
    k: int = 3,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 32,
    methods: Sequence[str] = ("lte",),
    embeddings: Embeddings | None = None,
) -> dict[str, Any]:
    """Insert all edits, then ask every probe and judge what the model generates.

    An answer is right if, after SQuAD normalisation, the *whole* of it equals
    the target or one of its aliases. Averages are taken as KnowEdit does: over
    rows, of the mean over kinds, of the mean over prompts.

    Per method the result holds

    - ``edit_success``, ``rephrase``, ``portability``: the share of right
      answers to the edit's own prompt, to its rephrasings, and to the
      questions whose answers follow from it (also ``portability_by_kind``);
    - ``locality``: the share of locality probes whose answer is that of the
      *original* model, each model asked freely, without the mislabelled
      probes; ``locality_marked`` is of those alone;
      ``locality_ungated`` is ``locality`` with the gate off, so that the k
      nearest edits stand in every prompt;
    - ``teacher_forced``: the same four by teacher forcing as EasyEdit computes
      them, over all probes, mislabelled ones included; None for a model that
      does not show its logits;
    - ``fluency``: the n-gram entropy of the answers to the edits' own prompts,
      as they were generated. EasyEdit forces 100 tokens out of the model; a
      model that answers in two words scores low here.

    If rows conflict over a slot, a row whose edit gave way is still judged by
    its own target: it counts as a miss. ``superseded`` says how many there are.

    Args:
        data: A KnowEdit-style JSON file.
        model: A name or path for `load_model`, or any chat model.
        k: Edits in one prompt, at most.
        limit: Read only that many rows, from the front.
        seed: Seed of a model that is loaded here; decoding is greedy.
        batch_size: Prompts in one forward pass.
        methods: Ways of editing to compare; "lte" is known.
        embeddings: The memory's embedder; the default if None.

    Raises:
        DataError: The file cannot be read.
        ConfigError: A method is unknown, or a number is out of range.
        ModelError: The model cannot be loaded.
    """
    unknown = sorted(set(methods) - set(_METHODS))
    if unknown or not methods:
        raise ConfigError(f"unknown methods {unknown}: use some of {sorted(_METHODS)}")
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, not {batch_size}")
    cases = read_cases(data, limit=limit)
    name, chat = _resolve(model, seed=seed, batch_size=batch_size)
    with memory_of(cases, embeddings) as memory, _progress() as progress:
        setting = _Setting(
            cases=cases, model=chat, memory=memory, k=k, batch_size=batch_size, progress=progress
        )
        return {
            "data": str(data),
            "rows": len(cases),
            "superseded": rows_that_gave_way(cases, slot_holders(memory)),
            "model": name,
            "embedder": memory.fingerprint,
            "k": k,
            "seed": seed,
            "methods": {method: _METHODS[method](setting) for method in methods},
        }


def _lte(setting: _Setting) -> dict[str, Any]:
    """Judge retrieval and prompting through `EditableLLM`: the LTE method itself."""
    cases = setting.cases
    retriever = setting.memory.as_retriever(k=setting.k)
    ungated = setting.memory.as_retriever(k=setting.k, gate=None)
    outside = [probe.prompt for case in cases for probe in case.locality]
    asked = [prompt for case in cases for prompt in prompts_of(case)]
    edited = _ask(setting, "edited", EditableLLM(llm=setting.model, retriever=retriever), asked)
    original = _ask(setting, "original", _unedited(setting.model), outside)
    always = _ask(setting, "ungated", EditableLLM(llm=setting.model, retriever=ungated), outside)
    return {
        "edit_success": mean(alias_match(edited[c.edit.prompt], c.answers) for c in cases),
        "rephrase": _right(edited, [case.rephrase for case in cases]),
        "portability": _right(edited, [case.portability for case in cases]),
        "portability_by_kind": _right_by_kind(edited, cases),
        "locality": _kept(edited, original, cases, mislabelled=False),
        "locality_marked": _kept(edited, original, cases, mislabelled=True),
        "locality_ungated": _kept(always, original, cases, mislabelled=False),
        "teacher_forced": _teacher_forced(setting, retriever),
        "fluency": mean(ngram_entropy(edited[case.edit.prompt]) for case in cases),
    }


_METHODS: Mapping[str, Callable[[_Setting], dict[str, Any]]] = {"lte": _lte}
"""Ways of editing by name."""


def _ask(
    setting: _Setting, label: str, llm: BaseChatModel, prompts: Iterable[str]
) -> dict[str, str]:
    """Return the answer to each distinct prompt, generated in batches of similar length."""
    distinct = sorted(set(prompts), key=lambda prompt: (len(prompt), prompt))
    task = setting.progress.add_task(label, total=len(distinct))
    answers: dict[str, str] = {}
    for start in range(0, len(distinct), setting.batch_size):
        chunk = distinct[start : start + setting.batch_size]
        answers.update(zip(chunk, _generate(llm, chunk), strict=True))
        setting.progress.advance(task, len(chunk))
    return answers


def _generate(llm: BaseChatModel, prompts: Sequence[str]) -> list[str]:
    """Answer one batch; a prompt that overflows the model's context has the empty answer."""
    try:
        result = llm.generate([[HumanMessage(prompt)] for prompt in prompts])
    except ContextOverflowError:
        if len(prompts) == 1:
            return [""]
        return [answer for prompt in prompts for answer in _generate(llm, [prompt])]
    return [generations[0].text for generations in result.generations]


def _right(answers: Mapping[str, str], rows: Iterable[Sequence[Probe]]) -> float | None:
    return mean_over_rows(
        _by_kind(probes, lambda probe: alias_match(answers[probe.prompt], probe.answers))
        for probes in rows
    )


def _right_by_kind(answers: Mapping[str, str], cases: Sequence[Case]) -> dict[str, float | None]:
    kinds = sorted({probe.kind for case in cases for probe in case.portability})
    return {
        kind: _right(answers, [[p for p in case.portability if p.kind == kind] for case in cases])
        for kind in kinds
    }


def _kept(
    answers: Mapping[str, str],
    original: Mapping[str, str],
    cases: Iterable[Case],
    *,
    mislabelled: bool,
) -> float | None:
    return mean_over_rows(
        _by_kind(
            [probe for probe in case.locality if probe.mislabelled is mislabelled],
            lambda probe: same_answer(answers[probe.prompt], original[probe.prompt]),
        )
        for case in cases
    )


def _by_kind(probes: Iterable[Probe], score: Callable[[Probe], float]) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = defaultdict(list)
    for probe in probes:
        scores[probe.kind].append(score(probe))
    return scores


def _teacher_forced(setting: _Setting, retriever: EditRetriever) -> dict[str, float | None] | None:
    """Score (prompt, target) pairs by teacher forcing, in the prompts that `EditableLLM` sends."""
    model = setting.model
    if not isinstance(model, LocalChatModel):
        return None
    views = {True: model, False: model.unedited or model}
    cases = setting.cases
    inside: dict[str, list[Sequence[Probe]]] = {
        "edit_success": [
            [Probe(kind="prompt", prompt=case.edit.prompt, answers=case.answers)] for case in cases
        ],
        "rephrase": [case.rephrase for case in cases],
        "portability": [case.portability for case in cases],
    }
    outside = [[probe for probe in case.locality if probe.answers] for case in cases]
    asked = [probe for rows in inside.values() for row in rows for probe in row]
    kept = [probe for row in outside for probe in row]
    after = _force(setting, views, [*asked, *kept], retriever)
    before = _force(setting, views, kept, None)
    scores = {
        name: mean_over_rows(_by_kind(row, lambda p: after[_key(p)].accuracy) for row in rows)
        for name, rows in inside.items()
    }
    scores["locality"] = mean_over_rows(
        _by_kind(row, lambda p: after[_key(p)].agreement(before[_key(p)])) for row in outside
    )
    return scores


def _force(
    setting: _Setting,
    views: Mapping[bool, LocalChatModel],
    probes: Iterable[Probe],
    retriever: EditRetriever | None,
) -> dict[tuple[str, str], Forced]:
    """Force each probe's canonical answer upon the view (edited or not) that would answer it."""
    requests: dict[bool, dict[tuple[str, str], list[BaseMessage]]] = {True: {}, False: {}}
    for probe in probes:
        edited, messages = _as_sent(probe.prompt, retriever)
        requests[edited][_key(probe)] = messages
    label = "forced, edited" if retriever else "forced, original"
    task = setting.progress.add_task(label, total=sum(map(len, requests.values())))
    forced: dict[tuple[str, str], Forced] = {}
    for edited, wanted in requests.items():
        results = force_targets(
            views[edited],
            [(messages, target) for (_, target), messages in wanted.items()],
            batch_size=setting.batch_size,
            advance=lambda done: setting.progress.advance(task, done),
        )
        forced.update(zip(wanted, results, strict=True))
    return forced


def _as_sent(prompt: str, retriever: EditRetriever | None) -> tuple[bool, list[BaseMessage]]:
    """Return whether a prompt gets edits, and the messages that `EditableLLM` then sends."""
    question: list[BaseMessage] = [HumanMessage(prompt)]
    if retriever is None:
        return False, question
    editor = CallEditor(
        retriever=retriever,
        query_extractor=None,
        prompt_style="training",
        namespace_from_config=False,
    )
    call = editor.plan(question, question, {})
    return call.edited, list(call.input)


def _key(probe: Probe) -> tuple[str, str]:
    return probe.prompt, probe.answers[0]


def _unedited(model: BaseChatModel) -> BaseChatModel:
    """Return the view of the model that answers when nothing is in scope."""
    view = getattr(model, "unedited", None)
    return view if isinstance(view, BaseChatModel) else model


def _resolve(
    model: str | BaseChatModel, *, seed: int, batch_size: int
) -> tuple[str, BaseChatModel]:
    if isinstance(model, LocalChatModel):
        return model.model_name, model
    if isinstance(model, BaseChatModel):
        return model.get_name(), model
    loaded = load_model(model, seed=seed, max_new_tokens=ANSWER_TOKENS, batch_size=batch_size)
    return str(model), loaded


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
