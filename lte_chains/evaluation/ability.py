"""What a model can do beside its edits, before and after: text, known facts, public tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lte_chains.answers import alias_match
from lte_chains.errors import ConfigError, MissingExtraError
from lte_chains.evaluation.editors.asking import answer
from lte_chains.evaluation.editors.base import Editor
from lte_chains.evaluation.metrics import mean
from lte_chains.models import LocalChatModel

_WINDOW = 512
"""Longest piece of a text that is read at once, in tokens."""


@dataclass(frozen=True)
class Fact:
    """Something that the model knows before any edit.

    Example:
        >>> Fact("What is the capital of Japan?", ("Tokyo",)).answers
        ('Tokyo',)
    """

    question: str
    """How it is asked."""
    answers: tuple[str, ...]
    """What is right to answer."""


def perplexity(model: LocalChatModel, texts: Sequence[str], *, batch_size: int = 8) -> float:
    """Return exp of the mean negative log-likelihood per token over plain texts.

    Texts are read as they stand, without a chat template, in pieces that fit into
    the model; the first token of a piece is not judged.

    Args:
        model: The model, in the view that is to be judged.
        texts: Held-out text.
        batch_size: Pieces in one forward pass.

    Raises:
        ConfigError: There is no text of two tokens.
    """
    limit = min(_WINDOW, model.weights.decoder.context_length or _WINDOW)
    pieces = []
    for text in texts:
        ids = model.get_token_ids(text)
        pieces += [ids[at : at + limit] for at in range(0, len(ids), limit)]
    pieces = sorted((piece for piece in pieces if len(piece) > 1), key=len)
    if not pieces:
        raise ConfigError("perplexity needs a text of at least two tokens")
    total = 0.0
    for start in range(0, len(pieces), batch_size):
        total += _likelihood(model, pieces[start : start + batch_size])
    return math.exp(total / sum(len(piece) - 1 for piece in pieces))


def recall(editor: Editor, facts: Sequence[Fact], *, batch_size: int = 32) -> float | None:
    """Return the share of known facts that a model, with its edits, still answers rightly."""
    said = answer(editor, [fact.question for fact in facts], batch_size=batch_size)
    return mean(alias_match(said[fact.question], fact.answers) for fact in facts)


def known_facts(editor: Editor, facts: Sequence[Fact], *, batch_size: int = 32) -> list[Fact]:
    """Return the facts that a model gets right: what it does not know, no edit can take away."""
    said = answer(editor, [fact.question for fact in facts], batch_size=batch_size)
    return [fact for fact in facts if alias_match(said[fact.question], fact.answers)]


def harness_scores(
    model: LocalChatModel, tasks: Sequence[str], *, limit: int | None = None
) -> dict[str, float]:
    """Return the accuracies that EleutherAI's lm-evaluation-harness finds for its tasks.

    Its data come from the Hugging Face hub. The model is asked as it is at that
    moment, edited weights included; it must not be used elsewhere meanwhile.

    Args:
        model: The model.
        tasks: The harness's names, such as "commonsense_qa" and "piqa".
        limit: Rows of each task, at most.

    Raises:
        MissingExtraError: ``lte-chains[harness]`` is not installed.
    """
    try:
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM
    except ImportError as error:
        raise MissingExtraError("lm-evaluation-harness", "harness") from error

    with model.borrowed_module() as module:
        wrapped: Any = HFLM(pretrained=module, tokenizer=model.weights.decoder.tokenizer)
        found: Any = simple_evaluate(model=wrapped, tasks=list(tasks), limit=limit)
    return {task: float(scores["acc,none"]) for task, scores in found["results"].items()}


def _likelihood(model: LocalChatModel, pieces: Sequence[Sequence[int]]) -> float:
    """Return the summed negative log-likelihood of all tokens but the first of each piece."""
    import torch
    from torch.nn import functional

    width = max(map(len, pieces))
    padded = [[*piece, *[piece[0]] * (width - len(piece))] for piece in pieces]
    real = [[1] * len(piece) + [0] * (width - len(piece)) for piece in pieces]
    with model.borrowed_module() as module:
        ids = torch.tensor(padded, device=module.device)
        mask = torch.tensor(real, device=module.device)
        logits = module(input_ids=ids, attention_mask=mask, use_cache=False).logits
        losses = functional.cross_entropy(
            logits[:, :-1].float().transpose(1, 2), ids[:, 1:], reduction="none"
        )
        return float((losses * mask[:, 1:]).sum())
