"""How well an edit must fit what a question asks, to be followed by a hop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class HopRules:
    """How well an edit must fit what the question asks; cosines.

    Example:
        >>> rules_for("all-MiniLM-L6-v2:53aa5117").asked
        0.6
    """

    asked: float
    """From here on the question asks for an edit's relation."""
    perhaps: float
    """From here on it does if the scope gate agrees."""
    margin: float = 0.05
    """How far behind the best of its competitors an edit may be."""
    plain: float = 0.8
    """From here on a fit is beyond doubt: competitors that need more words are refused."""
    same_name: float = 0.85
    """From here on two names may mean the same thing."""


RULES: Mapping[str, HopRules] = MappingProxyType(
    {"all-MiniLM-L6-v2": HopRules(asked=0.6, perhaps=0.45)}
)
"""Rules by embedder."""
UNMEASURED = HopRules(asked=0.8, perhaps=0.65)
"""For an embedder that is not in the table: a hop is rather missed than made up."""


def rules_for(fingerprint: str) -> HopRules:
    """Return the rules for an embedder, by its name or its fingerprint ``name:digest``."""
    return RULES.get(fingerprint.partition(":")[0].rpartition("/")[2], UNMEASURED)
