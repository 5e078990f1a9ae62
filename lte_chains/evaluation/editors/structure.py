"""Find the layers that a method edits by what they are, and not by what they are called.

A transformer is a list of equal blocks. In a block, the matrix that writes the
feed-forward network's result back into the hidden state is the widest linear
layer that ends in the hidden size and stands beside one that begins with it.
That holds for Llama and Qwen, where three matrices make the network, and for
GPT-2, where two do and keep their weights the other way round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from lte_chains.errors import ConfigError


class UneditableModelError(ConfigError):
    """A model whose weights a method cannot edit; the message names the layer and the way out."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """The weight of one linear layer, shape (d_out, d_in) whichever way the layer keeps it.

    Example:
        >>> matrix = Matrix("up", nn.Linear(3, 5))
        >>> matrix.d_in, matrix.d_out, tuple(matrix.value.shape)
        (3, 5, (5, 3))
    """

    name: str
    """The layer's path in the model."""
    layer: nn.Module
    """The layer itself."""

    @property
    def weight(self) -> nn.Parameter:
        """The parameter, as the layer keeps it."""
        weight: nn.Parameter = self.layer.weight  # type: ignore[assignment]
        return weight

    @property
    def parameter_name(self) -> str:
        """The parameter's path in the model."""
        return f"{self.name}.weight"

    @property
    def value(self) -> torch.Tensor:
        """The weight as (d_out, d_in)."""
        return self.stored(self.weight)

    @property
    def d_out(self) -> int:
        """How many numbers the layer gives."""
        return int(self.value.shape[0])

    @property
    def d_in(self) -> int:
        """How many numbers the layer takes."""
        return int(self.value.shape[1])

    def stored(self, matrix: torch.Tensor) -> torch.Tensor:
        """Turn a matrix from (d_out, d_in) into the layer's own shape, or back."""
        return matrix.T if isinstance(self.layer, Conv1D) else matrix

    def add(self, delta: torch.Tensor) -> None:
        """Add a matrix of shape (d_out, d_in) to the weight, in the weight's number format."""
        with torch.no_grad():
            total = self.value.to(delta.dtype) + delta.to(self.weight.device)
            self.weight.copy_(self.stored(total).to(self.weight.dtype))


@dataclass(frozen=True, eq=False)
class Block:
    """One block of a transformer, with its matrices by the part they play."""

    index: int
    """Its place, from 0."""
    name: str
    """Its path in the model."""
    module: nn.Module
    """The block itself."""
    down: Matrix
    """Writes the feed-forward network's result into the hidden state."""
    up: tuple[Matrix, ...]
    """What the feed-forward network reads the hidden state with."""
    attention: tuple[Matrix, ...]
    """All other matrices, which are those of attention."""


def find_blocks(model: nn.Module) -> list[Block]:
    """Return a causal language model's blocks, from the bottom to the top.

    Args:
        model: A transformers causal language model.

    Raises:
        UneditableModelError: It is not a list of equal blocks, each with one
            feed-forward network of full-precision linear layers.
    """
    path, listed = _block_list(model)
    _require_unpacked(model, path, listed)
    hidden = _hidden_size(model)
    return [
        _block(i, f"{path}.{i}", module, hidden=hidden)
        for i, module in enumerate(listed.children())
    ]


def require_editable(model: nn.Module, matrices: Iterable[Matrix]) -> None:
    """Check that the matrices hold plain numbers of their own.

    Raises:
        UneditableModelError: A weight is quantised, was not loaded, or is the
            same as another layer's.
    """
    names: dict[int, list[str]] = defaultdict(list)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names[id(parameter)].append(name)
    for matrix in matrices:
        _require_numbers(matrix.name, matrix.layer)
        others = [n for n in names[id(matrix.weight)] if n != matrix.parameter_name]
        if others:
            raise UneditableModelError(
                f"{matrix.name} shares its weights with {others[0]}, so that an edit of one would "
                "change the other: edit other layers (layers=…), or untie them first "
                "(module.weight = torch.nn.Parameter(module.weight.clone()))"
            )


def pick_blocks(blocks: Sequence[Block], layers: Sequence[int]) -> list[Block]:
    """Return the blocks of the given places; negative ones count from the top.

    Raises:
        ConfigError: There is no such block.
    """
    try:
        return [blocks[layer] for layer in layers]
    except IndexError:
        raise ConfigError(
            f"layers={list(layers)}: this model has the layers 0 to {len(blocks) - 1}"
        ) from None


def _block_list(model: nn.Module) -> tuple[str, nn.Module]:
    lists = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(child) for child in module}) == 1
    ]
    if not lists:
        raise UneditableModelError(
            f"{type(model).__name__} has no list of equal blocks (no torch.nn.ModuleList of one "
            "type): only transformers of that build can be edited in their weights. "
            "Use a method that edits the prompt: lte, ice or ike"
        )
    return max(lists, key=lambda found: _size(found[1]))


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _hidden_size(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[1])


def _block(index: int, path: str, module: nn.Module, *, hidden: int) -> Block:
    matrices = [
        Matrix(f"{path}.{name}", layer)
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear | Conv1D)
    ]
    for matrix in matrices:
        _require_numbers(matrix.name, matrix.layer)
    down = _down(path, matrices, hidden=hidden)
    siblings = [m for m in matrices if _parent(m) == _parent(down) and m is not down]
    return Block(
        index=index,
        name=path,
        module=module,
        down=down,
        up=tuple(siblings),
        attention=tuple(m for m in matrices if _parent(m) != _parent(down)),
    )


def _down(path: str, matrices: Sequence[Matrix], *, hidden: int) -> Matrix:
    beside: dict[str, list[Matrix]] = defaultdict(list)
    for matrix in matrices:
        beside[_parent(matrix)].append(matrix)
    fitting = [m for m in matrices if _leads_back(m, beside[_parent(m)], hidden=hidden)]
    if not fitting:
        raise UneditableModelError(
            f"{path} has no feed-forward network of linear layers that leads back to the hidden "
            f"size {hidden}: this model is built otherwise. "
            "Use a method that edits the prompt: lte, ice or ike"
        )
    widest = [m for m in fitting if m.d_in == max(other.d_in for other in fitting)]
    experts = [m for m in widest if any(part.isdigit() for part in _inside(path, m))]
    if experts:
        raise UneditableModelError(
            f"{experts[0].name} is one of several experts, of which each token takes others: "
            "an edit of one would not hold. Use a method that edits the prompt: lte, ice or ike"
        )
    return widest[-1]


def _leads_back(matrix: Matrix, beside: Sequence[Matrix], *, hidden: int) -> bool:
    """Tell whether a matrix ends a feed-forward network, given those of the same module.

    All others must begin with the hidden size and end in the network's width, or
    in twice that, where gate and value are one matrix. Attention has more of them.
    """
    others = [other for other in beside if other is not matrix]
    widths = (matrix.d_in, 2 * matrix.d_in)
    return (
        matrix.d_out == hidden
        and len(others) in (1, 2)
        and all(other.d_in == hidden and other.d_out in widths for other in others)
    )


def _inside(path: str, matrix: Matrix) -> list[str]:
    return matrix.name.removeprefix(f"{path}.").split(".")


def _parent(matrix: Matrix) -> str:
    return matrix.name.rpartition(".")[0]


_PACKED = ("qweight", "weight_packed", "_packed_params")
"""Where GPTQ and AWQ, compressed-tensors, and torch's own quantisation keep a layer's numbers."""


def _require_unpacked(model: Any, path: str, listed: nn.Module) -> None:
    """Check that no layer keeps its numbers packed: such layers are not linear ones to torch."""
    for name, layer in listed.named_modules():
        if any(hasattr(layer, packed) for packed in _PACKED):
            raise _quantised(f"{path}.{name}", type(layer).__name__)
    how = getattr(getattr(model, "config", None), "quantization_config", None)
    if how is not None and not any(isinstance(m, nn.Linear | Conv1D) for m in listed.modules()):
        told = how.get("quant_method") if isinstance(how, dict) else type(how).__name__
        raise _quantised(f"every layer of {path}", str(told))


def _quantised(name: str, how: str) -> UneditableModelError:
    return UneditableModelError(
        f"{name} is quantised ({how}), and its weights cannot be edited: load the model without "
        "quantisation, in bfloat16 or float32"
    )


def _require_numbers(name: str, layer: nn.Module) -> None:
    weight: Any = layer.weight
    if weight.device.type == "meta":
        raise UneditableModelError(
            f"{name} has no weights in memory (they were offloaded): load the model on one device"
        )
    if not weight.dtype.is_floating_point or weight.dim() != 2 or weight.element_size() < 2:
        raise _quantised(name, str(weight.dtype).removeprefix("torch."))


def at_depth(blocks: Sequence[Block], layer: int | None, depth: float) -> Block:
    """Return the block of a place or, without one, the one nearest to a relative depth.

    Args:
        blocks: The model's blocks.
        layer: A place; negative ones count from the top.
        depth: 0 is the first block, 1 the last.
    """
    place = layer if layer is not None else round(depth * (len(blocks) - 1))
    return pick_blocks(blocks, [place])[0]


def row_by_row(hidden: torch.Tensor, name: str) -> torch.Tensor:
    """Return what a layer reads or gives, if it is kept row by row: (rows, width, numbers).

    Args:
        hidden: What it reads or gives.
        name: The layer's path in the model.

    Raises:
        UneditableModelError: All rows are one, as in OPT: a place in a row cannot be told.
    """
    if hidden.dim() != 3:
        raise UneditableModelError(
            f"{name} reads the tokens of all rows as one list of {len(hidden):,}, so that no "
            "subject's place can be found: use ft-l, ft-m or lora, or a method that edits the "
            "prompt: lte, ice or ike"
        )
    return hidden
