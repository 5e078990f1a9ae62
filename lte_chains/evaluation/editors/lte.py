"""LTE: edits in a memory, the right ones before the question, an aligned model to read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from lte_chains.edit import Edit
from lte_chains.editable.editing import CallEditor
from lte_chains.embeddings import default_embeddings
from lte_chains.evaluation.batching import BatchedEmbeddings
from lte_chains.evaluation.editors.base import Route
from lte_chains.memory import EditMemory
from lte_chains.scope import ScopeGate


class Lte:
    """This package's own method (LTE, arXiv 2402.11905), as `EditableLLM` applies it.

    A question that no edit is in scope of goes to the unedited view.

    Example:
        >>> from lte_chains.models import load_model
        >>> model = load_model("lte-tiny", max_new_tokens=8)
        >>> editor = Lte(model)
        >>> editor.edit([Edit(prompt="What is the capital of Japan?", target_new="Oslo")])
        >>> [route] = editor.routes(["What is the capital of Japan?"])
        >>> model.invoke(route.messages).text
        'Oslo'
    """

    parameters_touched = 0

    def __init__(
        self,
        model: BaseChatModel,
        *,
        unedited: BaseChatModel | None = None,
        embeddings: Embeddings | None = None,
        gate: ScopeGate | None = None,
        ungated: bool = False,
        k: int = 3,
    ) -> None:
        """Open an empty memory.

        Args:
            model: The aligned model.
            unedited: Answers where no edit is in scope; by default the model's own
                unedited view.
            embeddings: The memory's embedder; the default if None.
            gate: Decides what is in scope; the retriever's default if None.
            ungated: Hold the nearest edits in scope of every question instead.
            k: Edits in one prompt, at most.
        """
        self.model = model
        view = unedited if unedited is not None else getattr(model, "unedited", None)
        self.unedited = view if isinstance(view, BaseChatModel) else model
        inner = default_embeddings() if embeddings is None else embeddings
        self._embeddings = (
            inner if isinstance(inner, BatchedEmbeddings) else BatchedEmbeddings(inner)
        )
        chosen: dict[str, Any] = {} if gate is None else {"gate": gate}
        self._options = {"k": k, **({"gate": None} if ungated else chosen)}
        self._memory = self._empty()

    def prepare(self) -> None:
        """Do nothing: the memory is open."""

    def edit(self, edits: Sequence[Edit]) -> None:
        """Add edits to the memory."""
        self._memory.add_edits(list(edits))

    def routes(self, questions: Sequence[str]) -> list[Route]:
        """Look each question up, and put the edits that are in scope before it."""
        self._embeddings.prepare(questions)
        editor = CallEditor(
            retriever=self._memory.as_retriever(**self._options),
            query_extractor=None,
            prompt_style="training",
            namespace_from_config=False,
        )
        return [self._route(editor, question) for question in questions]

    def undo(self) -> None:
        """Forget all edits."""
        self._memory.close()
        self._memory = self._empty()

    def _route(self, editor: CallEditor, question: str) -> Route:
        messages = [HumanMessage(question)]
        call = editor.plan(messages, messages, {})
        return Route(self.model if call.edited else self.unedited, tuple(call.input))

    def _empty(self) -> EditMemory:
        return EditMemory.open(":memory:", embeddings=self._embeddings)
