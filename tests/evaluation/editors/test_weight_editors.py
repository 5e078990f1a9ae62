"""Golden properties of the methods that edit weights, on Llama, Qwen2 and GPT-2 builds."""

from __future__ import annotations

import pytest
import torch

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors import keys, value_search
from lte_chains.evaluation.editors.base import EditTooLongError
from lte_chains.evaluation.editors.fine_tuning import FineTuningConfig
from lte_chains.evaluation.editors.ft_l import FtL
from lte_chains.evaluation.editors.ft_m import FtM
from lte_chains.evaluation.editors.hypernetwork import (
    HypernetworkConfig,
    factors_of,
    weights_digest,
)
from lte_chains.evaluation.editors.instruct_edit import InstructEdit
from lte_chains.evaluation.editors.keys import keys_at, locate
from lte_chains.evaluation.editors.lora import Lora, LoraConfig
from lte_chains.evaluation.editors.memit import Memit, MemitConfig, spread
from lte_chains.evaluation.editors.mend import Mend
from lte_chains.evaluation.editors.rome import Rome, RomeConfig
from lte_chains.evaluation.editors.structure import UneditableModelError
from lte_chains.evaluation.editors.texts import key_texts
from lte_chains.evaluation.editors.token_rows import Batch, encode_edit
from lte_chains.evaluation.editors.value_search import Tails, ValueSearch
from lte_chains.evaluation.editors.weights import opened
from lte_chains.models import load_model
from tests.evaluation.editors.models import BUILDS, EDITS, TEXTS, fresh, state
from tests.tiny_models import save_llama, tiny_adapter, tiny_llama

# A random model has no use for beginnings: each gives another key.
_PLACE = {"search": ValueSearch(steps=12, learning_rate=0.1), "beginnings": ("",)}
MAKERS = {
    "ft-l": lambda m: FtL(m, FineTuningConfig(steps=5, learning_rate=1e-2)),
    "ft-m": lambda m: FtM(m, FineTuningConfig(steps=5, learning_rate=1e-2)),
    "lora": lambda m: Lora(m, LoraConfig(steps=5)),
    "rome": lambda m: Rome(m, RomeConfig(**_PLACE), texts=TEXTS),
    "memit": lambda m: Memit(m, MemitConfig(**_PLACE), texts=TEXTS),
    "mend": lambda m: Mend.untrained(m, HypernetworkConfig(first_rate=0.1)),
    "instruct-edit": lambda m: InstructEdit.untrained(m, HypernetworkConfig(first_rate=0.1)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("builds")


def _changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def _loss(model, edit):
    with opened(model) as module, torch.no_grad():
        batch = Batch.of([encode_edit(model, edit)], module.device)
        return float(batch.losses(batch.logits(module)))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("method", MAKERS)
def test_undo_gives_every_weight_back_bit_for_bit(build, method, folder):
    model = fresh(build, folder)
    before, answer = state(model), model.invoke("Who runs Acme?").text
    editor = MAKERS[method](model)
    editor.edit(EDITS[:1])
    editor.edit(EDITS[1:])
    assert _changed(before, state(model)) >= {m.parameter_name for m in editor.matrices[:1]}
    editor.undo()
    assert not _changed(before, state(model))
    assert model.invoke("Who runs Acme?").text == answer


@pytest.mark.parametrize("method", MAKERS)
def test_undo_is_exact_in_bfloat16_too(method, folder):
    model = fresh("llama", folder, dtype="bfloat16")
    before = state(model)
    editor = MAKERS[method](model)
    editor.edit(EDITS)
    editor.undo()
    assert not _changed(before, state(model))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("method", ["ft-m", "lora", "rome", "memit"])
def test_an_edit_makes_its_target_likelier(build, method, folder):
    model = fresh(build, folder)
    before = _loss(model, EDITS[0])
    MAKERS[method](model).edit(EDITS[:1])
    assert _loss(model, EDITS[0]) < before


@pytest.mark.parametrize("method", ["ft-l", "ft-m"])
@pytest.mark.parametrize("build", BUILDS)
def test_fine_tuning_moves_one_matrix_only(build, method, folder):
    model = fresh(build, folder)
    before = state(model)
    editor = MAKERS[method](model)
    editor.edit(EDITS)
    [matrix] = editor.matrices
    changed = _changed(before, state(model))
    assert changed == {matrix.parameter_name}
    assert editor.parameters_touched == matrix.weight.numel()


def test_ft_l_keeps_every_weight_within_the_limit(folder):
    model = fresh("llama", folder)
    editor = FtL(model, FineTuningConfig(steps=20, learning_rate=0.1, largest_change=0.01))
    before = editor.matrices[0].weight.detach().clone()
    editor.edit(EDITS)
    assert float((editor.matrices[0].weight - before).abs().max()) <= 0.01 + 1e-6


def test_an_edit_that_holds_already_is_left_alone(folder):
    model = fresh("llama", folder)
    before = state(model)
    FtM(model, FineTuningConfig(enough=100.0)).edit(EDITS)
    assert not _changed(before, state(model))


def test_a_lora_addition_has_its_rank(folder):
    model = fresh("llama", folder)
    editor = Lora(model, LoraConfig(rank=2, steps=5))
    before = [m.value.detach().clone() for m in editor.matrices]
    editor.edit(EDITS)
    ranks = [
        int(torch.linalg.matrix_rank(m.value - old, rtol=1e-3))
        for m, old in zip(editor.matrices, before, strict=True)
    ]
    assert max(ranks) == 2


@pytest.mark.parametrize("build", BUILDS)
def test_rome_maps_its_key_to_its_value_by_an_update_of_rank_one(build, folder):
    model = fresh(build, folder)
    editor = MAKERS["rome"](model)
    editor.prepare()
    [matrix] = editor.matrices
    before = matrix.value.detach().clone()
    with opened(model) as module:
        key, change = editor.key_and_change(module, EDITS[0])
    editor.edit(EDITS[:1])
    update = matrix.value - before
    assert torch.allclose(matrix.value @ key, before @ key + change, rtol=1e-3, atol=1e-3)
    singular = torch.linalg.svdvals(update)
    assert singular[1] < 1e-4 * singular[0]


@pytest.mark.parametrize("build", BUILDS)
def test_a_search_that_reads_the_beginnings_once_reads_the_same(build, folder):
    """The subjects' places differ, so that the beginnings are padded."""
    model = fresh(build, folder)
    located = [one for edit in EDITS for one in locate(model, edit, ("", "Yes. "))]
    with opened(model) as module, torch.no_grad():
        tails = Tails.of(module, located)
        assert tails.places == [0] * len(located)
        assert len({one.place for one in located}) > 1
        whole = Batch.of([one.row for one in located], module.device).logits(module)
        found = tails.logits(module)
    for row, one in enumerate(located):
        length = len(one.row.ids) - one.place
        expected = whole[row, one.place : one.place + length]
        assert torch.allclose(found[row, :length], expected, atol=1e-4)


def test_a_search_reads_whole_rows_of_a_model_without_a_plain_cache(folder, monkeypatch):
    model = fresh("llama", folder)
    usual = MAKERS["rome"](model)
    usual.prepare()
    with opened(model) as module:
        _, expected = usual.key_and_change(module, EDITS[0])
        monkeypatch.setattr(value_search, "_begin", lambda *_: None)
        _, found = usual.key_and_change(module, EDITS[0])
    assert torch.allclose(found, expected, atol=1e-3)


def test_romes_update_lies_along_the_key_seen_through_the_second_moment(folder):
    model = fresh("llama", folder)
    editor = MAKERS["rome"](model)
    editor.prepare()
    [matrix] = editor.matrices
    before = matrix.value.detach().clone()
    with opened(model) as module:
        key, _ = editor.key_and_change(module, EDITS[0])
    editor.edit(EDITS[:1])
    update = matrix.value - before
    row = update[update.norm(dim=1).argmax()]
    along = editor._inverse @ key
    assert torch.cosine_similarity(row, along, dim=0).abs() > 0.999


def test_memit_with_one_edit_is_its_closed_form(folder):
    """By Sherman and Morrison, r kᵀ(λC + kkᵀ)⁻¹ = r (C'k)ᵀ / (1 + kᵀC'k) with C' = (λC)⁻¹."""
    torch.manual_seed(0)
    key, residual = torch.randn(1, 6), torch.randn(1, 4)
    half = torch.randn(6, 6)
    held = half @ half.T + torch.eye(6)
    through = torch.linalg.solve(held, key[0])
    expected = torch.outer(residual[0], through) / (1 + key[0] @ through)
    assert torch.allclose(spread(key, residual, held), expected, atol=1e-5)


def test_memit_changes_its_own_layers_and_each_by_the_closed_form(folder):
    model = fresh("llama", folder)
    config = MemitConfig(layers=(2,), hold=1e-4, **_PLACE)
    editor = Memit(model, config, texts=TEXTS)
    before = editor.matrices[0].value.detach().clone()
    located = locate(model, EDITS[0], config.beginnings)
    with opened(model) as module:
        key = keys_at(module, editor.matrices[0], located).mean(dim=0)
    editor.edit(EDITS[:1])
    update = editor.matrices[0].value - before
    held = config.hold * 48 * editor._moments[0]
    direction = torch.linalg.solve(held.double(), key.double()).float()
    row = update[update.norm(dim=1).argmax()]
    assert torch.cosine_similarity(row, direction, dim=0).abs() > 0.999
    assert torch.linalg.svdvals(update)[1] < 1e-4 * torch.linalg.svdvals(update)[0]


@pytest.mark.parametrize("build", BUILDS)
def test_mend_is_at_its_start_a_step_of_gradient_descent(build, folder):
    model = fresh(build, folder)
    editor = Mend.untrained(model, HypernetworkConfig(first_rate=0.01))
    with opened(model) as module:
        named = dict(module.named_parameters())
        weights = [named[m.parameter_name] for m in editor.matrices]
        for weight in weights:
            weight.requires_grad_()
        batch = Batch.of([encode_edit(model, EDITS[0])], module.device)
        batch.losses(batch.logits(module)).sum().backward()
        expected = [weight.detach() - 0.01 * weight.grad for weight in weights]
        for weight in weights:
            weight.requires_grad_(requires_grad=False)
            weight.grad = None
    editor.edit(EDITS[:1])
    for matrix, weight in zip(editor.matrices, expected, strict=True):
        assert torch.allclose(matrix.weight, weight, atol=1e-5), matrix.name


def test_mend_refuses_a_network_of_other_weights(folder, tmp_path):
    trained = Mend.untrained(fresh("llama", folder))
    trained.network.save(tmp_path / "mend", {"weights": "of another model"})
    with pytest.raises(UneditableModelError, match=r"down_proj differs|gate_proj differs"):
        Mend.load(fresh("llama", folder), tmp_path)


def test_a_trained_network_comes_back_from_disk_as_it_was(folder, tmp_path):
    model = fresh("llama", folder)
    editor = Mend.untrained(model, HypernetworkConfig(rank=4, first_rate=0.1))
    with torch.no_grad():
        for parameter in editor.network.parameters():
            parameter.copy_((parameter + 0.01).half())
    editor.network.save(tmp_path / "mend", {"weights": weights_digest(editor.matrices)})
    editor.edit(EDITS)
    expected = state(model)
    editor.undo()
    again = Mend.load(model, tmp_path)
    again.edit(EDITS)
    assert not _changed(expected, state(model))


def test_instruct_edit_reads_another_prompt_than_mend(folder):
    model = fresh("llama", folder)
    mend, instructed = Mend.untrained(model), InstructEdit.untrained(model)
    [plain], [told] = mend.rows(EDITS[:1]), instructed.rows(EDITS[:1])
    assert len(told.ids) > len(plain.ids)
    assert told.ids[told.start :] == plain.ids[plain.start :]
    with pytest.raises(ConfigError, match="task is 'odd'"):
        instructed.rows([Edit(prompt="x", target_new="y", metadata={"task": "odd"})])


@pytest.mark.parametrize("method", MAKERS)
def test_a_statement_is_refused_with_the_way_out(method, folder):
    editor = MAKERS[method](fresh("llama", folder))
    with pytest.raises(ConfigError, match=r"Acme moved.*method lte takes statements"):
        editor.edit([Edit.from_statement("Acme moved.")])


_TOO_LONG = Edit(prompt="Acme", target_new="word " * 400)


@pytest.mark.parametrize("method", MAKERS)
def test_an_edit_that_is_too_long_changes_nothing_and_earlier_edits_stay(method, folder):
    model = fresh("llama", folder)
    editor = MAKERS[method](model)
    editor.edit(EDITS[:1])
    before = state(model)
    with pytest.raises(EditTooLongError, match="split it into several edits") as caught:
        editor.edit([EDITS[1], _TOO_LONG])
    assert caught.value.places == (1,)
    assert not _changed(before, state(model))


def test_a_change_that_fails_halfway_leaves_nothing_behind(folder, monkeypatch):
    model = fresh("llama", folder)
    before = state(model)
    editor = MAKERS["rome"](model)
    works = editor.key_and_change

    def failing(module, edit):
        if edit is EDITS[1]:
            raise KeyboardInterrupt
        return works(module, edit)

    monkeypatch.setattr(editor, "key_and_change", failing)
    with pytest.raises(KeyboardInterrupt):
        editor.edit(EDITS[:2])
    assert not _changed(before, state(model))


def test_a_model_with_an_adapter_is_refused_with_the_way_out():
    model = load_model(tiny_llama(), adapter=tiny_adapter())
    with pytest.raises(UneditableModelError, match="merge_and_unload"):
        FtM(model)


def test_texts_for_the_keys_may_be_left_to_the_model(folder):
    model = fresh("llama", folder)
    editor = Rome(model, RomeConfig(**_PLACE))
    before = state(model)
    editor.edit(EDITS[:1])
    changed = _changed(before, state(model))
    assert changed == {editor.matrices[0].parameter_name}
    assert bool(editor.matrices[0].weight.isfinite().all())
    assert key_texts(model, None) == key_texts(model, None)  # the same texts every time


def test_texts_that_the_model_writes_itself_fit_into_its_context(tmp_path):
    model = load_model(save_llama(tmp_path, context=24), max_new_tokens=4)
    assert {len(row.ids) for row in key_texts(model, None)} == {24}


def test_keys_of_many_edits_are_those_of_each(folder, monkeypatch):
    model = fresh("llama", folder)
    located = [one for edit in EDITS for one in locate(model, edit, ("", "Yes. "))]
    matrix = MAKERS["rome"](model).matrices[0]
    with opened(model) as module:
        whole = keys_at(module, matrix, located)
        monkeypatch.setattr(keys, "_AT_ONCE", 2)
        assert torch.allclose(keys_at(module, matrix, located), whole, atol=1e-5)


class _Flat(torch.nn.Module):
    """A layer that gets the tokens of all rows as one list, as OPT's feed-forward layers do."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, hidden):
        return self.inner(hidden.reshape(-1, hidden.shape[-1])).reshape(hidden.shape)


@pytest.mark.parametrize("method", ["rome", "memit", "mend"])
def test_a_model_that_mixes_the_rows_of_a_batch_is_refused_by_its_layer(method, folder):
    model = fresh("llama", folder)
    with model.borrowed_module() as module:
        for block in module.model.layers:
            block.mlp = _Flat(block.mlp)
    editor = MAKERS[method](model)
    before = state(model)
    with pytest.raises(UneditableModelError, match=r"mlp\.inner\..*_proj reads .* as one list"):
        editor.edit(EDITS[:1])
    assert not _changed(before, state(model))


def test_factors_belong_to_their_matrix_whatever_the_order(folder):
    model = fresh("llama", folder)
    editor = MAKERS["mend"](model)
    rows = editor.rows(EDITS[:1])
    with opened(model) as module:
        batch = Batch.of(rows, module.device)
        [there] = factors_of(module, editor.matrices, batch)
        [back] = factors_of(module, editor.matrices[::-1], batch)
    for (x, delta), (other_x, other_delta) in zip(there, back[::-1], strict=True):
        assert torch.equal(x, other_x)
        assert torch.equal(delta, other_delta)
