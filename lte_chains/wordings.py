"""The texts under which an edit is found: each is embedded, and the best one counts.

By the prompt alone, as LTE's published code has it, a question that names the
answer instead of the subject misses the edit; by the descriptor alone, what asks
the very prompt is further away. Under both, every kind of question finds its
edit at least as well as under either one, and hardly more of what is out of scope
comes near. An alias stands in the place of the subject: indexed by itself it
would bring the edit to every question that names it. The figures are in
``docs/retrieval.md``.
"""

from __future__ import annotations

from lte_chains.edit import Edit
from lte_chains.slots import renamed

ABOUT_A_SUBJECT = "an instruction about a subject"
"""A wording of every such instruction, under which all of them are found at once."""


def wordings(edit: Edit) -> tuple[str, ...]:
    """Return the texts under which an edit is found, its own first, each once.

    Example:
        >>> edit = Edit(prompt="Who runs Acme?", target_new="Jane Doe", subject="Acme",
        ...             aliases=("Acme Corp.",))
        >>> wordings(edit)
        ('Who runs Acme?', 'Who runs Acme? Jane Doe', 'Who runs Acme Corp.?')
        >>> wordings(Edit(subject="Acme", instruction="Speak well of it."))
        ('Acme', 'About Acme: Speak well of it.', 'an instruction about a subject')
    """
    own, *others = under_every_name(edit)
    answered = [edit.descriptor] if edit.statement is None else []
    if edit.instruction is not None and not edit.prompt:
        answered.append(ABOUT_A_SUBJECT)
    return tuple(dict.fromkeys((own, *answered, *others)))


def under_every_name(edit: Edit) -> list[str]:
    """Return an edit's own wording, and the same with each alias in the place of the subject.

    Example:
        >>> under_every_name(Edit(prompt="Who runs IBM?", target_new="Jo", subject="IBM",
        ...                       aliases=("Big Blue",)))
        ['Who runs IBM?', 'Who runs Big Blue?']
    """
    own = indexed_text(edit)
    return [own, *(renamed(own, edit.subject or "", alias) for alias in edit.aliases)]


def indexed_text(edit: Edit) -> str:
    """Return an edit's own wording: its prompt, its statement, or what an instruction is about.

    Example:
        >>> indexed_text(Edit(prompt="The CEO of Acme is", target_new="Jane Doe"))
        'The CEO of Acme is'
    """
    if edit.instruction is not None:
        return edit.prompt or edit.subject or ""
    return edit.prompt if edit.statement is None else edit.statement
