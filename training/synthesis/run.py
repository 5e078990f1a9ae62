"""Let a chat model write free-text questions about edits, and keep those that hold."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.interchange import edit_to_dict
from lte_chains.progress import in_batches
from lte_chains.training.synthesis.log import RunLog, key_of
from lte_chains.training.synthesis.prompts import judge_messages, writer_messages
from lte_chains.training.synthesis.verify import Draft, fault_of, parse_drafts, verdict_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """How much to write, and how often to try.

    Raises:
        ConfigError: A value is not positive.
    """

    per_edit: int = 3
    """Questions for one edit."""
    attempts: int = 3
    """Most calls of the writer for one edit."""
    concurrency: int = 8
    """Edits that are worked on at the same time."""

    def __post_init__(self) -> None:
        """Check that every value is a positive number."""
        for name in ("per_edit", "attempts", "concurrency"):
            value: int = getattr(self, name)
            if value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value!r}")


@dataclass(frozen=True)
class ToWrite:
    """An edit that wants questions."""

    edit: Edit
    old: str | None = None
    """The old answer, which must not turn up in a new one."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What became of the edits of one run."""

    edits: int
    """That were asked for."""
    resumed: int
    """That an earlier run had finished."""
    finished: int
    """That have all their questions now."""
    failed: int
    """That still lack some; they are tried again by the next run."""
    questions: int
    """That were kept in this run."""


@dataclass
class _Work:
    """An edit on its way."""

    item: ToWrite
    kept: list[Draft] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0

    def reject(self, reason: str, draft: Draft | None = None) -> None:
        about = {"question": draft.question, "answer": draft.answer} if draft else {}
        self.rejected.append({"attempt": self.attempts, "reason": reason, **about})


def synthesize(
    items: Iterable[ToWrite],
    path: str | Path,
    *,
    writer: BaseChatModel,
    judge: BaseChatModel | None = None,
    config: SynthesisConfig | None = None,
    show_progress: bool | None = None,
) -> Summary:
    """Write questions and answers for edits, one line an edit, and log what was refused.

    A line of `path` is an edit with its `queries`, as `read_source` reads them.
    Beside it, ``<stem>.failures.jsonl`` keeps every refused draft and failed call
    with its reason. A run that was interrupted, or that left failures, goes on
    where it stopped if it is started again with the same path.

    Args:
        items: The edits; one that occurs twice is done once.
        path: The JSONL file to append to.
        writer: Any chat model.
        judge: Says whether a draft that has passed the word checks holds. Needed
            for free-text edits, which have no target to look for.
        config: How much to write.
        show_progress: Always or never a bar; with None where it takes long.

    Raises:
        ConfigError: A free-text edit, and no judge.
        DataError: A file cannot be written, or is of something else.
    """
    config = config or SynthesisConfig()
    wanted = {key_of(item.edit): item for item in items}
    if judge is None:
        _require_targets(wanted.values())
    target = Path(path)
    log, failures = RunLog(target), RunLog(target.with_name(f"{target.stem}.failures.jsonl"))
    pending = [item for key, item in wanted.items() if key not in log.done]
    resumed, finished, questions = len(wanted) - len(pending), 0, 0
    for batch in in_batches(pending, config.concurrency, label="Writing", show=show_progress):
        for work in _Batch(writer, judge, config).run(batch):
            enough = len(work.kept) >= config.per_edit
            if work.rejected:
                failures.append(_failure_row(work, finished=enough))
            if enough:
                log.append(_row(work))
                finished += 1
                questions += len(work.kept)
    return Summary(
        edits=len(wanted),
        resumed=resumed,
        finished=finished,
        failed=len(pending) - finished,
        questions=questions,
    )


@dataclass(frozen=True)
class _Batch:
    """Writes for some edits at a time; what a model raises is a failed try, not the end."""

    writer: BaseChatModel
    judge: BaseChatModel | None
    config: SynthesisConfig

    def run(self, items: Sequence[ToWrite]) -> list[_Work]:
        """Return the work on the edits, each finished or out of attempts."""
        works = [_Work(item) for item in items]
        for _ in range(self.config.attempts):
            open_ = [work for work in works if len(work.kept) < self.config.per_edit]
            if not open_:
                break
            self._attempt(open_)
        return works

    def _attempt(self, works: Sequence[_Work]) -> None:
        replies = self._ask(self.writer, [self._writer_messages(work) for work in works])
        drafts: list[tuple[_Work, Draft]] = []
        for work, reply in zip(works, replies, strict=True):
            work.attempts += 1
            drafts += [(work, draft) for draft in _sound_drafts(work, reply)]
        for (work, draft), fault in zip(drafts, self._verdicts(drafts), strict=True):
            if fault is not None:
                work.reject(fault, draft)
            elif len(work.kept) < self.config.per_edit:
                work.kept.append(draft)

    def _writer_messages(self, work: _Work) -> list[BaseMessage]:
        item = work.item
        lacking = self.config.per_edit - len(work.kept)
        reasons = [rejected["reason"] for rejected in work.rejected]
        return writer_messages(item.edit, lacking, old=item.old, rejected=reasons)

    def _verdicts(self, drafts: Sequence[tuple[_Work, Draft]]) -> list[str | None]:
        if self.judge is None:
            return [None] * len(drafts)
        asked = [judge_messages(w.item.edit, d.question, d.answer) for w, d in drafts]
        return [
            _describe(reply) if isinstance(reply, Exception) else verdict_of(reply.text)
            for reply in self._ask(self.judge, asked)
        ]

    def _ask(
        self, model: BaseChatModel, prompts: list[list[BaseMessage]]
    ) -> list[BaseMessage | Exception]:
        if not prompts:
            return []
        options: Any = {"max_concurrency": self.config.concurrency}
        replies: Any = model.batch([*prompts], options, return_exceptions=True)
        return list(replies)


def _sound_drafts(work: _Work, reply: BaseMessage | Exception) -> Iterator[Draft]:
    """Yield the drafts of a reply that are new and have no fault; reject the others."""
    if isinstance(reply, Exception):
        _log.warning("the writer failed for %r: %s", work.item.edit.descriptor[:80], reply)
        work.reject(_describe(reply))
        return
    try:
        drafts = parse_drafts(reply.text)
    except ValueError as error:
        work.reject(str(error))
        return
    seen = {draft.question.casefold() for draft in work.kept}
    for draft in drafts:
        fault = fault_of(draft, work.item.edit, old=work.item.old)
        if draft.question.casefold() in seen:
            fault = "the question was there already"
        seen.add(draft.question.casefold())
        if fault is None:
            yield draft
        else:
            work.reject(fault, draft)


def _describe(error: Exception) -> str:
    return f"the model failed: {type(error).__name__}: {error}"


def _require_targets(items: Iterable[ToWrite]) -> None:
    for item in items:
        if item.edit.statement is not None:
            raise ConfigError(
                f"{item.edit.statement[:80]!r} is a free-text edit: no target tells whether an "
                "answer applies it. Give a judge, or edits with prompt and target_new"
            )


def _row(work: _Work) -> dict[str, Any]:
    """Return a finished edit as a row that `read_source` reads."""
    item = work.item
    old = {"ground_truth": item.old} if item.old else {}
    return {
        "key": key_of(item.edit),
        **edit_to_dict(item.edit),
        **old,
        "queries": [
            {
                "kind": "free_text",
                "scope": "in",
                "prompt": draft.question,
                "answer": draft.answer,
            }
            for draft in work.kept
        ],
        "attempts": work.attempts,
    }


def _failure_row(work: _Work, *, finished: bool) -> dict[str, Any]:
    return {
        "key": key_of(work.item.edit),
        "edit": work.item.edit.descriptor,
        "finished": finished,
        "attempts": work.attempts,
        "rejected": work.rejected,
    }
