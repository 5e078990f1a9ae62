"""Conversations that stand inside one message, and what is asked last in them.

Chat prompts for completion models quote the whole conversation: "Human: …", "AI: …",
or a chat template's own tokens. Of such a prompt the last turn is the question,
if it is a person's and nobody has answered it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest

from lte_chains.editable.labels import BLANK_LINE

_PERSONS = "human|user|customer|person"
_ROLES = rf"{_PERSONS}|ai|assistant|bot|agent|model|system"
_ROLE = re.compile(
    rf"^[ \t>*#-]*+\**(?P<role>{_ROLES})\**[ \t]*+:\**[ \t]*+"
    rf"|^#{{1,6}}[ \t]*+(?P<head>{_ROLES})[ \t]*+\n",
    re.IGNORECASE | re.MULTILINE,
)
_PERSON = re.compile(_PERSONS, re.IGNORECASE)
_REPLY_BEGINS = re.compile(r"^[ \t>*#-]*+\**you\**[ \t]*+:\**\s*\Z", re.IGNORECASE | re.MULTILINE)
_TEMPLATE_TURN = re.compile(
    rf"<\|(?:im_start|start_header_id)\|>[ \t]*(?P<chatml>{_ROLES})[ \t]*(?:<\|end_header_id\|>)?"
    rf"|<start_of_turn>[ \t]*(?P<gemma>{_ROLES})|<\|(?P<phi>{_ROLES})\|>"
    r"|(?<![^\s>])(?-i:(?P<vicuna>USER|ASSISTANT)):|(?P<opened>\[INST\])|\[/INST\]",
    re.IGNORECASE,
)
_TEMPLATE_END = re.compile(
    r"<\|(?:im_end|eot_id|end|endoftext|begin_of_text)\|>|<end_of_turn>|</?s>|<bos>", re.IGNORECASE
)
_SYSTEM = re.compile(r"<<SYS>>.*?<</SYS>>", re.DOTALL)


@dataclass(frozen=True)
class Turn:
    """What one side said."""

    by_human: bool
    text: str


def turns_in(text: str) -> list[Turn]:
    r"""Return the turns of a conversation that stands inside one message, to the next blank line.

    Example:
        >>> turns_in("Chat history:\nHuman: Who runs Acme?\nAI: Bob.")
        [Turn(by_human=True, text='Who runs Acme?'), Turn(by_human=False, text='Bob.')]
    """
    plain = _with_labels(text)
    labels = list(_ROLE.finditer(plain))
    found = []
    for label, following in zip_longest(labels, labels[1:]):
        end = following.start() if following else len(plain)
        said = BLANK_LINE.split(plain[label.end() : end].strip(), maxsplit=1)[0].strip()
        if said and not _is_system(label):
            found.append(Turn(_is_person(label), said))
    return found


def unanswered_in(text: str) -> str | None:
    r"""Return what a person says last in a conversation inside a message; None if that is answered.

    Example:
        >>> unanswered_in("We talk.\nHuman: Who runs Acme?\nAI: Bob.\nHuman: Is he old?\nAI:")
        'Is he old?'
        >>> unanswered_in("Sum this up.\nHuman: Who runs Acme?\nAI: Bob.")
    """
    plain = _with_labels(text)
    labels = list(_ROLE.finditer(plain))
    end, awaits_reply = len(plain), False
    while labels and not _is_person(labels[-1]) and not plain[labels[-1].end() : end].strip():
        end, awaits_reply = labels.pop().start(), True
    if not labels or not _is_person(labels[-1]):
        return None
    said = plain[labels[-1].end() : end].strip()
    if not awaits_reply and (
        # What stands around the conversation may be the question.
        BLANK_LINE.search(said) or "?" in plain[: labels[0].start()]
    ):
        return None
    return said or None


def is_talk(paragraph: str) -> bool:
    r"""Tell whether a paragraph is a conversation in which nothing is left to be answered.

    Example:
        >>> is_talk("Human: Who runs Acme?\nAI: Bob."), is_talk("Human: Who runs Acme?\nAI:")
        (True, False)
    """
    if _ROLE.match(paragraph.lstrip()) is None or unanswered_in(paragraph) is not None:
        return False
    return {turn.by_human for turn in turns_in(paragraph)} == {True, False}


def _with_labels(text: str) -> str:
    """Return a text with labels in the place of a chat template's tokens."""
    with_labels = _TEMPLATE_TURN.sub(_label, text)
    if with_labels != text:
        with_labels = _SYSTEM.sub("", _TEMPLATE_END.sub("", with_labels), count=1)
    return _REPLY_BEGINS.sub("", with_labels)


def _label(token: re.Match[str]) -> str:
    role = token["chatml"] or token["gemma"] or token["phi"] or token["vicuna"]
    return f"\n{role or ('User' if token['opened'] else 'Assistant')}: "


def _is_person(label: re.Match[str]) -> bool:
    return _PERSON.fullmatch(_role(label)) is not None


def _is_system(label: re.Match[str]) -> bool:
    return _role(label).casefold() == "system"


def _role(label: re.Match[str]) -> str:
    return label["role"] or label["head"]
