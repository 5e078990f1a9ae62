"""Layers are found by structure; what cannot be edited is refused with the layer's name."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.structure import (
    Matrix,
    UneditableModelError,
    at_depth,
    find_blocks,
    pick_blocks,
    require_editable,
)
from tests.evaluation.editors.models import BUILDS, fresh

NAMES = {
    "llama": ("model.layers", "mlp.down_proj", {"mlp.gate_proj", "mlp.up_proj"}, 4),
    "qwen2": ("model.layers", "mlp.down_proj", {"mlp.gate_proj", "mlp.up_proj"}, 4),
    "gpt2": ("transformer.h", "mlp.c_proj", {"mlp.c_fc"}, 2),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("builds")


@pytest.mark.parametrize("build", BUILDS)
def test_the_feed_forward_network_of_each_block_is_found(build, folder):
    path, down, up, others = NAMES[build]
    with fresh(build, folder).borrowed_module() as module:
        blocks = find_blocks(module)
    assert len(blocks) == 4
    for index, block in enumerate(blocks):
        assert block.name == f"{path}.{index}"
        assert block.down.name == f"{path}.{index}.{down}"
        assert {m.name.removeprefix(f"{block.name}.") for m in block.up} == up
        assert len(block.attention) == others
        assert block.down.d_out == 32


@pytest.mark.parametrize("build", BUILDS)
def test_a_matrix_maps_what_its_layer_maps_whichever_way_it_is_kept(build, folder):
    with fresh(build, folder).borrowed_module() as module:
        matrix = find_blocks(module)[0].down
        x = torch.ones(matrix.d_in)
        before = matrix.layer(x)
        matrix.add(torch.outer(torch.ones(matrix.d_out), x))
        change = matrix.layer(x) - before
    assert torch.allclose(change, torch.full((matrix.d_out,), float(matrix.d_in)), atol=1e-3)


def test_layers_are_named_from_either_end_or_by_depth(folder):
    with fresh("llama", folder).borrowed_module() as module:
        blocks = find_blocks(module)
    assert [b.index for b in pick_blocks(blocks, [0, -1])] == [0, 3]
    assert [at_depth(blocks, None, depth).index for depth in (0, 0.5, 1)] == [0, 2, 3]
    with pytest.raises(ConfigError, match="has the layers 0 to 3"):
        pick_blocks(blocks, [4])


def test_a_model_without_blocks_is_refused_with_the_way_out():
    with pytest.raises(UneditableModelError, match=r"no list of equal blocks.*lte, ice or ike"):
        find_blocks(nn.Sequential(nn.Linear(2, 2)))


def test_blocks_without_a_feed_forward_network_are_refused_by_name():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(8, 4)
            self.parts = nn.ModuleList([nn.Linear(4, 5) for _ in range(2)])

        def get_input_embeddings(self):
            return self.embed

    with pytest.raises(UneditableModelError, match=r"parts\.0 has no feed-forward network"):
        find_blocks(Odd())


def _llama(**options):
    sizes = {"vocab_size": 16, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2}
    return LlamaForCausalLM(
        LlamaConfig(num_attention_heads=2, num_key_value_heads=2, **sizes, **options)
    )


def test_experts_are_refused_by_name():
    model = _llama()
    for block in model.model.layers:
        block.mlp = nn.ModuleList([block.mlp, type(block.mlp)(model.config)])
    with pytest.raises(
        UneditableModelError, match=r"layers\.0\.mlp\.0\.down_proj is one of several"
    ):
        find_blocks(model)


def test_experts_in_one_tensor_are_refused_too():
    config = MixtralConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=2,
    )
    with pytest.raises(UneditableModelError, match=r"layers\.0"):
        find_blocks(MixtralForCausalLM(config))


def test_a_weight_that_two_layers_share_is_refused_and_tied_embeddings_are_not():
    tied = _llama(tie_word_embeddings=True)
    require_editable(tied, [block.down for block in find_blocks(tied)])
    first, second = tied.model.layers
    second.mlp.down_proj.weight = first.mlp.down_proj.weight
    with pytest.raises(UneditableModelError, match=r"layers\.0\.mlp\.down_proj shares .*layers\.1"):
        require_editable(tied, [find_blocks(tied)[0].down])


def test_a_quantised_layer_is_refused_by_name():
    model = _llama()
    layer = model.model.layers[1].mlp.down_proj
    layer.weight = nn.Parameter(layer.weight.detach().to(torch.int8), requires_grad=False)
    with pytest.raises(
        UneditableModelError, match=r"layers\.1\.mlp\.down_proj is quantised \(int8"
    ):
        find_blocks(model)


class _Packed(nn.Module):
    """A layer as GPTQ and compressed-tensors make them: no weight, but packed numbers."""

    def __init__(self, name):
        super().__init__()
        self.register_buffer(name, torch.zeros(4, 4, dtype=torch.int32))


@pytest.mark.parametrize("name", ["qweight", "weight_packed"])
def test_a_layer_with_packed_numbers_is_called_quantised(name):
    model = _llama()
    model.model.layers[0].mlp.up_proj = _Packed(name)
    with pytest.raises(UneditableModelError, match=r"layers\.0\.mlp\.up_proj is quantised \(_Pa"):
        find_blocks(model)


def test_a_linear_layer_whose_weight_was_packed_away_is_called_quantised():
    model = _llama()
    layer = model.model.layers[1].mlp.down_proj
    del layer.weight
    layer.register_buffer("weight_packed", torch.zeros(4, 4, dtype=torch.int32))
    with pytest.raises(UneditableModelError, match=r"layers\.1\.mlp\.down_proj is quantised"):
        find_blocks(model)


def test_a_model_that_torch_has_quantised_is_refused_by_a_layer():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(_llama(), {nn.Linear})
    with pytest.raises(UneditableModelError, match=r"layers\.0\..* is quantised \(Linear\)"):
        find_blocks(quantised)


def test_the_configuration_tells_of_quantisation_that_the_layers_do_not_show():
    model = _llama()
    model.config.quantization_config = {"quant_method": "secret"}
    find_blocks(model)  # every layer is plain, whatever stands there
    for block in model.model.layers:
        for parent in (block.self_attn, block.mlp):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, nn.Linear):
                    setattr(parent, name, nn.Identity())
    with pytest.raises(UneditableModelError, match=r"model\.layers is quantised \(secret\)"):
        find_blocks(model)


def test_an_offloaded_layer_is_refused_by_name():
    with pytest.raises(UneditableModelError, match="up has no weights in memory"):
        require_editable(nn.Module(), [Matrix("up", nn.Linear(2, 2, device="meta"))])
