"""Rows that begin alike, trained as one sequence: the same losses from fewer tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader

from lte_chains.local.loading import load_module, locate
from lte_chains.training.alignment.answer_loss import AnswerLossTrainer
from lte_chains.training.alignment.conversations import IGNORED
from lte_chains.training.alignment.muon import muon_for
from lte_chains.training.alignment.sharing import Row, SharedRows, collate, families

TEMPLATE, EDITS, OTHER_EDITS = [5, 6, 7], [11, 12, 13, 14, 15], [21, 22, 23, 24, 25]


def row(prompt: Sequence[int], answer: Sequence[int]) -> dict[str, list[int]]:
    return {
        "input_ids": [*prompt, *answer],
        "labels": [IGNORED] * len(prompt) + list(answer),
    }


ROWS = [
    row([*TEMPLATE, *EDITS, 31, 32], [41, 2]),
    row([*TEMPLATE, *EDITS, 33, 34, 35], [42, 43, 2]),
    row([*TEMPLATE, *EDITS, 31, 36], [44, 2]),
    row([*TEMPLATE, *OTHER_EDITS, 31], [45, 2]),
    row([*TEMPLATE, 37], [46, 2]),
]


def as_rows(rows: Sequence[dict[str, list[int]]]) -> list[Row]:
    return [Row(tuple(r["input_ids"]), tuple(r["labels"])) for r in rows]


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return load_module(locate("lte-tiny-base"), torch.float32).train()


def loss_of(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    trainer = SimpleNamespace(
        model=model, args=SimpleNamespace(average_tokens_across_devices=False)
    )
    return AnswerLossTrainer.compute_loss(trainer, model, batch)


def alone(rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Pad rows on the right, as they are trained without sharing."""
    longest = max(len(r["input_ids"]) for r in rows)
    return {
        name: torch.tensor([r[name] + [fill] * (longest - len(r[name])) for r in rows])
        for name, fill in (("input_ids", 0), ("labels", IGNORED))
    }


@pytest.mark.parametrize("length", [16, 24, 64])
def test_the_loss_and_its_gradient_are_those_of_the_rows_alone(
    model: torch.nn.Module, length: int
) -> None:
    gradients = []
    shared = SharedRows(ROWS, length)
    together = collate([shared[at] for at in range(len(shared))], dtype=torch.float32)
    for batch in (alone(ROWS), together):
        model.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        gradients.append([loss.detach(), *(p.grad.clone() for p in model.parameters())])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_models_own_loss_agrees(model: torch.nn.Module) -> None:
    batch = alone(ROWS)
    own = model(**batch).loss
    torch.testing.assert_close(loss_of(model, batch), own, rtol=1e-5, atol=1e-5)


def test_rows_of_the_same_edits_share_them() -> None:
    found = families(as_rows(ROWS), 64)
    [joined] = [family for family in found if len(family.rows) == 3]
    assert joined.rows[0].input_ids[: joined.common] == (*TEMPLATE, *EDITS)


def test_nothing_that_bears_loss_is_shared() -> None:
    twins = [row([*TEMPLATE, *EDITS, 31], [41, 42, 2]), row([*TEMPLATE, *EDITS, 31], [41, 43, 2])]
    [family] = families(as_rows(twins), 64)
    assert family.common == len([*TEMPLATE, *EDITS])


def test_every_row_is_in_one_sequence_once_and_whole() -> None:
    rng = random.Random(1)
    rows = [
        row([*TEMPLATE, *(rng.randrange(20, 24) for _ in range(rng.randrange(1, 20)))], [9, 9])
        for _ in range(200)
    ]
    shared = SharedRows(rows, 48)
    learned = sum(int((shared[at]["labels"] != IGNORED).sum()) for at in range(len(shared)))
    assert learned == 2 * len(rows)
    assert {len(shared[at]["input_ids"]) for at in range(len(shared))} == {48}


def test_a_family_that_outgrows_a_sequence_is_continued_in_another() -> None:
    rows = [row([*TEMPLATE, *EDITS, 31, number], [2]) for number in range(40, 60)]
    shared = SharedRows(rows, 24)
    assert len(shared) > 1
    learned = sum(int((shared[at]["labels"] != IGNORED).sum()) for at in range(len(shared)))
    assert learned == len(rows)


def test_muon_steps_matrices_and_adamw_all_else_at_the_schedules_rate(
    model: torch.nn.Module,
) -> None:
    optimizer = muon_for(model, lr=1e-3, weight_decay=0.0)
    matrices = {id(p) for p in optimizer.param_groups[0]["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in matrices}
    assert "model.layers.0.mlp.up_proj.weight" in names
    assert not any("embed" in name or "norm" in name for name in names)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [p.detach().clone() for p in model.parameters()]
    loss_of(model, alone(ROWS)).backward()
    optimizer.step()
    assert all(map(torch.equal, before, model.parameters()))


def test_muon_trains_an_adapter_which_has_matrices_alone(model: torch.nn.Module) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.endswith("q_proj.weight")
    optimizer = muon_for(model, lr=1e-3, weight_decay=0.0)
    before = [p.detach().clone() for p in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    changed = [not torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True)]
    assert changed == [p.requires_grad for p in model.parameters()]
    optimizer.load_state_dict(optimizer.state_dict())


def test_muons_state_comes_back(model: torch.nn.Module) -> None:
    first, second = (muon_for(model, lr=1e-3, weight_decay=0.1) for _ in range(2))
    loss_of(model, alone(ROWS)).backward()
    first.step()
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["lr"] == first.param_groups[0]["lr"]
    weight = first.param_groups[0]["params"][0]
    one, other = (o._parts[0].state[weight]["momentum_buffer"] for o in (first, second))
    assert torch.equal(one, other)


def test_a_loader_makes_batches_of_them() -> None:
    loader = DataLoader(
        SharedRows(ROWS, 24), batch_size=2, collate_fn=partial(collate, dtype=torch.bfloat16)
    )
    batch = next(iter(loader))
    assert batch["attention_mask"].shape == (2, 1, 24, 24)
    assert set(batch) == {"input_ids", "labels", "position_ids", "attention_mask"}
