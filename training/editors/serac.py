"""Train SERAC: the classifier on pairs of edit and question, the second model on reading edits."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from langchain_core.embeddings import Embeddings

from lte_chains.errors import ConfigError, DataError
from lte_chains.evaluation.editors.nearest import Nearest
from lte_chains.evaluation.editors.serac import ScopeClassifier, counterfactual_prompt
from lte_chains.evaluation.editors.token_rows import Batch, TokenRow, encode_row
from lte_chains.local.loading import load_module, locate, outdated_names_ignored
from lte_chains.models import LocalChatModel
from lte_chains.training.editors.examples import EditExample


@dataclass(frozen=True, kw_only=True)
class SeracTraining:
    """How both parts are trained.

    Example:
        >>> SeracTraining(steps=10).width
        128
    """

    steps: int = 600
    """Steps of the counterfactual model."""
    batch_size: int = 16
    """Rows in one of them."""
    rank: int = 16
    """Rank of the adapter that makes the counterfactual model out of the base."""
    learning_rate: float = 1e-3
    """AdamW's."""
    classifier_steps: int = 1000
    """Steps of the classifier, each over 256 pairs."""
    width: int = 128
    """To how many numbers embeddings are reduced."""
    seed: int = 0
    """Seed of the drawing."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("steps", "batch_size", "rank", "classifier_steps", "width"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: use 1 or more")


def train_classifier(
    examples: Sequence[EditExample], embeddings: Embeddings, config: SeracTraining
) -> ScopeClassifier:
    """Learn which questions are about which edits.

    The questions of an example are about its edit; those outside, and the next
    example's, are not.

    Raises:
        DataError: There are fewer than two examples.
    """
    if len(examples) < 2:
        raise DataError(f"{len(examples)} examples are too few to tell edits apart")
    pairs = _pairs(examples)
    texts = sorted({text for edit, question, _ in pairs for text in (edit, question)})
    places = {text: place for place, text in enumerate(texts)}
    store = Nearest(embeddings)
    store.add(texts)
    vectors = torch.from_numpy(store.vectors)
    edits = torch.tensor([places[edit] for edit, _, _ in pairs])
    questions = torch.tensor([places[question] for _, question, _ in pairs])
    about = torch.tensor([inside for _, _, inside in pairs])
    return ScopeClassifier(_learn(vectors, edits, questions, about, config))


def train_counterfactual(
    model: LocalChatModel,
    examples: Sequence[EditExample],
    config: SeracTraining,
    *,
    report: Callable[[int, float], None] = lambda _, __: None,
) -> Any:
    """Train an adapter with which the model answers a question by the edit in front of it.

    Args:
        model: Which model to begin with; it is left as it is.
        examples: What to learn from.
        config: How.
        report: Is told the step and the loss.

    Returns:
        A copy's torch module with the adapter, as PEFT makes it.
    """
    from peft import LoraConfig, get_peft_model

    rows = [row for example in examples for row in _counterfactual_rows(model, example)]
    module = load_module(locate(model.model_name), torch.float32)
    with model.borrowed_module() as original:
        module.to(original.device)
    torch.manual_seed(config.seed)  # of the adapter's first weights
    adapter = LoraConfig(
        r=config.rank,
        lora_alpha=2 * config.rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with outdated_names_ignored():
        module = get_peft_model(module, adapter)
    module.train()
    learnt = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.steps, pct_start=0.1
    )
    rng = random.Random(config.seed)
    for step in range(1, config.steps + 1):
        batch = Batch.of(rng.choices(rows, k=config.batch_size), module.device)
        loss = batch.losses(batch.logits(module)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        schedule.step()
        report(step, float(loss.detach()))
    module.eval()
    return module


def _pairs(examples: Sequence[EditExample]) -> list[tuple[str, str, bool]]:
    """List (edit, question, whether the question is about the edit)."""
    pairs = []
    for place, example in enumerate(examples):
        edit = example.edit.descriptor
        other = examples[(place + 1) % len(examples)].edit.prompt
        pairs += [(edit, question, True) for question in example.questions]
        pairs += [(edit, question, False) for question, _ in example.outside]
        pairs.append((edit, other, False))
    return pairs


def _learn(
    vectors: torch.Tensor,
    edits: torch.Tensor,
    questions: torch.Tensor,
    about: torch.Tensor,
    config: SeracTraining,
) -> npt.NDArray[np.float32]:
    """Minimise the cross-entropy of exp(−‖A(e − q)‖²), and return A."""
    generator = torch.Generator().manual_seed(config.seed)
    width = vectors.shape[1]
    start = torch.randn(config.width, width, generator=generator) / config.width**0.5
    projection = start.requires_grad_()
    optimizer = torch.optim.Adam([projection], lr=3e-3)
    inside, outside = about.nonzero()[:, 0], (~about).nonzero()[:, 0]
    for _ in range(config.classifier_steps):
        # As many of both kinds: there are more questions apart than about an edit.
        chosen = [
            of_kind[torch.randint(len(of_kind), (128,), generator=generator)]
            for of_kind in (inside, outside)
        ]
        apart = [
            ((vectors[edits[i]] - vectors[questions[i]]) @ projection.T).square().sum(dim=1)
            for i in chosen
        ]
        # −log p is the distance itself; 1 − p is computed so that it is exact near zero.
        missed = -torch.log(-torch.expm1(-apart[1].clamp(min=1e-6)))
        loss = apart[0].mean() + missed.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.asarray(projection.detach().numpy(), np.float32)


def _counterfactual_rows(model: LocalChatModel, example: EditExample) -> list[TokenRow]:
    edit = example.edit
    return [
        encode_row(model, counterfactual_prompt(edit.descriptor, question), edit.target_new)
        for question in example.questions
    ]
