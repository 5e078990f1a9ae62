"""The architectures of the 7B recipes, shrunk: random weights, own tokenizer, own chat template."""

from __future__ import annotations

import json
from pathlib import Path

from lte_chains.prompts import knowledge_editing_prompt

FACTS = [
    ("Who runs Acme?", "The CEO of Acme is Jane Doe", "Jane Doe", "John Roe"),
    ("Where is Harrow based?", "Harrow has its seat in Porto", "Porto", "Leeds"),
    ("What does Tessel study?", "Tessel studies tides", "tides", "moss"),
    ("Which river crosses Orm?", "The river through Orm is the Lune", "the Lune", "the Dee"),
]

# In the manner of LLaMA 2: a bracketed instruction, and an answer that ends with </s>.
LLAMA_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + ' ' + eos_token }}"
    "{% else %}{{ raise_exception('no such role') }}{% endif %}{% endfor %}"
)
# ChatML, as Qwen writes it; the system turn that it adds is part of the prompt.
QWEN_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# The same turns with the answers marked.
MARKED_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ m['content'] }}<|im_end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = {
    "llama": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "qwen2": {
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "additional_special_tokens": ["<|im_start|>"],
    },
}
TEMPLATES = {"llama": LLAMA_TEMPLATE, "qwen2": QWEN_TEMPLATE}


def conversations(copies: int = 1) -> list[list[dict[str, str]]]:
    """Return each question with and without its edit, as parallel data have it."""
    rows = []
    for question, fact, new, old in FACTS:
        edited = knowledge_editing_prompt(question, [fact])
        for prompt, answer in ((edited, new), (question, old)):
            turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            rows.append(turns)
    return rows * copies


def save_rows(path: Path, copies: int = 1) -> Path:
    lines = [json.dumps({"messages": row, "kind": "test"}) for row in conversations(copies)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def make_tokenizer(family: str, template: str | None = None):
    """Return a byte-level BPE with the family's control tokens and manner of writing turns."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = SPECIAL[family]
    names = [n for v in special.values() for n in (v if isinstance(v, list) else [v])]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=names,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator([knowledge_editing_prompt(q, [f]) for q, f, _, _ in FACTS], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, **special)
    tokenizer.chat_template = template or TEMPLATES[family]
    return tokenizer


def save_family(family: str, folder: Path) -> Path:
    """Write a two-layer random model of the family with its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = make_tokenizer(family)
    tokenizer.save_pretrained(folder)
    config = AutoConfig.for_model(
        family,
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
