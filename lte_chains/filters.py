"""Edits as LangChain Documents, and filters that are written in terms of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.documents import Document

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError

Filter = Mapping[str, Any] | Callable[[Document], bool]
"""Which documents count: by equality of metadata, or by a function."""


def to_document(edit: Edit) -> Document:
    """Return an edit as a Document: its descriptor, with the caller's metadata verbatim.

    Example:
        >>> to_document(Edit(prompt="2 + 2 is", target_new="5", metadata={"page": 1}))
        Document(metadata={'page': 1}, page_content='2 + 2 is 5')
    """
    return Document(id=edit.id, page_content=edit.descriptor, metadata=dict(edit.metadata))


def acceptance(filter_: Filter | None) -> Callable[[Edit], bool]:
    """Return a function that says whether an edit passes a filter.

    Raises:
        ConfigError: `filter_` is neither a mapping nor a function.

    Example:
        >>> accept = acceptance({"lang": "en"})
        >>> accept(Edit(prompt="2 + 2 is", target_new="5", metadata={"lang": "en", "page": 1}))
        True
    """
    if filter_ is None:
        return lambda _: True
    if isinstance(filter_, Mapping):
        wanted = dict(filter_)
        return lambda edit: all(
            key in edit.metadata and edit.metadata[key] == value for key, value in wanted.items()
        )
    if callable(filter_):
        return lambda edit: bool(filter_(to_document(edit)))
    raise ConfigError(
        f"filter must be a mapping of metadata or a function of a Document, not {filter_!r}"
    )
