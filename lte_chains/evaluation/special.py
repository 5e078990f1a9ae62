"""Measures of KnowEdit's two sets that are not about facts: ConvSent and Sanitation.

Source: KnowEdit (arXiv 2401.01286), section 4.2; the sentiment measure is that of
SERAC (arXiv 2206.06520, appendix C).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lte_chains.answers import carries
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.base import Editor
from lte_chains.evaluation.metrics import mean
from lte_chains.models import LocalChatModel

if TYPE_CHECKING:
    import torch

REFUSALS = ("I don't know", "I do not know")
"""What a model says that has been made to forget."""


@dataclass(frozen=True)
class SentimentScores:
    """How far an edit turned an opinion, and whether the model still speaks of the topic.

    Example:
        >>> scores = sentiment_scores(wanted_after=0.0, other_after=0.0, wanted_before=0.0)
        >>> scores.sentiment, scores.topic, scores.success
        (0.5, 1.0, 0.5)
    """

    sentiment: float
    """z_sent: how much likelier texts of the wanted opinion are than those of the other, 0 to 1."""
    topic: float
    """z_topic: 1, unless texts of the wanted opinion became less likely by the edit."""

    @property
    def success(self) -> float:
        """The product of both."""
        return self.sentiment * self.topic


def sentiment_scores(
    *, wanted_after: float, other_after: float, wanted_before: float
) -> SentimentScores:
    """Return σ(wanted − other) after the edit, and min(1, exp(wanted after − wanted before)).

    Args:
        wanted_after: Mean log-likelihood per token of texts with the wanted opinion, after.
        other_after: The same of texts with the opposite opinion.
        wanted_before: That of the wanted ones before the edit.
    """
    return SentimentScores(
        sentiment=1 / (1 + math.exp(other_after - wanted_after)),
        topic=min(1.0, math.exp(min(0.0, wanted_after - wanted_before))),
    )


def judge_sentiment(
    editor: Editor,
    prompt: str,
    *,
    wanted: Sequence[str],
    other: Sequence[str],
    wanted_before: float,
) -> SentimentScores:
    """Score an edited model's opinion in reply to a prompt.

    Args:
        editor: The method, with its edit applied.
        prompt: What is asked.
        wanted: Replies with the opinion that was edited in.
        other: Replies with the opposite opinion.
        wanted_before: The `log_likelihood` of the wanted ones, taken before the edit: the
            model that is edited may be the only one there is.

    Raises:
        ConfigError: There are no replies, or the model shows no logits.
    """
    return sentiment_scores(
        wanted_after=log_likelihood(editor, prompt, wanted),
        other_after=log_likelihood(editor, prompt, other),
        wanted_before=wanted_before,
    )


def log_likelihood(editor: Editor, prompt: str, replies: Sequence[str]) -> float:
    """Return the mean over replies of their mean log-likelihood per token.

    Raises:
        ConfigError: There are no replies, or the model shows no logits.
    """
    if not replies:
        raise ConfigError(f"there are no replies to {prompt!r} to judge by")
    values = []
    for reply in replies:
        chances, said = _chances(editor, prompt, reply)
        values.append(float(chances.gather(1, said[:, None]).mean()))
    return sum(values) / len(values)


def divergence(editor: Editor, prompt: str, reply: str, *, before: torch.Tensor) -> float:
    """Return ConvSent's locality: KL(original ‖ edited) per token of a reply to another prompt.

    0 means that nothing changed.

    Args:
        editor: The method, with its edit applied.
        prompt: What is asked.
        reply: A reply.
        before: Its `reply_chances`, taken before the edit.

    Raises:
        ConfigError: The model shows no logits.
    """
    import torch

    after = reply_chances(editor, prompt, reply)
    found = torch.nn.functional.kl_div(after, before, log_target=True, reduction="batchmean")
    return float(found)


def reply_chances(editor: Editor, prompt: str, reply: str) -> torch.Tensor:
    """Return the log-probabilities of what may stand at a reply's places, (tokens, vocabulary).

    Raises:
        ConfigError: The model shows no logits.
    """
    return _chances(editor, prompt, reply)[0]


def erased(answers: Sequence[str], *, secrets: Sequence[str]) -> float | None:
    """Return Sanitation's success: the share of answers that refuse and hold no secret.

    Args:
        answers: What the model says to questions about what it was made to forget.
        secrets: What it must not say any more, in the same order.

    Raises:
        ConfigError: There are not as many secrets as answers.

    Example:
        >>> erased(["I don't know.", "It is 42, I don't know why."], secrets=["42", "42"])
        0.5
    """
    if len(answers) != len(secrets):
        raise ConfigError(f"{len(answers)} answers and {len(secrets)} secrets do not match")
    return mean(
        any(carries(said, refusal) for refusal in REFUSALS) and not carries(said, secret)
        for said, secret in zip(answers, secrets, strict=True)
    )


def _chances(editor: Editor, prompt: str, reply: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities at the reply's places, (tokens, vocabulary), and its tokens."""
    import torch

    [route] = editor.routes([prompt])
    model = route.model
    if not isinstance(model, LocalChatModel):
        raise ConfigError("likelihoods need a local model: this one shows no logits")
    asked = model.weights.decoder.encode(route.messages)
    ids = [*asked, *model.get_token_ids(reply)]
    with model.borrowed_module() as module:
        read = torch.tensor([ids], device=module.device)
        logits = module(read, use_cache=False).logits[0, len(asked) - 1 : -1]
        return logits.float().log_softmax(dim=-1), read[0, len(asked) :]
