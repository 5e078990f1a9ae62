"""`lte-chains search --explain`: why a query gets the edits that it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lte_chains.cli.render import print_json, print_table

if TYPE_CHECKING:
    from lte_chains.retrieval.explanation import Explanation


def print_explanation(explanation: Explanation, *, as_json: bool) -> None:
    """Print an explanation as a table, or as one JSON object."""
    if as_json:
        print_json(explanation.to_dict())
        return
    print_table(
        f"{explanation.query!r} at {explanation.at:%Y-%m-%d %H:%M %Z}, {explanation.gate}",
        explanation.COLUMNS,
        explanation.rows(),
    )
