"""Scope gates: which of the edits that were found does a query's answer depend on?"""

from lte_chains.scope.base import ScopeGate
from lte_chains.scope.cross_encoder import CrossEncoderGate
from lte_chains.scope.similarity import SimilarityGate, threshold_for

__all__ = [
    "CrossEncoderGate",
    "ScopeGate",
    "SimilarityGate",
    "threshold_for",
]
