"""Evaluation: are edits found, are they applied, and is everything else left alone?"""

from lte_chains.cases import Case, Probe, read_cases
from lte_chains.evaluation.retrieval import evaluate_retrieval
from lte_chains.evaluation.runner import evaluate_knowedit

__all__ = ["Case", "Probe", "evaluate_knowedit", "evaluate_retrieval", "read_cases"]
