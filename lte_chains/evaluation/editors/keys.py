"""Keys of a feed-forward matrix: what it reads at a place.

Source: ROME (arXiv 2202.05262), section 3.1, and MEMIT (arXiv 2210.07229), section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.structure import Matrix, row_by_row
from lte_chains.evaluation.editors.token_rows import (
    Batch,
    TokenRow,
    encode_row,
    last_place_of,
)
from lte_chains.models import LocalChatModel

BEGINNINGS = (
    "",
    "Yes. ",
    "Please tell me. ",
    "A short question: ",
    "Somebody wanted to know this. ",
)
"""What may stand before an edit's prompt, so that its key does not hang on the first words."""
_AT_ONCE = 32
"""Rows in one forward pass."""


@dataclass(frozen=True)
class Located:
    """An edit after one beginning, and the place where its subject has been read."""

    row: TokenRow
    """Prompt and target."""
    place: int
    """The place of the subject's last token."""


def locate(model: LocalChatModel, edit: Edit, beginnings: Sequence[str]) -> list[Located]:
    """Encode an edit after each of the beginnings."""
    found = []
    for beginning in beginnings:
        prompt = f"{beginning}{edit.prompt}"
        row = encode_row(model, prompt, edit.target_new)
        # A beginning may hold the subject by chance.
        place = last_place_of(model, prompt, edit.subject, after=len(beginning))
        found.append(Located(row, place))
    return found


def keys_at(module: Any, matrix: Matrix, located: Sequence[Located]) -> torch.Tensor:
    """Return what the matrix reads at each place, shape (places, d_in)."""
    return _read_at(module, matrix.layer, _keys_of(matrix), located)


def outputs_at(module: Any, layer: Any, located: Sequence[Located]) -> torch.Tensor:
    """Return what a block or layer gives at each place, shape (places, width)."""
    return _read_at(module, layer, lambda _, output: tensor_of(output), located)


_Read = Callable[[Any, Any], torch.Tensor]
"""Takes the hidden states that are wanted from what a layer is given and what it gives."""


def _keys_of(matrix: Matrix) -> _Read:
    return lambda inputs, _: row_by_row(inputs[0], matrix.name)


@contextmanager
def _watched(layer: Any, read: _Read) -> Iterator[list[torch.Tensor]]:
    """Collect what is read from a layer, call by call."""
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(
        lambda _, inputs, output: seen.append(read(inputs, output))
    )
    try:
        yield seen
    finally:
        handle.remove()


def _read_at(module: Any, layer: Any, read: _Read, located: Sequence[Located]) -> torch.Tensor:
    """Return what is read from a layer at each place, shape (places, numbers)."""
    found = []
    # In groups: the logits of a thousand edits at once would be the largest thing of all.
    for start in range(0, len(located), _AT_ONCE):
        chunk = located[start : start + _AT_ONCE]
        batch = Batch.of([one.row for one in chunk], module.device)
        with torch.no_grad(), _watched(layer, read) as seen:
            batch.logits(module)
        found.append(_at(seen[0], chunk).float())
    return torch.cat(found)


def second_moment(
    module: Any, matrix: Matrix, rows: Sequence[TokenRow], *, batch_size: int = 32
) -> torch.Tensor:
    """Return C = E[k kᵀ] of the matrix's keys over all tokens of texts, shape (d_in, d_in).

    A thousandth of its mean diagonal is added to the diagonal: with fewer tokens
    than d_in, C could not be inverted.

    Raises:
        ConfigError: There are no texts.
    """
    if not rows:
        raise ConfigError("the keys' second moment needs texts: give some (texts=…)")
    total = torch.zeros(matrix.d_in, matrix.d_in, device=module.device)
    count = 0
    ordered = sorted(rows, key=lambda row: len(row.ids))
    for start in range(0, len(ordered), batch_size):
        batch = Batch.of(ordered[start : start + batch_size], module.device)
        with torch.no_grad(), _watched(matrix.layer, _keys_of(matrix)) as seen:
            batch.logits(module)
        keys = seen[0][batch.mask.bool()].float()
        total += keys.T @ keys
        count += len(keys)
    moment = total / count
    ridge = 1e-3 * moment.diagonal().mean()
    return moment + ridge * torch.eye(matrix.d_in, device=module.device)


def _at(hidden: torch.Tensor, located: Sequence[Located]) -> torch.Tensor:
    rows = torch.arange(len(located), device=hidden.device)
    return hidden[rows, torch.tensor([one.place for one in located], device=hidden.device)]


def tensor_of(output: Any) -> torch.Tensor:
    """Return the hidden states that a layer or block gives, which may stand first of several."""
    hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return hidden
