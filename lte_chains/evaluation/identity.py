"""What results depend on, in short: results of other files, rows or models are not gone on from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lte_chains.cases import Case
from lte_chains.embeddings import fingerprint
from lte_chains.evaluation.editors import Resources
from lte_chains.models import LocalChatModel
from lte_chains.scope import CrossEncoderGate, SimilarityGate
from lte_chains.scope.default import default_gate

_SHORT = 16


def identity_of(resources: Resources) -> dict[str, Any]:
    """Return names and digests of everything that methods are given, as JSON values."""
    return {
        "model": name_of(resources.model),
        "base": name_of(resources.base),
        "weights": [_weights(resources.model), _weights(resources.base)],
        "embedder": fingerprint(resources.embeddings),
        "k": resources.k,
        "gate": _gate_of(resources),
        "train_rows": len(resources.train),
        "train": digest_of_cases(resources.train),
        "demonstrations": digest_of_cases(resources.demonstrations),
        "editors": None if resources.trained is None else digest_of_folder(resources.trained),
        "settings": resources.settings,
    }


def digest_of_files(paths: Iterable[str | Path]) -> str:
    """Return a digest of files' contents, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return digest.hexdigest()[:_SHORT]


def digest_of_folder(folder: Path) -> str:
    """Return a digest of a folder's files, names and contents, but for texts that describe them."""
    digest = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_SHORT]


def digest_of_cases(cases: Iterable[Case]) -> str:
    """Return a digest of rows: of their edits, and of what they ask.

    Example:
        >>> from lte_chains.cases import parse_case
        >>> rows = [parse_case({"prompt": "The CEO of Acme is", "target_new": "Jane Doe"})]
        >>> digest_of_cases(rows) == digest_of_cases(rows[:])
        True
    """
    digest = hashlib.sha256()
    for case in cases:
        edit = case.edit
        probes = (case.rephrase, case.portability, case.locality)
        digest.update(repr((edit.prompt, edit.target_new, edit.subject, probes)).encode())
    return digest.hexdigest()[:_SHORT]


def name_of(model: Any) -> str:
    """Return a model's name."""
    return str(getattr(model, "model_name", None) or model.get_name())


def _weights(model: Any) -> str | None:
    if not isinstance(model, LocalChatModel):
        return None
    from lte_chains.evaluation.editors.serac import base_digest

    return base_digest(model)


def _gate_of(resources: Resources) -> str | None:
    """Return LTE's gate by its kind, and a digest of what it decides by where that is known."""
    if resources.ungated:
        return None
    gate = resources.gate or default_gate()
    name = type(gate).__name__
    if not isinstance(gate, CrossEncoderGate | SimilarityGate):
        return name
    fitted = gate.for_embedder(fingerprint(resources.embeddings))
    decides_by = fitted.to_dict() if isinstance(fitted, CrossEncoderGate) else fitted.threshold
    return f"{name}:{hashlib.sha256(repr(decides_by).encode()).hexdigest()[:_SHORT]}"
