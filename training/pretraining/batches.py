"""Rows as padded tensors of a few fixed shapes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from transformers import PreTrainedTokenizerFast

from lte_chains.training.pretraining.rows import Row, RowMaker
from lte_chains.training.pretraining.tokenizer import ASSISTANT, END, PAD, SPECIAL_TOKENS, USER

IGNORED = -100
"""The label of a token that bears no loss."""
_LENGTHS = (32, 64, 96, 128, 192)


class Batches:
    """Turn rows into padded batches of a few fixed shapes (new shapes cost memory and time)."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, maker: RowMaker, rng: random.Random, tokens: int
    ) -> None:
        """Batch the rows of `maker`, about `tokens` tokens a batch."""
        self._tokenizer, self._maker, self._rng, self._tokens = tokenizer, maker, rng, tokens
        self._ids: dict[str, int] = {
            token: tokenizer.get_vocab()[token] for token in SPECIAL_TOKENS
        }

    def stream(self, mix: dict[str, float]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (input ids, labels) without end; labels are -100 where no loss is borne."""
        buckets: dict[int, list[tuple[list[int], int]]] = {length: [] for length in _LENGTHS}
        kinds, weights = list(mix), list(mix.values())
        while True:
            kind = self._rng.choices(kinds, weights)[0]
            example = (
                self._span_copy() if kind == "span_copy" else self.encode(self._maker.kinds[kind]())
            )
            length = next((size for size in _LENGTHS if size >= len(example[0])), None)
            if length is None:
                continue
            buckets[length].append(example)
            if len(buckets[length]) == max(1, self._tokens // length):
                yield self.pad(buckets[length], length)
                buckets[length] = []

    def encode(self, row: Row) -> tuple[list[int], int]:
        """Return the row's token ids and the place where its answer begins."""
        user, answer = self._tokenizer(
            [row.user, row.answer], add_special_tokens=False, split_special_tokens=True
        )["input_ids"]
        ids = self._ids
        prompt = [ids[USER], *user, ids[END], ids[ASSISTANT]]
        return [*prompt, *answer, ids[END]], len(prompt)

    def pad(
        self, examples: list[tuple[list[int], int]], length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad to `length` on the right; shapes are (rows, length)."""
        inputs = torch.full((len(examples), length), self._ids[PAD])
        labels = torch.full((len(examples), length), IGNORED)
        for place, (tokens, start) in enumerate(examples):
            inputs[place, : len(tokens)] = torch.tensor(tokens)
            labels[place, start : len(tokens)] = torch.tensor(tokens[start:])
        return inputs, labels

    def _span_copy(self) -> tuple[list[int], int]:
        """Make random tokens and then a part of them again; its first token is given."""
        first, vocabulary = len(self._ids), len(self._tokenizer)
        size = self._rng.randrange(20, 40)
        text = [self._rng.randrange(first, vocabulary) for _ in range(size)]
        count = self._rng.randrange(12, min(size, 63 - size) + 1)
        begin = self._rng.randrange(size - count + 1)
        return [*text, self._ids[END], *text[begin : begin + count]], size + 2
