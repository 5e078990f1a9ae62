"""ConvSent's and Sanitation's own measures, row by row, for whichever method is compared."""

from __future__ import annotations

from collections.abc import Sequence

from lte_chains.cases import Case
from lte_chains.evaluation.editors.base import Editor
from lte_chains.evaluation.special import divergence, erased, judge_sentiment
from lte_chains.models import LocalChatModel, PromptTooLongError

OWN_MEASURES = ("opinion", "sentiment", "topic", "divergence", "erased")
"""Their names: of ConvSent the success with its two factors and the divergence elsewhere, of
Sanitation the success."""


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

    def of(self, editor: Editor | None, row: int, case: Case, *, answer: str) -> dict[str, float]:
        """Return a row's scores by measure.

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
        if case.task != "opinion" or editor is None or self._original is None:
            return {}
        try:
            return self._opinion(editor, self._original, row, case)
        except PromptTooLongError:
            return {}

    def _opinion(self, editor: Editor, original: Editor, row: int, case: Case) -> dict[str, float]:
        prompt = case.edit.prompt
        if not (_shows_logits(editor, prompt) and _shows_logits(original, prompt)):
            return {}
        scores = judge_sentiment(editor, original, prompt, wanted=case.wanted, other=case.unwanted)
        found = {
            "opinion": scores.success,
            "sentiment": scores.sentiment,
            "topic": scores.topic,
        }
        elsewhere = self._elsewhere(row)
        if elsewhere is not None:
            reply = elsewhere.wanted[0]
            found["divergence"] = divergence(editor, original, elsewhere.edit.prompt, reply)
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
