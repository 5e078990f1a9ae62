"""Texts over which the statistics of a model's keys are taken."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from langchain_core.messages import HumanMessage

from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.token_rows import TokenRow
from lte_chains.models import LocalChatModel, PromptTooLongError

_OWN_TEXTS = 256
_OWN_TOKENS = 48


def key_texts(model: LocalChatModel, texts: Sequence[str] | None) -> list[TokenRow]:
    """Encode texts, each as a question that the model answers; without any, let it write them.

    Raises:
        ConfigError: No text fits into the model's context.
    """
    if texts is None:
        return _own_texts(model)
    rows = []
    for text in dict.fromkeys(texts):
        try:
            ids = model.weights.decoder.encode([HumanMessage(text)])
        except PromptTooLongError:
            continue
        rows.append(TokenRow(tuple(ids), len(ids)))
    if not rows:
        raise ConfigError("none of the texts fits into the model's context: give shorter ones")
    return rows


def _own_texts(model: LocalChatModel) -> list[TokenRow]:
    """Draw texts from the model itself, behind the opening of a question; the seed is fixed."""
    empty = model.weights.decoder.encode([HumanMessage("?")])
    mark = model.get_token_ids("?")[0]
    opening = empty[: empty.index(mark)] if mark in empty else empty[:1]
    generator = torch.Generator().manual_seed(0)
    with model.borrowed_module() as module:
        opening = opening or [int(module.config.bos_token_id or 0)]
        ids = torch.tensor([opening] * _OWN_TEXTS, device=module.device)
        # The last token is drawn, but not read.
        room = (model.weights.decoder.context_length or _OWN_TOKENS + len(opening)) - len(opening)
        cache = None
        fed = ids
        for _ in range(min(_OWN_TOKENS, room)):
            output = module(input_ids=fed, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            chances = output.logits[:, -1].float().cpu().softmax(dim=-1)
            fed = torch.multinomial(chances, 1, generator=generator).to(module.device)
            ids = torch.cat([ids, fed], dim=1)
    return [TokenRow(tuple(row), len(row)) for row in ids.tolist()]
