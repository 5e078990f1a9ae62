"""Edits in LangChain's agents: as middleware of `create_agent`, and as tools.

Setup:
    ``pip install "lte-chains[agents]"``. Importing this package without it is
    a `MissingExtraError`.
"""

from lte_chains.errors import MissingExtraError

try:
    import langchain.agents  # noqa: F401  # asked first, so that the remedy can be named
except ImportError as error:
    raise MissingExtraError("langchain", "agents") from error

from lte_chains.integrations.langchain_agents.middleware import EditMemoryMiddleware
from lte_chains.integrations.langchain_agents.toolkit import EditMemoryToolkit

__all__ = ["EditMemoryMiddleware", "EditMemoryToolkit"]
