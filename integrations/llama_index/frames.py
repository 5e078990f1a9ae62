"""Completion prompts that a model's own template already stands around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llama_index.core.base.llms.types import ChatMessage

from lte_chains.editable.editing import EditedCall

_MARK = "\x00"  # no template writes it, and no edit may hold it


@dataclass(frozen=True)
class Frame:
    """A prompt, taken apart into the template's text and what was put into it.

    Edits belong inside: in front of a template's first token they would break it.

    Example:
        >>> frame = Frame.of("<s>[INST] Who runs Acme? [/INST]", "<s>[INST] {} [/INST]".format)
        >>> frame.head, frame.body, frame.tail
        ('<s>[INST] ', 'Who runs Acme?', ' [/INST]')
    """

    body: str
    """What the caller asked."""
    head: str = ""
    """What stands before it."""
    tail: str = ""
    """What stands after it."""

    @classmethod
    def of(cls, prompt: str, template: Callable[[str], str] | None) -> Frame:
        """Take a prompt apart; one that the template did not write is all body.

        Args:
            prompt: The text as the model gets it.
            template: The model's `completion_to_prompt`, if it has been applied.
        """
        if template is None:
            return cls(prompt)
        before, found, tail = template(_MARK).partition(_MARK)
        # A system prompt may stand in front of it all.
        start = prompt.find(before) + len(before)
        end = len(prompt) - len(tail)
        if not found or before not in prompt or not prompt.endswith(tail) or start > end:
            return cls(prompt)
        return cls(body=prompt[start:end], head=prompt[:start], tail=tail)

    @property
    def messages(self) -> Sequence[ChatMessage]:
        """The body as a conversation of one message."""
        return [ChatMessage(self.body)]

    def around(self, call: EditedCall) -> str:
        """Return the whole prompt with what the call sends in place of the body."""
        return f"{self.head}{call.input[0].content}{self.tail}"
