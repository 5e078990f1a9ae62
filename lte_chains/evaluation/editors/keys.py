"""Keys and values of a feed-forward matrix: what it reads at a place, what it shall write there.

Source: ROME (arXiv 2202.05262), section 3.1, and MEMIT (arXiv 2210.07229), section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.structure import Matrix
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
        found.append(Located(row, last_place_of(model, prompt, edit.subject)))
    return found


@contextmanager
def watched(matrix: Matrix, at: str = "input") -> Iterator[list[torch.Tensor]]:
    """Collect what a layer reads ("input") or writes ("output"), call by call."""
    seen: list[torch.Tensor] = []

    def hook(_: Any, inputs: Any, output: torch.Tensor) -> None:
        seen.append(inputs[0] if at == "input" else output)

    handle = matrix.layer.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


def keys_at(module: Any, matrix: Matrix, located: Sequence[Located]) -> torch.Tensor:
    """Return what the matrix reads at each place, shape (places, d_in)."""
    batch = Batch.of([one.row for one in located], module.device)
    with torch.no_grad(), watched(matrix) as seen:
        batch.logits(module)
    return _at(seen[0], located).float()


def outputs_at(module: Any, layer: Any, located: Sequence[Located]) -> torch.Tensor:
    """Return what a block or layer gives at each place, shape (places, width)."""
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _m, _i, out: seen.append(_tensor(out)))
    try:
        with torch.no_grad():
            Batch.of([one.row for one in located], module.device).logits(module)
    finally:
        handle.remove()
    return _at(seen[0], located).float()


@dataclass(frozen=True, kw_only=True)
class ValueSearch:
    """How the value that says the target is looked for (ROME, equation 4).

    Example:
        >>> ValueSearch().steps
        25
    """

    steps: int = 25
    """Adam's steps."""
    learning_rate: float = 0.5
    """Adam's."""
    keep: float = 0.0625
    """Weight of the divergence from what the model says of the subject otherwise."""
    decay: float = 0.5
    """Weight of the change's size, relative to the value's."""
    largest: float = 4.0
    """The change is at most so many times as long as the value."""
    enough: float = 0.05
    """Stop when the loss is below this."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.steps < 1 or self.learning_rate <= 0:
            raise ConfigError(
                f"steps={self.steps}, learning_rate={self.learning_rate}: use more than 0"
            )

    def change(
        self,
        model: LocalChatModel,
        module: Any,
        layer: Any,
        edit: Edit,
        located: Sequence[Located],
    ) -> torch.Tensor:
        """Return δ: what the layer must write in addition at the subject for the target to be said.

        Args:
            model: The model that encodes.
            module: Its torch module.
            layer: The layer or block whose output is changed.
            edit: The edit.
            located: The edit after several beginnings.
        """
        about = edit.subject or edit.prompt
        essence = _essence(model, about)
        rows = Batch.of([one.row for one in (*located, essence)], module.device)
        places = [one.place for one in (*located, essence)]
        first = outputs_at(module, layer, located[:1])[0]
        delta = torch.zeros_like(first, requires_grad=True)
        optimizer = torch.optim.Adam([delta], lr=self.learning_rate)
        usual: torch.Tensor | None = None
        with _added(layer, delta, places):
            for _ in range(self.steps):
                logits = rows.logits(module)
                # What follows the essence's subject, with and without the change.
                said = logits[-1, places[-1]].float().log_softmax(dim=-1)
                usual = said.detach() if usual is None else usual
                told = rows.losses(logits)[:-1].mean()
                kept = torch.nn.functional.kl_div(said, usual, log_target=True, reduction="sum")
                size = delta.norm() / first.norm() ** 2
                loss = told + self.keep * kept + self.decay * size
                if float(told.detach()) < self.enough:
                    break
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    longest = self.largest * first.norm()
                    if delta.norm() > longest:
                        delta.mul_(longest / delta.norm())
        return delta.detach()


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
        with torch.no_grad(), watched(matrix) as seen:
            batch.logits(module)
        keys = seen[0][batch.mask.bool()].float()
        total += keys.T @ keys
        count += len(keys)
    moment = total / count
    ridge = 1e-3 * moment.diagonal().mean()
    return moment + ridge * torch.eye(matrix.d_in, device=module.device)


@contextmanager
def _added(layer: Any, delta: torch.Tensor, places: Sequence[int]) -> Iterator[None]:
    """Add δ to a layer's output at one place of each row."""

    def hook(_: Any, __: Any, output: Any) -> Any:
        hidden = _tensor(output)
        change = torch.zeros_like(hidden)
        rows = torch.arange(len(places), device=hidden.device)
        change[rows, torch.tensor(places, device=hidden.device)] = delta.to(hidden.dtype)
        changed = hidden + change
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = layer.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _essence(model: LocalChatModel, subject: str) -> Located:
    """Ask what the subject is: what the model says there shall not change."""
    prompt = f"{subject} is a"
    row = encode_row(model, prompt, "thing", end=False)
    return Located(row, last_place_of(model, prompt, subject))


def _at(hidden: torch.Tensor, located: Sequence[Located]) -> torch.Tensor:
    rows = torch.arange(len(located), device=hidden.device)
    return hidden[rows, torch.tensor([one.place for one in located], device=hidden.device)]


def _tensor(output: Any) -> torch.Tensor:
    hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return hidden
