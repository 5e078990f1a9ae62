"""Parallel data for the alignment phase: every question with its edit, and without it."""

from lte_chains.training.parallel.build import (
    ParallelConfig,
    ParallelData,
    ParallelRow,
    build_parallel_data,
)
from lte_chains.training.parallel.case import ParallelCase, Query
from lte_chains.training.parallel.formats import FORMATS, read_source
from lte_chains.training.parallel.original import answer_missing, keep_own_answers, own_answers
from lte_chains.training.parallel.output import LAYOUTS, SourceFile, write_data
from lte_chains.training.parallel.split import subjects_of
from lte_chains.training.parallel.statistics import describe

__all__ = [
    "FORMATS",
    "LAYOUTS",
    "ParallelCase",
    "ParallelConfig",
    "ParallelData",
    "ParallelRow",
    "Query",
    "SourceFile",
    "answer_missing",
    "build_parallel_data",
    "describe",
    "keep_own_answers",
    "own_answers",
    "read_source",
    "subjects_of",
    "write_data",
]
