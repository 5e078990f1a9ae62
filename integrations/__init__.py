"""Adapters that translate types between lte-chains and other frameworks."""
