"""ConvSent's and Sanitation's own measures, row by row, for whichever method is compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lte_chains.cases import Case
from lte_chains.evaluation.editors.base import Editor
from lte_chains.evaluation.special import (
    divergence,
    erased,
    judge_sentiment,
    log_likelihood,
    reply_chances,
)
from lte_chains.models import LocalChatModel, PromptTooLongError

if TYPE_CHECKING:
    import torch

OWN_MEASURES = ("opinion", "sentiment", "topic", "divergence", "erased")
"""Their names: of ConvSent the success with its two factors and the divergence elsewhere, of
Sanitation the success."""


@dataclass(frozen=True, eq=False)
class _Before:
    """What the original model says of a row with an opinion."""

    wanted: float
    """How likely the wanted replies are."""
    elsewhere: torch.Tensor | None
    """The chances of a reply about something else; None if there is nothing else."""


class OwnMeasures:
    """Judges the rows that are not about facts; rows of facts get nothing.

    Example:
        >>> from lte_chains.cases import parse_case
        >>> case = parse_case({"prompt": "The CEO of Acme is", "target_new": "Jane Doe"})
        >>> OwnMeasures(None, [case]).of(None, 0, case, answer="Jane Doe")
        {}
    """

    def __init__(self, original: Editor | None, cases: Sequence[Case]) -> None:
        """Take the model before any edit, and all rows.

        Args:
            original: The model; None judges no opinions.
            cases: All rows in their order: of an opinion, the next row with another
                is asked as well, to see whether that stayed what it was.
        """
        self._original = original
        self._opinions = [place for place, case in enumerate(cases) if case.task == "opinion"]
        self._cases = cases
        self._before: dict[int, _Before] = {}

    def take_before(self, rows: Iterable[int]) -> None:
        """Ask the original model about some rows; their edits must not be made yet.

        A method may edit the very weights that the original answers with. What was taken
        for other rows before is forgotten: it is large.
        """
        self._before = {}
        for row in rows:
            with suppress(PromptTooLongError):
                self._take_before(row)

    def of(self, editor: Editor | None, row: int, case: Case, *, answer: str) -> dict[str, float]:
        """Return a row's scores by measure; of opinions, only after `take_before`.

        Args:
            editor: The method, with its edits applied.
            row: The row's place among all.
            case: The row.
            answer: What the model says to the edit's prompt.
        """
        if case.task == "erasure":
            secrets = case.old_answers or ("",)
            found = [erased([answer], secrets=[secret]) for secret in secrets if secret]
            return {"erased": min(score or 0.0 for score in found)} if found else {}
        before = self._before.get(row)
        if editor is None or before is None:
            return {}
        try:
            return self._opinion(editor, before, row, case)
        except PromptTooLongError:
            return {}

    def _take_before(self, row: int) -> None:
        case, original = self._cases[row], self._original
        if case.task != "opinion" or original is None:
            return
        if not _shows_logits(original, case.edit.prompt):
            return
        wanted = log_likelihood(original, case.edit.prompt, case.wanted)
        other = self._elsewhere(row)
        chances = None
        if other is not None:
            chances = reply_chances(original, other.edit.prompt, other.wanted[0])
        self._before[row] = _Before(wanted, chances)

    def _opinion(self, editor: Editor, before: _Before, row: int, case: Case) -> dict[str, float]:
        prompt = case.edit.prompt
        if not _shows_logits(editor, prompt):
            return {}
        scores = judge_sentiment(
            editor,
            prompt,
            wanted=case.wanted,
            other=case.unwanted,
            wanted_before=before.wanted,
        )
        found = {
            "opinion": scores.success,
            "sentiment": scores.sentiment,
            "topic": scores.topic,
        }
        other = self._elsewhere(row)
        if other is not None and before.elsewhere is not None:
            found["divergence"] = divergence(
                editor, other.edit.prompt, other.wanted[0], before=before.elsewhere
            )
        return found

    def _elsewhere(self, row: int) -> Case | None:
        """Return the next row with an opinion about something else."""
        later = [place for place in self._opinions if place > row]
        for place in (*later, *self._opinions):
            if self._cases[place].edit.subject != self._cases[row].edit.subject:
                return self._cases[place]
        return None


def _shows_logits(editor: Editor, prompt: str) -> bool:
    [route] = editor.routes([prompt])
    return isinstance(route.model, LocalChatModel)
