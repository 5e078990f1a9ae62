"""Questions with their answers as token ids: what methods that edit weights compute on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from langchain_core.messages import HumanMessage
from torch.nn import functional

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.models import LocalChatModel, PromptTooLongError
from lte_chains.word_edges import place_of_name

_IGNORED = -100


@dataclass(frozen=True)
class TokenRow:
    """A conversation's ids with the answer's behind them."""

    ids: tuple[int, ...]
    """The prompt in the chat template, then the answer and its end."""
    start: int
    """Where the answer begins."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of equal width, padded on the right."""

    ids: torch.Tensor
    """Token ids, shape (rows, width)."""
    mask: torch.Tensor
    """1 where there is a token, shape (rows, width)."""
    labels: torch.Tensor
    """Ids of the answers' tokens, -100 elsewhere, shape (rows, width)."""
    lasts: torch.Tensor
    """Place of each prompt's last token, shape (rows,)."""

    @classmethod
    def of(cls, rows: Sequence[TokenRow], device: Any) -> Batch:
        """Pad rows to one width."""
        width = max(len(row.ids) for row in rows)
        # A real token as padding: the mask hides it, and no tokenizer lacks one.
        ids = [[*row.ids, *[row.ids[0]] * (width - len(row.ids))] for row in rows]
        mask = [[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows]
        labels = [
            [_IGNORED] * row.start
            + list(row.ids[row.start :])
            + [_IGNORED] * (width - len(row.ids))
            for row in rows
        ]
        return cls(
            ids=torch.tensor(ids, device=device),
            mask=torch.tensor(mask, device=device),
            labels=torch.tensor(labels, device=device),
            lasts=torch.tensor([row.start - 1 for row in rows], device=device),
        )

    def logits(self, module: Any, parameters: dict[str, torch.Tensor] | None = None) -> Any:
        """Return the logits, shape (rows, width, vocabulary), perhaps with other weights."""
        inputs = {"input_ids": self.ids, "attention_mask": self.mask, "use_cache": False}
        if parameters is None:
            return module(**inputs).logits
        return torch.func.functional_call(module, parameters, (), inputs).logits

    def losses(self, logits: torch.Tensor) -> torch.Tensor:
        """Return each row's mean negative log-likelihood of its answer, shape (rows,)."""
        wanted = self.labels[:, 1:]
        rows, places = (wanted != _IGNORED).nonzero(as_tuple=True)
        per_token = functional.cross_entropy(
            logits[rows, places].float(), wanted[rows, places], reduction="none"
        )
        # Of all positions only the answers' are read: most of the logits bear no loss.
        total = per_token.new_zeros(len(wanted)).index_add(0, rows, per_token)
        return total / torch.bincount(rows, minlength=len(wanted)).clamp(min=1)


def encode_row(model: LocalChatModel, prompt: str, target: str, *, end: bool = True) -> TokenRow:
    """Encode a question and its answer as the model reads and writes them.

    Args:
        model: The model, whose chat template is used.
        prompt: The question.
        target: The answer.
        end: Whether the token that ends an answer follows it. Without it an
            edited model is not told to stop.

    Raises:
        PromptTooLongError: Both together do not fit into the model's context.
    """
    decoder = model.weights.decoder
    asked = decoder.encode([HumanMessage(prompt)])
    answer = decoder.token_ids(target)
    if end:
        answer = [*answer, _end_token(model)]
    limit = decoder.context_length
    if limit is not None and len(asked) + len(answer) > limit:
        raise PromptTooLongError(
            f"an edit has {len(asked) + len(answer):,} tokens, but the model's context is "
            f"{limit:,}: split it into several edits"
        )
    return TokenRow((*asked, *answer), len(asked))


def encode_edit(model: LocalChatModel, edit: Edit) -> TokenRow:
    """Encode an edit's prompt and target.

    Raises:
        ConfigError: The edit is a statement.
    """
    require_prompts([edit])
    return encode_row(model, edit.prompt, edit.target_new)


def require_prompts(edits: Iterable[Edit]) -> None:
    """Check that edits have a prompt and a target, without which no loss can be computed.

    Raises:
        ConfigError: One is a statement or an instruction.
    """
    for edit in edits:
        if edit.instruction is not None:
            raise ConfigError(
                f"{edit.instruction[:80]!r} is an instruction: this method needs edits with a "
                "prompt and a target_new. The method lte takes instructions"
            )
        if edit.statement is not None:
            raise ConfigError(
                f"{edit.statement[:80]!r} is a statement: this method needs edits with a prompt "
                "and a target_new. The method lte takes statements"
            )


def last_place_of(
    model: LocalChatModel, prompt: str, subject: str | None, *, after: int = 0
) -> int:
    """Return the place of the subject's last token in the encoded prompt.

    The prompt's first mention of the subject counts: of its whole name or, where
    words are declined or composed, of a word that begins with it. If there is none,
    that is the question's last token: what a model knows of a subject it can only
    have gathered there. What the chat template writes around the prompt never counts.

    Args:
        model: The model.
        prompt: The question.
        subject: Whom or what it is about.
        after: Where in the prompt is begun to look: behind what was put before it.
    """
    end = len(prompt.rstrip())
    if subject and subject.strip():
        end = _end_of_name(prompt, subject.strip(), after) or end
    return model.weights.decoder.place_of(prompt, end)


def _end_of_name(prompt: str, name: str, after: int) -> int | None:
    found = place_of_name(prompt, name, after=after)
    if found is not None:
        return found[1]
    begun = re.compile(rf"(?i:(?<!\w){re.escape(name)})").search(prompt, after)
    return None if begun is None else begun.end()


def _end_token(model: LocalChatModel) -> int:
    """Return the token that ends an answer: the tokenizer's own, where checkpoints name several."""
    decoder = model.weights.decoder
    own = decoder.tokenizer.eos_token_id
    if own is not None:
        return int(own)
    if not decoder.end_tokens:
        raise ConfigError(f"{model.model_name} has no token that ends an answer")
    return min(decoder.end_tokens)
