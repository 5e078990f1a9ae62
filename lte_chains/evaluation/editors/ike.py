"""IKE: in-context editing with demonstrations of how edits are applied, and when they are not."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from lte_chains.cases import Case
from lte_chains.edit import Edit
from lte_chains.embeddings import default_embeddings
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.base import Route
from lte_chains.evaluation.editors.in_context import InContext, new_facts
from lte_chains.evaluation.editors.nearest import Nearest
from lte_chains.models import LocalChatModel, PromptTooLongError

COPY_UPDATE_RETAIN = (4, 12, 16)
"""How many demonstrations of 32 repeat the edit, apply it, and leave an answer as it was."""
_STRIDE = 5
"""Has no factor in common with 32: the kinds alternate from case to case."""


class Ike(InContext):
    """In-context knowledge editing (IKE, arXiv 2305.12740, section 3).

    Before the edit stand demonstrations, those nearest to the edit last: *copy* asks
    for the demonstrated edit in its own words, *update* in others, *retain* asks for
    something else. As many as leave room in the model's context are shown: for all
    questions about one edit the same, so that they are read once for all of them.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from langchain_core.language_models import ParrotFakeChatModel
        >>> from lte_chains.cases import parse_case
        >>> from lte_chains.edit import Edit
        >>> row = {"prompt": "2 + 2 is", "target_new": "5", "rephrase_prompt": "What is 2 + 2?"}
        >>> editor = Ike(
        ...     ParrotFakeChatModel(), [parse_case(row)], demonstrations=1,
        ...     embeddings=DeterministicFakeEmbedding(size=8),
        ... )
        >>> editor.edit([Edit(prompt="The CEO of Acme is", target_new="Jane Doe")])
        >>> print(editor.routes(["Who runs Acme?"])[0].messages[0].text)
        New Fact: 2 + 2 is 5
        Prompt: 2 + 2 is
        5
        <BLANKLINE>
        New Fact: The CEO of Acme is Jane Doe
        Prompt: Who runs Acme?
    """

    def __init__(
        self,
        model: BaseChatModel,
        cases: Sequence[Case],
        *,
        demonstrations: int = 32,
        embeddings: Embeddings | None = None,
        k: int = 1,
    ) -> None:
        """Index the cases that demonstrations are made of.

        Args:
            model: The model that reads.
            cases: Rows that are not evaluated on; the kinds of demonstration are
                dealt out among them in the proportion of `COPY_UPDATE_RETAIN`.
            demonstrations: How many stand before the edit, at most.
            embeddings: Finds the nearest; the default if None.
            k: Edits in one prompt.

        Raises:
            ConfigError: There are no cases, or a number is out of range.
        """
        if demonstrations < 1:
            raise ConfigError(f"demonstrations={demonstrations}: use 1 or more")
        embedder = default_embeddings() if embeddings is None else embeddings
        super().__init__(model, embeddings=embedder, k=k)
        self.demonstrations = demonstrations
        self._shown = [_demonstration(case, number) for number, case in enumerate(cases)]
        if not self._shown:
            raise ConfigError("IKE needs rows to demonstrate with: give train rows (--train-data)")
        self._examples = Nearest(embedder)
        self._examples.add(self._shown)

    def routes(self, questions: Sequence[str]) -> list[Route]:
        """Put demonstrations and the nearest edits before each question."""
        near = self.near(questions)
        prompts = [self._prompt(q, edits) for q, edits in zip(questions, near, strict=True)]
        of_edit: dict[Edit | None, list[int]] = {}
        for place, edits in enumerate(near):
            of_edit.setdefault(edits[0] if edits else None, []).append(place)
        for edit, places in of_edit.items():
            if edit is None:
                continue
            shown = self._demonstrations(edit)
            # The longest first: what leaves room for it leaves room for the others.
            for place in sorted(places, key=lambda place: -len(prompts[place])):
                prompts[place], shown = self._demonstrated(prompts[place], shown)
        return [Route.plain(self.model, prompt) for prompt in prompts]

    def undo(self) -> None:
        """Forget all edits."""
        super().undo()
        self._of_edit: dict[Edit, list[str]] = {}

    def _demonstrations(self, edit: Edit) -> list[str]:
        """Return the demonstrations nearest to an edit, the nearest first."""
        if edit not in self._of_edit:
            text = f"{new_facts([edit])}\nPrompt: {edit.prompt}"
            [found] = self._examples.search([text], self.demonstrations)
            self._of_edit[edit] = [self._shown[place] for place in found]
        return self._of_edit[edit]

    def _demonstrated(self, prompt: str, shown: list[str]) -> tuple[str, list[str]]:
        """Put as many demonstrations before a prompt as fit, and say which these are."""
        while shown:
            text = "\n\n".join([*reversed(shown), prompt])
            if _fits(self.model, text):
                return text, shown
            shown = shown[: len(shown) * 3 // 4]
        return prompt, shown


def _demonstration(case: Case, number: int) -> str:
    """Make a demonstration of a case; its number decides of which kind."""
    copy, update, _ = COPY_UPDATE_RETAIN
    place = number * _STRIDE % sum(COPY_UPDATE_RETAIN)
    retained = [probe for probe in case.locality if probe.answers and not probe.mislabelled]
    question, answer = case.edit.prompt, case.edit.target_new
    if place >= copy + update and retained:
        question, answer = retained[0].prompt, retained[0].answers[0]
    elif place >= copy and case.rephrase:
        question = case.rephrase[0].prompt
    return f"{new_facts([case.edit])}\nPrompt: {question}\n{answer}"


def _fits(model: BaseChatModel, text: str) -> bool:
    """Tell whether a prompt leaves a model room to answer; only a local one says so beforehand."""
    if not isinstance(model, LocalChatModel):
        return True
    decoder = model.weights.decoder
    try:
        read = len(decoder.encode([HumanMessage(text)]))
    except PromptTooLongError:
        return False
    return decoder.context_length is None or read + model.max_new_tokens <= decoder.context_length
