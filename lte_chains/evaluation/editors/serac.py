"""SERAC: a classifier sends questions about an edit to a second model, all others to the first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from lte_chains.edit import Edit
from lte_chains.embeddings import default_embeddings, fingerprint
from lte_chains.errors import ConfigError, ModelError
from lte_chains.evaluation.editors.base import Route
from lte_chains.evaluation.editors.nearest import Nearest

if TYPE_CHECKING:
    from lte_chains.models import LocalChatModel

_RECORD, _CLASSIFIER = "editor.json", "classifier.safetensors"
COUNTERFACTUAL = Path("serac") / "counterfactual"
"""Where a folder of trained editors keeps the counterfactual model's adapter."""


class ScopeClassifier:
    """Tells whether a question is about an edit: exp(−‖A(e − q)‖²) > 0.5.

    e and q are the unit embeddings of edit and question, A is trained.

    Example:
        >>> classifier = ScopeClassifier(np.eye(2, dtype=np.float32))
        >>> same, other = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
        >>> classifier.probability(same, same).item(), classifier.probability(same, other) > 0.5
        (1.0, array([[False]]))
    """

    def __init__(self, projection: npt.NDArray[np.float32]) -> None:
        """Take over A, shape (reduced, dimension)."""
        self.projection = projection

    def probability(
        self, edits: npt.NDArray[np.float32], questions: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Return how likely each question is about each edit, shape (questions, edits)."""
        e, q = edits @ self.projection.T, questions @ self.projection.T
        # Question by question: all differences at once would be questions x edits x dimensions.
        apart = [((one - e) ** 2).sum(axis=-1) for one in q]
        return np.asarray(np.exp(-np.reshape(apart, (len(q), len(e)))), np.float32)


class Serac:
    """Semi-parametric editing (SERAC, arXiv 2206.06520, section 3).

    The likeliest edit is shown to the counterfactual model if it is likelier than
    not; otherwise the base model answers the bare question. Trained here, the
    counterfactual model is the base with an adapter.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from langchain_core.language_models import ParrotFakeChatModel
        >>> base, counterfactual = ParrotFakeChatModel(), ParrotFakeChatModel()
        >>> editor = Serac(
        ...     base, counterfactual, ScopeClassifier(np.eye(8, dtype=np.float32)),
        ...     embeddings=DeterministicFakeEmbedding(size=8),
        ... )
        >>> editor.edit([Edit.from_statement("Who runs Acme?")])
        >>> [route.model is counterfactual for route in editor.routes(["Who runs Acme?"])]
        [True]
    """

    folder_name = "serac"
    """Where a folder of trained editors keeps this one."""

    def __init__(
        self,
        model: BaseChatModel,
        counterfactual: BaseChatModel,
        classifier: ScopeClassifier,
        *,
        embeddings: Embeddings | None = None,
    ) -> None:
        """Put both models and the classifier together."""
        self.model = model
        self.counterfactual = counterfactual
        self.classifier = classifier
        self._embeddings = default_embeddings() if embeddings is None else embeddings
        self.undo()

    @classmethod
    def load(
        cls, model: LocalChatModel, folder: Path, *, embeddings: Embeddings | None = None
    ) -> Serac:
        """Read a trained classifier and counterfactual model from a folder of trained editors.

        Raises:
            ModelError: It holds none, they are damaged, or the adapter was trained for
                other weights.
            ConfigError: The classifier was trained for another embedder.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        from lte_chains.models import load_model

        at, embedder = folder / cls.folder_name, embeddings or default_embeddings()
        try:
            record = json.loads((at / _RECORD).read_text(encoding="utf-8"))
            projection = load_file(at / _CLASSIFIER)["projection"]
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelError(f"{at} holds no trained SERAC: {error}") from error
        if record["embedder"] != fingerprint(embedder):
            raise ConfigError(
                f"{at} was trained with the embedder {record['embedder']}, not with "
                f"{fingerprint(embedder)}: give that one, or train again"
            )
        if record.get("weights") != base_digest(model):
            raise ModelError(
                f"{at} was trained for other weights than those of {model.model_name}: train again"
            )
        with model.borrowed_module() as module:
            device = str(module.device)
        counterfactual = load_model(
            model.model_name,
            adapter=folder / COUNTERFACTUAL,
            device=device,
            dtype=model.weights.dtype,
            max_new_tokens=model.max_new_tokens,
            batch_size=model.batch_size,
        )
        return cls(model, counterfactual, ScopeClassifier(projection), embeddings=embedder)

    @property
    def parameters_touched(self) -> int:
        """How many numbers the classifier has, and the counterfactual model beyond the base."""
        borrowed = getattr(self.counterfactual, "borrowed_module", None)
        if borrowed is None:
            return int(self.classifier.projection.size)
        with borrowed() as module:
            named = module.named_parameters()
            added = sum(weight.numel() for name, weight in named if "lora_" in name)
        return int(added + self.classifier.projection.size)

    def prepare(self) -> None:
        """Do nothing: classifier and counterfactual model are trained."""

    def edit(self, edits: Sequence[Edit]) -> None:
        """Add edits to the cache."""
        self._edits += edits
        self._nearest.add([edit.descriptor for edit in edits])

    def routes(self, questions: Sequence[str]) -> list[Route]:
        """Send each question where the classifier says."""
        if not self._edits or not questions:
            return [Route.plain(self.model, question) for question in questions]
        likely = self.classifier.probability(self._nearest.vectors, self._nearest.embed(questions))
        return [self._route(question, row) for question, row in zip(questions, likely, strict=True)]

    def undo(self) -> None:
        """Empty the cache."""
        self._edits: list[Edit] = []
        self._nearest = Nearest(self._embeddings)

    def _route(self, question: str, likely: npt.NDArray[np.float32]) -> Route:
        best = int(likely.argmax())
        if likely[best] <= 0.5:
            return Route.plain(self.model, question)
        prompt = counterfactual_prompt(self._edits[best].descriptor, question)
        return Route(self.counterfactual, (HumanMessage(prompt),))


def counterfactual_prompt(descriptor: str, question: str) -> str:
    r"""Return what the counterfactual model reads: the edit, then the question.

    Example:
        >>> counterfactual_prompt("The CEO of Acme is Jane Doe", "Who runs Acme?")
        'The CEO of Acme is Jane Doe\nWho runs Acme?'
    """
    return f"{descriptor}\n{question}"


def base_digest(model: LocalChatModel) -> str:
    """Return a fingerprint of a model's numbers: which one an adapter was trained for.

    Of each weight the first values count: where the files lie, and when they were
    written, does not.
    """
    digest = hashlib.sha256()
    with model.borrowed_module() as module:
        for name, weight in module.named_parameters():
            digest.update(f"{name}{tuple(weight.shape)}".encode())
            digest.update(weight.detach().flatten()[:256].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def save_serac(
    folder: Path,
    *,
    classifier: ScopeClassifier,
    record: Mapping[str, Any],
) -> None:
    """Write a trained classifier into a folder of trained editors.

    The counterfactual model's adapter belongs beside it, in `COUNTERFACTUAL`.
    """
    from safetensors.numpy import save_file

    at = folder / Serac.folder_name
    at.mkdir(parents=True, exist_ok=True)
    save_file({"projection": np.ascontiguousarray(classifier.projection)}, at / _CLASSIFIER)
    (at / _RECORD).write_text(json.dumps(dict(record), indent=2) + "\n", encoding="utf-8")
