"""The `lte-chains` command: keep, search, apply and measure edits from a shell."""

from lte_chains.cli.app import app, main

__all__ = ["app", "main"]
