"""Which gate a retriever takes if none is given."""

from __future__ import annotations

from lte_chains.errors import MissingExtraError
from lte_chains.scope.base import ScopeGate
from lte_chains.scope.cross_encoder import CrossEncoderGate
from lte_chains.scope.similarity import SimilarityGate


def default_gate() -> ScopeGate:
    """Return the trained gate where PyTorch is installed, else the similarity gate.

    Example:
        >>> type(default_gate()).__name__ in ("CrossEncoderGate", "SimilarityGate")
        True
    """
    try:
        return CrossEncoderGate()
    except MissingExtraError:
        return SimilarityGate()
