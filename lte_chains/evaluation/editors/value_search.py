"""The value that says the target: what a layer must write at the subject.

Source: ROME (arXiv 2202.05262), section 3.1.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.keys import Located, outputs_at, tensor_of
from lte_chains.evaluation.editors.token_rows import (
    Batch,
    TokenRow,
    encode_row,
    last_place_of,
)
from lte_chains.local.shared_prefix import plain_layers, positions_in
from lte_chains.models import LocalChatModel


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
        tails = Tails.of(module, [*located, essence])
        first = outputs_at(module, layer, located[:1])[0]
        delta = torch.zeros_like(first, requires_grad=True)
        optimizer = torch.optim.Adam([delta], lr=self.learning_rate)
        usual: torch.Tensor | None = None
        with _added(layer, delta, tails.places):
            for _ in range(self.steps):
                logits = tails.logits(module)
                # What follows the essence's subject, with and without the change.
                said = logits[-1, tails.places[-1]].float().log_softmax(dim=-1)
                usual = said.detach() if usual is None else usual
                told = tails.batch.losses(logits)[:-1].mean()
                kept = torch.nn.functional.kl_div(said, usual, log_target=True, reduction="sum")
                size = delta.norm() / first.norm() ** 2
                loss = told + self.keep * kept + self.decay * size
                if float(told.detach()) < self.enough:
                    break
                [delta.grad] = torch.autograd.grad(loss, [delta])
                optimizer.step()
                with torch.no_grad():
                    longest = self.largest * first.norm()
                    if delta.norm() > longest:
                        delta.mul_(longest / delta.norm())
        return delta.detach()


@dataclass(frozen=True, eq=False)
class Tails:
    """What follows from a place on in each row, behind a beginning that was read once.

    In a causal model a change at a place reaches nothing before it, so a search
    over changes need not read the beginning again at each step.
    """

    batch: Batch
    """The rows from their places on."""
    places: list[int]
    """Where the places are in `batch`: 0, or as in the row if nothing was read before."""
    read: torch.Tensor
    """1 where there is a token that was read before, shape (rows, width)."""
    cache: list[tuple[torch.Tensor, torch.Tensor]]
    """Keys and values of that, layer by layer."""

    @classmethod
    def of(cls, module: Any, located: Sequence[Located]) -> Tails:
        """Read what stands before the places; nothing if the model keeps no plain cache of it."""
        cuts = [one.place for one in located]
        begun = _begin(module, [one.row.ids[: one.place] for one in located])
        if begun is None:
            cuts = [0] * len(located)
            begun = torch.ones(len(located), 0, dtype=torch.long, device=module.device), []
        tails = [
            TokenRow(one.row.ids[cut:], one.row.start - cut)
            for one, cut in zip(located, cuts, strict=True)
        ]
        places = [one.place - cut for one, cut in zip(located, cuts, strict=True)]
        return cls(Batch.of(tails, module.device), places, *begun)

    def logits(self, module: Any) -> torch.Tensor:
        """Return the logits from the places on, shape (rows, width of `batch`, vocabulary)."""
        if not self.cache:
            whole: torch.Tensor = self.batch.logits(module)
            return whole
        cache = DynamicCache()
        for number, (keys, values) in enumerate(self.cache):
            cache.update(keys, values, number)
        mask = torch.cat([self.read, self.batch.mask], dim=1)
        logits: torch.Tensor = module(
            input_ids=self.batch.ids,
            attention_mask=mask,
            position_ids=positions_in(mask)[:, self.read.shape[1] :],
            past_key_values=cache,
            use_cache=True,
        ).logits
        return logits


@contextmanager
def _added(layer: Any, delta: torch.Tensor, places: Sequence[int]) -> Iterator[None]:
    """Add δ to a layer's output at one place of each row."""

    def hook(_: Any, __: Any, output: Any) -> Any:
        hidden = tensor_of(output)
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


def _begin(
    module: Any, beginnings: Sequence[Sequence[int]]
) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]] | None:
    """Read the beginnings, padded on the left; returns their mask and cache."""
    takes_positions = "position_ids" in inspect.signature(module.forward).parameters
    if not takes_positions or not all(beginnings):
        return None
    width = max(map(len, beginnings))
    ids = [[row[0]] * (width - len(row)) + list(row) for row in beginnings]
    mask = torch.tensor(
        [[0] * (width - len(row)) + [1] * len(row) for row in beginnings], device=module.device
    )
    with torch.no_grad():
        cache = module(
            input_ids=torch.tensor(ids, device=module.device),
            attention_mask=mask,
            position_ids=positions_in(mask),
            use_cache=True,
        ).past_key_values
    kept = [(layer.keys, layer.values) for layer in plain_layers(cache)]
    return (mask, kept) if kept else None
