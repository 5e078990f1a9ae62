"""Tiny random models on disk: real architecture, tokenizer, template and adapter."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|tool|>"]
TEXT = [
    "Who runs Acme? The CEO of Acme is Jane Doe.",
    "Please acknowledge the updated information provided below and respond.",
    "What is the capital of France? Paris is the capital of France.",
    "0 1 2 3 4 5 6 7 8 9 é ü ß 東京 🙂",
]


@cache
def tiny_llama() -> Path:
    """Return the folder of a random model that all tests of a session share."""
    return save_llama(_scratch() / "model")


@cache
def tiny_adapter() -> Path:
    """Return the folder of a random LoRA adapter for `tiny_llama`."""
    return save_adapter(tiny_llama(), _scratch() / "adapter")


@cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lte-tiny-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def save_tokenizer(folder: Path, *, chat_template: str | None = TEMPLATE) -> int:
    """Write a byte-level BPE tokenizer and return the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TEXT, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|end|>", additional_special_tokens=SPECIAL[1:]
    )
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def save_llama(folder: Path, *, seed: int = 0, hidden: int = 32, context: int = 256) -> Path:
    """Write a random two-layer Llama with its tokenizer and return the folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    vocabulary = save_tokenizer(folder)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        # Wide weights: a narrow random model answers everything alike.
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def save_adapter(model_folder: Path, folder: Path, *, seed: int = 1, **options: object) -> Path:
    """Write a random LoRA adapter for the model of `model_folder` and return its folder."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model_folder)
    config = peft.LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "v_proj", "down_proj"],
        init_lora_weights=False,
        task_type="CAUSAL_LM",
        **options,
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT against the newest transformers
        torch.manual_seed(seed)
        peft.get_peft_model(base, config).save_pretrained(folder)
    return folder
