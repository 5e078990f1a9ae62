"""Pairs of measurements: the memory, and what it is made of or compared with, side by side."""
