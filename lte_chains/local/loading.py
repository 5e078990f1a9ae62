"""Read a local model's weights, tokenizer and adapter, or say why that cannot be done."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lte_chains.errors import ConfigError, MissingExtraError, ModelError
from lte_chains.local.decoding import Decoder
from lte_chains.shipped import ASSETS

EMBEDDED: Mapping[str, str | None] = {"lte-tiny": "lte-tiny-base", "lte-tiny-base": None}
"""Models that ship with the package, in ``lte_chains/assets``, and what each was aligned from."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A model in memory: everything that the views of one model share."""

    name: str
    """The name or path that was asked for."""
    decoder: Decoder
    """Generates with the module."""
    digest: str
    """Changes when the files of the model change; part of cache keys."""
    adapter_digest: str | None
    """The same for the adapter; None without one."""
    dtype: str
    """The module's number format, such as "float32"."""


def load_weights(
    name_or_path: str | Path,
    *,
    adapter: str | Path | None,
    device: str | None,
    dtype: str | None,
) -> Weights:
    """Load a model and, if given, its adapter; see `load_model` for the arguments."""
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("transformers or torch", "hf") from error

    source = locate(name_or_path)
    where = _device(device)
    with _quiet():
        tokenizer = load_tokenizer(source)
        module = load_module(source, _number_format(dtype, where))
        _check_vocabulary(source, tokenizer, module)
        if adapter is not None:
            module = load_adapter(module, source, adapter)
    module.requires_grad_(requires_grad=False)
    module.eval()
    try:
        module.to(where)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"{source} cannot be moved to the device {device!r}: {error}") from error
    return Weights(
        name=str(name_or_path),
        decoder=Decoder(module, tokenizer, has_adapter=adapter is not None),
        digest=_digest(source, module.config),
        adapter_digest=None if adapter is None else _digest(str(adapter), None),
        dtype=str(module.dtype).removeprefix("torch."),
    )


def locate(name_or_path: str | Path) -> str:
    """Return a folder that holds a model, or a name to ask the hub for."""
    name = str(name_or_path)
    if name in EMBEDDED:
        folder = ASSETS / name
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"the embedded model {name!r} is missing from {folder}: reinstall lte-chains"
            )
        return str(folder)
    path = Path(name).expanduser()
    if path.is_dir():
        if (path / "config.json").is_file():
            return str(path)
        if (path / "adapter_config.json").is_file():
            raise ModelError(
                f"{path} holds an adapter, not a model: "
                "use load_model(base_model, adapter=that_folder)"
            )
        raise ModelError(f"{path} is not a model: it has no config.json")
    if path.exists():
        raise ModelError(f"{path} is a file: give the folder that holds config.json")
    if not isinstance(name_or_path, str) or not _may_be_on_the_hub(name):
        raise ModelError(
            f"there is no model at {name!r}: give a folder, a hub id such as 'org/model', "
            f"or one of {sorted(EMBEDDED)}"
        )
    return name


def _may_be_on_the_hub(name: str) -> bool:
    return re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name) is not None


def load_tokenizer(source: str) -> Any:
    """Load the tokenizer of a located model; without a chat template it is a `ModelError`."""
    from transformers import AutoTokenizer

    with _translated(f"the tokenizer of {source} cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(source)
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(
            f"{source} has no chat template: use an instruction-tuned ('chat') checkpoint, or "
            "put a chat_template into its tokenizer_config.json"
        )
    return tokenizer


def load_module(source: str, number_format: Any) -> Any:
    """Load the weights of a located model in a torch dtype, or "auto" for the checkpoint's own."""
    from transformers import AutoModelForCausalLM

    with _translated(f"{source} cannot be loaded as a causal language model"):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source, dtype=number_format, output_loading_info=True
        )
    module, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{source} lacks {len(missing)} of the model's weights (first: {missing[0]}): the "
            "files are damaged, or they are not those of a causal language model"
        )
    return module


def load_adapter(module: Any, source: str, adapter: str | Path) -> Any:
    """Put a PEFT adapter on the module of `source`; one that cannot be switched is refused."""
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("peft", "hf") from error

    path = Path(adapter).expanduser()
    if path.exists() and not (path / "adapter_config.json").is_file():
        raise ModelError(f"{path} is not an adapter: it has no adapter_config.json")
    if not path.exists() and not (isinstance(adapter, str) and _may_be_on_the_hub(adapter)):
        raise ModelError(f"there is no adapter at {str(adapter)!r}: give a folder or a hub id")
    name = str(path if path.exists() else adapter)
    with _translated(f"{name} is not an adapter for {source}"), outdated_names_ignored():
        # PEFT only warns about tensors that the adapter lacks or the model has no place for.
        warnings.filterwarnings("error", message=".*adapter keys.*")
        adapted = peft.PeftModel.from_pretrained(module, name, is_trainable=False)
    config = adapted.active_peft_config
    if config.is_prompt_learning:
        raise ModelError(
            f"{name} is a {config.peft_type} adapter, which works on the prompt: only adapters "
            "inside the layers (LoRA and its kin) can be switched off for unedited questions"
        )
    if getattr(config, "bias", "none") != "none":
        raise ModelError(
            f"{name} was trained with bias={config.bias!r}: switching it off would not give the "
            "base model back. Merge it into the weights, and pass the base model to EditableLLM "
            "as unedited_llm"
        )
    return adapted


def _check_vocabulary(source: str, tokenizer: Any, module: Any) -> None:
    rows = module.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"the tokenizer of {source} has {len(tokenizer):,} tokens, but the model knows "
            f"{rows:,}: they do not belong together"
        )


def _device(device: str | None) -> Any:
    import torch

    try:
        return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise ConfigError(f"device={device!r} is not a device of torch: {error}") from error


def _number_format(dtype: str | None, device: Any) -> Any:
    import torch

    if dtype is None:
        return torch.float32 if device.type == "cpu" else "auto"
    number_format = dtype if dtype == "auto" else getattr(torch, dtype, None)
    if number_format != "auto" and not isinstance(number_format, torch.dtype):
        raise ConfigError(
            f"dtype={dtype!r} is not a number format: "
            "use 'float32', 'bfloat16', 'float16' or 'auto'"
        )
    return number_format


def _digest(source: str, config: Any) -> str:
    """Return a fingerprint of a model's files, cheap enough for any size.

    Hub models are known by their commit; files by name, size and time of change.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        facts: list[tuple[object, ...]] = [
            (path.name, path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(folder.iterdir())
            if path.is_file()
        ]
    else:
        facts = [(source, getattr(config, "_commit_hash", None), None)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn whatever the Hugging Face libraries raise into a `ModelError`."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(str(error.name or error), "hf") from error
    except Exception as error:  # they raise a dozen unrelated types for a bad file
        reason = " ".join(str(error).split())
        raise ModelError(f"{what}: {reason[:500]}") from error


@contextmanager
def outdated_names_ignored() -> Iterator[None]:
    """Hide that PEFT and TRL use names that transformers gives up: not the caller's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars out of the caller's terminal for the time of loading."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
