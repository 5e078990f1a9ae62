"""Free text of a model: how fluent it still is after edits."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import BaseMessage

from lte_chains.evaluation.editors.base import Editor, Route
from lte_chains.evaluation.metrics import ngram_entropy
from lte_chains.models import LocalChatModel, PromptTooLongError

FREE_TOKENS = 100
"""Tokens that are forced out of the model, as in EasyEdit."""


def fluency(editor: Editor, prompts: Sequence[str]) -> list[float | None]:
    """Return the n-gram entropy of 100 greedy tokens behind each prompt.

    The model may not end before; None where it shows no logits, or has no room.
    A model that has only ever given short answers may go on with one syllable over and
    over, which is a single word: it has no n-grams, and scores 0. So compare with what
    the same model scores without edits.
    """
    return [_entropy(route) for route in editor.routes(prompts)]


def _entropy(route: Route) -> float | None:
    if not isinstance(route.model, LocalChatModel):
        return None
    try:
        return ngram_entropy(forced_text(route.model, route.messages))
    except PromptTooLongError:
        return None


def forced_text(model: LocalChatModel, messages: Sequence[BaseMessage]) -> str:
    """Return exactly 100 greedy tokens of a model as text, none of which is a special one.

    Raises:
        PromptTooLongError: They do not fit behind the prompt.
    """
    import torch

    decoder = model.weights.decoder
    ids = decoder.encode(messages)
    room = decoder.context_length
    if room is not None and len(ids) + FREE_TOKENS > room:
        raise PromptTooLongError(f"{len(ids)} tokens leave no room for {FREE_TOKENS} more")
    with model.borrowed_module() as module:
        whole = module.generate(
            torch.tensor([ids], device=module.device),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=module.device),
            min_new_tokens=FREE_TOKENS,
            max_new_tokens=FREE_TOKENS,
            do_sample=False,
            # Forbidden the end alone, a model may write tokens that are nothing when decoded.
            suppress_tokens=sorted(decoder.end_tokens.union(decoder.tokenizer.all_special_ids)),
        )
    return str(decoder.tokenizer.decode(whole[0, len(ids) :], skip_special_tokens=True))
