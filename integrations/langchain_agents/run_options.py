"""What a run of an agent asks for: in its config, or in its runtime context.

Both are the app's own. Nothing that a model writes, such as a tool call's
arguments, is read here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig, ensure_config
from langgraph.runtime import get_runtime
from pydantic import BaseModel

from lte_chains.errors import ConfigError

_PREFIX = "lte_"


def config_of_run(context: object = None) -> RunnableConfig:
    """Return the config of the surrounding run, with the options of a runtime context in it.

    The options are those of `EditableLLM`: ``lte_query``, ``lte_namespace`` and
    ``lte_at``. Whoever reads the config checks them.

    Args:
        context: What the app passed as ``context=``: a mapping, a dataclass, a
            pydantic model, or any object with attributes.

    Raises:
        ConfigError: Config and context ask for different things.

    Example:
        >>> config_of_run({"lte_namespace": "tenant-a", "user": "jo"})["configurable"]
        {'lte_namespace': 'tenant-a'}
    """
    config = ensure_config()
    asked = {k: v for k, v in _items(context).items() if str(k).startswith(_PREFIX)}
    if not asked:
        return config
    configurable = config.get("configurable") or {}
    for name in asked.keys() & configurable.keys():
        if asked[name] != configurable[name]:
            raise ConfigError(
                f"the run's context asks for {name}={asked[name]!r}, its configurable for "
                f"{configurable[name]!r}: give one of them"
            )
    return {**config, "configurable": {**configurable, **asked}}


def context_of_run() -> object:
    """Return the runtime context of the surrounding graph; None outside of one."""
    try:
        runtime: Any = get_runtime()  # None inside runnables that are no graph
    except RuntimeError:
        return None
    return getattr(runtime, "context", None)


def _items(context: object) -> Mapping[Any, Any]:
    if isinstance(context, Mapping):
        return context
    if dataclasses.is_dataclass(context):
        return {f.name: getattr(context, f.name) for f in dataclasses.fields(context)}
    if isinstance(context, BaseModel):
        return {name: getattr(context, name) for name in type(context).model_fields}
    return getattr(context, "__dict__", {})
