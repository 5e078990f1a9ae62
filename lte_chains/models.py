"""Local Hugging Face models as LangChain chat models, with an edited and an unedited view.

langchain-huggingface's `ChatHuggingFace` over a pipeline is not used: it refuses
asynchronous generation, ignores stop sequences unless it streams, answers one
conversation at a time, goes on generating when the reader of a stream leaves,
and knows no adapter, let alone one that concurrent calls can switch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun, Callbacks
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import RunnableConfig
from pydantic import ConfigDict, Field, model_validator

from lte_chains.errors import ConfigError, LteError
from lte_chains.local.batching import BatchPlan
from lte_chains.local.completion import Completion, GenerationSettings
from lte_chains.local.decoding import PromptTooLongError
from lte_chains.local.loading import EMBEDDED, Weights, load_weights

__all__ = ["LocalChatModel", "PromptTooLongError", "load_model"]

_SETTINGS = ("max_new_tokens", "temperature", "top_p", "seed")
_CALL_SETTINGS = frozenset({*_SETTINGS, "max_tokens", "stream"})
"""What a call may set; `stream` is LangChain's own and says nothing about the answer."""


def load_model(
    name_or_path: str | Path,
    *,
    adapter: str | Path | None = None,
    original: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    max_new_tokens: int = 256,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int | None = None,
    batch_size: int = 16,
) -> LocalChatModel:
    """Load a local Hugging Face causal language model as a LangChain chat model.

    The weights are read once; keep the result and pass it on. Needs the extra
    ``lte-chains[hf]``.

    Args:
        name_or_path: "lte-tiny" (the embedded model, offline), "lte-tiny-base"
            (one that was never aligned), a folder, or a model id on the Hugging
            Face hub. It must have a chat template.
        adapter: A PEFT adapter (LoRA and its kin) for it: folder or hub id.
        original: The model that these weights were aligned from: it answers
            where no edit is in scope, as an adapter's base does. Both are then
            in memory. For "lte-tiny" it is "lte-tiny-base" by default.
        device: Where to run, such as "cpu" or "cuda:1"; by default the GPU if
            there is one.
        dtype: Number format, such as "bfloat16"; by default the checkpoint's
            own on a GPU and "float32" on the CPU.
        max_new_tokens: The most tokens an answer may have.
        temperature: 0 always takes the likeliest token; above 0, tokens are drawn.
        top_p: Draw from the likeliest tokens that together have this probability.
        seed: Makes drawing reproducible; the global random state is not touched.
        batch_size: Most conversations that `batch` and `generate` answer at a time.

    Raises:
        ModelError: There is no such model, it has no chat template, it is
            damaged, or the adapter is not one for it.
        ConfigError: A number is out of range, or an adapter and an original are given.
        MissingExtraError: torch, transformers or peft is not installed.

    Example:
        >>> model = load_model("lte-tiny", max_new_tokens=8)
        >>> model.invoke("What is the capital of Japan?").text
        'Tokyo'
    """
    options: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
    }
    GenerationSettings(**options)  # refuse a bad number before gigabytes are read
    if batch_size < 1:
        raise ConfigError(f"batch_size={batch_size}: use 1 or more")
    if adapter is not None and original is not None:
        raise ConfigError("an adapter's base is its original: give one of the two")
    if adapter is None and original is None:
        original = EMBEDDED.get(str(name_or_path))
    weights = load_weights(name_or_path, adapter=adapter, device=device, dtype=dtype)
    if original is not None:
        original_weights = load_weights(original, adapter=None, device=device, dtype=dtype)
        options["original"] = original_weights
    return LocalChatModel(weights=weights, batch_size=batch_size, **options)


class LocalChatModel(BaseChatModel):
    """A local Hugging Face model as a chat model.

    Instantiate:
        `load_model("lte-tiny")`, or `load_model(folder, adapter=other_folder)`.

    Use:
        All of LangChain's chat model interface except tools. `stop=…`, and the
        fields `max_new_tokens`, `temperature`, `top_p` and `seed`, can be given
        with each call. `batch` and `generate` answer `batch_size` conversations
        at a time. A prompt longer than the model's context is a
        `PromptTooLongError`; nothing is cut off silently.

    Async:
        Native names (`ainvoke`, `astream`, `abatch`); the work runs in threads.

    Concurrency:
        One model may answer any number of threads, edited and unedited ones
        mixed. They take turns step by step, and each step sets the adapter.
    """

    weights: Weights = Field(exclude=True, repr=False)
    """The loaded module and its tokenizer; every view of a model shares them."""
    use_adapter: bool = True
    """Whether the adapter, if there is one, takes part."""
    original: Weights | None = Field(default=None, exclude=True, repr=False)
    """What the weights were aligned from, if that is another model."""
    max_new_tokens: int = Field(default=256, alias="max_tokens")
    """The most tokens an answer may have."""
    temperature: float = 0.0
    """0 always takes the likeliest token; above 0, tokens are drawn."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that together have this probability."""
    seed: int | None = None
    """Makes drawing reproducible: the same question gets the same answer."""
    stop: list[str] = Field(default_factory=list)
    """Texts that end every answer, in addition to those of a call."""
    batch_size: int = Field(default=16, ge=1)
    """Most conversations answered together."""

    model_config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True)

    @model_validator(mode="after")
    def _check_settings(self) -> LocalChatModel:
        self._settings(None, {})
        return self

    @property
    def unedited(self) -> LocalChatModel | None:
        """The model without its adapter, or the one that it was aligned from.

        With None the model is its own unedited view: it answers unedited
        questions as it is.
        """
        if self.original is not None:
            return self.model_copy(update={"weights": self.original, "original": None})
        if not self._adapter_on:
            return None
        return self.model_copy(update={"use_adapter": False})

    @property
    def model_name(self) -> str:
        """The name or path under which the model was loaded."""
        return self.weights.name

    def generate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Callbacks = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Answer several conversations, `batch_size` at a time; see LangChain's `generate`."""
        with self._planned(messages, stop, kwargs):
            return super().generate(messages, stop, callbacks, **kwargs)

    async def agenerate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Callbacks = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Answer several conversations, `batch_size` at a time; see LangChain's `agenerate`."""
        with self._planned(messages, stop, kwargs):
            return await super().agenerate(messages, stop, callbacks, **kwargs)

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answer several inputs, `batch_size` at a time; see LangChain's `batch`."""
        conversations = [self._convert_input(item).to_messages() for item in inputs]
        with self._planned(conversations, kwargs.get("stop"), kwargs):
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answer several inputs, `batch_size` at a time; see LangChain's `abatch`."""
        conversations = [self._convert_input(item).to_messages() for item in inputs]
        with self._planned(conversations, kwargs.get("stop"), kwargs):
            return await super().abatch(
                inputs, config, return_exceptions=return_exceptions, **kwargs
            )

    def borrowed_module(self) -> AbstractContextManager[Any]:
        """Lend the torch module, as this view uses it, for one forward pass.

        For measurements that need logits; the model's other callers wait
        until the ``with`` block ends, so keep it short.
        """
        return self.weights.decoder.borrowed(adapter=self._adapter_on)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the ids of `text` in the model's own tokenizer, without a template."""
        return self.weights.decoder.token_ids(text)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        settings = self._settings(stop, kwargs)
        prompt = self.weights.decoder.encode(messages)
        plan = BatchPlan.current(self._plan_key(settings))
        [answer] = self._write([prompt], settings) if plan is None else [plan.take(prompt)]
        message = AIMessage(
            content=answer.text,
            response_metadata=self._metadata(answer),
            usage_metadata=_usage(answer),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        settings = self._settings(stop, kwargs)
        decoder = self.weights.decoder
        answer = decoder.start(decoder.encode(messages), settings)
        for _ in decoder.run([answer], settings, adapter=self._adapter_on):
            if answer.finish_reason is None and (piece := answer.drain()):
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        # Metadata and usage stand on one chunk: chunks are merged by adding them up.
        last = AIMessageChunk(
            content=answer.drain(),
            response_metadata=self._metadata(answer),
            usage_metadata=_usage(answer),
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last)

    @contextmanager
    def _planned(
        self,
        conversations: Sequence[list[BaseMessage]],
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
    ) -> Iterator[None]:
        """Let LangChain ask for one conversation after the other, and answer them in batches."""
        if len(conversations) < 2:
            yield
            return
        settings = self._settings(stop, {k: v for k, v in kwargs.items() if k in _CALL_SETTINGS})
        prompts = []
        for messages in conversations:
            # What cannot be encoded fails by itself, when LangChain asks for it.
            with suppress(LteError):
                prompts.append(self.weights.decoder.encode(messages))
        plan = BatchPlan(
            self._plan_key(settings),
            prompts,
            write=lambda batch: self._write(batch, settings),
            batch_size=self.batch_size,
        )
        with plan.active():
            yield

    def _write(
        self, prompts: Sequence[Sequence[int]], settings: GenerationSettings
    ) -> list[Completion]:
        decoder = self.weights.decoder
        answers = [decoder.start(prompt, settings) for prompt in prompts]
        for _ in decoder.run(answers, settings, adapter=self._adapter_on):
            pass
        return answers

    def _settings(
        self, stop: Sequence[str] | None, kwargs: Mapping[str, Any]
    ) -> GenerationSettings:
        """Join the model's settings and those of one call."""
        unknown = sorted(kwargs.keys() - _CALL_SETTINGS)
        if unknown:
            raise ConfigError(
                f"a local model does not understand {unknown}: "
                f"a call may set stop and {sorted(_CALL_SETTINGS - {'stream'})}"
            )
        given = {name: kwargs.get(name, getattr(self, name)) for name in _SETTINGS}
        given["max_new_tokens"] = kwargs.get("max_tokens", given["max_new_tokens"])
        return GenerationSettings(stop=(*self.stop, *(stop or ())), **given)

    def _plan_key(self, settings: GenerationSettings) -> tuple[object, ...]:
        return (id(self.weights), self._adapter_on, settings)

    def _metadata(self, answer: Completion) -> dict[str, Any]:
        return {"finish_reason": answer.finish_reason, "model_name": self.model_name}

    @property
    def _adapter_on(self) -> bool:
        return self.use_adapter and self.weights.adapter_digest is not None

    @property
    def _llm_type(self) -> str:
        return "lte-local"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Everything an answer depends on: LangChain makes its cache keys of this."""
        return {
            "model_name": self.model_name,
            "weights": self.weights.digest,
            "adapter": self.weights.adapter_digest if self._adapter_on else None,
            "dtype": self.weights.dtype,
            "stop_always": list(self.stop),
            **{name: getattr(self, name) for name in _SETTINGS},
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "lte_chains"
        params.setdefault("ls_max_tokens", self.max_new_tokens)
        return params


def _usage(answer: Completion) -> UsageMetadata:
    read, written = len(answer.prompt), answer.tokens_taken
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
