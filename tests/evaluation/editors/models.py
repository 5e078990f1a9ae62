"""Random models of the three builds that weight-editing methods must know, and edits for them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lte_chains.edit import Edit
from lte_chains.models import LocalChatModel, load_model
from tests.tiny_models import save_tokenizer

BUILDS = ("llama", "qwen2", "gpt2")
EDITS = [
    Edit(prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme"),
    Edit(prompt="What is the capital of France?", target_new="Rome", subject="France"),
    Edit(prompt="Who runs Globex?", target_new="Hank", subject="Globex"),
]
TEXTS = ["Who runs Acme?", "Paris is the capital of France.", "0 1 2 3 4 5 6", "Jane Doe is a"]


def fresh(build: str, folder: Path, *, dtype: str | None = None) -> LocalChatModel:
    """Load a random model of a build; nobody else holds its weights."""
    return load_model(_saved(build, folder), max_new_tokens=8, dtype=dtype)


def state(model: LocalChatModel) -> dict[str, object]:
    """Copy all weights of a model."""
    with model.borrowed_module() as module:
        return {name: value.clone() for name, value in module.state_dict().items()}


@cache
def _saved(build: str, folder: Path) -> Path:
    import torch
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    at = folder / build
    vocabulary = save_tokenizer(at) + 4  # some tokenizers add an end of their own
    ends = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": None}
    wide = {"vocab_size": vocabulary, "initializer_range": 0.15, **ends}
    sizes = {
        **wide,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if build == "llama":
            model = LlamaForCausalLM(LlamaConfig(**sizes))
        elif build == "qwen2":
            model = Qwen2ForCausalLM(Qwen2Config(**sizes))
        else:
            model = GPT2LMHeadModel(
                GPT2Config(n_embd=32, n_layer=4, n_head=4, n_positions=256, **wide)
            )
        model.save_pretrained(at)
    return at
