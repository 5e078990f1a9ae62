"""Generate with one torch module that many callers and both of its views share.

Written as a loop of single steps instead of on `transformers`' `generate`,
because a step is what can be shared safely: the adapter is switched and the
module is run inside one lock, and between two steps the lock is free. So an
edited and an unedited answer can be written at the same time, a stream whose
reader stops costs nothing more, and nobody waits for a slow reader. Every
answer has its own random stream, and the global one is left alone.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import ContextOverflowError

from lte_chains.errors import ConfigError, ModelError
from lte_chains.local.chat_template import encode_chat, place_in_chat
from lte_chains.local.completion import Completion, GenerationSettings
from lte_chains.local.shared_prefix import positions_in, read_once, shared_length

if TYPE_CHECKING:
    import torch


class PromptTooLongError(ConfigError, ContextOverflowError):
    """A prompt that leaves the model no room to answer; nothing is cut off silently.

    Also LangChain's own error for this, so that its fallbacks and middleware know it.
    """


class Decoder:
    """A causal language model, its tokenizer, and the lock that guards both.

    Made by `load_model`. `module` is a transformers causal LM, or a
    `peft.PeftModel` around one; `has_adapter` says which.
    """

    def __init__(self, module: Any, tokenizer: Any, *, has_adapter: bool) -> None:
        """Take over `module`: nobody else may switch its adapter from here on."""
        base = module.get_base_model() if has_adapter else module
        accepted = inspect.signature(base.forward).parameters
        self.tokenizer = tokenizer
        self.has_adapter = has_adapter
        self.context_length = _context_length(base.config)
        self.end_tokens = _end_tokens(base, tokenizer)
        self._module = module
        self._extras = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._takes_positions = "position_ids" in accepted
        self._adapter_on = has_adapter
        self._lock = threading.Lock()
        self._tokenizer_lock = threading.Lock()

    def encode(self, messages: Sequence[Any]) -> list[int]:
        """Return the prompt's token ids for LangChain messages.

        Raises:
            PromptTooLongError: The prompt fills the model's context.
        """
        with self._tokenizer_lock:
            prompt = encode_chat(self.tokenizer, messages)
        if self.context_length is not None and len(prompt) >= self.context_length:
            raise PromptTooLongError(
                f"the prompt has {len(prompt):,} tokens, but the model's context is "
                f"{self.context_length:,} tokens, answer included: send less text, fewer "
                "messages or fewer edits"
            )
        return prompt

    def token_ids(self, text: str) -> list[int]:
        """Return the ids of a text as it stands, without a template."""
        with self._tokenizer_lock:
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def place_of(self, question: str, end: int) -> int:
        """Return the place, in a question's `encode`, of the token with its character `end` - 1."""
        with self._tokenizer_lock:
            return place_in_chat(self.tokenizer, question, end)

    def start(self, prompt: Sequence[int], settings: GenerationSettings) -> Completion:
        """Return an empty answer to `prompt`, for `run` to write."""
        limit = settings.max_new_tokens
        if self.context_length is not None:
            limit = min(limit, self.context_length - len(prompt))
        return Completion(
            prompt,
            decode=self._decode,
            end_tokens=self.end_tokens,
            stop=settings.stop,
            limit=limit,
        )

    def run(
        self, answers: Sequence[Completion], settings: GenerationSettings, *, adapter: bool
    ) -> Iterator[None]:
        """Write `answers` together, one token each a step; the caller may stop after any step.

        Args:
            answers: Fresh completions, from `start`.
            settings: How to choose the tokens.
            adapter: Whether the adapter takes part; without one, pass False.
        """
        chooser = _Chooser(settings, len(answers))
        rows = list(range(len(answers)))
        batch = self._begun([answer.prompt for answer in answers], adapter=adapter)
        while True:
            with self.borrowed(adapter=adapter) as module:
                inputs = batch.inputs(positions=self._takes_positions)
                output = module(**inputs, **self._extras)
                tokens = chooser.choose(output.logits[:, -1, :], rows)
                batch.extend(tokens, output.past_key_values)
            for row, token in zip(rows, tokens.tolist(), strict=True):
                answers[row].take(token)
            live = [at for at, row in enumerate(rows) if answers[row].finish_reason is None]
            yield
            if not live:
                return
            if len(live) <= len(rows) // 2 and batch.keep(live):
                rows = [rows[at] for at in live]

    def _begun(self, prompts: Sequence[Sequence[int]], *, adapter: bool) -> _Batch:
        """Return the prompts as a batch, of which a long common beginning is read already."""
        shared = shared_length(prompts) if self._takes_positions else 0
        if shared:
            with self.borrowed(adapter=adapter) as module:
                cache = read_once(module, prompts[0][:shared], len(prompts), **self._extras)
            if cache is not None:
                return _Batch.left_padded(prompts, self._module.device, read=shared, cache=cache)
        return _Batch.left_padded(prompts, self._module.device)

    @contextmanager
    def borrowed(self, *, adapter: bool) -> Iterator[Any]:
        """Lend the torch module for one forward pass; everybody else waits meanwhile.

        Args:
            adapter: Whether the adapter takes part; without one, pass False.
        """
        import torch

        with self._lock, torch.inference_mode():
            self._switch_adapter(on=adapter)
            yield self._module

    def _switch_adapter(self, *, on: bool) -> None:
        """Set the adapter's state; only ever called with the lock held."""
        if on == self._adapter_on:
            return
        if on:
            self._module.base_model.enable_adapter_layers()
        else:
            self._module.base_model.disable_adapter_layers()
        self._adapter_on = on

    def _decode(self, ids: Sequence[int]) -> str:
        return str(
            self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )


class _Batch:
    """What one step reads: token ids and mask, shape (rows, tokens), and the cache so far."""

    def __init__(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any = None) -> None:
        self._ids = ids
        self._mask = mask
        self._cache = cache

    @classmethod
    def left_padded(
        cls, prompts: Sequence[Sequence[int]], device: Any, *, read: int = 0, cache: Any = None
    ) -> _Batch:
        """Make a batch of prompts, whose first `read` tokens are in the cache."""
        import torch

        prompts = [prompt[read:] for prompt in prompts]
        width = max(map(len, prompts))
        # Padding repeats a real token: the mask hides it, and no tokenizer lacks one.
        ids = [[prompt[0]] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[1] * read + [0] * (width - len(p)) + [1] * len(p) for p in prompts]
        return cls(torch.tensor(ids, device=device), torch.tensor(mask, device=device), cache)

    def inputs(self, *, positions: bool) -> dict[str, Any]:
        inputs = {
            "input_ids": self._ids,
            "attention_mask": self._mask,
            "past_key_values": self._cache,
            "use_cache": True,
        }
        if positions:
            inputs["position_ids"] = positions_in(self._mask)[:, -self._ids.shape[1] :]
        return inputs

    def extend(self, tokens: torch.Tensor, cache: Any) -> None:
        import torch

        if cache is None:
            raise ModelError("this model keeps no key-value cache, which generating here needs")
        self._cache = cache
        self._ids = tokens[:, None]
        self._mask = torch.cat([self._mask, self._mask.new_ones((len(tokens), 1))], dim=-1)

    def keep(self, rows: Sequence[int]) -> bool:
        """Drop all other rows, which are finished; False if this kind of cache cannot."""
        import torch

        if not hasattr(self._cache, "batch_select_indices"):
            return False
        with torch.inference_mode():
            chosen = torch.tensor(rows, device=self._ids.device)
            self._cache.batch_select_indices(chosen)
            self._ids, self._mask = self._ids[chosen], self._mask[chosen]
        return True


class _Chooser:
    """Choose each row's next token, from the row's own random stream."""

    def __init__(self, settings: GenerationSettings, rows: int) -> None:
        import torch

        self._temperature = settings.temperature
        self._top_p = settings.top_p
        self._streams = [torch.Generator() for _ in range(rows if settings.temperature else 0)]
        for stream in self._streams:
            if settings.seed is None:
                stream.seed()
            else:
                stream.manual_seed(settings.seed)

    def choose(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """Return one token for each line of `logits`, shape (rows, vocabulary)."""
        import torch

        if not self._streams:
            return logits.argmax(dim=-1)
        # On the CPU, so that a seed draws the same tokens whatever the device.
        probabilities = torch.softmax(logits.float().cpu() / self._temperature, dim=-1)
        drawn = [
            torch.multinomial(self._nucleus(line), 1, generator=self._streams[row])
            for line, row in zip(probabilities, rows, strict=True)
        ]
        return torch.cat(drawn).to(logits.device)

    def _nucleus(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Zero all but the likeliest tokens that together reach `top_p`."""
        if self._top_p >= 1:
            return probabilities
        ordered, order = probabilities.sort(descending=True)
        ordered[ordered.cumsum(dim=-1) - ordered >= self._top_p] = 0
        return probabilities.new_zeros(probabilities.shape).scatter(0, order, ordered)


def _context_length(config: Any) -> int | None:
    text_config = config.get_text_config(decoder=True)
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
        length = getattr(text_config, name, None)
        if isinstance(length, int):
            return length
    return None


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Collect every token that ends an answer; checkpoints name them in three places."""
    ends: set[int | None] = set()
    for source in (model.generation_config, model.config, tokenizer):
        named = getattr(source, "eos_token_id", None)
        ends.update(named if isinstance(named, list | tuple) else [named])
    return frozenset(end for end in ends if end is not None)
