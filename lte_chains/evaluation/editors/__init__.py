"""Methods of editing, behind one protocol: edit, answer, undo.

The classes live in modules of their own, which import torch; `make_editor`
imports what it needs.
"""

from lte_chains.evaluation.editors.base import Editor, Route
from lte_chains.evaluation.editors.methods import (
    METHODS,
    Method,
    Resources,
    check_methods,
    make_editor,
)

__all__ = ["METHODS", "Editor", "Method", "Resources", "Route", "check_methods", "make_editor"]
