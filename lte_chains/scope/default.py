"""Which gate a retriever takes if none is given, and gates by name."""

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


def named_gate(name: str) -> ScopeGate | None:
    """Return the gate that is called "trained" or "similarity"; None for any other name.

    Example:
        >>> named_gate("similarity"), named_gate("default")
        (SimilarityGate(threshold=None), None)
    """
    makers = {"trained": CrossEncoderGate, "similarity": SimilarityGate}
    return makers[name]() if name in makers else None
