"""Ask the original model what no source tells: its answers without the edits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from lte_chains.progress import in_batches
from lte_chains.training.parallel.case import ParallelCase

_QUESTION = "Answer in as few words as you can, without an explanation.\n\n{}"
_SENTENCE = "Finish this text. Write only what comes next, in as few words as you can.\n\n{}"


def answer_missing(
    cases: Iterable[ParallelCase],
    model: BaseChatModel,
    *,
    batch_size: int = 32,
    show_progress: bool | None = None,
) -> list[ParallelCase]:
    """Return the cases with the unedited answers that their sources leave open.

    The paper took these from GPT-4; those of the model that will be aligned are
    better where it is at hand, for it then learns to stay what it is.

    Args:
        cases: From `read_source`.
        model: Answers without having read any edit.
        batch_size: Questions in one batch.
        show_progress: Always or never a bar; with None where it takes long.
    """
    listed = list(cases)
    questions = list(
        dict.fromkeys(q.prompt for case in listed for q in case.queries if q.unedited is None)
    )
    answers: dict[str, str] = {}
    for batch in in_batches(questions, batch_size, label="Original answers", show=show_progress):
        replies = model.batch([[HumanMessage(_asked(question))] for question in batch])
        answers.update(
            (question, reply.text.strip()) for question, reply in zip(batch, replies, strict=True)
        )
    return [_completed(case, answers) for case in listed]


def keep_own_answers(
    cases: Iterable[ParallelCase],
    model: BaseChatModel,
    *,
    batch_size: int = 64,
    show_progress: bool | None = None,
) -> list[ParallelCase]:
    """Return the cases with the model's own answers in the place of all unedited ones.

    What the sources call the unedited answer is true, but it may be news to the
    model. Rows with it teach facts; rows with its own answers teach only to stay as
    it is, which is what alignment is for.

    Args:
        cases: From `read_source`.
        model: The model that will be aligned; it is asked word for word.
        batch_size: Questions in one batch.
        show_progress: Always or never a bar; with None where it takes long.
    """
    listed = list(cases)
    prompts = [query.prompt for case in listed for query in case.queries]
    own = own_answers(prompts, model, batch_size=batch_size, show_progress=show_progress)
    return [_with_own(case, own) for case in listed]


def own_answers(
    prompts: Iterable[str],
    model: BaseChatModel,
    *,
    batch_size: int = 64,
    show_progress: bool | None = None,
) -> dict[str, str]:
    """Return what a model answers to each distinct prompt; empty answers are left out."""
    distinct = sorted(set(prompts), key=lambda prompt: (len(prompt), prompt))
    answers: dict[str, str] = {}
    for batch in in_batches(distinct, batch_size, label="Own answers", show=show_progress):
        replies = model.generate([[HumanMessage(prompt)] for prompt in batch]).generations
        for prompt, [reply] in zip(batch, replies, strict=True):
            if reply.text.strip():
                answers[prompt] = reply.text.strip()
    return answers


def _with_own(case: ParallelCase, own: dict[str, str]) -> ParallelCase:
    queries = []
    for query in case.queries:
        answer = own.get(query.prompt)
        if query.scope == "in":
            queries.append(replace(query, unedited=answer))
        elif answer is not None:
            queries.append(replace(query, answer=answer, unedited=answer))
    return replace(case, queries=tuple(queries))


def _asked(question: str) -> str:
    template = _QUESTION if question.rstrip().endswith("?") else _SENTENCE
    # Not format(): a question may hold braces.
    return template.replace("{}", question)


def _completed(case: ParallelCase, answers: dict[str, str]) -> ParallelCase:
    queries = tuple(
        # An empty reply says nothing: the answer stays unknown.
        replace(query, unedited=answers[query.prompt] or None) if query.unedited is None else query
        for query in case.queries
    )
    return replace(case, queries=queries)
