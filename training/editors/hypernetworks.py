"""Train a hypernetwork: the edit shall hold in other words, and everything else stay the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lte_chains.errors import ConfigError, DataError
from lte_chains.evaluation.editors.hypernetwork import factors_of
from lte_chains.evaluation.editors.instruct_edit import InstructEdit
from lte_chains.evaluation.editors.instructions import SEEN
from lte_chains.evaluation.editors.mend import Mend
from lte_chains.evaluation.editors.token_rows import Batch, TokenRow, encode_row
from lte_chains.evaluation.editors.weights import opened
from lte_chains.training.editors.examples import EditExample


@dataclass(frozen=True, kw_only=True)
class HypernetworkTraining:
    """How a hypernetwork is trained (MEND, arXiv 2110.11309, section 3.2).

    Example:
        >>> HypernetworkTraining(steps=10).edit_weight
        0.1
    """

    steps: int = 2000
    """Steps of the optimizer."""
    batch_size: int = 8
    """Edits in one step, each made alone."""
    learning_rate: float = 1e-4
    """Adam's for the network. The paper's 1e-6 is for models a thousand times as large."""
    rate_learning_rate: float = 1e-4
    """Adam's for the matrices' rates."""
    edit_weight: float = 0.1
    """Weight of the edit's loss beside the divergence on what must not change."""
    clip: float = 100.0
    """Longest gradient."""
    seed: int = 0
    """Seed of the network's beginning and of the drawing."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: use 1 or more")


@dataclass(frozen=True)
class Losses:
    """Mean losses over some steps.

    Example:
        >>> Losses(step=1, edit=2.0, locality=0.1).step
        1
    """

    step: int
    """The last of the steps."""
    edit: float
    """Negative log-likelihood of the target after the edit."""
    locality: float
    """Divergence of the edited model from the original on other questions."""


def train_hypernetwork(
    editor: Mend,
    examples: Sequence[EditExample],
    config: HypernetworkTraining,
    *,
    log_every: int = 50,
    report: Callable[[Losses], None] = lambda _: None,
) -> list[Losses]:
    """Train an editor's network in place.

    An `InstructEdit` reads another of the seen descriptions with every edit.

    Args:
        editor: Whose network is trained; its model is left as it is.
        examples: What to learn from.
        config: How.
        log_every: Steps of which the losses are averaged.
        report: Is told of the losses as they come.

    Returns:
        The losses over the run.

    Raises:
        DataError: An example has nothing outside, or there are none.
    """
    if not examples:
        raise DataError("there are no examples to train a hypernetwork on")
    rng = random.Random(config.seed)
    network = editor.network
    network.requires_grad_(requires_grad=True)
    rates = [network.rates]
    others = [p for name, p in network.named_parameters() if name != "rates"]
    optimizer = torch.optim.Adam(
        [
            {"params": others, "lr": config.learning_rate},
            {"params": rates, "lr": config.rate_learning_rate},
        ]
    )
    log: list[Losses] = []
    recent: list[tuple[float, float]] = []
    with opened(editor.model) as module:
        for step in range(1, config.steps + 1):
            optimizer.zero_grad()
            drawn = rng.choices(examples, k=config.batch_size)
            recent += [_backward(editor, module, example, config, rng) for example in drawn]
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            optimizer.step()
            if step % log_every == 0 or step == config.steps:
                edit, locality = (sum(part) / len(recent) for part in zip(*recent, strict=True))
                log.append(Losses(step, round(edit, 4), round(locality, 5)))
                report(log[-1])
                recent.clear()
    network.requires_grad_(requires_grad=False)
    return log


def _backward(
    editor: Mend,
    module: Any,
    example: EditExample,
    config: HypernetworkTraining,
    rng: random.Random,
) -> tuple[float, float]:
    """Make one edit, and let the gradients of both losses reach the network."""
    if isinstance(editor, InstructEdit):
        editor.description = rng.choice(SEEN)
    told = Batch.of(editor.rows([example.edit]), module.device)
    [factors] = factors_of(module, editor.matrices, told)
    editor.network.observe(factors)
    changed = {
        matrix.parameter_name: matrix.weight.detach() + matrix.stored(change).to(matrix.weight)
        for matrix, change in zip(editor.matrices, editor.network.changes(factors), strict=True)
    }
    inside, outside = _rows(editor, example, rng)
    batch = Batch.of([inside, *outside], module.device)
    logits = batch.logits(module, changed)
    edit = batch.losses(logits)[0]
    locality = _divergence(module, batch, logits) if outside else torch.zeros(())
    loss = config.edit_weight * edit + locality.to(edit.device)
    (loss / config.batch_size).backward()
    return float(edit.detach()), float(locality.detach())


def _rows(
    editor: Mend, example: EditExample, rng: random.Random
) -> tuple[TokenRow, list[TokenRow]]:
    question = rng.choice(example.questions)
    inside = encode_row(editor.model, question, example.edit.target_new)
    kept = [rng.choice(example.outside)] if example.outside else []
    return inside, [encode_row(editor.model, question, said) for question, said in kept]


def _divergence(module: Any, batch: Batch, logits: torch.Tensor) -> torch.Tensor:
    """Return KL(original ‖ edited) over the answers of all rows but the first."""
    with torch.no_grad():
        original = batch.logits(module)
    places = batch.labels[1:, 1:] >= 0
    new = logits[1:, :-1][places].float().log_softmax(dim=-1)
    old = original[1:, :-1][places].float().log_softmax(dim=-1)
    return torch.nn.functional.kl_div(new, old, log_target=True, reduction="batchmean")
