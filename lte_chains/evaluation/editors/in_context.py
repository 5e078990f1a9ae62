"""ICE: the nearest edits in front of every question, read by a model that was never aligned."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel

from lte_chains.edit import Edit
from lte_chains.embeddings import default_embeddings
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.base import Route
from lte_chains.evaluation.editors.nearest import Nearest


class InContext:
    """In-context editing without demonstrations and without a gate (ICE in KnowEdit's tables).

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from langchain_core.language_models import ParrotFakeChatModel
        >>> editor = InContext(ParrotFakeChatModel(), embeddings=DeterministicFakeEmbedding(size=8))
        >>> editor.edit([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> print(editor.routes(["Who runs Acme?"])[0].messages[0].text)
        New Fact: The CEO of Acme is Jane Doe
        Prompt: Who runs Acme?
    """

    parameters_touched = 0

    def __init__(
        self, model: BaseChatModel, *, embeddings: Embeddings | None = None, k: int = 1
    ) -> None:
        """Begin without edits.

        Args:
            model: The model that reads them.
            embeddings: Finds the nearest edits; the default if None.
            k: Edits in one prompt.

        Raises:
            ConfigError: k is less than 1.
        """
        if k < 1:
            raise ConfigError(f"k={k}: use 1 or more")
        self.model = model
        self.k = k
        self._embeddings = default_embeddings() if embeddings is None else embeddings
        self.undo()

    def prepare(self) -> None:
        """Do nothing: there is nothing to compute beforehand."""

    def edit(self, edits: Sequence[Edit]) -> None:
        """Add edits to those that are searched."""
        self._edits += edits
        self._nearest.add([edit.descriptor for edit in edits])

    def routes(self, questions: Sequence[str]) -> list[Route]:
        """Put the nearest edits before each question, whatever it is about."""
        return [
            Route.plain(self.model, self._prompt(question, edits))
            for question, edits in zip(questions, self.near(questions), strict=True)
        ]

    def near(self, questions: Sequence[str]) -> list[list[Edit]]:
        """Return the edits that are nearest to each question."""
        found = self._nearest.search(questions, self.k)
        return [[self._edits[place] for place in places] for places in found]

    def undo(self) -> None:
        """Forget all edits."""
        self._edits: list[Edit] = []
        self._nearest = Nearest(self._embeddings)

    def _prompt(self, question: str, edits: Sequence[Edit]) -> str:
        if not edits:
            return question
        return f"{new_facts(edits)}\nPrompt: {question}"


def new_facts(edits: Sequence[Edit]) -> str:
    """Render edits as IKE does (arXiv 2305.12740, section 3.2), one a line.

    Example:
        >>> new_facts([Edit.from_statement("Acme moved.")])
        'New Fact: Acme moved.'
    """
    return "\n".join(f"New Fact: {edit.descriptor}" for edit in edits)
