"""ConfiguredRetriever: a retriever that obeys the edit options in the config of its run."""

# ruff: noqa: A002  # `input` is LangChain's name for the argument
from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, ensure_config

from lte_chains.errors import ConfigError
from lte_chains.memory import EditMemory
from lte_chains.run_options import RunOptions


class ConfiguredRetriever(BaseRetriever):
    """A retriever of edits that reads the same run options as `EditableLLM`.

    One config runs through a whole chain, so what it asks of the model it asks
    of the retrievers, too. `EditRetriever` and `EditAwareRetriever` are such.

    Run options, in the config's ``configurable``:
        ``lte_at`` is the moment at which edits must hold, unless the call itself
        says `at`; ``lte_namespace`` is whose edits to find, and is refused unless
        `namespace_from_config` allows it. ``lte_query`` is for models: a
        retriever is given its query.

    Raises:
        ConfigError: `namespace_from_config` is neither True nor False.
    """

    namespace_from_config: bool = False
    """Whether a run may choose the namespace by ``lte_namespace``. A run that chooses none
    gets the retriever's own, so for tenants let that one be empty."""

    def __init__(self, **fields: Any) -> None:
        """Check the switch."""
        allowed = fields.get("namespace_from_config", False)
        if not isinstance(allowed, bool):
            raise ConfigError(f"namespace_from_config must be True or False, not {allowed!r}")
        super().__init__(**fields)

    @property
    @abstractmethod
    def memory(self) -> EditMemory:
        """The memory whose edits are found."""

    @abstractmethod
    def in_namespace(self, name: str) -> Self:
        """Return the same retriever over another namespace of the memory."""

    def invoke(
        self, input: str, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """Retrieve for one query; see LangChain's `invoke`.

        Raises:
            ConfigError: The run's options cannot be honoured, or as `retrieve` does.
        """
        config = ensure_config(config)
        return super().invoke(input, config, **{**kwargs, "run": config})

    async def ainvoke(
        self, input: str, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """Retrieve for one query, as `invoke` does."""
        config = ensure_config(config)
        return await super().ainvoke(input, config, **{**kwargs, "run": config})

    def _for_run(
        self, run: RunnableConfig | None, at: datetime | None
    ) -> tuple[Self, datetime | None]:
        """Return the retriever over the namespace that a run asks for, and the moment."""
        options = RunOptions.from_config(run or {})
        chosen = options.chosen_namespace(
            type(self).__name__,
            serving=self.memory.namespace,
            allowed=self.namespace_from_config,
        )
        retriever = self if chosen is None else self.in_namespace(chosen)
        return retriever, options.at if at is None else at
