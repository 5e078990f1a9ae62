"""InstructEdit: MEND's hypernetwork, trained over several tasks and told which one it is at."""

from __future__ import annotations

from collections.abc import Sequence

from lte_chains.edit import Edit
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.instructions import TASKS, instructed
from lte_chains.evaluation.editors.mend import Mend
from lte_chains.evaluation.editors.token_rows import TokenRow, encode_row, require_prompts


class InstructEdit(Mend):
    """InstructEdit (arXiv 2402.16123, section 3): the gradient is that of the instructed prompt.

    The instruction steers the editor only; questions are asked without it. An
    edit's task is its ``metadata["task"]``, else `task`.

    Example:
        >>> from lte_chains.edit import Edit
        >>> from lte_chains.models import load_model
        >>> editor = InstructEdit.untrained(load_model("lte-tiny-base"))
        >>> editor.task_of(Edit(prompt="2 + 2 is", target_new="5", metadata={"task": "recent"}))
        'recent'
    """

    folder_name = "instruct-edit"

    task: str = "factual"
    """The task of edits that name none."""
    description: int = 0
    """Which description of the task the editor reads."""

    def task_of(self, edit: Edit) -> str:
        """Return an edit's task.

        Raises:
            ConfigError: It names one that has no instructions.
        """
        task = edit.metadata.get("task", self.task)
        if task not in TASKS:
            raise ConfigError(f"an edit's task is {task!r}: use one of {list(TASKS)}")
        return str(task)

    def rows(self, edits: Sequence[Edit]) -> list[TokenRow]:
        """Return the tokens of the instructed prompts."""
        require_prompts(edits)
        return [
            encode_row(
                self.model,
                instructed(self.task_of(edit), edit.prompt, description=self.description),
                edit.target_new,
            )
            for edit in edits
        ]
